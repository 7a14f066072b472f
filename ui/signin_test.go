package ui

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/countersign-id/countersign/audit"
	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/internal/web"
	"github.com/countersign-id/countersign/store"
)

func TestAnApplicationsSignInGoesThroughEveryPageToACode(t *testing.T) {
	each(t, func(t *testing.T, r *house) {
		b := r.browser()
		wantPage(t, b.get(r.authorize("login_hint", "noor@example.org")), 200, "to continue to Aurora Finance", `value="noor@example.org"`, "You are signing in at id.northwind.example")
		wantPage(t, b.submit("/login/identify", "username", "noor.haddad"), 200, "Enter your password", `value="noor.haddad" autocomplete="username"`)
		wantPage(t, b.submit("/login/password", "password", passphrase), 200,
			"Aurora Finance wants to access your account", "Noor Haddad, noor.haddad", "noor.haddad@northwind.example", "aurora.northwind.example", "https://aurora.northwind.example/privacy", "Required")
		wantPage(t, b.submit("/login/consent"), 200, "Returning to Aurora Finance", `id="continue"`)
		to := b.handedTo()
		if q := to.Query(); to.Host != "aurora.northwind.example" || q.Get("code") == "" || q.Get("state") != "st4te" || q.Get("iss") != issuer {
			t.Errorf("sent to %v", to)
		}
		if got := b.last.header.Get("Referrer-Policy"); got != "no-referrer" {
			t.Errorf("hand-off with Referrer-Policy %q", got)
		}

		req := httptest.NewRequest("POST", issuer+"/oauth2/token", strings.NewReader(url.Values{
			"grant_type": {"authorization_code"}, "code": {to.Query().Get("code")}, "redirect_uri": {r.app.RedirectURIs[0]}, "code_verifier": {verifier},
		}.Encode()))
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.SetBasicAuth(string(r.app.ID), r.secret)
		w := httptest.NewRecorder()
		r.http.ServeHTTP(w, req)
		if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "refresh_token") {
			t.Errorf("token endpoint: %d %s", w.Code, w.Body)
		}

		// Single sign-on: no form, so a redirect and no page.
		if a := b.do("GET", r.authorize(), nil); a.status != http.StatusSeeOther || !strings.HasPrefix(a.to(), "https://aurora.northwind.example/cb?") {
			t.Errorf("second sign-in: %d to %q", a.status, a.to())
		}
		for name := range b.cookies {
			if !strings.HasPrefix(name, "__Host-") {
				t.Errorf("cookie %q lacks the prefix", name)
			}
		}
	})
}

func TestASignInToOurOwnPagesWritesNothingBeforeANameIsSent(t *testing.T) {
	each(t, func(t *testing.T, r *house) {
		b := r.browser()
		wantPage(t, b.get("/account/sessions"), 200, "to manage your account", `name="back" value="/account/sessions"`)
		if len(b.cookies) != 0 {
			t.Errorf("looking at the page set cookies: %v", b.cookies)
		}
		b.submit("/login/identify", "username", "noor.haddad@northwind.example")
		wantPage(t, b.submit("/login/password", "password", passphrase), 200, "Sessions", "Firefox on Linux", "This one")
		wantPage(t, b.get("/login?back=//evil.example"), 200, "Hello, Noor Haddad") // signed in already; and sec-R09
	})
}

// sec-R09: the form of our own sign-in goes back to a path of ours.
func TestTheWayBackIsAPathOfOurs(t *testing.T) {
	each(t, func(t *testing.T, r *house) {
		b := r.browser()
		wantPage(t, b.get("/login?back=https://evil.example/"), 200, `name="back" value="/account"`)
		b.submit("/login/identify", "username", "noor.haddad", "back", "//evil.example/")
		b.submit("/login/password", "password", passphrase)
		if b.at != "/account" {
			t.Errorf("sign-in ended at %q", b.at)
		}
	})
}

