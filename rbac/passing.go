package rbac

import (
	"context"
	"time"
)

// Passing is what looking at people again takes of a transaction, because time has passed.
type Passing interface {
	Tx
	// Marks returns how far that has come.
	Marks(ctx context.Context) (Marks, error)
	// MoveSwept and MoveWhole move a mark, and report false if it is not where it was.
	MoveSwept(ctx context.Context, from, to Instant) (bool, error)
	MoveWhole(ctx context.Context, from, to Instant) (bool, error)
	// Crossed returns whose assignments, memberships, delegations and exceptions began or ended after one instant, up to another. It
	// looks at no more than most of those moments, and all that are at one instant, and returns how far it came.
	Crossed(ctx context.Context, after, until Instant, most int) ([]SubjectID, Instant, error)
	// SubjectsAfter returns up to most subjects with identifiers above after, in that order.
	SubjectsAfter(ctx context.Context, after SubjectID, most int) ([]SubjectID, error)
}

// Marks say until when time was followed, and when everybody was last looked at.
type Marks struct{ Swept, Whole Instant }

// Passed is what one step found.
type Passed struct {
	People int
	Hits   []Hit // conflicts that are gone; those that are there stand in the store
	More   bool  // there is another step to take
}

const (
	// passingLag is how long after a moment people are looked at for it: longer than any transaction takes, so that no change that was
	// under way then is overlooked.
	passingLag = Instant(15 * time.Second / time.Microsecond)
	// wholeLease is how long a process may take to look at everybody before another begins anew.
	wholeLease = Instant(time.Hour / time.Microsecond)
)

// byTime is who acts where nobody does.
var byTime = By{Actor: "system"}

// Pass looks at those for whom something began or ended since the mark, and moves it, one step a transaction. The mark is claimed
// first: any number of processes may do this, and each step is taken once. If the transaction fails the mark stays.
func Pass(ctx context.Context, tx Passing, most int) (Passed, error) {
	if err := tx.LockPolicy(ctx, false); err != nil { // before the row of the marks: who changes the policy takes them in this order
		return Passed{}, err
	}
	m, err := tx.Marks(ctx)
	until := At(tx.Now()) - passingLag
	if err != nil || m.Swept >= until {
		return Passed{}, err
	}
	to := until
	var whom []SubjectID
	if m.Swept != 0 { // the first time everybody is looked at anyway
		if whom, to, err = tx.Crossed(ctx, m.Swept, until, most); err != nil {
			return Passed{}, err
		}
	}
	ok, err := tx.MoveSwept(ctx, m.Swept, to)
	if err != nil || !ok {
		return Passed{More: !ok}, err
	}
	p, err := look(ctx, tx, whom)
	p.More = to < until
	return p, err
}

// Whole is one round of looking at everybody.
type Whole struct{ began, claimed Instant }

// BeginWhole claims the round of the day; false while it is not due or another process has it.
func BeginWhole(ctx context.Context, tx Passing) (Whole, bool, error) {
	m, err := tx.Marks(ctx)
	now := At(tx.Now())
	if err != nil || m.Whole > now-Day {
		return Whole{}, false, err
	}
	w := Whole{now, now - Day + wholeLease}
	ok, err := tx.MoveWhole(ctx, m.Whole, w.claimed)
	return w, ok, err
}

// End says that everybody was looked at.
func (w Whole) End(ctx context.Context, tx Passing) error {
	_, err := tx.MoveWhole(ctx, w.claimed, w.began) // if it took longer than the lease, another round is under way
	return err
}

// PassAll looks at the next people after one, whatever happened to them, and returns the last. More is false once all were looked at.
func PassAll(ctx context.Context, tx Passing, after SubjectID, most int) (Passed, SubjectID, error) {
	whom, err := tx.SubjectsAfter(ctx, after, most)
	if err != nil || len(whom) == 0 {
		return Passed{}, after, err
	}
	p, err := look(ctx, tx, whom)
	p.More = len(whom) == most
	return p, whom[len(whom)-1], err
}

func look(ctx context.Context, tx Passing, whom []SubjectID) (Passed, error) {
	if len(whom) == 0 {
		return Passed{}, nil
	}
	res, err := Apply(ctx, tx, byTime, Changeset{Ops: []Op{Sweep{Subjects: whom}}})
	if err == nil {
		err = res.Err()
	}
	return Passed{People: len(whom), Hits: res.Hits}, err
}
