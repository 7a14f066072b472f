package rbac

import (
	"cmp"
	"slices"
)

// Document is the whole policy and who holds what, as it is kept in version control. A section that is absent is not spoken
// of; one that is there, empty or not, is the whole of its kind. Built-in permissions, roles and the server that is ourselves
// are there without being named.
//
// In a document accounts and subjects go by names. Translate turns them into identifiers and back.
type Document struct {
	Servers     *[]ResourceServer `json:"servers,omitempty"`
	Permissions *[]PermissionDef  `json:"permissions,omitempty"`
	Scopes      *[]Scope          `json:"scopes,omitempty"`
	Roles       *[]Role           `json:"roles,omitempty"`
	Groups      *[]Group          `json:"groups,omitempty"`
	Duties      *[]Duty           `json:"duties,omitempty"`
	Controls    *[]Control        `json:"controls,omitempty"`
	Rules       *[]Rule           `json:"rules,omitempty"`

	People      *[]PersonEntry `json:"people,omitempty"`
	Workloads   *[]Subject     `json:"workloads,omitempty"`
	Assignments *[]Assignment  `json:"assignments,omitempty"`
	Members     *[]Membership  `json:"members,omitempty"`
	Delegations *[]Delegation  `json:"delegations,omitempty"`
	Exceptions  *[]Exception   `json:"exceptions,omitempty"`
}

// PersonEntry is an account in a document. Person names another account of the same person, if this is not the only one.
type PersonEntry struct {
	Account AccountID `json:"account"`
	Email   string    `json:"email,omitempty"`
	Name    string    `json:"name,omitempty"`
	Person  AccountID `json:"person,omitempty"`
}

// HasPeople reports whether d speaks of what people hold.
func (d Document) HasPeople() bool {
	return d.People != nil || d.Workloads != nil || d.Assignments != nil || d.Members != nil || d.Delegations != nil || d.Exceptions != nil
}

// Names turns the names of a document into something else. Each function may refuse a name.
type Names struct {
	Account func(AccountID) (AccountID, error)
	Subject func(SubjectID) (SubjectID, error)
}

// Translate returns d with every name turned by n. "" stays.
func (d Document) Translate(n Names) (Document, error) {
	t := translating{names: n}
	out := d
	out.Roles = each(d.Roles, func(r Role) Role { r.Owner = t.subject(r.Owner); return r })
	out.Controls = each(d.Controls, func(c Control) Control { c.Owner = t.subject(c.Owner); return c })
	out.Rules = each(d.Rules, func(r Rule) Rule { r.Owner = t.subject(r.Owner); return r })
	out.People = each(d.People, func(p PersonEntry) PersonEntry {
		p.Account, p.Person = t.account(p.Account), t.account(p.Person)
		return p
	})
	out.Workloads = each(d.Workloads, func(w Subject) Subject { w.Owner = t.subject(w.Owner); return w })
	out.Assignments = each(d.Assignments, func(a Assignment) Assignment { a.Account = t.account(a.Account); return a })
	out.Members = each(d.Members, func(m Membership) Membership { m.Account = t.account(m.Account); return m })
	out.Delegations = each(d.Delegations, func(x Delegation) Delegation { x.From, x.To = t.account(x.From), t.account(x.To); return x })
	out.Exceptions = each(d.Exceptions, func(x Exception) Exception {
		x.Subject, x.Requester = t.subject(x.Subject), t.subject(x.Requester)
		approvers := make([]SubjectID, len(x.Approvers))
		for i, a := range x.Approvers {
			approvers[i] = t.subject(a)
		}
		x.Approvers = approvers
		return x
	})
	return out, t.err
}

type translating struct {
	names Names
	err   error
}

func (t *translating) account(id AccountID) AccountID { return turn(t, id, t.names.Account) }
func (t *translating) subject(id SubjectID) SubjectID { return turn(t, id, t.names.Subject) }

func turn[ID ~string](t *translating, id ID, f func(ID) (ID, error)) ID {
	if id == "" || t.err != nil {
		return id
	}
	out, err := f(id)
	if err != nil {
		t.err = err
	}
	return out
}

func each[T any](list *[]T, f func(T) T) *[]T {
	if list == nil {
		return nil
	}
	out := make([]T, len(*list))
	for i, x := range *list {
		out[i] = f(x)
	}
	return &out
}

