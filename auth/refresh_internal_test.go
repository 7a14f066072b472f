package auth

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// A family under random use, honest and not: what holds whatever comes.
func TestFamilyPromises(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		leeway := time.Duration(rapid.SampledFrom([]int{0, 0, 10, 60}).Draw(t, "leeway")) * time.Second
		life := Lifetimes{RefreshIdle: time.Hour, RefreshAbsolute: 5 * time.Hour}
		now := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
		ends := now.Add(life.RefreshAbsolute)
		g := Grant{State: GrantLive, Generation: 1, RotatedAt: now, RefreshEnds: ends, IdleEnds: now.Add(life.RefreshIdle)}
		used := map[int]time.Time{} // when each generation was first used
		for range 40 {
			now = now.Add(time.Duration(rapid.IntRange(0, 1200).Draw(t, "seconds")) * time.Second)
			n := rapid.IntRange(1, g.Generation+1).Draw(t, "generation")
			why := g.presented(n, now, leeway)
			if why != "" {
				// Nothing but an error on the holder's side ends a family before its time.
				if n == g.Generation && now.Before(ends) && now.Before(g.IdleEnds) {
					t.Fatalf("the valid token is refused: %s", why)
				}
				if why == whyReused || why == whyExpired {
					return // the family has ended
				}
				t.Fatalf("refused: %s", why)
			}
			first, again := used[n]
			switch {
			case !now.Before(ends):
				t.Fatalf("a token yields something at or after the absolute end")
			case again && leeway == 0:
				t.Fatalf("generation %d yields something twice without leeway", n)
			case again && !now.Before(first.Add(leeway)):
				t.Fatalf("generation %d yields something %s after its use, leeway %s", n, now.Sub(first), leeway)
			case !again && n != g.Generation:
				t.Fatalf("generation %d was replaced unused by %d and yields something", n, g.Generation)
			}
			for later := range used {
				if later > n {
					t.Fatalf("generation %d yields something after its successor %d was used", n, later)
				}
			}
			if !again {
				used[n] = now
			}
			was := g
			g = g.claim(n, now, life, false)
			if g.Generation <= was.Generation || !g.RefreshEnds.Equal(ends) || g.IdleEnds.After(ends) || g.Claimed != n {
				t.Fatalf("from %+v to %+v", was, g)
			}
		}
	})
}

// FuzzReadRefresh: only what we made is read, and it is read as what it was made for.
func FuzzReadRefresh(f *testing.F) {
	p := Issuing{Key: Secret("01234567890123456789012345678901")}
	good, _ := p.refreshToken("01234567-89ab-7def-8123-456789abcdef", 7)
	f.Add(good)
	f.Add("csr_")
	f.Fuzz(func(t *testing.T, s string) {
		g, n, ok := p.readRefresh(s)
		if !ok {
			return
		}
		again, made := p.refreshToken(g, n)
		if !made || again != s {
			t.Errorf("%q is read as %s generation %d, whose token is %q", s, g, n, again)
		}
		if s != good {
			t.Errorf("forged: %q", s)
		}
	})
}

func TestRefreshTokenOfEveryGeneration(t *testing.T) {
	t.Parallel()
	p := Issuing{Key: Secret("01234567890123456789012345678901")}
	rapid.Check(t, func(t *rapid.T) {
		id := GrantID(uuidText(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id")))
		n := int(rapid.Uint32().Draw(t, "generation"))
		token, ok := p.refreshToken(id, n)
		g, m, read := p.readRefresh(token)
		if !ok || !read || g != id || m != n {
			t.Fatalf("%s %d became %q became %s %d", id, n, token, g, m)
		}
	})
	for _, id := range []GrantID{"", "x", "0123456789ab7def8123456789abcdef", "01234567-89ab-7def-8123-456789abcdeg"} {
		if token, ok := p.refreshToken(id, 1); ok {
			t.Errorf("grant %q has the token %q", id, token)
		}
	}
}
