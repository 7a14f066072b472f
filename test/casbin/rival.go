package main

import (
	"slices"
	"strings"

	"github.com/casbin/casbin/v2"
	"github.com/casbin/casbin/v2/model"
)

// The model that casbin publishes its figures with. quick asks what is cheap first, the roles of the person only
// where a rule speaks of what is asked: that spares it most of its work.
const (
	published = definitions + "m = g(r.sub, p.sub) && r.obj == p.obj && r.act == p.act\n"
	quick     = definitions + "m = r.obj == p.obj && r.act == p.act && g(r.sub, p.sub)\n"

	definitions = `[request_definition]
r = sub, obj, act

[policy_definition]
p = sub, obj, act

[role_definition]
g = _, _

[policy_effect]
e = some(where (p.eft == allow))

[matchers]
`
)

// rival is casbin, with what its users write themselves where it has nothing built in.
type rival struct {
	*casbin.CachedEnforcer
}

// newRival loads policies (role, object, action) and links (person or role, role).
func newRival(text string, policies, links [][]string) rival {
	r := rival{must(casbin.NewCachedEnforcer(must(model.NewModelFromString(text)), false))}
	must(r.AddPolicies(policies))
	r.link(links)
	return r
}

func (r rival) link(links [][]string) {
	if len(links) > 0 {
		must(r.AddGroupingPolicies(links))
	}
}

func (r rival) may(person, object, action string) bool {
	return must(r.Enforcer.Enforce(person, object, action))
}

// again is may by the cache of answers.
func (r rival) again(person, object, action string) bool {
	return must(r.Enforce(person, object, action))
}

// pair is a rule as users of casbin write one: two roles that nobody may have both.
type pair struct{ rule, a, b string }

// roles lists all roles of a person, or of a role with itself.
func (r rival) roles(name string) map[string]bool {
	out := map[string]bool{name: true}
	for _, role := range must(r.GetImplicitRolesForUser(name)) {
		out[role] = true
	}
	return out
}

// people lists who has a role.
func (r rival) people(role string) map[string]bool {
	out := map[string]bool{}
	for _, who := range must(r.GetImplicitUsersForRole(role)) {
		if isPerson(who) {
			out[who] = true
		}
	}
	return out
}

func isPerson(name string) bool { return !strings.Contains(name, "/") }

// broken lists the pairs that are complete in have and not in had.
func broken(pairs []pair, have, had map[string]bool) []string {
	var out []string
	for _, p := range pairs {
		if have[p.a] && have[p.b] && !(had[p.a] && had[p.b]) {
			out = append(out, p.rule)
		}
	}
	return out
}

// check lists the pairs that a person would complete with one more role.
func (r rival) check(pairs []pair, person, role string) []string {
	had := r.roles(person)
	have := r.roles(role)
	for name := range had {
		have[name] = true
	}
	return broken(pairs, have, had)
}

// permissions lists what a person, or a role, may do.
func (r rival) permissions(name string) map[string]bool {
	out := map[string]bool{}
	for _, p := range must(r.GetImplicitPermissionsForUser(name)) {
		out[p[1]] = true
	}
	return out
}

// rule is two duties, each held with any of its permissions.
type rule struct {
	name  string
	sides [2][]string
}

func (r rule) held(have map[string]bool) bool {
	for _, side := range r.sides {
		if !slices.ContainsFunc(side, func(p string) bool { return have[p] }) {
			return false
		}
	}
	return true
}

// brokenBy lists the rules that have breaks and had does not.
func brokenBy(rules []rule, have, had map[string]bool) []string {
	var out []string
	for _, r := range rules {
		if r.held(have) && !r.held(had) {
			out = append(out, r.name)
		}
	}
	return out
}

func (r rival) checkRules(rules []rule, person, role string) []string {
	had := r.permissions(person)
	have := r.permissions(role)
	for name := range had {
		have[name] = true
	}
	return brokenBy(rules, have, had)
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
