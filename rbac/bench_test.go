package rbac

import (
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"sync"
	"testing"
)

// The shape of rbac.md 8.1: 100,000 people, 4,456 roles (2,456 published ones of at most 3,000
// permissions and 2,000 that inherit from them), 13,790 permissions, 1,000 duties, 500 rules.
const (
	benchPeople   = 100_000
	benchBusiness = 2_000
	benchRules    = 500
)

var benchOnce = sync.OnceValue(func() *State { return benchState(nil) })

func benchPolicy(t testing.TB, rnd *rand.Rand) *State {
	s := NewState()
	var technical []RoleID
	var perms []Permission
	if t != nil {
		data := readGCP(t)
		for _, p := range data.Permissions {
			perms = append(perms, Permission("gcp/"+p+":use"))
		}
		for _, r := range data.Roles {
			if len(r.Permissions) > 3000 || len(technical) == 2456 {
				continue
			}
			row := Role{ID: RoleID("t/" + r.Name), Name: r.Name}
			for _, p := range r.Permissions {
				row.Permissions = append(row.Permissions, perms[p])
			}
			technical = append(technical, row.ID)
			s.Load(row)
		}
	} else { // where the published set is not at hand: one of its shape
		for i := range 13_790 {
			perms = append(perms, Permission(fmt.Sprintf("made/service%d.thing%d:act%d", i%200, i%1500, i)))
		}
		for i := range 2456 {
			row := Role{ID: RoleID(fmt.Sprint("t/", i)), Name: fmt.Sprint("technical ", i)}
			for range 1 + int(rnd.ExpFloat64()*60) {
				row.Permissions = append(row.Permissions, perms[rnd.IntN(len(perms))])
			}
			row.Permissions = sorted(row.Permissions)
			technical = append(technical, row.ID)
			s.Load(row)
		}
	}
	for _, p := range perms {
		s.Load(PermissionDef{ID: p})
	}
	for i := range benchBusiness {
		row := Role{ID: RoleID(fmt.Sprint("b/", i)), Name: fmt.Sprint("business ", i)}
		for range 1 + rnd.IntN(4) {
			row.Juniors = append(row.Juniors, Junior{Role: technical[rnd.IntN(len(technical))]})
		}
		s.Load(row)
	}
	for i := range 2 * benchRules {
		atoms := map[Atom]struct{}{}
		for range 1 + rnd.IntN(6) {
			atoms[perms[rnd.IntN(len(perms))].Atom()] = struct{}{}
		}
		id := DutyID(fmt.Sprint("D", i))
		s.Load(Duty{ID: id, Name: string(id), Expr: AnyOf(sortedKeys(atoms)...)})
	}
	for i := range benchRules {
		id := RuleID(fmt.Sprintf("R%03d", i))
		s.Load(Rule{ID: id, Kind: Static, Level: High, Mode: Block, K: 2, Version: 1,
			Duties: []DutyID{DutyID(fmt.Sprint("D", 2*i)), DutyID(fmt.Sprint("D", 2*i+1))}})
	}
	return s
}

func benchState(t testing.TB) *State {
	if _, err := os.Stat("../../shared/data/rbac/gcp/roles.json.gz"); err == nil && t == nil {
		t = &testing.B{}
	}
	return benchPolicy(t, rand.New(rand.NewPCG(1, 2)))
}

// benchPopulation puts people into the population alone: as plain rows they are not what is measured.
var benchPopulation = sync.OnceValue(func() *Population {
	s := benchOnce()
	snap, err := s.Snapshot()
	if err != nil {
		panic(err)
	}
	rnd := rand.New(rand.NewPCG(3, 4))
	pop := NewPopulation(snap, 1)
	for i := range benchPeople {
		pop.Set(benchHolder(snap, rnd, i))
	}
	return pop
})

func benchHolder(snap *Snapshot, rnd *rand.Rand, i int) Holder {
	h := Holder{Subject: SubjectID(fmt.Sprint("p", i))}
	for k := range 2 + rnd.IntN(4) {
		h.Grants = append(h.Grants, Grant{
			Account: AccountID(h.Subject), Role: snap.roles[rnd.IntN(len(snap.roles))], Assignment: AssignmentID(fmt.Sprint(i, "/", k)),
		})
	}
	return h
}

func BenchmarkDeltaCheck(b *testing.B) {
	pop := benchPopulation()
	rnd := rand.New(rand.NewPCG(5, 6))
	b.ReportAllocs()
	for b.Loop() {
		pop.Check(pop.ids[rnd.IntN(len(pop.ids))], Grant{Role: pop.snap.roles[rnd.IntN(len(pop.snap.roles))]})
	}
}

