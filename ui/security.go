package ui

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/auth/passkey"
	"github.com/countersign-id/countersign/auth/totp"
	"github.com/countersign-id/countersign/internal/fault"
	"github.com/countersign-id/countersign/store"
)

// securityData is what protects an account, at a glance, and the next best step.
type securityData struct {
	Strength string // good, fair or weak
	Next     string // passkey, second-passkey, factor, codes, codes-low, suspect or closed; empty: nothing to do
	Passkeys bool   // there are passkeys here
	Keys     []keyLine
	Code     time.Time // when the authenticator app was added; zero: none
	CodeUsed time.Time
	Closed   bool
	Codes    int
	CodesAt  time.Time
	Password time.Time // zero: none
	Browsers []browserLine
	Needs    []string // levels that policy asks of this account
	Signals  signals
}

type keyLine struct {
	ID, Name    string
	Model       string // of its authenticator, where it is known and not its name
	Synced      bool
	Added, Used time.Time
	Suspect     bool
}

type browserLine struct {
	ID, Device, Icon, Address string
	Since, Seen, Ends         time.Time
}

// signals tell the browser what we hold, so that it offers no passkey that was removed, and none under an old name (WebAuthn L3 §5.1.10).
type signals struct{ RP, User, Name, Display, Credentials string }

var securityPage = page[securityData](accountShell, "account/security.html")

func (s *Server) getSecurity(w http.ResponseWriter, r *http.Request, cur auth.Current) error {
	return s.drawSecurity(w, r, cur, nil)
}

func (s *Server) drawSecurity(w http.ResponseWriter, r *http.Request, cur auth.Current, wrong *fault.Error) error {
	ctx := r.Context()
	var p auth.Protection
	err := s.db.View(ctx, func(tx *store.Tx) (err error) {
		p, err = s.signIn.Protects(ctx, tx, cur)
		return err
	})
	if err != nil {
		return err
	}
	f, status := s.room(w, r, cur, "security"), http.StatusOK
	if wrong != nil {
		f, status = f.redraw(wrong), wrong.Kind.Status()
	}
	return securityPage.draw(w, f, status, s.security(f, cur, p))
}

func (s *Server) security(f frame, cur auth.Current, p auth.Protection) securityData {
	d := securityData{
		Passkeys: s.keys != nil, Code: p.TOTP.CreatedAt, CodeUsed: p.TOTP.UsedAt, Closed: p.Closed, Codes: p.Codes, CodesAt: p.CodesAt,
		Password: p.Password.ChangedAt, Needs: p.Need.Levels,
	}
	credentials := []string{}
	for _, k := range p.Passkeys {
		line := keyLine{ID: string(k.ID), Name: k.Name, Synced: k.Synced, Added: k.CreatedAt, Used: k.UsedAt, Suspect: !k.SuspectAt.IsZero()}
		if m := passkey.Model(k.Model); m != k.Name {
			line.Model = m
		}
		d.Keys = append(d.Keys, line)
		credentials = append(credentials, base64.RawURLEncoding.EncodeToString(k.Credential))
		if line.Suspect {
			d.Next = "suspect"
		}
	}
	for _, b := range p.Browsers {
		line := browserLine{ID: string(b.ID), Address: b.Source, Since: b.CreatedAt, Seen: b.SeenAt, Ends: b.Ends}
		line.Device, line.Icon = f.device(b.UserAgent)
		d.Browsers = append(d.Browsers, line)
	}
	d.Strength, d.Next = strength(d)
	if s.keys != nil && len(p.Handle) > 0 {
		list, _ := json.Marshal(credentials) // strings encode
		d.Signals = signals{
			RP: s.keys.ID(), User: base64.RawURLEncoding.EncodeToString(p.Handle), Name: cur.Account.Username, Display: personOf(cur.Account).Label(), Credentials: string(list),
		}
	}
	return d
}

