package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/countersign-id/countersign/rbac"
)

// policyCommands are the commands about who may hold what.
func (c *cli) policyCommands() []*cobra.Command {
	return []*cobra.Command{
		c.serverCommand(), c.permissionCommand(), c.scopeCommand(), c.roleCommand(), c.groupCommand(),
		c.assignCommand(), c.withdrawCommand(), c.delegateCommand(), c.undelegateCommand(),
		c.dutyCommand(), c.ruleCommand(), c.controlCommand(), c.exceptionCommand(), c.caseCommand(),
		c.violationsCommand(), c.simulateCommand(), c.explainCommand(), c.rulesetCommand(),
	}
}

func (c *cli) roleCommand() *cobra.Command {
	n := noun[rbac.RoleID, rbac.Role]{
		word: "role", plural: "roles", arg: "ROLE",
		rows: func(d *desk) map[rbac.RoleID]rbac.Role { return d.Roles },
		settle: func(_ *desk, r *rbac.Role) error { // the usual is written as nothing
			if r.Kind == "business" {
				r.Kind = rbac.BusinessRole
			}
			if r.Lifecycle == "active" {
				r.Lifecycle = rbac.ActiveRole
			}
			return nil
		},
		fresh:  func(_ *desk, id rbac.RoleID) (rbac.Role, error) { return rbac.Role{ID: id, Name: string(id)}, nil },
		fields: roleFields,
		add:    func(r rbac.Role) rbac.Op { return rbac.CreateRole{Role: r} },
		edit:   func(r rbac.Role) rbac.Op { return rbac.EditRole{Role: r} },
		drop:   func(id rbac.RoleID, force bool) rbac.Op { return rbac.DeleteRole{Role: id, Force: force} },
		forced: true,
		head:   []string{"ROLE", "NAME", "KIND", "LIFECYCLE", "PERMISSIONS", "INHERITS"},
		line: func(d *desk, r rbac.Role) []any {
			return []any{r.ID, r.Name, orDash(r.Kind, "business"), orDash(r.Lifecycle, "active"), len(d.Authority([]rbac.RoleID{r.ID}).Permissions()), len(r.Juniors)}
		},
		view: func(d *desk, r rbac.Role) rbac.Role {
			r.Owner = rbac.SubjectID(d.tell(r.Owner))
			return r
		},
		also: roleMore,
		example: map[string]string{
			"add":  "  countersign role add ap-clerk --name 'Accounts payable clerk' --permission ledger/invoice:read --permission ledger/invoice:enter --owner ingrid",
			"edit": "  countersign role edit controller --needs 'any(ap-clerk, ap-approver)' --max 3",
			"show": "  countersign role show ap-clerk",
		},
	}
	return group("role", "Roles: what they permit and what they inherit", n.list(c), n.show(c), n.adding(c), n.editing(c), n.dropping(c),
		c.roleInherit(), c.roleDisinherit(), c.rolePermission("grant", "Give a role a permission", "%s has %s.",
			func(r rbac.RoleID, p rbac.Permission) rbac.Op { return rbac.GrantPermission{Role: r, Permission: p} }),
		c.rolePermission("revoke", "Take a permission from a role; what is inherited stays", "%s has %s no more.",
			func(r rbac.RoleID, p rbac.Permission) rbac.Op { return rbac.RevokePermission{Role: r, Permission: p} }))
}

func orDash[S ~string](s S, zero string) string {
	if s == "" {
		return zero
	}
	return string(s)
}

func roleFields(f *fields[rbac.Role]) {
	text(f, "name", "name that people see", func(r *rbac.Role) *string { return &r.Name })
	text(f, "namespace", "resource server it belongs to; the organisation if empty", func(r *rbac.Role) *string { return &r.Namespace })
	choice(f, "kind", "business (default), technical, application or admin", func(r *rbac.Role) *rbac.RoleKind { return &r.Kind },
		"business", rbac.TechnicalRole, rbac.ApplicationRole, rbac.AdminRole)
	choice(f, "lifecycle", "active (default), draft, deprecated or retired", func(r *rbac.Role) *rbac.Lifecycle { return &r.Lifecycle },
		"active", rbac.DraftRole, rbac.DeprecatedRole, rbac.RetiredRole)
	somebody(f, "owner", "who answers for it", func(r *rbac.Role) *rbac.SubjectID { return &r.Owner })
	number(f, "risk", "how much harm it can do; the least is chosen first", func(r *rbac.Role) *int { return &r.Risk })
	many(f, "permission", "permission of its own, SERVER/TYPE:ACTION", func(r *rbac.Role) *[]rbac.Permission { return &r.Permissions })
	juniors := f.cmd.Flags().StringArray("junior", nil, "ROLE or ROLE=MODE that it inherits, by mode both, inherit or activate; may be given several times")
	f.given("junior", func(_ *desk, r *rbac.Role) error {
		r.Juniors = nil
		for _, s := range *juniors {
			if s == "" {
				continue
			}
			id, mode, err := parseJunior(s)
			if err != nil {
				return err
			}
			r.Juniors = append(r.Juniors, rbac.Junior{Role: id, Mode: mode})
		}
		return nil
	})
	yes(f, "eligible", "whoever has it must activate it before it counts", func(r *rbac.Role) *bool { return &r.Eligible })
	seconds(f, "max-activation", "how long it stays active", func(r *rbac.Role) *int { return &r.MaxActivation })
	number(f, "min", "fewest people who hold it", func(r *rbac.Role) *int { return &r.MinAssignees })
	number(f, "max", "most people who hold it; 0 is any number", func(r *rbac.Role) *int { return &r.MaxAssignees })
	needs := f.cmd.Flags().String("needs", "", "what must be held first: a role, any(…), all(…) or not(…)")
	f.given("needs", func(_ *desk, r *rbac.Role) (err error) {
		r.Prerequisite, err = parseCond(*needs)
		return err
	})
	yes(f, "unassignable", "exists only to be inherited from", func(r *rbac.Role) *bool { return &r.Unassignable })
}

