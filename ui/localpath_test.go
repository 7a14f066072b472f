package ui

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// sec-R09: what a request says to go back to is a path of ours or nothing.
func TestOnlyLocalPathsAreFollowed(t *testing.T) {
	t.Parallel()
	for _, s := range []string{
		"", " ", "account", "account/home", "//", "//?x", "//evil.example", "///evil.example", "////evil.example", `/\evil.example`, `\\evil.example`, `/\/evil.example`, `\/evil.example`,
		"/\t/evil.example", "/\n/evil.example", "/\r\nSet-Cookie: a=b", "/%09/evil.example", "/%0a/evil.example", "/%0d%0aLocation:%20https://evil.example", "/%2f/evil.example",
		"/%2f%2fevil.example", "/%5cevil.example", "/%5c%5cevil.example", "/%252f%252fevil.example", "https://evil.example", "http:evil.example", "https:/evil.example", "https:evil.example",
		"HTTPS://evil.example", "javascript:alert(1)", "/javascript:alert(1)\x00", "data:text/html,x", "//evil.example/%2e%2e", "/..//evil.example", "/../evil", "/./x", "/a//b", "/a/../../b", "/%2e%2e/x",
		"/ evil", "/\u2028evil", "/\u3002evil.example", "/%E3%80%82", "/a#https://evil.example", "/%zz", "/@evil.example\\", "/?\"><script>", "/\x7f", "//user@evil.example", "/\ufeff", "?back=//evil.example", "#x", ".evil.example", "/" + strings.Repeat("a", 3000),
		"/;@evil.example//x", "/%00", "/a\\b",
	} {
		if got := localPath(s, "/safe"); got != "/safe" {
			t.Errorf("localPath(%q) = %q, want it refused", s, got)
		}
	}
	for _, s := range []string{"/", "/account", "/account/", "/login?flow=018f-7a", "/login?flow=a&x=%20b", "/account/apps?q=a/b", "/a:b/@c"} {
		if got := localPath(s, "/safe"); got != s {
			t.Errorf("localPath(%q) = %q, want it kept", s, got)
		}
	}
}

func FuzzLocalPath(f *testing.F) {
	for _, s := range []string{"/", "//a", "/%2f", `/\a`, "/a?b=c", "/\t/a", "//"} {
		f.Add(s)
	}
	base, _ := url.Parse("https://id.northwind.example/login")
	f.Fuzz(func(t *testing.T, s string) {
		got := localPath(s, "")
		if got == "" {
			return
		}
		u, err := base.Parse(got)
		if err != nil || u.Host != base.Host || u.Scheme != "https" || strings.ContainsAny(got, "\\\r\n\t\x00") || strings.HasPrefix(got, "//") {
			t.Errorf("localPath(%q) = %q leads to %v, %v", s, got, u, err)
		}
	})
}

func TestPreferencesAreKeptAndNothingElse(t *testing.T) {
	t.Parallel()
	p := testPages(t)
	for _, tt := range []struct {
		name, query, cookies, to string
	}{
		{"a language", "lang=zh-Hans&back=/login?flow=1", "lang=zh-Hans", "/login?flow=1"},
		{"a theme", "theme=dark&back=/account", "theme=dark", "/account"},
		{"a language we have not", "lang=xx&back=/account", "", "/account"},
		{"a theme that breaks the attribute", "theme=dark%22%3E", "", "/account"},
		{"back to another site", "theme=light&back=//evil.example", "theme=light", "/account"},
		{"a header in the path", "back=/a%0d%0aSet-Cookie:%20x=y", "", "/account"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := httptest.NewRecorder()
			if err := p.getPreferences(w, httptest.NewRequest("GET", "/preferences?"+tt.query, nil)); err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, c := range w.Result().Cookies() {
				got = append(got, c.Name+"="+c.Value)
				if !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode {
					t.Errorf("cookie %v lacks an attribute", c)
				}
			}
			if w.Code != http.StatusSeeOther || strings.Join(got, " ") != tt.cookies || w.Header().Get("Location") != tt.to {
				t.Errorf("got %d, cookies %q, to %q; want 303, %q, %q", w.Code, got, w.Header().Get("Location"), tt.cookies, tt.to)
			}
		})
	}
}
