package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/countersign-id/countersign/rbac"
)

// wayView is one reason why somebody holds something.
type wayView struct {
	pathView
	During  rbac.Window `json:"during"`
	InForce bool        `json:"in_force"` // now and without being activated
	Note    string      `json:"note,omitempty"`
}

func (d *desk) way(w rbac.Way) wayView {
	v := wayView{pathView: d.path(w.Path), During: w.During, InForce: w.Standing}
	v.Context = w.Context
	switch {
	case w.Standing:
	case w.Owned:
		v.Note = "by a workload of theirs"
	case w.During.From > d.now:
		v.Note = "not yet"
	default:
		v.Note = "must be activated"
	}
	return v
}

func (c *cli) explainCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "explain ACCOUNT", Short: "Explain what somebody holds, why, and for how long", Args: exactly("an account"),
		Long: "Explain what a person holds by all their accounts: everything, or one permission or role; or how they stand to a rule: why they break\n" +
			"it, or what of it they hold. Each line is one way: account → group or assignment → roles → permission.",
		Example: "  countersign explain ada\n  countersign explain ada --permission ledger/invoice:enter\n  countersign explain ada --rule AP-R01",
	}
	perm := cmd.Flags().String("permission", "", "why they hold this permission")
	role := cmd.Flags().String("role", "", "why they hold this role")
	rule := cmd.Flags().String("rule", "", "how they stand to this rule, whatever its mode")
	client := clientFlag(cmd)
	cmd.MarkFlagsMutuallyExclusive("permission", "role", "rule")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return c.reads(cmd, func(d *desk) error {
			_, id, err := d.holder(args[0], *client)
			if err != nil {
				return err
			}
			s, err := d.state(rbac.Whom{Subjects: []rbac.SubjectID{id}})
			if err != nil {
				return err
			}
			h := s.Holder(id)
			switch {
			case *rule != "":
				return c.explainRule(d, h, rbac.RuleID(*rule))
			case *perm != "":
				if _, err := known(d.Permissions, rbac.Permission(*perm), "permission"); err != nil {
					return err
				}
				return c.explainAtom(d, h, rbac.Permission(*perm).Atom())
			case *role != "":
				if _, err := known(d.Roles, rbac.RoleID(*role), "role"); err != nil {
					return err
				}
				return c.explainAtom(d, h, rbac.RoleID(*role).Atom())
			}
			ways := d.ways(d.Access(h, d.now))
			return c.print(map[string]any{"person": d.tell(id), "accounts": orEmpty(d.people[id]), "access": ways}, func(w io.Writer) { printWays(w, ways) })
		})
	}
	return cmd
}

func (d *desk) ways(all []rbac.Way) []wayView {
	out := make([]wayView, len(all))
	for i, w := range all {
		out[i] = d.way(w)
	}
	return out
}

func printWays(w io.Writer, ways []wayView) {
	if len(ways) == 0 {
		fmt.Fprintln(w, "They hold nothing of it.")
		return
	}
	table(w, []string{"WHAT", "WHY", "WHEN", ""}, len(ways), func(i int) []any {
		v := ways[i]
		kind, name := v.Atom.Split()
		what := string(kind) + " " + name
		if kind == rbac.PermAtom {
			what = name
		}
		return []any{what, v.pathView, spell(v.During), v.Note}
	})
}

func (c *cli) explainAtom(d *desk, h rbac.Holder, a rbac.Atom) error {
	ways := d.ways(d.Explain(h, a, d.now))
	return c.print(map[string]any{"person": d.tell(h.Subject), "atom": a, "holds": len(ways) > 0, "ways": ways}, func(w io.Writer) { printWays(w, ways) })
}

// dutyView is a duty of a rule and every way in which somebody comes to a part of it.
type dutyView struct {
	Duty rbac.DutyID `json:"duty"`
	Name string      `json:"name"`
	Expr string      `json:"expr"`
	Ways []wayView   `json:"ways"`
}

func (c *cli) explainRule(d *desk, h rbac.Holder, id rbac.RuleID) error {
	r, err := known(d.Rules, id, "rule")
	if err != nil {
		return err
	}
	duties := []dutyView{}
	for _, duty := range r.Duties {
		v := dutyView{Duty: duty, Name: d.Duties[duty].Name, Expr: spellExpr(d.Duties[duty].Expr), Ways: []wayView{}}
		d.Duties[duty].Expr.Atoms(func(a rbac.Atom) {
			if kind, name := a.Split(); kind == rbac.ScopeAtom { // a scope is held by its permissions
				for _, p := range d.Scopes[rbac.ScopeID(name)].Permissions {
					v.Ways = append(v.Ways, d.ways(d.Explain(h, p.Atom(), d.now))...)
				}
				return
			}
			v.Ways = append(v.Ways, d.ways(d.Explain(h, a, d.now))...)
		})
		duties = append(duties, v)
	}
	out := map[string]any{"person": d.tell(h.Subject), "rule": id, "mode": r.Mode, "k": r.K, "violated": false, "duties": duties}
	found := d.FindingsOf(h, id, d.now)
	var shown conflictView
	for _, f := range found {
		fixes, _ := d.Fixes(h, []rbac.RuleID{id}, d.now)
		shown = d.finding(h.Subject, f)
		shown.Fixes = d.fixes(fixes)
		out["violated"], out["conflict"], out["uncovered"] = true, shown, orEmpty(f.Uncovered)
	}
	return c.print(out, func(w io.Writer) {
		if len(found) > 0 {
			fmt.Fprintf(w, "They break it: %d of its duties together are too many.\n", r.K)
			shown.print(w)
		} else {
			fmt.Fprintf(w, "They do not break it: %d of its duties together would.\n", r.K)
		}
		for _, v := range duties {
			fmt.Fprintf(w, "\n%s (%s): %s\n", v.Duty, v.Name, v.Expr)
			printWays(w, v.Ways)
		}
	})
}
