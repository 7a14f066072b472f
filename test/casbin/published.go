package main

import (
	"fmt"

	"github.com/countersign-id/countersign/rbac"
)

// casbinOwn is the shape of casbin's own benchmark: every ten roles may read one thing, every ten people have one role.
func casbinOwn(name string, roles int) *shape {
	people, things := 10*roles, roles/10
	group := func(i int) string { return fmt.Sprint("group", i) }
	user := func(i int) string { return fmt.Sprint("user", i) }
	data := func(i int) string { return fmt.Sprint("data", i) }

	// What its authors time, which is refused; and seventeen requests, every other of which is granted.
	type request struct{ who, what string }
	theirs := request{user(people/2 + 1), data(things - 1)}
	mixed := make([]request, 17)
	for i := range mixed {
		who := people / len(mixed) * i
		mixed[i] = request{user(who), data((who/100 + i%2) % things)}
	}

	const one, many, session = "its published request, refused", "17 requests, half of them granted", "the same, asked again"
	s := &shape{name: fmt.Sprintf("Casbin's own shape, %s: %d rules", name, roles+people)}
	s.rows = []row{
		{one, aim{}, "Ours: the person's roles are looked up by name, what they carry is put together, one permission is asked."},
		{name: many},
		{session, sessionAim, "Ours: what a session carries is kept with it. Casbin: its cached enforcer, warm."},
	}
	if roles == 10_000 {
		s.rows[0].aim, s.rows[1].aim = checkAim, checkAim
	}

	s.ours = func() engine {
		state := rbac.NewState()
		permission := func(what string) rbac.Permission { return rbac.Permission("own/" + what + ":read") }
		for i := range things {
			state.Load(rbac.PermissionDef{ID: permission(data(i))})
		}
		for i := range roles {
			state.Load(rbac.Role{ID: rbac.RoleID(group(i)), Name: group(i), Permissions: []rbac.Permission{permission(data(i / 10))}})
		}
		has := map[string][]rbac.RoleID{}
		for i := range people {
			has[user(i)] = []rbac.RoleID{rbac.RoleID(group(i / 10))}
		}
		snap := must(state.Snapshot())
		asked := make([]rbac.Permission, len(mixed))
		sessions := make([]rbac.Authority, len(mixed))
		for i, r := range mixed {
			asked[i], sessions[i] = permission(r.what), snap.Authority(has[r.who])
		}
		wanted := permission(theirs.what)
		return engine{
			one:     ask(func(int) bool { return snap.Authority(has[theirs.who]).Has(wanted) }),
			many:    ask(func(i int) bool { i %= len(mixed); return snap.Authority(has[mixed[i].who]).Has(asked[i]) }),
			session: ask(func(i int) bool { i %= len(mixed); return sessions[i].Has(asked[i]) }),
		}
	}
	s.theirs = func() engine {
		var policies, links [][]string
		for i := range roles {
			policies = append(policies, []string{group(i), data(i / 10), "read"})
		}
		for i := range people {
			links = append(links, []string{user(i), group(i / 10)})
		}
		e := newRival(published, policies, links)
		return engine{
			one:     ask(func(int) bool { return e.may(theirs.who, theirs.what, "read") }),
			many:    ask(func(i int) bool { i %= len(mixed); return e.may(mixed[i].who, mixed[i].what, "read") }),
			session: ask(func(i int) bool { i %= len(mixed); return e.again(mixed[i].who, mixed[i].what, "read") }).warmed(len(mixed)),
		}
	}
	return s
}

// tree is a hierarchy: roles of which each inherits two others, and people who have one near the top.
func tree(levels, people int) *shape {
	roles := 1<<levels - 1
	role := func(i int) string { return fmt.Sprint("r/", i) }
	user := func(i int) string { return fmt.Sprint("p", i) }
	thing := func(i int) string { return fmt.Sprint("thing", i) }
	top := func(i int) int { return i % 7 } // of the first three levels
	// Every other request is for something at the bottom that the person inherits.
	wanted := func(i int) int {
		at := top(i)
		for left := i; 2*at+2 < roles; left /= 2 {
			at = 2*at + 1 + left%2
		}
		if i%2 == 1 {
			return (at*31 + i) % roles
		}
		return at
	}

	const check, list = "permission inherited from below", "all roles that a person inherits, counted"
	s := &shape{
		name: fmt.Sprintf("A hierarchy of %d roles on %d levels, %d people", roles, levels, people),
		rows: []row{{name: check}, {name: list}},
	}
	s.ours = func() engine {
		state := rbac.NewState()
		permission := func(i int) rbac.Permission { return rbac.Permission("tree/" + thing(i) + ":use") }
		var asked []rbac.Permission
		for i := range roles {
			r := rbac.Role{ID: rbac.RoleID(role(i)), Name: role(i), Permissions: []rbac.Permission{permission(i)}}
			for _, j := range []int{2*i + 1, 2*i + 2} {
				if j < roles {
					r.Juniors = append(r.Juniors, rbac.Junior{Role: rbac.RoleID(role(j))})
				}
			}
			state.Load(rbac.PermissionDef{ID: permission(i)}, r)
			asked = append(asked, permission(i))
		}
		snap := must(state.Snapshot())
		has := make([][]rbac.RoleID, people)
		for i := range has {
			has[i] = []rbac.RoleID{rbac.RoleID(role(top(i)))}
		}
		return engine{
			check: ask(func(i int) bool { return snap.Authority(has[i%people]).Has(asked[wanted(i%people)]) }),
			list:  ask(func(i int) int { return 1 + len(snap.Juniors(has[i%people][0])) }),
		}
	}
	s.theirs = func() engine {
		var policies, links [][]string
		for i := range roles {
			policies = append(policies, []string{role(i), thing(i), "use"})
			for _, j := range []int{2*i + 1, 2*i + 2} {
				if j < roles {
					links = append(links, []string{role(i), role(j)})
				}
			}
		}
		for i := range people {
			links = append(links, []string{user(i), role(top(i))})
		}
		e := newRival(quick, policies, links)
		return engine{
			check: ask(func(i int) bool { return e.may(user(i%people), thing(wanted(i%people)), "use") }),
			list:  ask(func(i int) int { return len(must(e.GetImplicitRolesForUser(user(i % people)))) }),
		}
	}
	return s
}
