package ui

import (
	"mime"
	"net/http"
	"net/url"
	"slices"

	"github.com/countersign-id/countersign/internal/fault"
)

// maxForm is room for the longest password, every character of it encoded, and the rest of any form of ours.
const maxForm = 64 << 10

var (
	errForm      = fault.New(fault.Malformed, "form-invalid", "The form cannot be read. Go back, load the page again and send it once more.")
	errFormLarge = errForm.Saying("The form is too large.")
)

// readForm reads the body of a form of ours. A field may stand in it twice only if it is one of lists: where two readers
// could disagree about which one counts, neither does.
func readForm(w http.ResponseWriter, r *http.Request, lists ...string) (url.Values, error) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/x-www-form-urlencoded" {
		return nil, errForm
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		if r.ContentLength > maxForm {
			return nil, errFormLarge
		}
		return nil, errForm.Because(err)
	}
	for name, values := range r.PostForm {
		if len(values) > 1 && !slices.Contains(lists, name) {
			return nil, errForm
		}
	}
	return r.PostForm, nil
}
