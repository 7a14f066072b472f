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

// policyFindings are what the policy tells: four eyes, conflicts that must not be, rules that cannot mean all they say.
func policyFindings(ctx context.Context, db *store.DB) ([]finding, error) {
	now, err := conflictsNow(ctx, db)
	if err != nil {
		return nil, err
	}
	var out []finding
	switch {
	case now.alarms > 0:
		out = append(out, finding{"separation of duty", "bad", fmt.Sprintf("%d violations of rules that block, with nothing that excuses them: countersign violations list --uncovered", now.alarms)})
	case now.open > 0:
		out = append(out, finding{"separation of duty", "note", fmt.Sprintf("%d violations stand, excused, let stand, or of rules that do not block: countersign violations list", now.open)})
	default:
		out = append(out, finding{"separation of duty", "ok", "nobody is known to break a rule"})
	}
	err = db.View(ctx, func(tx *store.Tx) error {
		d, err := openDesk(ctx, tx)
		if err != nil {
			return err
		}
		out = append(out, d.ruleFindings()...)
		eyes, err := d.fourEyes()
		out = append(out, eyes...)
		return err
	})
	return out, err
}

// ruleFindings name the rules that speak of what is gone, and the roles that break a rule by themselves.
func (d *desk) ruleFindings() []finding {
	var out []finding
	tell := func(check, text string, names []string) {
		if len(names) > 0 {
			slices.Sort(names)
			out = append(out, finding{check, "bad", text + ": " + strings.Join(names[:min(mostListed, len(names))], ", ")})
		}
	}
	var invalid, broken []string
	for id, r := range d.Rules {
		if r.Invalid {
			invalid = append(invalid, string(id))
		}
	}
	for id, r := range d.Roles {
		if rule := d.SelfConflict(id); rule != "" && !r.Unassignable {
			broken = append(broken, fmt.Sprintf("%s (%s)", id, rule))
		}
	}
	tell("rules", "they speak of what does not exist, and bind by what is left", invalid)
	tell("roles", "they break a rule by themselves", broken)
	return out
}

// approvals are the permissions to approve, each a kind of change.
var approvals = []struct {
	permission rbac.Permission
	what       string
}{
	{"countersign/request:approve", "access requests"},
	{"countersign/exception:approve", "exceptions"},
	{"countersign/elevation:approve", "elevation"},
	{"countersign/ceiling:approve", "what applications may have"},
}

// fourEyes says for which kinds of change two people can look: with fewer than two who can approve, one acts alone.
func (d *desk) fourEyes() ([]finding, error) {
	var out []finding
	for _, kind := range approvals {
		s, err := d.state(d.holdersOf(func(id rbac.RoleID) bool { return slices.Contains(d.Roles[id].Permissions, kind.permission) }))
		if err != nil {
			return nil, err
		}
		var can []string
		for id := range s.Subjects {
			stands := slices.ContainsFunc(d.Explain(s.Holder(id), kind.permission.Atom(), d.now), func(w rbac.Way) bool { return w.Standing })
			if !stands {
				continue
			}
			active, err := d.active(id)
			if err != nil {
				return nil, err
			}
			if active {
				can = append(can, d.tell(id))
			}
		}
		slices.Sort(can)
		f := finding{"four eyes: " + kind.what, "ok", fmt.Sprintf("%d people can approve%s", len(can), some(can))}
		if len(can) < 2 {
			f.State, f.Text = "note", fmt.Sprintf("off: %d can approve%s, it takes two", len(can), some(can))
		}
		out = append(out, f)
	}
	return out, nil
}

// active reports whether a person can sign in.
func (d *desk) active(id rbac.SubjectID) (bool, error) {
	accounts, err := d.tx.AccountsOf(d.ctx, []rbac.SubjectID{id})
	return slices.ContainsFunc(accounts, func(a auth.Account) bool { return a.State == auth.AccountActive }), err
}
