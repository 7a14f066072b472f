package ui

import (
	"net/http"
	"time"

	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/internal/fault"
	"github.com/countersign-id/countersign/store"
)

type appsData struct{ Apps []appLine }

type appLine struct {
	ID, Name string
	Scopes   []string // titles, in the reader's language
	Given    time.Time
}

var appsPage = page[appsData](accountShell, "account/apps.html")

// getApps lists what the reader allowed applications, each thing as they were asked for it.
func (s *Server) getApps(w http.ResponseWriter, r *http.Request, cur auth.Current) error {
	type allowed struct {
		auth.Consent
		client auth.Client
		words  scopeWords
	}
	ctx := r.Context()
	var all []allowed
	err := s.db.View(ctx, func(tx *store.Tx) error {
		all = nil
		consents, err := tx.ConsentsOf(ctx, cur.Account.ID)
		if err != nil {
			return err
		}
		for _, c := range consents {
			client, err := tx.Client(ctx, c.Client)
			if err != nil && !fault.Is(err, fault.NotFound) {
				return err
			}
			words, err := wordsFor(ctx, tx, client)
			if err != nil {
				return err
			}
			client.ID = c.Client
			all = append(all, allowed{c, client, words})
		}
		return nil
	})
	if err != nil {
		return err
	}

	f, data := s.room(w, r, cur, "apps"), appsData{}
	for _, a := range all {
		line := appLine{ID: string(a.Client), Name: app(a.client).Name, Given: a.UpdatedAt}
		for _, scope := range a.Scopes {
			line.Scopes = append(line.Scopes, f.scope(scope, a.words).Title)
		}
		data.Apps = append(data.Apps, line)
	}
	return appsPage.draw(w, f, http.StatusOK, data)
}

// postWithdraw takes back what the reader allowed an application; its tokens end with it.
func (s *Server) postWithdraw(w http.ResponseWriter, r *http.Request, cur auth.Current) error {
	form, err := readForm(w, r)
	if err != nil {
		return err
	}
	ctx := r.Context()
	err = s.db.Update(ctx, func(tx *store.Tx) error {
		return auth.Withdraw(ctx, tx, actor(cur), cur.Account.ID, auth.ClientID(form.Get("client")))
	})
	if err != nil {
		return err
	}
	say(w, s.cookies, "flash.app-withdrawn")
	return seeOther(w, "/account/apps")
}
