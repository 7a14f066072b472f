package auth

import (
	"context"
	"crypto/rand"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/countersign-id/countersign/audit"
	"github.com/countersign-id/countersign/internal/fault"
)

const (
	maxPasskeys    = 20
	maxFactorName  = 64
	passLife       = 8 * time.Hour
	maxPassLife    = 72 * time.Hour
	handleBytes    = 32
	lowCodeGroups  = 4 // of four characters: 80 random bits
	passCodeGroups = 5 // 100 random bits
)

// Hold returns the account's holder, with a user handle, which it is given the first time.
func Hold(ctx context.Context, tx Tx, id AccountID) (Holder, error) {
	h, err := tx.Holder(ctx, id)
	if err != nil || len(h.Handle) > 0 {
		return h, err
	}
	h.Handle = make([]byte, handleBytes)
	rand.Read(h.Handle)
	if err := tx.PutHolder(ctx, h); err != nil {
		return h, err
	}
	return tx.Holder(ctx, id) // the first of two stays
}

// Fresh refuses (ErrNotFresh) what is sensitive unless the session's proof is new, and at the level of its account: whoever has a
// second factor proved it (sec-M10, sec-M20). It is asked in the transaction of the act.
func (p SignIn) Fresh(ctx context.Context, tx Tx, cur Current) error {
	s, live, err := liveSession(ctx, tx, cur.Session.ID)
	if err != nil {
		return err
	}
	if !live || s.Account != cur.Account.ID || s.AuthTime.Before(tx.Now().Add(-FreshFor)) {
		return ErrNotFresh
	}
	h, err := p.holding(ctx, tx, s.Account)
	if err != nil {
		return err
	}
	if h.any() && !Meets(AAL2, s.ACR, s.AMR) {
		return ErrNotFresh
	}
	return nil
}

// enrolling is who adds or removes a factor, and what they keep when everything else ends.
type enrolling struct {
	acc    Account
	except SessionID
	origin Origin
}

// begin locks the account of somebody signed in and asks whether they may change factors now.
func (p SignIn) begin(ctx context.Context, tx Tx, cur Current, o Origin) (enrolling, error) {
	if err := tx.LockAccount(ctx, cur.Account.ID); err != nil {
		return enrolling{}, err
	}
	acc, err := tx.Account(ctx, cur.Account.ID)
	if err != nil {
		return enrolling{}, err
	}
	if !acc.Active() {
		return enrolling{}, ErrSignIn
	}
	return enrolling{acc, cur.Session.ID, o}, p.Fresh(ctx, tx, cur)
}

// beginFlow is begin for somebody whom a sign-in leads into enrolment: only there, and only with proofs of now.
func (p SignIn) beginFlow(ctx context.Context, tx Tx, f Flow, o Origin) (enrolling, error) {
	if f.Next() != Enrol {
		return enrolling{}, ErrStep
	}
	acc, ok, err := p.lockActive(ctx, tx, f, o)
	if err != nil {
		return enrolling{}, err
	}
	h, err := tx.Holder(ctx, f.Account)
	if err != nil {
		return enrolling{}, err
	}
	if !ok || h.Version != f.Version {
		return enrolling{}, ErrFlowGone
	}
	return enrolling{acc, f.Session, o}, nil
}

// changed bumps the version of the account's factors and ends what the old ones had opened: other sessions, every grant, trusted
// browsers (sec-S04). It records and notifies.
func (e enrolling) changed(ctx context.Context, tx Tx, kind audit.Kind, text string, detail map[string]string) error {
	id := e.acc.ID
	h, err := Hold(ctx, tx, id)
	if err != nil {
		return err
	}
	h.Version++
	if err := tx.PutHolder(ctx, h); err != nil {
		return err
	}
	ended, err := ending{by: id.actor(), account: id, why: "factors-changed", request: e.origin.Request}.all(ctx, tx, e.except)
	if err != nil {
		return err
	}
	if err := forgetBrowsers(ctx, tx, id, id.actor(), "factors-changed", e.origin); err != nil {
		return err
	}
	all := maps.Clone(detail)
	maps.Copy(all, ended)
	err = tx.Record(ctx, audit.Event{
		Kind: kind, Outcome: audit.OK, Actor: id.actor(), Subject: id.actor(), Session: string(e.except), Request: e.origin.Request,
		Detail: all, Personal: e.origin.personal(),
	})
	if err != nil {
		return err
	}
	return tx.Notify(ctx, Message{Account: id, Text: text, Detail: detail})
}

