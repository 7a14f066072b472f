package rbac

// Subject is whom separation of duty is about: a person with all their accounts, or a workload.
type Subject struct {
	ID    SubjectID   `json:"id"`
	Kind  SubjectKind `json:"kind,omitempty"`
	Owner SubjectID   `json:"owner,omitempty"` // of a workload: the person who can act as it
}

// SubjectKind tells persons from workloads.
type SubjectKind string

// The kinds of subject.
const (
	Person   SubjectKind = ""
	Workload SubjectKind = "workload"
)

// Account is a principal that signs in. It belongs to one subject. A disabled account still holds
// what it holds, so that enabling it can break no rule.
type Account struct {
	ID      AccountID `json:"id"`
	Subject SubjectID `json:"subject"`
}

// Assignment gives an account a role for a window, everywhere or in one context.
type Assignment struct {
	ID        AssignmentID `json:"id,omitempty"`
	Account   AccountID    `json:"account"`
	Role      RoleID       `json:"role"`
	Context   string       `json:"context,omitempty"` // "" is everywhere; else a resource scope such as "org=EMEA"
	During    Window       `json:"during,omitzero"`
	Eligible  bool         `json:"eligible,omitempty"` // must be activated to count in a session
	Source    Source       `json:"source,omitempty"`
	Exception ExceptionID  `json:"exception,omitempty"`
	Why       string       `json:"why,omitempty"`
}

// Source says where an assignment came from.
type Source string

// The sources of an assignment.
const (
	Direct      Source = ""
	FromRule    Source = "rule"
	FromRequest Source = "request"
	JustInTime  Source = "jit"
	BreakGlass  Source = "breakglass"
	Imported    Source = "import"
)

// Membership puts an account into a group for a window.
type Membership struct {
	Group   GroupID   `json:"group"`
	Account AccountID `json:"account"`
	During  Window    `json:"during,omitzero"`
}

// Delegation lets a deputy act in roles of somebody else. The deputy holds them, for separation of
// duty as for everything else; it ends when the one who delegates loses the role.
type Delegation struct {
	ID     DelegationID `json:"id,omitempty"`
	From   AccountID    `json:"from"`
	To     AccountID    `json:"to"`
	Roles  []RoleID     `json:"roles"`
	During Window       `json:"during"`
}

// Grant is one thing a subject holds: a role, or membership in a group, and where it comes from.
type Grant struct {
	Account    AccountID
	Role       RoleID // this or Group
	Group      GroupID
	Context    string
	During     Window
	Eligible   bool
	Owned      bool         // held by a workload that the person owns
	Assignment AssignmentID // the row behind it: an assignment, a delegation, or the membership
	Delegation DelegationID
}

// Holder is one subject with everything they hold: what a decision about them needs to read.
type Holder struct {
	Subject    SubjectID
	Grants     []Grant
	Exceptions []Exception
}