// strength says how well an account is protected, and what its owner should do next.
func strength(d securityData) (strength, next string) {
	app := !d.Code.IsZero()
	switch {
	case d.Next == "suspect":
		return "weak", "suspect"
	case d.Closed:
		return "fair", "closed"
	case len(d.Keys) == 0 && !app && d.Passkeys:
		return "weak", "passkey"
	case len(d.Keys) == 0 && !app:
		return "weak", "factor"
	case d.Codes == 0:
		return "fair", "codes"
	case d.Codes <= 2:
		return "fair", "codes-low"
	case len(d.Keys) == 0 && d.Passkeys:
		return "good", "passkey"
	case len(d.Keys) == 1 && !app:
		return "good", "second-passkey"
	}
	return "good", ""
}

type newKeyData struct{}

var newKeyPage = page[newKeyData](accountShell, "account/newpasskey.html")

func (s *Server) getNewKey(w http.ResponseWriter, r *http.Request, cur auth.Current) error {
	if s.keys == nil {
		return errNoPasskeys
	}
	return newKeyPage.draw(w, s.room(w, r, cur, "security"), http.StatusOK, newKeyData{})
}

// postNewKeyOptions begins to make a passkey.
func (s *Server) postNewKeyOptions(w http.ResponseWriter, r *http.Request, cur auth.Current) error {
	if _, err := readForm(w, r); err != nil {
		return err
	}
	if s.keys == nil {
		return errNoPasskeys
	}
	ctx := r.Context()
	if err := s.db.View(ctx, func(tx *store.Tx) error { return s.signIn.Fresh(ctx, tx, cur) }); err != nil {
		return err
	}
	begun, err := s.beginKey(ctx, cur.Account)
	if err != nil {
		return err
	}
	err = s.db.Update(ctx, func(tx *store.Tx) error { return auth.KeepCeremony(ctx, tx, ofSession(cur, toCreate), begun.State) })
	if err != nil {
		return err
	}
	return options(w, "", begun)
}

// postNewKey adds the passkey that the browser made.
func (s *Server) postNewKey(w http.ResponseWriter, r *http.Request, cur auth.Current) error {
	form, err := readForm(w, r)
	if err != nil {
		return err
	}
	if s.keys == nil {
		return errNoPasskeys
	}
	ctx := r.Context()
	k, err := s.createdKey(ctx, cur.Account, ofSession(cur, toCreate), form.Get("credential"))
	if err == nil {
		if k.Name = s.keyName(r, k); form.Get("name") != "" {
			k.Name = form.Get("name")
		}
		var e auth.Established
		err = s.db.Update(ctx, func(tx *store.Tx) (err error) {
			e, err = s.signIn.AddPasskey(ctx, tx, cur, k, s.oidc.Origin(r))
			return err
		})
		if err == nil {
			return s.changed(w, e, "flash.passkey-added")
		}
	}
	wrong := fault.From(err)
	if wrong.Is(auth.ErrPasskey) || wrong.Is(auth.ErrCeremony) || wrong.Kind == fault.Conflict || wrong.Is(auth.ErrNameLong) {
		return newKeyPage.draw(w, s.room(w, r, cur, "security").redraw(wrong), wrong.Kind.Status(), newKeyData{})
	}
	return notFresh(w, r, err)
}

// changed goes back to the account's factors after one was added or removed, with the session's new token.
func (s *Server) changed(w http.ResponseWriter, e auth.Established, flash string) error {
	s.oidc.Keep(w, e)
	say(w, s.cookies, flash)
	return seeOther(w, "/account/security")
}

func (s *Server) postRenameKey(w http.ResponseWriter, r *http.Request, cur auth.Current) error {
	form, err := readForm(w, r)
	if err != nil {
		return err
	}
	ctx := r.Context()
	err = s.db.Update(ctx, func(tx *store.Tx) error {
		return auth.RenamePasskey(ctx, tx, cur, auth.PasskeyID(form.Get("passkey")), form.Get("name"), s.oidc.Origin(r))
	})
	if errors.Is(err, auth.ErrNameLong) {
		return s.drawSecurity(w, r, cur, fault.From(err).At(""))
	}
	if err != nil {
		return err
	}
	say(w, s.cookies, "flash.passkey-renamed")
	return seeOther(w, "/account/security")
}

