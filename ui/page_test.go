package ui

import (
	"html/template"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jba/templatecheck"

	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/internal/fault"
)

// sheet is a page with values to draw it from.
type sheet struct {
	file   string
	shell  shell
	view   any                                                             // the type of dot, for templatecheck
	draw   func(t *testing.T, f frame, values string) (int, string, error) // values: zero, typical, hostile
	values []string
}

func sheetOf[T any](p Page[T], typical, hostile T) sheet {
	return sheet{file: p.file, shell: p.shell, view: view[T]{}, values: []string{"zero", "typical", "hostile"},
		draw: func(t *testing.T, f frame, values string) (int, string, error) {
			t.Helper()
			var data T
			switch values {
			case "typical":
				data = typical
			case "hostile":
				data = hostile
			}
			w := httptest.NewRecorder()
			err := p.draw(w, f, http.StatusOK, data)
			return w.Code, w.Body.String(), err
		}}
}

// evil is what an application or a person may call themselves: markup, a text that turns direction, four kilobytes.
var evil = `"'><img src=x onerror=alert(1)></script>{{.}}` + "\u202eevil\u2066" + strings.Repeat("x", 4096)

// attribute is where a value may stand as it is: in what a form sends back, in addresses.
var attribute = regexp.MustCompile(`(name|value|id|for|href|action|content|class|popovertarget)="[^"]*"`)

const aurora = "https://aurora.northwind.example/cb"

// sheets are all pages; to is where those lead that lead away.
func sheets(to string) []sheet {
	day := time.Date(2026, 11, 22, 15, 4, 0, 0, time.UTC)
	app := App{Name: "Aurora Finance", Host: "aurora.northwind.example", Privacy: "https://aurora.northwind.example/privacy", Terms: "https://aurora.northwind.example/terms"}
	bad := App{Name: evil, Host: evil, Privacy: "javascript:alert(1)//" + evil, Terms: "data:text/html," + evil}
	return []sheet{
		sheetOf(identifyPage, identifyData{Flow: "018f", App: app, Username: "noor.haddad", Passkeys: true}, identifyData{evil, evil, bad, evil, true, true}),
		sheetOf(passwordPage, passwordData{"018f", "noor.haddad", true}, passwordData{evil, evil, true}),
		sheetOf(consentPage, consentData{"018f", app, []scopeLine{
			{"openid", "id-card", "Know who you are", "An identifier that is yours alone", true, true},
			{"profile", "user-round", "See your profile", "Noor Haddad, noor.haddad", false, true},
			{"email", "mail", "See your email address", "noor.haddad@example.com", false, true},
			{"offline_access", "clock", "Keep access while you are away", "You can withdraw it in your account at any time", false, false},
		}}, consentData{evil, bad, []scopeLine{{evil, "clock", evil, evil, true, true}, {evil, "clock", evil, evil, false, false}}}),
		sheetOf(handOffPage, handOffData{app, address(to + "?code=abc&state=x")}, handOffData{bad, "https://e.example/'\"><img onerror=alert(1)>"}),
		sheetOf(formPostPage, formPostData{app, to, []field{{"code", "abc"}}}, formPostData{bad, "javascript:alert(1)", []field{{evil, evil}}}),
		sheetOf(logoutPage, logoutData{app, "/oauth2/logout/confirm", []field{{"id", "1"}}}, logoutData{bad, "javascript:alert(1)", []field{{evil, evil}}}),
		sheetOf(signedOutPage, signedOutData{app, "https://aurora.northwind.example/"}, signedOutData{bad, "https://e.example/\"><img onerror=alert(1)>"}),
		sheetOf(faultPage, faultData{"Not found", "There is no such page.", "no-such-page", "search-x", "neutral", 90, "/account"}, faultData{evil, evil, evil, "lock", evil, 1, "javascript:alert(1)"}),
		sheetOf(againPage, struct{}{}, struct{}{}),
		sheetOf(setupPage, setupData{"ingrid", "Ingrid Solberg", "ingrid@example.com", 15}, setupData{evil, evil, evil, -1}),
		sheetOf(secondPage, secondData{"018f", auth.ByCode, []auth.Way{auth.ByPasskey, auth.ByRecovery}, "noor.haddad", app, 30, false, false},
			secondData{evil, auth.ByRecovery, []auth.Way{auth.ByPasskey, auth.Way(evil)}, evil, bad, 1, true, true}),
		sheetOf(enrolPage, enrolData{"018f", app, true, true, day, true}, enrolData{evil, bad, true, false, day, true}),
		sheetOf(enrolCodePage, codeData{"018f", "/login/enrol/totp", "/login/enrol", secretText, qrOf(secretText)}, codeData{evil, "javascript:alert(1)", "javascript:alert(1)", "x", ""}),
		sheetOf(reauthPage, reauthData{"/account/passkeys/new"}, reauthData{evil}),
		sheetOf(newKeyPage, newKeyData{}, newKeyData{}),
		sheetOf(newCodePage, codeData{"", "/account/totp/new", "/account/security", secretText, qrOf(secretText)}, codeData{"", "javascript:alert(1)", "javascript:alert(1)", "x", ""}),
		sheetOf(recoveryPage, recoveryData{10, someCodes, strings.Join(someCodes, "\n")}, recoveryData{1, nil, ""}),
		sheetOf(securityPage, securityData{
			Strength: "good", Next: "second-passkey", Passkeys: true, Code: day, CodeUsed: day, Codes: 10, CodesAt: day, Password: day, Needs: []string{"aal2"},
			Keys:     []keyLine{{"1", "MacBook Pro", "Apple Passwords", true, day, day, false}, {"2", "YubiKey 5", "", false, day, time.Time{}, true}},
			Browsers: []browserLine{{"1", "Firefox on Linux", "monitor", "192.0.2.7", day, day, day}},
			Signals:  signals{"id.northwind.example", "aGFuZGxl", "noor.haddad", "Noor Haddad", `["YQ"]`},
		}, securityData{
			Strength: evil, Next: evil, Keys: []keyLine{{evil, evil, "", false, day, day, true}, {evil, evil, "", true, day, day, false}}, Closed: true, Code: day,
			Browsers: []browserLine{{evil, evil, "laptop", evil, day, day, day}}, Signals: signals{"id.northwind.example", "x", evil, evil, "[]"},
		}),
		sheetOf(homePage, homeData{true, day, day, 2, 1}, homeData{}),
		sheetOf(newPasswordPage, newPasswordData{15}, newPasswordData{1}),
		sheetOf(sessionsPage, sessionsData{[]sessionLine{
			{"1", "Firefox on Linux", "monitor", "192.0.2.7", day, day, true}, {"2", "Safari on iPhone", "smartphone", "198.51.100.9", day, day, false}, {"3", "Chrome on Windows", "laptop", "", day, day, false},
		}}, sessionsData{[]sessionLine{{evil, evil, "laptop", evil, day, day, false}, {evil, evil, "laptop", evil, day, day, true}}}),
		sheetOf(appsPage, appsData{[]appLine{{"aurora", "Aurora Finance", []string{"Know who you are", "See your email address", "Keep access while you are away"}, day}, {"ledger", "Ledger", []string{"Know who you are"}, day}}},
			appsData{[]appLine{{evil, evil, []string{evil, evil}, day}}}),
	}
}

