package rbac

import (
	"context"
	"slices"
)

// Apply is the only way to change who may hold what. It locks, reads what the change may touch, judges it, records it and
// writes it. Nothing is written and one event is recorded where it is refused or has to wait: that is a Result, not an
// error. The error is for faults alone; what was done under it must be rolled back.
//
// A dry run takes no locks, writes nothing and records nothing: what it says may be overtaken.
func Apply(ctx context.Context, tx Tx, by By, c Changeset) (Result, error) {
	if slices.ContainsFunc(c.Ops, belongsToAuth) {
		return Result{Outcome: Refused, Why: ErrInvalid.Saying("People and accounts are not added or deleted by a change of who may hold what.")}, nil
	}
	if !c.DryRun {
		if err := tx.LockPolicy(ctx, c.structural()); err != nil {
			return Result{}, err
		}
	}
	st, err := tx.Structure(ctx)
	if err != nil {
		return Result{}, err
	}
	s, err := gatherState(ctx, tx, st, by, c)
	if err != nil {
		return Result{}, err
	}
	res, err := s.Apply(by, c, At(tx.Now()))
	if err != nil || c.DryRun {
		return res, err
	}
	if res.Outcome == Applied {
		var next *Structure
		if c.structural() && res.Epoch != st.Epoch {
			next = structure(s.Policy, s.snap)
		}
		if err := tx.Store(ctx, next, res.Writes); err != nil {
			return res, err
		}
	}
	return res, s.record(ctx, tx, by, st.Epoch, res)
}

// Do is Apply for whoever has no answer to a refusal: it comes back as the error, and with it everything is rolled back.
func Do(ctx context.Context, tx Tx, by By, ops ...Op) error {
	res, err := Apply(ctx, tx, by, Changeset{Ops: ops})
	if err != nil {
		return err
	}
	return res.Err()
}

// Furnish brings in what is built in. It does nothing where all of it is there.
func Furnish(ctx context.Context, tx Tx, by By) error {
	st, err := tx.Structure(ctx)
	if err != nil || len(Install(st.Policy)) == 0 {
		return err
	}
	if err := tx.LockPolicy(ctx, true); err != nil { // another process may be doing the same
		return err
	}
	if st, err = tx.Structure(ctx); err != nil {
		return err
	}
	return Do(ctx, tx, by, Install(st.Policy)...)
}

// structural reports whether c may change the policy itself.
func (c Changeset) structural() bool {
	return slices.ContainsFunc(c.Ops, func(op Op) bool { _, people := op.(peopleOp); return !people })
}

// belongsToAuth reports whether op is only for states in memory: who signs in makes their accounts elsewhere.
func belongsToAuth(op Op) bool {
	switch op.(type) {
	case AddSubject, AddAccount, DeleteAccount:
		return true
	}
	return false
}

// gatherState reads everybody whom c may touch.
func gatherState(ctx context.Context, tx Tx, st *Structure, by By, c Changeset) (*State, error) {
	whom := c.names()
	if by.Subject != "" {
		whom.Subjects = append(whom.Subjects, by.Subject)
	}
	find := tx.LockSubjects
	limited := st.limitsIn(c)
	if c.structural() {
		more, all := st.reach(c, by, At(tx.Now()))
		whom = whom.and(more)
		limited = append(limited, all...)
	}
	if c.structural() || c.DryRun {
		find = tx.SubjectsOf // nobody else writes under an exclusive lock
	}
	ids, err := find(ctx, whom)
	if err != nil {
		return nil, err
	}
	rows, err := tx.People(ctx, ids)
	if err != nil {
		return nil, err
	}
	s := st.State(rows...)
	if c.structural() {
		s.Policy = s.Policy.Clone()
	}

	for _, id := range st.limits {
		if s.held(id) {
			limited = append(limited, id)
		}
	}
	if limited = sorted(limited); len(limited) == 0 {
		return s, nil
	}
	if !c.DryRun {
		if err := tx.LockRoles(ctx, limited); err != nil {
			return nil, err
		}
	}
	return s, s.gatherHolders(ctx, tx, limited, ids)
}

// gatherHolders reads who else, besides those read already, holds roles that count their people.
func (s *State) gatherHolders(ctx context.Context, tx Tx, limited []RoleID, read []SubjectID) error {
	holders := Whom{Roles: limited}
	for _, r := range limited {
		for g := range s.groupsUnder(r) {
			holders.Groups = append(holders.Groups, g)
		}
	}
	others, err := tx.SubjectsOf(ctx, holders)
	if err != nil {
		return err
	}
	others = slices.DeleteFunc(others, func(id SubjectID) bool { _, there := slices.BinarySearch(read, id); return there })
	rows, err := tx.People(ctx, others)
	if err != nil {
		return err
	}
	snap := s.snap
	s.Load(rows...)
	s.snap = snap // people change nothing of it
	return nil
}

// names returns whom the operations name.
func (c Changeset) names() Whom {
	var w Whom
	for _, op := range c.Ops {
		if o, ok := op.(peopleOp); ok {
			o.names(&w)
		}
	}
	return w
}

func (w Whom) and(o Whom) Whom {
	return Whom{
		slices.Concat(w.Accounts, o.Accounts), slices.Concat(w.Subjects, o.Subjects), slices.Concat(w.Assignments, o.Assignments),
		slices.Concat(w.Delegations, o.Delegations), slices.Concat(w.Exceptions, o.Exceptions), slices.Concat(w.Roles, o.Roles),
		slices.Concat(w.Groups, o.Groups), slices.Concat(w.Rules, o.Rules), slices.Concat(w.Controls, o.Controls),
		w.Delegating || o.Delegating, w.Everybody || o.Everybody,
	}
}

// limitsIn returns the roles with a limit that the operations on people name.
func (st *Structure) limitsIn(c Changeset) []RoleID {
	if len(st.limits) == 0 {
		return nil
	}
	s := st.State()
	for _, op := range c.Ops {
		switch o := op.(type) {
		case Assign:
			s.Load(o.Assignment)
		case Delegate:
			s.Load(o.Delegation)
		case AddMember:
			s.Load(o.Membership)
		}
	}
	return slices.DeleteFunc(slices.Clone(st.limits), func(id RoleID) bool { return !s.held(id) })
}

// held reports whether anybody holds role by assignment, by delegation or through a group.
func (s *State) held(role RoleID) bool {
	found := false
	s.holders(role, func(AccountID, Window) { found = true })
	return found
}
