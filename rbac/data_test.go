package rbac

import (
	"bufio"
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// dataFile finds a data set of ../shared/data beside the checkout, or under COUNTERSIGN_DATA. A test
// whose data is not there says so.
func dataFile(t testing.TB, name string) string {
	t.Helper()
	dir := os.Getenv("COUNTERSIGN_DATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "shared", "data")
	}
	path := filepath.Join(dir, "rbac", name)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("optional: the data set rbac/%s is not beside the checkout", name)
	}
	return path
}

func gzipped(t testing.TB, name string) *gzip.Reader {
	t.Helper()
	f, err := os.Open(dataFile(t, name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// readPairs reads "user permission" lines.
func readPairs(t testing.TB, name string) map[string][]int {
	t.Helper()
	out := map[string][]int{}
	lines := bufio.NewScanner(gzipped(t, name))
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) != 2 {
			continue
		}
		p, err := strconv.Atoi(fields[1])
		if err != nil {
			t.Fatal(err)
		}
		out[fields[0]] = append(out[fields[0]], p)
	}
	return out
}

// pairState makes a state where every permission has a role of its own and everybody holds theirs, under
// the 200 rules of the golden counts.
func pairState(pairs map[string][]int) *State {
	s := NewState()
	perms := map[int]bool{}
	for _, ps := range pairs {
		for _, p := range ps {
			perms[p] = true
		}
	}
	ids := sortedKeys(perms)
	perm := func(i int) Permission { return Permission(fmt.Sprintf("hp/p:%d", ids[i%len(ids)])) }
	role := func(p int) RoleID { return RoleID(fmt.Sprint("role-", p)) }
	for i, p := range ids {
		s.Load(PermissionDef{ID: perm(i)}, Role{ID: role(p), Name: string(role(p)), Permissions: []Permission{perm(i)}},
			Duty{ID: DutyID(perm(i)), Name: string(perm(i)), Expr: AnyOf(perm(i).Atom())})
	}
	for k := range 200 {
		a, b := perm(37*k), perm(101*k+13)
		if a != b {
			s.Load(Rule{ID: RuleID(fmt.Sprintf("R-%03d", k)), Kind: Static, Level: High, Mode: Record, K: 2, Duties: []DutyID{DutyID(a), DutyID(b)}, Version: 1})
		}
	}
	for user, ps := range pairs {
		s.Load(Subject{ID: SubjectID(user)}, Account{AccountID(user), SubjectID(user)})
		for _, p := range ps {
			s.Load(Assignment{ID: AssignmentID(fmt.Sprint(user, "/", p)), Account: AccountID(user), Role: role(p)})
		}
	}
	return s
}

type golden struct{ rules, violated, violations, users int }

func count(t testing.TB, s *State) golden {
	t.Helper()
	snap, err := s.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	rules, users, n := map[RuleID]bool{}, map[SubjectID]bool{}, 0
	for x := range s.Subjects {
		for _, f := range snap.Findings(s.Holder(x), 0) {
			rules[f.Rule], users[x] = true, true
			n++
		}
	}
	pop := NewPopulation(snap, 0)
	for x := range s.Subjects {
		pop.Set(s.Holder(x))
	}
	scanned := 0
	pop.Scan(func(SubjectID, RuleID) { scanned++ })
	by := 0
	for _, r := range s.Rules {
		who, err := pop.Violators(r)
		if err != nil {
			t.Fatal(err)
		}
		by += len(who)
	}
	if scanned != n || by != n {
		t.Errorf("one by one there are %d violations, by scan %d, by holders of duties %d", n, scanned, by)
	}
	return golden{len(s.Rules), len(rules), n, len(users)}
}

// rbac.md 16.2: the counts that anybody can derive again.
func TestGoldenCounts(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]golden{
		"americas_large": {200, 22, 134, 92},
		"apj":            {200, 6, 109, 104},
		"customer":       {199, 43, 606, 567},
		"domino":         {199, 170, 302, 6},
		"fire1":          {200, 170, 2783, 259},
		"hc":             {200, 200, 4481, 46},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := count(t, pairState(readPairs(t, "hp/"+name+".txt.gz"))); got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
	}
}

// The same where no data set is at hand: a made one, counted by definition.
func TestGoldenCountsOfAMadeSet(t *testing.T) {
	t.Parallel()
	pairs := map[string][]int{}
	for u := range 300 {
		for p := range 90 {
			if (u*7+p*13+u*p)%11 == 0 {
				pairs[fmt.Sprint("u", u)] = append(pairs[fmt.Sprint("u", u)], p+1)
			}
		}
	}
	s := pairState(pairs)
	want := golden{rules: len(s.Rules)}
	for _, r := range s.Rules {
		hit := false
		for _, ps := range pairs {
			has := func(d DutyID) bool {
				return slices.ContainsFunc(ps, func(p int) bool { return string(d) == fmt.Sprint("hp/p:", p) })
			}
			if has(r.Duties[0]) && has(r.Duties[1]) {
				want.violations++
				hit = true
			}
		}
		if hit {
			want.violated++
		}
	}
	users := 0
	for _, ps := range pairs {
		for _, r := range s.Rules {
			has := func(d DutyID) bool {
				return slices.ContainsFunc(ps, func(p int) bool { return string(d) == fmt.Sprint("hp/p:", p) })
			}
			if has(r.Duties[0]) && has(r.Duties[1]) {
				users++
				break
			}
		}
	}
	want.users = users
	if got := count(t, s); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