const secretText = "JBSW Y3DP EHPK 3PXP QR5T W2LM MFRG GZDF"

var someCodes = []string{"0123-4567-89AB-CDEF", "GHJK-MNPQ-RSTV-WXYZ", "A1B2-C3D4-E5F6-G7H8"}

// qrOf is a code to look at.
func qrOf(text string) template.HTML {
	picture, err := qrCode("otpauth://totp/Northwind:noor?secret=" + text)
	if err != nil {
		panic(err)
	}
	return picture
}

// frameFor is a frame with everything set that may come from outside.
func frameFor(t *testing.T, lang, values string) frame {
	t.Helper()
	f := frame{Site: Site{Organisation: "Northwind Group", Host: "id.northwind.example"}, locale: locales()[lang], Theme: "auto"}
	switch values {
	case "typical":
		f.Back, f.RequestID, f.Demo = "/login?flow=018f", "Zm9vYmFyYmF6cXV4", true
		f.Person = Person{"Noor Haddad", "noor.haddad", "noor.haddad@example.com"}
		f.Privacy, f.Terms, f.Support = "https://northwind.example/privacy", "https://northwind.example/terms", "mailto:help@northwind.example"
	case "hostile":
		f.Organisation, f.Host, f.RequestID, f.Back = evil, evil, evil, "/login?flow=%22%3E"
		f.Person = Person{evil, evil, evil}
		f = f.redraw(&fault.Error{Kind: fault.Invalid, Code: "nobody-knows-this-code", Text: evil})
	}
	return f
}

