package store

import (
	"context"
	"errors"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/countersign-id/countersign/audit"
)

type eventRow struct {
	ID         string `gorm:"primaryKey"`
	At         int64
	Kind       string
	Outcome    string
	Code       string
	Actor      string
	Subject    string
	Client     string
	Session    string
	GrantID    string
	Request    string
	Detail     doc[map[string]string]
	Tally      int
	Personal   *doc[map[string]string]
	Salt       []byte
	Commitment []byte
	Position   *int64
	Hash       []byte
	Pruned     flag
}

func (eventRow) TableName() string { return "events" }

func eventOf(e audit.Event) eventRow {
	r := eventRow{
		ID: e.ID, At: e.At.UnixMicro(), Kind: string(e.Kind), Outcome: string(e.Outcome), Code: e.Code,
		Actor: e.Actor, Subject: e.Subject, Client: e.Client, Session: e.Session, GrantID: e.Grant, Request: e.Request,
		Detail: doc[map[string]string]{e.Detail}, Tally: e.Count,
	}
	if len(e.Personal) > 0 {
		r.Personal = &doc[map[string]string]{e.Personal}
		r.Salt, r.Commitment = audit.Commit(e.Personal)
	}
	return r
}

func (r eventRow) entry() audit.Entry {
	e := audit.Entry{
		Event: audit.Event{
			ID: r.ID, At: micros(r.At).time(), Kind: audit.Kind(r.Kind), Outcome: audit.Outcome(r.Outcome), Code: r.Code,
			Actor: r.Actor, Subject: r.Subject, Client: r.Client, Session: r.Session, Grant: r.GrantID, Request: r.Request,
			Detail: r.Detail.v, Count: r.Tally,
		},
		Commitment: r.Commitment, Salt: r.Salt, Position: Unplaced, Pruned: bool(r.Pruned),
	}
	if r.Personal != nil {
		e.Personal = r.Personal.v
	}
	if r.Position != nil {
		e.Position = *r.Position
	}
	copy(e.Hash[:], r.Hash)
	return e
}

// Unplaced is the position of an entry that the sequencer has not put into the log yet.
const Unplaced = -1

// Record implements audit.Recorder. The event is written when the transaction commits, together with all others of it; if it cannot
// be, nothing of the transaction is.
func (tx *Tx) Record(_ context.Context, e audit.Event) error {
	switch {
	case tx.conn.ended:
		return errEnded
	case tx.conn.reads:
		return tx.conn.doom(errReadsOnly)
	case e.Kind == "" || e.Outcome == "":
		return tx.conn.doom(errors.New("store: an event without kind or outcome"))
	}
	if e.ID == "" {
		e.ID = tx.NewID()
	}
	if e.At.IsZero() {
		e.At = tx.now
	}
	tx.events = append(tx.events, legibleEvent(e))
	return nil
}

// legibleEvent makes what strangers sent storable before it is committed to: a log that hashed one text and keeps another would not verify.
func legibleEvent(e audit.Event) audit.Event {
	for _, s := range []*string{&e.Code, &e.Actor, &e.Subject, &e.Client, &e.Session, &e.Grant, &e.Request} {
		*s = legible(*s)
	}
	e.Detail, e.Personal = legibleMap(e.Detail), legibleMap(e.Personal)
	return e
}

func legibleMap(m map[string]string) map[string]string {
	if len(m) == 0 {
		return nil
	}
	out := make(map[string]string, len(m))
	for k, v := range m {
		out[legible(k)] = legible(v)
	}
	return out
}

// flush writes the transaction's events, many rows a statement.
func (tx *Tx) flush(ctx context.Context) error {
	events := tx.events
	tx.events = nil
	for part := range chunks(events, 200) {
		rows := mapped(part, eventOf)
		if err := tx.on(ctx).CreateInBatches(&rows, len(rows)).Error; err != nil {
			return err
		}
	}
	return nil
}

// EventFilter picks events. Empty fields match all.
type EventFilter struct {
	After   string // identifier; pages begin after it
	Before  string // identifier; pages end before it
	Newest  bool   // newest first
	Subject string
	Actor   string
	Client  string
	Kind    audit.Kind
	Outcome audit.Outcome
}

// Events returns up to max events that f picks, by identifier. Identifiers follow time only roughly and commits not at all: who must miss
// none pages by position (LogEntries).
func (tx *Tx) Events(ctx context.Context, f EventFilter, max int) ([]audit.Entry, error) {
	if err := tx.flush(ctx); err != nil {
		return nil, err
	}
	q, order := tx.on(ctx).Where("pruned = 0"), "id"
	pick := func(condition, value string) {
		if value != "" {
			q = q.Where(condition, value)
		}
	}
	pick("id > ?", f.After)
	pick("id < ?", f.Before)
	pick("subject = ?", f.Subject)
	pick("actor = ?", f.Actor)
	pick("client = ?", f.Client)
	pick("kind = ?", string(f.Kind))
	pick("outcome = ?", string(f.Outcome))
	if f.Newest {
		order = "id DESC"
	}
	rows, err := find[eventRow](q.Order(order).Limit(max))
	return mapped(rows, eventRow.entry), err
}

// CountEvents returns how many events there are, pruned ones too.
func (tx *Tx) CountEvents(ctx context.Context) (int, error) {
	if err := tx.flush(ctx); err != nil {
		return 0, err
	}
	return tx.number(ctx, "SELECT count(*) FROM events")
}

func hashOf(b []byte) (h tlog.Hash) {
	copy(h[:], b)
	return h
}
