package rbac

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// Every ruleset of the library is whole: described, tagged, exampled both ways, and its examples come out of the
// engine itself, with roles and people, not only out of the file's own check.
func TestRulesetLibrary(t *testing.T) {
	t.Parallel()
	want := []RulesetID{"healthcare", "hire-to-retire", "idp-internal", "inventory", "it-devops", "mlps-3", "order-to-cash",
		"payments", "procure-to-pay", "record-to-report", "treasury"}
	if got := Library(); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	rules := 0
	for _, id := range Library() {
		rs, err := FromLibrary(id)
		if err != nil {
			t.Fatalf("%s: %v", id, err)
		}
		if rs.ID != id || rs.Title == "" || rs.Description == "" {
			t.Errorf("%s does not say what it is: %+v", id, rs)
		}
		for _, r := range rs.Rules {
			rules++
			if r.Description == "" || r.Scenario == "" || r.Mitigation == "" || len(r.ControlTags) == 0 {
				t.Errorf("%s %s does not say what it is for", id, r.ID)
			}
			if want := map[bool]Mode{true: Draft, false: Record}[r.waits()]; r.Mode != want {
				t.Errorf("%s %s comes as %s, want %s", id, r.ID, r.Mode, want)
			}
			yes := slices.ContainsFunc(r.Tests, func(x RuleTest) bool { return x.Violates })
			no := slices.ContainsFunc(r.Tests, func(x RuleTest) bool { return !x.Violates })
			if !yes || !no {
				t.Errorf("%s %s has no example of both", id, r.ID)
			}
		}
		livesUpTo(t, rs)
	}
	if rules < 60 {
		t.Errorf("got %d rules, want the library of rbac.md section 13", rules)
	}
}

// livesUpTo imports rs into an organisation that has every permission it names, and tries each example on somebody.
func livesUpTo(t *testing.T, rs Ruleset) {
	t.Helper()
	o := newOrg(t)
	perms := map[Atom]bool{}
	for _, d := range rs.Duties {
		d.Expr.Atoms(func(a Atom) { perms[a] = true })
	}
	for _, a := range sortedKeys(perms) {
		_, name := a.Split()
		o.role(RoleID(name), Permission(name))
	}
	o.person("ann")
	o.does(rs.Import(o.s.Policy, false)...)
	for _, r := range rs.Rules {
		if !r.static() {
			continue
		}
		for _, test := range r.Tests {
			h := Holder{Subject: "ann"}
			for _, a := range test.Atoms {
				_, name := a.Split()
				h.Grants = append(h.Grants, Grant{Account: "ann", Role: RoleID(name)})
			}
			if got := len(o.snap().FindingsOf(h, r.ID, o.now)) > 0; got != test.Violates {
				t.Errorf("%s with %v: got a violation %v, want %v", r.ID, test.Atoms, got, test.Violates)
			}
		}
	}
	if again := rs.Import(o.s.Policy, false); len(again) != 0 {
		t.Errorf("%s: imported again it changes %d things", rs.ID, len(again))
	}
}

func TestRulesetsOfOurOwnSpeakOfOurPermissions(t *testing.T) {
	t.Parallel()
	ours := map[Atom]bool{}
	for _, p := range Builtin() {
		if !p.ID.Valid() || p.Description == "" || ours[p.ID.Atom()] {
			t.Errorf("%+v is no permission of its own", p)
		}
		ours[p.ID.Atom()] = true
	}
	for _, id := range []RulesetID{"idp-internal", "mlps-3"} {
		rs, err := FromLibrary(id)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range rs.Duties {
			d.Expr.Atoms(func(a Atom) {
				if !ours[a] {
					t.Errorf("%s %s speaks of %s, which is not ours", id, d.ID, a)
				}
			})
		}
	}
}

