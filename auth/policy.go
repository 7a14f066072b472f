package auth

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/countersign-id/countersign/internal/fault"
	"github.com/countersign-id/countersign/rbac"
)

// Rule says what a sign-in needs. A condition that is empty is always met; the others must all be.
type Rule struct {
	Groups, Roles []string // the person is in one of them, or holds one
	Clients       []ClientID
	Networks      []netip.Prefix // the browser is in one of them
	Outside       []netip.Prefix // the browser is in none of them
	Asked         []string       // the application asked for one of these levels
	Administers   bool           // the person holds administrative power

	Level string
	Grace time.Duration // how long somebody who has no such factor may put off enrolling one
	Trust time.Duration // how long a browser may be trusted to go without the second factor; 0: never
}

// Policy says who has to prove what. The strictest rule wins. The zero Policy asks two factors of administrators and nothing of others.
type Policy struct {
	Administrators string        // AAL2 (if empty), PHR or AAL3
	Trust          time.Duration // how long a browser may be trusted where no rule forbids it; 0: never
	Rules          []Rule
}

// Situation is what rules look at.
type Situation struct {
	Groups, Roles []string
	Administers   bool
	Client        ClientID
	Address       string
	Asked         []string
}

// Need is what a policy asks of a sign-in: every level, within the other bounds.
type Need struct {
	Levels []string
	Trust  time.Duration
	Grace  time.Duration
	Own    bool // the account has a second factor of its own, and so it is asked for
}

// all is p's rules with the one that is built in.
func (p Policy) all() []Rule {
	return append([]Rule{{Administers: true, Level: cmp.Or(p.Administrators, AAL2)}}, p.Rules...)
}

// Need is what p asks in a situation: all levels of the rules that fit, the shortest grace and the shortest trust among them.
func (p Policy) Need(s Situation) Need {
	n := Need{Trust: p.Trust}
	first := true
	for _, r := range p.all() {
		if !r.fits(s) || r.Level == "" || r.Level == AAL1 {
			continue
		}
		if !slices.Contains(n.Levels, r.Level) {
			n.Levels = append(n.Levels, r.Level)
		}
		n.Trust = min(n.Trust, r.Trust)
		if first || r.Grace < n.Grace {
			n.Grace = r.Grace
		}
		first = false
	}
	slices.SortFunc(n.Levels, func(a, b string) int { return rank(a) - rank(b) })
	return n
}

func (r Rule) fits(s Situation) bool {
	one := func(of, have []string) bool {
		return len(of) == 0 || slices.ContainsFunc(of, func(v string) bool { return slices.Contains(have, v) })
	}
	within := func(nets []netip.Prefix) bool {
		at, err := netip.ParseAddr(s.Address)
		return err == nil && slices.ContainsFunc(nets, func(n netip.Prefix) bool { return n.Contains(at.Unmap()) })
	}
	return one(r.Groups, s.Groups) && one(r.Roles, s.Roles) && one(r.Asked, s.Asked) &&
		(len(r.Clients) == 0 || slices.Contains(r.Clients, s.Client)) &&
		(len(r.Networks) == 0 || within(r.Networks)) && !(len(r.Outside) > 0 && within(r.Outside)) &&
		(!r.Administers || s.Administers)
}

// lacking returns the levels of n that an authentication does not meet.
func (n Need) lacking(acr string, amr []string) (levels []string) {
	for _, l := range n.Levels {
		if !Meets(l, acr, amr) {
			levels = append(levels, l)
		}
	}
	if n.Own && len(levels) == 0 && !Meets(AAL2, acr, amr) {
		return []string{AAL2}
	}
	return levels
}

// Check refuses a policy that could not be meant.
func (p Policy) Check() error {
	if a := p.Administrators; a != "" && a != AAL2 && a != PHR && a != AAL3 {
		return errRule("administrators need aal2, phr or aal3, not %q", a)
	}
	if p.Trust < 0 {
		return errRule("a browser cannot be trusted for %s", p.Trust)
	}
	return nil
}

func errRule(format string, args ...any) error {
	return fault.New(fault.Invalid, "bad-rule", fmt.Sprintf(format, args...))
}

