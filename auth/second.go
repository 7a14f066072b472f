package auth

import (
	"bytes"
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/countersign-id/countersign/audit"
	"github.com/countersign-id/countersign/internal/fault"
)

// The limits of guesses at a second factor. They count per account, whatever session or source a guess comes from, and a right password
// takes nothing back (sec-M04). With three codes of a million valid at a time, 333 guesses a year leave one chance in a thousand: two
// windows of a year that meet hold fewer.
const (
	year         = 365 * 24 * time.Hour
	codeYear     = 166
	codeBurst    = 10
	codeWindow   = 15 * time.Minute
	warnCodesAt  = 2  // recovery codes left
	recoverySize = 10 // codes
)

func (t TOTP) closedAt(now time.Time) bool {
	return t.Failed >= codeYear && now.Before(t.FailedAt.Add(year))
}

// The codes of refused second factors, for events.
const (
	whyCode     = "wrong-code"
	whyReplayed = "code-used"
	whyRecovery = "wrong-recovery-code"
	whyUnproved = "wrong-passkey"
	whyUnknownK = "unknown-passkey"
)

// CodeAttempt is a guess at an authenticator's code between its two transactions: counted, not yet judged.
type CodeAttempt struct {
	Account AccountID
	Secret  Secret // what the code is to be verified against, with Step as the last one that was spent
	Step    int64
	flow    FlowID
	made    time.Time
}

// TryCode counts a guess at the code of f's account. The caller verifies it outside any transaction and calls SettleCode. refused is an
// outcome: nothing is evaluated.
func (p SignIn) TryCode(ctx context.Context, tx Tx, f Flow, o Origin) (a CodeAttempt, refused *fault.Error, err error) {
	if f.Next() != Second {
		return a, nil, ErrStep
	}
	t, err := tx.TOTP(ctx, f.Account)
	if fault.Is(err, fault.NotFound) {
		return a, nil, ErrStep
	}
	if err != nil {
		return a, nil, err
	}
	if ok, err := p.spendGuess(ctx, tx, f.Account, o); err != nil || !ok {
		return a, throttled(codeWindow), err
	}
	ok, err := tx.GuessTOTP(ctx, f.Account, year, codeYear)
	if err != nil || !ok {
		return a, ErrClosed, err
	}
	return CodeAttempt{Account: f.Account, Secret: t.Secret, Step: t.Step, flow: f.ID, made: t.CreatedAt}, nil, nil
}

func throttled(wait time.Duration) *fault.Error {
	refused := *ErrThrottled
	refused.Wait = int(wait / time.Second)
	return &refused
}

// spendGuess counts a guess at any second factor that is typed.
func (p SignIn) spendGuess(ctx context.Context, tx Tx, id AccountID, o Origin) (bool, error) {
	a := Attempt{}
	return a.count(ctx, tx, Account{ID: id}, []window{{"second-factor", p.guessKey(id), codeWindow, codeBurst}}, o)
}

func (p SignIn) guessKey(id AccountID) []byte { return mac(p.Key, "limit second factor", string(id)) }

// SettleCode records what came of a guess. step is the time step whose code it was, 0 if none's. trust asks to have this browser
// trusted, should policy allow it.
func (p SignIn) SettleCode(ctx context.Context, tx Tx, a CodeAttempt, f Flow, step int64, trust bool, o Origin) (next Flow, refused *fault.Error, err error) {
	if a.flow != f.ID || a.Account != f.Account || f.Next() != Second {
		return f, nil, ErrStep
	}
	acc, ok, err := p.lockActive(ctx, tx, f, o)
	if err != nil || !ok {
		return f, ErrCode, err
	}
	t, err := tx.TOTP(ctx, acc.ID)
	if fault.Is(err, fault.NotFound) || err == nil && !t.CreatedAt.Equal(a.made) {
		return f, nil, ErrStep // removed or replaced meanwhile
	}
	if err != nil {
		return f, nil, err
	}
	if step == 0 {
		return p.wrongCode(ctx, tx, f, t, whyCode, o)
	}
	if ok, err = tx.SpendTOTP(ctx, acc.ID, step); err != nil {
		return f, nil, err
	}
	if !ok { // that step or a later one was spent: the same answer as a wrong code's (sec-M02)
		return p.wrongCode(ctx, tx, f, t, whyReplayed, o)
	}
	if err := tx.Forgive(ctx, p.guessKey(acc.ID)); err != nil {
		return f, nil, err
	}
	f.Trust = trust
	next, err = p.accept(ctx, tx, f, acc, Proof{Way: ByCode, At: tx.Now()}, o)
	return next, nil, err
}

