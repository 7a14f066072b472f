package store_test

import (
	"testing"

	"github.com/countersign-id/countersign/store"
	"github.com/countersign-id/countersign/store/storetest"
)

func TestPostgres(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) *store.DB { return storetest.OpenPostgres(t) })
}
