package auth

import (
	"context"
	"strconv"

	"github.com/countersign-id/countersign/audit"
	"github.com/countersign-id/countersign/internal/fault"
)

func (id AccountID) actor() string { return "account:" + string(id) }
func (id ClientID) actor() string  { return "client:" + string(id) }

// personal holds what erasure must be able to take back of an event.
func (o Origin) personal() map[string]string {
	return personal(audit.Address, o.Address, audit.Agent, o.UserAgent)
}

// personal makes a map of pairs, without those that are empty.
func personal(pairs ...string) map[string]string {
	m := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			m[pairs[i]] = pairs[i+1]
		}
	}
	return m
}

// Stray is the event of a refused sign-in that reached no account: the door hands it to the coalescer once the transaction is
// over, because strangers could fill the disk with events of their own. Every refusal of Admit is one, and so is every refusal
// of Settle where a.Account is empty.
func Stray(f Flow, why *fault.Error, o Origin) audit.Event {
	return audit.Event{
		Kind: audit.SessionRefused, Outcome: audit.Refused, Code: why.Code, Client: string(f.Client), Request: o.Request,
		Personal: personal(audit.Address, o.Address, audit.Agent, o.UserAgent, audit.Typed, f.Typed),
	}
}

// ending ends what hangs on an account, on behalf of somebody, each with its event.
type ending struct {
	by      string
	account AccountID
	why     string
	request string
}

// sessions ends all sessions of the account but one ("" for none).
func (e ending) sessions(ctx context.Context, tx Tx, except SessionID) ([]SessionID, error) {
	ended, err := tx.EndSessions(ctx, e.account, except)
	if err != nil {
		return nil, err
	}
	for _, id := range ended {
		if err := e.recordSession(ctx, tx, audit.SessionEnded, id); err != nil {
			return nil, err
		}
	}
	return ended, nil
}

func (e ending) recordSession(ctx context.Context, tx Tx, kind audit.Kind, id SessionID) error {
	return tx.Record(ctx, audit.Event{
		Kind: kind, Outcome: audit.OK, Code: e.why, Actor: e.by, Subject: e.account.actor(), Session: string(id), Request: e.request,
	})
}

// grants ends the grants that f picks.
func (e ending) grants(ctx context.Context, tx Tx, f GrantFilter) (int, error) {
	ended, err := tx.EndGrants(ctx, f, e.why)
	if err != nil {
		return 0, err
	}
	for _, id := range ended {
		err := tx.Record(ctx, audit.Event{
			Kind: audit.GrantRevoked, Outcome: audit.OK, Code: e.why, Actor: e.by, Subject: e.account.actor(),
			Client: string(f.Client), Session: string(f.Session), Grant: string(id), Request: e.request,
		})
		if err != nil {
			return 0, err
		}
	}
	return len(ended), nil
}

// all ends every session and every grant of the account: what trust in its old state had given (sec-S04).
func (e ending) all(ctx context.Context, tx Tx, except SessionID) (detail map[string]string, err error) {
	sessions, err := e.sessions(ctx, tx, except)
	if err != nil {
		return nil, err
	}
	grants, err := e.grants(ctx, tx, GrantFilter{Account: e.account})
	if err != nil {
		return nil, err
	}
	return map[string]string{"sessions": strconv.Itoa(len(sessions)), "grants": strconv.Itoa(grants)}, nil
}
