package ui

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/internal/fault"
	"github.com/countersign-id/countersign/internal/rig"
)

// gallery serves every page, drawn from the values that the query names.
func gallery(t *testing.T) string {
	t.Helper()
	mux := http.NewServeMux()
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	mux.HandleFunc("GET /assets/{name}", func(w http.ResponseWriter, r *http.Request) { _ = getAsset(w, r) })
	mux.HandleFunc("/away", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusNoContent) }) // keeps the page
	for _, s := range sheets(srv.URL + "/away") {
		mux.HandleFunc("GET /"+s.file, func(w http.ResponseWriter, r *http.Request) {
			q := r.URL.Query()
			f := frameFor(t, q.Get("lang"), q.Get("values"))
			f.Section = strings.TrimSuffix(strings.TrimPrefix(s.file, "account/"), ".html")
			if at, ok := q["wrong"]; ok {
				f = f.redraw(&fault.Error{Kind: fault.Throttled, Code: "too-many-attempts", Text: "Too many attempts from here.", Field: at[0], Wait: 60})
				f.Flash = "flash.app-withdrawn"
			}
			_, body, err := s.draw(t, f, q.Get("values"))
			if err != nil {
				t.Error(err)
			}
			w.Header().Set("Content-Security-Policy", contentPolicy(""))
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			fmt.Fprint(w, body)
		})
	}
	return srv.URL
}

// WCAG 2.2 A and AA: every page, each scheme, each language, from a desk to 320 pixels, after a mistake too.
func TestEveryPageIsAccessibleAndFits(t *testing.T) {
	t.Parallel()
	base := gallery(t)
	b := rig.NewBrowser(t)
	visit := func(file string, query ...string) {
		t.Helper()
		b.Visit(base + "/" + file + "?" + strings.Join(query, "&"))
		b.Fits()
		b.Axe()
	}
	for _, s := range sheets(aurora) {
		b.Size(1440, 900)
		visit(s.file, "lang=en", "values=typical")
		b.Screenshot("ui/" + strings.TrimSuffix(s.file, ".html"))
		b.Size(320, 700)
		visit(s.file, "lang=zh-Hans", "values=typical", "wrong=password")
	}

	b.Dark()
	b.Size(390, 844)
	for _, s := range sheets(aurora) {
		visit(s.file, "lang=en", "values=typical", "wrong=")
		b.Screenshot("ui/" + strings.TrimSuffix(s.file, ".html") + "-phone-dark")
	}
}

func TestPagesHoldWhatIsMuchTooLong(t *testing.T) {
	t.Parallel()
	base := gallery(t)
	b := rig.NewBrowser(t)
	for _, s := range sheets(aurora) {
		if s.file == "signin/handoff.html" || s.file == "signin/formpost.html" {
			continue // these lead away at once, to an address that is not there
		}
		for _, width := range []int64{1440, 390} {
			b.Size(width, 800)
			b.Visit(base + "/" + s.file + "?lang=en&values=hostile")
			b.Fits()
		}
	}
}

func TestScriptAddsToPagesThatWorkWithoutIt(t *testing.T) {
	t.Parallel()
	base := gallery(t)
	b := rig.NewBrowser(t)
	b.Visit(base + "/signin/password.html?lang=en&values=typical")
	b.Fill("#password", "secret")
	b.Click("[data-reveal]")
	if !b.Has(`#password[type="text"]`) || !b.Has(`[data-reveal][aria-pressed="true"]`) {
		t.Error("the password is not shown")
	}
	b.Axe()
	b.Click("[data-reveal]")
	if !b.Has(`#password[type="password"]`) {
		t.Error("the password is not hidden again")
	}
	b.Click(`[popovertarget="menu-theme"]`)
	b.See("Match system")
	b.Axe()
	b.Visit(base + "/account/apps.html?lang=en&values=typical")
	b.Click(`[popovertarget="withdraw-0"]`)
	b.See("Remove the access of Aurora Finance?")
	b.Axe()

	b.NoScript()
	b.Visit(base + "/signin/password.html?lang=en&values=typical")
	if !b.Has("[data-reveal][hidden]") {
		t.Error("a button shows that does nothing")
	}
}

// ui.md N.2: after a form of ours the way to another site is a page, which form-action 'self' does not stop; with and without
// script, by address and by form.
func TestTheWayBackToAnApplicationIsOpen(t *testing.T) {
	t.Parallel()
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, `<!doctype html><html lang="en"><link rel="icon" href="data:,"><title>App</title><main><h1>App got %s by %s, referrer %q</h1></main>`, r.FormValue("code"), r.Method, r.Referer())
	}))
	t.Cleanup(app.Close)
	to := strings.Replace(app.URL, "127.0.0.1", "localhost", 1) // another site

	p := testPages(t)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /assets/{name}", func(w http.ResponseWriter, r *http.Request) { _ = getAsset(w, r) })
	mux.HandleFunc("GET /{way}", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", contentPolicy(""))
		fmt.Fprintf(w, `<!doctype html><html lang="en"><link rel="icon" href="/assets/x"><title>Form</title><main><h1>Form</h1><form method="post" action="/%s"><button id="send">Send</button></form></main>`, r.PathValue("way"))
	})
	mux.HandleFunc("POST /handoff", func(w http.ResponseWriter, r *http.Request) {
		_ = p.HandOff(w, r, auth.Client{Name: "App"}, to+"/cb?code=c0de")
	})
	mux.HandleFunc("POST /formpost", func(w http.ResponseWriter, r *http.Request) {
		_ = p.FormPost(w, r, auth.Client{Name: "App"}, to+"/cb", url.Values{"code": {"c0de"}, "submit": {"clobbers"}})
	})
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)

	for way, want := range map[string]string{"handoff": `App got c0de by GET, referrer ""`, "formpost": `App got c0de by POST, referrer ""`} {
		b := rig.NewBrowser(t)
		b.Expect("assets/x")
		b.Visit(srv.URL + "/" + way)
		b.Click("#send")
		b.See(want)

		b.NoScript()
		b.Visit(srv.URL + "/" + way)
		b.Click("#send")
		if way == "formpost" {
			b.See("Continue")
			b.Click("main button")
		}
		b.See(want)
	}
}
