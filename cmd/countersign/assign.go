package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/countersign-id/countersign/rbac"
)

// held is what `assign list` shows: one thing that an account holds.
type held struct {
	ID       string        `json:"id,omitempty"`
	Kind     string        `json:"kind"` // assignment, membership, delegation
	Account  string        `json:"account"`
	Role     rbac.RoleID   `json:"role,omitempty"`
	Roles    []rbac.RoleID `json:"roles,omitempty"`
	Group    rbac.GroupID  `json:"group,omitempty"`
	From     string        `json:"from,omitempty"` // who delegated
	Context  string        `json:"context,omitempty"`
	During   rbac.Window   `json:"during"`
	Eligible bool          `json:"eligible"`
	Why      string        `json:"why,omitempty"`
}

// clientFlag lets a command that names accounts name an application.
func clientFlag(cmd *cobra.Command) *bool {
	return cmd.Flags().Bool("client", false, "the account is an application, by its id")
}

// assignment is the flags of an assignment, for `assign` and `simulate assign`.
func assignment(cmd *cobra.Command) *fields[rbac.Assignment] {
	f := fieldsOf[rbac.Assignment](cmd)
	during(f, func(a *rbac.Assignment) *rbac.Window { return &a.During })
	text(f, "context", "where it counts, such as org=EMEA; everywhere if empty", func(a *rbac.Assignment) *string { return &a.Context })
	yes(f, "eligible", "it must be activated before it counts", func(a *rbac.Assignment) *bool { return &a.Eligible })
	text(f, "why", "the reason, for whoever reviews it", func(a *rbac.Assignment) *string { return &a.Why })
	return f
}

// assigning proposes roles for an account.
func assigning(f *fields[rbac.Assignment], client *bool) func(d *desk, args []string) (proposal, error) {
	return func(d *desk, args []string) (proposal, error) {
		id, _, err := d.holder(args[0], *client)
		if err != nil {
			return proposal{}, err
		}
		var p proposal
		made := []held{}
		for _, role := range args[1:] {
			a := rbac.Assignment{ID: rbac.AssignmentID(d.tx.NewID()), Account: id, Role: rbac.RoleID(role)}
			if err := f.into(d, &a); err != nil {
				return p, err
			}
			p.ops = append(p.ops, rbac.Assign{Assignment: a})
			made = append(made, d.assigned(a))
		}
		p.said, p.made = fmt.Sprintf("%s has %s.", args[0], strings.Join(args[1:], ", ")), made
		return p, nil
	}
}

func (c *cli) assignCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "assign ACCOUNT ROLE...", Short: "Give an account roles; refused where that breaks a rule", Args: atLeast(2, "an account and a role"),
		Long: "Give an account roles, for good or for a while. Where a rule that blocks would be broken, now or at any time the window\n" +
			"covers, nothing is changed: the refusal says which rule, why, and the smallest ways out. 'countersign assign list' shows what is held.",
		Example: "  countersign assign ada ap-clerk --until 2026-12-31 --why 'covers for Noor'\n  countersign assign ledger report-reader --client\n  countersign assign ada ap-approver --dry-run",
	}
	f, client := assignment(cmd), clientFlag(cmd)
	c.changes(cmd, change{people: true, propose: assigning(f, client)})
	cmd.AddCommand(c.assignList())
	return cmd
}

func (c *cli) assignList() *cobra.Command {
	cmd := &cobra.Command{
		Use: "list ACCOUNT", Short: "List what an account holds: assignments, memberships, delegations; ended ones too with --all", Args: exactly("an account"),
		Example: "  countersign assign list ada",
	}
	client := clientFlag(cmd)
	all := cmd.Flags().Bool("all", false, "ended ones too")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return c.reads(cmd, func(d *desk) error {
			account, subject, err := d.holder(args[0], *client)
			if err != nil {
				return err
			}
			s, err := d.state(rbac.Whom{Subjects: []rbac.SubjectID{subject}})
			if err != nil {
				return err
			}
			list := d.holdings(s, account, *all)
			return c.print(map[string]any{"held": list}, func(w io.Writer) {
				table(w, []string{"KIND", "ROLE OR GROUP", "WHEN", "", "ID"}, len(list), func(i int) []any {
					h := list[i]
					note := h.Context
					if h.Eligible {
						note = strings.TrimSpace(note + " eligible")
					}
					if h.From != "" {
						note = "for " + h.From
					}
					return []any{h.Kind, string(h.Role) + joined(h.Roles, ", ") + string(h.Group), spell(h.During), note, h.ID}
				})
			})
		})
	}
	return cmd
}

// holdings lists what an account holds in s.
func (d *desk) holdings(s *rbac.State, account rbac.AccountID, ended bool) []held {
	list := []held{}
	add := func(h held) {
		if ended || h.During.End() > d.now {
			list = append(list, h)
		}
	}
	for _, a := range s.Assignments {
		if a.Account == account {
			add(d.assigned(a))
		}
	}
	for _, m := range s.Memberships {
		if m.Account == account {
			add(held{Kind: "membership", Account: d.tellAccount(account), Group: m.Group, During: m.During})
		}
	}
	for _, g := range s.Delegations {
		if g.To == account {
			add(d.delegated(g))
		}
	}
	slices.SortFunc(list, func(a, b held) int {
		return strings.Compare(a.Kind+string(a.Role)+string(a.Group)+a.ID, b.Kind+string(b.Role)+string(b.Group)+b.ID)
	})
	return list
}