// factorName is a name as its owner may give it.
func factorName(name string) (string, error) {
	name = strings.TrimSpace(name)
	if name == "" || utf8.RuneCountInString(name) > maxFactorName || !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl) {
		return "", ErrNameLong
	}
	return name, nil
}

func (e enrolling) addPasskey(ctx context.Context, tx Tx, k Passkey) error {
	keys, err := tx.Passkeys(ctx, e.acc.ID)
	if err != nil {
		return err
	}
	if len(keys) >= maxPasskeys {
		return ErrTooMany
	}
	if k.Name, err = factorName(k.Name); err != nil {
		return err
	}
	k.ID, k.Account, k.CreatedAt = PasskeyID(tx.NewID()), e.acc.ID, tx.Now()
	if err := tx.AddPasskey(ctx, k); err != nil {
		return err
	}
	return e.changed(ctx, tx, audit.FactorAdded, "passkey-added", map[string]string{"way": string(ByPasskey), "name": k.Name, "model": k.Model})
}

func (e enrolling) addTOTP(ctx context.Context, tx Tx, secret Secret, step int64) error {
	t := TOTP{Account: e.acc.ID, Secret: secret, Step: step, CreatedAt: tx.Now(), UsedAt: tx.Now()}
	if err := tx.PutTOTP(ctx, t); err != nil {
		return err
	}
	return e.changed(ctx, tx, audit.FactorAdded, "authenticator-added", map[string]string{"way": string(ByCode)})
}

// AddPasskey adds a passkey that auth/passkey verified to the account of somebody signed in.
func (p SignIn) AddPasskey(ctx context.Context, tx Tx, cur Current, k Passkey, o Origin) (Established, error) {
	e, err := p.begin(ctx, tx, cur, o)
	if err != nil {
		return Established{}, err
	}
	if err := e.addPasskey(ctx, tx, k); err != nil {
		return Established{}, err
	}
	return p.renewed(ctx, tx, e, nil)
}

// AddTOTP adds an authenticator app, in place of the one before. step is that of the first code, by which it was proved: it is spent,
// and the session has proved it too.
func (p SignIn) AddTOTP(ctx context.Context, tx Tx, cur Current, secret Secret, step int64, o Origin) (Established, error) {
	e, err := p.begin(ctx, tx, cur, o)
	if err != nil {
		return Established{}, err
	}
	if err := e.addTOTP(ctx, tx, secret, step); err != nil {
		return Established{}, err
	}
	return p.renewed(ctx, tx, e, &Proof{Way: ByCode, At: tx.Now()})
}

// renewed gives the session that changed its account's factors a new token, and what it proved on the way.
func (p SignIn) renewed(ctx context.Context, tx Tx, e enrolling, proof *Proof) (Established, error) {
	s, live, err := liveSession(ctx, tx, e.except)
	if err != nil {
		return Established{}, err
	}
	if !live {
		return Established{}, ErrStale
	}
	old, token := s.TokenHash, randomText(32)
	s.TokenHash, s.SeenAt = hashToken(token), tx.Now()
	if proof != nil {
		sum := assurance{s.ACR, s.AMR}.and(proof.alone())
		s.ACR, s.AMR = sum.acr, sum.amr
	}
	ok, err := tx.RenewSession(ctx, s, old)
	if err != nil {
		return Established{}, err
	}
	if !ok {
		return Established{}, ErrStale
	}
	return Established{Session: s, Token: Secret(token)}, recordSuperseded(ctx, tx, s, e.origin)
}

// EnrolPasskey adds a passkey in a sign-in that asks for one. It is still to be proved there: making it proved nothing.
func (p SignIn) EnrolPasskey(ctx context.Context, tx Tx, f Flow, k Passkey, o Origin) (Flow, error) {
	e, err := p.beginFlow(ctx, tx, f, o)
	if err != nil {
		return f, err
	}
	if err := e.addPasskey(ctx, tx, k); err != nil {
		return f, err
	}
	f.Pass = false
	return p.again(ctx, tx, f, e.acc, o)
}

// EnrolTOTP adds an authenticator app in a sign-in that asks for a factor; its first code is a proof.
func (p SignIn) EnrolTOTP(ctx context.Context, tx Tx, f Flow, secret Secret, step int64, o Origin) (Flow, error) {
	e, err := p.beginFlow(ctx, tx, f, o)
	if err != nil {
		return f, err
	}
	if err := e.addTOTP(ctx, tx, secret, step); err != nil {
		return f, err
	}
	f.Pass = false
	return p.accept(ctx, tx, f, e.acc, Proof{Way: ByCode, At: tx.Now()}, o)
}

