package ui

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"

	"github.com/countersign-id/countersign/audit"
	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/auth/passkey"
	"github.com/countersign-id/countersign/internal/fault"
	"github.com/countersign-id/countersign/internal/web"
	"github.com/countersign-id/countersign/store"
)

var errNoPasskeys = fault.New(fault.NotFound, "no-passkeys", "Passkeys are not to be had here.")

// ofFlow and ofSession name whose a ceremony is. What was begun in one flow or session ends in no other (sec-R02).
func ofFlow(f auth.Flow, what string) string { return "flow:" + string(f.ID) + ":" + what }

func ofSession(cur auth.Current, what string) string {
	return "session:" + string(cur.Session.ID) + ":" + what
}

// What ceremonies are for.
const (
	toSignIn = "sign-in"
	toSecond = "second"
	toCreate = "create"
	toCode   = "totp"
)

// options answers with what the browser's script needs for a ceremony.
func options(w http.ResponseWriter, flow auth.FlowID, b passkey.Begun) error {
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(struct {
		Flow      auth.FlowID     `json:"flow,omitempty"`
		PublicKey json.RawMessage `json:"publicKey"`
	}{flow, b.Options})
}

// keysOf is whose passkeys an account's are.
func keysOf(ctx context.Context, tx *store.Tx, acc auth.Account) (who passkey.Person, err error) {
	h, err := tx.Holder(ctx, acc.ID)
	if err != nil {
		return who, err
	}
	who.Handle, who.Name, who.Display = h.Handle, acc.Username, personOf(acc).Label()
	who.Keys, err = tx.Passkeys(ctx, acc.ID)
	return who, err
}

// postPasskeyOptions begins a sign-in by whoever holds a passkey. Its answer is the same for everybody. A sign-in to our own pages
// begins with it, as it does with a name.
func (s *Server) postPasskeyOptions(w http.ResponseWriter, r *http.Request) error {
	form, err := readForm(w, r)
	if err != nil {
		return err
	}
	if s.keys == nil {
		return errNoPasskeys
	}
	id, to := form.Get("flow"), localPath(form.Get("back"), "/account")
	var browser []byte
	if id == "" {
		if !s.oidc.MayBegin(web.SourceOf(r.Context()).Network) {
			return auth.ErrThrottled
		}
		browser = s.cookies.Browser(w, r)
	}
	begun, err := s.keys.Discover()
	if err != nil {
		return err
	}
	var st standing
	err = s.db.Update(r.Context(), func(tx *store.Tx) (err error) {
		if id == "" {
			st, err = s.begin(r.Context(), tx, browser, to)
		} else {
			st, err = s.stand(r.Context(), tx, r, id)
		}
		if err != nil {
			return err
		}
		if step := st.flow.Next(); step != auth.Identify && step != auth.Prove {
			return auth.ErrStep
		}
		return auth.KeepCeremony(r.Context(), tx, ofFlow(st.flow, toSignIn), begun.State)
	})
	if err != nil {
		return err
	}
	return options(w, st.flow.ID, begun)
}

// postPasskey signs in by a passkey, in four beats: spend the ceremony, whatever comes of it; read whose the passkey says it is;
// verify, outside any transaction; record.
func (s *Server) postPasskey(w http.ResponseWriter, r *http.Request) error {
	return s.provePasskey(w, r, toSignIn, func(ctx context.Context, tx *store.Tx, _ auth.Flow, a passkey.Answer) (passkey.Person, error) {
		acc, h, keys, err := auth.PasskeyOwner(ctx, tx, a.Handle, a.Credential)
		return passkey.Person{Handle: h.Handle, Name: acc.Username, Display: personOf(acc).Label(), Keys: keys}, err
	})
}

// postKey proves a passkey of the account that the flow is of already.
func (s *Server) postKey(w http.ResponseWriter, r *http.Request) error {
	return s.provePasskey(w, r, toSecond, func(ctx context.Context, tx *store.Tx, f auth.Flow, _ passkey.Answer) (passkey.Person, error) {
		acc, err := tx.Account(ctx, f.Account)
		if err != nil {
			return passkey.Person{}, err
		}
		return keysOf(ctx, tx, acc)
	})
}

type holderOf func(ctx context.Context, tx *store.Tx, f auth.Flow, a passkey.Answer) (passkey.Person, error)

func (s *Server) provePasskey(w http.ResponseWriter, r *http.Request, what string, holder holderOf) error {
	form, err := readForm(w, r)
	if err != nil {
		return err
	}
	if s.keys == nil {
		return errNoPasskeys
	}
	ctx, o, id := r.Context(), s.oidc.Origin(r), form.Get("flow")
	if err := s.db.Update(ctx, func(tx *store.Tx) error { return s.signIn.Admit(ctx, tx, o) }); err != nil {
		return s.refuseHere(w, r, id, err)
	}
	st, state, err := s.takeCeremony(r, id, what)
	if errors.Is(err, auth.ErrStep) {
		return seeOther(w, stepOrStart(st.flow))
	}
	if err != nil {
		return s.refuseHere(w, r, id, err)
	}
	proof, owner, err := s.verifyPasskey(ctx, st.flow, state, []byte(form.Get("credential")), holder)
	switch {
	case passkey.Refused(err) && owner == "":
		s.count("refused")
		s.stray(r, auth.StrayPasskey(st.flow, o))
		return s.refuseKey(w, r, id, err)
	case passkey.Refused(err):
		s.count("refused")
		if err := s.db.Update(ctx, func(tx *store.Tx) error { return auth.RefusePasskey(ctx, tx, st.flow, owner, o) }); err != nil {
			return err
		}
		return s.refuseKey(w, r, id, err)
	case err != nil:
		return err
	}

	var next auth.Flow
	var refused *fault.Error
	err = s.db.Update(ctx, func(tx *store.Tx) (err error) {
		if st, err = s.stand(ctx, tx, r, id); err != nil {
			return err
		}
		next, refused, err = s.signIn.SettlePasskey(ctx, tx, st.flow, proof, form.Get("trust") != "", o)
		return err
	})
	return s.settled(w, r, st, next, refused, err)
}

