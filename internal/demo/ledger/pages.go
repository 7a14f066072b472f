package ledger

import (
	"bytes"
	"embed"
	"io/fs"
	"net/http"
	"net/url"
	"slices"
	"time"
)

// view is what every page is drawn from.
type view struct {
	Title   string
	Issuer  string
	Name    string // of the person; empty: nobody is signed in
	Email   string
	Can     map[string]bool
	Message string
	List    []invoice
	Total   int64 // cents
	Needs   string
	Claims  string
	Scopes  []string
	Renewed int
	Ends    time.Time
}

var titles = map[string]string{
	"home": "Ledger", "invoices": "Invoices", "reports": "Reports", "token": "What Ledger was told",
	"denied": "Not with these rights", "trouble": "That did not work", "goodbye": "Signed out",
}

func (a *App) page(w http.ResponseWriter, _ *http.Request, status int, name string, s *session, with map[string]any) {
	v := view{Title: titles[name], Issuer: a.cfg.Issuer, Can: map[string]bool{}}
	if s != nil {
		v.Name, _ = s.claims["name"].(string)
		if v.Name == "" {
			v.Name, _ = s.claims["sub"].(string)
		}
		v.Email, _ = s.claims["email"].(string)
		v.Scopes, v.Renewed, v.Ends = s.scopes, s.renewed, s.ends
		for short, scope := range map[string]string{"Read": ReadInvoices, "Enter": EnterInvoices, "Approve": ApproveInvoices, "Pay": PayInvoices, "Report": ReadReports} {
			v.Can[short] = slices.Contains(s.scopes, scope)
		}
	}
	v.Message, _ = with["Message"].(string)
	v.Needs, _ = with["Needs"].(string)
	v.Claims, _ = with["Claims"].(string)
	if list, ok := with["Invoices"].([]invoice); ok {
		v.List = list
		for _, i := range list {
			v.Total += i.Cents
		}
	}
	var b bytes.Buffer
	if err := pages.ExecuteTemplate(&b, name+".html", v); err != nil {
		a.log.Error("page", "name", name, "err", err)
		http.Error(w, "Something went wrong.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = b.WriteTo(w)
}

func (a *App) trouble(w http.ResponseWriter, r *http.Request, status int, message string, err error) {
	a.log.Info("trouble", "message", message, "err", err)
	a.page(w, r, status, "trouble", nil, map[string]any{"Message": message})
}

func (a *App) home(w http.ResponseWriter, r *http.Request) {
	s := a.session(r)
	if s != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
	}
	a.page(w, r, http.StatusOK, "home", s, nil)
}

func (a *App) goodbye(w http.ResponseWriter, r *http.Request) {
	a.page(w, r, http.StatusOK, "goodbye", nil, nil)
}

func (a *App) token(w http.ResponseWriter, r *http.Request, s *session) {
	a.page(w, r, http.StatusOK, "token", s, map[string]any{"Claims": pretty(s.claims)})
}

func (a *App) invoices(w http.ResponseWriter, r *http.Request, s *session) {
	a.page(w, r, http.StatusOK, "invoices", s, map[string]any{"Invoices": a.books.all()})
}

func (a *App) reports(w http.ResponseWriter, r *http.Request, s *session) {
	a.page(w, r, http.StatusOK, "reports", s, map[string]any{"Invoices": a.books.all()})
}

func (a *App) enter(w http.ResponseWriter, r *http.Request, s *session) {
	a.did(w, r, s, a.books.enter(r.FormValue("supplier"), r.FormValue("amount"), who(s)))
}

func (a *App) approve(w http.ResponseWriter, r *http.Request, s *session) {
	a.did(w, r, s, a.books.move(r.PathValue("id"), "entered", "approved", who(s)))
}

func (a *App) pay(w http.ResponseWriter, r *http.Request, s *session) {
	a.did(w, r, s, a.books.move(r.PathValue("id"), "approved", "paid", who(s)))
}

// did answers an action: back to the list, or the list again with what was wrong.
func (a *App) did(w http.ResponseWriter, r *http.Request, s *session, err error) {
	if err == nil {
		http.Redirect(w, r, "/invoices", http.StatusSeeOther)
		return
	}
	a.page(w, r, http.StatusUnprocessableEntity, "invoices", s, map[string]any{"Invoices": a.books.all(), "Message": err.Error()})
}

func who(s *session) string {
	name, _ := s.claims["name"].(string)
	return name
}

func query(kv ...string) string {
	q := url.Values{}
	for i := 0; i+1 < len(kv); i += 2 {
		q.Set(kv[i], kv[i+1])
	}
	return q.Encode()
}

func must(f embed.FS, dir string) fs.FS {
	sub, err := fs.Sub(f, dir)
	if err != nil {
		panic(err) // the folder is embedded: it cannot be missing
	}
	return sub
}
