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
	names  people

	conflicts []conflictView
}

// sync adds the people a document brings, plans the way to it and judges it; with dry nothing of the policy is written. It runs
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
	s, err := standing(ctx, tx, d.HasPeople())
	if err != nil {
		return out, err
	}
	out.names, out.epoch, out.conflicts = people{s: s}, s.Epoch, []conflictView{}
	if d.HasPeople() {
		if err := out.names.read(ctx, tx); err != nil {
			return out, err
		}
	}
	out.plan, err = s.Plan(d, rbac.Planner{Now: rbac.At(tx.Now()), NewID: tx.NewID, Account: out.names.account, Subject: out.names.subject})
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
	desk, err := openDesk(ctx, tx)
	if err != nil {
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

// standing reads the policy and, where they matter, everybody.
func standing(ctx context.Context, tx *store.Tx, everybody bool) (*rbac.State, error) {
	st, err := tx.Structure(ctx)
	if err != nil || !everybody {
		return st.State(), err
	}
	ids, err := tx.SubjectsOf(ctx, rbac.Whom{Everybody: true})
	if err != nil {
		return nil, err
	}
	rows, err := tx.People(ctx, ids)
	return st.State(rows...), err
}

// people gives identifiers their names back.
type people struct {
	s        *rbac.State
	accounts map[auth.AccountID]auth.Account
	persons  map[auth.PersonID]auth.Account // the first account of each
}

func (p *people) read(ctx context.Context, tx *store.Tx) error {
	p.accounts, p.persons = map[auth.AccountID]auth.Account{}, map[auth.PersonID]auth.Account{}
	for after := auth.AccountID(""); ; {
		page, err := tx.Accounts(ctx, after, 1000)
		if err != nil || len(page) == 0 {
			return err
		}
		for _, a := range page {
			p.accounts[a.ID] = a
			if _, ok := p.persons[a.Person]; !ok {
				p.persons[a.Person] = a
			}
		}
		after = page[len(page)-1].ID
	}
}

func (p *people) account(id rbac.AccountID) string {
	if a, ok := p.accounts[auth.AccountID(id)]; ok {
		return a.Username
	}
	return workloadPrefix + string(id)
}

func (p *people) subject(id rbac.SubjectID) string {
	if a, ok := p.persons[auth.PersonID(id)]; ok {
		return a.Username
	}
	return workloadPrefix + string(id)
}

// document is the state as a policy file, sections in the order that Document lists them.
func (p *people) document(now rbac.Instant) (rbac.Document, error) {
	d, err := p.s.Document(now).Translate(rbac.Names{
		Account: func(id rbac.AccountID) (rbac.AccountID, error) { return rbac.AccountID(p.account(id)), nil },
		Subject: func(id rbac.SubjectID) (rbac.SubjectID, error) { return rbac.SubjectID(p.subject(id)), nil },
	})
	if err != nil || d.People == nil {
		return d, err
	}
	byName := map[string]auth.Account{}
	for _, a := range p.accounts {
		byName[a.Username] = a
	}
	for i, e := range *d.People {
		a := byName[string(e.Account)]
		(*d.People)[i].Email, (*d.People)[i].Name = a.Profile.Email, a.Profile.Name
	}
	return d, nil
}