// takeCeremony spends the ceremony of a flow.
func (s *Server) takeCeremony(r *http.Request, id, what string) (st standing, state auth.Secret, err error) {
	ctx := r.Context()
	err = s.db.Update(ctx, func(tx *store.Tx) (err error) {
		state = nil
		if st, err = s.stand(ctx, tx, r, id); err != nil {
			return err
		}
		second := st.flow.Next() == auth.Second
		if first := st.flow.Next() == auth.Identify || st.flow.Next() == auth.Prove; what == toSignIn && !first || what == toSecond && !second {
			return auth.ErrStep
		}
		body, ok, err := auth.SpendCeremony(ctx, tx, ofFlow(st.flow, what))
		if ok {
			state = body
		}
		return err
	})
	if err == nil && state == nil {
		err = auth.ErrCeremony
	}
	return st, state, err
}

// verifyPasskey verifies what a browser sent. owner is whose the passkey is, where that is known.
func (s *Server) verifyPasskey(ctx context.Context, f auth.Flow, state auth.Secret, response []byte, holder holderOf) (proof auth.PasskeyProof, owner auth.AccountID, err error) {
	answer, err := passkey.ReadAnswer(response)
	if err != nil {
		return proof, f.Account, err
	}
	var who passkey.Person
	err = s.db.View(ctx, func(tx *store.Tx) (err error) {
		who, err = holder(ctx, tx, f, answer)
		return err
	})
	if err != nil {
		return proof, f.Account, err
	}
	for _, k := range who.Keys {
		owner = k.Account
	}
	proof, err = s.keys.Verify(answer, who, state)
	return proof, owner, err
}

// refuseKey draws the step again for a passkey that did not hold.
func (s *Server) refuseKey(w http.ResponseWriter, r *http.Request, id string, err error) error {
	s.log.InfoContext(r.Context(), "passkey refused", "request", web.RequestID(r.Context()), "err", err)
	return s.refuseHere(w, r, id, auth.ErrPasskey)
}

// refuseHere draws the page of the step that a flow stands at, with what was wrong.
func (s *Server) refuseHere(w http.ResponseWriter, r *http.Request, id string, err error) error {
	wrong := fault.From(err)
	if wrong.Kind == fault.Internal || wrong.Is(auth.ErrFlowGone) || wrong.Is(auth.ErrStep) {
		return err
	}
	switch wrong.Kind {
	case fault.Throttled:
		s.count("throttled")
	case fault.Unavailable:
		s.count("busy")
	}
	var st standing
	if err := s.db.View(r.Context(), func(tx *store.Tx) (err error) {
		st, err = s.stand(r.Context(), tx, r, id)
		return err
	}); err != nil {
		return err
	}
	if wrong.Kind == fault.Throttled || wrong.Kind == fault.Unavailable {
		s.stray(r, audit.Event{Kind: audit.SessionRefused, Code: wrong.Code, Client: string(st.flow.Client)})
	}
	return s.drawStep(w, r, st, wrong)
}

// postKeyOptions begins a proof by a passkey of the flow's account.
func (s *Server) postKeyOptions(w http.ResponseWriter, r *http.Request) error {
	form, err := readForm(w, r)
	if err != nil {
		return err
	}
	if s.keys == nil {
		return errNoPasskeys
	}
	ctx, id := r.Context(), form.Get("flow")
	var st standing
	var who passkey.Person
	err = s.db.View(ctx, func(tx *store.Tx) (err error) {
		if st, err = s.stand(ctx, tx, r, id); err != nil {
			return err
		}
		if st.flow.Next() != auth.Second {
			return auth.ErrStep
		}
		acc, err := tx.Account(ctx, st.flow.Account)
		if err != nil {
			return err
		}
		who, err = keysOf(ctx, tx, acc)
		return err
	})
	if err != nil {
		return err
	}
	if len(who.Keys) == 0 {
		return auth.ErrNoFactor
	}
	begun, err := s.keys.Ask(who, st.flow.MustVerify())
	if err != nil {
		return err
	}
	if err := s.keepCeremony(r, id, toSecond, auth.Second, begun.State); err != nil {
		return err
	}
	return options(w, "", begun)
}

// keepCeremony keeps the second half of a ceremony of a flow that stands at step.
func (s *Server) keepCeremony(r *http.Request, id, what string, step auth.Step, state auth.Secret) error {
	return s.db.Update(r.Context(), func(tx *store.Tx) error {
		st, err := s.stand(r.Context(), tx, r, id)
		if err != nil {
			return err
		}
		if st.flow.Next() != step {
			return auth.ErrStep
		}
		return auth.KeepCeremony(r.Context(), tx, ofFlow(st.flow, what), state)
	})
}

func withFlow(path string, f auth.Flow) string {
	return path + "?flow=" + url.QueryEscape(string(f.ID))
}
