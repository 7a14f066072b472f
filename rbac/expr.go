package rbac

import (
	"encoding/json"
	"fmt"
)

// Expr is a threshold over what a person holds: one atom, or at least K of Of. There is no "not", so
// holding more never makes it false; the delta check and "removals always pass" rest on that.
type Expr struct {
	Atom Atom
	K    int
	Of   []Expr
}

// Leaf is the expression of one atom.
func Leaf(a Atom) Expr { return Expr{Atom: a} }

// AtLeast is held with k of the atoms.
func AtLeast(k int, atoms ...Atom) Expr {
	e := Expr{K: k, Of: make([]Expr, len(atoms))}
	for i, a := range atoms {
		e.Of[i] = Leaf(a)
	}
	return e
}

// AnyOf is held with any of the atoms.
func AnyOf(atoms ...Atom) Expr { return AtLeast(1, atoms...) }

// AllOf is held with all of the atoms.
func AllOf(atoms ...Atom) Expr { return AtLeast(len(atoms), atoms...) }

// Atoms calls f for every atom of e.
func (e Expr) Atoms(f func(Atom)) {
	if e.Atom != "" {
		f(e.Atom)
	}
	for _, sub := range e.Of {
		sub.Atoms(f)
	}
}

// Limits on what one expression may hold. They are far above what any real rule needs and keep a
// hostile file from exhausting the compiler.
const (
	maxExprDepth = 8
	maxExprNodes = 20_000
	maxDuties    = 1_000 // of one rule
)

// check says what is wrong with the form of e, "" if nothing is.
func (e Expr) check(depth int, nodes *int) string {
	if *nodes++; *nodes > maxExprNodes {
		return "too large"
	}
	if e.Atom != "" {
		if e.K != 0 || len(e.Of) != 0 {
			return "an atom has no parts"
		}
		return ""
	}
	switch {
	case depth >= maxExprDepth:
		return "nested too deeply"
	case len(e.Of) == 0:
		return "it has no parts"
	case e.K < 1:
		return "it asks for fewer than one of its parts"
	case e.K > len(e.Of):
		return "it asks for more parts than it has"
	}
	seen := map[Atom]bool{}
	for _, sub := range e.Of {
		if sub.Atom != "" && seen[sub.Atom] {
			return "an atom is named twice" // it would count once and the threshold never be met
		}
		seen[sub.Atom] = sub.Atom != ""
		if msg := sub.check(depth+1, nodes); msg != "" {
			return msg
		}
	}
	return ""
}

// MarshalJSON writes e as in a ruleset file: an atom is a string, anything else is {"anyOf": …},
// {"allOf": …} or {"atLeast": k, "of": …}.
func (e Expr) MarshalJSON() ([]byte, error) {
	switch {
	case e.Atom != "":
		return json.Marshal(string(e.Atom))
	case e.K == 1:
		return json.Marshal(struct {
			AnyOf []Expr `json:"anyOf"`
		}{e.Of})
	case e.K == len(e.Of):
		return json.Marshal(struct {
			AllOf []Expr `json:"allOf"`
		}{e.Of})
	}
	return json.Marshal(struct {
		AtLeast int    `json:"atLeast"`
		Of      []Expr `json:"of"`
	}{e.K, e.Of})
}

// UnmarshalJSON reads what MarshalJSON writes.
func (e *Expr) UnmarshalJSON(b []byte) error {
	var atom string
	if json.Unmarshal(b, &atom) == nil {
		*e = Leaf(Atom(atom))
		return nil
	}
	var form struct {
		AnyOf   []Expr `json:"anyOf"`
		AllOf   []Expr `json:"allOf"`
		AtLeast *int   `json:"atLeast"`
		Of      []Expr `json:"of"`
	}
	if err := json.Unmarshal(b, &form); err != nil {
		return err
	}
	forms := 0
	if form.AnyOf != nil {
		*e, forms = Expr{K: 1, Of: form.AnyOf}, forms+1
	}
	if form.AllOf != nil {
		*e, forms = Expr{K: len(form.AllOf), Of: form.AllOf}, forms+1
	}
	if form.AtLeast != nil || form.Of != nil {
		if form.AtLeast == nil {
			return fmt.Errorf("of without atLeast")
		}
		*e, forms = Expr{K: *form.AtLeast, Of: form.Of}, forms+1
	}
	if forms != 1 {
		return fmt.Errorf("an expression is an atom, anyOf, allOf or atLeast with of")
	}
	return nil
}
