package ui

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/countersign-id/countersign/internal/fault"
)

// A page is one file of templates/ that defines "title" and "main" (and "head", where it needs one), bound to the one type
// it is drawn from. Layouts and partials are the files whose names begin with an underscore.
//
//go:embed all:templates
var templateFiles embed.FS

var layouts = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("").Funcs(template.FuncMap{"icon": icon, "asset": assetPath, "initials": initials, "hue": hue, "calm": calm}).
		ParseFS(templateFiles, "templates/_*.html"))
})

// shell is the layout a page hangs in.
type shell string

const (
	signInShell  shell = "layout-signin"
	accountShell shell = "layout-account"
)

// Page ties a template file to the one type of data it is drawn from.
type Page[T any] struct {
	file  string
	shell shell
	parse func() *template.Template
}

// page binds a file to a type. The file is parsed once, when it is first drawn.
func page[T any](in shell, file string) Page[T] {
	return Page[T]{file: file, shell: in, parse: sync.OnceValue(func() *template.Template { return parsePage(file) })}
}

func parsePage(file string) *template.Template {
	return template.Must(template.Must(layouts().Clone()).ParseFS(templateFiles, "templates/"+file))
}

// Site is what every page says about the deployment.
type Site struct {
	Organisation string // shown in the corner; "Countersign" if empty
	Host         string // the issuer's host: the cue by which a reader knows the real page
	HTTPS        bool   // whether the issuer is https: cookies are then Secure
	Demo         bool   // marks every page as a demonstration
	Privacy      string // links in the footer; left out if empty
	Terms        string
	Support      string
}

// origin is the deployment's own, as browsers see it.
func (s Site) origin() string {
	if s.HTTPS {
		return "https://" + s.Host
	}
	return "http://" + s.Host
}

// Person is the reader, where we know them.
type Person struct{ Name, Username, Email string }

// Label is what a person is called: their name, or else the name they sign in with.
func (p Person) Label() string {
	if p.Name != "" {
		return calm(p.Name)
	}
	return calm(p.Username)
}

// App is the application that sent the reader here; zero on our own pages.
type App struct{ Name, Host, Privacy, Terms string }

// frame is what surrounds a page's own content.
type frame struct {
	Site
	*locale
	Theme     string // auto, light, dark
	Back      string // local path the language and theme menus return to; empty: no menus
	Section   string // entry of the account menu that this page is
	RequestID string
	Person    Person
	Flash     string   // message id of what was just done
	Problem   *problem // what is wrong with the form as it was sent

	formAction string // the one other origin a form may be posted to
	noReferrer bool
}

// view is what a template sees: the frame and the page's own data.
type view[T any] struct {
	frame
	Data T
}

// problem is a fault as the reader of a form sees it.
type problem struct {
	Field string // the field at fault; empty: the form as a whole
	Text  string
	Wait  int // seconds until it is worth trying again; 0: not known
}

// Wrong returns what is wrong with a field, or "".
func (f frame) Wrong(field string) string {
	if f.Problem == nil || f.Problem.Field != field {
		return ""
	}
	return f.Problem.Text
}

// redraw marks f with what is wrong, for the same page drawn again. The status of the answer is the fault's.
func (f frame) redraw(e *fault.Error) frame {
	f.Problem = &problem{Field: e.Field, Text: f.faultText(e), Wait: e.Wait}
	return f
}

// draw answers with the page. Nothing is written unless all of it could be drawn.
func (p Page[T]) draw(w http.ResponseWriter, f frame, status int, data T) error {
	var b bytes.Buffer
	if err := p.parse().ExecuteTemplate(&b, string(p.shell), view[T]{f, data}); err != nil {
		return fmt.Errorf("draw %s: %w", p.file, err)
	}

	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", f.Lang)
	h.Add("Vary", "Cookie, Accept-Language")
	h.Set("Content-Security-Policy", contentPolicy(f.formAction))
	h.Set("Referrer-Policy", "same-origin")
	if f.noReferrer {
		h.Set("Referrer-Policy", "no-referrer")
	}
	if p.shell == accountShell {
		// Not on sign-in pages: it would cut window.opener of applications that sign in through a pop-up.
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
	}
	if f.Problem != nil && f.Problem.Wait > 0 {
		h.Set("Retry-After", strconv.Itoa(f.Problem.Wait))
	}
	w.WriteHeader(status)
	_, _ = b.WriteTo(w)
	return nil
}

// Moment writes a time for people: a <time> element in UTC, which page.js puts into the reader's zone.
func (f frame) Moment(t time.Time) template.HTML {
	if t.IsZero() {
		return ""
	}
	t = t.UTC()
	return template.HTML(fmt.Sprintf(`<time datetime="%s">%s</time>`, t.Format(time.RFC3339), template.HTMLEscapeString(f.when(t)))) // both parts are made here
}