var varying = regexp.MustCompile(`class="av sm a\d" data-i="[A-Z]*"|flow=[0-9a-f-]+|value="[0-9a-f]{8}-[0-9a-f-]+"|n(oor|obo|otm|opw)\.[a-z]{6}`)

// sec-K04: unknown, wrong, disabled and without a password are one answer: status, body, headers, cookies. sec-K05: each costs
// exactly one hash; so do the empty password and an attempt past the account's limit.
func TestEveryRefusedSignInIsTheSameAnswerAtTheSamePrice(t *testing.T) {
	each(t, func(t *testing.T, r *house) {
		disabled := r.account("notm.active", passphrase)
		r.account("nopw.atalls", "")
		r.update(func(tx *store.Tx) error { return auth.Disable(t.Context(), tx, "local:test", disabled.ID) })

		var want string
		try := func(name, user, pw string) {
			t.Helper()
			b := r.browser()
			b.get("/account")
			b.submit("/login/identify", "username", user)
			before, cookies := r.hasher.Runs(), len(b.cookies)
			a := b.submit("/login/password", "password", pw)
			if n := r.hasher.Runs() - before; n != 1 {
				t.Errorf("%s: %d hashes, want 1", name, n)
			}
			if len(b.cookies) != cookies || a.header.Get("Set-Cookie") != "" {
				t.Errorf("%s: the answer sets cookies", name)
			}
			for _, h := range []string{"X-Request-Id", "Date"} {
				a.header.Del(h)
			}
			var head strings.Builder
			_ = a.header.Write(&head)
			got := http.StatusText(a.status) + head.String() + varying.ReplaceAllString(a.body, "…")
			if want == "" {
				want = got
				wantPage(t, a, http.StatusUnauthorized, "That did not match", `aria-invalid="true"`)
			}
			if got != want {
				t.Errorf("%s answers\n%s\nwant\n%s", name, got, want)
			}
		}
		try("a wrong password", "noor.haddad", "not "+passphrase)
		try("an unknown name", "nobo.dyhere", passphrase)
		try("a disabled account", "notm.active", passphrase)
		try("an account without a password", "nopw.atalls", passphrase)
		try("an empty password", "noor.haddad", "")
		try("an empty password of nobody", "nobo.dyhere", "")
		for range 12 { // past the account's limit, and past the one of a name nobody has
			try("one more at the account", "noor.haddad", "wrong")
			try("one more at nobody", "nobo.dyhere", "wrong")
		}
		try("the right password past the limit", "noor.haddad", passphrase)

		for _, e := range r.strays {
			if e.At.IsZero() || e.Kind != audit.SessionRefused || e.Subject != "" {
				t.Errorf("stray event %+v", e)
			}
		}
		if len(r.strays) == 0 || r.events(audit.SessionRefused) == 0 {
			t.Errorf("%d strays and %d events of refusals, want some of each", len(r.strays), r.events(audit.SessionRefused))
		}
	})
}

func TestAnOverlongPasswordIsRefusedAlikeBeforeAnythingIsLookedUp(t *testing.T) {
	each(t, func(t *testing.T, r *house) {
		before := r.hasher.Runs()
		for _, user := range []string{"noor.haddad", "nobody"} {
			b := r.browser()
			b.get("/account")
			b.submit("/login/identify", "username", user)
			wantPage(t, b.submit("/login/password", "password", strings.Repeat("x", 5000)), http.StatusBadRequest, "4096", `type="password"`)
		}
		if r.hasher.Runs() != before {
			t.Error("an overlong password was hashed")
		}
	})
}