// PutOff puts enrolment off, where policy allows it.
func (p SignIn) PutOff(ctx context.Context, tx Tx, f Flow, o Origin) (Flow, error) {
	if !f.MayPutOff(tx.Now()) {
		return f, ErrStep
	}
	if err := tx.LockAccount(ctx, f.Account); err != nil {
		return f, err
	}
	h, err := Hold(ctx, tx, f.Account)
	if err != nil {
		return f, err
	}
	if h.GraceAt.IsZero() {
		h.GraceAt = tx.Now()
		if err := tx.PutHolder(ctx, h); err != nil {
			return f, err
		}
	}
	f.Later = true
	err = tx.Record(ctx, audit.Event{
		Kind: audit.EnrolmentPutOff, Outcome: audit.OK, Actor: f.Account.actor(), Subject: f.Account.actor(), Client: string(f.Client), Request: o.Request,
		Detail: map[string]string{"until": f.GraceTo.UTC().Format(time.RFC3339), "level": strings.Join(f.Need.Levels, " ")}, Personal: o.personal(),
	})
	if err != nil {
		return f, err
	}
	return f, keepOn(ctx, tx, f)
}

// RenamePasskey gives a passkey another name.
func RenamePasskey(ctx context.Context, tx Tx, cur Current, id PasskeyID, name string, o Origin) error {
	name, err := factorName(name)
	if err != nil {
		return err
	}
	ok, err := tx.RenamePasskey(ctx, cur.Account.ID, id, name)
	if err != nil {
		return err
	}
	if !ok {
		return ErrNoFactor
	}
	return tx.Record(ctx, audit.Event{
		Kind: audit.FactorRenamed, Outcome: audit.OK, Actor: cur.Account.ID.actor(), Subject: cur.Account.ID.actor(), Session: string(cur.Session.ID),
		Request: o.Request, Detail: map[string]string{"passkey": string(id), "name": name}, Personal: o.personal(),
	})
}

// RemovePasskey removes a passkey, unless it is the last that the account needs. refused is an outcome.
func (p SignIn) RemovePasskey(ctx context.Context, tx Tx, cur Current, id PasskeyID, o Origin) (Established, *fault.Error, error) {
	return p.remove(ctx, tx, cur, o, map[string]string{"way": string(ByPasskey), "passkey": string(id)}, "passkey-removed", func(h *holding) (func() (bool, error), bool) {
		at := slices.IndexFunc(h.keys, func(k Passkey) bool { return k.ID == id })
		if at < 0 {
			return nil, false
		}
		h.keys = slices.Delete(slices.Clone(h.keys), at, at+1)
		h.bound = slices.ContainsFunc(h.keys, func(k Passkey) bool { return !k.Synced && k.SuspectAt.IsZero() })
		return func() (bool, error) { return tx.DropPasskey(ctx, cur.Account.ID, id) }, true
	})
}

// RemoveTOTP removes the authenticator app, unless it is the last factor that the account needs.
func (p SignIn) RemoveTOTP(ctx context.Context, tx Tx, cur Current, o Origin) (Established, *fault.Error, error) {
	return p.remove(ctx, tx, cur, o, map[string]string{"way": string(ByCode)}, "authenticator-removed", func(h *holding) (func() (bool, error), bool) {
		there := h.totp.Account != ""
		h.totp = TOTP{}
		return func() (bool, error) { return tx.DropTOTP(ctx, cur.Account.ID) }, there
	})
}

