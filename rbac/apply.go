package rbac

import (
	"cmp"
	"slices"

	"github.com/countersign-id/countersign/internal/fault"
)

// By is who makes a change.
type By struct {
	Actor   string    // as the audit log names it: "account:<id>", "local:<os user>", "system"
	Subject SubjectID // the person behind it, "" if none is
	// Alone says that four eyes is off because fewer than two people could approve. Then a person may
	// change containers they are in themselves, and the result says so.
	Alone bool
}

// Changeset is the only way to change who may hold what. It is judged as a whole, whatever the order of
// its operations, and applied as a whole or not at all.
type Changeset struct {
	Ops      []Op
	DryRun   bool     // say what would happen, change nothing
	Adopt    bool     // take in what is found elsewhere: conflicts become cases, not refusals
	Approved []RuleID // whose owners have approved this very change
	IfEpoch  uint64   // refuse unless this is the policy's epoch; 0: any
}

// Outcome is how a changeset ended.
type Outcome string

// The outcomes. The zero value is none of them.
const (
	Applied Outcome = "applied"
	Pending Outcome = "pending" // nothing changed; an approval is needed
	Refused Outcome = "refused" // nothing changed
)

// Result is what came of a changeset. A refusal is a result, not an error: it has to be remembered.
type Result struct {
	Outcome  Outcome
	Why      *fault.Error // set unless Applied
	Epoch    uint64       // of the policy afterwards
	Hits     []Hit        // sorted by subject and rule
	Affected []SubjectID  // whose access was looked at, sorted
	Writes   []Write      // the rows that an applied change made other than before; a dry run's is what it would write
	Single   bool         // a person changed, alone, what they gain from

	stalled *stalled
}

// Err returns why the change was not applied, nil if it was.
func (r Result) Err() error {
	if r.Why == nil {
		return nil
	}
	return r.Why
}

// Apply judges c against the state and, if it stands, writes it. now must not go backwards. The error
// is for a state that Load filled with nonsense; every judgement is in the Result.
func (s *State) Apply(by By, c Changeset, now Instant) (Result, error) {
	was, err := s.Snapshot()
	if err != nil {
		return Result{}, err
	}
	e := newEdit(s, by, now)
	e.wasSnap = was
	epoch := s.Epoch
	limits := e.limited()

	res, err := e.run(c, limits)
	res.Epoch = s.Epoch
	if err != nil || res.Outcome != Applied || c.DryRun {
		e.rollback()
		s.Epoch, s.snap = epoch, was
		res.Epoch = epoch
	}
	if res.Outcome != Applied {
		res.Writes = nil
	}
	return res, err
}

// run applies the operations, judges the whole and files what it finds.
func (e *edit) run(c Changeset, limits map[RoleID]profile) (Result, error) {
	if c.IfEpoch != 0 && c.IfEpoch != e.s.Epoch {
		return refused(ErrStale), nil
	}
	for _, op := range c.Ops {
		if why := op.apply(e); why != nil {
			return refused(why), nil
		}
	}
	for i := 0; i < len(e.later); i++ {
		if why := e.later[i](); why != nil {
			return refused(why), nil
		}
	}
	if e.before != nil {
		e.s.Epoch++
	}
	snap, err := e.s.Snapshot()
	if err != nil {
		return refused(fault.From(err)), nil // a cycle
	}
	if why := e.unheld(snap); why != nil {
		return refused(why), nil
	}
	if why := e.standing(snap, limits, c.Adopt); why != nil {
		return refused(why), nil
	}
	return e.judged(snap, c)
}

func refused(why *fault.Error) Result { return Result{Outcome: Refused, Why: why} }

// judged looks at everybody the change touches.
func (e *edit) judged(snap *Snapshot, c Changeset) (Result, error) {
	j, err := e.newJudge(snap)
	if err != nil {
		return Result{}, err
	}
	res := Result{Outcome: Applied, Affected: j.affected()}
	for _, id := range res.Affected {
		j.look(id, c)
	}
	gains, why := e.escalates(snap)
	res.Single = gains && e.by.Alone
	switch {
	case why != nil:
		res.Outcome, res.Why = Refused, why
	case c.Adopt:
	case j.blocked:
		res.Outcome, res.Why = Refused, ErrSoDViolation
	case j.existing:
		res.Outcome, res.Why = Refused, ErrExistingViolations
	case j.waits:
		res.Outcome, res.Why = Pending, ErrApprovalRequired
	}
	if res.Outcome != Applied {
		res.stalled = &stalled{snap, e.now, map[SubjectID]Holder{}, map[SubjectID]Holder{}}
		for _, h := range j.hits {
			res.stalled.before[h.Subject], res.stalled.after[h.Subject] = e.base(h.Subject), e.s.Holder(h.Subject)
		}
	}
	if res.Outcome == Applied {
		for _, id := range res.Affected {
			j.hits = append(j.hits, e.file(snap, id, j, c)...)
			e.hold(snap, id)
		}
		if e.before != nil {
			e.fileRules(j.changed)
		}
	}
	res.Hits, res.Writes = j.hits, net(e.writes)
	slices.SortStableFunc(res.Hits, func(a, b Hit) int {
		return cmp.Or(cmp.Compare(a.Subject, b.Subject), cmp.Compare(a.Rule, b.Rule))
	})
	return res, nil
}

// escalates reports whether the actor gains permissions by changing the structure around them. That is
// refused unless they act alone; what they grant themselves directly never gets this far.
func (e *edit) escalates(snap *Snapshot) (bool, *fault.Error) {
	if e.by.Subject == "" || e.before == nil && !e.touched[e.by.Subject] {
		return false, nil
	}
	was := e.wasSnap.authorised(e.base(e.by.Subject).Grants, e.now)
	for perm := range snap.authorised(e.s.Holder(e.by.Subject).Grants, e.now) {
		if _, had := was[perm]; !had {
			if e.by.Alone {
				return true, nil
			}
			return true, ErrEscalation
		}
	}
	return false, nil
}

// authorised returns every permission that grants come to at some time from now on.
func (s *Snapshot) authorised(grants []Grant, now Instant) map[Permission]struct{} {
	out := map[Permission]struct{}{}
	for i := range grants {
		if grants[i].During.End() <= now {
			continue
		}
		s.rolesOf(&grants[i]).each(func(r int32) {
			for _, p := range s.own[r] {
				out[s.perms[p]] = struct{}{}
			}
		})
	}
	return out
}

// rolesOf returns every role that g authorises for, itself and what it reaches.
func (s *Snapshot) rolesOf(g *Grant) bitset {
	out := newBitset(len(s.roles))
	if g.Group == "" {
		if r, ok := s.roleAt[g.Role]; ok {
			out.or(s.may[r])
		}
		return out
	}
	if at, ok := s.groupAt[g.Group]; ok {
		s.above[at].each(func(up int32) {
			for _, r := range s.groupRoles[up] {
				out.or(s.may[r])
			}
		})
	}
	return out
}

// covers reports whether grants authorise for role in all of w.
func (s *Snapshot) covers(grants []Grant, role RoleID, w Window) bool {
	at, ok := s.roleAt[role]
	if !ok {
		return false
	}
	var during []Window
	for i := range grants {
		if s.rolesOf(&grants[i]).has(at) {
			during = append(during, grants[i].During)
		}
	}
	return len(minus([]Window{w}, during)) == 0
}
