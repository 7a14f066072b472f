package rbac

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/countersign-id/countersign/audit"
)

// record writes the event of a changeset, and one for each row it changed.
func (s *State) record(ctx context.Context, tx Tx, by By, before uint64, res Result) error {
	e := audit.Event{
		Kind: audit.ChangeApplied, Outcome: audit.OK, Actor: by.Actor, Subject: "change:" + tx.NewID(),
		Detail: map[string]string{"epoch": fmt.Sprintf("%d", before)},
	}
	if res.Epoch != before {
		e.Detail["epoch"] = fmt.Sprintf("%d > %d", before, res.Epoch)
	}
	if res.Single {
		e.Detail["single-control"] = "yes"
	}
	hitDetail(e.Detail, res.Hits)
	if res.Outcome != Applied {
		e.Kind, e.Outcome, e.Code = audit.ChangeRefused, audit.Refused, res.Why.Code
		if res.Why.Field != "" {
			e.Detail["field"] = res.Why.Field
		}
		return tx.Record(ctx, e)
	}
	var rows []audit.Event
	for _, w := range res.Writes {
		if row, ok := s.eventOf(w); ok {
			row.Outcome, row.Actor = audit.OK, by.Actor
			row.Detail["change"] = strings.TrimPrefix(e.Subject, "change:")
			rows = append(rows, row)
		}
	}
	if len(rows) == 0 && res.Epoch == before {
		return nil // nothing is other than before
	}
	e.Detail["rows"], e.Detail["people"] = strconv.Itoa(len(rows)), strconv.Itoa(len(res.Affected))
	for _, ev := range append([]audit.Event{e}, rows...) {
		if err := tx.Record(ctx, ev); err != nil {
			return err
		}
	}
	return nil
}

// RecordRefusal records that a change was refused, for whoever had to roll back more than the change.
func RecordRefusal(ctx context.Context, tx Tx, by By, res Result) error {
	return NewState().record(ctx, tx, by, res.Epoch, res)
}

// mostHits is how many conflicts an event names; the rest are counted.
const mostHits = 20

func hitDetail(detail map[string]string, hits []Hit) {
	if len(hits) == 0 {
		return
	}
	var names []string
	for _, h := range hits[:min(mostHits, len(hits))] {
		names = append(names, fmt.Sprintf("%s %s %s %s", h.Change, h.Mode, h.Rule, h.Subject))
	}
	detail["conflicts"], detail["hits"] = strconv.Itoa(len(hits)), strings.Join(names, "; ")
}

