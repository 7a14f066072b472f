package password

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"github.com/countersign-id/countersign/internal/fault"
)

// Rules of a new password (NIST SP 800-63B-4 §3.1.1.2):
//   - so many characters (code points), because it is the only factor, and no more than MaxBytes; any Unicode; no rule about
//     which kinds of character it is made of;
//   - none that is expected: one of the most used, with or without digits and signs around it; one word or two of them; one
//     piece again and again; the alphabet, the digits or the keyboard in a row; little more than the person's own names or ours;
//   - a refusal says which of these it is.
type Rules struct {
	MinLength    int             // characters; default 15
	Organisation string          // its name is expected too
	Blocked      map[string]bool // the operator's own list, from Blocklist
}

// Faults of new passwords.
var (
	ErrTooShort    = fault.New(fault.Invalid, "password-too-short", "").At("password")
	ErrCommon      = fault.New(fault.Invalid, "password-common", "This password is on every list of guesses. Take several words that do not belong together.").At("password")
	ErrPredictable = fault.New(fault.Invalid, "password-predictable", "This password repeats itself or follows the keyboard. Take several words that do not belong together.").At("password")
	ErrPersonal    = fault.New(fault.Invalid, "password-personal", "This password is little more than a name of yours or ours. Take several words that do not belong together.").At("password")
	ErrUnreadable  = fault.New(fault.Invalid, "password-unreadable", "This password is not valid text.").At("password")
)

// ownName is what people make passwords for us of.
const ownName = "countersign"

// Weak says why a password may not be taken; nil if it may. words are names of its person: username, e-mail address, name.
func (r Rules) Weak(password string, words ...string) *fault.Error {
	least := r.MinLength
	if least <= 0 {
		least = 15
	}
	switch {
	case len(password) > MaxBytes:
		return ErrTooLong
	case !utf8.ValidString(password):
		return ErrUnreadable
	case utf8.RuneCountInString(string(normal(password))) < least:
		return ErrTooShort.Saying(fmt.Sprintf("A password has at least %d characters.", least))
	}
	folded := fold(password)
	switch {
	case r.expected(folded):
		return ErrCommon
	case predictable(folded):
		return ErrPredictable
	case r.personal(folded, words):
		return ErrPersonal
	}
	return nil
}

// Blocklist reads an operator's list: one password a line, # begins a comment line.
func Blocklist(text string) map[string]bool {
	list := map[string]bool{}
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			list[fold(line)] = true
		}
	}
	return list
}

// fold makes guesses that differ in case, width or spelling of letters one.
func fold(s string) string { return norm.NFKC.String(cases.Fold().String(norm.NFKC.String(s))) }

//go:embed common.txt
var commonText string

// long are phrases every attacker tries, of fifteen letters and more, which lists of short passwords lack.
var long = []string{
	"correcthorsebatterystaple", "thequickbrownfoxjumpsoverthelazydog", "thequickbrownfox", "tobeornottobe", "tobeornottobethatisthequestion",
	"maytheforcebewithyou", "iloveyouforever", "iloveyousomuch", "loremipsumdolorsitamet", "inthebeginningwastheword", "onceuponatime",
	"opensesame", "letmeinletmein", "thisismypassword", "thisisapassword", "mypasswordispassword", "averylongpassword", "alongpassword",
	"ineedapassword", "idontknow", "abracadabra", "supercalifragilisticexpialidocious", "onceuponamidnightdreary", "wearethechampions",
	"happybirthdaytoyou", "twinkletwinklelittlestar", "maryhadalittlelamb", "jesuslovesme", "ourfatherwhoartinheaven", "ingodwetrust",
	"givemelibertyorgivemedeath", "ihaveadream", "donttreadonme", "neveragain", "winteriscoming",
}

// common holds the lines of the list, which is sorted: looking one up costs no map of thirty thousand.
var common = sync.OnceValue(func() []string { return strings.Split(strings.TrimSuffix(commonText, "\n"), "\n") })

// listed reports whether a folded word is on a list.
func (r Rules) listed(word string) bool {
	if _, ok := slices.BinarySearch(common(), word); ok {
		return true
	}
	return r.Blocked[word] || slices.Contains(long, word)
}

