package oidc

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/rbac"
	"github.com/countersign-id/countersign/store"
	"github.com/countersign-id/countersign/store/storetest"
)

const inactiveBody = `{"active":false}`

func (e *ends) introspects(token, id, secret string) *httptest.ResponseRecorder {
	e.t.Helper()
	return e.post(introspectPath, url.Values{"token": {token}}, basic(id, secret))
}

// api registers a resource server with a scope that anybody holds whose role carries its permission.
func (e *ends) api(audience string) {
	e.t.Helper()
	e.update(func(tx storeTx) error {
		id := rbac.ServerID(strings.NewReplacer(":", "-", "/", "-").Replace(audience))
		return storetest.Policy(e.t.Context(), tx, storetest.Server(id, audience, "Ledger API"), storetest.Scope(id, "ledger.read", "Read", "ledger/all:read"))
	})
}

// RFC 7662 §2.2: what a token's owner is told, for either form of token.
func TestIntrospection(t *testing.T) {
	t.Parallel()
	eachEnd(t, func(t *testing.T, e *ends) {
		ada := e.account("ada")
		s, _ := e.signedIn(ada)
		for _, opaque := range []bool{false, true} {
			id := auth.ClientID(fmt.Sprintf("app-%t", opaque))
			c, secret := e.client(id, auth.Web, func(c *auth.Client) { c.OpaqueAccessToken = opaque })
			got := e.issue(c, s, "openid", "profile", "offline_access")
			if opaque == isJWT(got.bearer) {
				t.Fatalf("opaque %t: token %.20s", opaque, got.bearer)
			}
			w := e.introspects(got.bearer, string(id), secret)
			want := map[string]any{
				"active": true, "iss": testIssuer, "sub": string(ada.ID), "aud": testIssuer, "client_id": string(id),
				"scope": "openid profile offline_access", "jti": got.access.ID, "iat": float64(got.access.IssuedAt.Unix()),
				"exp": float64(got.access.Ends.Unix()), "auth_time": float64(s.AuthTime.Unix()), "acr": "aal1", "amr": []any{"pwd"},
				"sid": string(s.ID), "token_type": "Bearer",
			}
			if d := diff(want, decode(t, w)); d != "" || w.Code != 200 || w.Header().Get("Cache-Control") != "no-store" {
				t.Errorf("opaque %t: %d %v\n%s", opaque, w.Code, w.Header(), d)
			}

			// fosite-13: the refresh token's own expiry, not the access token's, and no token type.
			w = e.introspects(got.refresh, string(id), secret)
			m := decode(t, w)
			if m["active"] != true || m["token_type"] != nil || m["jti"] != nil || m["sub"] != string(ada.ID) {
				t.Errorf("opaque %t: refresh token: %s", opaque, w.Body)
			}
			if exp, _ := m["exp"].(float64); int64(exp) != min(got.grant.RefreshEnds.Unix(), got.grant.IdleEnds.Unix()) {
				t.Errorf("opaque %t: refresh token's exp %v, want its own", opaque, m["exp"])
			}
			// The hint is a hint.
			w = e.post(introspectPath, url.Values{"token": {got.bearer}, "token_type_hint": {"refresh_token"}}, basic(string(id), secret))
			if decode(t, w)["active"] != true {
				t.Errorf("opaque %t: with the wrong hint: %s", opaque, w.Body)
			}
		}
	})
}

