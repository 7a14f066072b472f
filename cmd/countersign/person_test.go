package main

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"
)

// person is somebody with a browser that runs no scripts: they follow links and fill in forms, as the pages give them.
type person struct {
	t    testing.TB
	http *http.Client
	name string
}

// newPerson returns somebody whose browser knows nothing yet. Addresses of applications are not fetched: they end a journey.
func newPerson(t testing.TB, name string) *person {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &person{t: t, name: name, http: &http.Client{
		Jar: jar, Timeout: 30 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// signsIn goes where an application sends them and does what the pages ask until the browser is sent back to an address
// that begins with callback. It returns that address.
func (p *person) signsIn(authorize, callback string) *url.URL {
	p.t.Helper()
	at, body := p.get(authorize)
	for range 12 {
		if strings.HasPrefix(at, callback) {
			u, err := url.Parse(at)
			if err != nil {
				p.t.Fatal(err)
			}
			return u
		}
		form, link := p.read(at, body)
		switch {
		case link != "" && strings.HasPrefix(link, callback): // the hand-off page
			at = link
		case form == nil:
			p.t.Fatalf("%s shows neither a form nor a way back:\n%s", at, tail(body, 3000))
		default:
			at, body = p.post(form)
		}
	}
	p.t.Fatalf("the sign-in does not end; it stands at %s:\n%s", at, tail(body, 3000))
	return nil
}

// get fetches a page, following redirects within the provider. It returns where it ended.
func (p *person) get(address string) (at, body string) {
	p.t.Helper()
	req, err := http.NewRequest(http.MethodGet, address, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	return p.do(req)
}

func (p *person) do(req *http.Request) (at, body string) {
	p.t.Helper()
	home := req.URL.Host
	for range 12 {
		if req.URL.Host != home {
			return req.URL.String(), ""
		}
		resp, err := p.http.Do(req)
		if err != nil {
			p.t.Fatal(err)
		}
		b, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			p.t.Fatal(err)
		}
		if resp.StatusCode >= 500 && resp.StatusCode != http.StatusServiceUnavailable {
			p.t.Fatalf("%s answered %d: %s", req.URL, resp.StatusCode, b)
		}
		if resp.StatusCode != http.StatusSeeOther && resp.StatusCode != http.StatusFound {
			return req.URL.String(), string(b)
		}
		next, err := req.URL.Parse(resp.Header.Get("Location"))
		if err != nil {
			p.t.Fatal(err)
		}
		if req, err = http.NewRequest(http.MethodGet, next.String(), nil); err != nil {
			p.t.Fatal(err)
		}
	}
	p.t.Fatal("redirected without end")
	return "", ""
}

// form is a form as the person filled it in.
type form struct {
	action string
	fields url.Values
}

func (p *person) post(f *form) (at, body string) {
	p.t.Helper()
	req, err := http.NewRequest(http.MethodPost, f.action, strings.NewReader(f.fields.Encode()))
	if err != nil {
		p.t.Fatal(err)
	}
	u := req.URL
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Origin", u.Scheme+"://"+u.Host)
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	return p.do(req)
}

// read finds the form a person would use on a page, filled in with their name and password, and the Continue link if there is one.
func (p *person) read(at, body string) (*form, string) {
	p.t.Helper()
	doc, err := html.Parse(strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	base, err := url.Parse(at)
	if err != nil {
		p.t.Fatal(err)
	}
	var best *form
	var link string
	var walk func(n *html.Node)
	walk = func(n *html.Node) {
		if n.Type == html.ElementNode && n.Data == "a" && attr(n, "id") == "continue" {
			link = attr(n, "href")
		}
		if n.Type == html.ElementNode && n.Data == "form" && attr(n, "method") == "post" {
			action, err := base.Parse(attr(n, "action"))
			if err == nil && best == nil && wanted(action.Path) {
				best = &form{action: action.String(), fields: url.Values{}}
				p.fill(n, best.fields)
			}
		}
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			walk(c)
		}
	}
	walk(doc)
	return best, link
}

// wanted picks the forms that lead on, not those that lead back.
func wanted(path string) bool {
	switch path {
	case "/login/identify", "/login/password", "/login/consent", "/oauth2/logout":
		return true
	}
	return false
}

func (p *person) fill(n *html.Node, fields url.Values) {
	if n.Type == html.ElementNode && n.Data == "input" {
		name, value := attr(n, "name"), attr(n, "value")
		switch {
		case name == "":
		case name == "username" && attr(n, "type") == "text" && value == "":
			fields.Set(name, p.name)
		case name == "password":
			fields.Set(name, testPassword)
		default: // checkboxes too: this person allows everything
			fields.Add(name, value)
		}
	}
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		p.fill(c, fields)
	}
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}
