package rbac

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/countersign-id/countersign/internal/fault"
)

func counter() func() string {
	n := 0
	return func() string { n++; return fmt.Sprint("n", n) }
}

func textOf(t interface{ Fatal(...any) }, d Document) string {
	b, err := json.MarshalIndent(d, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// lived is the small world after a history.
func lived(t *rapid.T) *State {
	b := furnished(t)
	for range rapid.IntRange(0, 12).Draw(t, "steps") {
		if _, err := b.s.Apply(By{}, Changeset{Ops: []Op{drawOp(t, b.s)}}, 100); err != nil {
			t.Fatal(err)
		}
	}
	return b.s
}

// What was exported is what is there: to apply it changes nothing, whatever history led to it.
func TestWhatWasExportedPlansNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := lived(t)
		d := s.Document(100)
		var read Document // as it comes out of a file
		if err := json.Unmarshal([]byte(textOf(t, d)), &read); err != nil {
			t.Fatal(err)
		}
		plan, err := s.Plan(read, Planner{Now: 100, NewID: counter()})
		if err != nil || len(plan.Steps) > 0 || len(plan.Notes) > 0 {
			t.Fatalf("got %+v, %v, want no step", plan, err)
		}
	})
}

// The way from one state to another arrives there, and has no step left then.
func TestAPlanLeadsToItsDocument(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s, target := lived(t), lived(t)
		want := target.Document(100)
		want.People = nil // whose an account is cannot be taken back
		for i := range *want.Rules {
			(*want.Rules)[i].Mode = Record // or some ways could not be gone
		}
		for i := range *want.Roles {
			(*want.Roles)[i].MinAssignees, (*want.Roles)[i].MaxAssignees, (*want.Roles)[i].Prerequisite = 0, 0, Cond{}
			(*want.Roles)[i].Unassignable = false
		}
		want.Exceptions, want.Delegations = &[]Exception{}, &[]Delegation{}
		plan, err := s.Plan(want, Planner{Now: 100, NewID: counter()})
		if err != nil {
			t.Fatal(err)
		}
		c := Changeset{Ops: plan.Ops(), Adopt: true}
		before := snapshotOfRows(s)
		c.DryRun = true
		if res, err := s.Apply(By{}, c, 100); err != nil || res.Outcome != Applied {
			t.Fatalf("dry: %+v, %v", res.Why, err)
		}
		if diff := cmp.Diff(before, snapshotOfRows(s)); diff != "" {
			t.Fatalf("a dry run left something behind:\n%s", diff)
		}
		c.DryRun = false
		if res, err := s.Apply(By{}, c, 100); err != nil || res.Outcome != Applied {
			t.Fatalf("%+v, %v", res.Why, err)
		}
		got := s.Document(100)
		got.People = nil
		if diff := cmp.Diff(textOf(t, want), textOf(t, got)); diff != "" {
			t.Fatalf("arrived elsewhere (-want +got):\n%s", diff)
		}
		if again, err := s.Plan(want, Planner{Now: 100, NewID: counter()}); err != nil || len(again.Steps) > 0 {
			t.Fatalf("a second time: %+v, %v", again.Steps, err)
		}
	})
}

func TestAPlanSaysWhatIsOther(t *testing.T) {
	t.Parallel()
	s := NewState()
	s.Load(PermissionDef{ID: "a/b:c"}, PermissionDef{ID: "a/b:d"}, Role{ID: "r", Name: "Old", Permissions: []Permission{"a/b:c"}}, Role{ID: "gone", Name: "Gone"},
		Subject{ID: "p"}, Account{"ann", "p"}, Assignment{ID: "1", Account: "ann", Role: "gone", During: Window{From: 1}},
		Assignment{ID: "2", Account: "ann", Role: "r", During: Window{From: 1}}, Assignment{ID: "3", Account: "ann", Role: "r", Source: JustInTime, During: Window{From: 1, To: 900}})
	d := Document{
		Roles:       &[]Role{{ID: "r", Name: "New", Permissions: []Permission{"a/b:d"}}, {ID: "s", Name: "S"}},
		Assignments: &[]Assignment{{Account: "ann", Role: "s", Context: "org=1", During: Window{To: 500}}},
	}
	plan, err := s.Plan(d, Planner{Now: 100, NewID: counter()})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range plan.Steps {
		got = append(got, fmt.Sprint(s.Sign, " ", s.Kind, " ", s.Name, " ", s.Detail))
	}
	want := []string{
		"- role gone []", "~ role r [name: \"Old\" → \"New\" permissions: +a/b:d -a/b:c]", "+ role s []",
		"- assignment r of ann []", "+ assignment s of ann in org=1 until 1970-01-01T00:00:00Z []",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestADocumentThatContradictsItself(t *testing.T) {
	t.Parallel()
	s := NewState()
	for name, d := range map[string]Document{
		"policy-file-invalid": {Roles: &[]Role{{ID: "r", Name: "R"}, {ID: "r", Name: "Q"}}},
		"not-found":           {People: &[]PersonEntry{{Account: "nobody"}}},
	} {
		if _, err := s.Plan(d, Planner{Now: 100, NewID: counter()}); fault.From(err).Code != name {
			t.Errorf("got %v, want %s", err, name)
		}
	}
}
