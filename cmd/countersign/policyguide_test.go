package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// What docs/policy.md shows is what happens.
func TestThePolicyGuideIsTrue(t *testing.T) {
	t.Parallel()
	guide, err := os.ReadFile("../../docs/policy.md")
	if err != nil {
		t.Fatal(err)
	}
	file := block(t, guide, "yaml")
	answer := block(t, guide, "")
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	does := func(want int, args ...string) string {
		t.Helper()
		var out, complaint bytes.Buffer
		environ := []string{
			"COUNTERSIGN_ISSUER=http://localhost:9400", "COUNTERSIGN_DATABASE=sqlite:" + filepath.Join(dir, "guide.db"),
			"COUNTERSIGN_MASTER_KEY_FILE=" + filepath.Join(dir, "master.key"), "USER=guide",
		}
		if code := run(t.Context(), args, environ, strings.NewReader(""), &out, &complaint); code != want {
			t.Fatalf("%v: exit code %d, want %d\n%s%s", args, code, want, out.String(), complaint.String())
		}
		return out.String()
	}
	var key bytes.Buffer
	if code := run(t.Context(), []string{"keygen"}, nil, strings.NewReader(""), &key, &bytes.Buffer{}); code != 0 {
		t.Fatal("keygen")
	}
	write("master.key", key.String())
	does(exitOK, "migrate", "up")
	does(exitOK, "apply", "-f", write("policy.yaml", file))
	does(exitOK, "plan", "-f", filepath.Join(dir, "policy.yaml"), "--check")
	more := write("more.yaml", "assignments:\n  - {account: grace, role: head, during: {to: 2027-01-01}}\n  - {account: ada, role: approver}\n")
	if got := does(exitConflict, "plan", "-f", more); timeless(got) != timeless(answer) {
		t.Errorf("the guide shows\n%s\nand this is answered\n%s", answer, got)
	}
}

// timeless is a text whose times are all one.
func timeless(text string) string {
	return regexp.MustCompile(`20\d\d-\d\d-\d\dT[\d:]+Z`).ReplaceAllString(text, "T")
}

// block returns the last block of code of a language in a page.
func block(t *testing.T, page []byte, language string) string {
	t.Helper()
	found, text, in := "", "", false
	speaks := ""
	for line := range strings.Lines(string(page)) {
		fence, fenced := strings.CutPrefix(strings.TrimSpace(line), "```")
		switch {
		case fenced && !in:
			in, speaks, text = true, fence, ""
		case fenced:
			if in = false; speaks == language {
				found = text
			}
		case in:
			text += line
		}
	}
	if found == "" {
		t.Fatalf("the guide has no block %q", language)
	}
	return found
}
