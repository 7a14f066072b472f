package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/auth/passkey"
	"github.com/countersign-id/countersign/internal/fault"
	"github.com/countersign-id/countersign/internal/outbound"
	"github.com/countersign-id/countersign/store"
)

// checkAssurance reads the policy and refuses one that could not be met.
func (c *Config) checkAssurance() error {
	const day = 24 * time.Hour
	p := auth.Policy{Administrators: c.Assurance.Administrators, Trust: c.Assurance.Trust}
	if err := p.Check(); err != nil {
		return errConfig("assurance.administrators", fault.From(err).Text, "use aal2, phr or aal3")
	}
	if c.Assurance.Trust > 90*day {
		return errConfig("assurance.trust", fmt.Sprintf("%s is out of range", c.Assurance.Trust), "use 0s to 2160h")
	}
	for _, text := range c.Assurance.Rules {
		r, err := auth.ParseRule(text)
		if err != nil {
			return errConfig("assurance.rules", fault.From(err).Text, "write it as role=approver level=aal2 grace=7d")
		}
		if r.Grace > 90*day || r.Trust > 90*day {
			return errConfig("assurance.rules", text+" has a time of more than 90 days", "make it shorter")
		}
		p.Rules = append(p.Rules, r)
	}
	c.policy = p
	return c.checkPasskeys()
}

func (c *Config) checkPasskeys() error {
	k := c.Passkeys
	switch {
	case k.KnownOnly && (k.Metadata == "" || k.Attestation == "none"):
		return errConfig("passkeys.known_only", "needs passkeys.metadata and an attestation", "set passkeys.metadata, and passkeys.attestation to direct")
	case strings.HasPrefix(k.Metadata, "http:"):
		return errConfig("passkeys.metadata", "is plain http", "use https, or a file")
	}
	party := c.passkeyConfig()
	party.Issuer = "https://id.example.org" // the issuer is checked elsewhere
	if _, err := passkey.New(party); err != nil {
		return errConfig("passkeys", err.Error(), "see docs/configuration.md")
	}
	if c.issuer == nil || passkey.Possible(c.Issuer) {
		return nil
	}
	for _, r := range append(c.policy.Rules, auth.Rule{Level: c.policy.Administrators}) {
		if r.Level == auth.PHR || r.Level == auth.AAL3 {
			return errConfig("assurance", "asks for "+r.Level+" where no passkeys can be had: the issuer's host is no name", "give the issuer a name, or ask for aal2")
		}
	}
	return nil
}

func (c *Config) passkeyConfig() passkey.Config {
	k := c.Passkeys
	return passkey.Config{
		Issuer: c.Issuer, Name: c.Organisation, Attestation: k.Attestation, Allow: k.Allow, Deny: k.Deny, BoundOnly: k.BoundOnly, Known: k.KnownOnly,
	}
}

// passkeys is the relying party, or nil where the issuer can have none.
func (c *Config) passkeys() (*passkey.Party, error) {
	if !passkey.Possible(c.Issuer) {
		return nil, nil
	}
	return passkey.New(c.passkeyConfig())
}

// learnMetadata reads the FIDO metadata in the background, at once and then once a day. What cannot be read or does not verify leaves
// what was known before.
func learnMetadata(c *Config, party *passkey.Party, log *slog.Logger) func(context.Context) {
	client := outbound.New(outbound.Config{Allow: c.allowed, Bytes: passkey.MaxMetadata, Time: 2 * time.Minute})
	learn := func(ctx context.Context) {
		blob, err := readMetadata(ctx, client, c.Passkeys.Metadata)
		if err == nil {
			var n int
			if n, err = party.Learn(blob); err == nil {
				log.InfoContext(ctx, "FIDO metadata read", "authenticators", n)
				return
			}
		}
		if ctx.Err() == nil {
			log.ErrorContext(ctx, "FIDO metadata not read", "from", c.Passkeys.Metadata, "err", err)
		}
	}
	return func(ctx context.Context) {
		tick := time.NewTicker(24 * time.Hour)
		defer tick.Stop()
		for {
			learn(ctx)
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	}
}

func readMetadata(ctx context.Context, client *outbound.Client, from string) ([]byte, error) {
	if strings.HasPrefix(from, "https://") {
		return client.Get(ctx, from, "application/octet-stream", "application/jwt", "application/jose", "text/plain", "application/json")
	}
	return os.ReadFile(from)
}

// assuranceFindings say what policy asks, of whom, and of one account if it is named.
func (c *Config) assuranceFindings(ctx context.Context, tx *store.Tx, account string) ([]finding, error) {
	out := []finding{{"passkeys", "ok", "to be had at " + c.Issuer}}
	if !passkey.Possible(c.Issuer) {
		out[0] = finding{"passkeys", "note", "none: the issuer's host must be a name, served by https"}
	}
	for _, r := range c.policy.Fitting(auth.Situation{Administers: true}) {
		if r.Administers {
			out = append(out, finding{"assurance", "ok", r.String()})
		}
	}
	for _, r := range c.policy.Rules {
		out = append(out, finding{"assurance", "ok", r.String()})
	}
	if account == "" {
		return out, nil
	}
	a, err := findAccount(ctx, tx, account)
	if err != nil {
		return nil, err
	}
	s, err := auth.SituationOf(ctx, tx, a)
	if err != nil {
		return nil, err
	}
	cur := auth.Current{Account: a}
	p, err := auth.SignIn{Policy: c.policy}.Protects(ctx, tx, cur)
	if err != nil {
		return nil, err
	}
	what := "needs " + strings.Join(p.Need.Levels, " and ")
	if len(p.Need.Levels) == 0 {
		what = "needs nothing besides a first proof"
	}
	for _, r := range c.policy.Fitting(s) {
		what += "; by " + r.String()
	}
	has := fmt.Sprintf("holds %d passkeys", len(p.Passkeys))
	if p.TOTP.Account != "" {
		has += ", an authenticator app"
	}
	has += fmt.Sprintf(", %d recovery codes", p.Codes)
	return append(out, finding{"account " + a.Username, "ok", what}, finding{"account " + a.Username, "ok", has}), nil
}
