package ui

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"

	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/internal/fault"
	"github.com/countersign-id/countersign/store"
)

type reauthData struct{ To string }

var reauthPage = page[reauthData](accountShell, "account/reauth.html")

// fresh runs next for somebody whose proof is new and at the level of their account, and has anybody else confirm that it is them first
// (sec-M10, sec-M20). The act itself asks again, in its own transaction.
func (s *Server) fresh(next personal) personal {
	return func(w http.ResponseWriter, r *http.Request, cur auth.Current) error {
		err := s.db.View(r.Context(), func(tx *store.Tx) error { return s.signIn.Fresh(r.Context(), tx, cur) })
		if errors.Is(err, auth.ErrNotFresh) {
			return confirmFirst(w, r)
		}
		if err != nil {
			return err
		}
		return next(w, r, cur)
	}
}

// confirmFirst sends somebody to confirm that it is them. Nothing is done on the way back: the page of the act is shown again.
func confirmFirst(w http.ResponseWriter, r *http.Request) error {
	back := "/account/security"
	if r.Method == http.MethodGet {
		back = localPath(r.URL.RequestURI(), back)
	}
	return seeOther(w, "/reauth?back="+url.QueryEscape(back))
}

// notFresh is confirmFirst where err says so, and err otherwise.
func notFresh(w http.ResponseWriter, r *http.Request, err error) error {
	if errors.Is(err, auth.ErrNotFresh) {
		return confirmFirst(w, r)
	}
	return err
}

func (s *Server) getReauth(w http.ResponseWriter, r *http.Request, cur auth.Current) error {
	f := s.room(w, r, cur, "security")
	return reauthPage.draw(w, f, http.StatusOK, reauthData{localPath(r.URL.Query().Get("back"), "/account/security")})
}

// postReauth begins a sign-in of the same account, with new proofs alone.
func (s *Server) postReauth(w http.ResponseWriter, r *http.Request, cur auth.Current) error {
	form, err := readForm(w, r)
	if err != nil {
		return err
	}
	ctx, o, to, browser := r.Context(), s.oidc.Origin(r), localPath(form.Get("back"), "/account/security"), s.cookies.Browser(w, r)
	if !s.oidc.MayBegin(o.Source) {
		return auth.ErrThrottled
	}
	var f auth.Flow
	err = s.db.Update(ctx, func(tx *store.Tx) (err error) {
		f, err = s.signIn.Begin(ctx, tx, auth.Demands{
			Back: to, Hint: cur.Account.Username, MaxAge: 0, Login: true, WantAccount: cur.Account.ID, Strict: true, From: o,
		}, browser, cur)
		if err != nil {
			return err
		}
		f, err = auth.Keep(ctx, tx, f)
		return err
	})
	if err != nil {
		return err
	}
	return seeOther(w, stepPath(f))
}

// getOrigins lists the origins that may use our passkeys (WebAuthn L3 §5.11).
func (s *Server) getOrigins(w http.ResponseWriter, r *http.Request) error {
	if s.keys == nil {
		return errNoPage
	}
	return wellKnown(w, r, map[string]any{"origins": s.keys.Origins()})
}

// getPasskeyEndpoints tells password managers where passkeys are made and kept (W3C Passkey Endpoints Well-Known URL).
func (s *Server) getPasskeyEndpoints(w http.ResponseWriter, r *http.Request) error {
	if s.keys == nil {
		return errNoPage
	}
	at := s.site.origin()
	return wellKnown(w, r, map[string]any{"enroll": at + "/account/passkeys/new", "manage": at + "/account/security"})
}

func wellKnown(w http.ResponseWriter, r *http.Request, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fault.From(err)
	}
	w.Header().Set("Content-Type", "application/json")
	if r.Method != http.MethodHead {
		_, _ = w.Write(b)
	}
	return nil
}

// getChangePassword is where password managers go (W3C A Well-Known URL for Changing Passwords).
func getChangePassword(w http.ResponseWriter, _ *http.Request) error {
	return seeOther(w, "/account/password")
}