func parseJunior(s string) (rbac.RoleID, rbac.EdgeMode, error) {
	id, mode, _ := strings.Cut(s, "=")
	m, err := edgeMode(mode)
	return rbac.RoleID(id), m, err
}

func edgeMode(s string) (rbac.EdgeMode, error) {
	switch s {
	case "", "both":
		return rbac.Both, nil
	case "inherit", "activate":
		return rbac.EdgeMode(s), nil
	}
	return "", errFlag.Saying("A mode of inheritance is both, inherit or activate.").At("mode")
}

// roleMore shows what a role comes to and who holds it.
func roleMore(d *desk, r rbac.Role) (more, error) {
	s, err := d.state(d.holdersOf(func(id rbac.RoleID) bool { return id == r.ID }))
	if err != nil {
		return more{}, err
	}
	type holder struct {
		Person  string      `json:"person"`
		Path    pathView    `json:"path"`
		During  rbac.Window `json:"during"`
		InForce bool        `json:"in_force"`
	}
	holders := []holder{}
	for id := range s.Subjects {
		for _, w := range d.Explain(s.Holder(id), r.ID.Atom(), d.now) {
			if !w.Owned {
				holders = append(holders, holder{d.tell(id), d.path(w.Path), w.During, w.Standing})
			}
		}
	}
	slices.SortFunc(holders, func(a, b holder) int { return strings.Compare(a.Person+a.Path.String(), b.Person+b.Path.String()) })
	perms := d.Authority([]rbac.RoleID{r.ID}).Permissions()
	juniors := d.Juniors(r.ID)
	conflict := d.SelfConflict(r.ID)
	out := map[string]any{"all_permissions": orEmpty(perms), "all_juniors": orEmpty(juniors), "holders": holders}
	if conflict != "" {
		out["breaks_by_itself"] = conflict
	}
	return more{out, func(w io.Writer) {
		if conflict != "" {
			fmt.Fprintf(w, "By itself it breaks rule %s.\n", conflict)
		}
		fmt.Fprintf(w, "Permissions with what it inherits: %s\n\n", joined(perms, ", "))
		table(w, []string{"HOLDER", "HOW", "WHEN"}, len(holders), func(i int) []any {
			return []any{holders[i].Person, holders[i].Path, spell(holders[i].During)}
		})
	}}, nil
}

func orEmpty[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

func joined[S ~string](all []S, by string) string {
	out := make([]string, len(all))
	for i, s := range all {
		out[i] = string(s)
	}
	return strings.Join(out, by)
}

func (c *cli) roleInherit() *cobra.Command {
	cmd := &cobra.Command{
		Use: "inherit SENIOR JUNIOR", Short: "Put one role above another", Args: exactly("a senior role", "a junior one"),
		Example: "  countersign role inherit controller ap-approver --mode activate",
	}
	mode := cmd.Flags().String("mode", "both", "both, inherit (permissions flow) or activate (they do not: the senior's holders may activate the junior)")
	return c.changes(cmd, change{propose: func(_ *desk, args []string) (proposal, error) {
		m, err := edgeMode(*mode)
		return proposal{
			ops:  []rbac.Op{rbac.AddInheritance{Senior: rbac.RoleID(args[0]), Junior: rbac.RoleID(args[1]), Mode: m}},
			said: fmt.Sprintf("%s inherits %s.", args[0], args[1]),
		}, err
	}})
}

func (c *cli) roleDisinherit() *cobra.Command {
	cmd := &cobra.Command{
		Use: "disinherit SENIOR JUNIOR", Short: "Take a role from under another; what is reached another way stays", Args: exactly("a senior role", "a junior one"),
		Example: "  countersign role disinherit controller ap-approver",
	}
	return c.changes(cmd, change{propose: func(_ *desk, args []string) (proposal, error) {
		return proposal{
			ops:  []rbac.Op{rbac.DeleteInheritance{Senior: rbac.RoleID(args[0]), Junior: rbac.RoleID(args[1])}},
			said: fmt.Sprintf("%s inherits %s no more.", args[0], args[1]),
		}, nil
	}})
}

func (c *cli) rolePermission(verb, short, said string, op func(rbac.RoleID, rbac.Permission) rbac.Op) *cobra.Command {
	cmd := &cobra.Command{
		Use: verb + " ROLE PERMISSION...", Short: short, Args: atLeast(2, "a role and its permissions"),
		Example: "  countersign role " + verb + " ap-clerk ledger/invoice:read ledger/report:read",
	}
	return c.changes(cmd, change{propose: func(_ *desk, args []string) (proposal, error) {
		p := proposal{said: fmt.Sprintf(said, args[0], strings.Join(args[1:], ", "))}
		for _, perm := range args[1:] {
			p.ops = append(p.ops, op(rbac.RoleID(args[0]), rbac.Permission(perm)))
		}
		return p, nil
	}})
}

// atLeast refuses fewer arguments.
func atLeast(n int, what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) < n {
			return usageError{fmt.Errorf("give %s", what)}
		}
		return nil
	}
}
