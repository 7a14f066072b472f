package store_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/store"
	"github.com/countersign-id/countersign/store/storetest"
)

// What an operation costs is mostly how many statements it needs. BEGIN and COMMIT count.
func TestStatementsOfAnOperation(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := t.Context()
		update := func(f func(tx *store.Tx) error) uint64 {
			t.Helper()
			before := db.Statements()
			if err := db.Update(ctx, f); err != nil {
				t.Fatal(err)
			}
			return db.Statements() - before
		}
		atMost := func(what string, got, want uint64) {
			t.Helper()
			if got > want {
				t.Errorf("%s: %d statements, want at most %d", what, got, want)
			}
		}

		issuing := auth.Issuing{Key: make([]byte, 32)}
		var client auth.Client
		var session auth.Session
		update(func(tx *store.Tx) (err error) {
			client, session, err = signedIn(ctx, tx)
			return err
		})
		verifier := strings.Repeat("v", 43)
		challenge := sha256.Sum256([]byte(verifier))

		var code string
		atMost("authorize", update(func(tx *store.Tx) (err error) {
			code, _, err = issuing.Authorize(ctx, tx, auth.Authorization{
				Client: client, Session: session, RedirectURI: client.RedirectURIs[0], Requested: client.Scopes, Scopes: client.Scopes,
				Challenge: base64.RawURLEncoding.EncodeToString(challenge[:]),
			})
			return err
		}), 7)
		var issued auth.Issued
		atMost("redeem", update(func(tx *store.Tx) (err error) {
			issued, err = issuing.Redeem(ctx, tx, auth.Redemption{Client: client, Code: code, RedirectURI: client.RedirectURIs[0], Verifier: verifier})
			return err
		}), 5)
		atMost("refresh", update(func(tx *store.Tx) (err error) {
			issued, err = issuing.Refresh(ctx, tx, auth.Renewal{Client: client, Token: issued.RefreshToken})
			return err
		}), 5)
		if issued.Refused != nil || issued.RefreshToken == "" {
			t.Fatalf("refused: %v", issued.Refused)
		}

		before := db.Statements()
		if err := db.View(ctx, func(tx *store.Tx) error {
			standing, err := auth.Stand(ctx, tx, issued.Access)
			if !standing.Active {
				t.Errorf("the token does not stand: %s", standing.Why)
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
		want := uint64(1)
		if strings.HasSuffix(t.Name(), "sqlite") {
			want += 2 // BEGIN and COMMIT cost nothing there
		}
		atMost("introspect", db.Statements()-before, want)
	})
}

// signedIn makes a first-party client and a person who is signed in.
func signedIn(ctx context.Context, tx *store.Tx) (auth.Client, auth.Session, error) {
	c := auth.NewClient("probe", "Probe", auth.Web)
	c.RedirectURIs, c.Scopes, c.FirstParty = []string{"https://app.example.org/cb"}, []string{"openid", "offline_access"}, true
	if _, _, err := auth.AddClient(ctx, tx, "system", c); err != nil {
		return c, auth.Session{}, err
	}
	a, err := auth.AddAccount(ctx, tx, "system", auth.NewAccount{Username: "probe"})
	if err != nil {
		return c, auth.Session{}, err
	}
	later := tx.Now().Add(time.Hour)
	s := auth.Session{
		ID: auth.SessionID(tx.NewID()), Account: a.ID, TokenHash: []byte("token"), AuthTime: tx.Now(), CreatedAt: tx.Now(), SeenAt: tx.Now(),
		IdleEnds: later, Ends: later,
	}
	if err := tx.AddSession(ctx, s); err != nil {
		return c, s, err
	}
	c, err = tx.Client(ctx, c.ID)
	return c, s, err
}
