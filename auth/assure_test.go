package auth_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/countersign-id/countersign/auth"
)

// NIST SP 800-63B-4 §2, RFC 8176: what levels meet what.
func TestLevelsMeetWhatTheyContain(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		acr, amr string
		meets    string
	}{
		{"", "", ""},
		{"aal1", "pwd", "aal1"},
		{"aal1", "otp", "aal1"},
		{"aal2", "pwd otp mfa", "aal1 aal2"},
		{"phr", "swk user", "aal1 phr"},          // nobody was verified: one factor
		{"phr", "swk user mfa", "aal1 aal2 phr"}, // synced: never aal3
		{"phr", "pwd hwk user mfa", "aal1 aal2 phr"},
		{"aal3", "hwk user mfa", "aal1 aal2 phr aal3"},
		{"aal3", "swk user mfa", "aal1 aal2 phr"}, // no session says so; if one did it would not count
		{"aal3", "pwd", "aal1"},
		{"aal2", "pwd", "aal1"},
	} {
		var got []string
		for _, l := range auth.Levels() {
			if auth.Meets(l, tt.acr, strings.Fields(tt.amr)) {
				got = append(got, l)
			}
		}
		if strings.Join(got, " ") != tt.meets {
			t.Errorf("acr %s, amr %s meets %v, want %s", tt.acr, tt.amr, got, tt.meets)
		}
	}
	if auth.Meets("aal4", "aal3", []string{"hwk", "mfa"}) || auth.Meets("", "aal3", []string{"hwk", "mfa"}) {
		t.Error("a level that does not exist is met")
	}
}

func TestTheACRTellsTheFirstLevelAskedForThatWasMet(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ asked, acr, amr, want string }{
		{"", "aal3", "hwk user mfa", "aal3"}, {"aal1 aal2", "aal3", "hwk user mfa", "aal1"}, {"aal2 aal1", "aal2", "pwd otp mfa", "aal2"},
		{"phr aal2", "aal2", "pwd otp mfa", "aal2"}, {"phr", "aal2", "pwd otp mfa", "aal2"}, {"aal3 phr", "phr", "swk user mfa", "phr"},
	} {
		if got := auth.ACRFor(strings.Fields(tt.asked), tt.acr, strings.Fields(tt.amr)); got != tt.want {
			t.Errorf("asked %q with %s: got %s, want %s", tt.asked, tt.acr, got, tt.want)
		}
	}
}

