package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/countersign-id/countersign/rbac"
)

// What an operation of ours may take.
var (
	deltaAim   = aim{time: 10 * time.Microsecond}
	scanAim    = aim{time: 1500 * time.Millisecond}
	whatIfAim  = aim{time: time.Millisecond}
	previewAim = aim{time: 100 * time.Millisecond}
	rebuildAim = aim{time: 50 * time.Millisecond}
	sessionAim = aim{time: 50 * time.Nanosecond}
	checkAim   = aim{time: time.Microsecond}
	memoryAim  = aim{bytes: 150}
)

// The questions about a world.
const (
	delta    = "delta check of one assignment"
	deltaNo  = "the same of rows just read, no conflict"
	deltaYes = "the same of rows just read, with witnesses"
	scan     = "full scan"
	whatIf   = "what-if of one rule"
	preview  = "hierarchy edit preview"
	rebuild  = "snapshot rebuild"
	check    = "permission check of a person"
	session  = "permission check in a session"
	activate = "what a session carries, put together"
	load     = "one assignment put in"
	memory   = "memory per assignment"
)

// How many different ones are asked in turn, where they are got ready before: they do not all stay in the processor's cache.
const (
	asked    = 4096
	sessions = 64
)

func (w *world) title(rules string) string {
	edges := 0
	for _, ps := range w.own {
		edges += len(ps)
	}
	return fmt.Sprintf("%d people with %d assignments, %d roles, %d permissions (%s) in %d places, %d rules %s",
		len(w.people), w.links, len(w.roles), len(w.perms), w.source, edges, len(w.rules), rules)
}

// overPermissions is the world that the aims are about.
func (w *world) overPermissions() *shape {
	onePerson := fmt.Sprintf("Casbin: all permissions of a person are listed and held against the rules. One person is measured; the figure is that times %d.", len(w.people))
	return &shape{
		name: w.title("over permissions"),
		ours: func() engine { return w.ours(false) },
		theirs: func() engine {
			e, own := w.rival()
			own[delta] = ask(func(i int) []string {
				person, role := w.step(i, false)
				return e.checkRules(w.rules, w.people[person], role)
			})
			one := func(rules []rule) func(i int) []string {
				return func(i int) []string { return brokenBy(rules, e.permissions(w.people[w.person(i)]), nil) }
			}
			own[scan] = ask(one(w.rules))
			own[whatIf] = question{do: func(i int) { one([]rule{w.draft(i)})(i) }}
			for _, name := range []string{scan, whatIf} {
				q := own[name]
				q.part = float64(len(w.people))
				own[name] = q
			}
			return own
		},
		rows: []row{
			{delta, deltaAim, "Casbin has no separation of duty: what its users write is timed. Here: the permissions of the person and of the role are listed and held against the rules."},
			{deltaNo, aim{}, "Ours: what decides inside a transaction, from two holders as they were read. Every conflict comes with a witness of how it comes about."},
			{name: deltaYes},
			{scan, scanAim, onePerson},
			{whatIf, whatIfAim, onePerson},
			{name: preview, aim: previewAim},
			{rebuild, rebuildAim, "Casbin: BuildRoleLinks; its people are part of it."},
			{check, aim{}, "Casbin: the matcher asks for the roles last, which is faster than the published one."},
			{session, sessionAim, "Ours: what a session carries is kept with it. Casbin: its cached enforcer, warm."},
			{name: activate},
			{load, aim{}, "Casbin: AddGroupingPolicies, all at once."},
			{name: memory, aim: memoryAim},
		},
	}
}

