package storetest

import (
	"context"
	"errors"
	"maps"
	"slices"
	"testing"

	"github.com/countersign-id/countersign/audit"
	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/rbac"
	"github.com/countersign-id/countersign/store"
)

// everyItem is a policy in which every field of every kind of row holds something.
func everyItem() rbac.Policy {
	p := rbac.NewPolicy()
	server, scope, control, duty := filled[rbac.ResourceServer](), filled[rbac.Scope](), filled[rbac.Control](), rbac.Duty{
		ID: "d", Process: "Pay", Name: "Enter \"it\" 世", Description: "x", Ruleset: "set",
		Expr: rbac.Expr{K: 2, Of: []rbac.Expr{rbac.Leaf("perm:a/b:c"), rbac.AnyOf("role:r", "group:g"), rbac.AllOf("scope:s/t", "perm:a/b:d")}},
	}
	rule := filled[rbac.Rule]()
	rule.Tests = []rbac.RuleTest{{Atoms: []rbac.Atom{"perm:a/b:c"}, Violates: true}}
	role := rbac.Role{
		ID: "r", Namespace: "n", Name: "é", Kind: rbac.AdminRole, Lifecycle: rbac.DeprecatedRole, Owner: "o", Risk: 3,
		Permissions: []rbac.Permission{"a/b:c", "a/b:d"}, Juniors: []rbac.Junior{{Role: "s", Mode: rbac.Activate}}, Eligible: true, MaxActivation: 60,
		MinAssignees: 1, MaxAssignees: 2, Prerequisite: rbac.Cond{All: []rbac.Cond{{Role: "q", Not: true}}, Any: []rbac.Cond{{Role: "t"}}}, Unassignable: true,
	}
	p.Servers[server.ID], p.Scopes[scope.ID], p.Controls[control.ID], p.Duties[duty.ID] = server, scope, control, duty
	p.Rules[rule.ID], p.Roles[role.ID] = rule, role
	p.Groups["g"] = rbac.Group{ID: "g", Name: "G", Roles: []rbac.RoleID{"r"}, Children: []rbac.GroupID{"h"}}
	p.Permissions["a/b:c"] = rbac.PermissionDef{ID: "a/b:c", Description: "C"}
	return p
}

