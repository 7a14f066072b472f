package main

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"

	"github.com/countersign-id/countersign/rbac"
)

// size is how large a world is.
type size struct {
	people, technical, business, permissions, rules int
	roles                                           int // of casbin's own large shape
	levels                                          int // of the hierarchy
}

// full is the size that the aims speak of: 4,456 roles, of which 2,456 have permissions of their own.
var full = size{people: 100_000, technical: 2456, business: 2000, permissions: 13_790, rules: 500, roles: 10_000, levels: 10}

// world is a policy of business roles that inherit from technical ones, and people who have some of both.
type world struct {
	size
	source  string
	perms   []string
	juniors map[string][]string // role → what it inherits from
	own     map[string][]string // role → permissions
	roles   []string            // sorted
	tech    []string
	bus     []string
	people  []string
	has     [][]string // person → roles
	links   int        // how many of them
	rules   []rule     // over permissions
	pairs   []pair     // of roles
}

// made is a world where nothing is real but its size.
func made(z size) *world {
	rnd := rand.New(rand.NewPCG(1, 2))
	w := &world{size: z, source: "made", juniors: map[string][]string{}, own: map[string][]string{}}
	for i := range z.permissions {
		w.perms = append(w.perms, fmt.Sprintf("made/service%d.thing%d:act%d", i%200, i%1500, i))
	}
	for i := range z.technical {
		role := fmt.Sprint("t/", i)
		for range 1 + int(rnd.ExpFloat64()*60) {
			w.own[role] = append(w.own[role], w.perms[rnd.IntN(len(w.perms))])
		}
		slices.Sort(w.own[role])
		w.own[role] = slices.Compact(w.own[role])
		w.tech = append(w.tech, role)
	}
	w.fill(rnd)
	return w
}

// real is the world of a published catalogue: its roles of at most 3000 permissions, and people made up.
func real(z size) (*world, error) {
	var data struct {
		Permissions []string
		Roles       []struct {
			Name        string
			Permissions []int
		}
	}
	if err := catalogue(&data); err != nil {
		return nil, err
	}
	w := &world{size: z, source: "published", juniors: map[string][]string{}, own: map[string][]string{}}
	for _, p := range data.Permissions {
		w.perms = append(w.perms, "gcp/"+p+":use")
	}
	for _, r := range data.Roles {
		if len(r.Permissions) > 3000 || len(w.tech) == z.technical {
			continue
		}
		role := "t/" + r.Name
		for _, p := range r.Permissions {
			w.own[role] = append(w.own[role], w.perms[p])
		}
		w.tech = append(w.tech, role)
	}
	w.fill(rand.New(rand.NewPCG(1, 2)))
	return w, nil
}

