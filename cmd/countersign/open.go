package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/auth/password"
	"github.com/countersign-id/countersign/internal/fault"
	"github.com/countersign-id/countersign/store"
)

// logger writes to standard error: what a command answers stays alone on standard output.
func (c *Config) logger(w io.Writer) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(c.Log.Level)) // checked when the settings were read
	opts := &slog.HandlerOptions{Level: level}
	if c.Log.Format == "text" {
		return slog.New(slog.NewTextHandler(w, opts))
	}
	return slog.New(slog.NewJSONHandler(w, opts))
}

// store is the part of the settings that opening the database takes.
func (c *Config) store(log *slog.Logger) store.Config {
	return store.Config{Database: c.Database, MasterKeys: c.masters, Log: log}
}

// hasher is the password hasher of this deployment.
func (c *Config) hasher() (*password.Hasher, error) {
	workers := c.Password.Workers
	if workers == 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	return password.New(password.Config{
		Memory: uint32(c.Password.MemoryKiB), Time: uint32(c.Password.Time), Threads: uint8(c.Password.Threads), Workers: workers,
	})
}

// strength is the rule for new passwords of this deployment.
func (c *Config) strength() (password.Rules, error) {
	r := password.Rules{MinLength: c.Password.MinLength, Organisation: c.Organisation}
	if c.Password.Blocklist == "" {
		return r, nil
	}
	b, err := os.ReadFile(c.Password.Blocklist)
	if err != nil {
		return r, errConfig("password.blocklist", err.Error(), "name a file that can be read")
	}
	r.Blocked = password.Blocklist(string(b))
	return r, nil
}

// session is how long browser sessions last.
func (c *Config) session() auth.SessionPolicy {
	return auth.SessionPolicy{Idle: c.Session.Idle, Absolute: c.Session.Absolute}
}

func (c *Config) limits() auth.Limits {
	return auth.Limits{
		AccountBurst: c.Throttle.Account, AccountWindow: c.Throttle.AccountWindow, AccountTotal: c.Throttle.AccountTotal,
		SourceBurst: c.Throttle.Source, GlobalBurst: c.Throttle.Global,
	}
}

func (c *Config) lifetimes() auth.Lifetimes {
	l := c.Lifetime
	return auth.Lifetimes{Code: l.Code, AccessToken: l.AccessToken, IDToken: l.IDToken, RefreshIdle: l.RefreshIdle, RefreshAbsolute: l.RefreshAbsolute}
}

func (c *Config) keyPolicy() auth.KeyPolicy {
	return auth.KeyPolicy{Algs: auth.SigningAlgs(), Life: c.Keys.Life, Publish: c.Keys.Publish, Overlap: c.Keys.Overlap}
}

// withStore opens the database for a command and closes it after.
func (c *cli) withStore(ctx context.Context, do func(cfg *Config, db *store.DB) error) error {
	return c.withPatience(ctx, 0, do)
}

// withPatience is withStore for transactions that may take longer than usual.
func (c *cli) withPatience(ctx context.Context, patience time.Duration, do func(cfg *Config, db *store.DB) error) error {
	cfg, err := c.config("master_key")
	if err != nil {
		return err
	}
	opening := cfg.store(c.log(cfg))
	opening.Timeout = patience
	db, err := store.Open(ctx, opening)
	if err != nil {
		return err
	}
	defer db.Close()
	return do(cfg, db)
}

// log is the log of a command other than serve: warnings and worse, so that the terminal stays readable.
func (c *cli) log(cfg *Config) *slog.Logger {
	quiet := *cfg
	if quiet.Log.Level == "info" {
		quiet.Log.Level = "warn"
	}
	return quiet.logger(c.stderr)
}

// readPassword takes a password from standard input, or asks for it at a terminal, twice.
func (c *cli) readPassword(fromStdin bool) (string, error) {
	if fromStdin {
		b, err := io.ReadAll(io.LimitReader(c.stdin, 8<<10))
		if err != nil {
			return "", fmt.Errorf("read password: %w", err)
		}
		return strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r"), nil
	}
	f, ok := c.stdin.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return "", usageError{fmt.Errorf("there is no terminal to ask for a password; give --password-stdin")}
	}
	var said [2]string
	for i, prompt := range []string{"Password: ", "Again: "} {
		fmt.Fprint(c.stderr, prompt)
		b, err := term.ReadPassword(int(f.Fd()))
		fmt.Fprintln(c.stderr)
		if err != nil {
			return "", fmt.Errorf("read password: %w", err)
		}
		said[i] = string(b)
	}
	if said[0] != said[1] {
		return "", fault.New(fault.Invalid, "password-differs", "The two passwords differ.")
	}
	return said[0], nil
}

// newHash checks a new password and hashes it. words are what it must not be made of: names of its person.
func (c *cli) newHash(ctx context.Context, cfg *Config, pw string, words ...string) (string, error) {
	rules, err := cfg.strength()
	if err != nil {
		return "", err
	}
	if f := rules.Weak(pw, words...); f != nil {
		return "", f
	}
	h, err := cfg.hasher()
	if err != nil {
		return "", err
	}
	return h.Hash(ctx, pw)
}

// confirm asks at a terminal before something that cannot be taken back; without one it needs --yes.
func (c *cli) confirm(yes bool, what string) error {
	if yes {
		return nil
	}
	f, ok := c.stdin.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return usageError{fmt.Errorf("%s; give --yes to do it", what)}
	}
	fmt.Fprintf(c.stderr, "%s. Continue? [y/N] ", what)
	line, _ := bufio.NewReader(f).ReadString('\n')
	if a := strings.ToLower(strings.TrimSpace(line)); a != "y" && a != "yes" {
		return fault.New(fault.Denied, "not-confirmed", "Nothing was done.")
	}
	return nil
}
