package rbac

// Duty is a piece of work: k of n atoms that together let a person do it.
type Duty struct {
	ID          DutyID    `json:"id"`
	Process     string    `json:"process,omitempty"`
	Name        string    `json:"name"`
	Description string    `json:"description,omitempty"`
	Expr        Expr      `json:"expr"`
	Ruleset     RulesetID `json:"ruleset,omitempty"`
}

// Rule says that of its duties nobody may hold K or more.
type Rule struct {
	ID      RuleID    `json:"id"`
	Ruleset RulesetID `json:"ruleset,omitempty"`
	Kind    RuleKind  `json:"kind"`
	Duties  []DutyID  `json:"duties"` // in the order they were declared, which means nothing
	K       int       `json:"k"`
	Join    Join      `json:"join,omitempty"`
	Level   Level     `json:"level"`
	Mode    Mode      `json:"mode"`
	Reach   Reach     `json:"reach,omitempty"`     // of a dynamic rule
	Owned   bool      `json:"workloads,omitempty"` // a person answers for the workloads they own
	During  Window    `json:"during,omitzero"`

	Owner            SubjectID   `json:"owner,omitempty"` // the risk owner, who approves exceptions
	ControlTags      []string    `json:"control_tags,omitempty"`
	Controls         []ControlID `json:"controls,omitempty"` // that may mitigate it; empty: any
	MaxExceptionDays int         `json:"max_exception_days,omitempty"`
	Description      string      `json:"description,omitempty"`
	Scenario         string      `json:"scenario,omitempty"` // how fraud or harm would come about
	Mitigation       string      `json:"mitigation,omitempty"`

	Tests []RuleTest `json:"tests,omitempty"` // what the rule is meant to say, as examples

	Version int  `json:"version,omitempty"` // grows whenever what it forbids changes
	Invalid bool `json:"invalid,omitempty"` // names something that does not exist; it binds by what is left
}

// RuleTest says whether somebody who holds exactly these atoms violates the rule.
type RuleTest struct {
	Atoms    []Atom `json:"atoms"`
	Violates bool   `json:"violates"`
}

// RuleKind says when a rule counts what a person holds.
type RuleKind string

// The kinds of rule. Static, operational and critical rules count what a person is authorised for;
// dynamic ones what is active in sessions. Object- and history-based rules are kept as drafts only.
const (
	Static      RuleKind = "ssd"
	Dynamic     RuleKind = "dsd"
	Operational RuleKind = "opsod"
	Critical    RuleKind = "critical"
	ObjectBased RuleKind = "odsd"
	History     RuleKind = "hdsd"
)

// Join says whether the duties must meet in one context to conflict.
type Join string

// The joins.
const (
	AnyContext  Join = ""
	SameContext Join = "same_context"
)

// Level is how much harm a violation can do.
type Level string

// The levels.
const (
	Low    Level = "low"
	Medium Level = "medium"
	High   Level = "high"
	Grave  Level = "critical"
)

// Mode is what a rule does. The zero Mode is a draft.
type Mode string

// The modes, from nothing to refusal.
const (
	Draft    Mode = "draft"    // is only kept
	Simulate Mode = "simulate" // counts in reports
	Record   Mode = "record"   // files violations
	Warn     Mode = "warn"     // and says so to whoever makes the change
	Approve  Mode = "approve"  // makes the change wait for the rule's owner
	Block    Mode = "block"    // refuses it
)

var modeRank = map[Mode]int{"": 0, Draft: 0, Simulate: 1, Record: 2, Warn: 3, Approve: 4, Block: 5}

// Files reports whether violations of a rule in mode m are kept.
func (m Mode) Files() bool { return modeRank[m] >= modeRank[Record] }

// Binds reports whether a rule in mode m can hold up a change.
func (m Mode) Binds() bool { return modeRank[m] >= modeRank[Approve] }

// Reach is how far a dynamic rule looks.
type Reach string

// The reaches. The zero value is the person for rules of level high and critical, else the session.
const (
	ReachDefault Reach = ""
	ReachSession Reach = "session"
	ReachSubject Reach = "subject"
)

// acrossSessions reports whether r counts what is active in all sessions of a person.
func (r Rule) acrossSessions() bool {
	if r.Reach == ReachDefault {
		return r.Level == High || r.Level == Grave
	}
	return r.Reach == ReachSubject
}

// static reports whether r counts what a person is authorised for.
func (r Rule) static() bool { return r.Kind == Static || r.Kind == Operational || r.Kind == Critical }

// waits reports whether r is of a kind that cannot be enforced yet.
func (r Rule) waits() bool { return r.Kind == ObjectBased || r.Kind == History }

// filed reports whether violations of r are looked for and kept.
func (r Rule) filed() bool { return r.static() && r.Mode.Files() }

// sameMeaning reports whether a and b forbid the same, whatever their mode.
func sameMeaning(a, b Rule) bool {
	if a.Kind != b.Kind || a.K != b.K || a.Join != b.Join || a.Owned != b.Owned || a.During != b.During ||
		a.acrossSessions() != b.acrossSessions() || len(a.Duties) != len(b.Duties) {
		return false
	}
	in := map[DutyID]bool{}
	for _, d := range a.Duties {
		in[d] = true
	}
	for _, d := range b.Duties {
		if !in[d] {
			return false
		}
	}
	return true
}
