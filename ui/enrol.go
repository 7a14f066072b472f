package ui

import (
	"context"
	"errors"
	"html/template"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"rsc.io/qr"

	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/auth/passkey"
	"github.com/countersign-id/countersign/auth/totp"
	"github.com/countersign-id/countersign/internal/fault"
	"github.com/countersign-id/countersign/store"
)

type enrolData struct {
	Flow          string
	App           App // the application that asks for it; zero: policy does
	Passkey, Code bool
	Until         time.Time // it may be put off until then; zero: not
	Cancel        bool      // there is an application to go back to
}

type codeData struct {
	Flow   string // empty: on the account's own pages
	Action string
	Back   string
	Key    string // the secret as text
	QR     template.HTML
}

var (
	enrolPage     = page[enrolData](signInShell, "signin/enrol.html")
	enrolCodePage = page[codeData](signInShell, "signin/enroltotp.html")
)

func (s *Server) drawEnrol(w http.ResponseWriter, r *http.Request, f frame, status int, st standing) error {
	ctx, flow := r.Context(), st.flow
	ways := flow.Enrols(s.keys != nil)
	if r.URL.Path == "/login/enrol/totp" && slices.Contains(ways, auth.ByCode) {
		var c auth.Ceremony
		var acc auth.Account
		err := s.db.View(ctx, func(tx *store.Tx) (err error) {
			if c, err = tx.Ceremony(ctx, ofFlow(flow, toCode)); err != nil {
				return err
			}
			acc, err = tx.Account(ctx, flow.Account)
			return err
		})
		switch {
		case err == nil:
			f.Back = ""
			d := s.codePage(c.Body, acc)
			d.Flow, d.Action, d.Back = string(flow.ID), "/login/enrol/totp", withFlow("/login/enrol", flow)
			return enrolCodePage.draw(w, f, status, d)
		case !errors.Is(err, auth.ErrCeremony):
			return err
		}
	}
	_, asked := flow.Lacking()
	data := enrolData{Flow: string(flow.ID), Passkey: slices.Contains(ways, auth.ByPasskey), Code: slices.Contains(ways, auth.ByCode), Cancel: flow.Client != ""}
	if len(asked) > 0 {
		data.App = appOf(st)
	}
	var now time.Time
	if err := s.db.View(ctx, func(tx *store.Tx) error { now = tx.Now(); return nil }); err != nil {
		return err
	}
	if flow.MayPutOff(now) {
		data.Until = flow.GraceTo
	}
	return enrolPage.draw(w, f, status, data)
}

// codePage shows a secret that is not proved yet.
func (s *Server) codePage(secret auth.Secret, acc auth.Account) codeData {
	issuer := s.site.Organisation
	picture, err := qrCode(totp.URL(secret, issuer, acc.Username))
	if err != nil {
		picture = "" // the key can be typed
	}
	return codeData{Key: totp.Text(secret), QR: picture}
}

// qrCode draws text as one path, dark on light in either scheme, with the quiet zone that cameras need.
func qrCode(text string) (template.HTML, error) {
	c, err := qr.Encode(text, qr.M)
	if err != nil {
		return "", err
	}
	const quiet = 4
	var b strings.Builder
	size := strconv.Itoa(c.Size + 2*quiet)
	b.WriteString(`<svg class="qr" viewBox="0 0 ` + size + ` ` + size + `" aria-hidden="true" focusable="false" shape-rendering="crispEdges"><rect width="` + size + `" height="` + size + `" fill="#fff"/><path fill="#000" d="`)
	for y := range c.Size {
		for x := 0; x < c.Size; x++ {
			run := 0
			for x+run < c.Size && c.Black(x+run, y) {
				run++
			}
			if run > 0 {
				b.WriteString("M" + strconv.Itoa(x+quiet) + " " + strconv.Itoa(y+quiet) + "h" + strconv.Itoa(run) + "v1h-" + strconv.Itoa(run) + "z")
				x += run
			}
		}
	}
	b.WriteString(`"/></svg>`)
	return template.HTML(b.String()), nil // numbers alone
}

