package auth

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/countersign-id/countersign/audit"
	"github.com/countersign-id/countersign/internal/fault"
)

func (p SessionPolicy) withDefaults() SessionPolicy {
	for _, d := range []struct {
		at  *time.Duration
		def time.Duration
	}{{&p.Idle, time.Hour}, {&p.Absolute, 12 * time.Hour}, {&p.Touch, time.Minute}} {
		if *d.at <= 0 {
			*d.at = d.def
		}
	}
	return p
}

// idleEnd is when a session used at now ends unless used again.
func (p SessionPolicy) idleEnd(now, ends time.Time) time.Time {
	if idle := now.Add(p.Idle); idle.Before(ends) {
		return idle
	}
	return ends
}

// Resume finds the session of a cookie's token hash, if it counts: live, its account active. ok is false otherwise; that is no error.
// It reads only; TouchDue says whether Touch should follow in an Update.
func Resume(ctx context.Context, tx Tx, tokenHash []byte) (c Current, ok bool, err error) {
	s, err := tx.SessionByToken(ctx, tokenHash)
	if fault.Is(err, fault.NotFound) {
		return Current{}, false, nil
	}
	if err != nil || !s.Live(tx.Now()) {
		return Current{}, false, err
	}
	a, err := tx.Account(ctx, s.Account)
	if fault.Is(err, fault.NotFound) {
		return Current{}, false, nil
	}
	if err != nil || !a.Active() {
		return Current{}, false, err
	}
	return Current{Session: s, Account: a}, true, nil
}

// TouchDue reports whether s was last seen longer ago than the policy's Touch.
func (p SignIn) TouchDue(s Session, now time.Time) bool {
	return s.Live(now) && now.Sub(s.SeenAt) >= p.Sessions.withDefaults().Touch
}

// Touch moves the session's idle end. The absolute end stays, and a session that is over is not revived.
func (p SignIn) Touch(ctx context.Context, tx Tx, s Session) error {
	s, live, err := liveSession(ctx, tx, s.ID)
	if err != nil || !live {
		return err
	}
	now := tx.Now()
	return tx.TouchSession(ctx, s.ID, now, p.Sessions.withDefaults().idleEnd(now, s.Ends))
}

// liveSession reads a session again and says whether it counts.
func liveSession(ctx context.Context, tx Tx, id SessionID) (Session, bool, error) {
	if id == "" {
		return Session{}, false, nil
	}
	return counted(tx)(tx.Session(ctx, id))
}

// counted turns a session that is missing into one that does not count.
func counted(tx Tx) func(Session, error) (Session, bool, error) {
	return func(s Session, err error) (Session, bool, error) {
		if fault.Is(err, fault.NotFound) {
			return Session{}, false, nil
		}
		return s, err == nil && s.Live(tx.Now()), err
	}
}

// presented finds the session whose cookie the browser holds now, which may be another than the flow began with.
func presented(ctx context.Context, tx Tx, o Origin) (Session, bool, error) {
	if len(o.Session) == 0 {
		return Session{}, false, nil
	}
	return counted(tx)(tx.SessionByToken(ctx, o.Session))
}

// Established is what a finished sign-in gives the browser.
type Established struct {
	Session Session
	Token   Secret // the session cookie's new value; nil if the browser keeps the one it has
	Device  string // the device cookie's new value; empty if unchanged
	Trust   string // the trusted browser's cookie's new value; empty if unchanged
	// Refused says that the account may no longer sign in or the session carried into the flow has ended meanwhile; nothing
	// else is set. It is an outcome: commit it, issue nothing.
	Refused *fault.Error
}

