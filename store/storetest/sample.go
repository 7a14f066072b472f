package storetest

import (
	"context"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/store"
)

// update runs f in an Update that must succeed.
func update(t *testing.T, db *store.DB, f func(ctx context.Context, tx *store.Tx) error) {
	t.Helper()
	ctx := t.Context()
	if err := db.Update(ctx, func(tx *store.Tx) error { return f(ctx, tx) }); err != nil {
		t.Fatal(err)
	}
}

// view runs f in a View that must succeed.
func view(t *testing.T, db *store.DB, f func(ctx context.Context, tx *store.Tx) error) {
	t.Helper()
	ctx := t.Context()
	if err := db.View(ctx, func(tx *store.Tx) error { return f(ctx, tx) }); err != nil {
		t.Fatal(err)
	}
}

// filled returns a T in which every field of every depth holds something of its own, so that a field that is not kept shows.
func filled[T any]() T {
	var v T
	n := 0
	fill(reflect.ValueOf(&v).Elem(), "", &n)
	return v
}

var epoch = time.Date(2030, 1, 2, 3, 4, 5, 678901000, time.UTC)

func fill(v reflect.Value, name string, n *int) {
	*n++
	switch v.Interface().(type) {
	case time.Time:
		v.Set(reflect.ValueOf(epoch.Add(time.Duration(*n) * time.Microsecond)))
		return
	case []byte:
		v.SetBytes(fmt.Appendf(nil, "%s-%d\x00\xff", name, *n))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), v.Type().Field(i).Name, n)
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 { // bytes by another name, such as a secret
			v.SetBytes(fmt.Appendf(nil, "%s-%d\x00\xff", name, *n))
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(v.Index(0), name, n)
		fill(v.Index(1), name, n)
	case reflect.Map:
		v.Set(reflect.ValueOf(map[string]string{"k1": name, "k2": "<ünïcødé> & \"quotes\""}))
	case reflect.String:
		v.SetString(fmt.Sprintf("%s é世%d", name, *n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		if v.Type() == reflect.TypeFor[time.Duration]() {
			v.SetInt(int64(*n) * int64(time.Second))
			return
		}
		v.SetInt(int64(*n))
	default:
		panic("storetest: cannot fill " + v.Type().String())
	}
}

// same compares what was read with what was written. An empty list and no list are the same.
func same(t *testing.T, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("written (-) and read (+) differ:\n%s", diff)
	}
}

// addAccount writes an account and its person, straight into the store.
func addAccount(ctx context.Context, tx *store.Tx, name string) (auth.Account, error) {
	p := auth.Person{ID: auth.PersonID(tx.NewID()), Name: name, CreatedAt: tx.Now()}
	a := auth.Account{
		ID: auth.AccountID(tx.NewID()), Person: p.ID, Username: name, State: auth.AccountActive,
		CreatedAt: tx.Now(), UpdatedAt: tx.Now(), Version: 1,
	}
	return a, tx.AddAccount(ctx, p, a)
}

// account is addAccount in an Update of its own.
func account(t *testing.T, db *store.DB, name string) (a auth.Account) {
	t.Helper()
	update(t, db, func(ctx context.Context, tx *store.Tx) (err error) {
		a, err = addAccount(ctx, tx, name)
		return err
	})
	return a
}

// client writes a client.
func client(t *testing.T, db *store.DB, c auth.Client) auth.Client {
	t.Helper()
	update(t, db, func(ctx context.Context, tx *store.Tx) error {
		c.CreatedAt, c.UpdatedAt, c.Version = tx.Now(), tx.Now(), 1
		return tx.AddClient(ctx, c)
	})
	return c
}

// grant writes a pending grant of an account.
func grant(t *testing.T, db *store.DB, a auth.Account, edit func(g *auth.Grant)) auth.Grant {
	t.Helper()
	var g auth.Grant
	update(t, db, func(ctx context.Context, tx *store.Tx) error {
		id := tx.NewID()
		g = auth.Grant{
			ID: auth.GrantID(id), State: auth.GrantPending, Client: "c", Account: a.ID, Session: "s",
			CodeHash: []byte("code " + id), CodeEnds: tx.Now().Add(time.Minute), CreatedAt: tx.Now(),
		}
		if edit != nil {
			edit(&g)
		}
		return tx.AddGrant(ctx, g)
	})
	return g
}