// remove takes a factor away. without says what the account holds then, and how the factor is dropped.
func (p SignIn) remove(ctx context.Context, tx Tx, cur Current, o Origin, detail map[string]string, text string,
	without func(h *holding) (drop func() (bool, error), there bool)) (Established, *fault.Error, error) {
	e, err := p.begin(ctx, tx, cur, o)
	if err != nil {
		return Established{}, nil, err
	}
	h, err := p.holding(ctx, tx, e.acc.ID)
	if err != nil {
		return Established{}, nil, err
	}
	drop, there := without(&h)
	if !there {
		return Established{}, nil, ErrNoFactor
	}
	needed, err := p.needed(ctx, tx, e.acc, h)
	if err != nil {
		return Established{}, nil, err
	}
	if needed {
		return Established{}, ErrLast, tx.Record(ctx, audit.Event{
			Kind: audit.FactorRefused, Outcome: audit.Refused, Code: ErrLast.Code, Actor: e.acc.ID.actor(), Subject: e.acc.ID.actor(),
			Session: string(cur.Session.ID), Request: o.Request, Detail: detail, Personal: o.personal(),
		})
	}
	if ok, err := drop(); err != nil || !ok {
		return Established{}, nil, orNoFactor(err)
	}
	if !h.any() { // codes stand in for a factor; without one they would be one
		if err := tx.PutRecoveryCodes(ctx, e.acc.ID, nil); err != nil {
			return Established{}, nil, err
		}
	}
	if err := e.changed(ctx, tx, audit.FactorRemoved, text, detail); err != nil {
		return Established{}, nil, err
	}
	out, err := p.renewed(ctx, tx, e, nil)
	return out, nil, err
}

func orNoFactor(err error) error {
	if err == nil {
		return ErrNoFactor
	}
	return err
}

// needed reports whether an account that holds no more than h could not sign in any more as policy asks, or not at all.
func (p SignIn) needed(ctx context.Context, tx Tx, acc Account, h holding) (bool, error) {
	s, err := SituationOf(ctx, tx, acc)
	if err != nil {
		return false, err
	}
	if slices.ContainsFunc(p.Policy.Need(s).Levels, func(l string) bool { return !h.canReach(l) }) {
		return true, nil
	}
	pw, err := tx.Password(ctx, acc.ID)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return false, err
	}
	return pw.Hash == "" && len(h.keys) == 0, nil
}

// NewRecoveryCodes makes ten recovery codes in place of all before, and returns them: they are shown once, and only their MACs kept.
func (p SignIn) NewRecoveryCodes(ctx context.Context, tx Tx, cur Current, o Origin) ([]string, error) {
	e, err := p.begin(ctx, tx, cur, o)
	if err != nil {
		return nil, err
	}
	h, err := p.holding(ctx, tx, e.acc.ID)
	if err != nil {
		return nil, err
	}
	if !h.any() {
		return nil, ErrNoFactor
	}
	var codes []string
	var rows []RecoveryCode
	for range recoverySize {
		c := newCode(lowCodeGroups)
		codes = append(codes, c)
		rows = append(rows, RecoveryCode{Account: e.acc.ID, Hash: p.recoveryHash(e.acc.ID, c), CreatedAt: tx.Now()})
	}
	if err := tx.PutRecoveryCodes(ctx, e.acc.ID, rows); err != nil {
		return nil, err
	}
	err = tx.Record(ctx, audit.Event{
		Kind: audit.RecoveryMade, Outcome: audit.OK, Actor: e.acc.ID.actor(), Subject: e.acc.ID.actor(), Session: string(cur.Session.ID), Request: o.Request,
		Detail: map[string]string{"codes": strconv.Itoa(len(codes))}, Personal: o.personal(),
	})
	if err != nil {
		return nil, err
	}
	return codes, tx.Notify(ctx, Message{Account: e.acc.ID, Text: "recovery-codes-made"})
}

// AreRecoveryCodes reports whether all of codes are the account's and unused: what a browser may be handed as a file.
func (p SignIn) AreRecoveryCodes(ctx context.Context, tx Tx, id AccountID, codes []string) (bool, error) {
	rows, err := tx.RecoveryCodes(ctx, id)
	if err != nil || len(codes) == 0 || len(codes) > recoverySize {
		return false, err
	}
	for _, c := range codes {
		want := string(p.recoveryHash(id, c))
		if !slices.ContainsFunc(rows, func(r RecoveryCode) bool { return string(r.Hash) == want }) {
			return false, nil
		}
	}
	return true, nil
}

// newCode returns a code of groups of four characters, twenty random bits each.
func newCode(groups int) string {
	b := make([]byte, groups*4)
	rand.Read(b)
	var out strings.Builder
	for i, c := range b {
		if i > 0 && i%4 == 0 {
			out.WriteByte('-')
		}
		out.WriteByte(codeText[c%32])
	}
	return out.String()
}

