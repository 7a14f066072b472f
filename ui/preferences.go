package ui

import (
	"net/http"
	"slices"
)

// getPreferences keeps the reader's language or theme in a cookie and goes back to where they were. It is a GET because
// it changes nothing but how pages look in this browser, and so works from any page without a token.
func (p *Pages) getPreferences(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	if l := q.Get("lang"); slices.Contains(languages, l) {
		p.prefer(w, "lang", l)
	}
	if t := q.Get("theme"); t == "auto" || t == "light" || t == "dark" {
		p.prefer(w, "theme", t)
	}
	w.Header().Set("Location", localPath(q.Get("back"), "/account"))
	w.WriteHeader(http.StatusSeeOther)
	return nil
}

func (p *Pages) prefer(w http.ResponseWriter, name, value string) {
	http.SetCookie(w, &http.Cookie{
		Name: name, Value: value, Path: "/", MaxAge: 365 * 24 * 3600,
		HttpOnly: true, Secure: p.site.HTTPS, SameSite: http.SameSiteLaxMode,
	})
}
