package rbac

import (
	"slices"

	"github.com/countersign-id/countersign/internal/fault"
)

// Authority is what active roles carry: the permissions of the roles and of everything they inherit,
// without what they may only activate.
type Authority struct {
	s    *Snapshot
	bits bitset
}

// Authority returns what roles carry once active. Roles that do not exist carry nothing.
func (s *Snapshot) Authority(roles []RoleID) Authority {
	a := Authority{s, newBitset(len(s.perms))}
	for _, id := range roles {
		if r, ok := s.roleAt[id]; ok {
			s.carry(a.bits, r)
		}
	}
	return a
}

// carry adds to perms what role r carries.
func (s *Snapshot) carry(perms bitset, r int32) {
	s.does[r].each(func(j int32) {
		for _, p := range s.own[j] {
			perms.set(p)
		}
	})
}

// Has reports whether p is among them.
func (a Authority) Has(p Permission) bool {
	at, ok := a.s.permAt[p]
	return ok && a.bits.has(at)
}

// Permissions returns all of them, sorted.
func (a Authority) Permissions() []Permission {
	var out []Permission
	a.bits.each(func(p int32) { out = append(out, a.s.perms[p]) })
	return sorted(out)
}

// Juniors returns the roles that role reaches, over every edge, without itself; sorted.
func (s *Snapshot) Juniors(role RoleID) []RoleID {
	var out []RoleID
	if r, ok := s.roleAt[role]; ok {
		s.may[r].each(func(j int32) {
			if j != r {
				out = append(out, s.roles[j])
			}
		})
	}
	return out
}

// Active is where a person stands when a role is to become active.
type Active struct {
	Account   AccountID
	Here      []RoleID // active in this session
	Elsewhere []RoleID // active in the person's other sessions and grants
	Elevated  bool     // the person has just justified and proved themselves for what is only eligible
}

// Activation is what came of activating a role.
type Activation struct {
	Outcome Outcome
	Why     *fault.Error
	Roles   []RoleID // active in the session afterwards, sorted
	Hits    []Hit
}

// Activatable returns the roles an account may make active at t, sorted: those it is authorised for,
// over every edge. With elevated it includes what is only eligible.
func (s *Snapshot) Activatable(h Holder, account AccountID, t Instant, elevated bool) []RoleID {
	var out []RoleID
	s.activatable(h, account, t, elevated).each(func(r int32) { out = append(out, s.roles[r]) })
	return out
}

func (s *Snapshot) activatable(h Holder, account AccountID, t Instant, elevated bool) bitset {
	out := newBitset(len(s.roles))
	for i := range h.Grants {
		g := &h.Grants[i]
		if g.Account == account && !g.Owned && g.During.Holds(t) && (elevated || !g.Eligible) {
			out.or(s.rolesOf(g))
		}
	}
	for r, trait := range s.traits {
		if trait.dormant || trait.eligible && !elevated {
			out.clear(int32(r))
		}
	}
	return out
}

// Activate judges making role active at t. It is refused where the account is not authorised, and where
// a dynamic rule would count more duties than it allows among everything the active roles carry, here or, by
// the rule's reach, in all of the person's sessions. The order in which roles become active does not matter.
func (s *Snapshot) Activate(h Holder, a Active, role RoleID, t Instant) Activation {
	r, ok := s.roleAt[role]
	if !ok || !s.activatable(h, a.Account, t, true).has(r) {
		return Activation{Outcome: Refused, Why: ErrNotActivatable, Roles: sorted(a.Here)}
	}
	if !a.Elevated && !s.activatable(h, a.Account, t, false).has(r) {
		return Activation{Outcome: Refused, Why: ErrStepUpRequired, Roles: sorted(a.Here)}
	}

	out := Activation{Outcome: Applied, Roles: sorted(append(slices.Clone(a.Here), role))}
	for _, hit := range s.Together(out.Roles, a.Elsewhere, t) {
		hit.Subject = h.Subject
		out.Hits = append(out.Hits, hit)
		switch {
		case hit.Mode == Block:
			out.Outcome, out.Why = Refused, ErrDSDConflict
		case hit.Mode == Approve && out.Outcome == Applied:
			out.Outcome, out.Why = Pending, ErrApprovalRequired
		}
	}
	if out.Outcome != Applied {
		out.Roles = sorted(a.Here)
	}
	return out
}

// Together returns the dynamic rules above Draft that roles active here, and elsewhere as far as each
// rule reaches, are in conflict with at t. It looks at everything the roles carry: one senior role that
// inherits both sides is a conflict as two roles are.
func (s *Snapshot) Together(here, elsewhere []RoleID, t Instant) []Hit {
	if len(s.active) == 0 {
		return nil
	}
	session, all := make(bitset, s.width), make(bitset, s.width)
	for _, id := range here {
		if r, ok := s.roleAt[id]; ok {
			session.or(s.act(r))
		}
	}
	all.or(session)
	for _, id := range elsewhere {
		if r, ok := s.roleAt[id]; ok {
			all.or(s.act(r))
		}
	}
	s.settle(session)
	s.settle(all)

	var out []Hit
	for _, i := range s.active {
		r := &s.rules[i]
		row := session
		if r.acrossSessions() {
			row = all
		}
		if !r.During.Holds(t) || s.held(r, row) < r.K {
			continue
		}
		hit := Hit{Rule: r.ID, Level: r.Level, Mode: r.Mode, Change: Appears, During: []Window{{From: t}}, Witness: Witness{Rule: r.ID}}
		for _, d := range r.duties {
			if s.duties[d].met(row) {
				hit.Witness.Duties = append(hit.Witness.Duties, DutyWitness{Duty: s.duties[d].id})
			}
		}
		out = append(out, hit)
	}
	return out
}

// Trim returns which of the roles active in a session stay so at t: those the account may still
// activate. What a person lost is dropped, never exchanged for something else. If what stays is in conflict
// with a dynamic rule that blocks, nothing stays: which side to keep is for the person to choose.
func (s *Snapshot) Trim(h Holder, a Active, t Instant) []RoleID {
	may := s.activatable(h, a.Account, t, true)
	var out []RoleID
	for _, id := range sorted(a.Here) {
		if r, ok := s.roleAt[id]; ok && may.has(r) {
			out = append(out, id)
		}
	}
	if blocks(s.Together(out, a.Elsewhere, t)) {
		return nil
	}
	return out
}
