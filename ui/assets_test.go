package ui

import (
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

func TestAssetsAreServedForEverUnderNamesThatHoldTheirHash(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /assets/{name}", func(w http.ResponseWriter, r *http.Request) {
		if err := getAsset(w, r); err != nil {
			w.WriteHeader(http.StatusNotFound)
		}
	})
	for plain := range assets().hashed {
		path, err := assetPath(plain)
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest("GET", path, nil)
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		if w.Code != 200 || !strings.Contains(w.Header().Get("Cache-Control"), "immutable") || w.Header().Get("Content-Type") == "" {
			t.Errorf("%s: %d %v", path, w.Code, w.Header())
		}
		sum := sha256.Sum256(w.Body.Bytes())
		if !strings.Contains(path, hex.EncodeToString(sum[:6])) {
			t.Errorf("%s does not hold the hash of what it is", path)
		}

		r.Header.Set("Accept-Encoding", "br, gzip")
		small := httptest.NewRecorder()
		mux.ServeHTTP(small, r)
		if strings.HasSuffix(plain, ".woff2") {
			continue
		}
		z, err := gzip.NewReader(small.Body)
		if err != nil || small.Header().Get("Content-Encoding") != "gzip" {
			t.Fatalf("%s: not compressed: %v", path, err)
		}
		if got, _ := io.ReadAll(z); string(got) != w.Body.String() {
			t.Errorf("%s: compressed and plain differ", path)
		}
	}
	for _, path := range []string{"/assets/app.css", "/assets/app.000000000000.css", "/assets/THIRD_PARTY.md", "/assets/..%2fui.go"} {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		if w.Code != http.StatusNotFound {
			t.Errorf("%s: %d, want 404", path, w.Code)
		}
	}
}

func TestTheStylesheetPointsToFilesThatExist(t *testing.T) {
	t.Parallel()
	css := string(assets().byName[assets().hashed["app.css"]].plain)
	for _, m := range regexp.MustCompile(`url\("([^"]+)"\)`).FindAllStringSubmatch(css, -1) {
		if assets().byName[m[1]] == nil {
			t.Errorf("the stylesheet points to %q, which is not served", m[1])
		}
	}
	if strings.Contains(css, "http") || strings.Contains(css, "@import") {
		t.Error("the stylesheet reaches outside")
	}
}

// ui.md M.6: what a first visit to the sign-in costs, compressed.
func TestAFirstVisitStaysWithinItsBudget(t *testing.T) {
	t.Parallel()
	total := 4 << 10 // the page itself, generously
	for _, name := range []string{"app.css", "page.js", "guilloche.svg", "mark.svg"} {
		total += len(assets().byName[assets().hashed[name]].small())
	}
	total += len(assets().byName[assets().hashed["inter.woff2"]].plain)
	if total > 75<<10 {
		t.Errorf("first visit costs %d bytes, want at most %d", total, 75<<10)
	}
}

func TestThirdPartyFilesAreThoseRecorded(t *testing.T) {
	t.Parallel()
	record := string(read("THIRD_PARTY.md"))
	sum := sha256.Sum256(read("inter.woff2"))
	if !strings.Contains(record, hex.EncodeToString(sum[:])) {
		t.Error("inter.woff2 is not the file that THIRD_PARTY.md records")
	}
	for name, body := range icons() {
		if !strings.Contains(string(read("icons/"+name+".svg")), "lucide-static v1.62.0") || strings.Contains(string(body), "<script") {
			t.Errorf("icon %s is not of the recorded package", name)
		}
	}
}

// scheme reads the colour tokens: name to light and dark.
func scheme(t *testing.T) (light, dark map[string]string) {
	t.Helper()
	css := string(read("app.css"))
	light, dark = map[string]string{}, map[string]string{}
	for _, m := range regexp.MustCompile(`--([a-z0-9-]+): light-dark\((#[0-9a-f]{3,6}), (#[0-9a-f]{3,6})\);`).FindAllStringSubmatch(css, -1) {
		light[m[1]], dark[m[1]] = m[2], m[3]
	}
	for _, m := range regexp.MustCompile(`--(on-accent): (#[0-9a-f]{6});`).FindAllStringSubmatch(css, -1) {
		light[m[1]], dark[m[1]] = m[2], m[2]
	}
	if len(light) < 35 {
		t.Fatalf("read %d tokens: the stylesheet changed its form", len(light))
	}
	return light, dark
}

func luminance(t *testing.T, hex string) float64 {
	t.Helper()
	hex = strings.TrimPrefix(hex, "#")
	if len(hex) == 3 {
		hex = string([]byte{hex[0], hex[0], hex[1], hex[1], hex[2], hex[2]})
	}
	n, err := strconv.ParseUint(hex, 16, 32)
	if err != nil {
		t.Fatal(err)
	}
	part := func(c uint64) float64 {
		v := float64(c&0xff) / 255
		if v <= .04045 {
			return v / 12.92
		}
		return math.Pow((v+.055)/1.055, 2.4)
	}
	return .2126*part(n>>16) + .7152*part(n>>8) + .0722*part(n)
}

// WCAG 2.2 §1.4.3 and §1.4.11: every pair the components use, in both schemes.
func TestColoursCanBeToldApart(t *testing.T) {
	t.Parallel()
	text := strings.Fields(`text/bg text/surface text/surface-2 text/surface-3 text-2/bg text-2/surface text-2/surface-2 text-2/surface-3 text-3/bg text-3/surface text-3/surface-2
		accent-text/bg accent-text/surface accent-text/surface-2 on-accent/accent on-accent/accent-hover accent-soft-text/accent-soft text-2/accent-soft text/accent-soft accent-text/accent-soft
		ok/ok-bg warn/warn-bg danger/danger-bg info/info-bg neutral/neutral-bg text/info-bg text/warn-bg text/danger-bg text/ok-bg text-2/ok-bg danger/surface ok/surface on-accent/danger-solid surface/danger`)
	parts := strings.Fields(`border-strong/surface border-strong/bg accent-text/surface c1/surface c2/surface c3/surface c4/surface c5/surface danger/surface warn/surface seal/surface`)
	light, dark := scheme(t)
	for name, tokens := range map[string]map[string]string{"light": light, "dark": dark} {
		check := func(pairs []string, least float64) {
			for _, pair := range pairs {
				front, back, _ := strings.Cut(pair, "/")
				if tokens[front] == "" || tokens[back] == "" {
					t.Errorf("%s: no token for %s", name, pair)
					continue
				}
				a, b := luminance(t, tokens[front]), luminance(t, tokens[back])
				if ratio := (max(a, b) + .05) / (min(a, b) + .05); ratio < least {
					t.Errorf("%s: %s has a contrast of %.2f, want %.1f", name, pair, ratio, least)
				}
			}
		}
		check(text, 4.5)
		check(parts, 3)
	}
}

func TestBrowsersWithoutLightDarkSeeTheLightScheme(t *testing.T) {
	t.Parallel()
	light, _ := scheme(t)
	_, fallback, ok := strings.Cut(string(read("app.css")), "@supports not (color: light-dark(#000, #fff))")
	if !ok {
		t.Fatal("no fallback")
	}
	fallback, _, _ = strings.Cut(fallback, "\n")
	for name, want := range light {
		if name != "on-accent" && !strings.Contains(fallback, "--"+name+": "+want+";") {
			t.Errorf("the fallback lacks --%s: %s", name, want)
		}
	}
}