// expected reports whether a folded password is on a list, or made of one or two words of one with digits and signs around
// and between them. Substitutions that every guesser knows are undone.
func (r Rules) expected(folded string) bool {
	if r.listed(folded) {
		return true
	}
	core := strings.TrimFunc(folded, func(c rune) bool { return !unicode.IsLetter(c) })
	for _, letters := range []string{lettersOf(folded), lettersOf(plain(core))} {
		added := utf8.RuneCountInString(folded) - utf8.RuneCountInString(letters)
		if letters != "" && added < 15 && (r.listed(letters) || r.twoWords(letters)) {
			return true
		}
	}
	return false
}

func lettersOf(s string) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsLetter(c) {
			return c
		}
		return -1
	}, s)
}

// plain undoes the substitutions every guesser knows.
func plain(s string) string {
	return strings.NewReplacer("@", "a", "4", "a", "3", "e", "1", "i", "!", "i", "0", "o", "$", "s", "5", "s", "7", "t").Replace(s)
}

// twoWords reports whether s is two common words of at least three letters, one after the other.
func (r Rules) twoWords(s string) bool {
	for i := range s {
		if i >= 3 && len(s)-i >= 3 && r.listed(s[:i]) && r.listed(s[i:]) {
			return true
		}
	}
	return false
}

// predictable reports whether all of s but a few characters is one piece again and again, or rows of the alphabet, the digits
// or a keyboard.
func predictable(s string) bool {
	runes := []rune(s)
	distinct := map[rune]bool{}
	for _, c := range runes {
		distinct[c] = true
	}
	return len(distinct) < 4 || repeats(runes) || inRows(runes)
}

// repeats reports whether a piece of at most half of s, cut off at the end as it may be, makes all of it.
func repeats(s []rune) bool {
	for n := 1; n <= len(s)/2 && n <= 64; n++ {
		if slices.Equal(s[n:], s[:len(s)-n]) {
			return true
		}
	}
	return false
}

// rows are what fingers follow: keyboards of several countries.
var rows = []string{
	"`1234567890-=", "qwertyuiop[]\\", "asdfghjkl;'", "zxcvbnm,./", "qwertzuiopü+", "yxcvbnm,.-", "azertyuiop", "qsdfghjklm", "wxcvbn",
	"1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik,9ol.0p;/", "йцукенгшщзхъ", "фывапролджэ", "ячсмитьбю", "!@#$%^&*()_+",
}

// inRows reports whether runs of four and more along a row, in either direction, leave fewer than six characters of s.
func inRows(s []rune) bool {
	left := 0
	for i := 0; i < len(s); {
		n := run(s[i:])
		if n < 4 {
			left++
			n = 1
		}
		i += n
	}
	return left < 6
}

// run returns how many of s's first characters follow each other in the alphabet, on the keyboard, or are the same.
func run(s []rune) int {
	longest := 1
	for _, step := range []func(a, b rune) bool{
		func(a, b rune) bool { return b == a },
		func(a, b rune) bool { return b == a+1 },
		func(a, b rune) bool { return b == a-1 },
		func(a, b rune) bool { return onRow(a, b) },
		func(a, b rune) bool { return onRow(b, a) },
	} {
		n := 1
		for n < len(s) && step(s[n-1], s[n]) {
			n++
		}
		longest = max(longest, n)
	}
	return longest
}

func onRow(a, b rune) bool {
	pair := string([]rune{a, b})
	return slices.ContainsFunc(rows, func(row string) bool { return strings.Contains(row, pair) }) || a == '9' && b == '0'
}

// personal reports whether little is left of a password without the names in it: fewer than eight characters.
func (r Rules) personal(folded string, words []string) bool {
	var names []string
	for _, w := range append(slices.Clone(words), r.Organisation, ownName) {
		w = fold(w)
		local, _, _ := strings.Cut(w, "@")
		names = append(names, w, local)
		names = append(names, strings.FieldsFunc(local, func(c rune) bool { return !unicode.IsLetter(c) && !unicode.IsDigit(c) })...)
	}
	slices.SortFunc(names, func(a, b string) int { return len(b) - len(a) }) // a whole name before its parts
	left := folded
	for _, name := range names {
		if len(name) >= 3 {
			left = strings.ReplaceAll(left, name, "")
		}
	}
	return left != folded && utf8.RuneCountInString(left) < 8
}
