package auth

import (
	"context"
	"crypto/subtle"
	"slices"
	"strings"
	"time"

	"github.com/countersign-id/countersign/audit"
	"github.com/countersign-id/countersign/internal/fault"
)

// accept adds a proof to f, works out what stands between it and its end, and writes it.
func (p SignIn) accept(ctx context.Context, tx Tx, f Flow, acc Account, proof Proof, o Origin) (Flow, error) {
	f.Proofs = append(slices.Clone(f.Proofs), proof)
	return p.again(ctx, tx, f.sum(), acc, o)
}

// again works out anew what is asked of f's account, and writes f.
func (p SignIn) again(ctx context.Context, tx Tx, f Flow, acc Account, o Origin) (Flow, error) {
	f, err := p.weigh(ctx, tx, f, acc, o)
	if err != nil {
		return f, err
	}
	var c Client
	if f.Client != "" {
		if c, err = tx.Client(ctx, f.Client); err != nil {
			return f, err
		}
	}
	if f, err = f.consider(ctx, tx, c); err != nil {
		return f, err
	}
	return f, keepOn(ctx, tx, f)
}

// weigh says what policy asks of f's account here, what the account can prove itself with, and whether its browser is trusted.
func (p SignIn) weigh(ctx context.Context, tx Tx, f Flow, acc Account, o Origin) (Flow, error) {
	s, err := SituationOf(ctx, tx, acc)
	if err != nil {
		return f, err
	}
	s.Client, s.Address, s.Asked = f.Client, o.Address, f.Asked
	h, err := p.holding(ctx, tx, acc.ID)
	if err != nil {
		return f, err
	}
	f.Need = p.Policy.Need(s)
	f.Need.Own = h.any()
	f.Ways = slices.DeleteFunc(h.ways(), func(w Way) bool { return w == ByPasskey && !p.Passkeys })
	f.Holds, f.Closed, f.Bound, f.Version = h.any(), h.closed, h.bound, h.holder.Version
	f.GraceTo = graceEnd(f.Need, h.holder, tx.Now())
	f.Waived = ""
	if f.Need.Trust > 0 && !f.Strict {
		b, ok, err := p.trusted(ctx, tx, acc.ID, o)
		if err != nil {
			return f, err
		}
		if ok && tx.Now().Before(b.CreatedAt.Add(f.Need.Trust)) { // a policy that got shorter counts for those trusted before
			f.Waived = b.ID
		}
	}
	return f, nil
}

// graceEnd is until when enrolling may be put off. The time runs from when it was first put off.
func graceEnd(n Need, h Holder, now time.Time) time.Time {
	if h.GraceAt.IsZero() {
		return now.Add(n.Grace)
	}
	return h.GraceAt.Add(n.Grace)
}

// holding is what an account can prove itself with besides a password.
type holding struct {
	holder        Holder
	keys          []Passkey
	totp          TOTP // zero: none
	codes         int
	closed, bound bool
}

func (p SignIn) holding(ctx context.Context, tx Tx, id AccountID) (h holding, err error) {
	if h.holder, err = tx.Holder(ctx, id); err != nil || h.holder.Version == 0 {
		return h, err // an account that never had one, as most: one statement
	}
	if h.keys, err = tx.Passkeys(ctx, id); err != nil {
		return h, err
	}
	if h.totp, err = tx.TOTP(ctx, id); err != nil && !fault.Is(err, fault.NotFound) {
		return h, err
	}
	codes, err := tx.RecoveryCodes(ctx, id)
	if err != nil {
		return h, err
	}
	h.codes, h.closed = len(codes), h.totp.closedAt(tx.Now())
	h.bound = slices.ContainsFunc(h.keys, func(k Passkey) bool { return !k.Synced && k.SuspectAt.IsZero() })
	return h, nil
}

// any reports whether there is a second factor, whether or not it can be used now.
func (h holding) any() bool { return len(h.keys) > 0 || h.totp.Account != "" }

// ways are the factors that can be used now, the strongest first.
func (h holding) ways() (ways []Way) {
	if slices.ContainsFunc(h.keys, func(k Passkey) bool { return k.SuspectAt.IsZero() }) {
		ways = append(ways, ByPasskey)
	}
	if h.totp.Account != "" && !h.closed {
		ways = append(ways, ByCode)
	}
	if h.codes > 0 {
		ways = append(ways, ByRecovery)
	}
	return ways
}

