package ui

import (
	"net/http"

	"github.com/countersign-id/countersign/internal/fault"
	"github.com/countersign-id/countersign/internal/web"
)

var errNoPage = fault.New(fault.NotFound, "no-such-page", "There is no such page.")

// faultKind is how a kind of fault is shown: the texts fault.<kind>.title and fault.<kind>.text, an icon and a tone.
type faultKind struct{ icon, tone string }

// faultKinds has every kind; a test walks fault.Kinds().
var faultKinds = map[fault.Kind]faultKind{
	fault.Internal:        {"server-off", "danger"},
	fault.Malformed:       {"circle-alert", "warn"},
	fault.Invalid:         {"circle-alert", "warn"},
	fault.Unauthenticated: {"lock", "warn"},
	fault.Denied:          {"shield-alert", "danger"},
	fault.NotFound:        {"search-x", "neutral"},
	fault.Conflict:        {"triangle-alert", "warn"},
	fault.Expired:         {"hourglass", "warn"},
	fault.Stale:           {"refresh-cw", "warn"},
	fault.Locked:          {"lock", "danger"},
	fault.Throttled:       {"hourglass", "warn"},
	fault.Unavailable:     {"server-off", "warn"},
}

// faultPage is a fault as a page of its own.
type faultData struct {
	Title, Text, Code string
	Icon, Tone        string
	Wait              int    // seconds; 0: not known
	To                string // where one may go on; empty: nowhere
}

var faultPage = page[faultData](signInShell, "signin/fault.html")

// faultText is what a fault says in the reader's language: the sentence it carries, which is English, the text of its code,
// or else what its kind says.
func (f frame) faultText(e *fault.Error) string {
	switch {
	case f.Lang == languages[0] && e.Text != "":
		return calm(e.Text)
	case f.has("problem." + e.Code):
		return f.T("problem." + e.Code)
	}
	return f.T("fault." + e.Kind.String() + ".text")
}

// Fault answers with the page of a fault, its status and the request's identifier.
func (p *Pages) Fault(w http.ResponseWriter, r *http.Request, e *fault.Error) {
	f := p.frame(r)
	if r.Method != http.MethodGet {
		f.Back = "" // there may be nothing to get at this address
	}
	kind := faultKinds[e.Kind]
	data := faultData{
		Title: f.T("fault." + e.Kind.String() + ".title"), Text: f.faultText(e), Code: e.Code,
		Icon: kind.icon, Tone: kind.tone, Wait: e.Wait,
	}
	if e.Kind != fault.Internal && e.Kind != fault.Unavailable {
		data.To = "/account"
	}
	if err := faultPage.draw(w, f, e.Kind.Status(), data); err != nil {
		p.log.ErrorContext(r.Context(), "fault page", "request", web.RequestID(r.Context()), "err", err)
		http.Error(w, e.Text, e.Kind.Status())
	}
}
