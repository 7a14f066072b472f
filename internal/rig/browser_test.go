package rig

import (
	"bufio"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

const good = `<!doctype html><html lang="en"><head><title>Good</title><link rel="icon" href="data:,">
<meta name="viewport" content="width=device-width"></head><body><main><h1>Good</h1>
<form method="post" action="/next"><label for="name">Name</label> <input id="name" name="name" value="old"><button>Send</button></form>
<p>Go to <a href="/good">this very page</a> again.</p></main></body></html>`

const bad = `<!doctype html><html><head><title></title><link rel="icon" href="data:,"></head><body>
<img src="data:image/gif;base64,R0lGODlhAQABAAAAACw="><p style="color:#bbb;background:#fff">Hardly to be read</p>
<a href="/x" style="font-size:8px;display:inline-block">a</a><a href="/y" style="font-size:8px;display:inline-block">b</a></body></html>`

// site serves the pages that the tests look at.
func site(t *testing.T) string {
	t.Helper()
	mux := http.NewServeMux()
	page := func(path, body string, headers ...string) {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			for i := 0; i+1 < len(headers); i += 2 {
				w.Header().Set(headers[i], headers[i+1])
			}
			fmt.Fprint(w, body)
		})
	}
	page("/good", good, "Content-Security-Policy", "default-src 'none'; style-src 'none'; script-src 'none'; img-src data:; form-action 'self'")
	page("/bad", bad)
	page("/csp", good+`<script>document.title = "never"</script>`, "Content-Security-Policy", "default-src 'none'; img-src data:; script-src 'self'")
	page("/throws", good+`<script>throw new Error("thrown")</script>`)
	page("/complains", good+`<script>console.error("it is", "wrong")</script>`)
	page("/style", good+`<link rel="stylesheet" href="/none.css">`)
	page("/image", good+`<img src="/none.png" alt="">`)
	page("/wide", good+`<div style="width:3000px">wide</div>`)
	page("/scripted", good+`<p id=p>plain</p><script>document.getElementById("p").textContent = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light"</script>`)
	mux.HandleFunc("/next", func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "been", Value: "here", Path: "/"})
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(http.StatusConflict)
		fmt.Fprintf(w, `<!doctype html><html lang="en"><link rel="icon" href="data:,"><title>Next</title><main><h1>Got %s</h1></main>`, r.FormValue("name"))
	})
	mux.HandleFunc("/told", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "cookie %q language %q", r.Header.Get("Cookie"), r.Header.Get("Accept-Language"))
	})
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	return srv.URL
}

func TestAxeFindsWhatIsWrong(t *testing.T) {
	t.Parallel()
	b, url := NewBrowser(t), site(t)

	b.Visit(url + "/bad")
	var found []string
	for _, v := range b.violations() {
		found = append(found, v.ID)
	}
	for _, want := range []string{"image-alt", "color-contrast", "html-has-lang", "document-title", "target-size"} {
		if !slices.Contains(found, want) {
			t.Errorf("axe found %v, not %s", found, want)
		}
	}

	// A page that no script may run in, ours included, is examined all the same.
	b.Visit(url + "/good")
	b.Axe()
}

func TestBrowserHearsWhatGoesWrong(t *testing.T) {
	t.Parallel()
	url := site(t)
	for _, tt := range []struct{ path, want string }{
		{"/good", ""},
		{"/csp", "content security policy: script-src-elem"},
		{"/throws", "exception: Error: thrown"},
		{"/complains", "console: \"it is\" \"wrong\""},
		{"/style", "log: Refused to apply style from '" + url + "/none.css'"},
		{"/image", "asset: " + url + "/none.png answers 404"},
	} {
		t.Run(tt.path, func(t *testing.T) {
			t.Parallel()
			b := NewBrowser(t)
			b.Visit(url + tt.path)
			b.Text("body")
			got := strings.Join(b.watch.faults(), "\n")
			if (tt.want == "") != (got == "") || !strings.Contains(got, tt.want) {
				t.Errorf("heard %q, want %q", got, tt.want)
			}
			b.Expect(".*")
			if left := b.watch.faults(); len(left) > 0 {
				t.Errorf("what was expected is still a fault: %v", left)
			}
		})
	}
}

func TestBrowserFillsAndPresses(t *testing.T) {
	t.Parallel()
	b, url := NewBrowser(t), site(t)
	b.Visit(url + "/good")
	b.Fill("#name", "Ānn 王")
	b.Press("button")
	b.Arrive(url + "/next")
	b.See("Got Ānn 王")
	if got := b.Status(); got != http.StatusConflict {
		t.Errorf("got status %d, want 409", got)
	}

	other := NewBrowser(t)
	other.Visit(url + "/told")
	if got := other.Text("body"); !strings.Contains(got, `cookie ""`) {
		t.Errorf("another browser has the cookies of the first: %s", got)
	}
	b.Visit(url + "/told")
	if got := b.Text("body"); !strings.Contains(got, "been=here") {
		t.Errorf("the browser forgot its cookie: %s", got)
	}
}

