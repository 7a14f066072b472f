package ui

import (
	"net/http"
	"slices"
	"time"

	"github.com/countersign-id/countersign/internal/web"
)

// What was just done, said once on the page after it. The cookie holds one of these ids; anything else is not shown.
var flashes = []string{
	"flash.password", "flash.session-ended", "flash.sessions-ended", "flash.app-withdrawn",
	"flash.passkey-added", "flash.passkey-renamed", "flash.passkey-removed", "flash.totp-added", "flash.totp-removed", "flash.browser-forgotten",
}

const flashCookie = "flash"

func say(w http.ResponseWriter, cookies web.Cookies, id string) {
	cookies.Set(w, flashCookie, id, time.Minute)
}

// said returns what the page before this one did, and forgets it.
func said(w http.ResponseWriter, r *http.Request, cookies web.Cookies) string {
	id := cookies.Value(r, flashCookie)
	if id == "" {
		return ""
	}
	cookies.Drop(w, flashCookie)
	if !slices.Contains(flashes, id) {
		return ""
	}
	return id
}
