package audit_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/countersign-id/countersign/audit"
	"github.com/countersign-id/countersign/audit/audittest"
)

// A fault in reading is an error and never a verdict.
func TestVerifyReportsEveryFaultOfTheStore(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"extent", "prunings", "entries", "range", "checkpoints"} {
		l := aLog(t, 3, 3)
		prune(t, l, audit.Pruning{From: 0, To: 1})
		report, err := audit.Verify(context.Background(), unread{l, at}, keys.Known, audit.Options{})
		if !errors.Is(err, errStore) || report.Bad != nil {
			t.Errorf("fault at %s: got %+v, %v", at, report.Bad, err)
		}
	}
}

type unread struct {
	*audittest.Log
	at string
}

func (u unread) fault(at string) error {
	if u.at == at {
		return fmt.Errorf("read: %w", errStore)
	}
	return nil
}

func (u unread) LogExtent(ctx context.Context) (audit.Extent, error) {
	x, _ := u.Log.LogExtent(ctx)
	return x, u.fault("extent")
}

func (u unread) LogPrunings(ctx context.Context) ([]audit.Event, error) {
	found, _ := u.Log.LogPrunings(ctx)
	return found, u.fault("prunings")
}

func (u unread) LogEntries(ctx context.Context, from, to int64) ([]audit.Entry, error) {
	found, _ := u.Log.LogEntries(ctx, from, to)
	return found, u.fault("entries")
}

func (u unread) LogHashRange(ctx context.Context, from, to int64) (map[int64]tlog.Hash, error) {
	found, _ := u.Log.LogHashRange(ctx, from, to)
	return found, u.fault("range")
}

func (u unread) LogCheckpoints(ctx context.Context, from, to int64) (map[int64][]byte, error) {
	found, _ := u.Log.LogCheckpoints(ctx, from, to)
	return found, u.fault("checkpoints")
}