// ForgetBrowser ends the trust in one of an account's browsers.
func ForgetBrowser(ctx context.Context, tx Tx, cur Current, id BrowserID, o Origin) error {
	ok, err := tx.DropTrustedBrowser(ctx, cur.Account.ID, id)
	if err != nil {
		return err
	}
	if !ok {
		return ErrNoFactor
	}
	return recordBrowser(ctx, tx, audit.BrowserForgotten, cur.Account.ID.actor(), cur.Account.ID, id, "by-owner", o)
}

// IssuePass makes a temporary pass for an account and returns it: a single-use right to enrol a factor, for those who lost theirs. by
// must have power over the account. A zero life is eight hours.
func (p SignIn) IssuePass(ctx context.Context, tx Tx, by string, id AccountID, life time.Duration) (Secret, time.Time, error) {
	if life <= 0 {
		life = passLife
	}
	if life > maxPassLife {
		return nil, time.Time{}, fault.New(fault.Invalid, "pass-too-long", "A temporary pass lives at most 72 hours.")
	}
	if err := tx.LockAccount(ctx, id); err != nil {
		return nil, time.Time{}, err
	}
	acc, err := tx.Account(ctx, id)
	if err != nil {
		return nil, time.Time{}, err
	}
	if !acc.Active() {
		return nil, time.Time{}, fault.New(fault.Conflict, "account-disabled", "The account is disabled. Enable it first.")
	}
	code, ends := newCode(passCodeGroups), tx.Now().Add(life)
	if err := tx.PutPass(ctx, Pass{Account: id, Hash: p.passHash(id, code), By: by, CreatedAt: tx.Now(), Ends: ends}); err != nil {
		return nil, time.Time{}, err
	}
	err = tx.Record(ctx, audit.Event{
		Kind: audit.PassIssued, Outcome: audit.OK, Actor: by, Subject: id.actor(), Detail: map[string]string{"ends": ends.UTC().Format(time.RFC3339)},
	})
	if err != nil {
		return nil, time.Time{}, err
	}
	return Secret(code), ends, tx.Notify(ctx, Message{Account: id, Text: "pass-issued"})
}

// SeedTOTP gives an account an authenticator app on an operator's behalf, as a demonstration needs it.
func SeedTOTP(ctx context.Context, tx Tx, by string, id AccountID, secret Secret) error {
	if err := tx.PutTOTP(ctx, TOTP{Account: id, Secret: secret, CreatedAt: tx.Now()}); err != nil {
		return err
	}
	h, err := Hold(ctx, tx, id)
	if err != nil {
		return err
	}
	h.Version++
	if err := tx.PutHolder(ctx, h); err != nil {
		return err
	}
	return tx.Record(ctx, audit.Event{
		Kind: audit.FactorAdded, Outcome: audit.OK, Actor: by, Subject: id.actor(), Detail: map[string]string{"way": string(ByCode)},
	})
}

// Protection is what protects an account, as its owner sees it.
type Protection struct {
	Passkeys []Passkey
	TOTP     TOTP // without its secret; zero: none
	Closed   bool // the app is closed
	Codes    int
	CodesAt  time.Time
	Browsers []TrustedBrowser
	Password Password // without its hash; zero: none
	Need     Need
	Fresh    bool // what is sensitive may be done now
	Handle   []byte
}

// Protects reads what protects the account of somebody signed in.
func (p SignIn) Protects(ctx context.Context, tx Tx, cur Current) (out Protection, err error) {
	h, err := p.holding(ctx, tx, cur.Account.ID)
	if err != nil {
		return out, err
	}
	out = Protection{Passkeys: h.keys, TOTP: h.totp, Closed: h.closed, Codes: h.codes, Handle: h.holder.Handle}
	out.TOTP.Secret = nil
	codes, err := tx.RecoveryCodes(ctx, cur.Account.ID)
	if err != nil {
		return out, err
	}
	if len(codes) > 0 {
		out.CodesAt = codes[0].CreatedAt
	}
	if out.Browsers, err = tx.TrustedBrowsers(ctx, cur.Account.ID); err != nil {
		return out, err
	}
	if out.Password, err = tx.Password(ctx, cur.Account.ID); err != nil && !fault.Is(err, fault.NotFound) {
		return out, err
	}
	out.Password.Hash = ""
	s, err := SituationOf(ctx, tx, cur.Account)
	if err != nil {
		return out, err
	}
	out.Need = p.Policy.Need(s)
	switch err := p.Fresh(ctx, tx, cur); {
	case err == nil:
		out.Fresh = true
	case !fault.Is(err, ErrNotFresh.Kind):
		return out, err
	}
	return out, nil
}