func TestEveryTemplateHasAPageAndEveryPageFitsItsType(t *testing.T) {
	t.Parallel()
	var files []string
	err := fs.WalkDir(templateFiles, "templates", func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && !strings.HasPrefix(d.Name(), "_") {
			files = append(files, strings.TrimPrefix(path, "templates/"))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	var drawn []string
	for _, s := range sheets(aurora) {
		drawn = append(drawn, s.file)
		t.Run(s.file, func(t *testing.T) {
			if err := templatecheck.CheckHTML(parsePage(s.file).Lookup(string(s.shell)), s.view); err != nil {
				t.Errorf("%s does not fit %v: %v", s.file, reflect.TypeOf(s.view), err)
			}
		})
	}
	slices.Sort(drawn)
	slices.Sort(files)
	if !slices.Equal(drawn, files) {
		t.Errorf("pages drawn in tests %q, files %q", drawn, files)
	}
}

// sec-R07: what applications and people call themselves is shown as text, wherever it stands.
func TestEveryPageDrawsFromEveryKindOfValue(t *testing.T) {
	t.Parallel()
	for _, s := range sheets(aurora) {
		for _, lang := range languages {
			for _, values := range s.values {
				t.Run(s.file+" "+lang+" "+values, func(t *testing.T) {
					status, body, err := s.draw(t, frameFor(t, lang, values), values)
					if err != nil || status != http.StatusOK {
						t.Fatalf("draw = %d, %v", status, err)
					}
					for _, not := range []string{"<img src=x", "onerror=alert(1)>", `href="javascript:`, `action="javascript:`, "url=javascript:", `href="data:`, "<script>", "style=", "onclick=", "⟦", "ZgotmplZ\""} {
						if at := strings.Index(body, not); at >= 0 && !(not == "ZgotmplZ\"" && values == "hostile") {
							t.Errorf("page holds %q: …%s…", not, body[max(0, at-80):min(len(body), at+80)])
						}
					}
					shown := attribute.ReplaceAllString(body, "")
					if at := strings.IndexAny(shown, "\u202e\u2066"); at >= 0 {
						t.Errorf("a name turns the text after it: …%s…", shown[max(0, at-80):at])
					}
					if n := strings.Count(body, "<h1"); n != 1 {
						t.Errorf("got %d first headings, want 1", n)
					}
					if !strings.Contains(body, `<html lang="`+lang+`"`) {
						t.Errorf("page does not say its language")
					}
					demo := strings.Contains(body, `class="demo"`)
					if demo != (values == "typical") {
						t.Errorf("demonstration banner shown = %v with %s values", demo, values)
					}
				})
			}
		}
	}
}

func TestFormsCarryTheNamesPasswordManagersKnow(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		file string
		want []string
	}{
		{"signin/identify.html", []string{`name="username" type="text"`, `autocomplete="username webauthn"`}},
		{"signin/password.html", []string{`name="username" value="noor.haddad" autocomplete="username" readonly`, `name="password" type="password" autocomplete="current-password"`}},
		{"signin/setup.html", []string{`autocomplete="username"`, `autocomplete="name"`, `autocomplete="email"`, `name="password" type="password" autocomplete="new-password"`}},
		{"account/password.html", []string{`name="username" value="noor.haddad" autocomplete="username" readonly`, `name="current" type="password" autocomplete="current-password"`, `name="password" type="password" autocomplete="new-password"`}},
	} {
		t.Run(tt.file, func(t *testing.T) {
			i := slices.IndexFunc(sheets(aurora), func(s sheet) bool { return s.file == tt.file })
			_, body, err := sheets(aurora)[i].draw(t, frameFor(t, "en", "typical"), "typical")
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range tt.want {
				if !strings.Contains(body, want) {
					t.Errorf("page lacks %s", want)
				}
			}
			if strings.Contains(body, "onpaste") {
				t.Error("pasting is hindered")
			}
		})
	}
}

func testPages(t *testing.T) *Pages {
	t.Helper()
	p, err := NewPages(Site{Organisation: "Northwind Group", Host: "id.northwind.example", HTTPS: true}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestEveryKindOfFaultHasAPage(t *testing.T) {
	t.Parallel()
	p := testPages(t)
	for _, kind := range fault.Kinds() {
		for _, lang := range languages {
			t.Run(kind.String()+" "+lang, func(t *testing.T) {
				w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "/somewhere", nil)
				r.AddCookie(&http.Cookie{Name: "lang", Value: lang})
				p.Fault(w, r, fault.New(kind, "some-code", ""))
				body := w.Body.String()
				if w.Code != kind.Status() {
					t.Errorf("status %d, want %d", w.Code, kind.Status())
				}
				if _, ok := faultKinds[kind]; !ok {
					t.Error("the kind has no icon")
				}
				if !strings.Contains(body, "some-code") || strings.Contains(body, "⟦") {
					t.Errorf("page lacks the code or a text: %s", body)
				}
			})
		}
	}
}

func TestACauseIsNeverShown(t *testing.T) {
	t.Parallel()
	w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil)
	testPages(t).Fault(w, r, fault.From(http.ErrAbortHandler))
	if strings.Contains(w.Body.String(), http.ErrAbortHandler.Error()) {
		t.Error("the page shows the cause of an internal fault")
	}
}

// sec-R03, sec-R05: the policy of every page.
func TestPagesCarryTheirPolicy(t *testing.T) {
	t.Parallel()
	p := testPages(t)
	r := httptest.NewRequest("POST", "/login/consent", nil)
	for _, tt := range []struct {
		name     string
		draw     func(w http.ResponseWriter) error
		form     string
		referrer string
	}{
		{"a page of ours posts to us alone", func(w http.ResponseWriter) error { return p.SignedOut(w, r, auth.Client{}, "") }, "form-action 'self';", "same-origin"},
		{"the way back tells no referrer", func(w http.ResponseWriter) error {
			return p.HandOff(w, r, auth.Client{}, "https://rp.example/cb?code=1")
		}, "form-action 'self';", "no-referrer"},
		{"form_post names the application's origin alone", func(w http.ResponseWriter) error {
			return p.FormPost(w, r, auth.Client{}, "https://rp.example:8443/cb?x=1", nil)
		}, "form-action https://rp.example:8443;", "no-referrer"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := httptest.NewRecorder()
			if err := tt.draw(w); err != nil {
				t.Fatal(err)
			}
			policy := w.Header().Get("Content-Security-Policy")
			for _, want := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'", "base-uri 'none'", "require-trusted-types-for 'script'", "trusted-types 'none'", tt.form} {
				if !strings.Contains(policy, want) {
					t.Errorf("policy %q lacks %q", policy, want)
				}
			}
			if strings.Contains(policy, "unsafe") {
				t.Errorf("policy %q is unsafe", policy)
			}
			if got := w.Header().Get("Referrer-Policy"); got != tt.referrer {
				t.Errorf("Referrer-Policy %q, want %q", got, tt.referrer)
			}
		})
	}
}

