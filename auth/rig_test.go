package auth_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/countersign-id/countersign/audit"
	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/internal/fault"
	"github.com/countersign-id/countersign/rbac"
	"github.com/countersign-id/countersign/store"
	"github.com/countersign-id/countersign/store/storetest"
)

// rig is a deployment without doors. Passwords are not hashed: "is:x" stands for the hash of x.
type rig struct {
	*testing.T
	db      *store.DB
	clock   *storetest.Clock
	signIn  auth.SignIn
	issuing auth.Issuing

	database string
}

// each runs a test on both databases, each with a clock of its own.
func each(t *testing.T, test func(r *rig)) {
	t.Helper()
	for _, d := range []struct {
		name string
		open func(testing.TB, ...func(*store.Config)) *store.DB
	}{{"sqlite", storetest.Open}, {"postgres", storetest.OpenPostgres}} {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			test(newRig(t, d.open))
		})
	}
}

func newRig(t *testing.T, open func(testing.TB, ...func(*store.Config)) *store.DB) *rig {
	t.Helper()
	c := storetest.NewClock(time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC))
	var database string
	db := open(t, func(cfg *store.Config) { cfg.Clock, database = c.Now, cfg.Database })
	return &rig{
		T: t, clock: c, db: db, database: database,
		signIn:  auth.SignIn{Key: bytes.Repeat([]byte("k"), 32), Dummy: "is:" + strings.Repeat("\x00", 9)},
		issuing: auth.Issuing{Issuer: issuer, Key: bytes.Repeat([]byte("r"), 32)},
	}
}

const issuer = "https://id.example.org"

func (r *rig) update(f func(ctx context.Context, tx auth.Tx) error) {
	r.Helper()
	if err := r.try(f); err != nil {
		r.Fatal(err)
	}
}

func (r *rig) try(f func(ctx context.Context, tx auth.Tx) error) error {
	ctx := context.Background()
	return r.db.Update(ctx, func(tx *store.Tx) error { return f(ctx, tx) })
}

func (r *rig) view(f func(ctx context.Context, tx *store.Tx) error) {
	r.Helper()
	ctx := context.Background()
	if err := r.db.View(ctx, func(tx *store.Tx) error { return f(ctx, tx) }); err != nil {
		r.Fatal(err)
	}
}

// account adds an account whose password is "<name>'s password".
func (r *rig) account(name string) auth.Account {
	r.Helper()
	var a auth.Account
	r.update(func(ctx context.Context, tx auth.Tx) (err error) {
		a, err = auth.AddAccount(ctx, tx, "local:test", auth.NewAccount{
			Username: name, Hash: "is:" + name + "'s password", Profile: auth.Profile{Email: name + "@example.org"},
		})
		return err
	})
	return a
}

const callback = "https://app.example.org/cb"

// client adds a client of a kind, as with changes it.
func (r *rig) client(id auth.ClientID, kind auth.ClientKind, with ...func(*auth.Client)) auth.Client {
	r.Helper()
	c := auth.NewClient(id, "Client "+string(id), kind)
	if kind != auth.Service {
		c.RedirectURIs, c.Scopes = []string{callback}, []string{"openid", "profile", "email", auth.OfflineAccess}
	}
	for _, w := range with {
		w(&c)
	}
	r.update(func(ctx context.Context, tx auth.Tx) (err error) {
		c, _, err = auth.AddClient(ctx, tx, "local:test", c)
		return err
	})
	return c
}

// browser is one browser with its cookies.
type browser struct {
	*rig
	hash    []byte
	session string
	device  string
	origin  auth.Origin
}

func (r *rig) browser() *browser {
	b := &browser{rig: r, hash: hashOf(r.Name() + time.Now().String()), origin: auth.Origin{Source: "192.0.2.0/24", Address: "192.0.2.7", UserAgent: "Test/1", Request: "req-1"}}
	return b
}

func hashOf(token string) []byte {
	h := sha256.Sum256([]byte(token))
	return h[:]
}

func (b *browser) from() auth.Origin {
	o := b.origin
	o.Device = b.device
	if b.session != "" {
		o.Session = hashOf(b.session)
	}
	return o
}

// current resumes the browser's session; false if it does not count.
func (b *browser) current() (cur auth.Current, ok bool) {
	b.Helper()
	b.view(func(ctx context.Context, tx *store.Tx) (err error) {
		cur, ok, err = auth.Resume(ctx, tx, hashOf(b.session))
		return err
	})
	return cur, ok
}

// demands are those of an application that asks for nothing special.
func demands(c auth.Client, scopes ...string) auth.Demands {
	if len(scopes) == 0 {
		scopes = []string{"openid", auth.OfflineAccess}
	}
	return auth.Demands{Client: c, Scopes: scopes, MaxAge: -1}
}

