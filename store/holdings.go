package store

import "github.com/countersign-id/countersign/rbac"

type subjectRow struct {
	ID      string `gorm:"primaryKey"`
	Name    string
	Created micros `gorm:"column:created_at"`
	Kind    string
	OwnerID *string
}

func (subjectRow) TableName() string { return "subjects" }

func (r subjectRow) subject() rbac.Subject {
	s := rbac.Subject{ID: rbac.SubjectID(r.ID), Kind: rbac.SubjectKind(r.Kind)}
	if r.OwnerID != nil {
		s.Owner = rbac.SubjectID(*r.OwnerID)
	}
	return s
}

type assignmentRow struct {
	ID          string `gorm:"primaryKey"`
	AccountID   string
	RoleID      string
	Context     string
	FromAt      int64
	ToAt        int64
	Eligible    flag
	Source      string
	ExceptionID string
	Why         string
}

func (assignmentRow) TableName() string { return "assignments" }

func assignmentOf(a rbac.Assignment) assignmentRow {
	return assignmentRow{
		ID: string(a.ID), AccountID: string(a.Account), RoleID: string(a.Role), Context: a.Context, FromAt: int64(a.During.From),
		ToAt: int64(a.During.End()), Eligible: flag(a.Eligible), Source: string(a.Source), ExceptionID: string(a.Exception), Why: a.Why,
	}
}

func (r assignmentRow) assignment() rbac.Assignment {
	return rbac.Assignment{
		ID: rbac.AssignmentID(r.ID), Account: rbac.AccountID(r.AccountID), Role: rbac.RoleID(r.RoleID), Context: r.Context,
		During: window(r.FromAt, r.ToAt), Eligible: bool(r.Eligible), Source: rbac.Source(r.Source), Exception: rbac.ExceptionID(r.ExceptionID), Why: r.Why,
	}
}

func window(from, to int64) rbac.Window {
	w := rbac.Window{From: rbac.Instant(from), To: rbac.Instant(to)}
	if w.To == rbac.Forever {
		w.To = 0
	}
	return w
}

type membershipRow struct {
	GroupID   string `gorm:"primaryKey"`
	AccountID string `gorm:"primaryKey"`
	FromAt    int64
	ToAt      int64
}

func (membershipRow) TableName() string { return "memberships" }

func membershipOf(m rbac.Membership) membershipRow {
	return membershipRow{string(m.Group), string(m.Account), int64(m.During.From), int64(m.During.End())}
}

func (r membershipRow) membership() rbac.Membership {
	return rbac.Membership{Group: rbac.GroupID(r.GroupID), Account: rbac.AccountID(r.AccountID), During: window(r.FromAt, r.ToAt)}
}

type delegationRow struct {
	ID        string `gorm:"primaryKey"`
	GiverID   string
	AccountID string
	Roles     list
	FromAt    int64
	ToAt      int64
}

func (delegationRow) TableName() string { return "delegations" }

func delegationOf(d rbac.Delegation) delegationRow {
	return delegationRow{string(d.ID), string(d.From), string(d.To), names(d.Roles), int64(d.During.From), int64(d.During.End())}
}

func (r delegationRow) delegation() rbac.Delegation {
	return rbac.Delegation{
		ID: rbac.DelegationID(r.ID), From: rbac.AccountID(r.GiverID), To: rbac.AccountID(r.AccountID), Roles: typed[rbac.RoleID](r.Roles),
		During: window(r.FromAt, r.ToAt),
	}
}

type exceptionRow struct {
	ID          string `gorm:"primaryKey"`
	RuleID      string
	RuleVersion int
	SubjectID   string
	Controls    list
	Requester   string
	Approvers   list
	FromAt      int64
	ToAt        int64
	Why         string
}

func (exceptionRow) TableName() string { return "exceptions" }

