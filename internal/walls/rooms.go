package walls

const module = "github.com/countersign-id/countersign/"

// room says what a package may be and import. What tests import is looser: see testLibraries.
type room struct {
	ours []string // packages of ours
	kind kind
}

type kind int

const (
	plain  kind = iota
	domain      // rules and plain types: imports nothing that talks, has no clock but tx.Now
	door        // talks HTTP; opens transactions and lets the domain write in them
	http        // talks HTTP, but opens no transactions
	proof       // exists for tests: only tests, and other such packages, import it
)

// rooms lists every package of ours. Arrows run downhill: fault ← audit ← rbac ← auth ← store ← doors
// ← cmd. One that is not listed fails the test.
var rooms = map[string]room{
	"internal/fault": {kind: domain},
	"audit":          {kind: domain, ours: []string{"internal/fault"}},
	"rbac":           {kind: domain, ours: []string{"audit", "internal/fault"}},
	"rbac/ansi":      {kind: domain, ours: []string{"rbac", "audit", "internal/fault"}},
	"rbac/rulesets":  {kind: domain, ours: []string{"rbac", "internal/fault"}},
	"auth":           {kind: domain, ours: []string{"rbac", "audit", "internal/fault"}},

	"auth/password": {ours: []string{"auth", "internal/fault"}},
	"auth/totp":     {ours: []string{"auth", "internal/fault"}},
	"auth/passkey":  {kind: http, ours: []string{"auth", "internal/fault"}}, // only to keep its library from talking

	"migrations": {},
	"store":      {ours: []string{"auth", "rbac", "audit", "internal/fault", "migrations"}},

	"internal/web":      {kind: http, ours: []string{"audit", "internal/fault"}},
	"internal/outbound": {kind: http, ours: []string{"internal/fault"}},

	"auth/oidc": {kind: door, ours: []string{
		"auth", "auth/password", "rbac", "audit", "store", "internal/fault", "internal/web", "internal/outbound",
	}},
	"ui": {kind: door, ours: []string{
		"auth", "auth/password", "auth/totp", "auth/passkey", "auth/oidc", "rbac", "audit", "store", "internal/fault", "internal/web",
	}},
	"api": {kind: door, ours: []string{
		"auth", "auth/password", "rbac", "audit", "store", "internal/fault", "internal/web",
	}},

	// The demo's application is somebody else's program: it imports nothing of ours.
	"internal/demo/ledger": {kind: http},
	"internal/demo": {ours: []string{
		"auth", "auth/password", "auth/totp", "rbac", "audit", "store", "internal/fault", "internal/demo/ledger",
	}},

	"cmd/countersign": {kind: door, ours: []string{
		"auth", "auth/password", "auth/totp", "auth/passkey", "auth/oidc", "rbac", "rbac/rulesets", "audit", "store", "migrations", "ui", "api",
		"internal/fault", "internal/web", "internal/outbound", "internal/demo", "internal/demo/ledger",
	}},

	"audit/audittest":    {kind: proof, ours: []string{"audit"}},
	"store/storetest":    {kind: proof, ours: everything},
	"internal/leash":     {kind: proof},
	"internal/pgtest":    {kind: proof, ours: []string{"internal/leash"}},
	"internal/campaign":  {kind: proof},
	"internal/tally":     {kind: proof, ours: []string{"internal/pgtest"}},
	"internal/rig":       {kind: proof, ours: everything},
	"internal/bench":     {kind: proof, ours: everything},
	"internal/packaging": {kind: proof},
	"internal/walls":     {kind: proof},
	"test/axe":           {kind: proof},
	"test/casbin":        {kind: proof, ours: []string{"rbac"}}, // a module of its own
}

// everything lets a package for tests import all of ours.
var everything = []string{"*"}