// settled.md, Throttling: source and global limits and a full queue are told before any account is looked up and cost no hash.
func TestLimitsOfTheSourceAnswerOnThePageWithoutAHash(t *testing.T) {
	few := func(c *Config) { c.SignIn.Limits.SourceBurst = 3 }
	each(t, func(t *testing.T, r *house) {
		b := r.browser()
		b.get("/account")
		b.submit("/login/identify", "username", "noor.haddad")
		for range 3 {
			b.submit("/login/password", "password", "wrong")
		}
		before := r.hasher.Runs()
		a := b.submit("/login/password", "password", passphrase)
		wantPage(t, a, http.StatusTooManyRequests, "Too many attempts", `type="password"`)
		if a.header.Get("Retry-After") == "" || r.hasher.Runs() != before {
			t.Errorf("Retry-After %q, %d hashes", a.header.Get("Retry-After"), r.hasher.Runs()-before)
		}
		other := r.browser()
		other.address = "198.51.100.9:1"
		other.signIn()
	}, few)
}

func TestAFullQueueAnswersOnThePageWithoutAHash(t *testing.T) {
	each(t, func(t *testing.T, r *house) {
		b := r.browser()
		b.get("/account")
		b.submit("/login/identify", "username", "noor.haddad")
		var leave []func()
		for range 8 {
			l, err := r.hasher.Enter(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			leave = append(leave, l)
		}
		before := r.hasher.Runs()
		wantPage(t, b.submit("/login/password", "password", passphrase), http.StatusServiceUnavailable, "busy", `type="password"`)
		if r.hasher.Runs() != before {
			t.Error("a hash was computed")
		}
		for _, l := range leave {
			l()
		}
		wantPage(t, b.submit("/login/password", "password", passphrase), 200, "Hello, Noor Haddad")
	})
}

// settled.md, Pages: the GET of a step that is not f.Next() answers 303 to that step.
func TestThePageOfAnyOtherStepSendsToTheOneTheFlowStandsAt(t *testing.T) {
	each(t, func(t *testing.T, r *house) {
		b := r.browser()
		b.get(r.authorize())
		flow := b.form("/login/identify").Get("flow")
		at := func(step string) {
			t.Helper()
			for _, path := range []string{"/login", "/login/password", "/login/consent", "/login/identify"} {
				a := b.do("GET", path+"?flow="+flow, nil)
				switch {
				case path == step && a.status != http.StatusOK:
					t.Errorf("%s at %s: %d to %q", path, step, a.status, a.to())
				case path != step && (a.status != http.StatusSeeOther || a.to() != step+"?flow="+flow):
					t.Errorf("%s at %s: %d to %q, want 303 there", path, step, a.status, a.to())
				}
			}
		}
		at("/login")
		for _, early := range []string{"/login/password", "/login/consent"} {
			if a := b.do("POST", early, url.Values{"flow": {flow}, "password": {passphrase}, "scope": {"openid"}}); a.status != http.StatusSeeOther {
				t.Errorf("%s before its turn: %d", early, a.status)
			}
		}
		at("/login")
		b.do("POST", "/login/identify", url.Values{"flow": {flow}, "username": {"noor.haddad"}})
		at("/login/password")
		b.do("POST", "/login/consent", url.Values{"flow": {flow}, "scope": {"openid"}})
		at("/login/password")
		b.do("POST", "/login/password", url.Values{"flow": {flow}, "password": {passphrase}})
		at("/login/consent")
		b.do("POST", "/login/password", url.Values{"flow": {flow}, "password": {passphrase}})
		at("/login/consent")
	})
}

// sec-R02: a flow opens only in the browser that began it.
func TestAFlowOfAnotherBrowserIsOver(t *testing.T) {
	each(t, func(t *testing.T, r *house) {
		attacker, victim := r.browser(), r.browser()
		attacker.get(r.authorize())
		flow := attacker.form("/login/identify").Get("flow")
		victim.get("/account")
		victim.submit("/login/identify", "username", "noor.haddad") // has a browser cookie of its own
		for _, b := range []*browser{victim, r.browser()} {
			for _, path := range []string{"/login", "/login/password", "/login/consent"} {
				wantPage(t, b.do("GET", path+"?flow="+flow, nil), http.StatusGone, "This sign-in is over")
			}
			for _, path := range []string{"/login/identify", "/login/password", "/login/consent", "/login/restart", "/login/cancel"} {
				wantPage(t, b.do("POST", path, url.Values{"flow": {flow}, "username": {"noor.haddad"}, "password": {passphrase}}), http.StatusGone, "This sign-in is over")
			}
		}
		r.move(time.Hour)
		wantPage(t, attacker.do("GET", "/login?flow="+flow, nil), http.StatusGone, "This sign-in is over")
	})
}

// sec-R01 (I20): every route that changes something, as the table lists them.
func TestFormsFromElsewhereChangeNothing(t *testing.T) {
	each(t, func(t *testing.T, r *house) {
		b := r.browser().signIn()
		b.cookies["__Host-setup"] = "cst_x"
		posts := 0
		for _, route := range r.s.Routes() {
			method, path, ok := strings.Cut(route.Pattern, " ")
			if !ok || method != "POST" {
				continue
			}
			posts++
			if route.CSRF != "origin" {
				t.Errorf("%s is not kept from other sites", route.Pattern)
			}
			form := url.Values{"username": {"noor.haddad"}, "password": {passphrase}, "current": {passphrase}, "client": {"aurora"}}
			for name, change := range map[string]func(*http.Request){
				"a browser that says cross-site": func(q *http.Request) { q.Header.Set("Sec-Fetch-Site", "cross-site") },
				"a browser that says same-site":  func(q *http.Request) { q.Header.Set("Sec-Fetch-Site", "same-site") },
				"an older browser":               func(q *http.Request) { q.Header.Del("Sec-Fetch-Site"); q.Header.Set("Origin", "https://evil.example") },
				"a sandboxed frame":              func(q *http.Request) { q.Header.Del("Sec-Fetch-Site"); q.Header.Set("Origin", "null") },
			} {
				if a := b.do("POST", path, form, change); a.status != http.StatusForbidden || a.header.Get("Set-Cookie") != "" {
					t.Errorf("%s from %s: %d", path, name, a.status)
				}
			}
			for _, kind := range []string{"text/plain", "application/json", "multipart/form-data; boundary=x", ""} {
				if a := b.do("POST", path, form, func(q *http.Request) { q.Header.Set("Content-Type", kind) }); a.status != http.StatusBadRequest && a.status != http.StatusNotFound {
					t.Errorf("%s as %q: %d, want 400", path, kind, a.status)
				}
			}
			if a := b.do("GET", path+"?"+form.Encode()+"&_method=POST", nil); a.status >= 500 || a.header.Get("Set-Cookie") != "" {
				t.Errorf("GET %s: %d", path, a.status)
			}
		}
		if posts < 10 {
			t.Errorf("the table lists %d forms", posts)
		}
		wantPage(t, b.get("/account"), 200, "Hello, Noor Haddad") // still signed in
	})
}

func TestTheRouteTableIsClosed(t *testing.T) {
	t.Parallel()
	for _, route := range (&Server{}).Routes() {
		if p := route.Permission; p != "open" && p != "flow" && p != "session" {
			t.Errorf("%s has the permission %q", route.Pattern, p)
		}
		if !strings.HasPrefix(route.Pattern, "POST ") && route.CSRF != "safe" || strings.HasPrefix(route.Pattern, "POST ") && route.CSRF != "origin" {
			t.Errorf("%s has the mode %q", route.Pattern, route.CSRF)
		}
	}
}

// sec-R03, sec-R05: every page of every route, errors too.
func TestEveryAnswerCarriesItsHeaders(t *testing.T) {
	each(t, func(t *testing.T, r *house) {
		for _, b := range []*browser{r.browser(), r.browser().signIn()} {
			for _, route := range append(r.s.Routes(), Route{Pattern: "GET /nothing/here"}) {
				_, path, _ := strings.Cut(strings.ReplaceAll(route.Pattern, "{$}", ""), " ")
				a := b.do("GET", strings.ReplaceAll(path, "{name}", "none.css"), nil)
				policy := a.header.Get("Content-Security-Policy")
				if !strings.Contains(policy, "frame-ancestors 'none'") || !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") {
					t.Errorf("%s: policy %q", path, policy)
				}
				for header, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "X-Frame-Options": "DENY"} {
					if got := a.header.Get(header); got != want {
						t.Errorf("%s: %s %q, want %q", path, header, got, want)
					}
				}
				if !strings.Contains(a.header.Get("Strict-Transport-Security"), "max-age=") {
					t.Errorf("%s: no HSTS under an https issuer", path)
				}
			}
		}
	})
}