func rule(t *testing.T, text string) auth.Rule {
	t.Helper()
	r, err := auth.ParseRule(text)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestTheStrictestRuleWins(t *testing.T) {
	t.Parallel()
	p := auth.Policy{Trust: 30 * 24 * time.Hour, Rules: []auth.Rule{
		rule(t, "role=approver level=aal2 grace=7d trust=7d"), rule(t, "role=controller|treasurer level=phr grace=3d"), rule(t, "group=finance level=aal2 grace=14d trust=30d"),
		rule(t, "client=ledger outside=10.0.0.0/8|2001:db8::/32 level=aal2 trust=1d"), rule(t, "network=192.0.2.0/24 level=aal3"), rule(t, "acr=phr level=aal3 grace=1h"),
	}}
	for _, tt := range []struct {
		name         string
		s            auth.Situation
		levels       string
		grace, trust string
	}{
		{"nobody in particular", auth.Situation{}, "", "0s", "720h0m0s"},
		{"one rule", auth.Situation{Roles: []string{"approver"}}, "aal2", "168h0m0s", "168h0m0s"},
		{"two rules: both levels, the shorter times", auth.Situation{Roles: []string{"approver", "treasurer"}}, "aal2 phr", "72h0m0s", "0s"},
		{"the same level by two rules", auth.Situation{Roles: []string{"approver"}, Groups: []string{"finance"}}, "aal2", "168h0m0s", "168h0m0s"},
		{"an administrator, from the first day, in no trusted browser", auth.Situation{Administers: true}, "aal2", "0s", "0s"},
		{"an administrator whose role gives grace", auth.Situation{Administers: true, Roles: []string{"approver"}}, "aal2", "0s", "0s"},
		{"an application from outside", auth.Situation{Client: "ledger", Address: "198.51.100.7"}, "aal2", "0s", "24h0m0s"},
		{"an application from outside, IPv6", auth.Situation{Client: "ledger", Address: "2001:db9::1"}, "aal2", "0s", "24h0m0s"},
		{"an application from inside", auth.Situation{Client: "ledger", Address: "10.1.2.3"}, "", "0s", "720h0m0s"},
		{"an application from inside, IPv4 in IPv6", auth.Situation{Client: "ledger", Address: "::ffff:10.1.2.3"}, "", "0s", "720h0m0s"},
		{"an address that cannot be read is outside", auth.Situation{Client: "ledger", Address: "10.0.0.1, 10.0.0.2"}, "aal2", "0s", "24h0m0s"},
		{"another application from outside", auth.Situation{Client: "aurora", Address: "198.51.100.7"}, "", "0s", "720h0m0s"},
		{"a network", auth.Situation{Address: "192.0.2.9"}, "aal3", "0s", "0s"},
		{"an address that cannot be read is in no network", auth.Situation{Address: "192.0.2.9 "}, "", "0s", "720h0m0s"},
		{"a level asked for", auth.Situation{Asked: []string{"aal2", "phr"}}, "aal3", "1h0m0s", "0s"},
	} {
		n := p.Need(tt.s)
		if strings.Join(n.Levels, " ") != tt.levels || n.Grace.String() != tt.grace || n.Trust.String() != tt.trust {
			t.Errorf("%s: got %v, grace %s, trust %s, want %s, %s, %s", tt.name, n.Levels, n.Grace, n.Trust, tt.levels, tt.grace, tt.trust)
		}
	}
	if n := (auth.Policy{Administrators: auth.PHR}).Need(auth.Situation{Administers: true}); !slices.Equal(n.Levels, []string{"phr"}) {
		t.Errorf("administrators need %v, want phr", n.Levels)
	}
}

// Adding a rule never asks less.
func TestAnotherRuleNeverAsksLess(t *testing.T) {
	t.Parallel()
	names := []string{"a", "b", "c"}
	rapid.Check(t, func(t *rapid.T) {
		pick := func(label string) []string {
			return rapid.SliceOfDistinct(rapid.SampledFrom(names), rapid.ID).Draw(t, label)
		}
		draw := func(i int) auth.Rule {
			r := auth.Rule{
				Roles: pick(fmt.Sprint("roles", i)), Groups: pick(fmt.Sprint("groups", i)), Level: rapid.SampledFrom(auth.Levels()).Draw(t, "level"),
				Grace: time.Duration(rapid.IntRange(0, 5).Draw(t, "grace")) * time.Hour, Trust: time.Duration(rapid.IntRange(0, 5).Draw(t, "trust")) * time.Hour,
			}
			if rapid.Bool().Draw(t, "net") {
				r.Networks = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
			}
			return r
		}
		p := auth.Policy{Trust: 3 * time.Hour}
		for i := range rapid.IntRange(0, 4).Draw(t, "rules") {
			p.Rules = append(p.Rules, draw(i))
		}
		s := auth.Situation{Roles: pick("my roles"), Groups: pick("my groups"), Administers: rapid.Bool().Draw(t, "administers"), Address: rapid.SampledFrom([]string{"192.0.2.1", "203.0.113.1"}).Draw(t, "at")}
		before := p.Need(s)
		p.Rules = append(p.Rules, draw(99))
		after := p.Need(s)
		for _, l := range before.Levels {
			if !slices.Contains(after.Levels, l) {
				t.Fatalf("%s is not asked any more: %v, then %v", l, before, after)
			}
		}
		if after.Trust > before.Trust || len(before.Levels) > 0 && after.Grace > before.Grace {
			t.Fatalf("a longer time: %v, then %v", before, after)
		}
	})
}

func TestRulesAreReadAndWrittenAlike(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"level=aal2", "role=a|b level=phr grace=168h0m0s trust=24h0m0s", "group=g client=c network=10.0.0.0/8 outside=10.1.0.0/16 acr=aal2|phr level=aal3"} {
		if got := rule(t, text).String(); got != text {
			t.Errorf("%q is written %q", text, got)
		}
	}
	for _, text := range []string{
		"", "role=a", "level=aal4", "level=aal2 level=phr", "levle=aal2", "role= level=aal2", "role level=aal2", "network=x level=aal2", "grace=-1h level=aal2",
		"grace=x level=aal2", "acr=gold level=aal2", "level=aal2 trust=9999999d", "level=aal2, role=a",
	} {
		if r, err := auth.ParseRule(text); err == nil {
			t.Errorf("%q is read as %v", text, r)
		}
	}
	for _, a := range []string{"aal1", "none", "AAL2"} {
		if err := (auth.Policy{Administrators: a}).Check(); err == nil {
			t.Errorf("administrators may do with %s", a)
		}
	}
}
