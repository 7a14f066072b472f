package auth

import (
	"context"

	"github.com/countersign-id/countersign/audit"
	"github.com/countersign-id/countersign/internal/fault"
)

// ErrStale refuses a change of something that changed meanwhile.
var ErrStale = fault.New(fault.Stale, "changed-meanwhile", "Somebody changed this meanwhile. Look at it again.")

// TryCurrent counts an attempt at the present password of somebody signed in, against the same limits as TryPassword, and says
// what to verify it against. After a mismatch, or where Dummy is set, call RefusePassword; otherwise ChangePassword with a.Hash.
func (p SignIn) TryCurrent(ctx context.Context, tx Tx, cur Current, o Origin) (Attempt, error) {
	acc, err := tx.Account(ctx, cur.Account.ID)
	if err != nil {
		return Attempt{}, err
	}
	return p.try(ctx, tx, "", acc, o)
}

// RefusePassword records that a change of password was refused: a wrong present password, or a new one that is too weak.
func RefusePassword(ctx context.Context, tx Tx, cur Current, why *fault.Error, o Origin) error {
	return tx.Record(ctx, audit.Event{
		Kind: audit.PasswordRefused, Outcome: audit.Refused, Code: why.Code, Actor: cur.Account.ID.actor(), Subject: cur.Account.ID.actor(),
		Session: string(cur.Session.ID), Request: o.Request, Personal: o.personal(),
	})
}

// ChangePassword replaces the account's password after the caller verified the current one and hashed the new one, both
// outside the transaction. It ends all other sessions and every grant (sec-S04), renews the current session's token and
// notifies the person. seen is the hash the current password was verified against; if that is no longer the stored one
// the change is refused as Stale.
func (p SignIn) ChangePassword(ctx context.Context, tx Tx, cur Current, seen, hash string, o Origin) (Established, error) {
	id := cur.Account.ID
	if err := tx.LockAccount(ctx, id); err != nil {
		return Established{}, err
	}
	acc, err := tx.Account(ctx, id)
	if err != nil {
		return Established{}, err
	}
	s, live, err := liveSession(ctx, tx, cur.Session.ID)
	if err != nil {
		return Established{}, err
	}
	if !acc.Active() || !live || s.Account != id {
		return Established{}, ErrSignIn
	}
	pw, err := tx.Password(ctx, id)
	if err != nil {
		return Established{}, err
	}
	if seen == "" || pw.Hash != seen {
		return Established{}, ErrStale
	}

	if err := replacePassword(ctx, tx, id.actor(), id, hash, s.ID, o); err != nil {
		return Established{}, err
	}
	old, token := s.TokenHash, randomText(32)
	s.TokenHash, s.SeenAt = hashToken(token), tx.Now()
	ok, err := tx.RenewSession(ctx, s, old)
	if err != nil {
		return Established{}, err
	}
	if !ok {
		return Established{}, ErrStale
	}
	if pw, err = tx.Password(ctx, id); err != nil {
		return Established{}, err
	}
	return Established{Session: s, Token: Secret(token), Device: p.newDevice(id, pw, tx.Now())}, recordSuperseded(ctx, tx, s, o)
}

// SetPassword replaces a password on an operator's behalf, with the effects of ChangePassword.
func SetPassword(ctx context.Context, tx Tx, by string, id AccountID, hash string) error {
	if err := tx.LockAccount(ctx, id); err != nil {
		return err
	}
	if _, err := tx.Account(ctx, id); err != nil {
		return err
	}
	return replacePassword(ctx, tx, by, id, hash, "", Origin{})
}

// replacePassword writes the hash and ends what the old password had opened: sessions but one, grants, known browsers and,
// because they count per password, limits.
func replacePassword(ctx context.Context, tx Tx, by string, id AccountID, hash string, except SessionID, o Origin) error {
	if hash == "" {
		return fault.New(fault.Internal, "internal", "Something went wrong on our side. Nothing was changed.")
	}
	if err := tx.PutPassword(ctx, Password{Account: id, Hash: hash, ChangedAt: tx.Now()}); err != nil {
		return err
	}
	detail, err := ending{by: by, account: id, why: "password-changed", request: o.Request}.all(ctx, tx, except)
	if err != nil {
		return err
	}
	if err := forgetBrowsers(ctx, tx, id, by, "password-changed", o); err != nil {
		return err
	}
	detail["way"] = "operator"
	if by == id.actor() {
		detail["way"] = "self"
	}
	err = tx.Record(ctx, audit.Event{
		Kind: audit.PasswordChanged, Outcome: audit.OK, Actor: by, Subject: id.actor(), Session: string(except), Request: o.Request,
		Detail: detail, Personal: o.personal(),
	})
	if err != nil {
		return err
	}
	return tx.Notify(ctx, Message{Account: id, Text: "password-changed"})
}