func (s *Server) postRemoveKey(w http.ResponseWriter, r *http.Request, cur auth.Current) error {
	form, err := readForm(w, r)
	if err != nil {
		return err
	}
	return s.removed(w, r, cur, "flash.passkey-removed", func(ctx context.Context, tx *store.Tx) (auth.Established, *fault.Error, error) {
		return s.signIn.RemovePasskey(ctx, tx, cur, auth.PasskeyID(form.Get("passkey")), s.oidc.Origin(r))
	})
}

func (s *Server) postRemoveCode(w http.ResponseWriter, r *http.Request, cur auth.Current) error {
	if _, err := readForm(w, r); err != nil {
		return err
	}
	return s.removed(w, r, cur, "flash.totp-removed", func(ctx context.Context, tx *store.Tx) (auth.Established, *fault.Error, error) {
		return s.signIn.RemoveTOTP(ctx, tx, cur, s.oidc.Origin(r))
	})
}

// removed removes a factor, or says why not.
func (s *Server) removed(w http.ResponseWriter, r *http.Request, cur auth.Current, flash string, remove func(ctx context.Context, tx *store.Tx) (auth.Established, *fault.Error, error)) error {
	var e auth.Established
	var refused *fault.Error
	err := s.db.Update(r.Context(), func(tx *store.Tx) (err error) {
		e, refused, err = remove(r.Context(), tx)
		return err
	})
	switch {
	case err != nil:
		return notFresh(w, r, err)
	case refused != nil:
		return s.drawSecurity(w, r, cur, refused)
	}
	return s.changed(w, e, flash)
}

var newCodePage = page[codeData](accountShell, "account/newtotp.html")

// postNewCodeBegin makes a secret for an authenticator app, which counts for nothing before its first code was sent.
func (s *Server) postNewCodeBegin(w http.ResponseWriter, r *http.Request, cur auth.Current) error {
	if _, err := readForm(w, r); err != nil {
		return err
	}
	ctx := r.Context()
	err := s.db.Update(ctx, func(tx *store.Tx) error {
		if err := s.signIn.Fresh(ctx, tx, cur); err != nil {
			return err
		}
		return auth.KeepCeremony(ctx, tx, ofSession(cur, toCode), totp.NewSecret())
	})
	if err != nil {
		return notFresh(w, r, err)
	}
	return seeOther(w, "/account/totp/new")
}

func (s *Server) getNewCode(w http.ResponseWriter, r *http.Request, cur auth.Current) error {
	return s.drawNewCode(w, r, cur, nil)
}

func (s *Server) drawNewCode(w http.ResponseWriter, r *http.Request, cur auth.Current, wrong *fault.Error) error {
	ctx := r.Context()
	var c auth.Ceremony
	err := s.db.View(ctx, func(tx *store.Tx) (err error) {
		c, err = tx.Ceremony(ctx, ofSession(cur, toCode))
		return err
	})
	if errors.Is(err, auth.ErrCeremony) {
		return seeOther(w, "/account/security")
	}
	if err != nil {
		return err
	}
	f, status := s.room(w, r, cur, "security"), http.StatusOK
	if wrong != nil {
		f, status = f.redraw(wrong), wrong.Kind.Status()
	}
	d := s.codePage(c.Body, cur.Account)
	d.Action, d.Back = "/account/totp/new", "/account/security"
	return newCodePage.draw(w, f, status, d)
}

