package rbac

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/countersign-id/countersign/internal/fault"
)

// Step is one thing that a plan does.
type Step struct {
	Sign   string   `json:"sign"` // "+" makes, "~" changes, "-" takes away
	Kind   string   `json:"kind"`
	Name   string   `json:"name"`
	Detail []string `json:"detail,omitempty"` // what is other than before, a line for each field
	Op     Op       `json:"-"`
}

// Plan is the way from a state to a document.
type Plan struct {
	Steps []Step
	Notes []string // what differs and stays so
}

// Ops returns the operations of the plan.
func (p Plan) Ops() []Op {
	var ops []Op
	for _, s := range p.Steps {
		ops = append(ops, s.Op)
	}
	return ops
}

// ErrDocument refuses a document that contradicts itself.
var ErrDocument = fault.New(fault.Invalid, "policy-file-invalid", "The policy file cannot mean anything.")

// Planner is what planning needs beside a state and a document.
type Planner struct {
	Now     Instant
	NewID   func() string          // of new rows
	Account func(AccountID) string // how steps name accounts; nil: by their identifiers
	Subject func(SubjectID) string
}

// Plan returns what leads from s to d: nothing, where s is what d says. Names in d are identifiers already. Whether the way
// may be gone is for Apply to say.
func (s *State) Plan(d Document, with Planner) (Plan, error) {
	if with.Account == nil {
		with.Account = func(id AccountID) string { return string(id) }
	}
	if with.Subject == nil {
		with.Subject = func(id SubjectID) string { return string(id) }
	}
	p := planning{Planner: with, s: s, d: d, gone: map[any]bool{}}
	p.policy()
	p.people()
	if p.err != nil {
		return Plan{}, p.err
	}
	return p.Plan, nil
}

type planning struct {
	Plan
	Planner
	s    *State
	d    Document
	gone map[any]bool // roles and groups that the plan deletes: what hangs on them goes with them
	err  error
}

func (p *planning) step(sign, kind, name string, op Op, detail ...string) {
	p.Steps = append(p.Steps, Step{sign, kind, name, detail, op})
}

// kind is how one kind of row is planned.
type kind[K ~string, V any] struct {
	name         string
	have         map[K]V
	want         *[]V
	key          func(V) K
	normal       func(V) V // as it is kept
	make, change func(V) Op
	drop         func(K) Op
	keep         func(K) bool // not to be dropped though the document lacks it
}

// drops plans what a document lacks, makes what it adds or changes. They are apart because some things must go before others come.
func (k kind[K, V]) drops(p *planning) {
	if k.want == nil {
		return
	}
	wanted := k.wanted(p)
	for _, id := range sortedKeys(k.have) {
		if _, ok := wanted[id]; !ok && (k.keep == nil || !k.keep(id)) {
			p.gone[id] = true
			p.step("-", k.name, string(id), k.drop(id))
		}
	}
}

func (k kind[K, V]) makes(p *planning) {
	if k.want == nil {
		return
	}
	wanted := k.wanted(p)
	for _, id := range sortedKeys(wanted) {
		v := wanted[id]
		old, ok := k.have[id]
		switch {
		case !ok:
			p.step("+", k.name, string(id), k.make(v))
		case !sameRow(k.normal(old), v):
			p.step("~", k.name, string(id), k.change(v), differences(k.normal(old), v)...)
		}
	}
}

func (k kind[K, V]) wanted(p *planning) map[K]V {
	out := map[K]V{}
	for _, v := range *k.want {
		id := k.key(v)
		if _, twice := out[id]; twice && p.err == nil {
			p.err = ErrDocument.Saying(fmt.Sprintf("The %s %q is there twice.", k.name, id)).At(k.name)
		}
		out[id] = k.normal(v)
	}
	return out
}