// begin begins a sign-in, kept if something stands in its way.
func (b *browser) begin(d auth.Demands) auth.Flow {
	b.Helper()
	cur, _ := b.current()
	var f auth.Flow
	b.update(func(ctx context.Context, tx auth.Tx) (err error) {
		if f, err = b.signIn.Begin(ctx, tx, d, b.hash, cur); err != nil || f.Next() == auth.Done {
			return err
		}
		f, err = auth.Keep(ctx, tx, f)
		return err
	})
	return f
}

// name types a name.
func (b *browser) name(f auth.Flow, name string) auth.Flow {
	b.Helper()
	b.update(func(ctx context.Context, tx auth.Tx) (err error) {
		f, err = auth.Name(ctx, tx, f, name)
		return err
	})
	return f
}

// attempt is the first half of a password attempt.
func (b *browser) attempt(f auth.Flow) auth.Attempt {
	b.Helper()
	var a auth.Attempt
	b.update(func(ctx context.Context, tx auth.Tx) (err error) {
		a, err = b.signIn.TryPassword(ctx, tx, f, b.from())
		return err
	})
	return a
}

// settle is the second half.
func (b *browser) settle(a auth.Attempt, f auth.Flow, password string) (next auth.Flow, refused *fault.Error) {
	b.Helper()
	b.update(func(ctx context.Context, tx auth.Tx) (err error) {
		next, refused, err = b.signIn.Settle(ctx, tx, a, f, a.Hash == "is:"+password, "", b.from())
		return err
	})
	return next, refused
}

// password tries a password.
func (b *browser) password(f auth.Flow, password string) (auth.Flow, *fault.Error) {
	b.Helper()
	return b.settle(b.attempt(f), f, password)
}

// establish finishes a sign-in and keeps what it gives the browser.
func (b *browser) establish(f auth.Flow) auth.Established {
	b.Helper()
	var e auth.Established
	b.update(func(ctx context.Context, tx auth.Tx) (err error) {
		e, err = b.signIn.Establish(ctx, tx, f, b.from())
		return err
	})
	b.take(e)
	return e
}

func (b *browser) take(e auth.Established) {
	if e.Token != nil {
		b.session = string(e.Token)
	}
	if e.Device != "" {
		b.device = e.Device
	}
}

// signs goes through a whole sign-in of name, allowing all that is asked.
func (b *browser) signs(d auth.Demands, name string) auth.Established {
	b.Helper()
	f := b.begin(d)
	if f.Next() == auth.Identify {
		f = b.name(f, name)
	}
	if f.Next() == auth.Prove {
		var refused *fault.Error
		if f, refused = b.password(f, name+"'s password"); refused != nil {
			b.Fatalf("%s cannot sign in: %v", name, refused)
		}
	}
	if f.Next() == auth.Allow {
		b.update(func(ctx context.Context, tx auth.Tx) (err error) {
			f, err = auth.AllowScopes(ctx, tx, f, d.Scopes)
			return err
		})
	}
	if f.Next() != auth.Done {
		b.Fatalf("the sign-in of %s stands at %s", name, f.Next())
	}
	return b.establish(f)
}

const verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk" // RFC 7636 appendix B