// sec-P42: everybody else is told nothing at all.
func TestSecP42IntrospectionIsForOwnerAndAudience(t *testing.T) {
	t.Parallel()
	eachEnd(t, func(t *testing.T, e *ends) {
		const api = "https://api.example.org"
		e.api(api)
		e.api(api + "/v2")
		ada := e.account("ada")
		s, _ := e.signedIn(ada)
		owner, ownerSecret := e.client("owner", auth.Web, func(c *auth.Client) { c.Resources = []string{api}; c.Scopes = append(c.Scopes, "ledger.read") })
		_, strangerSecret := e.client("stranger", auth.Web, nil)
		_, serverSecret := e.client("server", auth.Service, func(c *auth.Client) { c.Scopes = nil; c.Serves = []string{api} })
		_, otherSecret := e.client("other-server", auth.Service, func(c *auth.Client) { c.Scopes = nil; c.Serves = []string{api + "/v2"} })
		e.client("spa", auth.SPA, nil)

		got := e.issue(owner, s, "openid", "offline_access")
		forAPI := got.access
		forAPI.Audience = []string{api, testIssuer}
		bearer, err := e.p.mintAccess(forAPI, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, tt := range []struct {
			name, token, id, secret string
			active                  bool
		}{
			{"the owner", got.bearer, "owner", ownerSecret, true},
			{"the owner, token for an API", bearer, "owner", ownerSecret, true},
			{"the API it is for", bearer, "server", serverSecret, true},
			{"an API it is not for", got.bearer, "server", serverSecret, false},
			{"an API with a similar audience", bearer, "other-server", otherSecret, false},
			{"a stranger", bearer, "stranger", strangerSecret, false},
			{"a stranger with the refresh token", got.refresh, "stranger", strangerSecret, false},
			{"the API with the refresh token", got.refresh, "server", serverSecret, false},
			{"the owner with the refresh token", got.refresh, "owner", ownerSecret, true},
			{"an ID token", got.id, "owner", ownerSecret, false},
			{"an unknown token", "csa_unknown", "owner", ownerSecret, false},
			{"an unknown refresh token", "csr_" + strings.Repeat("A", 70), "owner", ownerSecret, false},
			{"a refresh token cut short", got.refresh[:len(got.refresh)-1], "owner", ownerSecret, false},
			{"a client's secret", ownerSecret, "owner", ownerSecret, false},
			{"the grant's id", string(got.grant.ID), "owner", ownerSecret, false},
		} {
			w := e.introspects(tt.token, tt.id, tt.secret)
			switch {
			case w.Code != http.StatusOK:
				t.Errorf("sec-P42 %s: %d %s", tt.name, w.Code, w.Body)
			case tt.active && decode(t, w)["active"] != true, !tt.active && w.Body.String() != inactiveBody:
				t.Errorf("sec-P42 %s: %s, want active %t", tt.name, w.Body, tt.active)
			}
		}

		for name, w := range map[string]*httptest.ResponseRecorder{
			"no client":                       e.post(introspectPath, url.Values{"token": {bearer}}),
			"a public client":                 e.post(introspectPath, url.Values{"token": {bearer}, "client_id": {"spa"}}),
			"a bearer token, fosite-13":       e.post(introspectPath, url.Values{"token": {bearer}}, withBearer(got.bearer)),
			"the owner with the wrong secret": e.introspects(bearer, "owner", "x"),
		} {
			if w.Code != http.StatusUnauthorized || decode(t, w)["error"] != "invalid_client" {
				t.Errorf("sec-P42 %s: %d %s, want 401 invalid_client", name, w.Code, w.Body)
			}
		}
		if w := e.get(introspectPath+"?token="+url.QueryEscape(bearer), basic("owner", ownerSecret)); w.Code != http.StatusMethodNotAllowed {
			t.Errorf("GET: %d, want 405", w.Code)
		}
		for name, form := range map[string]url.Values{
			"no token": {}, "token empty": {"token": {""}}, "token twice": {"token": {bearer, bearer}},
		} {
			if w := e.post(introspectPath, form, basic("owner", ownerSecret)); w.Code != http.StatusBadRequest {
				t.Errorf("%s: %d %s, want 400", name, w.Code, w.Body)
			}
		}
		w := e.post(introspectPath, nil, basic("owner", ownerSecret), func(r *http.Request) { r.Header.Set("Content-Type", "application/json") })
		if w.Code != http.StatusBadRequest {
			t.Errorf("JSON: %d, want 400", w.Code)
		}
	})
}

// I3: what a token stands on is read again each time.
func TestSecP42IntrospectionIsLive(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(e *ends, s auth.Session, got tokens) error{
		"expiry": func(e *ends, _ auth.Session, got tokens) error {
			e.clock.Add(got.access.Ends.Sub(e.clock.Now()))
			return nil
		},
		"the grant ended": func(e *ends, _ auth.Session, got tokens) error {
			return e.db.Update(e.t.Context(), func(tx storeTx) error {
				_, err := tx.EndGrant(e.t.Context(), got.grant.ID, "test")
				return err
			})
		},
		"the account disabled": func(e *ends, s auth.Session, _ tokens) error {
			return e.db.Update(e.t.Context(), func(tx storeTx) error {
				return auth.Disable(e.t.Context(), tx, "local:test", s.Account)
			})
		},
		"the consent withdrawn": func(e *ends, s auth.Session, got tokens) error {
			return e.db.Update(e.t.Context(), func(tx storeTx) error {
				return auth.Withdraw(e.t.Context(), tx, "local:test", s.Account, got.grant.Client)
			})
		},
		"the client revoked it": func(e *ends, _ auth.Session, got tokens) error {
			return e.db.Update(e.t.Context(), func(tx storeTx) error {
				c, err := tx.Client(e.t.Context(), got.grant.Client)
				if err != nil {
					return err
				}
				return e.p.issuing.Revoke(e.t.Context(), tx, c, got.bearer, &got.access, "")
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachEnd(t, func(t *testing.T, e *ends) {
				s, _ := e.signedIn(e.account("ada"))
				c, secret := e.client("app", auth.Web, nil)
				got := e.issue(c, s, "openid", "offline_access")
				if w := e.introspects(got.bearer, "app", secret); decode(t, w)["active"] != true {
					t.Fatalf("before: %s", w.Body)
				}
				if err := end(e, s, got); err != nil {
					t.Fatal(err)
				}
				if w := e.introspects(got.bearer, "app", secret); w.Body.String() != inactiveBody {
					t.Errorf("sec-P42 after: %s, want inactive", w.Body)
				}
				if w := e.get(userinfoPath, withBearer(got.bearer)); w.Code != http.StatusUnauthorized {
					t.Errorf("sec-P44 userinfo after: %d, want 401", w.Code)
				}
				w := e.introspects(got.refresh, "app", secret)
				if name == "expiry" || name == "the client revoked it" {
					if decode(t, w)["active"] != true {
						t.Errorf("the refresh token died with the access token: %s", w.Body)
					}
					return
				}
				if w.Body.String() != inactiveBody {
					t.Errorf("the refresh token after: %s, want inactive", w.Body)
				}
			})
		})
	}
}

// A token of client_credentials is its client's, and has no person in it.
func TestIntrospectionOfAClientsToken(t *testing.T) {
	t.Parallel()
	eachEnd(t, func(t *testing.T, e *ends) {
		c, secret := e.client("batch", auth.Service, func(c *auth.Client) { c.Scopes = nil })
		var token auth.AccessToken
		if err := e.db.View(t.Context(), func(tx storeTx) (err error) {
			token, err = e.p.issuing.ClientToken(t.Context(), tx, c, nil, nil)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		bearer, err := e.p.mintAccess(token, nil)
		if err != nil {
			t.Fatal(err)
		}
		m := decode(t, e.introspects(bearer, "batch", secret))
		if m["active"] != true || m["sub"] != "batch" || m["client_id"] != "batch" || m["sid"] != nil || m["auth_time"] != nil {
			t.Errorf("got %v", m)
		}
		if w := e.get(userinfoPath, withBearer(bearer)); w.Code != http.StatusUnauthorized {
			t.Errorf("sec-P44 userinfo without a person: %d, want 401", w.Code)
		}
	})
}

// RFC 7009, sec-P43.
func TestSecP43Revocation(t *testing.T) {
	t.Parallel()
	eachEnd(t, func(t *testing.T, e *ends) {
		s, _ := e.signedIn(e.account("ada"))
		c, secret := e.client("app", auth.Web, nil)
		o, otherSecret := e.client("opaque", auth.Web, func(c *auth.Client) { c.OpaqueAccessToken = true })
		spa, _ := e.client("spa", auth.SPA, nil)
		active := func(token, id, secret string) bool {
			t.Helper()
			return decode(t, e.introspects(token, id, secret))["active"] == true
		}

		jwt, stored := e.issue(c, s, "openid", "offline_access"), e.issue(o, s, "openid", "offline_access")
		for name, w := range map[string]*httptest.ResponseRecorder{
			"another client's JWT":           e.post(revokePath, url.Values{"token": {jwt.bearer}}, basic("opaque", otherSecret)),
			"another client's refresh token": e.post(revokePath, url.Values{"token": {jwt.refresh}}, basic("opaque", otherSecret)),
			"another client's stored token":  e.post(revokePath, url.Values{"token": {stored.bearer}}, basic("app", secret)),
			"by a public client":             e.post(revokePath, url.Values{"token": {jwt.bearer}, "client_id": {"spa"}}),
			"an unknown token":               e.post(revokePath, url.Values{"token": {"unknown"}}, basic("app", secret)),
			"a forged token":                 e.post(revokePath, url.Values{"token": {jwt.bearer[:len(jwt.bearer)-4] + "AAAA"}}, basic("app", secret)),
			"an ID token":                    e.post(revokePath, url.Values{"token": {jwt.id}}, basic("app", secret)),
		} {
			if w.Code != http.StatusOK || w.Body.Len() > 0 {
				t.Errorf("sec-P43 %s: %d %s, want 200 and nothing", name, w.Code, w.Body)
			}
		}
		if !active(jwt.bearer, "app", secret) || !active(jwt.refresh, "app", secret) || !active(stored.bearer, "opaque", otherSecret) {
			t.Fatal("sec-P43 a stranger ended a token")
		}
		for name, w := range map[string]*httptest.ResponseRecorder{
			"without authentication": e.post(revokePath, url.Values{"token": {jwt.bearer}}),
			"with the wrong secret":  e.post(revokePath, url.Values{"token": {jwt.bearer}}, basic("app", "x")),
		} {
			if w.Code != http.StatusUnauthorized {
				t.Errorf("sec-P43 %s: %d, want 401", name, w.Code)
			}
		}
		if w := e.get(revokePath+"?token="+jwt.bearer, basic("app", secret)); w.Code != http.StatusMethodNotAllowed {
			t.Errorf("sec-P43 GET: %d, want 405", w.Code)
		}
		if w := e.post(revokePath, url.Values{}, basic("app", secret)); w.Code != http.StatusBadRequest {
			t.Errorf("without a token: %d, want 400", w.Code)
		}

		// An access token ends alone, a refresh token with its family.
		e.post(revokePath, url.Values{"token": {jwt.bearer}}, basic("app", secret))
		if active(jwt.bearer, "app", secret) || !active(jwt.refresh, "app", secret) {
			t.Error("revoking an access token should end it and nothing else")
		}
		e.post(revokePath, url.Values{"token": {stored.refresh}, "token_type_hint": {"access_token"}}, basic("opaque", otherSecret))
		if active(stored.bearer, "opaque", otherSecret) || active(stored.refresh, "opaque", otherSecret) {
			t.Error("revoking a refresh token should end its family")
		}
		mine := e.issue(spa, s, "openid", "offline_access")
		if w := e.post(revokePath, url.Values{"token": {mine.bearer}, "client_id": {"spa"}}, func(r *http.Request) {
			r.Header.Set("Origin", "https://spa.example.org")
		}); w.Code != http.StatusOK || w.Header().Get("Access-Control-Allow-Origin") != "https://spa.example.org" {
			t.Errorf("a public client's own token: %d %v", w.Code, w.Header())
		}
		if w := e.get(userinfoPath, withBearer(mine.bearer)); w.Code != http.StatusUnauthorized {
			t.Errorf("userinfo after revocation: %d, want 401", w.Code)
		}
		for kind, want := range map[string]int{"token.revoked": 2, "grant.revoked": 1} {
			if n := len(e.eventsOf(auditKind(kind))); n != want {
				t.Errorf("%d events %s, want %d", n, kind, want)
			}
		}
	})
}

// fosite-14, I6: while the store cannot be written to, a revocation is not acknowledged and a client with a key is told to come
// again, not that it lied.
func TestFosite14AStoreThatCannotBeWrittenTo(t *testing.T) {
	t.Parallel()
	cfg := storetest.SQLite(t)
	db := openStore(t, cfg, 300*time.Millisecond)
	e := newEnds(t, db, newClock())
	s, _ := e.signedIn(e.account("ada"))
	c, secret := e.client("app", auth.Web, nil)
	key, err := GenerateKey("ES256")
	if err != nil {
		t.Fatal(err)
	}
	e.client("keyed", auth.Web, func(c *auth.Client) { c.AuthMethod, c.JWKS = auth.AuthPrivateKeyJWT, setOf(key.Public(), "k", "") })
	got := e.issue(c, s, "openid")

	other, held, release := openStore(t, cfg, time.Minute), make(chan struct{}), make(chan struct{})
	done := make(chan error, 1)
	go func() {
		done <- other.Update(t.Context(), func(storeTx) error { close(held); <-release; return nil })
	}()
	<-held
	for name, w := range map[string]*httptest.ResponseRecorder{
		"revocation":      e.post(revokePath, url.Values{"token": {got.bearer}}, basic("app", secret)),
		"private_key_jwt": e.revokes(e.assertion(key, "ES256", map[string]any{"kid": "k"}, "keyed", nil)),
	} {
		if w.Code != http.StatusServiceUnavailable || decode(t, w)["error"] != "temporarily_unavailable" {
			t.Errorf("fosite-14 %s: %d %s, want 503 temporarily_unavailable", name, w.Code, w.Body)
		}
	}
	if decode(t, e.introspects(got.bearer, "app", secret))["active"] != true {
		t.Error("the token was revoked after all")
	}
	close(release)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if w := e.post(revokePath, url.Values{"token": {got.bearer}}, basic("app", secret)); w.Code != http.StatusOK {
		t.Errorf("afterwards: %d %s, want 200", w.Code, w.Body)
	}
}

func openStore(t *testing.T, cfg store.Config, patience time.Duration) *store.DB {
	t.Helper()
	cfg.Timeout = patience
	db, err := store.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func TestStoreTimeIsTheOnlyClock(t *testing.T) {
	t.Parallel()
	// I26: the last instant of a token, to the second, on both sides.
	eachEnd(t, func(t *testing.T, e *ends) {
		s, _ := e.signedIn(e.account("ada"))
		c, secret := e.client("app", auth.Web, nil)
		got := e.issue(c, s, "openid")
		e.clock.Add(got.access.Ends.Sub(e.clock.Now()) - time.Second)
		if decode(t, e.introspects(got.bearer, "app", secret))["active"] != true {
			t.Error("a token is over a second before its end")
		}
		e.clock.Add(time.Second)
		if decode(t, e.introspects(got.bearer, "app", secret))["active"] != false {
			t.Error("a token counts at the instant it ends")
		}
	})
}