// ofRoles is the same with what casbin's users can check more quickly: pairs of roles.
func (w *world) ofRoles() *shape {
	return &shape{
		name: w.title("that are pairs of roles"),
		ours: func() engine { return w.ours(true) },
		theirs: func() engine {
			e, own := w.rival()
			own[delta] = ask(func(i int) []string { person, role := w.step(i, true); return e.check(w.pairs, w.people[person], role) })
			own[scan] = question{
				do: func(int) {
					for _, person := range w.people {
						broken(w.pairs, e.roles(person), nil)
					}
				},
				say: func(i int) string { return fmt.Sprint(broken(w.pairs, e.roles(w.people[w.person(i)]), nil)) },
			}
			own[whatIf] = ask(func(i int) int {
				r := w.draftPair(i)
				n, others := 0, e.people(r.b)
				for who := range e.people(r.a) {
					if others[who] {
						n++
					}
				}
				return n
			})
			own[preview] = ask(func(i int) int { return w.rivalPreview(e, i) })
			return own
		},
		rows: []row{
			{delta, deltaAim, "Casbin: the roles of the person and of the new role are listed and every pair is compared."},
			{scan, scanAim, "Casbin: the roles of each person are listed and every pair is compared."},
			{whatIf, whatIfAim, "Casbin: the people of both roles are listed and compared."},
			{preview, previewAim, "Casbin: the people of the senior role are compared before and after the link is made, and it is taken back."},
		},
	}
}

// person spreads questions over the people.
func (w *world) person(i int) int { return i * 7919 % len(w.people) }

// step is the i-th assignment to be checked. Of pairs every other completes one: random people seldom do.
func (w *world) step(i int, pairs bool) (person int, role string) {
	person, role = w.person(i), w.roles[i*104_729%len(w.roles)]
	if p := w.pairs[i/2%len(w.pairs)]; pairs && i%2 == 0 {
		for k := range w.has { // of the first who have one side
			if at := (person + k) % len(w.has); slices.Contains(w.has[at], p.a) {
				return at, p.b
			}
		}
	}
	return person, role
}

// draft is the i-th rule that somebody tries out.
func (w *world) draft(i int) rule {
	a, b := w.rules[i%len(w.rules)], w.rules[(i*31+1)%len(w.rules)]
	return rule{"draft", [2][]string{a.sides[0], b.sides[1]}}
}

func (w *world) draftPair(i int) pair {
	a, b := w.pairs[i%len(w.pairs)], w.pairs[(i*31+1)%len(w.pairs)]
	return pair{"draft", a.a, b.b}
}

// edge is the i-th link that somebody tries out. Technical roles inherit from nothing: it makes no circle.
func (w *world) edge(i int, pairs bool) (senior, junior string) {
	if pairs {
		p := w.pairs[i%len(w.pairs)]
		return p.a, p.b
	}
	return w.bus[(17+i)%len(w.bus)], w.tech[(99+31*i)%len(w.tech)]
}

func (w *world) ours(pairs bool) engine {
	s := w.state(pairs)
	snap := must(s.Snapshot())
	pop, put, kept := w.population(snap)

	var ( // what is asked, ready beforehand
		who    [asked]rbac.SubjectID
		grants [asked]rbac.Grant
		roles  [asked][]rbac.RoleID
		wanted [asked]rbac.Permission
		carry  [sessions]rbac.Authority
	)
	for i := range asked {
		person, role := w.step(i, pairs)
		who[i], grants[i] = rbac.SubjectID(w.people[person]), rbac.Grant{Role: rbac.RoleID(role)}
		for _, r := range w.has[w.person(i)] {
			roles[i] = append(roles[i], rbac.RoleID(r))
		}
		wanted[i] = rbac.Permission(w.wanted(i))
	}
	for i := range carry {
		carry[i] = snap.Authority(roles[i])
	}
	var found map[string][]string
	return engine{
		delta:    ask(func(i int) []rbac.RuleID { i %= asked; return pop.Check(who[i], grants[i]) }),
		deltaNo:  w.worsens(snap, pop, false),
		deltaYes: w.worsens(snap, pop, true),
		scan: {
			do: func(int) { n := 0; pop.Scan(func(rbac.SubjectID, rbac.RuleID) { n++ }) },
			say: func(i int) string {
				if found == nil {
					found = map[string][]string{}
					pop.Scan(func(who rbac.SubjectID, r rbac.RuleID) { found[string(who)] = append(found[string(who)], string(r)) })
				}
				return fmt.Sprint(found[w.people[w.person(i)]])
			},
		},
		whatIf:  ask(func(i int) int { return len(must(pop.Violators(w.draftRule(i)))) }),
		preview: ask(func(i int) int { return w.preview(s.Policy, pop, i, pairs) }),
		rebuild: ask(func(i int) int {
			return len(must(rbac.Compile(s.Policy, 1)).Juniors(rbac.RoleID(w.roles[i%len(w.roles)])))
		}),
		check:    ask(func(i int) bool { i %= asked; return snap.Authority(roles[i]).Has(wanted[i]) }),
		session:  ask(func(i int) bool { i %= len(carry); return carry[i].Has(wanted[i]) }),
		activate: {do: func(i int) { snap.Authority(roles[i%asked]) }},
		load:     {fixed: &put},
		memory:   {fixed: &figure{bytes: kept, kept: true}},
	}
}

