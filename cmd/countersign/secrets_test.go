package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"
)

// sec-D01, sec-D07: what a deployment must keep to itself stands in no log, no row and no event, whatever the log level.
func TestNoSecretIsWrittenAnywhere(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, d *deployment) {
		d.set("LOG_LEVEL=debug")
		d.addUser("probe")
		secret := d.addClient("probe", "--kind", "web", "--redirect-uri", rpCallback, "--scope", "openid profile email offline_access", "--grant", "client_credentials")
		opaque := d.addClient("opaque", "--kind", "web", "--redirect-uri", rpCallback, "--scope", "openid offline_access", "--access-token", "opaque", "--first-party")
		p := d.serve()
		probe := newPerson(t, "probe")
		a, o := newApp(d.issuer, "probe", secret), newApp(d.issuer, "opaque", opaque)

		back := probe.signsIn(a.authorize("openid profile email offline_access"), rpCallback)
		code := back.Query().Get("code")
		got, err := a.token(context.Background(), "grant_type", "authorization_code", "code", code, "redirect_uri", rpCallback, "code_verifier", verifier)
		if err != nil || got.Status != http.StatusOK {
			t.Fatal(got, err)
		}
		next, err := a.token(context.Background(), "grant_type", "refresh_token", "refresh_token", got.Refresh)
		if err != nil || next.Status != http.StatusOK {
			t.Fatal(next, err)
		}
		other := o.signIn(t, probe, "openid offline_access")
		// wrong ones too: people type passwords into name fields, and applications send old secrets
		_, _ = a.token(context.Background(), "grant_type", "authorization_code", "code", code, "redirect_uri", rpCallback, "code_verifier", verifier)
		_, _ = newApp(d.issuer, "probe", "css_a-canary-of-a-wrong-secret").token(context.Background(), "grant_type", "client_credentials")
		stranger := newPerson(t, "a-canary-typed-as-a-name-passphrase")
		at, body := stranger.get(d.issuer + "/account")
		if f, _ := stranger.read(at, body); f != nil {
			stranger.post(f)
		}
		var cookies []string
		for _, c := range probe.http.Jar.Cookies(mustURL(t, d.issuer)) {
			if c.Name == "session" || c.Name == "browser" || c.Name == "device" {
				cookies = append(cookies, c.Value)
			}
		}
		if len(cookies) < 2 {
			t.Fatalf("the person has %d cookies", len(cookies))
		}
		canaries := append(cookies, testPassword, testMaster, strings.TrimPrefix(testMaster, masterPrefix), secret, opaque, code, verifier,
			got.Access, got.Refresh, got.ID, next.Access, next.Refresh, other.Access, other.Refresh, "css_a-canary-of-a-wrong-secret")
		if _, err := p.stop(); err != nil {
			t.Fatal(err)
		}

		places := map[string]string{"the log": p.logs.String(), "the database": d.dump(), "the event list": d.run("", "audit", "list", "--json", "--limit", "500")}
		for place, text := range places {
			for i, c := range canaries {
				if strings.Contains(text, c) {
					t.Errorf("sec-D01 %s holds secret number %d (%.6s…)", place, i, c)
				}
			}
			if strings.Contains(text, "PRIVATE KEY") || strings.Contains(text, "$argon2id$") {
				t.Errorf("sec-D07 %s holds a private key or a password's hash in the clear", place)
			}
		}
		if !strings.Contains(places["the database"], "probe@example.org") || !strings.Contains(places["the log"], "/oauth2/token") {
			t.Error("the dumps are empty: this test saw nothing")
		}

		// a wrong master key opens nothing
		d.set("MASTER_KEY=" + newMasterKey())
		if out, errs, code := d.try("", "user", "list"); code == exitOK || strings.Contains(out, "probe") {
			t.Errorf("sec-D07 with another master key: exit %d, %s%s", code, out, errs)
		}
	})
}

// dump is every column of every row as text, and for SQLite the files' bytes too.
func (d *deployment) dump() string {
	d.t.Helper()
	cfg, err := loadConfig("", d.env, nil)
	if err != nil {
		d.t.Fatal(err)
	}
	var b bytes.Buffer
	driver, dsn, names := "pgx", cfg.Database, "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
	if path, ok := strings.CutPrefix(cfg.Database, "sqlite:"); ok {
		driver, dsn, names = "sqlite", path, "SELECT name FROM sqlite_master WHERE type = 'table'"
		files, _ := filepath.Glob(path + "*")
		for _, f := range files {
			raw, err := os.ReadFile(f)
			if err != nil {
				d.t.Fatal(err)
			}
			b.Write(raw)
		}
	}
	db, err := sql.Open(driver, dsn)
	if err != nil {
		d.t.Fatal(err)
	}
	defer db.Close()
	for _, table := range column(d.t, db, names) {
		rows, err := db.Query(`SELECT * FROM "` + table + `"`)
		if err != nil {
			d.t.Fatal(err)
		}
		cols, _ := rows.Columns()
		for rows.Next() {
			values := make([]any, len(cols))
			for i := range values {
				values[i] = new(sql.RawBytes)
			}
			if err := rows.Scan(values...); err != nil {
				d.t.Fatal(err)
			}
			for _, v := range values {
				b.Write(*v.(*sql.RawBytes))
				b.WriteByte('\n')
			}
		}
		if err := rows.Err(); err != nil {
			d.t.Fatal(err)
		}
		rows.Close()
	}
	return b.String()
}

