package storetest

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/countersign-id/countersign/rbac"
	"github.com/countersign-id/countersign/store"
)

// passing: time goes on, and what stands in the way of rules is found.
var passing = []promise{
	{"finds for whom something began or ended, each moment once", func(t *testing.T, open opener) {
		db := open()
		ann, bob, cee, dan := account(t, db, "ann"), account(t, db, "bob"), account(t, db, "cee"), account(t, db, "dan")
		between := func(from, to rbac.Instant) rbac.Window { return rbac.Window{From: from, To: to} }
		update(t, db, func(ctx context.Context, tx *store.Tx) error {
			return tx.Store(ctx, nil, []rbac.Write{
				{New: rbac.Assignment{ID: "a", Account: rbac.AccountID(ann.ID), Role: "r", During: between(10, 20)}},
				{New: rbac.Assignment{ID: "for good", Account: rbac.AccountID(ann.ID), Role: "s", During: between(1, 0)}},
				{New: rbac.Membership{Group: "g", Account: rbac.AccountID(bob.ID), During: between(20, 30)}},
				{New: rbac.Delegation{ID: "d", From: rbac.AccountID(ann.ID), To: rbac.AccountID(cee.ID), Roles: []rbac.RoleID{"r"}, During: between(30, 40)}},
				{New: rbac.Exception{ID: "x", Rule: "R", Subject: rbac.SubjectID(dan.Person), During: between(40, 50)}},
				{New: rbac.Assignment{ID: "w", Account: "robot", Role: "r", During: between(50, 60)}},
			})
		})
		a, b, c, d := rbac.SubjectID(ann.Person), rbac.SubjectID(bob.Person), rbac.SubjectID(cee.Person), rbac.SubjectID(dan.Person)
		for _, tt := range []struct {
			after, until rbac.Instant
			most         int
			want         []rbac.SubjectID
			came         rbac.Instant
		}{
			{5, 9, 100, nil, 9},
			{9, 10, 100, []rbac.SubjectID{a}, 10},
			{10, 19, 100, nil, 19},
			{10, 20, 100, []rbac.SubjectID{a, b}, 20},
			{9, 60, 1, []rbac.SubjectID{a}, 10},
			{10, 60, 1, []rbac.SubjectID{a, b}, 20}, // two at one moment
			{20, 60, 2, []rbac.SubjectID{b, c}, 30},
			{30, 60, 100, []rbac.SubjectID{c, d, "robot"}, 60},
			{50, 100, 100, []rbac.SubjectID{"robot"}, 100},
			{60, rbac.Forever - 1, 100, nil, rbac.Forever - 1}, // what has no end never ends
		} {
			view(t, db, func(ctx context.Context, tx *store.Tx) error {
				got, came, err := tx.Crossed(ctx, tt.after, tt.until, tt.most)
				slices.Sort(tt.want)
				if !slices.Equal(got, tt.want) || came != tt.came {
					t.Errorf("after %d until %d, %d at the most: got %v to %d, want %v to %d", tt.after, tt.until, tt.most, got, came, tt.want, tt.came)
				}
				return err
			})
		}
		view(t, db, func(ctx context.Context, tx *store.Tx) error {
			var all []rbac.SubjectID
			for after := rbac.SubjectID(""); ; {
				part, err := tx.SubjectsAfter(ctx, after, 2)
				if err != nil || len(part) == 0 {
					want := []rbac.SubjectID{a, b, c, d}
					slices.Sort(want)
					same(t, all, want)
					return err
				}
				all, after = append(all, part...), part[len(part)-1]
			}
		})
	}},
	{"moves the marks of time for one process alone", func(t *testing.T, open opener) {
		db := open()
		update(t, db, func(ctx context.Context, tx *store.Tx) error {
			one, err := tx.MoveSwept(ctx, 0, 7)
			two, err2 := tx.MoveSwept(ctx, 0, 8)
			three, err3 := tx.MoveWhole(ctx, 0, 9)
			four, err4 := tx.MoveWhole(ctx, 1, 10)
			if !one || two || !three || four {
				t.Errorf("got %v %v %v %v, want that a mark moves only from where it is", one, two, three, four)
			}
			return errors.Join(err, err2, err3, err4)
		})
		view(t, db, func(ctx context.Context, tx *store.Tx) error {
			m, err := tx.Marks(ctx)
			same(t, m, rbac.Marks{Swept: 7, Whole: 9})
			return err
		})
	}},
	{"lists violations, cases and exceptions by rule and person, page by page", func(t *testing.T, open opener) {
		db := open()
		ann, bob := account(t, db, "ann"), account(t, db, "bob")
		people := []rbac.SubjectID{rbac.SubjectID(ann.Person), rbac.SubjectID(bob.Person)}
		slices.Sort(people)
		var writes []rbac.Write
		for _, rule := range []rbac.RuleID{"A", "B"} {
			for _, who := range people {
				writes = append(writes, rbac.Write{New: rbac.Violation{Rule: rule, Subject: who, Uncovered: []rbac.Window{{From: 5}}}},
					rbac.Write{New: rbac.Case{Rule: rule, Subject: who, State: rbac.CaseOpen}},
					rbac.Write{New: rbac.Exception{ID: rbac.ExceptionID(string(rule) + string(who)), Rule: rule, Subject: who, During: rbac.Window{To: 9}}})
			}
		}
		writes = append(writes, rbac.Write{New: rbac.Case{Rule: "C", State: rbac.CaseInvalid}})
		update(t, db, func(ctx context.Context, tx *store.Tx) error { return tx.Store(ctx, nil, writes) })
		view(t, db, func(ctx context.Context, tx *store.Tx) error {
			var seen []rbac.CaseKey
			f := store.ConflictFilter{}
			for {
				page, err := tx.Violations(ctx, f, 3)
				if err != nil {
					return err
				}
				for _, v := range page {
					f.After = rbac.CaseKey{Rule: v.Rule, Subject: v.Subject}
					seen = append(seen, f.After)
				}
				if len(page) < 3 {
					break
				}
			}
			same(t, seen, []rbac.CaseKey{{Rule: "A", Subject: people[0]}, {Rule: "A", Subject: people[1]}, {Rule: "B", Subject: people[0]}, {Rule: "B", Subject: people[1]}})
			n, err := tx.CountViolations(ctx)
			one, err2 := tx.Exceptions(ctx, store.ConflictFilter{Rules: []rbac.RuleID{"B", "none"}, Subject: people[1]}, 10)
			none, err3 := tx.Violations(ctx, store.ConflictFilter{Rules: []rbac.RuleID{}}, 10)
			open, err4 := tx.Cases(ctx, store.ConflictFilter{States: []rbac.CaseState{rbac.CaseOpen}}, 10)
			all, err5 := tx.Cases(ctx, store.ConflictFilter{}, 10)
			if n != 4 || len(one) != 1 || one[0].Rule != "B" || len(none) != 0 || len(open) != 4 || len(all) != 5 {
				t.Errorf("got %d violations, %v, %v, %d open cases of %d", n, one, none, len(open), len(all))
			}
			accounts, err6 := tx.AccountsOf(ctx, append(people, "none"))
			if len(accounts) != 2 {
				t.Errorf("got %d accounts, want 2", len(accounts))
			}
			return errors.Join(err, err2, err3, err4, err5, err6)
		})
	}},
}