func TestWhoCancelsIsSentBackWithARefusal(t *testing.T) {
	each(t, func(t *testing.T, r *house) {
		b := r.browser()
		b.get(r.authorize())
		b.submit("/login/cancel")
		if q := b.handedTo().Query(); q.Get("error") != "access_denied" || q.Get("state") != "st4te" {
			t.Errorf("cancelled at the first page: %v", q)
		}

		b.get(r.authorize())
		b.submit("/login/identify", "username", "noor.haddad")
		b.submit("/login/password", "password", passphrase)
		form := b.form("/login/consent")
		b.do("POST", "/login/cancel", form) // the button of the consent form
		if q := b.handedTo().Query(); q.Get("error") != "access_denied" {
			t.Errorf("cancelled at consent: %v", q)
		}
		wantPage(t, b.do("POST", "/login/consent", form), http.StatusGone)
		if r.events(audit.ConsentRefused) != 1 {
			t.Errorf("%d events of refused consent, want 1", r.events(audit.ConsentRefused))
		}
	})
}

func TestOnlyTickedScopesAreAllowed(t *testing.T) {
	each(t, func(t *testing.T, r *house) {
		b := r.browser()
		b.get(r.authorize())
		b.submit("/login/identify", "username", "noor.haddad")
		b.submit("/login/password", "password", passphrase)
		form := b.form("/login/consent")
		foreign := url.Values{"flow": form["flow"], "scope": {"openid", "admin"}}
		if a := b.do("POST", "/login/consent", foreign); a.status != http.StatusUnprocessableEntity {
			t.Errorf("a scope that was not asked for: %d", a.status)
		}
		b.do("POST", "/login/consent", url.Values{"flow": form["flow"], "scope": {"email"}})
		b.handedTo()
		b.get("/account/apps")
		wantPage(t, b.last, 200, "Aurora Finance", "Know who you are", "See your email address")
		if strings.Contains(b.last.body, "See your profile") || strings.Contains(b.last.body, "Keep access") {
			t.Error("more was allowed than was ticked")
		}
		b.submit("/account/apps/withdraw")
		wantPage(t, b.last, 200, "Access removed", "No applications yet")
		wantPage(t, b.get("/account/apps"), 200, "No applications yet")
		if strings.Contains(b.last.body, "Access removed") {
			t.Error("the flash is shown twice")
		}
		if r.events(audit.ConsentWithdrawn) != 1 {
			t.Error("no event of the withdrawal")
		}
	})
}

