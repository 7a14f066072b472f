package rbac

// peopleOp is an operation that is about people alone, and says whom it names. Every other one changes the policy.
type peopleOp interface {
	Op
	names(w *Whom)
}

func (o AddSubject) names(w *Whom)    { w.subjects(o.Subject.ID, o.Subject.Owner) }
func (o DeleteSubject) names(w *Whom) { w.subjects(o.Subject) }
func (o MergeSubjects) names(w *Whom) { w.subjects(o.From, o.Into) }
func (o SetOwner) names(w *Whom)      { w.subjects(o.Workload, o.Owner) }
func (o DecideCase) names(w *Whom)    { w.subjects(o.Key.Subject) }

func (o AddAccount) names(w *Whom) {
	w.accounts(o.Account.ID)
	w.subjects(o.Account.Subject)
}

func (o DeleteAccount) names(w *Whom) { w.accounts(o.Account) }

func (o LinkAccount) names(w *Whom) {
	w.accounts(o.Account)
	w.subjects(o.Subject)
}

func (o AddMember) names(w *Whom)    { w.accounts(o.Membership.Account) }
func (o RemoveMember) names(w *Whom) { w.accounts(o.Account) }

// New rows name themselves too: what has their identifier already must not be overlooked because somebody else holds it.

func (o Assign) names(w *Whom) {
	w.accounts(o.Assignment.Account)
	w.Assignments = append(w.Assignments, o.Assignment.ID)
}

func (o Withdraw) names(w *Whom) { w.Assignments = append(w.Assignments, o.Assignment) }

func (o Delegate) names(w *Whom) {
	w.accounts(o.Delegation.From, o.Delegation.To)
	w.Delegations = append(w.Delegations, o.Delegation.ID)
}

func (o Undelegate) names(w *Whom) { w.Delegations = append(w.Delegations, o.Delegation) }

func (o GrantException) names(w *Whom) {
	w.subjects(o.Exception.Subject)
	w.Exceptions = append(w.Exceptions, o.Exception.ID)
}

func (o RevokeException) names(w *Whom) { w.Exceptions = append(w.Exceptions, o.Exception) }

func (o Sweep) names(w *Whom) {
	w.subjects(o.Subjects...)
	w.Everybody = w.Everybody || o.Subjects == nil
}

func (w *Whom) accounts(ids ...AccountID) { w.Accounts = append(w.Accounts, ids...) }
func (w *Whom) subjects(ids ...SubjectID) { w.Subjects = append(w.Subjects, ids...) }