// ParseRule reads a rule as the settings write it: "role=approver|controller network=10.0.0.0/8 level=phr grace=168h trust=720h".
// Conditions are group, role, client, network, outside and acr, each with alternatives between bars; level is what they lead to.
func ParseRule(text string) (r Rule, err error) {
	seen := map[string]bool{}
	for word := range strings.FieldsSeq(text) {
		key, value, _ := strings.Cut(word, "=")
		if seen[key] || value == "" {
			return Rule{}, errRule("%q in %q is given twice or has no value", key, text)
		}
		seen[key] = true
		of := strings.Split(value, "|")
		switch key {
		case "group":
			r.Groups = of
		case "role":
			r.Roles = of
		case "client":
			for _, c := range of {
				r.Clients = append(r.Clients, ClientID(c))
			}
		case "network":
			r.Networks, err = prefixes(of)
		case "outside":
			r.Outside, err = prefixes(of)
		case "acr":
			r.Asked = of
		case "level":
			r.Level = value
		case "grace":
			r.Grace, err = span(value)
		case "trust":
			r.Trust, err = span(value)
		default:
			return Rule{}, errRule("%q in %q is no condition", key, text)
		}
		if err != nil {
			return Rule{}, errRule("%s in %q cannot be read", word, text)
		}
	}
	known := func(l string) bool { return slices.Contains(Levels(), l) }
	if !known(r.Level) || slices.ContainsFunc(r.Asked, func(l string) bool { return !known(l) }) {
		return Rule{}, errRule("%q needs a level: aal1, aal2, phr or aal3", text)
	}
	return r, nil
}

func prefixes(of []string) (all []netip.Prefix, err error) {
	for _, text := range of {
		p, err := netip.ParsePrefix(text)
		if a, err2 := netip.ParseAddr(text); err != nil && err2 == nil {
			p, err = a.Prefix(a.BitLen())
		}
		if err != nil {
			return nil, err
		}
		all = append(all, p.Masked())
	}
	return all, nil
}

// span reads a duration, of days too: "7d".
func span(text string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 12)
		return time.Duration(n) * 24 * time.Hour, err
	}
	d, err := time.ParseDuration(text)
	if err == nil && d < 0 {
		err = fmt.Errorf("negative")
	}
	return d, err
}

// String is the rule as ParseRule reads it.
func (r Rule) String() string {
	var words []string
	add := func(key string, of []string) {
		if len(of) > 0 {
			words = append(words, key+"="+strings.Join(of, "|"))
		}
	}
	if r.Administers {
		words = append(words, "administrators")
	}
	add("group", r.Groups)
	add("role", r.Roles)
	add("client", texts(r.Clients))
	add("network", texts(r.Networks))
	add("outside", texts(r.Outside))
	add("acr", r.Asked)
	words = append(words, "level="+r.Level)
	if r.Grace > 0 {
		words = append(words, "grace="+r.Grace.String())
	}
	if r.Trust > 0 {
		words = append(words, "trust="+r.Trust.String())
	}
	return strings.Join(words, " ")
}

func texts[T any](of []T) (all []string) {
	for _, v := range of {
		all = append(all, fmt.Sprint(v))
	}
	return all
}

// Fitting are the rules of p that fit in s, the built-in one too.
func (p Policy) Fitting(s Situation) (rules []Rule) {
	for _, r := range p.all() {
		if r.fits(s) {
			rules = append(rules, r)
		}
	}
	return rules
}

// SituationOf says what an account's roles, groups and power are, as policies look at them, before it signs in anywhere. It is the
// one place that asks. Power that somebody is only eligible for counts too: whoever may take it up has to be protected before.
func SituationOf(ctx context.Context, tx Tx, a Account) (s Situation, err error) {
	held, err := tx.HeldBy(ctx, rbac.AccountID(a.ID))
	if err != nil || len(held) == 0 {
		return s, err
	}
	st, err := tx.Structure(ctx)
	if err != nil {
		return s, err
	}
	now := rbac.At(tx.Now())
	roles := st.Activatable(rbac.Holder{Grants: held}, rbac.AccountID(a.ID), now, true)
	for _, r := range roles {
		s.Roles = append(s.Roles, string(r))
	}
	for _, g := range st.GroupsOf(held, now) {
		s.Groups = append(s.Groups, string(g))
	}
	s.Administers = st.Authority(roles).Over(rbac.Own)
	return s, nil
}
