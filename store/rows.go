package store

import (
	"context"
	"iter"
)

// page reads up to max rows that fit, by identifier.
func page[R any](ctx context.Context, tx *Tx, max int, where string, args ...any) ([]R, error) {
	return find[R](tx.on(ctx).Where(where, args...).Order("id").Limit(max))
}

func mapped[R, T any](rows []R, f func(R) T) []T {
	if len(rows) == 0 {
		return nil
	}
	out := make([]T, len(rows))
	for i, r := range rows {
		out[i] = f(r)
	}
	return out
}

func typed[T ~string](ids []string) []T {
	return mapped(ids, func(s string) T { return T(s) })
}

// chunks cuts a list into parts: both databases bound how many parameters a statement may have.
func chunks[T any](all []T, size int) iter.Seq[[]T] {
	return func(yield func([]T) bool) {
		for len(all) > 0 {
			n := min(size, len(all))
			if !yield(all[:n]) {
				return
			}
			all = all[n:]
		}
	}
}
