package main

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/internal/fault"
	"github.com/countersign-id/countersign/rbac"
	"github.com/countersign-id/countersign/store"
)

// desk is a transaction as the commands of the policy see it: the policy, and people under the names that are typed and read.
type desk struct {
	ctx context.Context
	tx  *store.Tx
	*rbac.Structure
	now      rbac.Instant
	accounts map[rbac.AccountID]auth.Account // those that were read; an application under its id has no username
	people   map[rbac.SubjectID][]string     // the usernames of a person's accounts, the oldest first
}

func openDesk(ctx context.Context, tx *store.Tx) (*desk, error) {
	st, err := tx.Structure(ctx)
	return &desk{
		ctx: ctx, tx: tx, Structure: st, now: rbac.At(tx.Now()), accounts: map[rbac.AccountID]auth.Account{}, people: map[rbac.SubjectID][]string{},
	}, err
}

// reads runs a command that looks something up. What is built in is brought in first where it is missing.
func (c *cli) reads(cmd *cobra.Command, do func(d *desk) error) error {
	return c.withStore(cmd.Context(), func(_ *Config, db *store.DB) error { return c.readsFrom(cmd.Context(), db, do) })
}

func (c *cli) readsFrom(ctx context.Context, db *store.DB, do func(d *desk) error) error {
	if err := furnish(ctx, db, c.by()); err != nil {
		return err
	}
	return db.View(ctx, func(tx *store.Tx) error {
		d, err := openDesk(ctx, tx)
		if err != nil {
			return err
		}
		return do(d)
	})
}

// furnish brings in what is built in, where it is missing.
func furnish(ctx context.Context, db *store.DB, by string) error {
	missing := false
	if err := db.View(ctx, func(tx *store.Tx) error {
		st, err := tx.Structure(ctx)
		missing = err == nil && len(rbac.Install(st.Policy)) > 0
		return err
	}); err != nil || !missing {
		return err
	}
	return db.Update(ctx, func(tx *store.Tx) error { return rbac.Furnish(ctx, tx, rbac.By{Actor: by}) })
}

// account finds an account by username, e-mail address or id.
func (d *desk) account(name string) (auth.Account, error) {
	a, err := findAccount(d.ctx, d.tx, name)
	if err != nil {
		return a, named(err, name)
	}
	return a, nil
}

// named says whom an error is about: a command may take several names.
func named(err error, name string) error {
	if f := fault.From(err); f.Kind == fault.NotFound {
		return f.Saying(strings.TrimSuffix(f.Text, ".") + ": " + name + ".")
	}
	return err
}

// holder finds who holds roles: an account, or an application.
func (d *desk) holder(name string, client bool) (rbac.AccountID, rbac.SubjectID, error) {
	if id, ok := strings.CutPrefix(name, workloadPrefix); ok { // as in policy files
		name, client = id, true
	}
	if client {
		k, err := d.tx.Client(d.ctx, auth.ClientID(name))
		return rbac.AccountID(k.ID), rbac.SubjectID(k.ID), named(err, name)
	}
	a, err := d.account(name)
	return rbac.AccountID(a.ID), rbac.SubjectID(a.Person), err
}

// person finds a person by one of their accounts, and an application by its id.
func (d *desk) person(name string) (rbac.SubjectID, error) {
	_, id, err := d.holder(name, false)
	if !fault.Is(err, fault.NotFound) {
		return id, err
	}
	if k, err := d.tx.Client(d.ctx, auth.ClientID(name)); err == nil {
		return rbac.SubjectID(k.ID), nil
	}
	return "", err
}

// know reads the names of people, many at once, so that they can be told.
func (d *desk) know(ids ...rbac.SubjectID) error {
	ids = slices.DeleteFunc(slices.Clone(ids), func(id rbac.SubjectID) bool { _, known := d.people[id]; return known })
	accounts, err := d.tx.AccountsOf(d.ctx, ids)
	if err != nil {
		return err
	}
	for _, id := range ids {
		d.people[id] = nil
	}
	slices.SortStableFunc(accounts, func(a, b auth.Account) int { return a.CreatedAt.Compare(b.CreatedAt) })
	for _, a := range accounts {
		id := rbac.SubjectID(a.Person)
		d.people[id] = append(d.people[id], a.Username)
		d.accounts[rbac.AccountID(a.ID)] = a
	}
	return nil
}

// tell names a person: by the username of their oldest account, or an application by its id.
func (d *desk) tell(id rbac.SubjectID) string {
	if len(d.people[id]) > 0 {
		return d.people[id][0]
	}
	return string(id)
}

// tellAccount names an account by its username.
func (d *desk) tellAccount(id rbac.AccountID) string {
	if _, known := d.accounts[id]; !known {
		d.accounts[id], _ = d.tx.Account(d.ctx, auth.AccountID(id)) // zero: an application
	}
	return cmp.Or(d.accounts[id].Username, string(id))
}

// state reads people with all they hold, and learns their names.
func (d *desk) state(whom rbac.Whom) (*rbac.State, error) {
	ids, err := d.tx.SubjectsOf(d.ctx, whom)
	if err != nil {
		return nil, err
	}
	rows, err := d.tx.People(d.ctx, ids)
	if err != nil {
		return nil, err
	}
	return d.State(rows...), d.know(ids...)
}

// holdersOf picks who may come to what has says of a role: by that role, a senior of it, or a group.
func (d *desk) holdersOf(has func(rbac.RoleID) bool) rbac.Whom {
	var w rbac.Whom
	for id := range d.Roles {
		if has(id) || slices.ContainsFunc(d.Juniors(id), has) {
			w.Roles = append(w.Roles, id)
		}
	}
	in := map[rbac.GroupID]bool{}
	var down func(rbac.GroupID)
	down = func(id rbac.GroupID) {
		if in[id] {
			return
		}
		in[id] = true
		w.Groups = append(w.Groups, id)
		for _, child := range d.Groups[id].Children {
			down(child)
		}
	}
	for id, g := range d.Groups {
		if slices.ContainsFunc(g.Roles, func(r rbac.RoleID) bool { return slices.Contains(w.Roles, r) }) {
			down(id)
		}
	}
	return w
}
