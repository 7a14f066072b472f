package main

import (
	"encoding/base64"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/providers/rawbytes"
	"github.com/knadh/koanf/v2"

	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/internal/fault"
)

// Config is every setting there is. A setting has a key in the file, a variable COUNTERSIGN_<KEY> and a flag --<key>, with
// dots turned into underscores and hyphens. Of a secret, <KEY>_FILE names a file that holds it. Zero values are good ones.
type Config struct {
	Issuer       string   `key:"issuer" doc:"Public address of this deployment, without a path. It is the iss of every token and never changes." eg:"https://id.example.org"`
	Listen       string   `key:"listen" def:"127.0.0.1:8080" doc:"Address the server listens on."`
	Database     string   `key:"database" def:"sqlite:./countersign.db" doc:"sqlite:PATH for the embedded database, or a postgres:// address." secret:"partly"`
	MasterKey    string   `key:"master_key" secret:"yes" doc:"Key that seals every secret in the database; made by countersign keygen."`
	MasterKeyOld string   `key:"master_key_previous" secret:"yes" doc:"The key before the current one, while the change is under way."`
	Organisation string   `key:"organisation" def:"Countersign" doc:"Name shown on every page."`
	Language     string   `key:"language" def:"en" doc:"Language where the browser names none that is there: en or zh-Hans."`
	Migrate      bool     `key:"migrate" def:"true" doc:"Bring the schema up to date when the server starts."`
	Proxies      []string `key:"trusted_proxies" doc:"Addresses or networks whose forwarded headers count." eg:"10.0.0.0/8"`
	Outbound     []string `key:"outbound_allow" doc:"Private networks that calls to applications may reach, such as a jwks_uri inside." eg:"10.1.0.0/16"`

	TLS struct {
		Cert string `key:"tls.certificate" doc:"Certificate chain, PEM. Read again when the file changes."`
		Key  string `key:"tls.key" doc:"Private key of the certificate, PEM."`
	}
	Metrics struct {
		Listen string `key:"metrics.listen" doc:"Address of the metrics listener; empty switches it off." eg:"127.0.0.1:9464"`
	}
	Log struct {
		Level  string `key:"log.level" def:"info" doc:"debug, info, warn or error."`
		Format string `key:"log.format" def:"json" doc:"json or text."`
	}
	Password struct {
		MinLength int    `key:"password.min_length" def:"15" doc:"Shortest password, in characters. Below 15 only where every person has a second factor (NIST SP 800-63B-4)."`
		Blocklist string `key:"password.blocklist" doc:"File of passwords nobody may choose, one a line, beside the built-in list."`
		MemoryKiB int    `key:"password.memory" def:"19456" doc:"Memory of argon2id, KiB."`
		Time      int    `key:"password.time" def:"2" doc:"Passes of argon2id."`
		Threads   int    `key:"password.threads" def:"1" doc:"Lanes of argon2id."`
		Workers   int    `key:"password.workers" def:"0" doc:"Passwords verified at once; 0 means one for each core."`
	}
	Session struct {
		Idle     time.Duration `key:"session.idle" def:"1h" doc:"A session ends after this long without use."`
		Absolute time.Duration `key:"session.absolute" def:"12h" doc:"A session ends after this long, whatever happens."`
	}
	Throttle struct {
		Account       int           `key:"throttle.account" def:"10" doc:"Password attempts against one name in a window."`
		AccountWindow time.Duration `key:"throttle.account_window" def:"15m" doc:"Length of that window."`
		AccountTotal  int           `key:"throttle.account_total" def:"100" doc:"Attempts against one name in 30 days without a success."`
		Source        int           `key:"throttle.source" def:"60" doc:"Attempts from one network (IPv4 /24, IPv6 /64) in a minute."`
		Global        int           `key:"throttle.global" def:"200" doc:"Attempts in a second over everything."`
	}
	Lifetime struct {
		Code            time.Duration `key:"lifetime.code" def:"60s" doc:"Life of an authorization code."`
		AccessToken     time.Duration `key:"lifetime.access_token" def:"5m" doc:"Life of an access token."`
		IDToken         time.Duration `key:"lifetime.id_token" def:"5m" doc:"Life of an ID token."`
		RefreshIdle     time.Duration `key:"lifetime.refresh_idle" def:"336h" doc:"A refresh token dies after this long without use."`
		RefreshAbsolute time.Duration `key:"lifetime.refresh_absolute" def:"2160h" doc:"A token family dies after this long, whatever happens."`
	}
	Keys struct {
		Life    time.Duration `key:"keys.life" def:"2160h" doc:"How long a signing key signs."`
		Publish time.Duration `key:"keys.publish" def:"24h" doc:"How long a signing key is published before it signs."`
		Overlap time.Duration `key:"keys.overlap" def:"25h" doc:"How long a signing key stays published after it stopped signing."`
	}
	Assurance struct {
		Administrators string        `key:"assurance.administrators" def:"aal2" doc:"What whoever holds administrative power has to prove: aal2 (two factors), phr (a passkey) or aal3. It cannot be less."`
		Rules          []string      `key:"assurance.rules" doc:"Who else has to prove what: conditions (group, role, client, network, outside, acr), then level, grace and trust. The strictest rule wins." eg:"role=approver|controller level=aal2 grace=7d"`
		Trust          time.Duration `key:"assurance.trust" def:"0s" doc:"How long a person may have a browser go without the second factor; 0s: never. No administrator may, and no rule that does not say trust."`
	}
	Passkeys struct {
		Attestation string   `key:"passkeys.attestation" def:"none" doc:"Whether authenticators are asked what they are: none, indirect, direct or enterprise."`
		Allow       []string `key:"passkeys.allow" doc:"AAGUIDs of the authenticators that may be used; empty: all but those denied." eg:"2fc0579f-8113-47ea-b116-bb5a8db9202a"`
		Deny        []string `key:"passkeys.deny" doc:"AAGUIDs of authenticators that may not be used."`
		BoundOnly   bool     `key:"passkeys.bound_only" def:"false" doc:"Refuse passkeys that can be copied between devices."`
		KnownOnly   bool     `key:"passkeys.known_only" def:"false" doc:"Refuse authenticators that the FIDO metadata do not know. Needs passkeys.metadata and an attestation."`
		Metadata    string   `key:"passkeys.metadata" doc:"FIDO metadata (MDS3): a file, or an https address that is asked once a day. The start never waits for it." eg:"https://mds3.fidoalliance.org/"`
	}
	ShutdownGrace time.Duration `key:"shutdown_grace" def:"10s" doc:"How long requests in progress may take once the server was told to stop."`

	bindAll bool // the compose demo alone: a plain listener on all addresses of a container
	issuer  *url.URL
	masters [][]byte
	trusted []netip.Prefix
	allowed []netip.Prefix
	policy  auth.Policy
}