func TestBrowserPlaysAnotherMachine(t *testing.T) {
	t.Parallel()
	b, url := NewBrowser(t), site(t)
	b.Visit(url + "/scripted")
	if got := b.Text("#p"); got != "light" {
		t.Errorf("got %s, want light", got)
	}
	b.Dark()
	b.Visit(url + "/scripted")
	if got := b.Text("#p"); got != "dark" {
		t.Errorf("got %s, want dark", got)
	}

	b.Phone()
	if got := ask(b, chromedp.Evaluate[int]("innerWidth")); got != 390 {
		t.Errorf("a phone is %d wide, want 390", got)
	}
	b.Language("zh-Hans")
	b.Visit(url + "/told")
	if got := b.Text("body"); !strings.Contains(got, `language "zh-Hans`) {
		t.Errorf("asked in another language: %s", got)
	}

	b.NoScript()
	b.Visit(url + "/scripted")
	if got := b.Text("#p"); got != "plain" {
		t.Errorf("without scripts the page shows %s, want plain", got)
	}
	b.Visit(url + "/good")
	b.Axe()
}

func TestBrowserTrustsWhenTold(t *testing.T) {
	t.Parallel()
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "over https") }))
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	t.Cleanup(srv.Close)
	b := NewBrowser(t)
	b.DangerouslyTrustAnyCertificate()
	b.Visit(srv.URL)
	b.See("over https")
}

func TestPageTooWideIsFound(t *testing.T) {
	t.Parallel()
	b, url := NewBrowser(t), site(t)
	b.Visit(url + "/good")
	b.Fits()

	b.Visit(url + "/wide")
	witness := &recorder{TB: t}
	b.t = witness
	b.Fits()
	b.t = t
	if !strings.Contains(witness.said, "pixels wider") {
		t.Errorf("a page of 3000 pixels fits: %q", witness.said)
	}
}

// recorder takes down a failure instead of failing.
type recorder struct {
	testing.TB
	said string
}

func (r *recorder) Errorf(format string, args ...any) { r.said += fmt.Sprintf(format, args...) }
func (r *recorder) Helper()                           {}

func TestScreenshotIsWrittenWhereAsked(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("COUNTERSIGN_SCREENSHOTS", dir)
	b, url := NewBrowser(t), site(t)
	b.Visit(url + "/good")
	b.Screenshot("some/page")
	picture, err := os.ReadFile(filepath.Join(dir, "some", "page.png"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(picture), "\x89PNG") {
		t.Errorf("the picture is no PNG: %.8q", picture)
	}
}

// TestChromiumDiesWithItsOwner kills a test binary that has a browser, without a warning.
func TestChromiumDiesWithItsOwner(t *testing.T) {
	if os.Getenv("RIG_OWNER") != "" {
		NewBrowser(t)
		left, _ := filepath.Glob(filepath.Join(os.TempDir(), "countersign-chromium-*"))
		fmt.Println("profile", left[0])
		time.Sleep(time.Hour)
	}
	t.Parallel()
	if testing.Short() {
		t.Skip("short: the browser is left to make test")
	}
	if _, err := chromiumPath(); err != nil && os.Getenv("CI") != "true" {
		t.Skip(err)
	}
	// Not t.TempDir: Chromium keeps a socket in its profile, whose path must be short.
	dir, err := os.MkdirTemp("", "rig-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	cmd := exec.Command(os.Args[0], "-test.run", "^TestChromiumDiesWithItsOwner$")
	cmd.Env = append(os.Environ(), "RIG_OWNER=1", "TMPDIR="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	profile := ""
	for lines := bufio.NewScanner(out); profile == "" && lines.Scan(); {
		profile = strings.TrimPrefix(lines.Text(), "profile ")
	}
	if !strings.HasPrefix(profile, dir) {
		t.Fatalf("the owner started no browser: %q", profile)
	}

	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	gone := func() bool {
		_, err := os.Stat(profile)
		return os.IsNotExist(err) && len(processesOf(t, profile)) == 0
	}
	for deadline := time.Now().Add(patience); !gone(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("after its owner's death there are the profile %s and the processes %v", profile, processesOf(t, profile))
		}
	}
}

// processesOf lists the processes that name profile in their command line.
func processesOf(t *testing.T, profile string) []string {
	t.Helper()
	var found []string
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, f := range files {
		if line, err := os.ReadFile(f); err == nil && strings.Contains(string(line), "user-data-dir="+profile) {
			found = append(found, f)
		}
	}
	return found
}
