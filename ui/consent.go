package ui

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/rbac"
	"github.com/countersign-id/countersign/store"
)

type consentData struct {
	Flow   string
	App    App
	Scopes []scopeLine
}

// scopeLine is one thing an application asks for, with the person's own data.
type scopeLine struct {
	Name, Icon, Title, Detail string
	Required, Checked         bool
}

var consentPage = page[consentData](signInShell, "signin/consent.html")

// drawConsent asks for everything at once. What an application asked for is ticked, and can be left out but for what
// it cannot do without.
func (s *Server) drawConsent(w http.ResponseWriter, r *http.Request, f frame, status int, st standing) error {
	ctx := r.Context()
	var acc auth.Account
	var roles []string
	var words scopeWords
	err := s.db.View(ctx, func(tx *store.Tx) (err error) {
		if acc, err = tx.Account(ctx, st.flow.Account); err != nil {
			return err
		}
		if slices.Contains(st.flow.Scopes, "roles") {
			if roles, err = roleNames(ctx, tx, acc.ID); err != nil {
				return err
			}
		}
		words, err = wordsFor(ctx, tx, st.client)
		return err
	})
	if err != nil {
		return err
	}

	f.Person = personOf(acc)
	data := consentData{Flow: string(st.flow.ID), App: appOf(st)}
	for _, scope := range st.flow.Offered {
		line := f.scope(scope, words)
		line.Detail = f.scopeDetail(scope, acc, roles, line.Detail)
		line.Required, line.Checked = auth.RequiredScope(scope), true
		data.Scopes = append(data.Scopes, line)
	}
	return consentPage.draw(w, f, status, data)
}

// scopeWords is what the APIs that a client may ask for call their scopes.
type scopeWords struct {
	st      *rbac.Structure
	servers []rbac.ResourceServer
}

func wordsFor(ctx context.Context, tx *store.Tx, c auth.Client) (scopeWords, error) {
	st, err := tx.Structure(ctx)
	if err != nil {
		return scopeWords{}, err
	}
	words := scopeWords{st: st}
	for _, audience := range c.Resources {
		if server, ok := st.Server(audience); ok {
			words.servers = append(words.servers, server)
		}
	}
	return words, nil
}

// roleNames returns what the roles that an account has active are called.
func roleNames(ctx context.Context, tx *store.Tx, id auth.AccountID) ([]string, error) {
	st, err := tx.Structure(ctx)
	if err != nil {
		return nil, err
	}
	held, err := tx.HeldBy(ctx, rbac.AccountID(id))
	var names []string
	for _, r := range st.Standing(held, rbac.At(tx.Now())) {
		names = append(names, st.Roles[r].Name)
	}
	return names, err
}

// scopeIcons has the scopes whose words are ours; those of applications' own APIs carry the title of their registration.
var scopeIcons = map[string]string{
	"openid": "id-card", "profile": "user-round", "email": "mail", "phone": "phone", "address": "map-pin", "roles": "badge-check", "offline_access": "clock",
}

// scope names a scope to its reader. Detail is set where it does not depend on them.
func (l *locale) scope(name string, words scopeWords) scopeLine {
	if icon, ok := scopeIcons[name]; ok {
		line := scopeLine{Name: name, Icon: icon, Title: l.T("scope." + name)}
		if id := "scope." + name + ".detail"; l.has(id) {
			line.Detail = l.T(id)
		}
		return line
	}
	for _, server := range words.servers {
		if scope, ok := words.st.Scope(server.ID, name); ok && scope.Title != "" {
			return scopeLine{Name: name, Icon: "key-round", Title: scope.Title, Detail: l.T("scope.through", "Server", server.Title)}
		}
	}
	return scopeLine{Name: name, Icon: "key-round", Title: l.T("scope.other", "Scope", name), Detail: l.T("scope.other.detail")}
}

// scopeDetail is the reader's own data that a scope tells.
func (l *locale) scopeDetail(scope string, acc auth.Account, roles []string, otherwise string) string {
	var told []string
	switch p := acc.Profile; scope {
	case "profile":
		told = []string{p.Name, acc.Username}
	case "email":
		told = []string{p.Email}
	case "phone":
		told = []string{p.Phone}
	case "address":
		told = []string{strings.Join(strings.Fields(p.Address.Formatted), " ")}
	case "roles":
		told = roles
	default:
		return otherwise
	}
	told = slices.DeleteFunc(told, func(s string) bool { return s == "" })
	if len(told) == 0 {
		return l.T("scope.none")
	}
	return strings.Join(told, l.comma())
}

// postConsent records what the person allowed: the required scopes and those left ticked.
func (s *Server) postConsent(w http.ResponseWriter, r *http.Request) error {
	form, err := readForm(w, r, "scope")
	if err != nil {
		return err
	}
	ctx := r.Context()
	var st standing
	moved := false
	err = s.db.Update(ctx, func(tx *store.Tx) (err error) {
		if st, err = s.stand(ctx, tx, r, form.Get("flow")); err != nil {
			return err
		}
		if moved = st.flow.Next() != auth.Allow; moved {
			return nil
		}
		st.flow, err = auth.AllowScopes(ctx, tx, st.flow, form["scope"])
		return err
	})
	if err != nil {
		return err
	}
	if moved {
		return seeOther(w, stepOrStart(st.flow))
	}
	return s.advance(w, r, st.flow)
}