// setting is one field of Config as the file, the environment, flags and the reference see it.
type setting struct {
	Key, Default, Doc, Example string
	Secret                     bool // its value is never printed, and <KEY>_FILE may name a file with it
	index                      []int
	kind                       reflect.Type
}

// Env is the setting's variable.
func (s setting) Env() string {
	return "COUNTERSIGN_" + strings.ToUpper(strings.ReplaceAll(s.Key, ".", "_"))
}

// Flag is the setting's flag, without the hyphens before it.
func (s setting) Flag() string { return strings.NewReplacer(".", "-", "_", "-").Replace(s.Key) }

// show is the setting's value in c as text; a secret's is dots.
func (s setting) show(c *Config) string {
	v := reflect.ValueOf(c).Elem().FieldByIndex(s.index)
	if s.Secret {
		if v.IsZero() {
			return ""
		}
		if s.Key == "database" && strings.HasPrefix(c.Database, "sqlite:") {
			return c.Database
		}
		return auth.Secret(nil).String()
	}
	return fmt.Sprint(v.Interface())
}

// settings lists every setting in the order of Config.
func settings() []setting {
	var all []setting
	var walk func(t reflect.Type, index []int)
	walk = func(t reflect.Type, index []int) {
		for i := range t.NumField() {
			f := t.Field(i)
			at := append(slices.Clone(index), i)
			if key := f.Tag.Get("key"); key != "" {
				all = append(all, setting{
					Key: key, Default: f.Tag.Get("def"), Doc: f.Tag.Get("doc"), Example: f.Tag.Get("eg"),
					Secret: f.Tag.Get("secret") != "", index: at, kind: f.Type,
				})
			} else if f.IsExported() && f.Type.Kind() == reflect.Struct {
				walk(f.Type, at)
			}
		}
	}
	walk(reflect.TypeFor[Config](), nil)
	return all
}

