package oidc

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/countersign-id/countersign/audit"
	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/internal/fault"
	"github.com/countersign-id/countersign/internal/web"
)

// tally is the pages, counted: many may be drawn at once.
type tally struct{ sent, gone, other atomic.Int32 }

func (p *tally) Fault(w http.ResponseWriter, _ *http.Request, f *fault.Error) {
	if f.Is(auth.ErrFlowGone) {
		p.gone.Add(1)
	} else {
		p.other.Add(1)
	}
	w.WriteHeader(f.Kind.Status())
}

func (p *tally) HandOff(http.ResponseWriter, *http.Request, auth.Client, string) error {
	p.sent.Add(1)
	return nil
}

func (p *tally) FormPost(http.ResponseWriter, *http.Request, auth.Client, string, url.Values) error {
	p.other.Add(1)
	return nil
}

func (p *tally) ConfirmLogout(http.ResponseWriter, *http.Request, LogoutPrompt) error {
	p.other.Add(1)
	return nil
}

func (p *tally) SignedOut(http.ResponseWriter, *http.Request, auth.Client, string) error {
	p.other.Add(1)
	return nil
}

func TestAFlowIsFinishedOnce(t *testing.T) {
	eachRig(t, func(t *testing.T, r *rig) {
		b := r.browser()
		for round := range max(rounds()/10, 3) {
			f := b.allow(b.prove(b.flowOf(b.authorize(r.ask(r.app, "prompt", "login")))))
			pages := &tally{}
			r.p.pages = pages
			h := web.Handler(slog.New(slog.DiscardHandler), func(w http.ResponseWriter, req *http.Request) error {
				return r.p.Finish(w, req, f.ID, true)
			}, pages.Fault)
			var done sync.WaitGroup
			for range 8 {
				done.Go(func() {
					req := httptest.NewRequest(http.MethodPost, testIssuer+"/login/consent", nil)
					for name, value := range b.cookies {
						req.AddCookie(&http.Cookie{Name: name, Value: value})
					}
					h.ServeHTTP(httptest.NewRecorder(), req)
				})
			}
			done.Wait()
			r.p.pages = r.seen
			if sent, gone, other := pages.sent.Load(), pages.gone.Load(), pages.other.Load(); sent != 1 || gone != 7 || other != 0 {
				t.Fatalf("round %d: %d finished, %d were told it is over, %d something else", round, sent, gone, other)
			}
			if n := r.grants(); n != round+1 {
				t.Fatalf("round %d: %d codes were handed out", round, n)
			}
		}
	})
}

func TestASessionIsNewWhenItRises(t *testing.T) {
	eachRig(t, func(t *testing.T, r *rig) {
		b := r.browser()
		b.cookies["__Host-session"] = strings.Repeat("f", 43) // sec-S01: a token somebody planted
		b.code(r.ask(r.app))
		first := b.cookies["__Host-session"]
		if first == strings.Repeat("f", 43) || len(first) != 43 {
			t.Errorf("the session's token is %q", first)
		}
		b.code(r.ask(r.app, "prompt", "login"))
		if b.cookies["__Host-session"] == first {
			t.Error("a new proof left the session its token")
		}
		wantTold(t, (&browser{r: r, cookies: map[string]string{"__Host-session": first}}).authorize(r.ask(r.app, "prompt", "none")), "login_required")
	})
}

func TestSecR12CookiesOfASignIn(t *testing.T) {
	eachRig(t, func(t *testing.T, r *rig) {
		b := r.browser()
		a := b.authorize(r.ask(r.app))
		f := b.allow(b.prove(b.flowOf(a)))
		for _, header := range append(a.header.Values("Set-Cookie"), b.finish(f.ID, true).header.Values("Set-Cookie")...) {
			for _, want := range []string{"__Host-", "Path=/", "HttpOnly", "Secure", "SameSite=Lax"} {
				if !strings.Contains(header, want) {
					t.Errorf("%q lacks %s", header, want)
				}
			}
			if strings.Contains(header, "Domain=") || len(header) > 4<<10 {
				t.Errorf("%q", header)
			}
		}
	})
}

func TestSecR10TheHostHeaderSaysNothing(t *testing.T) {
	eachRig(t, func(t *testing.T, r *rig) {
		b := r.browser()
		b.code(r.ask(r.app))
		for _, form := range []url.Values{r.ask(r.app), r.ask(r.app, "prompt", "login"), r.ask(r.app, "response_type", "x")} {
			req := httptest.NewRequest(http.MethodGet, testIssuer+authorizePath+"?"+form.Encode(), nil)
			req.Host = "evil.example"
			req.Header.Set("X-Forwarded-Host", "evil.example")
			req.Header.Set("X-Forwarded-Proto", "http")
			req.Header.Set("Forwarded", "host=evil.example;proto=http")
			a := b.serve(req, r.p.Handler())
			if strings.Contains(a.location, "evil") || a.params.Has("iss") && a.params.Get("iss") != testIssuer {
				t.Errorf("sent to %q", a.location)
			}
		}
	})
}

func TestSayingNoIsRemembered(t *testing.T) {
	eachRig(t, func(t *testing.T, r *rig) {
		b := r.browser()
		f := b.prove(b.flowOf(b.authorize(r.ask(r.app, "response_mode", "form_post"))))
		a := b.cancel(f.ID)
		wantTold(t, a, "access_denied")
		if a.page != "form-post" || a.params.Get("state") != "st4te" {
			t.Errorf("answered %s with %v", a.page, a.params)
		}
		if n := len(r.eventsOf(audit.ConsentRefused)); n != 1 {
			t.Errorf("%d events, want 1", n)
		}
		if b.cookies["__Host-session"] != "" || r.grants() != 0 {
			t.Error("a no gave a session or a code")
		}
	})
}