// wanted is the permission that person i asks for: every other time one that they have.
func (w *world) wanted(i int) string {
	if i%2 == 1 {
		return w.perms[i*7919%len(w.perms)]
	}
	role := w.has[w.person(i)][0]
	if js := w.juniors[role]; len(js) > 0 {
		role = js[i%len(js)]
	}
	if ps := w.own[role]; len(ps) > 0 {
		return ps[i%len(ps)]
	}
	return w.perms[i%len(w.perms)]
}

// population puts everybody in, and tells what one assignment took, and keeps.
func (w *world) population(snap *rbac.Snapshot) (pop *rbac.Population, put figure, kept float64) {
	before := heap()
	all := once(func(int) {
		pop = rbac.NewPopulation(snap, 1)
		for i := range w.people {
			h := w.holder(i)
			h.Subject = rbac.SubjectID(strings.Clone(w.people[i])) // as if it had been read
			pop.Set(h)
		}
	}, 0, 1)
	put = all.times(1 / float64(w.links))
	put.scaled = false
	return pop, put, (heap() - before) / float64(w.links)
}

// worsens is the delta check that decides, of what a transaction has read: where it finds something, it says how it comes about.
func (w *world) worsens(snap *rbac.Snapshot, pop *rbac.Population, conflict bool) question {
	var steps [256][2]rbac.Holder
	for n, i := 0, 0; n < len(steps) && i < 100*len(steps); i++ {
		person, role := w.step(i, false)
		h := w.holder(person)
		g := rbac.Grant{Role: rbac.RoleID(role)}
		if len(pop.Check(h.Subject, g)) > 0 != conflict {
			continue
		}
		after := h
		after.Grants = append(slices.Clone(h.Grants), g)
		steps[n] = [2]rbac.Holder{h, after}
		n++
	}
	return question{do: func(i int) { s := &steps[i%len(steps)]; snap.Worsens(s[0], s[1], 1) }}
}

func (w *world) draftRule(i int) rbac.Rule {
	a, b := w.rules[i%len(w.rules)], w.rules[(i*31+1)%len(w.rules)]
	return rbac.Rule{ID: "draft", Kind: rbac.Static, Level: rbac.High, Mode: rbac.Block, K: 2, Version: 1,
		Duties: []rbac.DutyID{rbac.DutyID(a.name + " left"), rbac.DutyID(b.name + " right")}}
}

func (w *world) preview(p rbac.Policy, pop *rbac.Population, i int, pairs bool) int {
	senior, junior := w.edge(i, pairs)
	p = p.Clone()
	r := p.Roles[rbac.RoleID(senior)]
	r.Juniors = append(slices.Clone(r.Juniors), rbac.Junior{Role: rbac.RoleID(junior)})
	p.Roles[r.ID] = r
	n := 0
	pop.Preview(must(rbac.Compile(p, 2)), func(rbac.SubjectID, rbac.RuleID) { n++ })
	return n
}

