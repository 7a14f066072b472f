package ui

import (
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/auth/totp"
	"github.com/countersign-id/countersign/internal/fault"
	"github.com/countersign-id/countersign/store"
)

// A second factor has a page for each way. Which of them a flow may use is its Seconds(); what others would do is on the page as links.
var wayPaths = map[auth.Way]string{auth.ByPasskey: "/login/key", auth.ByCode: "/login/totp", auth.ByRecovery: "/login/recovery"}

type secondData struct {
	Flow     string
	Way      auth.Way
	Others   []auth.Way
	Username string
	App      App
	Trust    int  // days that this browser may be trusted; 0: not
	Closed   bool // the authenticator app is closed
	StepUp   bool // signed in already: a stronger proof is asked for
}

// To is where a way's page is.
func (d secondData) To(w auth.Way) string { return wayPaths[w] + "?flow=" + d.Flow }

var secondPage = page[secondData](signInShell, "signin/second.html")

// secondWays are the ways whose pages a flow may stand at. A recovery code may be typed whatever the account has: a temporary pass is too.
func secondWays(f auth.Flow) []auth.Way {
	ways := slices.Clone(f.Seconds())
	if !auth.Meets(auth.AAL2, f.ACR, f.AMR) && !slices.Contains(ways, auth.ByRecovery) {
		ways = append(ways, auth.ByRecovery)
	}
	return ways
}

// wayAt is the way whose page stands at path, or else the one to propose.
func wayAt(f auth.Flow, path string) auth.Way {
	ways := secondWays(f)
	for _, w := range ways {
		if wayPaths[w] == path {
			return w
		}
	}
	return ways[0]
}

func (s *Server) drawSecond(w http.ResponseWriter, r *http.Request, f frame, status int, st standing) error {
	flow := st.flow
	data := secondData{
		Flow: string(flow.ID), Way: wayAt(flow, r.URL.Path), App: appOf(st), Username: flow.Typed, Closed: flow.Closed, StepUp: len(flow.Proofs) == 0,
		Trust: int(flow.Need.Trust / (24 * time.Hour)),
	}
	if flow.Strict || len(flow.Asked) > 0 {
		data.Trust = 0
	}
	for _, way := range secondWays(flow) {
		if way != data.Way {
			data.Others = append(data.Others, way)
		}
	}
	f.Back = localPath(withFlow(wayPaths[data.Way], flow), "")
	return secondPage.draw(w, f, status, data)
}

// postCode tries an authenticator's code: count, verify outside any transaction, record.
func (s *Server) postCode(w http.ResponseWriter, r *http.Request) error {
	form, err := readForm(w, r)
	if err != nil {
		return err
	}
	ctx, o, id := r.Context(), s.oidc.Origin(r), form.Get("flow")
	if err := s.db.Update(ctx, func(tx *store.Tx) error { return s.signIn.Admit(ctx, tx, o) }); err != nil {
		return s.refuseHere(w, r, id, err)
	}
	var (
		st      standing
		a       auth.CodeAttempt
		refused *fault.Error
		now     time.Time
	)
	err = s.db.Update(ctx, func(tx *store.Tx) (err error) {
		if st, err = s.stand(ctx, tx, r, id); err != nil {
			return err
		}
		now = tx.Now()
		a, refused, err = s.signIn.TryCode(ctx, tx, st.flow, o)
		return err
	})
	if errors.Is(err, auth.ErrStep) {
		return seeOther(w, stepOrStart(st.flow))
	}
	if err != nil {
		return err
	}
	if refused != nil {
		return s.refuseHere(w, r, id, refused)
	}

	step := totp.Match(a.Secret, form.Get("code"), now)
	var next auth.Flow
	err = s.db.Update(ctx, func(tx *store.Tx) (err error) {
		if st, err = s.stand(ctx, tx, r, id); err != nil {
			return err
		}
		next, refused, err = s.signIn.SettleCode(ctx, tx, a, st.flow, step, form.Get("trust") != "", o)
		return err
	})
	return s.settled(w, r, st, next, refused, err)
}

// settled goes on from a second factor, or draws its page again.
func (s *Server) settled(w http.ResponseWriter, r *http.Request, st standing, next auth.Flow, refused *fault.Error, err error) error {
	switch {
	case errors.Is(err, auth.ErrStep):
		return seeOther(w, stepOrStart(st.flow))
	case err != nil:
		return err
	case refused != nil:
		s.count("refused")
		return s.refuseHere(w, r, string(st.flow.ID), refused)
	}
	s.count("ok")
	return s.advance(w, r, next)
}

// postRecovery tries a recovery code or a temporary pass.
func (s *Server) postRecovery(w http.ResponseWriter, r *http.Request) error {
	form, err := readForm(w, r)
	if err != nil {
		return err
	}
	ctx, o, id := r.Context(), s.oidc.Origin(r), form.Get("flow")
	if err := s.db.Update(ctx, func(tx *store.Tx) error { return s.signIn.Admit(ctx, tx, o) }); err != nil {
		return s.refuseHere(w, r, id, err)
	}
	var st standing
	var next auth.Flow
	var refused *fault.Error
	err = s.db.Update(ctx, func(tx *store.Tx) (err error) {
		if st, err = s.stand(ctx, tx, r, id); err != nil {
			return err
		}
		next, refused, err = s.signIn.TryRecovery(ctx, tx, st.flow, form.Get("code"), o)
		return err
	})
	return s.settled(w, r, st, next, refused, err)
}