// catalogue reads the published set from beside the checkout, or from under COUNTERSIGN_DATA.
func catalogue(v any) error {
	dir := os.Getenv("COUNTERSIGN_DATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "data")
	}
	f, err := os.Open(filepath.Join(dir, "rbac", "gcp", "roles.json.gz"))
	if err != nil {
		return fmt.Errorf("read the published catalogue: %w", err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return fmt.Errorf("read the published catalogue: %w", err)
	}
	if err := json.NewDecoder(z).Decode(v); err != nil {
		return fmt.Errorf("read the published catalogue: %w", err)
	}
	return nil
}

// fill adds business roles, people and rules.
func (w *world) fill(rnd *rand.Rand) {
	for i := range w.business {
		role := fmt.Sprint("b/", i)
		for range 1 + rnd.IntN(4) {
			if t := pick(rnd, w.tech); !slices.Contains(w.juniors[role], t) {
				w.juniors[role] = append(w.juniors[role], t)
			}
		}
		w.bus = append(w.bus, role)
	}
	w.roles = slices.Sorted(slices.Values(append(slices.Clone(w.tech), w.bus...)))
	for i := range w.size.people {
		var has []string
		for range 2 + rnd.IntN(4) {
			if r := pick(rnd, w.roles); !slices.Contains(has, r) {
				has = append(has, r)
			}
		}
		w.people, w.has = append(w.people, fmt.Sprint("p", i)), append(w.has, has)
		w.links += len(has)
	}
	for i := range w.size.rules {
		r := rule{name: fmt.Sprintf("R%03d", i)}
		for side := range r.sides {
			for range 1 + rnd.IntN(6) {
				r.sides[side] = append(r.sides[side], pick(rnd, w.perms))
			}
		}
		w.rules = append(w.rules, r)
		p := pair{r.name, pick(rnd, w.tech), pick(rnd, w.tech)}
		for p.b == p.a {
			p.b = pick(rnd, w.tech)
		}
		w.pairs = append(w.pairs, p)
	}
}

func pick[T any](rnd *rand.Rand, of []T) T { return of[rnd.IntN(len(of))] }

// state is the policy as we hold it; the rules are over permissions or pairs of roles.
func (w *world) state(pairs bool) *rbac.State {
	s := rbac.NewState()
	for _, p := range w.perms {
		s.Load(rbac.PermissionDef{ID: rbac.Permission(p)})
	}
	for _, id := range w.roles {
		r := rbac.Role{ID: rbac.RoleID(id), Name: id}
		for _, p := range w.own[id] {
			r.Permissions = append(r.Permissions, rbac.Permission(p))
		}
		for _, j := range w.juniors[id] {
			r.Juniors = append(r.Juniors, rbac.Junior{Role: rbac.RoleID(j)})
		}
		s.Load(r)
	}
	for i, r := range w.rules {
		sides := [2]rbac.Expr{}
		for k, permissions := range r.sides {
			var atoms []rbac.Atom
			for _, p := range slices.Compact(slices.Sorted(slices.Values(permissions))) {
				atoms = append(atoms, rbac.Permission(p).Atom())
			}
			sides[k] = rbac.AnyOf(atoms...)
		}
		if p := w.pairs[i]; pairs {
			sides = [2]rbac.Expr{rbac.AnyOf(rbac.RoleID(p.a).Atom()), rbac.AnyOf(rbac.RoleID(p.b).Atom())}
		}
		left, right := rbac.DutyID(r.name+" left"), rbac.DutyID(r.name+" right")
		s.Load(rbac.Duty{ID: left, Name: string(left), Expr: sides[0]}, rbac.Duty{ID: right, Name: string(right), Expr: sides[1]},
			rbac.Rule{ID: rbac.RuleID(r.name), Kind: rbac.Static, Level: rbac.High, Mode: rbac.Block, K: 2, Version: 1, Duties: []rbac.DutyID{left, right}})
	}
	return s
}

// holder is what person i has.
func (w *world) holder(i int) rbac.Holder {
	h := rbac.Holder{Subject: rbac.SubjectID(w.people[i])}
	for k, r := range w.has[i] {
		h.Grants = append(h.Grants, rbac.Grant{Account: rbac.AccountID(h.Subject), Role: rbac.RoleID(r), Assignment: rbac.AssignmentID(fmt.Sprint(i, "/", k))})
	}
	return h
}

// policies are the roles as casbin holds them: what each may do, and what it inherits from.
func (w *world) policies() (policies, links [][]string) {
	for _, role := range w.roles {
		for _, p := range w.own[role] {
			policies = append(policies, []string{role, p, "use"})
		}
		for _, j := range w.juniors[role] {
			links = append(links, []string{role, j})
		}
	}
	return policies, links
}

// assignments are the people as casbin holds them.
func (w *world) assignments() [][]string {
	links := make([][]string, 0, w.links)
	for i, roles := range w.has {
		for _, r := range roles {
			links = append(links, []string{w.people[i], r})
		}
	}
	return links
}

// all returns the shapes of size z, and what is not there to be measured.
func all(z size) (shapes []*shape, missing []string) {
	for _, open := range []func(size) (*world, error){real, func(z size) (*world, error) { return made(z), nil }} {
		w, err := open(z)
		if errors.Is(err, fs.ErrNotExist) {
			missing = append(missing, "the published set: rbac/gcp/roles.json.gz is not beside the checkout, nor under COUNTERSIGN_DATA")
			continue
		}
		if err != nil {
			missing = append(missing, "the published set: "+err.Error())
			continue
		}
		shapes = append(shapes, w.overPermissions(), w.ofRoles())
	}
	shapes = append(shapes, casbinOwn("small", z.roles/100), casbinOwn("medium", z.roles/10), casbinOwn("large", z.roles),
		tree(z.levels, z.people/10), choosing())
	return shapes, missing
}
