package rbac

// Control is what watches over a conflict that is allowed to stand.
type Control struct {
	ID        ControlID `json:"id"`
	Name      string    `json:"name"`
	Owner     SubjectID `json:"owner,omitempty"`
	Monitor   string    `json:"monitor,omitempty"`
	Procedure string    `json:"procedure,omitempty"` // how it is tested
	Frequency string    `json:"frequency,omitempty"`
	During    Window    `json:"during,omitzero"`
	Evidence  bool      `json:"evidence_required,omitempty"`
}

// Exception lets one subject be in conflict with one version of one rule until it ends.
type Exception struct {
	ID        ExceptionID `json:"id,omitempty"`
	Rule      RuleID      `json:"rule"`
	Version   int         `json:"version,omitempty"`
	Subject   SubjectID   `json:"subject"`
	Controls  []ControlID `json:"controls,omitempty"`
	Requester SubjectID   `json:"requester,omitempty"`
	Approvers []SubjectID `json:"approvers"`
	During    Window      `json:"during"`
	Why       string      `json:"why,omitempty"`
}

// CaseKey names a violation and its case: one rule, one subject.
type CaseKey struct {
	Rule    RuleID
	Subject SubjectID
}

// Violation is the fact that a subject is, or at a known time will be, in conflict with a rule.
type Violation struct {
	Rule      RuleID
	Version   int
	Subject   SubjectID
	During    []Window // from now on
	Uncovered []Window // what of During no exception covers
	Witness   string   // the hash of what causes it
	FirstSeen Instant
	LastSeen  Instant
	By        Detection
}

// Detection says how a violation was found.
type Detection string

// The ways to find a violation.
const (
	Preventive Detection = "preventive" // when the change was made
	Detective  Detection = "detective"  // by a sweep
)

// Case is the work that a violation makes for people.
type Case struct {
	Rule     RuleID
	Subject  SubjectID
	State    CaseState
	Origin   CaseOrigin
	Witness  string
	Opened   Instant
	Due      Instant
	Reopened int
	Assignee SubjectID
}

// CaseOrigin says why a conflict came to be although a rule speaks against it.
type CaseOrigin string

// The origins of a case.
const (
	FromChange   CaseOrigin = "change"        // a rule that records or warns, or an approval
	Grandfather  CaseOrigin = "grandfathered" // it was there before the rule
	FromIdentity CaseOrigin = "identity"      // two accounts turned out to be one person
	FromAdoption CaseOrigin = "adopted"       // imported as found
	FromTime     CaseOrigin = "time"          // an exception ended
)

// CaseState is where a case stands.
type CaseState string

// The states of a case.
const (
	CaseOpen          CaseState = "open"
	CaseReview        CaseState = "in_review"
	CaseException     CaseState = "exception_active"
	CaseRemediating   CaseState = "remediating"
	CaseResolved      CaseState = "closed_resolved"
	CaseFalsePositive CaseState = "closed_false_positive"
	CaseInactive      CaseState = "on_hold_rule_inactive"
	CaseInvalid       CaseState = "on_hold_rule_invalid"
	CaseRuleDeleted   CaseState = "closed_rule_deleted"
)

// Closed reports whether nobody need look at the case.
func (s CaseState) Closed() bool {
	return s == CaseResolved || s == CaseFalsePositive || s == CaseRuleDeleted
}