// enrolling reads a form of somebody whom a sign-in leads into enrolment.
func (s *Server) enrolling(w http.ResponseWriter, r *http.Request, way auth.Way) (form map[string][]string, st standing, acc auth.Account, err error) {
	values, err := readForm(w, r)
	if err != nil {
		return nil, st, acc, err
	}
	ctx := r.Context()
	err = s.db.View(ctx, func(tx *store.Tx) (err error) {
		if st, err = s.stand(ctx, tx, r, values.Get("flow")); err != nil {
			return err
		}
		if st.flow.Next() != auth.Enrol || way != "" && !slices.Contains(st.flow.Enrols(s.keys != nil), way) {
			return auth.ErrStep
		}
		acc, err = tx.Account(ctx, st.flow.Account)
		return err
	})
	return values, st, acc, err
}

// wrongStep sends who is elsewhere to where their flow stands.
func wrongStep(w http.ResponseWriter, st standing, err error) error {
	if errors.Is(err, auth.ErrStep) && st.flow.ID != "" {
		return seeOther(w, stepOrStart(st.flow))
	}
	return err
}

// postEnrolCodeBegin makes a secret for an authenticator app. It counts for nothing before its first code was sent.
func (s *Server) postEnrolCodeBegin(w http.ResponseWriter, r *http.Request) error {
	_, st, _, err := s.enrolling(w, r, auth.ByCode)
	if err != nil {
		return wrongStep(w, st, err)
	}
	if err := s.keepCeremony(r, string(st.flow.ID), toCode, auth.Enrol, totp.NewSecret()); err != nil {
		return wrongStep(w, st, err)
	}
	return seeOther(w, withFlow("/login/enrol/totp", st.flow))
}

// postEnrolCode proves a new authenticator app by its first code.
func (s *Server) postEnrolCode(w http.ResponseWriter, r *http.Request) error {
	form, st, _, err := s.enrolling(w, r, auth.ByCode)
	if err != nil {
		return wrongStep(w, st, err)
	}
	var code string
	if len(form["code"]) > 0 {
		code = form["code"][0]
	}
	secret, step, err := s.firstCode(r.Context(), ofFlow(st.flow, toCode), code)
	if err != nil {
		if wrong := fault.From(err); wrong.Is(auth.ErrCode) || wrong.Is(auth.ErrCeremony) {
			return s.drawStep(w, r, st, wrong)
		}
		return err
	}
	return s.enrolled(w, r, st, ofFlow(st.flow, toCode), func(ctx context.Context, tx *store.Tx, f auth.Flow) (auth.Flow, error) {
		return s.signIn.EnrolTOTP(ctx, tx, f, secret, step, s.oidc.Origin(r))
	})
}

// firstCode says which step the first code of a secret that waits to be proved belongs to.
func (s *Server) firstCode(ctx context.Context, owner, code string) (secret auth.Secret, step int64, err error) {
	var now time.Time
	err = s.db.View(ctx, func(tx *store.Tx) error {
		c, err := tx.Ceremony(ctx, owner)
		secret, now = c.Body, tx.Now()
		return err
	})
	if err != nil {
		return nil, 0, err
	}
	if step = totp.Match(secret, code, now); step == 0 {
		return nil, 0, auth.ErrCode
	}
	return secret, step, nil
}

// enrolled spends the ceremony and adds the factor in one transaction, and goes on.
func (s *Server) enrolled(w http.ResponseWriter, r *http.Request, st standing, owner string, add func(ctx context.Context, tx *store.Tx, f auth.Flow) (auth.Flow, error)) error {
	ctx := r.Context()
	var next auth.Flow
	err := s.db.Update(ctx, func(tx *store.Tx) (err error) {
		if st, err = s.stand(ctx, tx, r, string(st.flow.ID)); err != nil {
			return err
		}
		if _, ok, err := auth.SpendCeremony(ctx, tx, owner); err != nil || !ok {
			return orCeremony(err)
		}
		next, err = add(ctx, tx, st.flow)
		return err
	})
	if wrong := fault.From(err); err != nil && (wrong.Kind == fault.Conflict || wrong.Is(auth.ErrCeremony) || wrong.Kind == fault.Invalid) && !wrong.Is(auth.ErrStep) {
		return s.drawStep(w, r, st, wrong)
	}
	if err != nil {
		return wrongStep(w, st, err)
	}
	return s.advance(w, r, next)
}