// Document returns s as a document, sorted, so that two of the same state are the same text. What has ended by now and what
// is built in is left out; an assignment keeps no identifier, because what it gives is what it is.
func (s *State) Document(now Instant) Document {
	d := Document{
		Servers:     listed(s.Servers, func(r ResourceServer) bool { return r.ID != Own }),
		Permissions: listed(s.Permissions, func(p PermissionDef) bool { return !builtinPermission(p.ID) }),
		Scopes:      listed(s.Scopes, nil), Groups: listed(s.Groups, nil), Duties: listed(s.Duties, nil), Controls: listed(s.Controls, nil),
		Roles: listed(s.Roles, func(r Role) bool { b, ok := builtinRole(r.ID); return !ok || !sameRow(b, r) }),
		Rules: each(listed(s.Rules, nil), declared),
	}
	workloads := listed(s.Subjects, func(w Subject) bool { return w.Kind == Workload && w.Owner != "" })
	d.Workloads = each(workloads, func(w Subject) Subject { w.Kind = ""; return w })
	d.Assignments = listed(s.Assignments, func(a Assignment) bool { return a.During.End() > now && managed(a) })
	sortRows(d.Assignments, assignmentOrder)
	d.Assignments = each(d.Assignments, func(a Assignment) Assignment { a.ID = ""; return a })
	var members []Membership
	for _, m := range s.Memberships {
		if m.During.End() > now {
			members = append(members, m)
		}
	}
	d.Members = &members
	sortRows(d.Members, func(a, b Membership) int {
		return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.Account, b.Account))
	})
	d.Delegations = listed(s.Delegations, func(x Delegation) bool { return x.During.End() > now })
	sortRows(d.Delegations, delegationOrder)
	d.Delegations = each(d.Delegations, func(x Delegation) Delegation { x.ID = ""; return x })
	d.Exceptions = listed(s.Exceptions, func(x Exception) bool { return x.During.End() > now })
	sortRows(d.Exceptions, exceptionOrder)
	d.Exceptions = each(d.Exceptions, func(x Exception) Exception { x.ID = ""; return x })
	d.People = s.entries()
	return d
}

// entries lists persons' accounts. Of several that one person has, the first by id stands for the person.
func (s *State) entries() *[]PersonEntry {
	out := []PersonEntry{}
	for _, id := range sortedKeys(s.Accounts) {
		a := s.Accounts[id]
		if s.Subjects[a.Subject].Kind == Workload {
			continue
		}
		e := PersonEntry{Account: id}
		if first := slices.Min(sortedKeys(s.accountsOf[a.Subject])); first != id {
			e.Person = first
		}
		out = append(out, e)
	}
	return &out
}

// managed reports whether a is given by administrators, and not by a request or for a while by an activation.
func managed(a Assignment) bool { return a.Source == Direct || a.Source == Imported }

func assignmentOrder(a, b Assignment) int {
	return cmp.Or(cmp.Compare(a.Account, b.Account), cmp.Compare(a.Role, b.Role), cmp.Compare(a.Context, b.Context), cmp.Compare(a.During.From, b.During.From))
}

func delegationOrder(a, b Delegation) int {
	return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To), slices.Compare(a.Roles, b.Roles), cmp.Compare(a.During.From, b.During.From))
}

func exceptionOrder(a, b Exception) int {
	return cmp.Or(cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Subject, b.Subject), cmp.Compare(a.During.From, b.During.From))
}

func listed[K cmp.Ordered, V any](m map[K]V, keep func(V) bool) *[]V {
	out := []V{}
	for _, k := range sortedKeys(m) {
		if keep == nil || keep(m[k]) {
			out = append(out, m[k])
		}
	}
	return &out
}

func sortRows[T any](list *[]T, order func(a, b T) int) { slices.SortStableFunc(*list, order) }

// declared is what a document says of a rule: not what follows from it.
func declared(r Rule) Rule {
	r.Version, r.Invalid = 0, false
	return r
}

func builtinPermission(id Permission) bool {
	return slices.ContainsFunc(Builtin(), func(p PermissionDef) bool { return p.ID == id })
}

func builtinRole(id RoleID) (Role, bool) {
	for _, r := range BuiltinRoles() {
		if r.ID == id {
			return r, true
		}
	}
	return Role{}, false
}
