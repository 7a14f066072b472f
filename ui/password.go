package ui

import (
	"errors"
	"net/http"

	"github.com/countersign-id/countersign/audit"
	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/auth/password"
	"github.com/countersign-id/countersign/internal/fault"
	"github.com/countersign-id/countersign/store"
)

// postPassword tries a password in three beats: read (and count the attempt), prove (outside any transaction, exactly one hash
// whatever was read, sec-K05), record. Unknown, wrong, disabled and no password are one answer (sec-K04).
func (s *Server) postPassword(w http.ResponseWriter, r *http.Request) error {
	form, err := readForm(w, r)
	if err != nil {
		return err
	}
	ctx, id, pw, o := r.Context(), form.Get("flow"), form.Get("password"), s.oidc.Origin(r)
	leave, err := s.admit(ctx, pw, o)
	if err != nil {
		return s.refuseEarly(w, r, id, err)
	}
	defer leave()

	var st standing
	var a auth.Attempt
	err = s.db.Update(ctx, func(tx *store.Tx) (err error) {
		if st, err = s.stand(ctx, tx, r, id); err != nil {
			return err
		}
		a, err = s.signIn.TryPassword(ctx, tx, st.flow, o)
		return err
	})
	if errors.Is(err, auth.ErrStep) {
		return seeOther(w, stepOrStart(st.flow))
	}
	if err != nil {
		return err
	}

	match, rehash, err := s.prove(ctx, a, pw)
	if err != nil {
		return err
	}

	var next auth.Flow
	var refused *fault.Error
	err = s.db.Update(ctx, func(tx *store.Tx) (err error) {
		if st, err = s.stand(ctx, tx, r, id); err != nil {
			return err
		}
		next, refused, err = s.signIn.Settle(ctx, tx, a, st.flow, match, rehash, o)
		return err
	})
	switch {
	case err != nil:
		return err
	case refused == nil:
		s.count("ok")
		return s.advance(w, r, next)
	}
	s.count("refused")
	if a.Account == "" {
		e := auth.Stray(st.flow, refused, o)
		e.Code = a.Why
		s.stray(r, e)
	}
	if refused.Is(auth.ErrFlowGone) {
		return refused
	}
	st.flow = next
	return s.drawStep(w, r, st, refused)
}

// refuseEarly draws the password page again for an attempt that was not evaluated.
func (s *Server) refuseEarly(w http.ResponseWriter, r *http.Request, id string, err error) error {
	wrong := fault.From(err)
	switch {
	case wrong.Kind == fault.Throttled:
		s.count("throttled")
	case wrong.Kind == fault.Unavailable:
		s.count("busy")
	case !wrong.Is(password.ErrTooLong):
		return err
	}
	ctx := r.Context()
	var st standing
	err = s.db.View(ctx, func(tx *store.Tx) (err error) {
		st, err = s.stand(ctx, tx, r, id)
		return err
	})
	if err != nil || st.flow.Next() != auth.Prove {
		return wrong
	}
	s.stray(r, audit.Event{Kind: audit.SessionRefused, Code: wrong.Code, Client: string(st.flow.Client)})
	return s.drawStep(w, r, st, wrong)
}