func orCeremony(err error) error {
	if err == nil {
		return auth.ErrCeremony
	}
	return err
}

// postEnrolKeyOptions begins to make a passkey in a sign-in.
func (s *Server) postEnrolKeyOptions(w http.ResponseWriter, r *http.Request) error {
	_, st, acc, err := s.enrolling(w, r, auth.ByPasskey)
	if err != nil {
		return err
	}
	begun, err := s.beginKey(r.Context(), acc)
	if err != nil {
		return err
	}
	if err := s.keepCeremony(r, string(st.flow.ID), toCreate, auth.Enrol, begun.State); err != nil {
		return err
	}
	return options(w, "", begun)
}

// beginKey begins to make a passkey for an account, which is given a user handle the first time.
func (s *Server) beginKey(ctx context.Context, acc auth.Account) (passkey.Begun, error) {
	var who passkey.Person
	err := s.db.Update(ctx, func(tx *store.Tx) (err error) {
		if _, err = auth.Hold(ctx, tx, acc.ID); err != nil {
			return err
		}
		who, err = keysOf(ctx, tx, acc)
		return err
	})
	if err != nil {
		return passkey.Begun{}, err
	}
	return s.keys.Create(who)
}

// createdKey spends the ceremony of owner and verifies what the browser made of it.
func (s *Server) createdKey(ctx context.Context, acc auth.Account, owner, response string) (auth.Passkey, error) {
	var state auth.Secret
	var ok bool
	var who passkey.Person
	err := s.db.Update(ctx, func(tx *store.Tx) (err error) {
		if state, ok, err = auth.SpendCeremony(ctx, tx, owner); err != nil || !ok {
			return err
		}
		who, err = keysOf(ctx, tx, acc)
		return err
	})
	if err != nil || !ok {
		return auth.Passkey{}, orCeremony(err)
	}
	return s.keys.Created(who, state, []byte(response))
}

// postEnrolKey adds a passkey in a sign-in; it is proved next.
func (s *Server) postEnrolKey(w http.ResponseWriter, r *http.Request) error {
	form, st, acc, err := s.enrolling(w, r, auth.ByPasskey)
	if err != nil {
		return wrongStep(w, st, err)
	}
	var response string
	if len(form["credential"]) > 0 {
		response = form["credential"][0]
	}
	ctx := r.Context()
	k, err := s.createdKey(ctx, acc, ofFlow(st.flow, toCreate), response)
	if err == nil {
		k.Name = s.keyName(r, k)
		var next auth.Flow
		err = s.db.Update(ctx, func(tx *store.Tx) (err error) {
			if st, err = s.stand(ctx, tx, r, string(st.flow.ID)); err != nil {
				return err
			}
			next, err = s.signIn.EnrolPasskey(ctx, tx, st.flow, k, s.oidc.Origin(r))
			return err
		})
		if err == nil {
			return s.advance(w, r, next)
		}
	}
	if wrong := fault.From(err); wrong.Is(auth.ErrPasskey) || wrong.Is(auth.ErrCeremony) || wrong.Kind == fault.Conflict && !wrong.Is(auth.ErrStep) {
		return s.drawStep(w, r, st, wrong)
	}
	return wrongStep(w, st, err)
}

// keyName proposes a name for a passkey: its authenticator's, or that of the device it was made on.
func (s *Server) keyName(r *http.Request, k auth.Passkey) string {
	if k.Name != "" {
		return k.Name
	}
	device, _ := s.frame(r).device(r.UserAgent())
	return device
}

// postLater puts enrolment off.
func (s *Server) postLater(w http.ResponseWriter, r *http.Request) error {
	_, st, _, err := s.enrolling(w, r, "")
	if err != nil {
		return wrongStep(w, st, err)
	}
	ctx := r.Context()
	var next auth.Flow
	err = s.db.Update(ctx, func(tx *store.Tx) (err error) {
		if st, err = s.stand(ctx, tx, r, string(st.flow.ID)); err != nil {
			return err
		}
		next, err = s.signIn.PutOff(ctx, tx, st.flow, s.oidc.Origin(r))
		return err
	})
	if err != nil {
		return wrongStep(w, st, err)
	}
	return s.advance(w, r, next)
}