func (p SignIn) wrongCode(ctx context.Context, tx Tx, f Flow, t TOTP, why string, o Origin) (Flow, *fault.Error, error) {
	if t.closedAt(tx.Now()) {
		err := tx.Record(ctx, audit.Event{
			Kind: audit.FactorClosed, Outcome: audit.Refused, Code: ErrClosed.Code, Actor: "system", Subject: f.Account.actor(),
			Request: o.Request, Detail: map[string]string{"way": string(ByCode)}, Personal: o.personal(),
		})
		if err != nil {
			return f, nil, err
		}
		if err := tx.Notify(ctx, Message{Account: f.Account, Text: "authenticator-closed"}); err != nil {
			return f, nil, err
		}
	}
	return f, ErrCode, refuseFactor(ctx, tx, f, why, o)
}

func refuseFactor(ctx context.Context, tx Tx, f Flow, why string, o Origin) error {
	return tx.Record(ctx, audit.Event{
		Kind: audit.SessionRefused, Outcome: audit.Refused, Code: why, Subject: f.Account.actor(), Client: string(f.Client), Request: o.Request,
		Personal: o.personal(),
	})
}

// lockActive reads f's account under the lock that its changes take. An account that was closed meanwhile is refused with its event.
func (p SignIn) lockActive(ctx context.Context, tx Tx, f Flow, o Origin) (Account, bool, error) {
	if err := tx.LockAccount(ctx, f.Account); err != nil {
		return Account{}, false, err
	}
	acc, err := tx.Account(ctx, f.Account)
	if err != nil {
		return acc, false, err
	}
	if !acc.Active() {
		return acc, false, refuseFactor(ctx, tx, f, whyDisabled, o)
	}
	return acc, true, nil
}

// TryRecovery tries a recovery code, or a temporary pass. Both have more than 64 random bits, so one transaction is enough.
func (p SignIn) TryRecovery(ctx context.Context, tx Tx, f Flow, code string, o Origin) (next Flow, refused *fault.Error, err error) {
	if f.Next() != Second {
		return f, nil, ErrStep
	}
	acc, ok, err := p.lockActive(ctx, tx, f, o)
	if err != nil || !ok {
		return f, ErrRecovery, err
	}
	if ok, err := p.spendGuess(ctx, tx, acc.ID, o); err != nil || !ok {
		return f, throttled(codeWindow), err
	}
	if ok, err = tx.SpendRecoveryCode(ctx, acc.ID, p.recoveryHash(acc.ID, code)); err != nil {
		return f, nil, err
	}
	if ok {
		return p.recovered(ctx, tx, f, acc, o)
	}
	if ok, err = tx.SpendPass(ctx, acc.ID, p.passHash(acc.ID, code)); err != nil {
		return f, nil, err
	}
	if ok {
		return p.passed(ctx, tx, f, acc, o)
	}
	return f, ErrRecovery, refuseFactor(ctx, tx, f, whyRecovery, o)
}