func TestOnlyAddressesABrowserMayFollowAreHandedOut(t *testing.T) {
	t.Parallel()
	p := testPages(t)
	r := httptest.NewRequest("POST", "/", nil)
	for to, want := range map[string]bool{
		"https://rp.example/cb?code=1&state=a%20b": true, "http://127.0.0.1:49152/cb": true, "com.example.app:/cb?code=1": true,
		"javascript:alert(1)": false, "JavaScript:alert(1)": false, "data:text/html,x": false, "vbscript:x": false, "file:///etc/passwd": false,
		"blob:https://rp.example/1": false, "//rp.example/cb": false, "/cb": false, "": false, "https:": false, "https://rp.example/a b": false, "https://rp.example/\n": false,
	} {
		w := httptest.NewRecorder()
		if err := p.HandOff(w, r, auth.Client{Name: "A"}, to); (err == nil) != want {
			t.Errorf("HandOff(%q) = %v, want allowed %v", to, err, want)
		}
		if want && !strings.Contains(w.Body.String(), `content="0;url=`+template.HTMLEscapeString(to)+`"`) {
			t.Errorf("page for %q does not refresh to it: %s", to, w.Body)
		}
	}
	for _, to := range []string{"com.example.app:/cb", "https://rp.example;script-src * /", "https://rp.example'unsafe'/", "javascript:1", ""} {
		if err := p.FormPost(httptest.NewRecorder(), r, auth.Client{}, to, nil); err == nil {
			t.Errorf("FormPost(%q) drew a form", to)
		}
	}
}

func TestAnAccountPageIsCutOffFromItsOpenerAndASignInPageIsNot(t *testing.T) {
	t.Parallel()
	f := frameFor(t, "en", "typical")
	w := httptest.NewRecorder()
	if err := homePage.draw(w, f, 200, homeData{}); err != nil || w.Header().Get("Cross-Origin-Opener-Policy") != "same-origin" {
		t.Errorf("account page: opener policy %q, %v", w.Header().Get("Cross-Origin-Opener-Policy"), err)
	}
	w = httptest.NewRecorder()
	if err := identifyPage.draw(w, f, 200, identifyData{}); err != nil || w.Header().Get("Cross-Origin-Opener-Policy") != "" {
		t.Errorf("sign-in page: opener policy %q, %v", w.Header().Get("Cross-Origin-Opener-Policy"), err)
	}
}