// canReach reports whether the account could still meet a level with what it holds.
func (h holding) canReach(level string) bool {
	switch level {
	case AAL2:
		return h.any()
	case PHR:
		return len(h.keys) > 0
	case AAL3:
		return h.bound
	}
	return true
}

// trusted finds the trusted browser whose cookie o came with, if it is acc's.
func (p SignIn) trusted(ctx context.Context, tx Tx, acc AccountID, o Origin) (TrustedBrowser, bool, error) {
	id, token, ok := strings.Cut(o.Trust, ".")
	if !ok || len(o.Trust) > 128 {
		return TrustedBrowser{}, false, nil
	}
	b, err := tx.TrustedBrowser(ctx, BrowserID(id))
	if fault.Is(err, fault.NotFound) || err == nil && b.Account != acc {
		return TrustedBrowser{}, false, nil
	}
	return b, err == nil && subtle.ConstantTimeCompare(b.TokenHash, hashToken(token)) == 1, err
}

// trust gives the browser that finished f its cookie: a new one where the person asked for it after a second factor, the next one of
// a browser that stood in (sec-S11). A token that was replaced before ends the browser's trust: there are two who hold it.
func (p SignIn) trust(ctx context.Context, tx Tx, f Flow, o Origin) (cookie string, err error) {
	now, token := tx.Now(), randomText(32)
	b := TrustedBrowser{
		ID: f.Waived, Account: f.Account, TokenHash: hashToken(token), CreatedAt: now, SeenAt: now, UserAgent: clip(o.UserAgent, 512), Source: o.Address,
	}
	switch {
	case f.Waived != "":
		_, old, _ := strings.Cut(o.Trust, ".")
		ok, err := tx.RenewTrustedBrowser(ctx, b, hashToken(old))
		if err != nil || !ok {
			return "", err
		}
	case f.Trust && f.Need.Trust > 0 && Meets(AAL2, f.ACR, f.AMR):
		b.ID, b.Ends = BrowserID(tx.NewID()), now.Add(f.Need.Trust)
		if err := tx.AddTrustedBrowser(ctx, b); err != nil {
			return "", err
		}
		if err := recordBrowser(ctx, tx, audit.BrowserTrusted, f.Account.actor(), f.Account, b.ID, "", o); err != nil {
			return "", err
		}
	default:
		return "", nil
	}
	return string(b.ID) + "." + token, nil
}

// noticeStolen ends the trust of a browser whose cookie is an old one.
func (p SignIn) noticeStolen(ctx context.Context, tx Tx, acc AccountID, o Origin) error {
	b, ok, err := p.trusted(ctx, tx, acc, o)
	if err != nil || ok || b.ID == "" {
		return err
	}
	if ok, err = tx.DropTrustedBrowser(ctx, acc, b.ID); err != nil || !ok {
		return err
	}
	return recordBrowser(ctx, tx, audit.BrowserForgotten, "system", acc, b.ID, "token-reused", o)
}

func recordBrowser(ctx context.Context, tx Tx, kind audit.Kind, by string, acc AccountID, id BrowserID, why string, o Origin) error {
	return tx.Record(ctx, audit.Event{
		Kind: kind, Outcome: audit.OK, Code: why, Actor: by, Subject: acc.actor(), Request: o.Request,
		Detail: map[string]string{"browser": string(id)}, Personal: o.personal(),
	})
}

// Falls returns the level that an access token's authentication falls short of, as policy is now (RFC 9470 §3): a person may have got a role
// since that demands more. What a trusted browser may stand in for, or may be put off, is not demanded here.
func (p SignIn) Falls(ctx context.Context, tx Tx, s Standing) (string, error) {
	if !s.Active || s.Account.ID == "" {
		return "", nil
	}
	at, err := SituationOf(ctx, tx, s.Account)
	if err != nil {
		return "", err
	}
	at.Client = s.Client.ID
	n := p.Policy.Need(at)
	if n.Trust > 0 || n.Grace > 0 {
		return "", nil
	}
	for _, level := range slices.Backward(n.Levels) {
		if level == AAL3 { // a token tells the level that was asked for, not the highest reached
			level = PHR
		}
		if !Meets(level, s.Token.ACR, s.Token.AMR) {
			return level, nil
		}
	}
	return "", nil
}