// rival loads casbin with the world, and asks it what does not depend on rules.
func (w *world) rival() (rival, engine) {
	policies, links := w.policies()
	e := newRival(quick, policies, links)
	before := heap()
	all := once(func(int) { e.link(w.assignments()) }, 0, 1)
	put := all.times(1 / float64(w.links))
	put.scaled = false
	kept := (heap() - before) / float64(w.links)
	return e, engine{
		rebuild: ask(func(i int) int {
			if err := e.BuildRoleLinks(); err != nil {
				panic(err)
			}
			return len(must(e.GetImplicitRolesForUser(w.roles[i%len(w.roles)])))
		}),
		check:   ask(func(i int) bool { i %= asked; return e.may(w.people[w.person(i)], w.wanted(i), "use") }),
		session: ask(func(i int) bool { i %= sessions; return e.again(w.people[w.person(i)], w.wanted(i), "use") }).warmed(sessions),
		load:    {fixed: &put},
		memory:  {fixed: &figure{bytes: kept, kept: true}},
	}
}

func (w *world) rivalPreview(e rival, i int) int {
	senior, junior := w.edge(i, true)
	had := map[string]map[string]bool{}
	for who := range e.people(senior) {
		had[who] = e.roles(who)
	}
	must(e.AddGroupingPolicy(senior, junior))
	n := 0
	for who, before := range had {
		n += len(broken(w.pairs, e.roles(who), before))
	}
	must(e.RemoveGroupingPolicy(senior, junior))
	return n
}

// choosing is the question that only we are asked: the fewest of 24 roles that carry 12 permissions under 6 dynamic rules.
func choosing() *shape {
	const choose = "roles chosen"
	return &shape{name: "The fewest of 24 roles that carry 12 permissions, under 6 dynamic rules", rows: []row{{name: choose}}, ours: func() engine {
		rnd := rand.New(rand.NewPCG(7, 8))
		s := rbac.NewState()
		s.Load(rbac.Subject{ID: "ann"}, rbac.Account{ID: "ann", Subject: "ann"})
		var perms []rbac.Permission
		for i := range 40 {
			perms = append(perms, rbac.Permission(fmt.Sprintf("x/p%d:do", i)))
			s.Load(rbac.PermissionDef{ID: perms[i]})
		}
		role := func(i int) rbac.RoleID { return rbac.RoleID(fmt.Sprint("r", i)) }
		for i := range 24 {
			r := rbac.Role{ID: role(i), Name: fmt.Sprint(i)}
			for range 6 {
				r.Permissions = append(r.Permissions, pick(rnd, perms))
			}
			slices.Sort(r.Permissions)
			r.Permissions = slices.Compact(r.Permissions)
			s.Load(r, rbac.Assignment{ID: rbac.AssignmentID(r.ID), Account: "ann", Role: r.ID})
		}
		for i := range 6 {
			l, r := rbac.DutyID(fmt.Sprint("l", i)), rbac.DutyID(fmt.Sprint("r", i))
			s.Load(rbac.Duty{ID: l, Name: "l", Expr: rbac.AnyOf(role(2 * i).Atom())}, rbac.Duty{ID: r, Name: "r", Expr: rbac.AnyOf(role(2*i + 1).Atom())},
				rbac.Rule{ID: rbac.RuleID(fmt.Sprint("D", i)), Kind: rbac.Dynamic, Level: rbac.Low, Mode: rbac.Block, K: 2, Duties: []rbac.DutyID{l, r}, Version: 1})
		}
		snap, h := must(s.Snapshot()), s.Holder("ann")
		return engine{choose: {do: func(int) { snap.Choose(h, rbac.Want{Account: "ann", Permissions: perms[:12]}, 0) }}}
	}}
}
