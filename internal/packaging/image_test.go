package packaging_test

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// dockerfile reads the instructions of the last stage, and all of them.
func dockerfile(t *testing.T) (last, all []string) {
	t.Helper()
	text, err := os.ReadFile(root + "/Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	joined := strings.ReplaceAll(string(text), "\\\n", " ")
	for line := range strings.Lines(joined) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if strings.HasPrefix(line, "FROM ") {
			last = nil
		}
		last, all = append(last, line), append(all, line)
	}
	return last, all
}

func TestImageHoldsTheProgramAlone(t *testing.T) {
	t.Parallel()
	last, all := dockerfile(t)
	for _, want := range []string{
		"FROM scratch",
		"USER 65532:65532",
		`ENTRYPOINT ["/countersign"]`,
		`CMD ["serve"]`,
	} {
		if !slices.Contains(last, want) {
			t.Errorf("the last stage has no line %q:\n%s", want, strings.Join(last, "\n"))
		}
	}
	for _, line := range last {
		if strings.HasPrefix(line, "RUN ") || strings.HasPrefix(line, "ADD ") || strings.HasPrefix(line, "ENV ") {
			t.Errorf("the last stage does more than copy: %s", line)
		}
	}
	if !slices.ContainsFunc(last, func(l string) bool {
		return strings.HasPrefix(l, "HEALTHCHECK ") && strings.Contains(l, `CMD ["/countersign", "doctor", "--ready", `)
	}) {
		t.Error("the image does not say how it is asked whether it is well")
	}
	if !slices.ContainsFunc(all, func(l string) bool { return strings.HasPrefix(l, "RUN CGO_ENABLED=0 go build") }) {
		t.Error("the program is not built without C: it would need libraries that the image lacks")
	}
}

// TestImageIsBuiltFromSourceAlone: what the build context lacks cannot end up in a layer.
func TestImageIsBuiltFromSourceAlone(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(root + "/.dockerignore")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	if !slices.Contains(lines, "*") {
		t.Fatal("the build context is everything that is not excluded: a new secret would be in it")
	}
	for _, l := range lines {
		if name, ok := strings.CutPrefix(l, "!"); ok && slices.Contains([]string{".git", "data", "secrets", "bin", "."}, name) {
			t.Errorf("the build context holds %s", name)
		}
	}
	packages, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range packages {
		if p.IsDir() && hasGo(t, p.Name()) && !slices.Contains(lines, "!"+p.Name()) && p.Name() != "test" && p.Name() != "third_party" {
			t.Errorf("the build context lacks %s", p.Name())
		}
	}
}

func hasGo(t *testing.T, dir string) bool {
	t.Helper()
	files, err := os.ReadDir(root + "/" + dir)
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(files, func(f os.DirEntry) bool { return strings.HasSuffix(f.Name(), ".go") })
}
