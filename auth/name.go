package auth

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"github.com/countersign-id/countersign/internal/fault"
)

// Bounds of names and texts, in characters where not said otherwise.
const (
	maxUsername = 128
	maxName     = 254 // of any name one can sign in with: the longest e-mail address (RFC 5321 §4.5.3.1.3)
	maxText     = 200
)

// Faults of names.
var (
	ErrName      = fault.New(fault.Invalid, "name-invalid", "A name has 1 to 254 characters, without spaces or control characters.").At("username")
	ErrNameTaken = fault.New(fault.Conflict, "name-taken", "This username or e-mail address is in use.")
)

// CanonicalName returns the form under which a username or e-mail address is unique and is found: without space around it,
// NFKC and case folded to the end, joiners left out. Any script will do. It is empty for what cannot be anybody's name: nothing,
// too much, or something with spaces, control, formatting, private or unassigned characters in it.
func CanonicalName(name string) string {
	name = strings.TrimSpace(name)
	if len(name) > 4*maxName || !utf8.ValidString(name) || strings.ContainsFunc(name, unfit) {
		return ""
	}
	name = strings.Map(dropJoiner, name)
	// Folding can undo normal form and normalising can yield capitals; both together come to rest within three rounds
	// (Unicode §3.13, NFKC_Casefold). Lowering takes along Cherokee, which package cases does not fold.
	for range 4 {
		next := norm.NFKC.String(strings.ToLower(cases.Fold().String(name)))
		if next == name {
			break
		}
		name = next
	}
	if utf8.RuneCountInString(name) > maxName || strings.ContainsFunc(name, unfit) {
		return ""
	}
	return name
}

const (
	nonJoiner = '\u200c'
	joiner    = '\u200d'
)

// unfit reports whether r may not stand in a name. Formatting characters could make one name look like another; the two
// joiners are spelling in some scripts, so they may be typed and are dropped.
func unfit(r rune) bool {
	return r != joiner && r != nonJoiner && !(unicode.IsGraphic(r) && !unicode.IsSpace(r))
}

func dropJoiner(r rune) rune {
	if r == joiner || r == nonJoiner {
		return -1
	}
	return r
}

// plainText reports whether s can be shown as one line: valid, of at most max characters, without control or formatting
// characters other than joiners.
func plainText(s string, max int) bool {
	return utf8.ValidString(s) && utf8.RuneCountInString(s) <= max && !strings.ContainsFunc(s, func(r rune) bool {
		return r != joiner && r != nonJoiner && !unicode.IsGraphic(r)
	})
}