func challenge(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// code signs name in for c and returns the code.
func (r *rig) code(c auth.Client, name string, scopes ...string) string {
	r.Helper()
	b := r.browser()
	e := b.signs(demands(c, scopes...), name)
	return r.codeFor(c, e.Session, demands(c, scopes...).Scopes)
}

func (r *rig) codeFor(c auth.Client, s auth.Session, scopes []string, resources ...string) string {
	r.Helper()
	var code string
	r.update(func(ctx context.Context, tx auth.Tx) (err error) {
		code, _, err = r.issuing.Authorize(ctx, tx, auth.Authorization{
			Client: c, Session: s, RedirectURI: c.RedirectURIs[0], Challenge: challenge(verifier), Requested: scopes, Scopes: scopes,
			Resources: resources,
		})
		return err
	})
	return code
}

// redemption is what c sends with a code when all is well.
func redemption(c auth.Client, code string) auth.Redemption {
	return auth.Redemption{Client: c, Code: code, RedirectURI: c.RedirectURIs[0], Verifier: verifier, Request: "req-2", Source: "198.51.100.4"}
}

func (r *rig) redeem(d auth.Redemption) auth.Issued {
	r.Helper()
	var i auth.Issued
	r.update(func(ctx context.Context, tx auth.Tx) (err error) {
		i, err = r.issuing.Redeem(ctx, tx, d)
		return err
	})
	return i
}

func (r *rig) refresh(n auth.Renewal) auth.Issued {
	r.Helper()
	var i auth.Issued
	r.update(func(ctx context.Context, tx auth.Tx) (err error) {
		i, err = r.issuing.Refresh(ctx, tx, n)
		return err
	})
	return i
}

// family signs name in for c and returns what the code was exchanged for.
func (r *rig) family(c auth.Client, name string, scopes ...string) auth.Issued {
	r.Helper()
	i := r.redeem(redemption(c, r.code(c, name, scopes...)))
	if i.Refused != nil {
		r.Fatalf("the code is refused: %v", i.Refused)
	}
	return i
}

// stands reports whether an access token counts, and what for.
func (r *rig) stands(t auth.AccessToken) auth.Standing {
	r.Helper()
	var s auth.Standing
	r.view(func(ctx context.Context, tx *store.Tx) (err error) {
		s, err = auth.Stand(ctx, tx, t)
		return err
	})
	return s
}

func (r *rig) grant(id auth.GrantID) auth.Grant {
	r.Helper()
	var g auth.Grant
	r.view(func(ctx context.Context, tx *store.Tx) (err error) {
		g, err = tx.Grant(ctx, id)
		return err
	})
	return g
}

// events returns the events of a kind, oldest first.
func (r *rig) events(kind audit.Kind) []audit.Event {
	r.Helper()
	var all []audit.Event
	r.view(func(ctx context.Context, tx *store.Tx) error {
		entries, err := tx.Events(ctx, store.EventFilter{Kind: kind}, 1000)
		for _, e := range entries {
			all = append(all, e.Event)
		}
		return err
	})
	return all
}

// codes lists the codes of the events of a kind.
func (r *rig) codes(kind audit.Kind) []string {
	r.Helper()
	var all []string
	for _, e := range r.events(kind) {
		all = append(all, e.Code)
	}
	return all
}

// letters returns the messages that wait for a person.
func (r *rig) letters() []string {
	r.Helper()
	var all []string
	ctx := context.Background()
	err := r.db.Update(ctx, func(tx *store.Tx) error {
		letters, err := tx.TakeLetters(ctx, 1000, tx.Now())
		for _, l := range letters {
			all = append(all, l.Text)
		}
		return err
	})
	if err != nil {
		r.Fatal(err)
	}
	return all
}

func wantFault(t testing.TB, err error, want *fault.Error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("got %v, want %v", err, want)
	}
}

// wantRefused checks an outcome: nil for none.
func wantRefused(t testing.TB, got, want *fault.Error) {
	t.Helper()
	if (got == nil) != (want == nil) || got != nil && got.Code != want.Code {
		t.Errorf("refused: got %v, want %v", got, want)
	}
}

type storeTx = store.Tx

func newSQLite(t *testing.T) *rig {
	t.Helper()
	return newRig(t, storetest.Open)
}

// race runs f n times at once and returns what came of each.
func race[R any](n int, f func() R) []R {
	results := make([]R, n)
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range results {
		wg.Go(func() {
			<-start
			results[i] = f()
		})
	}
	close(start)
	wg.Wait()
	return results
}

// store keeps an opaque access token.
func (r *rig) store(t auth.AccessToken) string {
	r.Helper()
	var token string
	r.update(func(ctx context.Context, tx auth.Tx) (err error) {
		token, err = auth.StoreAccess(ctx, tx, t)
		return err
	})
	return token
}

// finds reports whether an opaque access token is found.
func (r *rig) finds(token string) bool {
	r.Helper()
	found := false
	r.view(func(ctx context.Context, tx *store.Tx) error {
		_, err := auth.FindOpaque(ctx, tx, token)
		if fault.Is(err, fault.NotFound) {
			return nil
		}
		found = err == nil
		return err
	})
	return found
}

// withdrawRole takes a role away from an account, or from a client by its id.
func (r *rig) withdrawRole(account string, role rbac.RoleID) {
	r.Helper()
	r.update(func(ctx context.Context, tx auth.Tx) error {
		held, err := tx.HeldBy(ctx, rbac.AccountID(account))
		for _, g := range held {
			if err == nil && g.Role == role && g.During.Holds(rbac.At(tx.Now())) {
				err = storetest.Policy(ctx, tx, rbac.Withdraw{Assignment: g.Assignment})
			}
		}
		return err
	})
}

// exec changes rows behind the product's back.
func (r *rig) exec(statement string, args ...any) {
	r.Helper()
	driver, source, marks := "pgx", r.database, []any{"$1", "$2"}
	if path, ok := strings.CutPrefix(r.database, "sqlite:"); ok {
		driver, source, marks = "sqlite", "file:"+path+"?_pragma=busy_timeout(5000)", []any{"?", "?"}
	}
	db, err := sql.Open(driver, source)
	if err != nil {
		r.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(fmt.Sprintf(statement, marks[:len(args)]...), args...); err != nil {
		r.Fatal(err)
	}
}