func (p *planning) policy() {
	s, d := p.s, p.d
	servers := kind[ServerID, ResourceServer]{"server", s.Servers, d.Servers, func(r ResourceServer) ServerID { return r.ID },
		func(r ResourceServer) ResourceServer { r.Audiences = sorted(r.Audiences); return r },
		func(r ResourceServer) Op { return DefineServer{r} }, func(r ResourceServer) Op { return DefineServer{r} },
		func(id ServerID) Op { return DropServer{id} }, func(id ServerID) bool { return id == Own }}
	permissions := kind[Permission, PermissionDef]{"permission", s.Permissions, d.Permissions, func(r PermissionDef) Permission { return r.ID }, same[PermissionDef],
		func(r PermissionDef) Op { return DefinePermission{r} }, func(r PermissionDef) Op { return DefinePermission{r} },
		func(id Permission) Op { return DropPermission{Permission: id} }, builtinPermission}
	scopes := kind[ScopeID, Scope]{"scope", s.Scopes, d.Scopes, func(r Scope) ScopeID { return r.ID },
		func(r Scope) Scope { r.Permissions = sorted(r.Permissions); return r },
		func(r Scope) Op { return DefineScope{r} }, func(r Scope) Op { return DefineScope{r} }, func(id ScopeID) Op { return DropScope{Scope: id} }, nil}
	roles := kind[RoleID, Role]{"role", s.Roles, d.Roles, func(r Role) RoleID { return r.ID }, normalRole,
		func(r Role) Op { return CreateRole{r} }, func(r Role) Op { return EditRole{r} }, func(id RoleID) Op { return DeleteRole{Role: id} },
		func(id RoleID) bool { return s.Roles[id].Kind == BuiltinRole }}
	groups := kind[GroupID, Group]{"group", s.Groups, d.Groups, func(r Group) GroupID { return r.ID },
		func(r Group) Group { r.Roles, r.Children = sorted(r.Roles), sorted(r.Children); return r },
		func(r Group) Op { return CreateGroup{r} }, func(r Group) Op { return EditGroup{r} }, func(id GroupID) Op { return DeleteGroup{Group: id} }, nil}
	duties := kind[DutyID, Duty]{"duty", s.Duties, d.Duties, func(r Duty) DutyID { return r.ID }, same[Duty],
		func(r Duty) Op { return DefineDuty{r} }, func(r Duty) Op { return DefineDuty{r} }, func(id DutyID) Op { return DeleteDuty{id} }, nil}
	controls := kind[ControlID, Control]{"control", s.Controls, d.Controls, func(r Control) ControlID { return r.ID }, same[Control],
		func(r Control) Op { return DefineControl{r} }, func(r Control) Op { return DefineControl{r} }, func(id ControlID) Op { return DeleteControl{id} }, nil}
	rules := kind[RuleID, Rule]{"rule", s.Rules, d.Rules, func(r Rule) RuleID { return r.ID }, declared,
		func(r Rule) Op { return CreateRule{Rule: r} }, func(r Rule) Op { return EditRule{Rule: r} }, func(id RuleID) Op { return DeleteRule{id} }, nil}

	for _, k := range []interface{ drops(*planning) }{rules, duties, groups, roles, scopes, permissions, servers} {
		k.drops(p)
	}
	for _, k := range []interface{ makes(*planning) }{servers, permissions, scopes, roles, groups, duties, controls, rules} {
		k.makes(p)
	}
	controls.drops(p) // once no rule names them any more
}

func same[T any](v T) T { return v }

func normalRole(r Role) Role {
	r.Permissions = sorted(r.Permissions)
	r.Juniors = slices.Clone(r.Juniors)
	slices.SortFunc(r.Juniors, func(a, b Junior) int { return strings.Compare(string(a.Role), string(b.Role)) })
	return r
}

func (p *planning) people() {
	p.links()
	p.owners()
	claims(p, "exception", p.d.Exceptions, p.exceptions())
	claims(p, "delegation", p.d.Delegations, p.delegations())
	claims(p, "member", p.d.Members, p.members())
	claims(p, "assignment", p.d.Assignments, p.assignments())
}

// links plans which accounts are one person. That two are one cannot be taken back: it is not made untrue by a file.
func (p *planning) links() {
	if p.d.People == nil {
		return
	}
	for _, e := range *p.d.People {
		a, known := p.s.Accounts[e.Account]
		first, ok := p.s.Accounts[e.Person]
		switch {
		case !known:
			p.fail("There is no account %q.", p.Account(e.Account))
		case e.Person == "" && len(p.s.accountsOf[a.Subject]) > 1 && slices.Min(sortedKeys(p.s.accountsOf[a.Subject])) != a.ID:
			p.Notes = append(p.Notes, fmt.Sprintf("Account %s is known to be a person's who has another; the file does not say so.", p.Account(e.Account)))
		case e.Person == "":
		case !ok:
			p.fail("There is no account %q.", p.Account(e.Person))
		case first.Subject != a.Subject:
			p.step("~", "person", p.Account(e.Account), LinkAccount{e.Account, first.Subject}, "is the person of "+p.Account(e.Person))
		}
	}
}