// rbac-M14: what is exported and imported again is the same.
func TestRulesetRoundTrip(t *testing.T) {
	t.Parallel()
	for _, id := range Library() {
		rs, err := FromLibrary(id)
		if err != nil {
			t.Fatal(err)
		}
		o := newOrg(t)
		o.does(rs.Import(o.s.Policy, true)...)
		b, err := json.Marshal(Export(o.s.Policy, rs.ID, rs.Version, rs.Title, rs.Description))
		if err != nil {
			t.Fatal(err)
		}
		back, err := ParseRuleset(b)
		if err != nil {
			t.Fatalf("%s: %v", id, err)
		}
		sortRuleset(&rs)
		if diff := cmp.Diff(rs, back); diff != "" {
			t.Errorf("%s came back as something else:\n%s", id, diff)
		}
		for _, r := range o.s.Rules {
			if !r.Invalid {
				t.Errorf("%s names permissions nobody has and does not say so", r.ID)
			}
		}
		o.cannot("rule-invalid", rs.Copy("z-").Import(o.s.Policy, false)...)
		o.does(rs.Copy("z-").Import(o.s.Policy, true)...)
		if len(o.s.Rules) != 2*len(rs.Rules) {
			t.Errorf("%s: got %d rules with its copy, want %d", id, len(o.s.Rules), 2*len(rs.Rules))
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		e := drawExpr(t, 0)
		b, err := json.Marshal(e)
		if err != nil {
			t.Fatalf("Marshal = %v", err)
		}
		var back Expr
		if err := json.Unmarshal(b, &back); err != nil {
			t.Fatalf("Unmarshal(%s) = %v", b, err)
		}
		if !sameExpr(e, back) {
			t.Fatalf("%s came back as %+v, was %+v", b, back, e)
		}
	})
}

func sortRuleset(rs *Ruleset) {
	slices.SortFunc(rs.Duties, func(a, b Duty) int { return strings.Compare(string(a.ID), string(b.ID)) })
	slices.SortFunc(rs.Rules, func(a, b Rule) int { return strings.Compare(string(a.ID), string(b.ID)) })
}

const rulesetForm = `{"ruleset":"x","version":"1","duties":[
 {"id":"A","name":"a","expr":{"anyOf":["perm:x/a:do","perm:x/b:do"]}},{"id":"B","name":"b","expr":"perm:x/c:do"}],
 "rules":[{"id":"R","kind":"ssd","duties":["A","B"],"k":2,"join":"none","level":"high","mode":"record",
 "tests":[{"atoms":["perm:x/a:do","perm:x/c:do"],"violates":true}]}]}`

func TestRulesetsThatAreWrong(t *testing.T) {
	t.Parallel()
	if _, err := ParseRuleset([]byte(rulesetForm)); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, from, to string }{
		{"an example that does not come out", `"violates":true`, `"violates":false`},
		{"an unknown field", `"version":"1"`, `"version":"1","colour":"red"`},
		{"no version", `"version":"1"`, `"version":""`},
		{"a duty twice", `"id":"B"`, `"id":"A"`},
		{"a duty from nowhere", `"duties":["A","B"]`, `"duties":["A","C"]`},
		{"more duties counted than named", `"k":2`, `"k":3`},
		{"an atom of no form", `"perm:x/c:do"}`, `"perm:xc"}`},
		{"an atom of no kind", `"perm:x/c:do"}`, `"planet:mars"}`},
		{"an expression of two forms", `{"anyOf":[`, `{"allOf":["perm:x/a:do"],"anyOf":[`},
		{"a threshold without parts", `"expr":"perm:x/c:do"`, `"expr":{"atLeast":1}`},
		{"parts without a threshold", `"expr":"perm:x/c:do"`, `"expr":{"of":["perm:x/c:do"]}`},
		{"an unknown kind", `"ssd"`, `"ssod"`},
		{"half a file", `]}]}`, ``},
		{"two files", `]}]}`, `]}]}{}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text := strings.Replace(rulesetForm, tt.from, tt.to, 1)
			if tt.name == "an example that does not come out" || text == rulesetForm {
				text = strings.ReplaceAll(rulesetForm, tt.from, tt.to)
			}
			if _, err := ParseRuleset([]byte(text)); err == nil {
				t.Errorf("%s was taken", text)
			}
		})
	}
}

// Nothing anybody writes into a file brings the reader down, and what it takes it can write.
func FuzzParseRuleset(f *testing.F) {
	f.Add([]byte(rulesetForm))
	f.Add([]byte(`{"ruleset":"x","version":"1","duties":[{"id":"A","name":"a","expr":{"atLeast":2,"of":["role:a",{"allOf":["scope:b","group:c"]}]}}],"rules":[]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		rs, err := ParseRuleset(b)
		if err != nil {
			return
		}
		out, err := json.Marshal(rs)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ParseRuleset(out); err != nil {
			t.Fatalf("%s was taken, and not %s: %v", b, out, err)
		}
	})
}