// Establish spends a flow that stands at Done and makes its session: a new one, or the one it came with, whose token is
// replaced if this flow proved something. A flow that was never kept (single sign-on) has nothing to spend. Account and session
// are read again. A session of another account in the same browser ends. ErrFlowGone: somebody spent the flow first.
func (p SignIn) Establish(ctx context.Context, tx Tx, f Flow, o Origin) (Established, error) {
	if f.Next() != Done {
		return Established{}, ErrStep
	}
	if f.ID == "" && (f.provedHere() || f.Typed != "") {
		return Established{}, errors.New("a flow with a proof of its own was never kept")
	}
	if err := tx.LockAccount(ctx, f.Account); err != nil {
		return Established{}, err
	}
	if f.ID != "" {
		ok, err := tx.SpendFlow(ctx, f.ID)
		if err != nil {
			return Established{}, err
		}
		if !ok {
			return Established{}, ErrFlowGone
		}
	}

	acc, err := tx.Account(ctx, f.Account)
	if err != nil {
		return Established{}, err
	}
	s, live, err := presented(ctx, tx, o)
	if err != nil {
		return Established{}, err
	}
	outdated, err := provedBefore(ctx, tx, f, acc)
	if err == nil && !outdated {
		outdated, err = waivedNoMore(ctx, tx, f)
	}
	switch {
	case err != nil:
		return Established{}, err
	case !acc.Active():
		return refuseSession(ctx, tx, f, ErrSignIn, whyDisabled, o)
	case outdated, len(f.Carried.AMR) > 0 && (!live || s.ID != f.Session || s.Account != f.Account): // what it was carried from is over
		return refuseSession(ctx, tx, f, ErrFlowGone, whyOver, o)
	case f.provedHere():
		return p.open(ctx, tx, f, s, live, o)
	case !live || s.ID != f.Session || s.Account != f.Account: // somebody else signed in over it, or it ended
		return refuseSession(ctx, tx, f, ErrFlowGone, whyOver, o)
	}
	return Established{Session: s}, nil
}

// provedBefore reports whether the password, a factor or the account was changed after f's proof. A proof of what held before opens nothing
// (sec-S04): who waits on a consent page while the owner changes the password would otherwise come in after it.
func provedBefore(ctx context.Context, tx Tx, f Flow, acc Account) (bool, error) {
	if !f.provedHere() {
		return false, nil
	}
	pw, err := tx.Password(ctx, acc.ID)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return false, err
	}
	h, err := tx.Holder(ctx, acc.ID)
	if err != nil {
		return false, err
	}
	at := f.Proofs[0].At
	return pw.ChangedAt.After(at) || acc.UpdatedAt.After(at) || h.Version != f.Version, nil
}

// waivedNoMore reports whether f's trusted browser is trusted no more.
func waivedNoMore(ctx context.Context, tx Tx, f Flow) (bool, error) {
	if f.Waived == "" {
		return false, nil
	}
	b, err := tx.TrustedBrowser(ctx, f.Waived)
	if fault.Is(err, fault.NotFound) {
		return true, nil
	}
	return b.Account != f.Account, err
}

func refuseSession(ctx context.Context, tx Tx, f Flow, refused *fault.Error, why string, o Origin) (Established, error) {
	return Established{Refused: refused}, tx.Record(ctx, audit.Event{
		Kind: audit.SessionRefused, Outcome: audit.Refused, Code: why, Subject: f.Account.actor(), Client: string(f.Client),
		Session: string(f.Session), Request: o.Request, Personal: o.personal(),
	})
}

// open gives the person who proved themselves in f a session: old under a new token where it is theirs, else a new one.
func (p SignIn) open(ctx context.Context, tx Tx, f Flow, old Session, live bool, o Origin) (Established, error) {
	token := randomText(32)
	s, renewed, err := p.renew(ctx, tx, f, old, live, token, o)
	if err != nil {
		return Established{}, err
	}
	if !renewed {
		if s, err = p.start(ctx, tx, f, token, o); err != nil {
			return Established{}, err
		}
	}
	if live && !renewed { // somebody else signed in at this browser: their predecessor's session ends here
		if err := supersede(ctx, tx, old, o); err != nil {
			return Established{}, err
		}
	}

	pw, err := tx.Password(ctx, f.Account)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return Established{}, err
	}
	trust, err := p.trust(ctx, tx, f, o)
	if err != nil {
		return Established{}, err
	}
	return Established{Session: s, Token: Secret(token), Device: p.newDevice(f.Account, pw, tx.Now()), Trust: trust},
		tx.Record(ctx, audit.Event{
			Kind: audit.SessionStarted, Outcome: audit.OK, Actor: f.Account.actor(), Subject: f.Account.actor(), Client: string(f.Client),
			Session: string(s.ID), Request: o.Request, Personal: o.personal(),
			Detail: map[string]string{"acr": f.ACR, "amr": strings.Join(f.AMR, " ")},
		})
}