// assigned tells of an assignment, delegated of a delegation. What names no start begins now.
func (d *desk) assigned(a rbac.Assignment) held {
	return held{
		ID: string(a.ID), Kind: "assignment", Account: d.tellAccount(a.Account), Role: a.Role, Context: a.Context, During: d.starting(a.During),
		Eligible: a.Eligible, Why: a.Why,
	}
}

func (d *desk) delegated(g rbac.Delegation) held {
	return held{
		ID: string(g.ID), Kind: "delegation", Account: d.tellAccount(g.To), Roles: g.Roles, From: d.tellAccount(g.From), During: d.starting(g.During),
	}
}

func (d *desk) starting(w rbac.Window) rbac.Window {
	if w.From == 0 {
		w.From = d.now
	}
	return w
}

func (c *cli) withdrawCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "withdraw ACCOUNT ROLE...", Short: "End an account's assignments of roles", Args: atLeast(2, "an account and a role"),
		Long:    "End an account's assignments of roles now, in every context unless --context names one; what has not begun is deleted.\nWhat a group or a deputy's role brings stays: see 'countersign explain'.",
		Example: "  countersign withdraw ada ap-clerk",
	}
	client := clientFlag(cmd)
	where := cmd.Flags().String("context", "", "only in this context")
	return c.changes(cmd, change{people: true, propose: func(d *desk, args []string) (proposal, error) {
		account, subject, err := d.holder(args[0], *client)
		if err != nil {
			return proposal{}, err
		}
		s, err := d.state(rbac.Whom{Subjects: []rbac.SubjectID{subject}})
		if err != nil {
			return proposal{}, err
		}
		p := proposal{said: fmt.Sprintf("%s has %s no more.", args[0], strings.Join(args[1:], ", "))}
		for _, role := range args[1:] {
			found := false
			for _, h := range d.holdings(s, account, false) {
				if h.Kind == "assignment" && h.Role == rbac.RoleID(role) && (*where == "" || h.Context == *where) {
					found = true
					p.ops = append(p.ops, rbac.Withdraw{Assignment: rbac.AssignmentID(h.ID)})
				}
			}
			if !found {
				return p, rbac.ErrNotFound.Saying(fmt.Sprintf("%s is not assigned %s.", args[0], role)).At("role")
			}
		}
		return p, nil
	}})
}

func (c *cli) delegateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "delegate FROM TO ROLE...", Short: "Make somebody a deputy in roles of somebody else, for a while", Args: atLeast(3, "who delegates, to whom, and a role"),
		Example: "  countersign delegate ingrid ada ap-approver --until +14d",
	}
	f := fieldsOf[rbac.Delegation](cmd)
	during(f, func(g *rbac.Delegation) *rbac.Window { return &g.During })
	return c.changes(cmd, change{people: true, propose: func(d *desk, args []string) (proposal, error) {
		from, err := d.account(args[0])
		if err != nil {
			return proposal{}, err
		}
		to, err := d.account(args[1])
		if err != nil {
			return proposal{}, err
		}
		g := rbac.Delegation{ID: rbac.DelegationID(d.tx.NewID()), From: rbac.AccountID(from.ID), To: rbac.AccountID(to.ID)}
		for _, r := range args[2:] {
			g.Roles = append(g.Roles, rbac.RoleID(r))
		}
		err = f.into(d, &g)
		return proposal{
			ops:  []rbac.Op{rbac.Delegate{Delegation: g}},
			said: fmt.Sprintf("%s is a deputy of %s in %s (%s).", to.Username, from.Username, strings.Join(args[2:], ", "), g.ID), made: d.delegated(g),
		}, err
	}})
}

func (c *cli) undelegateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "undelegate ID", Short: "End a delegation; 'assign list' of the deputy shows its id", Args: exactly("the id of a delegation"),
		Example: "  countersign undelegate 0193e7c4-0d4f-7c5c-9c53-5f0d7b0f0c55",
	}
	return c.changes(cmd, change{people: true, propose: func(_ *desk, args []string) (proposal, error) {
		return proposal{ops: []rbac.Op{rbac.Undelegate{Delegation: rbac.DelegationID(args[0])}}, said: "The delegation has ended."}, nil
	}})
}

// userLink makes `user link`.
func (c *cli) userLink() *cobra.Command {
	cmd := &cobra.Command{
		Use: "link ACCOUNT OTHER", Short: "Say that two accounts are one person", Args: exactly("an account", "another of the same person"),
		Long: "Say that two accounts are one person: rules then count together what both hold. It is never refused, because it is only\n" +
			"found out: a conflict that comes to light becomes a case. Who signs in with which account stays as it was.",
		Example: "  countersign user link ada-admin ada",
	}
	alone := cmd.Flags().Bool("alone", false, "only this account: others of its person stay apart")
	return c.changes(cmd, change{people: true, propose: func(d *desk, args []string) (proposal, error) {
		a, err := d.account(args[0])
		if err != nil {
			return proposal{}, err
		}
		b, err := d.account(args[1])
		if err != nil {
			return proposal{}, err
		}
		if a.Person == b.Person {
			return proposal{}, rbac.ErrExists.Saying("The accounts are one person already.").At("account")
		}
		var op rbac.Op = rbac.MergeSubjects{From: rbac.SubjectID(a.Person), Into: rbac.SubjectID(b.Person)}
		if *alone {
			op = rbac.LinkAccount{Account: rbac.AccountID(a.ID), Subject: rbac.SubjectID(b.Person)}
		}
		return proposal{ops: []rbac.Op{op}, said: fmt.Sprintf("%s and %s are one person.", a.Username, b.Username)}, nil
	}})
}