func (p *planning) owners() {
	if p.d.Workloads == nil {
		return
	}
	want := map[SubjectID]SubjectID{}
	for _, w := range *p.d.Workloads {
		if p.s.Subjects[w.ID].Kind != Workload {
			p.fail("There is no workload %q.", string(w.ID))
		}
		want[w.ID] = w.Owner
	}
	for _, id := range sortedKeys(p.s.Subjects) {
		if w := p.s.Subjects[id]; w.Kind == Workload && w.Owner != want[id] {
			p.step("~", "workload", string(id), SetOwner{id, want[id]}, fmt.Sprintf("owner: %s → %s", p.owner(w.Owner), p.owner(want[id])))
		}
	}
}

func (p *planning) fail(form, name string) {
	if p.err == nil {
		p.err = ErrNotFound.Saying(fmt.Sprintf(form, name)).At("people")
	}
}

// claim is how rows without names are planned: what somebody holds for a while.
type claim[T any] struct {
	have        []T
	over        func(T) bool            // has ended: neither there nor to be made
	gone        func(T) bool            // goes with something that the plan deletes
	matches     func(have, want T) bool // have is what want asks for
	order       func(a, b T) int
	name        func(T) string
	give, taken func(T) Op
}

// claims takes away what the document lacks and gives what it adds.
func claims[T any](p *planning, name string, want *[]T, c claim[T]) {
	if want == nil {
		return
	}
	have := slices.DeleteFunc(slices.Clone(c.have), func(x T) bool { return c.over(x) || c.gone(x) })
	slices.SortFunc(have, c.order)
	list := slices.Clone(*want)
	slices.SortStableFunc(list, c.order)
	var give []T
	for _, w := range list {
		if i := slices.IndexFunc(have, func(h T) bool { return c.matches(h, w) }); i >= 0 {
			have = slices.Delete(have, i, i+1)
		} else if !c.over(w) {
			give = append(give, w)
		}
	}
	for _, h := range have {
		p.step("-", name, c.name(h), c.taken(h))
	}
	for _, g := range give {
		p.step("+", name, c.name(g), c.give(g))
	}
}

// sameWindow reports whether have is what want asks for: to the same end, and from the same start if want names one.
func sameWindow(have, want Window) bool {
	return have.To == want.To && (want.From == 0 || have.From == want.From)
}

func (p *planning) ended(w Window) bool { return w.End() <= p.Now }

func (p *planning) assignments() claim[Assignment] {
	return claim[Assignment]{
		have:  slices.DeleteFunc(slices.Collect(maps.Values(p.s.Assignments)), func(a Assignment) bool { return !managed(a) }),
		over:  func(a Assignment) bool { return p.ended(a.During) },
		gone:  func(a Assignment) bool { return p.gone[a.Role] },
		order: assignmentOrder,
		matches: func(h, w Assignment) bool {
			return h.Account == w.Account && h.Role == w.Role && h.Context == w.Context && h.Eligible == w.Eligible && sameWindow(h.During, w.During)
		},
		name:  func(a Assignment) string { return heldAs(string(a.Role), p.Account(a.Account), a.Context, a.During) },
		give:  func(a Assignment) Op { a.ID = AssignmentID(p.NewID()); return Assign{a} },
		taken: func(a Assignment) Op { return Withdraw{a.ID} },
	}
}

func (p *planning) members() claim[Membership] {
	return claim[Membership]{
		have: slices.Collect(maps.Values(p.s.Memberships)),
		over: func(m Membership) bool { return p.ended(m.During) },
		gone: func(m Membership) bool { return p.gone[m.Group] },
		order: func(a, b Membership) int {
			return strings.Compare(string(a.Group)+"\x00"+string(a.Account), string(b.Group)+"\x00"+string(b.Account))
		},
		matches: func(h, w Membership) bool {
			return h.Group == w.Group && h.Account == w.Account && sameWindow(h.During, w.During)
		},
		name:  func(m Membership) string { return heldAs(string(m.Group), p.Account(m.Account), "", m.During) },
		give:  func(m Membership) Op { return AddMember{m} },
		taken: func(m Membership) Op { return RemoveMember{m.Group, m.Account} },
	}
}

