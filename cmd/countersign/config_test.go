package main

import (
	"bytes"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/countersign-id/countersign/internal/fault"
)

var update = flag.Bool("update", false, "write generated documentation again")

// sec-F17: a setting that is unknown, of the wrong type or weak refuses to start, with the key, the problem and the fix in one line.
func TestAWeakOrUnknownSettingRefusesToStart(t *testing.T) {
	t.Parallel()
	good := map[string]string{"issuer": "https://id.example.org", "listen": "127.0.0.1:8443", "master_key": newMasterKey()}
	for _, tt := range []struct {
		name string
		set  map[string]string
		want string // the key that the refusal names
	}{
		{"no issuer", map[string]string{"issuer": ""}, "issuer"},
		{"an issuer in the clear on a public host", map[string]string{"issuer": "http://id.example.org"}, "issuer"},
		{"an issuer with a path", map[string]string{"issuer": "https://id.example.org/idp"}, "issuer"},
		{"an issuer with a query", map[string]string{"issuer": "https://id.example.org?x=1"}, "issuer"},
		{"an issuer with credentials", map[string]string{"issuer": "https://a:b@id.example.org"}, "issuer"},
		{"an issuer of another scheme", map[string]string{"issuer": "ftp://id.example.org"}, "issuer"},
		{"no master key", map[string]string{"master_key": ""}, "master_key"},
		{"a master key of another make", map[string]string{"master_key": "secret"}, "master_key"},
		{"a master key that is too short", map[string]string{"master_key": newMasterKey()[:40]}, "master_key"},
		{"a master key of zeros", map[string]string{"master_key": "csmk_" + strings.Repeat("A", 43)}, "master_key"},
		{"an https issuer served in the clear", map[string]string{"listen": "0.0.0.0:8080"}, "listen"},
		{"a listener without a port", map[string]string{"listen": "localhost"}, "listen"},
		{"an http issuer off loopback", map[string]string{"issuer": "http://localhost:8080", "listen": ":8080"}, "listen"},
		{"a certificate without its key", map[string]string{"tls.certificate": "x.pem"}, "tls.certificate"},
		{"everybody as a proxy", map[string]string{"trusted_proxies": "0.0.0.0/0"}, "trusted_proxies"},
		{"a proxy that is no address", map[string]string{"trusted_proxies": "proxy.internal"}, "trusted_proxies"},
		{"everybody behind the guarded client", map[string]string{"outbound_allow": "::/0"}, "outbound_allow"},
		{"a password of seven", map[string]string{"password.min_length": "7"}, "password.min_length"},
		{"weak argon2id", map[string]string{"password.memory": "8192", "password.time": "1"}, "password.memory"},
		{"a number that is none", map[string]string{"password.time": "two"}, "password.time"},
		{"a number with something behind it", map[string]string{"password.time": "2x"}, "password.time"},
		{"a duration without a unit", map[string]string{"session.idle": "60"}, "session.idle"},
		{"a code that lives too long", map[string]string{"lifetime.code": "10m"}, "lifetime.code"},
		{"an access token that lives a day", map[string]string{"lifetime.access_token": "24h"}, "lifetime.access_token"},
		{"an idle end after the absolute one", map[string]string{"session.idle": "20h"}, "session.idle"},
		{"a key that leaves before its tokens die", map[string]string{"keys.overlap": "10m", "lifetime.id_token": "1h"}, "keys.overlap"},
		{"more guesses than NIST allows", map[string]string{"throttle.account_total": "101"}, "throttle.account_total"},
		{"a yes that is no boolean", map[string]string{"migrate": "yes"}, "migrate"},
		{"a level that is none", map[string]string{"log.level": "loud"}, "log.level"},
		{"a language that is not there", map[string]string{"language": "tlh"}, "language"},
	} {
		t.Run("sec-F17 "+tt.name, func(t *testing.T) {
			t.Parallel()
			set := maps.Clone(good)
			maps.Copy(set, tt.set)
			_, err := loadConfig("", nil, set, "issuer", "master_key")
			f := fault.From(err)
			if err == nil || f.Code != "bad-setting" || f.Field != tt.want {
				t.Fatalf("loadConfig(%v) = %v, want a refusal of %s", tt.set, err, tt.want)
			}
			if strings.Contains(f.Text, "\n") || !strings.HasPrefix(f.Text, tt.want+": ") || !strings.Contains(f.Text, "; ") {
				t.Errorf("refusal %q, want one line: key: problem; fix", f.Text)
			}
			if exitCode(err) != exitUsage {
				t.Errorf("exit code %d, want %d", exitCode(err), exitUsage)
			}
		})
	}
	if _, err := loadConfig("", nil, good, "issuer", "master_key"); err != nil {
		t.Errorf("the good settings are refused: %v", err)
	}
}

