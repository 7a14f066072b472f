package rbac

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// The identifiers. They are opaque text, given by whoever stores the rows.
type (
	SubjectID    string
	AccountID    string
	ServerID     string // the namespace of a resource server's permissions: "countersign", "ledger"
	ScopeID      string // "<server>/<name>"
	RoleID       string
	GroupID      string
	AssignmentID string
	DelegationID string
	DutyID       string
	RuleID       string
	RulesetID    string
	ControlID    string
	ExceptionID  string
)

// Permission is the right to one action on one type of object: "<server>/<type>:<action>".
type Permission string

// Server returns the resource server p belongs to.
func (p Permission) Server() ServerID {
	s, _, _ := strings.Cut(string(p), "/")
	return ServerID(s)
}

// Server returns the resource server s belongs to.
func (s ScopeID) Server() ServerID {
	server, _, _ := strings.Cut(string(s), "/")
	return ServerID(server)
}

// Name returns what applications ask for: s without its resource server.
func (s ScopeID) Name() string {
	_, name, _ := strings.Cut(string(s), "/")
	return name
}

// Parts returns the type of object and the action of p.
func (p Permission) Parts() (object, action string) {
	_, rest, _ := strings.Cut(string(p), "/")
	object, action, _ = strings.Cut(rest, ":")
	return object, action
}

// Valid reports whether p has its three parts, none empty, in letters of any script, digits and ". _ - *".
// The type may have further slashes.
func (p Permission) Valid() bool {
	server, rest, ok := strings.Cut(string(p), "/")
	if !ok || len(p) > maxName {
		return false
	}
	kind, action, ok := strings.Cut(rest, ":")
	return ok && word(server, "") && word(kind, "/") && word(action, "")
}

// maxName is the longest name or identifier, in bytes.
const maxName = 256

// word reports whether s is letters, digits, ". _ - *" and the runes of also.
func word(s, also string) bool {
	if s == "" || !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if !unicode.IsLetter(r) && !unicode.IsMark(r) && !unicode.IsDigit(r) && !strings.ContainsRune("._-*"+also, r) {
			return false
		}
	}
	return true
}

// named reports whether s can be shown as a name: text of any script, without control characters,
// direction overrides or blanks at its ends.
func named(s string) bool {
	if s == "" || len(s) > maxName || !utf8.ValidString(s) || strings.TrimSpace(s) != s {
		return false
	}
	for _, r := range s {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == utf8.RuneError {
			return false
		}
	}
	return true
}

// Atom is the smallest thing a duty can speak of: "perm:<permission>", "role:<id>", "group:<id>",
// "scope:<id>".
type Atom string

// AtomKind is what an atom speaks of.
type AtomKind string

// The kinds of atom.
const (
	PermAtom  AtomKind = "perm"
	RoleAtom  AtomKind = "role"
	GroupAtom AtomKind = "group"
	ScopeAtom AtomKind = "scope"
)

// Split returns the kind and the name of a.
func (a Atom) Split() (AtomKind, string) {
	k, name, _ := strings.Cut(string(a), ":")
	return AtomKind(k), name
}

// Atom returns the atom of p.
func (p Permission) Atom() Atom { return Atom("perm:" + string(p)) }

// Atom returns the atom of r.
func (r RoleID) Atom() Atom { return Atom("role:" + string(r)) }

// Atom returns the atom of g.
func (g GroupID) Atom() Atom { return Atom("group:" + string(g)) }

// Atom returns the atom of s.
func (s ScopeID) Atom() Atom { return Atom("scope:" + string(s)) }
