package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/countersign-id/countersign/rbac"
)

// conflictView is one person in conflict with one rule: why, and the smallest ways out.
type conflictView struct {
	Change rbac.Change   `json:"change,omitempty"`
	Rule   rbac.RuleID   `json:"rule"`
	Level  rbac.Level    `json:"level"`
	Mode   rbac.Mode     `json:"mode"`
	Person string        `json:"person"`
	During []rbac.Window `json:"during"`
	Why    []pathView    `json:"why"`
	Fixes  [][]fixView   `json:"fixes,omitempty"`
}

// pathView is how somebody comes to an atom.
type pathView struct {
	Duty       rbac.DutyID       `json:"duty,omitempty"`
	Atom       rbac.Atom         `json:"atom"`
	Account    string            `json:"account"`
	Assignment rbac.AssignmentID `json:"assignment,omitempty"`
	Delegation rbac.DelegationID `json:"delegation,omitempty"`
	Groups     []rbac.GroupID    `json:"groups,omitempty"`
	Roles      []rbac.RoleID     `json:"roles,omitempty"`
	Context    string            `json:"context,omitempty"`
}

// fixView is one thing to take away.
type fixView struct {
	Take       string            `json:"take"` // assignment, delegation or membership
	Account    string            `json:"account"`
	Role       rbac.RoleID       `json:"role,omitempty"`
	Group      rbac.GroupID      `json:"group,omitempty"`
	Assignment rbac.AssignmentID `json:"assignment,omitempty"`
	Delegation rbac.DelegationID `json:"delegation,omitempty"`
}

func (d *desk) conflict(h rbac.Hit) conflictView {
	return conflictView{
		Change: h.Change, Rule: h.Rule, Level: h.Level, Mode: h.Mode, Person: d.tell(h.Subject), During: h.During, Why: d.witness(h.Witness),
	}
}

// finding is the conflict of somebody with a rule, as it is now.
func (d *desk) finding(id rbac.SubjectID, f rbac.Finding) conflictView {
	r := d.Rules[f.Rule]
	return conflictView{Rule: f.Rule, Level: r.Level, Mode: r.Mode, Person: d.tell(id), During: f.During, Why: d.witness(f.Witness)}
}

func (d *desk) witness(w rbac.Witness) []pathView {
	out := []pathView{}
	for _, duty := range w.Duties {
		for _, p := range duty.Paths {
			v := d.path(p)
			v.Duty, v.Context = duty.Duty, w.Context
			out = append(out, v)
		}
	}
	return out
}

func (d *desk) path(p rbac.Path) pathView {
	return pathView{
		Atom: p.Atom, Account: d.tellAccount(p.Account), Assignment: p.Assignment, Delegation: p.Delegation, Groups: p.Groups, Roles: p.Roles,
	}
}

func (d *desk) fixes(fixes []rbac.Fix) [][]fixView {
	var out [][]fixView
	for _, f := range fixes {
		var one []fixView
		for _, g := range f {
			v := fixView{Take: "membership", Account: d.tellAccount(g.Account), Role: g.Role, Group: g.Group, Assignment: g.Assignment, Delegation: g.Delegation}
			switch {
			case g.Assignment != "":
				v.Take = "assignment"
			case g.Delegation != "":
				v.Take = "delegation"
			}
			one = append(one, v)
		}
		if len(one) > 0 {
			out = append(out, one)
		}
	}
	return out
}

// String spells a path in one line: account → group or assignment → roles → atom.
func (p pathView) String() string {
	steps := []string{p.Account}
	switch {
	case p.Delegation != "":
		steps = append(steps, "as deputy")
	case p.Assignment != "":
		steps = append(steps, "assigned")
	}
	for _, g := range p.Groups {
		steps = append(steps, "group "+string(g))
	}
	for _, r := range p.Roles {
		steps = append(steps, "role "+string(r))
	}
	if kind, name := p.Atom.Split(); kind == rbac.PermAtom {
		steps = append(steps, name)
	}
	out := strings.Join(steps, " → ")
	if p.Context != "" {
		out += " in " + p.Context
	}
	return out
}

func (f fixView) String() string {
	switch f.Take {
	case "assignment":
		return fmt.Sprintf("withdraw %s from %s", f.Role, f.Account)
	case "delegation":
		return fmt.Sprintf("end the delegation of %s to %s", f.Role, f.Account)
	}
	return fmt.Sprintf("take %s out of %s", f.Account, f.Group)
}

// print tells of a conflict: one line for the rule, one for each way to it, one for each way out.
func (v conflictView) print(w io.Writer) {
	head := []string{v.Person, string(v.Rule), string(v.Level), string(v.Mode)}
	if v.Change != "" {
		head = append([]string{string(v.Change)}, head...)
	}
	for _, during := range v.During {
		head = append(head, spell(during))
		break
	}
	fmt.Fprintf(w, "  %s\n", strings.Join(head, "  "))
	for _, p := range v.Why {
		fmt.Fprintf(w, "      %s: %s\n", p.Duty, p)
	}
	printFixes(w, v.Fixes)
}

func printFixes(w io.Writer, fixes [][]fixView) {
	for i, fix := range fixes {
		if i == mostListed {
			fmt.Fprintf(w, "      … and %d more ways\n", len(fixes)-i)
			return
		}
		var steps []string
		for _, f := range fix {
			steps = append(steps, f.String())
		}
		fmt.Fprintf(w, "      to mend it: %s\n", strings.Join(steps, ", and "))
	}
}