func TestSomebodyElseAtTheBrowserStartsAgain(t *testing.T) {
	each(t, func(t *testing.T, r *house) {
		b := r.browser()
		b.get(r.authorize())
		b.submit("/login/identify", "username", "somebody.else")
		wantPage(t, b.submit("/login/restart"), 200, "Username or email", "Aurora Finance")
		b.submit("/login/identify", "username", "noor.haddad")
		b.submit("/login/password", "password", passphrase)
		wantPage(t, b.submit("/login/restart"), 200, "Username or email") // from the consent page: what was proved is forgotten
		r.account("second.person", passphrase)
		b.submit("/login/identify", "username", "second.person")
		wantPage(t, b.submit("/login/password", "password", passphrase), 200, "second.person@northwind.example")
	})
}

func TestAskingForHeadersIssuesNoCode(t *testing.T) {
	each(t, func(t *testing.T, r *house) {
		b := r.browser()
		b.get(r.authorize())
		b.submit("/login/identify", "username", "noor.haddad")
		flow := b.form("/login/password").Get("flow")
		r.update(func(tx *store.Tx) error { // a proof whose finish was lost, as when the server stopped between the two
			f, err := tx.Flow(t.Context(), auth.FlowID(flow), web.Hash(b.cookies["__Host-browser"]))
			if err != nil {
				return err
			}
			f.Account, f.AuthTime, f.ACR, f.AMR = r.noor.ID, tx.Now(), "aal1", []string{"pwd"}
			f.Proofs = []auth.Proof{{Way: auth.ByPassword, At: tx.Now()}}
			if _, err := tx.UpdateFlow(t.Context(), f); err != nil {
				return err
			}
			return tx.PutConsent(t.Context(), auth.Consent{Account: r.noor.ID, Client: r.app.ID, Scopes: r.app.Scopes, GivenAt: tx.Now(), UpdatedAt: tx.Now()})
		})
		if a := b.do("HEAD", "/login?flow="+flow, nil); a.status != http.StatusNoContent || r.events(audit.GrantStarted) != 0 {
			t.Errorf("HEAD: %d, %d codes", a.status, r.events(audit.GrantStarted))
		}
		if a := b.do("GET", "/login?flow="+flow, nil); a.status != http.StatusSeeOther || !strings.Contains(a.to(), "code=") {
			t.Errorf("GET: %d to %q, want the code", a.status, a.to())
		}
	})
}