func column(t testing.TB, db *sql.DB, query string) (out []string) {
	t.Helper()
	rows, err := db.Query(query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			t.Fatal(err)
		}
		out = append(out, s)
	}
	return out
}

// sec-D07: the master key is replaced by serving once with the new one and the old one beside it.
func TestTheMasterKeyIsReplaced(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, d *deployment) {
		d.addUser("probe")
		next := newMasterKey()
		d.set("MASTER_KEY="+next, "MASTER_KEY_PREVIOUS="+testMaster)
		if _, err := d.serve().stop(); err != nil {
			t.Fatal(err)
		}
		d.set("MASTER_KEY=" + next).unset("MASTER_KEY_PREVIOUS")
		d.serve().kill()
		if out := d.run("", "user", "list"); !strings.Contains(out, "probe") {
			t.Errorf("sec-D07 with the new key alone: %s", out)
		}
		d.set("MASTER_KEY=" + testMaster)
		if out, _, code := d.try("", "user", "list"); code == exitOK {
			t.Errorf("sec-D07 the old key still opens the database: %s", out)
		}
	})
}

// sec-D03: whoever changes the log is found out, by position, and a cut tail against a checkpoint kept elsewhere.
func TestAuditVerifyNamesTheFirstBadEntry(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, d *deployment) {
		for _, name := range []string{"ada", "bob", "eve", "joe"} {
			d.addUser(name)
		}
		checkpoint := filepath.Join(d.dir, "checkpoint")
		write(t, checkpoint, d.run("", "audit", "checkpoint"), 0o600)
		d.run("", "audit", "verify", "--checkpoint", checkpoint)

		cfg, err := loadConfig("", d.env, nil)
		if err != nil {
			t.Fatal(err)
		}
		driver, dsn := "pgx", cfg.Database
		if path, ok := strings.CutPrefix(cfg.Database, "sqlite:"); ok {
			driver, dsn = "sqlite", path
		}
		db, err := sql.Open(driver, dsn)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if _, err := db.Exec("UPDATE events SET actor = 'local:nobody' WHERE position = 2"); err != nil {
			t.Fatal(err)
		}
		out, _, code := d.try("", "audit", "verify", "--json")
		var report struct {
			Bad *struct {
				First int64
				Harm  string
			}
		}
		if err := json.Unmarshal([]byte(out), &report); err != nil {
			t.Fatal(err)
		}
		if code != exitUnsound || report.Bad == nil || report.Bad.First != 2 {
			t.Errorf("sec-D03 entry 2 was changed: exit %d, %s", code, out)
		}
	})
}

// TLS is served directly, and a certificate that is renewed is picked up without a restart.
func TestTLSIsServedAndRenewed(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, "sqlite")
	cert, key := filepath.Join(d.dir, "chain.pem"), filepath.Join(d.dir, "key.pem")
	roots := x509.NewCertPool()
	roots.AddCert(selfSigned(t, cert, key))
	d.issuer = strings.Replace(d.issuer, "http:", "https:", 1)
	d.set("ISSUER="+d.issuer, "TLS_CERTIFICATE="+cert, "TLS_KEY="+key)
	a := newApp(d.issuer, "probe", d.addClient("probe", "--redirect-uri", rpCallback))
	p := d.start("serve")
	client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true}}
	ask := func() (*http.Response, error) { return client.Get(d.issuer + "/readyz") }
	var resp *http.Response
	var err error
	for range 600 {
		if resp, err = ask(); err == nil {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, p.logs)
	}
	resp.Body.Close()
	if got := resp.Header.Get("Strict-Transport-Security"); got == "" {
		t.Error("no Strict-Transport-Security under https")
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if resp, err = client.Get(a.authorize("openid")); err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if len(resp.Cookies()) == 0 {
		t.Error("a sign-in was begun without a cookie")
	}
	for _, c := range resp.Cookies() {
		if !strings.HasPrefix(c.Name, "__Host-") || !c.Secure || !c.HttpOnly {
			t.Errorf("sec-R12 cookie %s is not bound to this host, or scripts can read it", c.Name)
		}
	}
	time.Sleep(1100 * time.Millisecond) // modification times are told apart by the second on some file systems
	roots.AddCert(selfSigned(t, cert, key))
	for range 100 {
		if resp, err = ask(); err == nil && resp.TLS.PeerCertificates[0].SerialNumber.Cmp(serialOf(t, cert)) == 0 {
			resp.Body.Close()
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Errorf("the renewed certificate is not served: %v", err)
}