func (p SignIn) start(ctx context.Context, tx Tx, f Flow, token string, o Origin) (Session, error) {
	now, policy := tx.Now(), p.Sessions.withDefaults()
	s := Session{ID: SessionID(tx.NewID()), Account: f.Account, CreatedAt: now}
	p.prove(&s, f, token, now, policy, o)
	return s, tx.AddSession(ctx, s)
}

// renew replaces the token of the account's own session: a new identifier at each rise in privilege (I19, sec-S01).
func (p SignIn) renew(ctx context.Context, tx Tx, f Flow, s Session, live bool, token string, o Origin) (Session, bool, error) {
	if !live || s.Account != f.Account {
		return Session{}, false, nil
	}
	old := s.TokenHash
	p.prove(&s, f, token, tx.Now(), p.Sessions.withDefaults(), o)
	ok, err := tx.RenewSession(ctx, s, old)
	if err != nil || !ok {
		return Session{}, false, err
	}
	return s, true, recordSuperseded(ctx, tx, s, o)
}

func (p SignIn) prove(s *Session, f Flow, token string, now time.Time, policy SessionPolicy, o Origin) {
	s.TokenHash = hashToken(token)
	s.AuthTime, s.ACR, s.AMR = f.AuthTime, f.ACR, f.AMR
	s.SeenAt, s.Ends = now, now.Add(policy.Absolute)
	s.IdleEnds = policy.idleEnd(now, s.Ends)
	s.UserAgent, s.Source = clip(o.UserAgent, 512), o.Address
}

func supersede(ctx context.Context, tx Tx, s Session, o Origin) error {
	ok, err := tx.EndSession(ctx, s.ID)
	if err != nil || !ok {
		return err
	}
	if err := recordSuperseded(ctx, tx, s, o); err != nil {
		return err
	}
	return endWithSession(ctx, tx, s, s.Account.actor(), "session-superseded", o)
}

func recordSuperseded(ctx context.Context, tx Tx, s Session, o Origin) error {
	return tx.Record(ctx, audit.Event{
		Kind: audit.SessionSuperseded, Outcome: audit.OK, Actor: s.Account.actor(), Subject: s.Account.actor(), Session: string(s.ID),
		Request: o.Request, Personal: o.personal(),
	})
}

// endWithSession ends the grants of the clients whose refresh tokens end with s.
func endWithSession(ctx context.Context, tx Tx, s Session, by, why string, o Origin) error {
	e := ending{by: by, account: s.Account, why: why, request: o.Request}
	_, err := e.grants(ctx, tx, GrantFilter{Account: s.Account, Session: s.ID, EndingWithSession: true})
	return err
}

// SignOut ends a session, and the refresh tokens of clients that end with it. One that has ended already stays as it is.
func SignOut(ctx context.Context, tx Tx, by string, s Session, o Origin) error {
	ok, err := tx.EndSession(ctx, s.ID)
	if err != nil || !ok {
		return err
	}
	e := ending{by: by, account: s.Account, why: "signed-out", request: o.Request}
	if err := e.recordSession(ctx, tx, audit.SessionEnded, s.ID); err != nil {
		return err
	}
	return endWithSession(ctx, tx, s, by, e.why, o)
}

// SignOutOthers ends an account's sessions but one, with every grant made in them, offline ones too: whoever signs others out
// wants them out. With no exception it is "sign out everywhere" and ends all grants of the account. It returns how many
// sessions ended.
func SignOutOthers(ctx context.Context, tx Tx, by string, id AccountID, except SessionID, o Origin) (int, error) {
	if err := tx.LockAccount(ctx, id); err != nil {
		return 0, err
	}
	e := ending{by: by, account: id, why: "signed-out", request: o.Request}
	ended, err := e.sessions(ctx, tx, except)
	if err != nil {
		return 0, err
	}
	if except == "" {
		_, err := e.grants(ctx, tx, GrantFilter{Account: id})
		return len(ended), err
	}
	for _, s := range ended {
		if _, err := e.grants(ctx, tx, GrantFilter{Account: id, Session: s}); err != nil {
			return 0, err
		}
	}
	return len(ended), nil
}

// clip cuts s to at most n bytes, between characters.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "")
}