func exceptionOf(x rbac.Exception) exceptionRow {
	return exceptionRow{
		string(x.ID), string(x.Rule), x.Version, string(x.Subject), names(x.Controls), string(x.Requester), names(x.Approvers),
		int64(x.During.From), int64(x.During.End()), x.Why,
	}
}

func (r exceptionRow) exception() rbac.Exception {
	return rbac.Exception{
		ID: rbac.ExceptionID(r.ID), Rule: rbac.RuleID(r.RuleID), Version: r.RuleVersion, Subject: rbac.SubjectID(r.SubjectID),
		Controls: typed[rbac.ControlID](r.Controls), Requester: rbac.SubjectID(r.Requester), Approvers: typed[rbac.SubjectID](r.Approvers),
		During: window(r.FromAt, r.ToAt), Why: r.Why,
	}
}

type violationRow struct {
	RuleID      string `gorm:"primaryKey"`
	SubjectID   string `gorm:"primaryKey"`
	RuleVersion int
	During      doc[[]rbac.Window]
	Uncovered   doc[[]rbac.Window]
	Witness     string
	FirstSeen   int64
	LastSeen    int64
	FoundBy     string
}

func (violationRow) TableName() string { return "violations" }

func violationOf(v rbac.Violation) violationRow {
	return violationRow{
		string(v.Rule), string(v.Subject), v.Version, doc[[]rbac.Window]{v.During}, doc[[]rbac.Window]{v.Uncovered}, v.Witness,
		int64(v.FirstSeen), int64(v.LastSeen), string(v.By),
	}
}

func (r violationRow) violation() rbac.Violation {
	return rbac.Violation{
		Rule: rbac.RuleID(r.RuleID), Version: r.RuleVersion, Subject: rbac.SubjectID(r.SubjectID), During: r.During.v, Uncovered: r.Uncovered.v,
		Witness: r.Witness, FirstSeen: rbac.Instant(r.FirstSeen), LastSeen: rbac.Instant(r.LastSeen), By: rbac.Detection(r.FoundBy),
	}
}

type caseRow struct {
	RuleID    string `gorm:"primaryKey"`
	SubjectID string `gorm:"primaryKey"`
	State     string
	Origin    string
	Witness   string
	Opened    int64  `gorm:"column:opened_at"`
	Due       micros `gorm:"column:due_at"`
	Reopened  int
	Assignee  string
}

func (caseRow) TableName() string { return "cases" }

func caseOf(c rbac.Case) caseRow {
	return caseRow{
		string(c.Rule), string(c.Subject), string(c.State), string(c.Origin), c.Witness, int64(c.Opened), micros(c.Due), c.Reopened, string(c.Assignee),
	}
}

func (r caseRow) open() rbac.Case {
	return rbac.Case{
		Rule: rbac.RuleID(r.RuleID), Subject: rbac.SubjectID(r.SubjectID), State: rbac.CaseState(r.State), Origin: rbac.CaseOrigin(r.Origin),
		Witness: r.Witness, Opened: rbac.Instant(r.Opened), Due: rbac.Instant(r.Due), Reopened: r.Reopened, Assignee: rbac.SubjectID(r.Assignee),
	}
}

type holdRow struct {
	RuleID    string `gorm:"primaryKey"`
	SubjectID string `gorm:"primaryKey"`
	Slot      int    `gorm:"primaryKey;autoIncrement:false"`
	DutyID    string
}

func (holdRow) TableName() string { return "holds" }

func holdOf(h rbac.Hold) holdRow {
	return holdRow{string(h.Rule), string(h.Subject), h.Slot, string(h.Duty)}
}

func (r holdRow) hold() rbac.Hold {
	return rbac.Hold{Rule: rbac.RuleID(r.RuleID), Subject: rbac.SubjectID(r.SubjectID), Slot: r.Slot, Duty: rbac.DutyID(r.DutyID)}
}

func names[T ~string](ids []T) []string {
	return mapped(ids, func(id T) string { return string(id) })
}
