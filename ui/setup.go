package ui

import (
	"net/http"
	"time"

	"github.com/countersign-id/countersign/audit"
	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/internal/fault"
	"github.com/countersign-id/countersign/store"
)

type setupData struct {
	Username, Name, Email string
	MinLength             int // of the password
}

var setupPage = page[setupData](signInShell, "signin/setup.html")

// setupCookie holds the link's token, so that it stands in no address longer than one request.
const setupCookie = "setup"

// getSetup draws the page of the first administrator to whoever has the link. Looking at it spends nothing.
func (s *Server) getSetup(w http.ResponseWriter, r *http.Request) error {
	if token := r.URL.Query().Get("token"); token != "" {
		s.cookies.Set(w, setupCookie, token, time.Hour)
		return seeOther(w, "/setup")
	}
	if err := s.setupOpen(r); err != nil {
		return err
	}
	return setupPage.draw(w, s.frame(r), http.StatusOK, setupData{MinLength: s.minLength()})
}

// setupOpen refuses who has no link that works.
func (s *Server) setupOpen(r *http.Request) error {
	ctx, token, open := r.Context(), s.cookies.Value(r, setupCookie), false
	err := s.db.View(ctx, func(tx *store.Tx) (err error) {
		open, err = auth.SetupOpen(ctx, tx, token)
		return err
	})
	if err == nil && !open {
		err = s.refuseSetup(r)
	}
	return err
}

func (s *Server) refuseSetup(r *http.Request) error {
	s.stray(r, audit.Event{Kind: audit.SetupRefused, Code: auth.ErrSetup.Code})
	return auth.ErrSetup
}

// postSetup spends the link and makes the first administrator. The link is looked at before anything is hashed: strangers
// cost nothing.
func (s *Server) postSetup(w http.ResponseWriter, r *http.Request) error {
	form, err := readForm(w, r)
	if err != nil {
		return err
	}
	if err := s.setupOpen(r); err != nil {
		return err
	}

	data := setupData{form.Get("username"), form.Get("name"), form.Get("email"), s.minLength()}
	n := auth.NewAccount{Username: data.Username, Profile: auth.Profile{Name: data.Name, Email: data.Email}}
	err = n.Check()
	if err == nil {
		n.Hash, err = s.newHash(r.Context(), form.Get("password"), data.Username, data.Name, data.Email)
	}
	if err == nil {
		err = s.db.Update(r.Context(), func(tx *store.Tx) error {
			_, err := auth.CompleteSetup(r.Context(), tx, s.cookies.Value(r, setupCookie), n, s.oidc.Origin(r))
			return err
		})
	}
	switch wrong := fault.From(err); {
	case err == nil:
		s.cookies.Drop(w, setupCookie)
		return seeOther(w, "/login?back=/account")
	case wrong.Is(auth.ErrSetup):
		return s.refuseSetup(r)
	case wrong.Kind == fault.Invalid, wrong.Kind == fault.Unavailable, wrong.Kind == fault.Conflict && wrong.Field != "":
		return setupPage.draw(w, s.frame(r).redraw(wrong), wrong.Kind.Status(), data)
	}
	return err
}