func TestAFlagGoesOverAVariableAndAVariableOverTheFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "c.yaml")
	write(t, file, "session:\n  idle: 10m\n  absolute: 2h\nlifetime:\n  code: 20s\ntrusted_proxies: [10.0.0.1, 10.1.0.0/16]\n", 0o600)
	c, err := loadConfig(file, []string{"COUNTERSIGN_SESSION_IDLE=20m", "COUNTERSIGN_LIFETIME_CODE=30s"}, map[string]string{"lifetime.code": "40s"})
	if err != nil {
		t.Fatal(err)
	}
	if c.Session.Absolute != 2*time.Hour || c.Session.Idle != 20*time.Minute || c.Lifetime.Code != 40*time.Second || len(c.trusted) != 2 {
		t.Errorf("got absolute %s (file), idle %s (variable), code %s (flag), %d proxies", c.Session.Absolute, c.Session.Idle, c.Lifetime.Code, len(c.trusted))
	}
}

func TestUnknownKeysAndVariablesAreRefused(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "c.yaml")
	write(t, file, "issuer: https://id.example.org\nsession:\n  idel: 10m\n", 0o600)
	if _, err := loadConfig(file, nil, nil); fault.From(err).Field != "session.idel" {
		t.Errorf("an unknown key: %v", err)
	}
	if _, err := loadConfig("", []string{"COUNTERSIGN_ISUER=x"}, nil); fault.From(err).Field != "COUNTERSIGN_ISUER" {
		t.Errorf("an unknown variable: %v", err)
	}
	if _, err := loadConfig("", []string{"COUNTERSIGN_ISSUER_FILE=x"}, nil); fault.From(err).Field != "COUNTERSIGN_ISSUER_FILE" {
		t.Errorf("a file for what is no secret: %v", err)
	}
	write(t, file, "issuer: [", 0o600)
	if _, err := loadConfig(file, nil, nil); fault.From(err).Field != "config" {
		t.Errorf("a file that is not YAML: %v", err)
	}
}

// sec-D14: a secret that others may read is refused.
func TestSecretsComeFromFilesThatOthersCannotRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	open, closed := filepath.Join(dir, "open"), filepath.Join(dir, "closed")
	key := newMasterKey()
	write(t, open, key+"\n", 0o644)
	write(t, closed, key+"\n", 0o600)
	if _, err := loadConfig("", []string{"COUNTERSIGN_MASTER_KEY_FILE=" + open}, nil); fault.From(err).Field != "master_key" || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("sec-D14 a file that others can read: %v", err)
	}
	c, err := loadConfig("", []string{"COUNTERSIGN_MASTER_KEY_FILE=" + closed}, nil, "master_key")
	if err != nil || c.MasterKey != key {
		t.Errorf("a file of one's own: %v", err)
	}
	if got := c.effective()["master_key"]; strings.Contains(got, key[6:]) || got == "" {
		t.Errorf("the effective settings print the key as %q", got)
	}
}

// The reference is generated: it cannot say what the code does not do.
func TestTheReferenceIsWhatTheCodeReads(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	settingsMarkdown(&b)
	golden(t, "../../docs/configuration.md", b.Bytes())
}

func TestEverySettingHasASentenceAndAGoodDefault(t *testing.T) {
	t.Parallel()
	for _, s := range settings() {
		if !strings.HasSuffix(s.Doc, ".") || s.Doc[0] < 'A' || s.Doc[0] > 'Z' && s.Doc[:6] != "sqlite" {
			if !strings.HasPrefix(s.Doc, "sqlite") && !strings.HasPrefix(s.Doc, "debug") && !strings.HasPrefix(s.Doc, "json") {
				t.Errorf("%s: %q is not a sentence", s.Key, s.Doc)
			}
		}
	}
}

// golden compares got with a file of the repository, or writes it again with -update.
func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		write(t, path, string(got), 0o644)
		return
	}
	want, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s is not what the code says; run make docs (%v)", path, err)
	}
}

func write(t testing.TB, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}
