package ui

import (
	"errors"
	"html/template"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/auth/oidc"
	"github.com/countersign-id/countersign/internal/fault"
	"github.com/countersign-id/countersign/internal/web"
)

var _ oidc.Pages = (*Pages)(nil)

// Pages draws every page of a deployment. Besides this package, auth/oidc draws with it what a protocol endpoint has to
// show to a person. Safe for concurrent use.
type Pages struct {
	site Site
	log  *slog.Logger
}

// NewPages returns the pages of a site.
func NewPages(site Site, log *slog.Logger) (*Pages, error) {
	if site.Host == "" || log == nil {
		return nil, errors.New("ui: pages need the issuer's host and a log")
	}
	if site.Organisation == "" {
		site.Organisation = "Countersign"
	}
	return &Pages{site: site, log: log}, nil
}

// frame is the surroundings of a page answering r.
func (p *Pages) frame(r *http.Request) frame {
	f := frame{Site: p.site, locale: choose(r, ""), Theme: "auto", RequestID: web.RequestID(r.Context())}
	if c, err := r.Cookie("theme"); err == nil && (c.Value == "light" || c.Value == "dark") {
		f.Theme = c.Value
	}
	// Every address that takes a form of ours answers GET too, so the menus can return to it.
	f.Back = localPath(r.URL.RequestURI(), "")
	return f
}

// in is f in the languages an application asked for, unless the reader chose one.
func (f frame) in(r *http.Request, uiLocales string) frame {
	f.locale = choose(r, uiLocales)
	return f
}

// still is f without the menus: for pages that one passes through or whose address must not be repeated.
func (f frame) still() frame {
	f.Back = ""
	return f
}

// field is one hidden field of a form.
type field struct{ Name, Value string }

// fields are the values of a form, in an order that does not change from one drawing to the next.
func fields(values url.Values) []field {
	var all []field
	for _, name := range slices.Sorted(maps.Keys(values)) {
		for _, v := range values[name] {
			all = append(all, field{name, v})
		}
	}
	return all
}

// address is an address that leaving allows, private-use schemes too, which a template would refuse.
type address = template.URL

type handOffData struct {
	App App
	To  address
}

type formPostData struct {
	App    App
	To     string
	Fields []field
}

var (
	handOffPage  = page[handOffData](signInShell, "signin/handoff.html")
	formPostPage = page[formPostData](signInShell, "signin/formpost.html")
)

var errLeaving = fault.New(fault.Internal, "internal", "Something went wrong on our side. Nothing was changed.")

// HandOff implements oidc.Pages. A redirect would be stopped by form-action 'self', so it is a page that refreshes at once
// and has a link. The address must have been validated against the application's registration.
func (p *Pages) HandOff(w http.ResponseWriter, r *http.Request, c auth.Client, to string) error {
	if !leaving(to) {
		return errLeaving.Because(errors.New("hand-off to an address that no page may open"))
	}
	f := p.frame(r).still()
	f.noReferrer = true
	return handOffPage.draw(w, f, http.StatusOK, handOffData{app(c), address(to)})
}

// FormPost implements oidc.Pages. The address must have been validated against the application's registration.
func (p *Pages) FormPost(w http.ResponseWriter, r *http.Request, c auth.Client, to string, params url.Values) error {
	f := p.frame(r).still()
	if f.formAction = origin(to); f.formAction == "" {
		return errLeaving.Because(errors.New("form_post to an address without an http origin"))
	}
	f.noReferrer = true
	return formPostPage.draw(w, f, http.StatusOK, formPostData{app(c), to, fields(params)})
}

type logoutData struct {
	App    App
	Action string
	Fields []field
}

type signedOutData struct {
	App App
	To  address
}

var (
	logoutPage    = page[logoutData](signInShell, "signin/logout.html")
	signedOutPage = page[signedOutData](signInShell, "signin/signedout.html")
)

// ConfirmLogout implements oidc.Pages.
func (p *Pages) ConfirmLogout(w http.ResponseWriter, r *http.Request, l oidc.LogoutPrompt) error {
	f := p.frame(r).in(r, l.Locales).still()
	f.Person = personOf(l.Account)
	return logoutPage.draw(w, f, http.StatusOK, logoutData{app(l.Client), l.Action, fields(l.Fields)})
}

// SignedOut implements oidc.Pages.
func (p *Pages) SignedOut(w http.ResponseWriter, r *http.Request, c auth.Client, to string) error {
	if to != "" && !leaving(to) {
		return errLeaving.Because(errors.New("post-logout address that no page may open"))
	}
	return signedOutPage.draw(w, p.frame(r).still(), http.StatusOK, signedOutData{app(c), address(to)})
}

// StartAgain says that a sign-in is over and how to begin another.
func (p *Pages) StartAgain(w http.ResponseWriter, r *http.Request) error {
	return againPage.draw(w, p.frame(r).still(), http.StatusGone, struct{}{})
}

var againPage = page[struct{}](signInShell, "signin/again.html")

// initials are one or two letters that stand for a name in a coloured tile.
func initials(name string) string {
	var first []rune
	for word := range strings.FieldsFuncSeq(name, func(c rune) bool { return unicode.IsSpace(c) || strings.ContainsRune("._-@", c) }) {
		if c, _ := utf8.DecodeRuneInString(word); unicode.IsLetter(c) || unicode.IsDigit(c) {
			first = append(first, unicode.ToUpper(c))
		}
		if len(first) == 2 {
			break
		}
	}
	if len(first) == 2 && (unicode.Is(unicode.Han, first[0]) || unicode.Is(unicode.Han, first[1])) {
		first = first[:1]
	}
	if len(first) == 0 {
		return "·"
	}
	return string(first)
}

// hue is the tile colour of a name, 0 to 7.
func hue(name string) int {
	h := 0
	for _, c := range name {
		h = (h*31 + int(c)) % 8
	}
	return h
}