// errConfig is the refusal to start: the key, what is wrong with its value, and the fix, in one line.
func errConfig(key, problem, fix string) error {
	return fault.New(fault.Invalid, "bad-setting", fmt.Sprintf("%s: %s; %s", key, problem, fix)).At(key)
}

// loadConfig reads the file (if any), the environment and flags, the later over the earlier. flags holds what was set by key.
// It refuses unknown keys, values of the wrong type and weak settings; needs names the settings that this command cannot do without.
func loadConfig(file string, environ []string, flags map[string]string, needs ...string) (*Config, error) {
	return loadConfigFor(file, environ, flags, false, needs...)
}

// loadConfigFor is loadConfig; bindAll lets the demo's container listen in the clear on all its addresses.
func loadConfigFor(file string, environ []string, flags map[string]string, bindAll bool, needs ...string) (*Config, error) {
	k := koanf.New("\x00") // keys are compared whole: dots in them are ours, not a path
	if file != "" {
		if err := readFile(k, file); err != nil {
			return nil, err
		}
	}
	if err := readEnv(k, environ); err != nil {
		return nil, err
	}
	over := map[string]any{}
	for key, v := range flags {
		over[key] = v
	}
	if err := k.Load(confmap.Provider(over, "\x00"), nil); err != nil {
		return nil, fmt.Errorf("read flags: %w", err)
	}

	c := &Config{bindAll: bindAll}
	v := reflect.ValueOf(c).Elem()
	for _, s := range settings() {
		var given any = s.Default
		if k.Exists(s.Key) {
			given = k.Get(s.Key)
		}
		if err := assign(v.FieldByIndex(s.index), given); err != nil {
			return nil, errConfig(s.Key, fmt.Sprintf("%v does not read as %s", shown(s, given), typeName(s.kind)), "see docs/configuration.md")
		}
	}
	return c, c.check(needs)
}

// readFile flattens a YAML file into k and refuses keys that no setting has.
func readFile(k *koanf.Koanf, file string) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return errConfig("config", err.Error(), "name a file that can be read")
	}
	tree := koanf.New(".")
	if err := tree.Load(rawbytes.Provider(b), yaml.Parser()); err != nil {
		return errConfig("config", "is not YAML: "+firstLine(err), "mend "+file)
	}
	known := map[string]setting{}
	for _, s := range settings() {
		known[s.Key] = s
	}
	flat := map[string]any{}
	for key, val := range tree.All() {
		if strings.HasSuffix(key, "_file") {
			s, ok := known[strings.TrimSuffix(key, "_file")]
			path, isText := val.(string)
			if !ok || !s.Secret || !isText {
				return errConfig(key, "is not a setting", "remove it or see docs/configuration.md")
			}
			secret, err := secretFile(s.Key, path)
			if err != nil {
				return err
			}
			flat[s.Key] = secret
			continue
		}
		if _, ok := known[key]; !ok {
			return errConfig(key, "is not a setting", "remove it or see docs/configuration.md")
		}
		flat[key] = val
	}
	return k.Load(confmap.Provider(flat, "\x00"), nil)
}