// eventOf tells of one row; false for what is only kept to be quick.
func (s *State) eventOf(w Write) (audit.Event, bool) {
	row, gone := w.New, w.New == nil
	if gone {
		row = w.Old
	}
	kind := func(added, changed, removed audit.Kind) audit.Kind {
		switch {
		case gone:
			return removed
		case w.Old == nil:
			return added
		}
		return changed
	}
	e := audit.Event{Detail: map[string]string{}}
	set := func(kind audit.Kind, subject string, pairs ...string) (audit.Event, bool) {
		e.Kind, e.Subject = kind, subject
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i+1] != "" {
				e.Detail[pairs[i]] = brief(pairs[i+1])
			}
		}
		return e, true
	}
	switch r := row.(type) {
	case ResourceServer:
		return set(kind(audit.ResourceAdded, audit.ResourceChanged, audit.ResourceRemoved), "resource:"+string(r.ID), "audiences", strings.Join(r.Audiences, " "))
	case PermissionDef:
		return set(kind(audit.PermissionAdded, audit.PermissionChanged, audit.PermissionRemoved), "permission:"+string(r.ID))
	case Scope:
		return set(kind(audit.ScopeAdded, audit.ScopeChanged, audit.ScopeRemoved), "scope:"+string(r.ID), "permissions", join(r.Permissions))
	case Role:
		old, _ := w.Old.(Role)
		fresh, _ := w.New.(Role)
		return set(kind(audit.RoleAdded, audit.RoleChanged, audit.RoleRemoved), "role:"+string(r.ID),
			"permissions+", join(less(fresh.Permissions, old.Permissions)), "permissions-", join(less(old.Permissions, fresh.Permissions)),
			"juniors+", join(less(edges(fresh), edges(old))), "juniors-", join(less(edges(old), edges(fresh))))
	case Group:
		old, _ := w.Old.(Group)
		fresh, _ := w.New.(Group)
		return set(kind(audit.GroupAdded, audit.GroupChanged, audit.GroupRemoved), "group:"+string(r.ID),
			"roles+", join(less(fresh.Roles, old.Roles)), "roles-", join(less(old.Roles, fresh.Roles)),
			"groups+", join(less(fresh.Children, old.Children)), "groups-", join(less(old.Children, fresh.Children)))
	case Duty:
		return set(kind(audit.DutyAdded, audit.DutyChanged, audit.DutyRemoved), "duty:"+string(r.ID), "ruleset", string(r.Ruleset))
	case Rule:
		invalid := ""
		if r.Invalid {
			invalid = "yes"
		}
		return set(kind(audit.RuleAdded, audit.RuleChanged, audit.RuleRemoved), "rule:"+string(r.ID),
			"mode", string(r.Mode), "version", strconv.Itoa(r.Version), "ruleset", string(r.Ruleset), "invalid", invalid)
	case Control:
		return set(kind(audit.ControlAdded, audit.ControlChanged, audit.ControlRemoved), "control:"+string(r.ID))
	case Subject:
		return set(kind(audit.SubjectAdded, audit.SubjectChanged, audit.SubjectRemoved), s.subjectName(r.ID), "owner", string(r.Owner))
	case Account:
		return set(audit.PersonLinked, s.accountName(r.ID), "person", string(r.Subject))
	case Assignment:
		k := kind(audit.RoleAssigned, audit.RoleAssigned, audit.RoleWithdrawn)
		if old, ok := w.Old.(Assignment); ok && r.During.End() < old.During.End() {
			k = audit.RoleWithdrawn
		}
		return set(k, s.accountName(r.Account), "role", string(r.Role), "assignment", string(r.ID), "context", r.Context, "during", spell(r.During),
			"source", string(r.Source), "why", r.Why)
	case Membership:
		return set(kind(audit.MemberAdded, audit.MemberAdded, audit.MemberRemoved), s.accountName(r.Account), "group", string(r.Group), "during", spell(r.During))
	case Delegation:
		return set(kind(audit.DelegationGranted, audit.DelegationGranted, audit.DelegationEnded), s.accountName(r.To),
			"from", s.accountName(r.From), "roles", join(r.Roles), "delegation", string(r.ID), "during", spell(r.During))
	case Exception:
		return set(kind(audit.ExceptionGranted, audit.ExceptionGranted, audit.ExceptionRevoked), s.subjectName(r.Subject),
			"rule", string(r.Rule), "exception", string(r.ID), "approvers", join(r.Approvers), "during", spell(r.During), "why", r.Why)
	case Violation:
		if old, ok := w.Old.(Violation); ok && !gone && seenAgain(r, old) {
			return e, false // it was only seen again
		}
		return set(kind(audit.ViolationFound, audit.ViolationFound, audit.ViolationResolved), s.subjectName(r.Subject), "rule", string(r.Rule), "by", string(r.By))
	case Case:
		return set(audit.CaseMoved, s.subjectName(r.Subject), "rule", string(r.Rule), "state", string(r.State), "origin", string(r.Origin), "assignee", string(r.Assignee))
	}
	return e, false
}

// accountName is how the audit log names whoever holds something: an account, or an application for a workload.
func (s *State) accountName(id AccountID) string {
	if s.Subjects[SubjectID(id)].Kind == Workload {
		return "client:" + string(id)
	}
	return "account:" + string(id)
}

func (s *State) subjectName(id SubjectID) string {
	switch {
	case id == "":
		return ""
	case s.Subjects[id].Kind == Workload:
		return "client:" + string(id)
	}
	return "person:" + string(id)
}

func edges(r Role) []string {
	var out []string
	for _, j := range r.Juniors {
		name := string(j.Role)
		if j.Mode != Both {
			name += " (" + string(j.Mode) + ")"
		}
		out = append(out, name)
	}
	return out
}

func less[T comparable](a, b []T) []T {
	return slices.DeleteFunc(slices.Clone(a), func(x T) bool { return slices.Contains(b, x) })
}

func join[T ~string](in []T) string {
	var b strings.Builder
	for i, s := range in {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(string(s))
	}
	return b.String()
}

// brief bounds what an event quotes: a role of ten thousand permissions is one row, not a megabyte in the log.
func brief(s string) string {
	const most = 2000
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + " …"
}

// spell writes a window for a reader.
func spell(w Window) string {
	to := "…"
	if w.To != 0 {
		to = w.To.Time().Format("2006-01-02T15:04:05.999999Z")
	}
	return w.From.Time().Format("2006-01-02T15:04:05.999999Z") + " – " + to
}
