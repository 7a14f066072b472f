package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/countersign-id/countersign/rbac"
)

func (c *cli) groupCommand() *cobra.Command {
	n := noun[rbac.GroupID, rbac.Group]{
		word: "group", plural: "groups", arg: "GROUP",
		rows:  func(d *desk) map[rbac.GroupID]rbac.Group { return d.Groups },
		fresh: func(_ *desk, id rbac.GroupID) (rbac.Group, error) { return rbac.Group{ID: id, Name: string(id)}, nil },
		fields: func(f *fields[rbac.Group]) {
			text(f, "name", "name that people see", func(g *rbac.Group) *string { return &g.Name })
			many(f, "role", "role that its members hold", func(g *rbac.Group) *[]rbac.RoleID { return &g.Roles })
			many(f, "child", "group whose members are members of it", func(g *rbac.Group) *[]rbac.GroupID { return &g.Children })
		},
		add:    func(g rbac.Group) rbac.Op { return rbac.CreateGroup{Group: g} },
		edit:   func(g rbac.Group) rbac.Op { return rbac.EditGroup{Group: g} },
		drop:   func(id rbac.GroupID, force bool) rbac.Op { return rbac.DeleteGroup{Group: id, Force: force} },
		forced: true,
		head:   []string{"GROUP", "NAME", "ROLES", "CHILDREN"},
		line: func(_ *desk, g rbac.Group) []any {
			return []any{g.ID, g.Name, joined(g.Roles, " "), joined(g.Children, " ")}
		},
		also: groupMore,
		example: map[string]string{
			"add":  "  countersign group add finance --name Finance --role ap-clerk --child finance-oslo",
			"edit": "  countersign group edit finance --role ap-clerk --role report-reader",
			"show": "  countersign group show finance",
		},
	}
	put := c.groupMembers("put", "Put accounts, roles or child groups into a group", "%s is in %s.", true)
	take := c.groupMembers("take", "Take accounts, roles or child groups out of a group", "%s is out of %s.", false)
	return group("group", "Groups of accounts, and the roles their members hold", n.list(c), n.show(c), n.adding(c), n.editing(c), n.dropping(c), put, take)
}

// groupMore shows who is in a group, itself or by a child.
func groupMore(d *desk, g rbac.Group) (more, error) {
	s, err := d.state(rbac.Whom{Groups: []rbac.GroupID{g.ID}})
	if err != nil {
		return more{}, err
	}
	type member struct {
		Account string      `json:"account"`
		During  rbac.Window `json:"during"`
	}
	members := []member{}
	for key, m := range s.Memberships {
		if key.Group == g.ID {
			members = append(members, member{d.tellAccount(m.Account), m.During})
		}
	}
	slices.SortFunc(members, func(a, b member) int { return strings.Compare(a.Account, b.Account) })
	return more{map[string]any{"members": members}, func(w io.Writer) {
		table(w, []string{"MEMBER", "WHEN"}, len(members), func(i int) []any { return []any{members[i].Account, spell(members[i].During)} })
	}}, nil
}

// groupMembers makes `group put` and `group take`.
func (c *cli) groupMembers(verb, short, said string, put bool) *cobra.Command {
	cmd := &cobra.Command{
		Use: verb + " GROUP [ACCOUNT...]", Short: short, Args: atLeast(1, "a group, and accounts or --role or --child"),
		Example: "  countersign group " + verb + " finance ada bob\n  countersign group " + verb + " finance --role ap-clerk --child finance-oslo",
	}
	type members struct {
		roles    []rbac.RoleID
		children []rbac.GroupID
		during   rbac.Window
		client   bool
	}
	f := fieldsOf[members](cmd)
	many(f, "role", "role of its members", func(m *members) *[]rbac.RoleID { return &m.roles })
	many(f, "child", "group whose members are members of it", func(m *members) *[]rbac.GroupID { return &m.children })
	yes(f, "client", "the accounts are applications, by their ids", func(m *members) *bool { return &m.client })
	if put {
		during(f, func(m *members) *rbac.Window { return &m.during })
	}
	return c.changes(cmd, change{propose: func(d *desk, args []string) (proposal, error) {
		var m members
		if err := f.into(d, &m); err != nil {
			return proposal{}, err
		}
		id := rbac.GroupID(args[0])
		var p proposal
		add := func(on, off rbac.Op) {
			if p.ops = append(p.ops, off); put {
				p.ops[len(p.ops)-1] = on
			}
		}
		for _, name := range args[1:] {
			a, _, err := d.holder(name, m.client)
			if err != nil {
				return p, err
			}
			add(rbac.AddMember{Membership: rbac.Membership{Group: id, Account: a, During: m.during}}, rbac.RemoveMember{Group: id, Account: a})
		}
		for _, r := range m.roles {
			add(rbac.AddGroupRole{Group: id, Role: r}, rbac.DeleteGroupRole{Group: id, Role: r})
		}
		for _, child := range m.children {
			add(rbac.AddGroupEdge{Parent: id, Child: child}, rbac.DeleteGroupEdge{Parent: id, Child: child})
		}
		if len(p.ops) == 0 {
			return p, usageError{fmt.Errorf("say whom: accounts, --role or --child")}
		}
		what := slices.DeleteFunc([]string{joined(args[1:], ", "), joined(m.roles, ", "), joined(m.children, ", ")}, func(s string) bool { return s == "" })
		p.said = fmt.Sprintf(said, strings.Join(what, ", "), id)
		return p, nil
	}})
}