// readEnv takes COUNTERSIGN_… variables into k and refuses those that no setting has.
func readEnv(k *koanf.Koanf, environ []string) error {
	byEnv := map[string]setting{}
	for _, s := range settings() {
		byEnv[s.Env()] = s
	}
	flat := map[string]any{}
	for _, kv := range environ {
		name, val, _ := strings.Cut(kv, "=")
		if !strings.HasPrefix(name, "COUNTERSIGN_") || strings.HasPrefix(name, "COUNTERSIGN_TEST_") || name == "COUNTERSIGN_CONFIG" {
			continue
		}
		if s, ok := byEnv[name]; ok {
			flat[s.Key] = val
			continue
		}
		s, ok := byEnv[strings.TrimSuffix(name, "_FILE")]
		if !ok || !s.Secret || !strings.HasSuffix(name, "_FILE") {
			return errConfig(name, "is not a setting", "unset it or see docs/configuration.md")
		}
		secret, err := secretFile(s.Key, val)
		if err != nil {
			return err
		}
		flat[s.Key] = secret
	}
	return k.Load(confmap.Provider(flat, "\x00"), nil)
}

// secretFile reads a secret and refuses a file that others may read (sec-D14).
func secretFile(key, path string) (string, error) {
	st, err := os.Stat(path)
	if err != nil {
		return "", errConfig(key, "its file cannot be read: "+err.Error(), "name a file that holds the secret")
	}
	if st.Mode().IsRegular() && st.Mode().Perm()&0o077 != 0 && !strings.HasPrefix(path, "/run/secrets/") {
		return "", errConfig(key, fmt.Sprintf("%s can be read by others (mode %04o)", path, st.Mode().Perm()), "chmod 600 "+path)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return "", errConfig(key, "its file cannot be read: "+err.Error(), "name a file that holds the secret")
	}
	return strings.TrimRight(string(b), "\r\n"), nil
}

// assign puts a value from a file (typed) or from text into a field.
func assign(f reflect.Value, given any) error {
	if list, ok := given.([]any); ok {
		if f.Kind() != reflect.Slice {
			return fmt.Errorf("a list")
		}
		var out []string
		for _, v := range list {
			s, ok := v.(string)
			if !ok {
				return fmt.Errorf("%v", v)
			}
			out = append(out, s)
		}
		f.Set(reflect.ValueOf(out))
		return nil
	}
	text := fmt.Sprint(given)
	switch f.Interface().(type) {
	case string:
		if _, ok := given.(string); !ok {
			return fmt.Errorf("%v", given)
		}
		f.SetString(text)
	case bool:
		switch text {
		case "true", "false":
			f.SetBool(text == "true")
		default:
			return fmt.Errorf("%s", text)
		}
	case int:
		var n int
		if _, err := fmt.Sscanf(text+"\n", "%d\n", &n); err != nil {
			return err
		}
		f.SetInt(int64(n))
	case time.Duration:
		d, err := time.ParseDuration(text)
		if err != nil {
			return err
		}
		f.SetInt(int64(d))
	case []string:
		var out []string
		for part := range strings.SplitSeq(text, ",") {
			if part = strings.TrimSpace(part); part != "" {
				out = append(out, part)
			}
		}
		f.Set(reflect.ValueOf(out))
	default:
		panic("config: no reading for " + f.Type().String())
	}
	return nil
}

func typeName(t reflect.Type) string {
	switch t.String() {
	case "time.Duration":
		return "a duration such as 90s, 15m or 24h"
	case "[]string":
		return "a list"
	case "int":
		return "a whole number"
	case "bool":
		return "true or false"
	}
	return "text"
}

func shown(s setting, v any) any {
	if s.Secret {
		return auth.Secret(nil)
	}
	return v
}

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

// check refuses what would run weaker than it should (I29).
func (c *Config) check(needs []string) error {
	for _, need := range needs {
		switch {
		case need == "issuer" && c.Issuer == "":
			return errConfig("issuer", "is not set", "set it to the public address, such as https://id.example.org")
		case need == "master_key" && c.MasterKey == "":
			return errConfig("master_key", "is not set", "run countersign keygen > master.key and set COUNTERSIGN_MASTER_KEY_FILE=master.key")
		}
	}
	for _, step := range []func() error{c.checkKeys, c.checkIssuer, c.checkNetworks, c.checkBounds, c.checkAssurance} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

const masterPrefix = "csmk_"

func (c *Config) checkKeys() error {
	for _, k := range []struct{ key, text string }{{"master_key", c.MasterKey}, {"master_key_previous", c.MasterKeyOld}} {
		if k.text == "" {
			continue
		}
		b, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(k.text, masterPrefix))
		if err != nil || !strings.HasPrefix(k.text, masterPrefix) || len(b) != 32 {
			return errConfig(k.key, "is not a key made by countersign keygen", "run countersign keygen > master.key")
		}
		if distinct(b) < 12 {
			return errConfig(k.key, "is not random", "run countersign keygen > master.key")
		}
		c.masters = append(c.masters, b)
	}
	return nil
}