// homes says which packages may import a library; the longest prefix counts. A library that is not
// listed has no home and fails the test. Packages of kind proof are held to testLibraries as well.
var homes = map[string][]string{
	"gorm.io/gorm":                    {"store"},
	"gorm.io/driver/":                 {"store"},
	"modernc.org/sqlite":              {"store"},
	"github.com/jackc/pgx/v5":         {"store"},
	"github.com/pressly/goose/v3":     {"store"},
	"github.com/google/uuid":          {"store", "auth/passkey"}, // there AAGUIDs, as the library takes them
	"github.com/tink-crypto/tink-go/": {"store"},
	"database/sql":                    {"store"},
	"math/rand/v2":                    {"store"}, // the jitter of retries; nothing secret comes of it
	"math/rand":                       {},
	"text/template":                   {},

	"golang.org/x/mod/sumdb/tlog": {"audit", "store"},                    // the store holds hashes by its type
	"golang.org/x/mod/sumdb/note": {"audit", "store", "cmd/countersign"}, // a signer is made where keys are
	"golang.org/x/text/":          {"auth", "auth/password", "ui"},
	"golang.org/x/crypto/argon2":  {"auth/password"},

	"github.com/ory/fosite":                 {"auth/oidc"},
	"github.com/hashicorp/go-retryablehttp": {"auth/oidc"}, // fosite's HTTP client is of this type; ours fetches nothing
	"github.com/go-jose/go-jose/v4":         {"auth/oidc"},
	"golang.org/x/sync/":                    {"auth/oidc", "store", "auth/password"},

	"github.com/pquerna/otp":          {"auth/totp"},
	"github.com/go-webauthn/webauthn": {"auth/passkey"},
	"github.com/go-webauthn/x":        {"auth/passkey"}, // only to keep it from fetching

	"html/template":                    {"ui", "internal/demo/ledger"},
	"github.com/nicksnyder/go-i18n/v2": {"ui"},
	"github.com/BurntSushi/toml":       {"ui"},
	"rsc.io/qr":                        {"ui"},
	"github.com/danielgtaylor/huma/v2": {"api"},

	"code.dny.dev/ssrf":                    {"internal/outbound"},
	"github.com/prometheus/client_golang/": {"internal/web", "cmd/countersign"},
	"github.com/fsnotify/fsnotify":         {"internal/web", "cmd/countersign"},

	"github.com/coreos/go-oidc/v3": {"internal/demo/ledger"},
	"golang.org/x/oauth2":          {"internal/demo/ledger"},

	"github.com/casbin/casbin/v2": {"test/casbin"}, // what the engine is measured beside; no dependency of the product

	"github.com/knadh/koanf/": {"cmd/countersign"},
	"go.yaml.in/yaml/v3":      {"cmd/countersign"},
	"github.com/spf13/cobra":  {"cmd/countersign"},
	"github.com/spf13/pflag":  {"cmd/countersign"},
	"golang.org/x/term":       {"cmd/countersign"},
}

// testLibraries may be imported by every test and by packages of kind proof.
var testLibraries = []string{
	"github.com/google/go-cmp/", "pgregory.net/rapid", "github.com/rogpeppe/go-internal/", "go.uber.org/goleak",
	"github.com/chromedp/", "github.com/descope/virtualwebauthn", "github.com/coreos/go-oidc/v3", "golang.org/x/oauth2", "github.com/zitadel/oidc/v3",
	"github.com/go-jose/go-jose/v4", "github.com/jackc/pgx/v5", "modernc.org/sqlite", "database/sql", "golang.org/x/mod/sumdb/",
	"github.com/compose-spec/compose-go/v2", "go.yaml.in/yaml/v3", "github.com/jba/templatecheck", "github.com/google/safehtml",
	"github.com/prometheus/", "golang.org/x/tools/", "golang.org/x/net/html", "golang.org/x/crypto/", "golang.org/x/sync/", "golang.org/x/text/",
	"math/rand", "math/rand/v2", "html/template", "net/http",
}

// talks lists what the domain does without: it decides and tells nobody. (log/slog is not in it: a
// secret type says there how it is printed.)
var talks = []string{"net", "net/http", "net/rpc", "net/smtp", "os", "os/exec", "os/signal", "syscall", "log", "database/sql", "html/template"}

// madeAtRunTime names the functions of the store that may make SQL, and why no stranger's word gets
// into it.
var madeAtRunTime = map[string]string{
	"store.ExecContext":  "GORM calls it, with what it made of the calls that are held to the rule",
	"store.QueryContext": "GORM calls it, with what it made of the calls that are held to the rule",
	"store.PlaceEntries": "a list of placeholders, one for each row",
	"store.join":         "its columns are the names of a row's fields",
}

// mayWrite names the files of doors that may write by themselves, and why.
var mayWrite = map[string]string{
	"cmd/countersign/workers.go": "refusals that were counted together are events without another effect",
}