// policies: who may hold what.
var policies = []promise{
	{"keeps every field of the policy, for every process, and forgets what is dropped", func(t *testing.T, open opener) {
		var cfg store.Config
		db := open(func(c *store.Config) { cfg = *c })
		other, err := store.Open(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { other.Close() })
		p := everyItem()
		st, err := rbac.NewStructure(p, 7)
		if err != nil {
			t.Fatal(err)
		}
		update(t, db, func(ctx context.Context, tx *store.Tx) error { return tx.Store(ctx, st, Writes(p)) })
		for _, db := range []*store.DB{db, other} {
			view(t, db, func(ctx context.Context, tx *store.Tx) error {
				got, err := tx.Structure(ctx)
				if err == nil {
					same(t, got.Policy, p)
					same(t, got.Epoch, uint64(7))
				}
				return err
			})
		}
		empty, _ := rbac.NewStructure(rbac.NewPolicy(), 8)
		update(t, db, func(ctx context.Context, tx *store.Tx) error {
			var gone []rbac.Write
			for _, w := range Writes(p) {
				gone = append(gone, rbac.Write{Old: w.New})
			}
			return tx.Store(ctx, empty, gone)
		})
		view(t, other, func(ctx context.Context, tx *store.Tx) error {
			got, err := tx.Structure(ctx)
			if err == nil {
				same(t, got.Policy, rbac.NewPolicy())
			}
			return err
		})
	}},
	{"holds a policy that was rolled back nowhere", func(t *testing.T, open opener) {
		db := open()
		st, _ := rbac.NewStructure(everyItem(), 7)
		err := db.Update(t.Context(), func(tx *store.Tx) error {
			first := tx.Store(t.Context(), st, Writes(st.Policy))
			again := tx.LockPolicy(t.Context(), true) // as a second change in the same transaction does
			mine, err := tx.Structure(t.Context())
			if err == nil && mine.Epoch != 7 {
				t.Errorf("the transaction itself sees epoch %d, want its own", mine.Epoch)
			}
			return errors.Join(first, again, err, errors.New("no"))
		})
		if err == nil {
			t.Fatal("nothing was rolled back")
		}
		view(t, db, func(ctx context.Context, tx *store.Tx) error {
			got, err := tx.Structure(ctx)
			if err == nil && (got.Epoch != 1 || len(got.Roles) > 0) {
				t.Errorf("got epoch %d with %d roles, want the policy that was there", got.Epoch, len(got.Roles))
			}
			return err
		})
	}},
	{"keeps every field of what people hold, and forgets what is dropped", func(t *testing.T, open opener) {
		db := open()
		ann, bob := account(t, db, "ann"), account(t, db, "bob")
		client(t, db, auth.Client{ID: "robot", Name: "Robot", CreatedAt: epoch, UpdatedAt: epoch})
		holder := rbac.AccountID(ann.ID)
		a, m, d := filled[rbac.Assignment](), filled[rbac.Membership](), filled[rbac.Delegation]()
		x, v, c, h := filled[rbac.Exception](), filled[rbac.Violation](), filled[rbac.Case](), filled[rbac.Hold]()
		subject := rbac.SubjectID(ann.Person)
		a.Account, m.Account, d.From, d.To, x.Subject, v.Subject, c.Subject, h.Subject = holder, holder, rbac.AccountID(bob.ID), holder, subject, subject, subject, subject
		forever := a
		forever.ID, forever.During.To = "forever", 0
		robot := rbac.Assignment{ID: "robots", Account: "robot", Role: "r", During: rbac.Window{From: 5}}
		rows := []any{a, forever, robot, m, d, x, v, c, h}
		var put, drop []rbac.Write
		for _, r := range rows {
			put, drop = append(put, rbac.Write{New: r}), append(drop, rbac.Write{Old: r})
		}
		people := []rbac.SubjectID{subject, rbac.SubjectID(bob.Person), "robot"}
		holds := func(want []any) {
			t.Helper()
			view(t, db, func(ctx context.Context, tx *store.Tx) error {
				got, err := tx.People(ctx, people)
				s, w := rbac.NewState(), rbac.NewState()
				s.Load(got...)
				w.Load(rbac.Subject{ID: subject}, rbac.Subject{ID: people[1]}, rbac.Subject{ID: "robot", Kind: rbac.Workload, Owner: subject},
					rbac.Account{ID: holder, Subject: subject}, rbac.Account{ID: rbac.AccountID(bob.ID), Subject: people[1]}, rbac.Account{ID: "robot", Subject: "robot"})
				w.Load(want...)
				for _, p := range [][2]any{
					{s.Subjects, w.Subjects}, {s.Accounts, w.Accounts}, {s.Assignments, w.Assignments}, {s.Memberships, w.Memberships}, {s.Delegations, w.Delegations},
					{s.Exceptions, w.Exceptions}, {s.Violations, w.Violations}, {s.Cases, w.Cases}, {s.Holds, w.Holds},
				} {
					same(t, p[0], p[1])
				}
				return err
			})
		}
		update(t, db, func(ctx context.Context, tx *store.Tx) error {
			robot := rbac.Subject{ID: "robot", Kind: rbac.Workload}
			owned := robot
			owned.Owner = subject
			return tx.Store(ctx, nil, append(put, rbac.Write{Old: robot, New: owned}))
		})
		holds(rows)
		view(t, db, func(ctx context.Context, tx *store.Tx) error {
			grants, err := tx.HeldBy(ctx, holder)
			s := rbac.NewState()
			s.Load(rows...)
			s.Load(rbac.Account{ID: holder, Subject: subject})
			want := s.Holder(subject).Grants
			sort := func(g []rbac.Grant) {
				slices.SortFunc(g, func(a, b rbac.Grant) int {
					return slices.Compare([]string{string(a.Assignment), string(a.Delegation), string(a.Group), string(a.Role)},
						[]string{string(b.Assignment), string(b.Delegation), string(b.Group), string(b.Role)})
				})
			}
			sort(want)
			sort(grants)
			same(t, grants, want)
			return err
		})
		update(t, db, func(ctx context.Context, tx *store.Tx) error { return tx.Store(ctx, nil, drop) })
		holds(nil)
	}},
	{"finds whom a change may touch", func(t *testing.T, open opener) {
		db := open()
		ann, bob, cee := account(t, db, "ann"), account(t, db, "bob"), account(t, db, "cee")
		client(t, db, auth.Client{ID: "robot", Name: "Robot", CreatedAt: epoch, UpdatedAt: epoch})
		id := func(a auth.Account) rbac.AccountID { return rbac.AccountID(a.ID) }
		update(t, db, func(ctx context.Context, tx *store.Tx) error {
			robot := rbac.Subject{ID: "robot", Kind: rbac.Workload, Owner: rbac.SubjectID(bob.Person)}
			return tx.Store(ctx, nil, []rbac.Write{
				{Old: rbac.Subject{ID: "robot", Kind: rbac.Workload}, New: robot},
				{New: rbac.Assignment{ID: "a", Account: id(ann), Role: "r"}},
				{New: rbac.Membership{Group: "g", Account: "robot"}},
				{New: rbac.Delegation{ID: "d", From: id(ann), To: id(cee), Roles: []rbac.RoleID{"r"}, During: rbac.Window{To: 9}}},
				{New: rbac.Exception{ID: "x", Rule: "R", Subject: rbac.SubjectID(bob.Person), Controls: []rbac.ControlID{"C"}}},
				{New: rbac.Violation{Rule: "V", Subject: rbac.SubjectID(bob.Person)}},
			})
		})
		annAndDeputy, both := []auth.PersonID{ann.Person, cee.Person}, []auth.PersonID{bob.Person, "robot"}
		for name, tt := range map[string]struct {
			whom rbac.Whom
			want []auth.PersonID
		}{
			"an account, with who is their deputy": {rbac.Whom{Accounts: []rbac.AccountID{id(ann)}}, annAndDeputy},
			"a deputy alone":                       {rbac.Whom{Accounts: []rbac.AccountID{id(cee)}}, []auth.PersonID{cee.Person}},
			"a workload, with whose it is":         {rbac.Whom{Accounts: []rbac.AccountID{"robot"}}, both},
			"a person, with their workload":        {rbac.Whom{Subjects: []rbac.SubjectID{rbac.SubjectID(bob.Person)}}, both},
			"an assignment":                        {rbac.Whom{Assignments: []rbac.AssignmentID{"a"}}, annAndDeputy},
			"a delegation":                         {rbac.Whom{Delegations: []rbac.DelegationID{"d"}}, annAndDeputy},
			"an exception":                         {rbac.Whom{Exceptions: []rbac.ExceptionID{"x"}}, both},
			"a role":                               {rbac.Whom{Roles: []rbac.RoleID{"r"}}, annAndDeputy},
			"a group":                              {rbac.Whom{Groups: []rbac.GroupID{"g"}}, both},
			"a rule that excuses somebody":         {rbac.Whom{Rules: []rbac.RuleID{"R"}}, both},
			"a rule that somebody breaks":          {rbac.Whom{Rules: []rbac.RuleID{"V"}}, both},
			"a control":                            {rbac.Whom{Controls: []rbac.ControlID{"C"}}, both},
			"who delegates":                        {rbac.Whom{Delegating: true}, annAndDeputy},
			"everybody":                            {rbac.Whom{Everybody: true}, []auth.PersonID{ann.Person, bob.Person, cee.Person, "robot"}},
			"nobody":                               {rbac.Whom{}, nil},
			"what does not exist":                  {rbac.Whom{Accounts: []rbac.AccountID{"none"}, Subjects: []rbac.SubjectID{"", "none"}, Roles: []rbac.RoleID{"none"}}, nil},
			"a person's id is no account":          {rbac.Whom{Accounts: []rbac.AccountID{rbac.AccountID(ann.Person)}}, nil},
		} {
			update(t, db, func(ctx context.Context, tx *store.Tx) error {
				found, err := tx.LockSubjects(ctx, tt.whom)
				got, want := map[string]bool{}, map[string]bool{}
				for _, id := range found {
					got[string(id)] = true
				}
				for _, id := range tt.want {
					want[string(id)] = true
				}
				if !maps.Equal(got, want) || len(found) != len(got) || !slices.IsSorted(found) {
					t.Errorf("%s: got %v, want %v, sorted and once each", name, found, tt.want)
				}
				return err
			})
		}
	}},
	{"lets a slot of a rule be taken once, whoever comes past the locks", func(t *testing.T, open opener) {
		db := open()
		ann := account(t, db, "ann")
		hold := rbac.Hold{Rule: "R", Subject: rbac.SubjectID(ann.Person), Slot: 1, Duty: "enter"}
		update(t, db, func(ctx context.Context, tx *store.Tx) error { return tx.Store(ctx, nil, []rbac.Write{{New: hold}}) })
		hold.Duty = "approve"
		tries := 0
		err := db.Update(t.Context(), func(tx *store.Tx) error {
			tries++
			return tx.Store(t.Context(), nil, []rbac.Write{{New: hold}})
		})
		if !errors.Is(err, store.ErrContended) || tries < 2 {
			t.Errorf("got %v after %d tries, want that it is judged again and then given up", err, tries)
		}
	}},
	{"records one event for a change and one for each row of it, and for a refusal one alone", func(t *testing.T, open opener) {
		db := open()
		ann := account(t, db, "ann")
		update(t, db, func(ctx context.Context, tx *store.Tx) error {
			return Policy(ctx, tx, Role("r", "a/b:c"), Assign(tx, ann.ID, "r"))
		})
		update(t, db, func(ctx context.Context, tx *store.Tx) error {
			res, err := rbac.Apply(ctx, tx, rbac.By{Actor: "local:test"}, rbac.Changeset{Ops: []rbac.Op{Assign(tx, ann.ID, "none")}})
			if err == nil && (res.Outcome != rbac.Refused || res.Why.Code != "not-found") {
				t.Errorf("got %v %v", res.Outcome, res.Why)
			}
			return err
		})
		view(t, db, func(ctx context.Context, tx *store.Tx) error {
			all, err := tx.Events(ctx, store.EventFilter{Actor: "local:test"}, 20)
			got := map[audit.Kind]int{}
			for _, e := range all {
				got[e.Kind]++
			}
			same(t, got, map[audit.Kind]int{audit.ChangeApplied: 1, audit.PermissionAdded: 1, audit.RoleAdded: 1, audit.RoleAssigned: 1, audit.ChangeRefused: 1})
			of, err2 := tx.Events(ctx, store.EventFilter{Subject: "account:" + string(ann.ID), Kind: audit.RoleAssigned}, 20)
			if len(of) != 1 || of[0].Detail["role"] != "r" || of[0].Detail["change"] == "" {
				t.Errorf("on the account's own line of time: %+v", of)
			}
			return errors.Join(err, err2)
		})
	}},
}