// recovered goes on from a recovery code. Its use tells that a factor may be lost: its owner hears of it, and no browser is trusted
// any more (sec-M16).
func (p SignIn) recovered(ctx context.Context, tx Tx, f Flow, acc Account, o Origin) (Flow, *fault.Error, error) {
	if err := forgetBrowsers(ctx, tx, acc.ID, acc.ID.actor(), "recovery-code-used", o); err != nil {
		return f, nil, err
	}
	left, err := tx.RecoveryCodes(ctx, acc.ID)
	if err != nil {
		return f, nil, err
	}
	n := strconv.Itoa(len(left))
	err = tx.Record(ctx, audit.Event{
		Kind: audit.RecoveryUsed, Outcome: audit.OK, Actor: acc.ID.actor(), Subject: acc.ID.actor(), Client: string(f.Client), Request: o.Request,
		Detail: map[string]string{"left": n}, Personal: o.personal(),
	})
	if err != nil {
		return f, nil, err
	}
	text := "recovery-code-used"
	if len(left) <= warnCodesAt {
		text = "recovery-codes-low"
	}
	if err := tx.Notify(ctx, Message{Account: acc.ID, Text: text, Detail: map[string]string{"left": n}}); err != nil {
		return f, nil, err
	}
	if err := tx.Forgive(ctx, p.guessKey(acc.ID)); err != nil {
		return f, nil, err
	}
	if err := tx.ReopenTOTP(ctx, acc.ID); err != nil {
		return f, nil, err
	}
	f, err = p.accept(ctx, tx, f, acc, Proof{Way: ByRecovery, At: tx.Now()}, o)
	return f, nil, err
}

// passed goes on from a temporary pass: it proves nothing by itself, but lets its holder enrol a factor (I5).
func (p SignIn) passed(ctx context.Context, tx Tx, f Flow, acc Account, o Origin) (Flow, *fault.Error, error) {
	err := tx.Record(ctx, audit.Event{
		Kind: audit.PassUsed, Outcome: audit.OK, Actor: acc.ID.actor(), Subject: acc.ID.actor(), Client: string(f.Client), Request: o.Request,
		Personal: o.personal(),
	})
	if err != nil {
		return f, nil, err
	}
	if err := tx.ReopenTOTP(ctx, acc.ID); err != nil {
		return f, nil, err
	}
	if err := tx.Notify(ctx, Message{Account: acc.ID, Text: "pass-used"}); err != nil {
		return f, nil, err
	}
	f.Pass = true
	f, err = p.again(ctx, tx, f, acc, o)
	return f, nil, err
}

func forgetBrowsers(ctx context.Context, tx Tx, acc AccountID, by, why string, o Origin) error {
	all, err := tx.TrustedBrowsers(ctx, acc)
	if err != nil {
		return err
	}
	if _, err := tx.DropTrustedBrowsers(ctx, acc); err != nil {
		return err
	}
	for _, b := range all {
		if err := recordBrowser(ctx, tx, audit.BrowserForgotten, by, acc, b.ID, why, o); err != nil {
			return err
		}
	}
	return nil
}

// PasskeyProof is an assertion that auth/passkey has verified against Key as it was read.
type PasskeyProof struct {
	Key             Passkey // with its new record and counter
	Verified, Bound bool    // this ceremony's flags
	Back            bool    // the counter did not go forward
}

// PasskeyOwner finds whose a passkey is by the user handle and the credential that a browser sent. Passkeys is all its account has.
func PasskeyOwner(ctx context.Context, tx Tx, handle, credential []byte) (acc Account, h Holder, keys []Passkey, err error) {
	if len(handle) == 0 || len(credential) == 0 {
		return acc, h, nil, ErrPasskey
	}
	if h, err = tx.HolderByHandle(ctx, handle); err != nil {
		return acc, h, nil, unknownPasskey(err)
	}
	if keys, err = tx.Passkeys(ctx, h.Account); err != nil {
		return acc, h, nil, err
	}
	if !slices.ContainsFunc(keys, func(k Passkey) bool { return bytes.Equal(k.Credential, credential) }) {
		return acc, h, nil, ErrPasskey
	}
	acc, err = tx.Account(ctx, h.Account)
	return acc, h, keys, unknownPasskey(err)
}

func unknownPasskey(err error) error {
	if fault.Is(err, fault.NotFound) {
		return ErrPasskey.Because(err)
	}
	return err
}

