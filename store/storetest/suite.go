package storetest

import (
	"testing"

	"github.com/countersign-id/countersign/store"
)

// Run holds a database to what Countersign relies on. open returns an empty, migrated store; each test gets its own.
func Run(t *testing.T, open func(t *testing.T, with ...func(*store.Config)) *store.DB) {
	run(t, open, keeps, refuses, spends, factors, policies, passing, logs, atomic, sweeps, races, factorRaces)
}

// RunWithoutRaces is Run for another way to a database whose races were run already.
func RunWithoutRaces(t *testing.T, open func(t *testing.T, with ...func(*store.Config)) *store.DB) {
	run(t, open, keeps, refuses, spends, factors, policies, passing, logs, atomic, sweeps)
}

func run(t *testing.T, open func(t *testing.T, with ...func(*store.Config)) *store.DB, groups ...[]promise) {
	for _, group := range groups {
		for _, p := range group {
			t.Run(p.name, func(t *testing.T) {
				t.Parallel()
				p.test(t, func(with ...func(*store.Config)) *store.DB { return open(t, with...) })
			})
		}
	}
}

// promise is one thing a database is held to. Its test opens the store it needs.
type promise struct {
	name string
	test func(t *testing.T, open opener)
}

type opener func(with ...func(*store.Config)) *store.DB
