package ui

import (
	"net/http"
	"net/url"
	"time"

	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/internal/fault"
	"github.com/countersign-id/countersign/internal/web"
	"github.com/countersign-id/countersign/store"
)

// personal handles a request of somebody signed in.
type personal func(w http.ResponseWriter, r *http.Request, cur auth.Current) error

// signedIn runs next for the person of the browser's session, and sends anybody else to sign in first.
func (s *Server) signedIn(next personal) web.Func {
	return func(w http.ResponseWriter, r *http.Request) error {
		cur, err := s.current(r)
		if err != nil {
			return err
		}
		if cur.Account.ID == "" {
			back := "/account"
			if r.Method == http.MethodGet {
				back = localPath(r.URL.RequestURI(), back)
			}
			return seeOther(w, "/login?back="+url.QueryEscape(back))
		}
		return next(w, r, cur)
	}
}

// current is the session the browser came with, if it counts; otherwise zero.
func (s *Server) current(r *http.Request) (cur auth.Current, err error) {
	token := s.cookies.Value(r, web.SessionCookie)
	if token == "" {
		return cur, nil
	}
	ctx := r.Context()
	touch := false
	err = s.db.View(ctx, func(tx *store.Tx) (err error) {
		cur, _, err = auth.Resume(ctx, tx, web.Hash(token))
		touch = s.signIn.TouchDue(cur.Session, tx.Now())
		return err
	})
	if err != nil || !touch {
		return cur, err
	}
	return cur, s.db.Update(ctx, func(tx *store.Tx) error { return s.signIn.Touch(ctx, tx, cur.Session) })
}

func actor(cur auth.Current) string { return "account:" + string(cur.Account.ID) }

func personOf(a auth.Account) Person {
	return Person{Name: a.Profile.Name, Username: a.Username, Email: a.Profile.Email}
}

// room is the frame of an account page.
func (s *Server) room(w http.ResponseWriter, r *http.Request, cur auth.Current, section string) frame {
	f := s.frame(r)
	f.Person, f.Section = personOf(cur.Account), section
	f.Flash = said(w, r, s.cookies)
	return f
}

type homeData struct {
	EmailVerified   bool
	Since           time.Time
	PasswordChanged time.Time // zero: no password
	Sessions, Apps  int
}

var homePage = page[homeData](accountShell, "account/home.html")

func (s *Server) getHome(w http.ResponseWriter, r *http.Request, cur auth.Current) error {
	ctx := r.Context()
	data := homeData{EmailVerified: cur.Account.Profile.EmailVerified, Since: cur.Account.CreatedAt}
	err := s.db.View(ctx, func(tx *store.Tx) error {
		pw, err := tx.Password(ctx, cur.Account.ID)
		if err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
		data.PasswordChanged = pw.ChangedAt
		sessions, err := liveSessions(r, tx, cur)
		if err != nil {
			return err
		}
		consents, err := tx.ConsentsOf(ctx, cur.Account.ID)
		data.Sessions, data.Apps = len(sessions), len(consents)
		return err
	})
	if err != nil {
		return err
	}
	return homePage.draw(w, s.room(w, r, cur, "home"), http.StatusOK, data)
}

// liveSessions are those of the reader that still count.
func liveSessions(r *http.Request, tx *store.Tx, cur auth.Current) ([]auth.Session, error) {
	all, err := tx.SessionsOf(r.Context(), cur.Account.ID)
	if err != nil {
		return nil, err
	}
	var live []auth.Session
	for _, one := range all {
		if one.Live(tx.Now()) {
			live = append(live, one)
		}
	}
	return live, nil
}

type sessionsData struct{ Sessions []sessionLine }

type sessionLine struct {
	ID, Device, Icon, Address string
	Began, Seen               time.Time
	This                      bool
}

var sessionsPage = page[sessionsData](accountShell, "account/sessions.html")

func (s *Server) getSessions(w http.ResponseWriter, r *http.Request, cur auth.Current) error {
	var live []auth.Session
	err := s.db.View(r.Context(), func(tx *store.Tx) (err error) {
		live, err = liveSessions(r, tx, cur)
		return err
	})
	if err != nil {
		return err
	}

	f, data := s.room(w, r, cur, "sessions"), sessionsData{}
	for _, one := range live {
		line := sessionLine{ID: string(one.ID), Address: one.Source, Began: one.AuthTime, Seen: one.SeenAt, This: one.ID == cur.Session.ID}
		line.Device, line.Icon = f.device(one.UserAgent)
		if line.This { // first, wherever it stands in time
			data.Sessions = append([]sessionLine{line}, data.Sessions...)
			continue
		}
		data.Sessions = append(data.Sessions, line)
	}
	return sessionsPage.draw(w, f, http.StatusOK, data)
}

var errNoSession = fault.New(fault.NotFound, "no-such-session", "There is no such session, or it has ended already.")

// postEndSession ends one session of the reader's own. Anybody else's does not exist for them.
func (s *Server) postEndSession(w http.ResponseWriter, r *http.Request, cur auth.Current) error {
	form, err := readForm(w, r)
	if err != nil {
		return err
	}
	ctx, id := r.Context(), auth.SessionID(form.Get("session"))
	err = s.db.Update(ctx, func(tx *store.Tx) error {
		one, err := tx.Session(ctx, id)
		if fault.Is(err, fault.NotFound) || err == nil && one.Account != cur.Account.ID {
			return errNoSession
		}
		if err != nil {
			return err
		}
		return auth.SignOut(ctx, tx, actor(cur), one, s.oidc.Origin(r))
	})
	if err != nil {
		return err
	}
	if id == cur.Session.ID {
		return s.leave(w)
	}
	say(w, s.cookies, "flash.session-ended")
	return seeOther(w, "/account/sessions")
}

func (s *Server) postEndOthers(w http.ResponseWriter, r *http.Request, cur auth.Current) error {
	if _, err := readForm(w, r); err != nil {
		return err
	}
	ctx := r.Context()
	err := s.db.Update(ctx, func(tx *store.Tx) error {
		_, err := auth.SignOutOthers(ctx, tx, actor(cur), cur.Account.ID, cur.Session.ID, s.oidc.Origin(r))
		return err
	})
	if err != nil {
		return err
	}
	say(w, s.cookies, "flash.sessions-ended")
	return seeOther(w, "/account/sessions")
}

func (s *Server) postSignOut(w http.ResponseWriter, r *http.Request, cur auth.Current) error {
	if _, err := readForm(w, r); err != nil {
		return err
	}
	ctx := r.Context()
	err := s.db.Update(ctx, func(tx *store.Tx) error { return auth.SignOut(ctx, tx, actor(cur), cur.Session, s.oidc.Origin(r)) })
	if err != nil {
		return err
	}
	return s.leave(w)
}

// leave takes the session from the browser, and what it may have kept of pages.
func (s *Server) leave(w http.ResponseWriter) error {
	s.cookies.Drop(w, web.SessionCookie)
	w.Header().Set("Clear-Site-Data", `"cache"`)
	return seeOther(w, "/signed-out")
}

func (s *Server) getSignedOut(w http.ResponseWriter, r *http.Request) error {
	return signedOutPage.draw(w, s.frame(r), http.StatusOK, signedOutData{})
}
