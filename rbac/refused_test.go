package rbac_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/countersign-id/countersign/internal/fault"
	"github.com/countersign-id/countersign/rbac"
)

// sec-A10, sec-A11: whichever way somebody would come to both sides of a rule that blocks, on either database it is a refusal with its
// code, it names who and which rule, it is recorded, and nothing else is other than before.
func TestEveryWayToBothSidesIsRefused(t *testing.T) {
	t.Parallel()
	var always rbac.Window
	enters := assign("u0", "a0", "enter", always)
	deputy := rbac.Delegation{ID: "v1", From: "a1", To: "a0", Roles: []rbac.RoleID{"release"}, During: rbac.Window{From: 100, To: 200}}
	releasing := func(edit func(*rbac.Assignment)) rbac.Op {
		a := rbac.Assignment{ID: "u1", Account: "a0", Role: "release"}
		edit(&a)
		return rbac.Assign{Assignment: a}
	}
	onStages(t, 1, func(t *testing.T, s *stage) {
		for _, tt := range []struct {
			name   string
			before []rbac.Op
			op     rbac.Op
		}{
			{"sec-A10 an assignment", []rbac.Op{enters}, assign("u1", "a0", "release", always)},
			{"sec-A10 an assignment to another account of theirs", []rbac.Op{enters}, assign("u1", "b0", "release", always)},
			{"sec-A10 an assignment of what they are only eligible for", []rbac.Op{enters}, releasing(func(a *rbac.Assignment) { a.Eligible = true })},
			{"sec-A10 an assignment that is still to come", []rbac.Op{enters}, releasing(func(a *rbac.Assignment) { a.During.From = 500 })},
			{"sec-A10 an assignment in another context", []rbac.Op{enters}, releasing(func(a *rbac.Assignment) { a.Context = "org=2" })},
			{"sec-A11 a rule that assigns", []rbac.Op{enters}, releasing(func(a *rbac.Assignment) { a.Source = rbac.FromRule })},
			{"sec-A11 an emergency", []rbac.Op{enters}, releasing(func(a *rbac.Assignment) { a.Source = rbac.BreakGlass })},
			{"sec-A11 a group", []rbac.Op{enters, rbac.AddGroupRole{Group: "team", Role: "release"}}, join("team", "a0", always)},
			{
				"sec-A11 a group in a group", []rbac.Op{enters, rbac.AddGroupRole{Group: "staff", Role: "release"}, rbac.AddGroupEdge{Parent: "staff", Child: "team"}},
				join("team", "a0", always),
			},
			{
				"sec-A11 a senior role", []rbac.Op{enters, rbac.AddInheritance{Senior: "clerk", Junior: "desk"}, rbac.AddInheritance{Senior: "desk", Junior: "release"}},
				assign("u1", "a0", "clerk", always),
			},
			{
				"sec-A11 a senior role that only lets one activate it", []rbac.Op{enters, rbac.AddInheritance{Senior: "clerk", Junior: "release", Mode: rbac.Activate}},
				assign("u1", "a0", "clerk", always),
			},
			{"sec-A11 a deputy", []rbac.Op{enters, assign("u2", "a1", "release", always)}, rbac.Delegate{Delegation: deputy}},
			{"sec-A11 an inheritance later", []rbac.Op{enters, assign("u2", "b0", "clerk", always)}, rbac.AddInheritance{Senior: "clerk", Junior: "release"}},
			{"sec-A11 a permission later", []rbac.Op{enters, assign("u2", "b0", "clerk", always)}, rbac.GrantPermission{Role: "clerk", Permission: "pay/order:release"}},
			{"sec-A11 a group's role later", []rbac.Op{enters, join("team", "b0", always)}, rbac.AddGroupRole{Group: "team", Role: "release"}},
			{
				"sec-A11 a group into another later", []rbac.Op{enters, join("team", "a0", always), rbac.AddGroupRole{Group: "staff", Role: "release"}},
				rbac.AddGroupEdge{Parent: "staff", Child: "team"},
			},
			{"sec-A11 an exception that ends", []rbac.Op{enters, excuse("x1", "p0")}, assign("u1", "a0", "release", always)},
		} {
			t.Run(tt.name, func(t *testing.T) {
				s.furnish(t, payments(rbac.Block, tt.before...))
				p := s.alone(t, change(tt.op))
				if p.code() != sod || fault.Of(p.res.Err()) != fault.Conflict {
					t.Fatalf("got %q, want %q, which is a conflict", p.code(), sod)
				}
				if len(p.res.Hits) != 1 || p.res.Hits[0].Subject != "p0" || p.res.Hits[0].Rule != "apart" {
					t.Errorf("got the hits %+v, want p0 under the rule", p.res.Hits)
				}
			})
		}
	})
}