// OpenID Connect Core §3.1.2.1: ui_locales.
func TestPagesSpeakTheApplicationsLanguageUnlessTheReaderChose(t *testing.T) {
	each(t, func(t *testing.T, r *house) {
		b := r.browser()
		b.lang = "en"
		wantPage(t, b.get(r.authorize("ui_locales", "zh-CN")), 200, `lang="zh-Hans"`, "以继续访问 Aurora Finance")
		b.submit("/login/identify", "username", "noor.haddad")
		wantPage(t, b.submit("/login/password", "password", "wrong"), http.StatusUnauthorized, "用户名与密码不匹配", "错误：")
		b.get("/preferences?lang=en&back=" + url.QueryEscape("/login/password?flow="+b.form("/login/restart").Get("flow")))
		wantPage(t, b.last, 200, `lang="en"`, "Enter your password")
	})
}

func TestUnreadableNamesAreRefusedAtTheField(t *testing.T) {
	each(t, func(t *testing.T, r *house) {
		for _, open := range []string{"/account", r.authorize()} {
			for _, name := range []string{"", "  ", "a b", "a\x00b", "\u202eevil", strings.Repeat("x", 400), "\xff\xfe"} {
				b := r.browser()
				b.get(open)
				wantPage(t, b.submit("/login/identify", "username", name), http.StatusUnprocessableEntity, `id="username-error"`)
			}
		}
		b := r.browser()
		b.get("/account")
		if a := b.do("POST", "/login/identify", url.Values{"username": {"a", "b"}}); a.status != http.StatusBadRequest {
			t.Errorf("a name given twice: %d", a.status)
		}
		if a := b.do("POST", "/login/identify", url.Values{"username": {strings.Repeat("x", 100_000)}}); a.status != http.StatusBadRequest {
			t.Errorf("an oversized form: %d", a.status)
		}
	})
}

func TestBeginningSignInsIsBounded(t *testing.T) {
	each(t, func(t *testing.T, r *house) {
		b := r.browser()
		b.get("/account")
		form := b.form("/login/identify")
		form.Set("username", "noor.haddad")
		for i := range 101 {
			a := b.do("POST", "/login/identify", form)
			if want := map[bool]int{true: http.StatusSeeOther, false: http.StatusTooManyRequests}[i < 100]; a.status != want {
				t.Errorf("sign-in %d: %d, want %d", i+1, a.status, want)
			}
		}
	})
}