func (p *planning) delegations() claim[Delegation] {
	return claim[Delegation]{
		have: slices.Collect(maps.Values(p.s.Delegations)),
		over: func(d Delegation) bool { return p.ended(d.During) },
		gone: func(d Delegation) bool {
			return !slices.ContainsFunc(d.Roles, func(r RoleID) bool { return !p.gone[r] })
		},
		order: delegationOrder,
		matches: func(h, w Delegation) bool {
			return h.From == w.From && h.To == w.To && slices.Equal(h.Roles, sorted(w.Roles)) && sameWindow(h.During, w.During)
		},
		name: func(d Delegation) string {
			return heldAs(join(d.Roles), p.Account(d.To), "", d.During) + " from " + p.Account(d.From)
		},
		give:  func(d Delegation) Op { d.ID = DelegationID(p.NewID()); return Delegate{d} },
		taken: func(d Delegation) Op { return Undelegate{d.ID} },
	}
}

func (p *planning) exceptions() claim[Exception] {
	return claim[Exception]{
		have:  slices.Collect(maps.Values(p.s.Exceptions)),
		over:  func(x Exception) bool { return p.ended(x.During) },
		gone:  func(x Exception) bool { return p.gone[x.Rule] },
		order: exceptionOrder,
		matches: func(h, w Exception) bool {
			return h.Rule == w.Rule && h.Subject == w.Subject && slices.Equal(sorted(h.Controls), sorted(w.Controls)) &&
				slices.Equal(sorted(h.Approvers), sorted(w.Approvers)) && sameWindow(h.During, w.During) && (w.Version == 0 || w.Version == h.Version)
		},
		name: func(x Exception) string { return heldAs(string(x.Rule), p.Subject(x.Subject), "", x.During) },
		give: func(x Exception) Op {
			x.ID = ExceptionID(p.NewID())
			if x.During.From == 0 {
				x.During.From = p.Now
			}
			if x.Version == 0 {
				x.Version = max(1, p.s.Rules[x.Rule].Version)
			}
			return GrantException{x}
		},
		taken: func(x Exception) Op { return RevokeException{x.ID} },
	}
}

func heldAs(what, who, context string, w Window) string {
	name := what + " of " + who
	if context != "" {
		name += " in " + context
	}
	if w.To != 0 {
		name += " until " + w.To.Time().Format("2006-01-02T15:04:05Z")
	}
	return name
}

func (p *planning) owner(id SubjectID) string {
	if id == "" {
		return "nobody"
	}
	return p.Subject(id)
}

// sameRow compares rows by what a document says of them.
func sameRow(a, b any) bool {
	x, errA := json.Marshal(a)
	y, errB := json.Marshal(b)
	return errA == nil && errB == nil && bytes.Equal(x, y)
}

// differences lists the fields in which two rows differ: for lists what came and what went.
func differences(a, b any) []string {
	x, y := fields(a), fields(b)
	keys := maps.Clone(x)
	maps.Copy(keys, y)
	var out []string
	for _, k := range sortedKeys(keys) {
		before, after := string(x[k]), string(y[k])
		if before == after {
			continue
		}
		was, wasList := list(x[k])
		is, isList := list(y[k])
		if line := listDifference(was, is); wasList && isList && line != "" {
			out = append(out, k+":"+line)
			continue
		}
		out = append(out, fmt.Sprintf("%s: %s → %s", k, orNothing(before), orNothing(after)))
	}
	return out
}

// list reads a field as a list; one that is absent is an empty one.
func list(raw json.RawMessage) (items []any, ok bool) {
	return items, len(raw) == 0 || json.Unmarshal(raw, &items) == nil
}

func orNothing(s string) string {
	if s == "" {
		return "nothing"
	}
	return s
}

func listDifference(was, is []any) string {
	text := func(list []any) (out []string) {
		for _, v := range list {
			if s, ok := v.(string); ok {
				out = append(out, s)
			} else {
				b, _ := json.Marshal(v) // it was JSON a moment ago
				out = append(out, string(b))
			}
		}
		return out
	}
	var line strings.Builder
	a, b := text(was), text(is)
	for _, s := range less(b, a) {
		line.WriteString(" +" + s)
	}
	for _, s := range less(a, b) {
		line.WriteString(" -" + s)
	}
	return line.String()
}

func fields(v any) map[string]json.RawMessage {
	out := map[string]json.RawMessage{}
	b, err := json.Marshal(v)
	if err == nil {
		err = json.Unmarshal(b, &out)
	}
	if err != nil {
		panic(fmt.Sprintf("rbac: a row that is no JSON: %v", err))
	}
	return out
}
