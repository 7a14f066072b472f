package ui

import (
	"context"
	"net/http"

	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/auth/password"
	"github.com/countersign-id/countersign/internal/fault"
	"github.com/countersign-id/countersign/store"
)

type newPasswordData struct{ MinLength int }

var newPasswordPage = page[newPasswordData](accountShell, "account/password.html")

var errCurrent = fault.New(fault.Unauthenticated, "wrong-password", "That is not your current password.").At("current")

func (s *Server) getPassword(w http.ResponseWriter, r *http.Request, cur auth.Current) error {
	return newPasswordPage.draw(w, s.room(w, r, cur, "password"), http.StatusOK, newPasswordData{s.minLength()})
}

// postNewPassword changes the reader's password: it asks for the present one under the same limits as a sign-in, and ends
// what the old one had opened everywhere else (sec-K01, sec-S04).
func (s *Server) postNewPassword(w http.ResponseWriter, r *http.Request, cur auth.Current) error {
	form, err := readForm(w, r)
	if err != nil {
		return err
	}
	ctx, o, acc := r.Context(), s.oidc.Origin(r), cur.Account
	refuse := func(why *fault.Error) error {
		err := s.db.Update(ctx, func(tx *store.Tx) error { return auth.RefusePassword(ctx, tx, cur, why, o) })
		if err != nil {
			return err
		}
		return newPasswordPage.draw(w, s.room(w, r, cur, "password").redraw(why), why.Kind.Status(), newPasswordData{s.minLength()})
	}
	pw := form.Get("password")
	leave, err := s.admit(ctx, form.Get("current"), o)
	if wrong := fault.From(err); err != nil && wrong.Kind != fault.Internal {
		if wrong.Is(password.ErrTooLong) {
			wrong = errCurrent
		}
		return newPasswordPage.draw(w, s.room(w, r, cur, "password").redraw(wrong), wrong.Kind.Status(), newPasswordData{s.minLength()})
	}
	if err != nil {
		return err
	}
	defer leave()
	// Only now, behind the limits: each refusal is an event, and one session must not fill the log.
	if weak := s.rules.Weak(pw, acc.Username, acc.Profile.Name, acc.Profile.Email); weak != nil {
		return refuse(weak.At("password"))
	}
	seen, err := s.tryCurrent(ctx, cur, form.Get("current"), o)
	if err != nil {
		return err
	}
	if seen == "" {
		return refuse(errCurrent)
	}

	hash, err := s.passwords.Hash(ctx, pw)
	if err != nil {
		return err
	}
	var e auth.Established
	err = s.db.Update(ctx, func(tx *store.Tx) (err error) {
		e, err = s.signIn.ChangePassword(ctx, tx, cur, seen, hash, o)
		return err
	})
	if err != nil {
		return err
	}
	s.oidc.Keep(w, e)
	say(w, s.cookies, "flash.password")
	return seeOther(w, "/account/password")
}

// tryCurrent tries the present password of somebody signed in, and returns the hash it was found to match, or "".
func (s *Server) tryCurrent(ctx context.Context, cur auth.Current, present string, o auth.Origin) (seen string, err error) {
	var a auth.Attempt
	err = s.db.Update(ctx, func(tx *store.Tx) (err error) {
		a, err = s.signIn.TryCurrent(ctx, tx, cur, o)
		return err
	})
	if err != nil {
		return "", err
	}
	match, _, err := s.passwords.Verify(ctx, present, a.Hash)
	if err != nil || !match || a.Dummy {
		return "", err
	}
	return a.Hash, nil
}