// SettlePasskey records a proof by a passkey: the first of a sign-in, where it must have verified its holder, or a further one of the
// same account.
func (p SignIn) SettlePasskey(ctx context.Context, tx Tx, f Flow, proof PasskeyProof, trust bool, o Origin) (next Flow, refused *fault.Error, err error) {
	id := proof.Key.Account
	first := f.Next() == Identify || f.Next() == Prove
	switch {
	case first:
		f.forget()
		f.Typed = ""
	case f.Next() != Second || f.Account != id:
		return f, nil, ErrStep
	}
	f.Account = id
	kept := f
	if first {
		kept.Account = ""
	}
	acc, ok, err := p.lockActive(ctx, tx, f, o)
	if err != nil || !ok {
		return kept, ErrPasskey, err
	}
	keys, err := tx.Passkeys(ctx, id)
	if err != nil {
		return kept, nil, err
	}
	at := slices.IndexFunc(keys, func(k Passkey) bool { return k.ID == proof.Key.ID && bytes.Equal(k.Credential, proof.Key.Credential) })
	switch {
	case at < 0, first && !proof.Verified:
		return kept, ErrPasskey, refuseFactor(ctx, tx, f, whyUnproved, o)
	case !keys[at].SuspectAt.IsZero():
		return kept, ErrSuspect, refuseFactor(ctx, tx, f, ErrSuspect.Code, o)
	case proof.Bound && proof.Back:
		return kept, ErrSuspect, p.suspect(ctx, tx, keys[at], o)
	}
	if ok, err = tx.UsePasskey(ctx, proof.Key); err != nil {
		return kept, nil, err
	}
	if !ok && proof.Bound { // another proof with a later counter was first
		return kept, ErrSuspect, p.suspect(ctx, tx, keys[at], o)
	}
	if first && f.WantAccount != "" && f.WantAccount != id {
		return kept, ErrOther, refuseFactor(ctx, tx, f, ErrOther.Code, o)
	}
	if err := tx.ReopenTOTP(ctx, id); err != nil {
		return kept, nil, err
	}
	f.Trust = trust && !first
	next, err = p.accept(ctx, tx, f, acc, Proof{Way: ByPasskey, At: tx.Now(), Verified: proof.Verified, Bound: proof.Bound}, o)
	return next, nil, err
}

// suspect notes that a passkey bound to its device may have been copied (WebAuthn L3 §7.2 step 22). What it proved counts for nothing;
// another factor is asked for. The stored counter stays (sec-M15).
func (p SignIn) suspect(ctx context.Context, tx Tx, k Passkey, o Origin) error {
	if err := tx.SuspectPasskey(ctx, k.ID); err != nil {
		return err
	}
	err := tx.Record(ctx, audit.Event{
		Kind: audit.FactorSuspected, Outcome: audit.Refused, Code: ErrSuspect.Code, Actor: "system", Subject: k.Account.actor(), Request: o.Request,
		Detail: map[string]string{"way": string(ByPasskey), "passkey": string(k.ID)}, Personal: o.personal(),
	})
	if err != nil {
		return err
	}
	return tx.Notify(ctx, Message{Account: k.Account, Text: "passkey-suspect", Detail: map[string]string{"name": k.Name}})
}

// StrayPasskey is the event of a passkey that reached no account, for the coalescer.
func StrayPasskey(f Flow, o Origin) audit.Event {
	return audit.Event{
		Kind: audit.SessionRefused, Outcome: audit.Refused, Code: whyUnknownK, Client: string(f.Client), Request: o.Request, Personal: o.personal(),
	}
}

// RefusePasskey records a proof by a passkey of a known account that did not verify.
func RefusePasskey(ctx context.Context, tx Tx, f Flow, owner AccountID, o Origin) error {
	f.Account = owner
	return refuseFactor(ctx, tx, f, whyUnproved, o)
}

// codeText is the alphabet of recovery codes and passes (Crockford's base 32): nothing in it looks like another.
const codeText = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// plainCode is a code as it was meant: without what stands between its groups, in capitals, look-alikes read as what they look like.
func plainCode(code string) string {
	if len(code) > 128 {
		return ""
	}
	return strings.Map(func(c rune) rune {
		switch {
		case c >= 'a' && c <= 'z':
			c -= 'a' - 'A'
		case c == '-' || c == ' ':
			return -1
		}
		switch c {
		case 'O':
			return '0'
		case 'I', 'L':
			return '1'
		}
		return c
	}, strings.TrimSpace(code))
}

func (p SignIn) recoveryHash(id AccountID, code string) []byte {
	return mac(p.Key, "recovery code", string(id), plainCode(code))
}

func (p SignIn) passHash(id AccountID, code string) []byte {
	return mac(p.Key, "temporary pass", string(id), plainCode(code))
}