// distinct counts the byte values in b: 32 random bytes have fewer than 12 of them about once in 10^17.
func distinct(b []byte) int {
	seen := map[byte]bool{}
	for _, v := range b {
		seen[v] = true
	}
	return len(seen)
}

func (c *Config) checkIssuer() error {
	if c.Issuer == "" {
		return nil
	}
	u, err := url.Parse(c.Issuer)
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
		return errConfig("issuer", "is not an http or https address", "set it to the public address, such as https://id.example.org")
	}
	if strings.TrimSuffix(c.Issuer, "/") != u.Scheme+"://"+u.Host || u.User != nil {
		return errConfig("issuer", "has more than scheme, host and port", "use "+u.Scheme+"://"+u.Host)
	}
	c.Issuer = u.Scheme + "://" + strings.ToLower(u.Host)
	u.Path, u.Host = "", strings.ToLower(u.Host)
	c.issuer = u

	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return errConfig("listen", "is not host:port", "use 127.0.0.1:8080 or :8080")
	}
	if u.Scheme == "http" && !loopback(u.Hostname()) {
		return errConfig("issuer", "is plain http on a public host", "use https, or localhost for a trial")
	}
	if u.Scheme == "http" && !loopback(host) && !c.bindAll {
		return errConfig("listen", "is not a loopback address while the issuer is plain http", "listen on 127.0.0.1, or use an https issuer")
	}
	if (c.TLS.Cert == "") != (c.TLS.Key == "") {
		return errConfig("tls.certificate", "and tls.key go together", "set both or neither")
	}
	if u.Scheme == "https" && c.TLS.Cert == "" && !loopback(host) && len(c.Proxies) == 0 {
		return errConfig("listen", "would serve an https issuer in the clear", "set tls.certificate and tls.key, or trusted_proxies where a proxy ends TLS")
	}
	if u.Scheme == "http" && c.TLS.Cert != "" {
		return errConfig("tls.certificate", "is set while the issuer is http", "use an https issuer")
	}
	return nil
}

// loopback reports whether host means this machine alone.
func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && ip.IsLoopback()
}

func (c *Config) checkNetworks() (err error) {
	if c.trusted, err = prefixes("trusted_proxies", c.Proxies); err != nil {
		return err
	}
	if c.allowed, err = prefixes("outbound_allow", c.Outbound); err != nil {
		return err
	}
	return nil
}

func prefixes(key string, texts []string) ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, t := range texts {
		p, err := netip.ParsePrefix(t)
		if err != nil {
			a, errAddr := netip.ParseAddr(t)
			if errAddr != nil {
				return nil, errConfig(key, t+" is neither an address nor a network", "use 10.0.0.7 or 10.0.0.0/8")
			}
			p = netip.PrefixFrom(a, a.BitLen())
		}
		if p.Bits() == 0 {
			return nil, errConfig(key, t+" is everybody", "name the networks you mean")
		}
		out = append(out, p.Masked())
	}
	return out, nil
}

