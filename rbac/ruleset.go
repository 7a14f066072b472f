package rbac

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/countersign-id/countersign/internal/fault"
)

// Ruleset is a portable set of duties and rules: one JSON file. Every rule carries examples of what it
// means, and a file whose examples do not come out is refused.
type Ruleset struct {
	ID          RulesetID `json:"ruleset"`
	Version     string    `json:"version"`
	Title       string    `json:"title,omitempty"`
	Description string    `json:"description,omitempty"`
	Duties      []Duty    `json:"duties"`
	Rules       []Rule    `json:"rules"`
}

//go:embed rulesets/*.json
var library embed.FS

// maxRuleset is the largest ruleset file, in bytes.
const maxRuleset = 8 << 20

// Library returns the names of the rulesets that come with Countersign, sorted.
func Library() []RulesetID {
	names, _ := fs.Glob(library, "rulesets/*.json") // the pattern is well formed
	out := make([]RulesetID, 0, len(names))
	for _, n := range names {
		out = append(out, RulesetID(strings.TrimSuffix(path.Base(n), ".json")))
	}
	return out
}

// FromLibrary returns a ruleset of the library; NotFound if there is none of that name.
func FromLibrary(id RulesetID) (Ruleset, error) {
	b, err := library.ReadFile("rulesets/" + string(id) + ".json")
	if err != nil {
		return Ruleset{}, ErrNotFound.Saying("There is no such ruleset in the library.").At("ruleset")
	}
	return ParseRuleset(b)
}

// ParseRuleset reads a ruleset and checks it. The faults are "rule-invalid", with the field.
func ParseRuleset(b []byte) (Ruleset, error) {
	var rs Ruleset
	if len(b) > maxRuleset {
		return rs, ErrRuleInvalid.Saying("The ruleset is too large.")
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&rs); err != nil {
		return rs, ErrRuleInvalid.Saying("The ruleset is not JSON of the right form.").Because(err)
	}
	if dec.More() {
		return rs, ErrRuleInvalid.Saying("Something follows the ruleset.")
	}
	for i := range rs.Rules {
		if rs.Rules[i].Join == "none" {
			rs.Rules[i].Join = AnyContext
		}
	}
	if why := rs.check(); why != nil {
		return rs, why
	}
	return rs, nil
}

// check holds a ruleset against itself: forms, references, and the examples of every rule.
func (rs Ruleset) check() *fault.Error {
	if !named(string(rs.ID)) || rs.Version == "" {
		return ErrRuleInvalid.Saying("A ruleset has a name and a version.").At("ruleset")
	}
	p := NewPolicy()
	for i, d := range rs.Duties {
		at := fmt.Sprintf("duties[%d]", i)
		nodes := 0
		if _, twice := p.Duties[d.ID]; twice || !named(string(d.ID)) || !named(d.Name) {
			return ErrRuleInvalid.Saying("A duty has a name and an id of its own.").At(at)
		}
		if msg := d.Expr.check(0, &nodes); msg != "" {
			return ErrRuleInvalid.Saying("A duty's expression is wrong: " + msg + ".").At(at)
		}
		if a := d.Expr.odd(); a != "" {
			return ErrRuleInvalid.Saying("There is no such atom: " + string(a) + ".").At(at)
		}
		p.Duties[d.ID] = d
	}
	for i, r := range rs.Rules {
		at := fmt.Sprintf("rules[%d]", i)
		if _, twice := p.Rules[r.ID]; twice {
			return ErrRuleInvalid.Saying("A rule has an id of its own.").At(at)
		}
		if msg, field := r.check(); msg != "" {
			return ErrRuleInvalid.Saying(msg).At(at + "." + field)
		}
		for _, d := range r.Duties {
			if _, ok := p.Duties[d]; !ok {
				return ErrRuleInvalid.Saying("A rule names a duty that is not in the ruleset.").At(at + ".duties")
			}
		}
		p.Rules[r.ID] = r
	}
	return rs.tested(p)
}