// postNewCode proves the new authenticator app by its first code.
func (s *Server) postNewCode(w http.ResponseWriter, r *http.Request, cur auth.Current) error {
	form, err := readForm(w, r)
	if err != nil {
		return err
	}
	ctx, owner := r.Context(), ofSession(cur, toCode)
	secret, step, err := s.firstCode(ctx, owner, form.Get("code"))
	if wrong := fault.From(err); err != nil && (wrong.Is(auth.ErrCode) || wrong.Is(auth.ErrCeremony)) {
		return s.drawNewCode(w, r, cur, wrong)
	}
	if err != nil {
		return err
	}
	var e auth.Established
	err = s.db.Update(ctx, func(tx *store.Tx) (err error) {
		if _, ok, err := auth.SpendCeremony(ctx, tx, owner); err != nil || !ok {
			return orCeremony(err)
		}
		e, err = s.signIn.AddTOTP(ctx, tx, cur, secret, step, s.oidc.Origin(r))
		return err
	})
	if err != nil {
		return notFresh(w, r, err)
	}
	return s.changed(w, e, "flash.totp-added")
}

type recoveryData struct {
	Left  int
	Codes []string // just made; shown this once
	All   string   // the same, for copying and the file
}

var recoveryPage = page[recoveryData](accountShell, "account/recovery.html")

func (s *Server) getRecovery(w http.ResponseWriter, r *http.Request, cur auth.Current) error {
	ctx := r.Context()
	var p auth.Protection
	err := s.db.View(ctx, func(tx *store.Tx) (err error) {
		p, err = s.signIn.Protects(ctx, tx, cur)
		return err
	})
	if err != nil {
		return err
	}
	return recoveryPage.draw(w, s.room(w, r, cur, "security"), http.StatusOK, recoveryData{Left: p.Codes})
}

// postRecoveryCodes makes new codes and shows them, once: they are not kept as they are.
func (s *Server) postRecoveryCodes(w http.ResponseWriter, r *http.Request, cur auth.Current) error {
	if _, err := readForm(w, r); err != nil {
		return err
	}
	ctx := r.Context()
	var codes []string
	err := s.db.Update(ctx, func(tx *store.Tx) (err error) {
		codes, err = s.signIn.NewRecoveryCodes(ctx, tx, cur, s.oidc.Origin(r))
		return err
	})
	if err != nil {
		return notFresh(w, r, err)
	}
	f := s.room(w, r, cur, "security").still()
	return recoveryPage.draw(w, f, http.StatusOK, recoveryData{Left: len(codes), Codes: codes, All: strings.Join(codes, "\n")})
}

// postRecoveryFile answers with codes as a file. It is made here and not by script, and only of codes that are the reader's.
func (s *Server) postRecoveryFile(w http.ResponseWriter, r *http.Request, cur auth.Current) error {
	form, err := readForm(w, r)
	if err != nil {
		return err
	}
	ctx, codes, ok := r.Context(), strings.Fields(form.Get("codes")), false
	err = s.db.View(ctx, func(tx *store.Tx) (err error) {
		ok, err = s.signIn.AreRecoveryCodes(ctx, tx, cur.Account.ID, codes)
		return err
	})
	if err != nil {
		return err
	}
	if !ok {
		return auth.ErrNoFactor
	}
	f := s.frame(r)
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="recovery-codes.txt"`)
	text := f.T("recovery.file.title", "Host", s.site.Host) + "\r\n" + calm(cur.Account.Username) + "\r\n\r\n" + strings.Join(codes, "\r\n") + "\r\n\r\n" + f.T("recovery.file.once") + "\r\n"
	_, _ = w.Write([]byte(text))
	return nil
}

func (s *Server) postForgetBrowser(w http.ResponseWriter, r *http.Request, cur auth.Current) error {
	form, err := readForm(w, r)
	if err != nil {
		return err
	}
	ctx := r.Context()
	err = s.db.Update(ctx, func(tx *store.Tx) error {
		return auth.ForgetBrowser(ctx, tx, cur, auth.BrowserID(form.Get("browser")), s.oidc.Origin(r))
	})
	if err != nil {
		return err
	}
	say(w, s.cookies, "flash.browser-forgotten")
	return seeOther(w, "/account/security")
}
