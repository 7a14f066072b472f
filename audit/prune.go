package audit

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"

	"golang.org/x/mod/sumdb/note"
)

// Pruning says that retention removed the bodies of the entries from From up to, not including,
// To. Their hashes and positions stay.
type Pruning struct {
	From, To int64
}

// statement is the key of Detail under which a pruning event carries its signed statement.
const statement = "statement"

func (p Pruning) text(origin string) string {
	return fmt.Sprintf("%s pruned\n%d\n%d\n", origin, p.From, p.To)
}

// Event returns the event to be recorded in the transaction that removes the bodies. It carries
// a statement under the log's key: without it, whoever can write to the database could empty
// entries and add an event that excuses it. An event of this kind must outlive what it covers,
// so a pruning that takes earlier ones along covers their ranges too (begin at 0).
func (p Pruning) Event(signer note.Signer) (Event, error) {
	signed, err := note.Sign(&note.Note{Text: p.text(signer.Name())}, signer)
	if err != nil {
		return Event{}, err
	}
	return Event{
		Kind: Pruned, Outcome: OK, Actor: "system",
		Detail: map[string]string{
			"from": strconv.FormatInt(p.From, 10), "to": strconv.FormatInt(p.To, 10), statement: string(signed),
		},
	}, nil
}

// pruningOf reads the statement of a pruning event; false where it is not signed by a known key.
func pruningOf(e Event, known note.Verifiers) (Pruning, bool) {
	n, err := note.Open([]byte(e.Detail[statement]), known)
	if err != nil {
		return Pruning{}, false
	}
	var p Pruning
	var errs [2]error
	p.From, errs[0] = strconv.ParseInt(e.Detail["from"], 10, 64)
	p.To, errs[1] = strconv.ParseInt(e.Detail["to"], 10, 64)
	ok := errs[0] == nil && errs[1] == nil && 0 <= p.From && p.From < p.To
	return p, ok && slices.ContainsFunc(n.Sigs, func(s note.Signature) bool { return p.text(s.Name) == n.Text })
}

// covers are the ranges of prunings, joined and in order.
type covers []Pruning

func coversOf(events []Event, known note.Verifiers) covers {
	var all covers
	for _, e := range events {
		if p, ok := pruningOf(e, known); ok {
			all = append(all, p)
		}
	}
	slices.SortFunc(all, func(a, b Pruning) int { return cmp.Compare(a.From, b.From) })
	var joined covers
	for _, p := range all {
		if n := len(joined); n > 0 && p.From <= joined[n-1].To {
			joined[n-1].To = max(joined[n-1].To, p.To)
			continue
		}
		joined = append(joined, p)
	}
	return joined
}

func (c covers) has(position int64) bool {
	i, found := slices.BinarySearchFunc(c, position, func(p Pruning, at int64) int {
		switch {
		case p.To <= at:
			return -1
		case p.From > at:
			return 1
		}
		return 0
	})
	return found && i < len(c)
}