// odd returns the first atom whose form is wrong.
func (e Expr) odd() Atom {
	var out Atom
	e.Atoms(func(a Atom) {
		kind, name := a.Split()
		ok := kind == RoleAtom || kind == GroupAtom || kind == ScopeAtom || kind == PermAtom && Permission(name).Valid()
		if out == "" && (!ok || name == "") {
			out = a
		}
	})
	return out
}

// tested runs the examples.
func (rs Ruleset) tested(p Policy) *fault.Error {
	s, err := Compile(p, 0)
	if err != nil {
		return fault.From(err)
	}
	for i, r := range rs.Rules {
		compiled := &s.rules[s.ruleAt[r.ID]]
		for j, test := range r.Tests {
			row := make(bitset, s.width)
			for _, a := range test.Atoms {
				if b := s.bit(a); b >= 0 {
					row.set(b)
				}
			}
			if s.settle(row); (s.held(compiled, row) >= r.K) != test.Violates {
				return ErrRuleInvalid.Saying(fmt.Sprintf("Rule %s does not do what its own example says.", r.ID)).At(fmt.Sprintf("rules[%d].tests[%d]", i, j))
			}
		}
	}
	return nil
}

// Copy returns rs with prefix before its own name and before every id in it: a copy to change, beside
// which the original can still be imported.
func (rs Ruleset) Copy(prefix string) Ruleset {
	out := rs
	out.ID = RulesetID(prefix) + rs.ID
	out.Duties = slices.Clone(rs.Duties)
	for i := range out.Duties {
		out.Duties[i].ID = DutyID(prefix) + out.Duties[i].ID
	}
	out.Rules = slices.Clone(rs.Rules)
	for i := range out.Rules {
		r := &out.Rules[i]
		r.ID, r.Duties = RuleID(prefix)+r.ID, slices.Clone(r.Duties)
		for j := range r.Duties {
			r.Duties[j] = DutyID(prefix) + r.Duties[j]
		}
	}
	return out
}

// Import returns the operations that bring rs into p: new duties and rules, and changes of those it
// has. Rules over atoms that p does not know are refused by Apply, unless unresolved says to take them in marked
// invalid; they bind by whatever of them exists, and become whole when they are imported again. A rule that is there keeps its
// mode and owner: an update never switches anything on or off.
func (rs Ruleset) Import(p Policy, unresolved bool) []Op {
	e := &edit{s: &State{Policy: p}}
	var ops []Op
	missing := map[DutyID]bool{}
	for _, d := range rs.Duties {
		d.Ruleset = rs.ID
		d.Expr.Atoms(func(a Atom) { missing[d.ID] = missing[d.ID] || !e.known(a) })
		if old, ok := p.Duties[d.ID]; !ok || !sameDuty(old, d) {
			ops = append(ops, DefineDuty{d})
		}
	}
	for _, r := range rs.Rules {
		r.Ruleset = rs.ID
		r.Invalid = unresolved && slices.ContainsFunc(r.Duties, func(d DutyID) bool { return missing[d] })
		old, ok := p.Rules[r.ID]
		if !ok {
			ops = append(ops, CreateRule{Rule: r})
			continue
		}
		r.Mode, r.Owner, r.Controls, r.Version = old.Mode, old.Owner, old.Controls, old.Version
		if !sameRow(old, r) {
			ops = append(ops, EditRule{Rule: r})
		}
	}
	return ops
}

func sameDuty(a, b Duty) bool {
	x, y := a.Expr, b.Expr
	return a.ID == b.ID && a.Name == b.Name && a.Process == b.Process && a.Description == b.Description && a.Ruleset == b.Ruleset && sameExpr(x, y)
}

// Export returns the ruleset that p holds under id, in the order of ids.
func Export(p Policy, id RulesetID, version, title, description string) Ruleset {
	out := Ruleset{ID: id, Version: version, Title: title, Description: description}
	for _, d := range sortedKeys(p.Duties) {
		if row := p.Duties[d]; row.Ruleset == id {
			row.Ruleset = ""
			out.Duties = append(out.Duties, row)
		}
	}
	for _, r := range sortedKeys(p.Rules) {
		if row := p.Rules[r]; row.Ruleset == id {
			row.Ruleset, row.Version, row.Invalid = "", 0, false
			out.Rules = append(out.Rules, row)
		}
	}
	return out
}
