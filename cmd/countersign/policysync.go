package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/rbac"
	"github.com/countersign-id/countersign/store"
)

// workloadPrefix marks the name of an application where a person's could stand.
const workloadPrefix = "client:"

// synced is what a policy file comes to against a database.
type synced struct {
	plan   rbac.Plan
	epoch  uint64   // of the policy it was planned from
	added  []string // accounts that the file brings
	result rbac.Result

	conflicts []conflictView
}

// syncPolicy adds the people a document brings, plans the way to it and judges it; with dry nothing of the policy is written. It runs
// in one transaction with whatever the caller does about the answer.
func syncPolicy(ctx context.Context, tx *store.Tx, by rbac.By, d rbac.Document, o syncOptions) (synced, error) {
	var out synced
	if err := rbac.Furnish(ctx, tx, by); err != nil {
		return out, err
	}
	added, err := addPeople(ctx, tx, by.Actor, d)
	if err != nil {
		return out, err
	}
	out.added = added
	if d, err = identified(ctx, tx, d); err != nil {
		return out, err
	}
	desk, err := openDesk(ctx, tx)
	if err != nil {
		return out, err
	}
	s, err := desk.everybody(d.HasPeople())
	if err != nil {
		return out, err
	}
	out.epoch, out.conflicts = s.Epoch, []conflictView{}
	out.plan, err = s.Plan(d, rbac.Planner{Now: desk.now, NewID: tx.NewID, Account: desk.typedAccount, Subject: desk.typed})
	if err != nil {
		return out, err
	}
	c := rbac.Changeset{Ops: out.plan.Ops(), DryRun: o.dry, Adopt: o.adopt, IfEpoch: o.epoch}
	if o.grandfather {
		for i, op := range c.Ops {
			c.Ops[i] = grandfathered(op)
		}
	}
	if len(c.Ops) == 0 && o.epoch == 0 {
		out.result = rbac.Result{Outcome: rbac.Applied, Epoch: s.Epoch}
		return out, nil
	}
	if out.result, err = rbac.Apply(ctx, tx, by, c); err != nil {
		return out, err
	}
	out.conflicts, err = desk.conflicts(out.result)
	return out, err
}

// syncOptions are the flags of plan and apply.
type syncOptions struct {
	dry, adopt, grandfather bool
	epoch                   uint64
}

func grandfathered(op rbac.Op) rbac.Op {
	switch o := op.(type) {
	case rbac.CreateRule:
		o.Grandfather = true
		return o
	case rbac.EditRule:
		o.Grandfather = true
		return o
	}
	return op
}

// addPeople adds the accounts of a document that are not there. They have no password; their owners get one by a link or a pass.
func addPeople(ctx context.Context, tx *store.Tx, by string, d rbac.Document) ([]string, error) {
	if d.People == nil {
		return nil, nil
	}
	var canonical []string
	for _, p := range *d.People {
		canonical = append(canonical, auth.CanonicalName(string(p.Account)))
	}
	known, err := tx.AccountIDs(ctx, canonical)
	if err != nil {
		return nil, err
	}
	var added []string
	for i, p := range *d.People {
		if _, ok := known[canonical[i]]; ok {
			continue
		}
		a, err := auth.AddAccount(ctx, tx, by, auth.NewAccount{Username: string(p.Account), Profile: auth.Profile{Name: p.Name, Email: p.Email}})
		if err != nil {
			return nil, err
		}
		known[canonical[i]] = a.ID
		added = append(added, a.Username)
	}
	return added, nil
}

// identified turns the names of a document into identifiers.
func identified(ctx context.Context, tx *store.Tx, d rbac.Document) (rbac.Document, error) {
	var canonical []string
	collect := rbac.Names{
		Account: func(n rbac.AccountID) (rbac.AccountID, error) {
			canonical = append(canonical, auth.CanonicalName(string(n)))
			return n, nil
		},
		Subject: func(n rbac.SubjectID) (rbac.SubjectID, error) {
			canonical = append(canonical, auth.CanonicalName(string(n)))
			return n, nil
		},
	}
	if _, err := d.Translate(collect); err != nil {
		return d, err
	}
	slices.Sort(canonical)
	ids, err := tx.AccountIDs(ctx, slices.Compact(canonical))
	if err != nil {
		return d, err
	}
	account := func(name string) (string, error) {
		if client, ok := strings.CutPrefix(name, workloadPrefix); ok {
			return client, nil
		}
		if id, ok := ids[auth.CanonicalName(name)]; ok {
			return string(id), nil
		}
		return "", rbac.ErrNotFound.Saying(fmt.Sprintf("There is no account %q.", name))
	}
	persons := map[string]string{}
	return d.Translate(rbac.Names{
		Account: func(n rbac.AccountID) (rbac.AccountID, error) {
			id, err := account(string(n))
			return rbac.AccountID(id), err
		},
		Subject: func(n rbac.SubjectID) (rbac.SubjectID, error) {
			id, err := account(string(n))
			if err != nil || strings.HasPrefix(string(n), workloadPrefix) {
				return rbac.SubjectID(id), err
			}
			if _, ok := persons[id]; !ok {
				a, err := tx.Account(ctx, auth.AccountID(id))
				if err != nil {
					return "", err
				}
				persons[id] = string(a.Person)
			}
			return rbac.SubjectID(persons[id]), nil
		},
	})
}

// everybody reads the policy and, where a document speaks of people, all of them with their names.
func (d *desk) everybody(people bool) (*rbac.State, error) {
	if !people {
		return d.State(), d.knowOwners()
	}
	return d.state(rbac.Whom{Everybody: true})
}

// document is a state as a policy file, sections in the order that Document lists them.
func (d *desk) document(s *rbac.State) (rbac.Document, error) {
	file := s.Document(d.now)
	for i, e := range *file.People {
		profile := d.accounts[e.Account].Profile
		(*file.People)[i].Email, (*file.People)[i].Name = profile.Email, profile.Name
	}
	return file.Translate(rbac.Names{
		Account: func(id rbac.AccountID) (rbac.AccountID, error) { return rbac.AccountID(d.typedAccount(id)), nil },
		Subject: func(id rbac.SubjectID) (rbac.SubjectID, error) { return rbac.SubjectID(d.typed(id)), nil },
	})
}

// typed is how a person, or an application, is named in a file: as tell does, with the prefix that tells the two apart.
func (d *desk) typed(id rbac.SubjectID) string {
	if len(d.people[id]) == 0 {
		return workloadPrefix + string(id)
	}
	return d.tell(id)
}

func (d *desk) typedAccount(id rbac.AccountID) string {
	if d.accounts[id].Username == "" {
		return workloadPrefix + string(id)
	}
	return d.tellAccount(id)
}