func BenchmarkDeltaCheckOfReadRows(b *testing.B) {
	snap, _ := benchOnce().Snapshot()
	rnd := rand.New(rand.NewPCG(5, 6))
	holders := make([][2]Holder, 256)
	for i := range holders {
		h := benchHolder(snap, rnd, i)
		after := h
		after.Grants = append(append([]Grant(nil), h.Grants...), Grant{Role: snap.roles[rnd.IntN(len(snap.roles))]})
		holders[i] = [2]Holder{h, after}
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		h := holders[i%len(holders)]
		snap.Worsens(h[0], h[1], 1)
		i++
	}
}

func BenchmarkFullScan(b *testing.B) {
	pop := benchPopulation()
	n := 0
	for b.Loop() {
		n = 0
		pop.Scan(func(SubjectID, RuleID) { n++ })
	}
	b.ReportMetric(float64(n), "violations")
}

func BenchmarkWhatIfOfOneRule(b *testing.B) {
	pop := benchPopulation()
	r := pop.snap.rules[7].Rule
	r.Duties = []DutyID{"D3", "D900"}
	n := 0
	for b.Loop() {
		who, err := pop.Violators(r)
		if err != nil {
			b.Fatal(err)
		}
		n = len(who)
	}
	b.ReportMetric(float64(n), "people")
}

func BenchmarkSnapshotRebuild(b *testing.B) {
	s := benchOnce()
	for b.Loop() {
		if _, err := Compile(s.Policy, 1); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkHierarchyEditPreview(b *testing.B) {
	pop := benchPopulation()
	s := benchOnce()
	n := 0
	for b.Loop() {
		p := s.Policy.Clone()
		r := p.Roles["b/17"]
		r.Juniors = append(append([]Junior(nil), r.Juniors...), Junior{Role: "b/99"})
		p.Roles["b/17"] = r
		after, err := Compile(p, 2)
		if err != nil {
			b.Fatal(err)
		}
		n = 0
		pop.Preview(after, func(SubjectID, RuleID) { n++ })
	}
	b.ReportMetric(float64(n), "conflicts")
}

func BenchmarkMemoryPerAssignment(b *testing.B) {
	snap, _ := benchOnce().Snapshot()
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		rnd := rand.New(rand.NewPCG(3, 4))
		pop := NewPopulation(snap, 1)
		n := 0
		for i := range benchPeople {
			h := benchHolder(snap, rnd, i)
			n += len(h.Grants)
			pop.Set(h)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(n), "B/assignment")
		runtime.KeepAlive(pop)
	}
}

func BenchmarkPermissionCheck(b *testing.B) {
	snap, _ := benchOnce().Snapshot()
	a := snap.Authority(snap.roles[:5])
	perms := snap.perms
	i := 0
	for b.Loop() {
		a.Has(perms[i%len(perms)])
		i += 7919
	}
}

func BenchmarkSessionAuthority(b *testing.B) {
	snap, _ := benchOnce().Snapshot()
	for b.Loop() {
		snap.Authority(snap.roles[:5])
	}
}

// The shape that rbac.md 8.1 measured: 24 roles, 12 permissions wanted, 6 dynamic rules.
func BenchmarkChooseRoles(b *testing.B) {
	rnd := rand.New(rand.NewPCG(7, 8))
	s := NewState()
	s.Load(Subject{ID: "ann"}, Account{"ann", "ann"})
	var perms []Permission
	for i := range 40 {
		perms = append(perms, Permission(fmt.Sprintf("x/p%d:do", i)))
		s.Load(PermissionDef{ID: perms[i]})
	}
	for i := range 24 {
		r := Role{ID: RoleID(fmt.Sprint("r", i)), Name: fmt.Sprint(i)}
		for range 6 {
			r.Permissions = append(r.Permissions, perms[rnd.IntN(len(perms))])
		}
		r.Permissions = sorted(r.Permissions)
		s.Load(r, Assignment{ID: AssignmentID(r.ID), Account: "ann", Role: r.ID})
	}
	for i := range 6 {
		l, r := DutyID(fmt.Sprint("l", i)), DutyID(fmt.Sprint("r", i))
		s.Load(Duty{ID: l, Name: "l", Expr: AnyOf(RoleID(fmt.Sprint("r", 2*i)).Atom())}, Duty{ID: r, Name: "r", Expr: AnyOf(RoleID(fmt.Sprint("r", 2*i+1)).Atom())},
			Rule{ID: RuleID(fmt.Sprint("D", i)), Kind: Dynamic, Level: Low, Mode: Block, K: 2, Duties: []DutyID{l, r}, Version: 1})
	}
	snap, err := s.Snapshot()
	if err != nil {
		b.Fatal(err)
	}
	h := s.Holder("ann")
	for b.Loop() {
		snap.Choose(h, Want{Account: "ann", Permissions: perms[:12]}, 0)
	}
}