// checkBounds holds every figure to the range in which the promises hold.
func (c *Config) checkBounds() error {
	for _, b := range []struct {
		key        string
		v, lo, hi  int
		why        string
		thresholds string
	}{
		{"password.min_length", c.Password.MinLength, 8, 64, "shorter ones are guessed", "use 15"},
		{"password.memory", c.Password.MemoryKiB, 7168, 1 << 20, "argon2id needs at least 7168 KiB (7 MiB) and we allow at most 1 GiB", "use 19456"},
		{"password.time", c.Password.Time, 1, 16, "passes are 1 to 16", "use 2"},
		{"password.threads", c.Password.Threads, 1, 16, "lanes are 1 to 16", "use 1"},
		{"password.workers", c.Password.Workers, 0, 256, "workers are 0 to 256", "use 0"},
		{"throttle.account", c.Throttle.Account, 3, 100, "attempts are 3 to 100", "use 10"},
		{"throttle.account_total", c.Throttle.AccountTotal, 10, 100, "attempts are 10 to 100 (NIST SP 800-63B-4)", "use 100"},
		{"throttle.source", c.Throttle.Source, 5, 100000, "attempts are 5 to 100000", "use 60"},
		{"throttle.global", c.Throttle.Global, 10, 100000, "attempts are 10 to 100000", "use 200"},
	} {
		if b.v < b.lo || b.v > b.hi {
			return errConfig(b.key, fmt.Sprintf("%d is out of range: %s", b.v, b.why), b.thresholds)
		}
	}
	if c.Password.MemoryKiB*c.Password.Time < 19456*2 && c.Password.MemoryKiB < 47104 {
		return errConfig("password.memory", "with password.time is weaker than 19456 KiB in two passes", "use memory 19456 and time 2, or memory 47104 and time 1")
	}
	return c.checkDurations()
}

func (c *Config) checkDurations() error {
	const day = 24 * time.Hour
	for _, b := range []struct {
		key       string
		v, lo, hi time.Duration
	}{
		{"session.idle", c.Session.Idle, time.Minute, 30 * day},
		{"session.absolute", c.Session.Absolute, 5 * time.Minute, 30 * day},
		{"throttle.account_window", c.Throttle.AccountWindow, time.Minute, day},
		{"lifetime.code", c.Lifetime.Code, 5 * time.Second, time.Minute},
		{"lifetime.access_token", c.Lifetime.AccessToken, 30 * time.Second, time.Hour},
		{"lifetime.id_token", c.Lifetime.IDToken, 30 * time.Second, day},
		{"lifetime.refresh_idle", c.Lifetime.RefreshIdle, time.Minute, 365 * day},
		{"lifetime.refresh_absolute", c.Lifetime.RefreshAbsolute, time.Minute, 2 * 365 * day},
		{"keys.life", c.Keys.Life, time.Hour, 2 * 365 * day},
		{"keys.publish", c.Keys.Publish, 10 * time.Minute, 30 * day},
		{"keys.overlap", c.Keys.Overlap, 10 * time.Minute, 30 * day},
		{"shutdown_grace", c.ShutdownGrace, time.Second, 10 * time.Minute},
	} {
		if b.v < b.lo || b.v > b.hi {
			return errConfig(b.key, fmt.Sprintf("%s is out of range", b.v), fmt.Sprintf("use %s to %s", b.lo, b.hi))
		}
	}
	switch {
	case c.Session.Idle > c.Session.Absolute:
		return errConfig("session.idle", "is longer than session.absolute", "make it shorter")
	case c.Keys.Overlap < c.Lifetime.IDToken || c.Keys.Overlap < c.Lifetime.AccessToken:
		return errConfig("keys.overlap", "is shorter than the tokens the key signed live", "make it longer than lifetime.id_token and lifetime.access_token")
	case c.Keys.Publish >= c.Keys.Life:
		return errConfig("keys.publish", "is not shorter than keys.life", "make it shorter")
	case c.Language != "en" && c.Language != "zh-Hans":
		return errConfig("language", c.Language+" is not there", "use en or zh-Hans")
	case !slices.Contains([]string{"debug", "info", "warn", "error"}, c.Log.Level):
		return errConfig("log.level", c.Log.Level+" is not a level", "use debug, info, warn or error")
	case c.Log.Format != "json" && c.Log.Format != "text":
		return errConfig("log.format", c.Log.Format+" is not a format", "use json or text")
	case strings.TrimSpace(c.Organisation) == "" || len(c.Organisation) > 100:
		return errConfig("organisation", "is empty or longer than 100 bytes", "name your organisation")
	}
	return nil
}
