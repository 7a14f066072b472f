package rbac_test

import "github.com/countersign-id/countersign/rbac"

// What races about rules, limits and what rests on other rows.
var (
	racesOfRules = []race{
		{
			name: "sec-A10 two assignments to one person, each lawful alone", told: oneOf(sod), lock: "LockSubjects", holds: true,
			of: func(during rbac.Window) ([]rbac.Op, []rbac.Changeset) {
				return payments(rbac.Block), []rbac.Changeset{change(assign("u1", "a0", "enter", during)), change(assign("u2", "a0", "release", during))}
			},
		},
		{
			name: "sec-A10 the same on two accounts of one person", told: oneOf(sod), lock: "LockSubjects", holds: true,
			of: func(during rbac.Window) ([]rbac.Op, []rbac.Changeset) {
				return payments(rbac.Block), []rbac.Changeset{change(assign("u1", "a0", "enter", during)), change(assign("u2", "b0", "release", during))}
			},
		},
		{
			name: "sec-A11 an assignment against an inheritance", told: oneOf(sod), lock: "LockPolicy", holds: true,
			of: func(during rbac.Window) ([]rbac.Op, []rbac.Changeset) {
				return payments(rbac.Block, assign("u0", "a0", "clerk", during)),
					[]rbac.Changeset{change(assign("u1", "a0", "enter", during)), change(rbac.AddInheritance{Senior: "clerk", Junior: "release"})}
			},
		},
		{
			name: "sec-A11 an assignment against a permission granted to a role", told: oneOf(sod), lock: "LockPolicy", holds: true,
			of: func(during rbac.Window) ([]rbac.Op, []rbac.Changeset) {
				return payments(rbac.Block, assign("u0", "a0", "clerk", during)),
					[]rbac.Changeset{change(assign("u1", "a0", "enter", during)), change(rbac.GrantPermission{Role: "clerk", Permission: "pay/order:release"})}
			},
		},
		{
			name: "sec-A11 an assignment against a new role of a group", told: oneOf(sod), lock: "LockPolicy", holds: true,
			of: func(during rbac.Window) ([]rbac.Op, []rbac.Changeset) {
				return payments(rbac.Block, join("team", "a0", during)),
					[]rbac.Changeset{change(assign("u1", "a0", "enter", during)), change(rbac.AddGroupRole{Group: "team", Role: "release"})}
			},
		},
		{
			name: "sec-A11 a membership against a new role of the group", told: oneOf(sod), lock: "LockPolicy",
			of: func(during rbac.Window) ([]rbac.Op, []rbac.Changeset) {
				return payments(rbac.Block, assign("u0", "a0", "enter", during)),
					[]rbac.Changeset{change(join("team", "a0", during)), change(rbac.AddGroupRole{Group: "team", Role: "release"})}
			},
		},
		{
			name: "sec-A11 a membership against a group put into another", told: oneOf(sod), lock: "LockPolicy",
			of: func(during rbac.Window) ([]rbac.Op, []rbac.Changeset) {
				return payments(rbac.Block, assign("u0", "a0", "enter", during), rbac.AddGroupRole{Group: "staff", Role: "release"}),
					[]rbac.Changeset{change(join("team", "a0", during)), change(rbac.AddGroupEdge{Parent: "staff", Child: "team"})}
			},
		},
		{
			name: "sec-A11 an inheritance against a permission, which meet in one role", told: oneOf("role-self-conflict"), lock: "",
			of: func(rbac.Window) ([]rbac.Op, []rbac.Changeset) {
				return payments(rbac.Block), []rbac.Changeset{change(rbac.AddInheritance{Senior: "clerk", Junior: "enter"}),
					change(rbac.GrantPermission{Role: "clerk", Permission: "pay/order:release"})}
			},
		},
		{
			name: "sec-A18 a rule that begins to block against an import", told: [][]string{{"", sod}, {existing, ""}}, lock: "LockPolicy",
			of: func(during rbac.Window) ([]rbac.Op, []rbac.Changeset) {
				return payments(rbac.Simulate), []rbac.Changeset{change(rbac.EditRule{Rule: apart(rbac.Block)}),
					change(assign("u1", "a0", "enter", during), assign("u2", "a1", "enter", during), assign("u3", "b0", "release", during))}
			},
		},
		{
			name: "sec-A18 the same, where it takes over what it finds", told: [][]string{{"", sod}, {"", ""}}, lock: "LockPolicy",
			of: func(during rbac.Window) ([]rbac.Op, []rbac.Changeset) {
				return payments(rbac.Simulate), []rbac.Changeset{change(rbac.EditRule{Rule: apart(rbac.Block), Grandfather: true}),
					change(assign("u1", "a0", "enter", during), assign("u3", "b0", "release", during))}
			},
		},
		{
			name: "sec-A11 a group's sync against an assignment by hand", told: oneOf(sod), lock: "LockSubjects", holds: true,
			of: func(during rbac.Window) ([]rbac.Op, []rbac.Changeset) {
				return payments(rbac.Block, rbac.AddGroupRole{Group: "team", Role: "release"}, join("team", "a1", during)),
					[]rbac.Changeset{change(join("team", "a0", during), rbac.RemoveMember{Group: "team", Account: "a1"}), change(assign("u1", "a0", "enter", during))}
			},
		},
		{
			// Whose account it is is never refused; what conflicts then is a case.
			name: "an account that turns out to be somebody's against assignments to both", told: [][]string{{"", "", ""}, {"", sod, ""}, {"", "", sod}}, lock: "LockSubjects",
			of: func(during rbac.Window) ([]rbac.Op, []rbac.Changeset) {
				return payments(rbac.Block), []rbac.Changeset{change(rbac.LinkAccount{Account: "a1", Subject: "p0"}),
					change(assign("u1", "a0", "enter", during)), change(assign("u2", "a1", "release", during))}
			},
		},
		{
			name: "two persons who turn out to be one against assignments to both", told: [][]string{{"", "", ""}, {"", sod, ""}, {"", "", sod}}, lock: "LockSubjects",
			of: func(during rbac.Window) ([]rbac.Op, []rbac.Changeset) {
				return payments(rbac.Block), []rbac.Changeset{change(rbac.MergeSubjects{From: "p2", Into: "p0"}),
					change(assign("u1", "a0", "enter", during)), change(assign("u2", "a2", "release", during))}
			},
		},
		{
			name: "an exception that is revoked against an assignment under it", told: [][]string{{"", sod}, {"", ""}}, lock: "LockSubjects",
			of: func(during rbac.Window) ([]rbac.Op, []rbac.Changeset) {
				return payments(rbac.Block, assign("u1", "a0", "enter", ending), excuse("x1", "p0")),
					[]rbac.Changeset{change(rbac.RevokeException{Exception: "x1"}), change(assign("u2", "a0", "release", ending))}
			},
		},
		{
			name: "an exception that is granted against the assignment it is for", told: [][]string{{"", ""}, {"", sod}}, lock: "",
			of: func(during rbac.Window) ([]rbac.Op, []rbac.Changeset) {
				return payments(rbac.Block, assign("u1", "a0", "enter", ending)),
					[]rbac.Changeset{change(excuse("x1", "p0")), change(assign("u2", "a0", "release", ending))}
			},
		},
		{
			name: "the sweep against remediation", told: [][]string{{"", ""}}, lock: "LockSubjects", after: 10,
			of: func(during rbac.Window) ([]rbac.Op, []rbac.Changeset) {
				return payments(rbac.Record, assign("u1", "a0", "enter", during), assign("u2", "b0", "release", during)),
					[]rbac.Changeset{change(rbac.Sweep{}), change(rbac.Withdraw{Assignment: "u2"})}
			},
		},
	}

	racesOfLimits = []race{
		{
			name: "the last two who hold a role that needs one, both withdrawn", told: oneOf("cardinality-underflow"), lock: "LockRoles",
			of: func(during rbac.Window) ([]rbac.Op, []rbac.Changeset) {
				return payments(rbac.Block, officer(1, 0), assign("u1", "a0", "officer", during), assign("u2", "a1", "officer", during)),
					[]rbac.Changeset{change(rbac.Withdraw{Assignment: "u1"}), change(rbac.Withdraw{Assignment: "u2"})}
			},
		},
		{
			name: "the last two, one of them through a group", told: oneOf("cardinality-underflow"), lock: "LockRoles",
			of: func(during rbac.Window) ([]rbac.Op, []rbac.Changeset) {
				return payments(rbac.Block, officer(1, 0), rbac.AddGroupRole{Group: "team", Role: "officer"}, assign("u1", "a0", "officer", during), join("team", "a1", during)),
					[]rbac.Changeset{change(rbac.Withdraw{Assignment: "u1"}), change(rbac.RemoveMember{Group: "team", Account: "a1"})}
			},
		},
		{
			name: "two for the last place in a role", told: oneOf("cardinality-exceeded"), lock: "LockRoles",
			of: func(during rbac.Window) ([]rbac.Op, []rbac.Changeset) {
				return payments(rbac.Block, officer(0, 2), assign("u0", "a2", "officer", during)),
					[]rbac.Changeset{change(assign("u1", "a0", "officer", during)), change(assign("u2", "a1", "officer", during))}
			},
		},
		{
			name: "two for the last place, one through a group and one as a deputy", told: oneOf("cardinality-exceeded"), lock: "LockRoles",
			of: func(during rbac.Window) ([]rbac.Op, []rbac.Changeset) {
				return payments(rbac.Block, officer(0, 2), rbac.AddGroupRole{Group: "team", Role: "officer"}, assign("u0", "a2", "officer", rbac.Window{})),
					[]rbac.Changeset{change(join("team", "a0", during)), change(rbac.Delegate{Delegation: rbac.Delegation{
						ID: "v1", From: "a2", To: "a1", Roles: []rbac.RoleID{"officer"}, During: ending}})}
			},
		},
		{
			name: "an assignment against a limit set on its role", told: [][]string{{"", "cardinality-exceeded"}, {"cardinality-exceeded", ""}}, lock: "LockPolicy",
			of: func(during rbac.Window) ([]rbac.Op, []rbac.Changeset) {
				return payments(rbac.Block, assign("u0", "a0", "clerk", during)), []rbac.Changeset{
					change(rbac.EditRole{Role: rbac.Role{ID: "clerk", Name: "clerk", MaxAssignees: 1}}), change(assign("u1", "a1", "clerk", during))}
			},
		},
		{
			name: "three in bulk, each in another order of people", told: [][]string{{"", "", ""}}, lock: "",
			of: func(during rbac.Window) ([]rbac.Op, []rbac.Changeset) {
				return payments(rbac.Block), []rbac.Changeset{
					change(assign("u1", "a0", "clerk", during), assign("u2", "a1", "clerk", during), assign("u3", "a2", "clerk", during)),
					change(assign("u4", "a2", "desk", during), assign("u5", "a1", "desk", during), assign("u6", "a0", "desk", during)),
					change(assign("u7", "a1", "enter", during), assign("u8", "a2", "enter", during), assign("u9", "a0", "enter", during))}
			},
		},
		{
			name: "a delegation against the withdrawal of what is delegated", told: [][]string{{"", ""}, {"privilege-escalation", ""}}, lock: "LockSubjects",
			of: func(during rbac.Window) ([]rbac.Op, []rbac.Changeset) {
				return payments(rbac.Block, assign("u1", "a0", "clerk", rbac.Window{})), []rbac.Changeset{
					change(rbac.Delegate{Delegation: rbac.Delegation{ID: "v1", From: "a0", To: "a1", Roles: []rbac.RoleID{"clerk"}, During: ending}}),
					change(rbac.Withdraw{Assignment: "u1"})}
			},
		},
		{
			name: "two edits of the policy, neither of which is lost", told: [][]string{{"", ""}}, lock: "",
			of: func(rbac.Window) ([]rbac.Op, []rbac.Changeset) {
				return payments(rbac.Block), []rbac.Changeset{change(rbac.GrantPermission{Role: "clerk", Permission: "pay/order:enter"}),
					change(rbac.GrantPermission{Role: "desk", Permission: "pay/order:enter"})}
			},
		},
		{
			name: "one id for two assignments", told: oneOf("already-exists"), lock: "",
			of: func(during rbac.Window) ([]rbac.Op, []rbac.Changeset) {
				return payments(rbac.Block), []rbac.Changeset{change(assign("u1", "a0", "clerk", during)), change(assign("u1", "a1", "clerk", during))}
			},
		},
		{
			name: "one id for two exceptions", told: oneOf("already-exists"), lock: "",
			of: func(rbac.Window) ([]rbac.Op, []rbac.Changeset) {
				return payments(rbac.Block), []rbac.Changeset{change(excuse("x1", "p0")), change(excuse("x1", "p1"))}
			},
		},
		{
			name: "one id for two delegations", told: oneOf("already-exists"), lock: "",
			of: func(rbac.Window) ([]rbac.Op, []rbac.Changeset) {
				deputy := func(from, to rbac.AccountID) rbac.Changeset {
					return change(rbac.Delegate{Delegation: rbac.Delegation{ID: "v1", From: from, To: to, Roles: []rbac.RoleID{"clerk"}, During: ending}})
				}
				return payments(rbac.Block, assign("u1", "a0", "clerk", rbac.Window{}), assign("u2", "a2", "clerk", rbac.Window{})),
					[]rbac.Changeset{deputy("a0", "b0"), deputy("a2", "a1")}
			},
		},
	}
)