// furnish makes the world anew.
func (s *stage) furnish(t *testing.T, ops []rbac.Op) {
	t.Helper()
	s.reset(t)
	if res, err := s.apply(change(ops...)); err != nil || res.Why != nil {
		t.Fatalf("set up: %v %v", res.Why, err)
	}
	s.exec(t, "DELETE FROM events")
	s.after = s.still(t)
}

// alone makes one change, and holds the rows and the events against the engine.
func (s *stage) alone(t *testing.T, c rbac.Changeset) *player {
	t.Helper()
	p := s.enter(t, 0, move{Changeset: c})
	conclude(t, p)
	s.serial(t, s.after, []*player{p})
	return p
}

// sec-A18: an import is one change: it is taken in whole or not at all, whatever is wrong with one row of it, a dry run says just
// that, and where it is to be taken in as it is found, what it breaks becomes cases.
func TestAnImportIsOneChange(t *testing.T) {
	t.Parallel()
	var always rbac.Window
	lawful := []rbac.Op{
		assign("i1", "a0", "enter", always), assign("i2", "a1", "release", always), assign("i3", "a2", "officer", always), join("team", "a0", always),
	}
	onStages(t, 1, func(t *testing.T, s *stage) {
		for _, tt := range []struct {
			name string
			row  rbac.Op
			want string
		}{
			{"sec-A18 lawful", assign("i4", "b0", "clerk", always), ""},
			{"sec-A18 with an account that is not there", assign("i4", "none", "clerk", always), "not-found"},
			{"sec-A18 with a role that is not there", assign("i4", "a0", "none", always), "not-found"},
			{"sec-A18 with a group that is not there", join("none", "a0", always), "not-found"},
			{"sec-A18 with a row that is there twice", assign("i1", "a1", "clerk", always), "already-exists"},
			{"sec-A18 with what is held already", assign("i4", "a0", "enter", always), "already-exists"},
			{"sec-A18 with an end before the start", assign("i4", "a0", "clerk", rbac.Window{From: 300, To: 200}), "window-invalid"},
			{"sec-A18 with one more than a role allows", assign("i4", "a1", "officer", always), "cardinality-exceeded"},
			{"sec-A18 with both sides of a rule", assign("i4", "b0", "release", always), sod},
		} {
			t.Run(tt.name, func(t *testing.T) {
				s.furnish(t, payments(rbac.Block, officer(0, 1)))
				for at := range len(lawful) + 1 { // wherever the row is
					c := change(slices.Insert(slices.Clone(lawful), at, tt.row)...)
					c.DryRun = true
					dry, err := s.apply(c)
					if err != nil || codeOf(dry) != tt.want {
						t.Fatalf("row %d, dry: got %q %v, want %q", at, codeOf(dry), err, tt.want)
					}
					if diff := cmp.Diff(rbac.Everything(s.after.state()), rbac.Everything(s.state(t)), cmpopts.EquateEmpty()); diff != "" || len(s.events(t)) > 0 {
						t.Fatalf("row %d: a dry run left something behind:\n%s", at, diff)
					}
					if c.DryRun = false; tt.want == "" && at < len(lawful) {
						continue // it is taken in once
					}
					got := s.alone(t, c).res
					ignore := cmpopts.IgnoreUnexported(rbac.Path{})
					if diff := cmp.Diff([]any{codeOf(dry), dry.Hits, dry.Affected, dry.Writes}, []any{codeOf(got), got.Hits, got.Affected, got.Writes}, ignore, cmpopts.EquateEmpty()); diff != "" {
						t.Errorf("row %d: the dry run (-) and the change (+) differ:\n%s", at, diff)
					}
					if tt.want != "" && len(got.Writes) > 0 {
						t.Errorf("row %d: it was refused and wrote %+v", at, got.Writes)
					}
				}
			})
		}
		t.Run("sec-A18 with both sides of a rule, taken in as it is found", func(t *testing.T) {
			s.furnish(t, payments(rbac.Block, officer(0, 1)))
			c := change(append(slices.Clone(lawful), assign("i4", "b0", "release", always))...)
			c.Adopt = true
			if p := s.alone(t, c); p.code() != "" {
				t.Fatalf("got %q, want that it is taken in", p.code())
			}
			got := s.state(t).Cases[rbac.CaseKey{Rule: "apart", Subject: "p0"}]
			if got.State != rbac.CaseOpen || got.Origin != rbac.FromAdoption {
				t.Errorf("got %+v, want an open case of what was adopted", got)
			}
		})
	})
}
