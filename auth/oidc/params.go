package oidc

import (
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/internal/fault"
)

// Bounds on what strangers send (I22). Everything is measured before it is parsed.
const (
	maxForm    = 64 << 10
	maxFields  = 256
	maxOpaque  = 4 << 10 // state, nonce, redirect_uri, scope
	maxLine    = 512     // login_hint, acr_values, ui_locales: dropped, not refused, beyond it
	maxScopes  = 100
	maxTargets = 8
)

// readForm returns the parameters of a request: the query of a GET, the urlencoded body of a POST and nothing else. fosite
// would take multipart bodies, spilling them to disk, and merge the query into the body (fosite-22).
func readForm(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	raw := r.URL.RawQuery
	if r.Method == http.MethodPost {
		media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
		if err != nil || media != "application/x-www-form-urlencoded" || r.Header.Get("Content-Encoding") != "" {
			return nil, errMediaType
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxForm))
		if err != nil {
			return nil, errTooLarge.Because(err)
		}
		raw = string(body)
	}
	if len(raw) > maxForm || strings.Count(raw, "&") >= maxFields {
		return nil, errTooLarge
	}
	form, err := url.ParseQuery(raw)
	if err != nil {
		return nil, errMalformed.Because(err)
	}
	return form, nil
}

// repeated reports whether one of names is given more than once (RFC 6749 §3.1, §3.2). fosite takes the first (fosite-10).
func repeated(form url.Values, names ...string) bool {
	return slices.ContainsFunc(names, func(name string) bool { return len(form[name]) > 1 })
}

// opaque reports whether v may be echoed: any text but control characters, of a bounded length.
func opaque(v string) bool {
	return len(v) <= maxOpaque && utf8.ValidString(v) && !strings.ContainsFunc(v, unicode.IsControl)
}

// line returns v if it is one short line, and nothing otherwise: for parameters that only advise.
func line(v string) string {
	if len(v) > maxLine || !opaque(v) {
		return ""
	}
	return v
}

// parseScopes splits a scope parameter (RFC 6749 §3.3). A scope twice, a malformed one or too many are refused (sec-P49).
func parseScopes(v string) ([]string, error) {
	if len(v) > maxOpaque {
		return nil, auth.ErrScope
	}
	var scopes []string
	for s := range strings.SplitSeq(v, " ") {
		switch {
		case s == "":
			continue
		case slices.Contains(scopes, s), strings.ContainsFunc(s, notScope), len(scopes) == maxScopes:
			return nil, auth.ErrScope
		}
		scopes = append(scopes, s)
	}
	return scopes, nil
}

func notScope(c rune) bool { return c <= 0x20 || c > 0x7e || c == '"' || c == '\\' }

// parseResources reads the resource parameters (RFC 8707 §2): absolute URIs without fragment, each once.
func parseResources(values []string) ([]string, error) {
	var all []string
	for _, v := range values {
		if v == "" {
			continue
		}
		u, err := url.Parse(v)
		switch {
		case err != nil, !u.IsAbs(), strings.Contains(v, "#"), !opaque(v), len(all) == maxTargets:
			return nil, auth.ErrTarget
		case slices.Contains(all, v):
			continue
		}
		all = append(all, v)
	}
	return all, nil
}

// maxKept bounds what one sign-in may keep of its request, encoded.
const maxKept = 32 << 10

// kept are the parameters of an authorization request that we read. All others are ignored (RFC 6749 §3.1).
var kept = []string{
	"client_id", "redirect_uri", "response_type", "response_mode", "scope", "state", "nonce",
	"code_challenge", "code_challenge_method", "prompt", "max_age", "display", "ui_locales",
	"login_hint", "acr_values", "claims",
}

// refusedParams are features that are not served. They are refused rather than ignored, because who sends one relies on
// it; fosite ignores a request object without the scope openid, even garbage (fosite-6).
var refusedParams = map[string]*fault.Error{
	"request": errRequestObject, "request_uri": errRequestURI, "registration": errRegistration,
}

// request is an authorization request (RFC 6749 §4.1.1, OpenID Connect Core §3.1.2.1). Until judge has found its client
// and redirect address nothing may be sent anywhere; after that, refused is what to tell the application, if anything.
type request struct {
	form    url.Values // what was kept, to be read again when the sign-in is over
	refused *fault.Error

	clientID auth.ClientID
	redirect string // as sent
	mode     string // query, fragment, form_post; query until known to be another
	state    string
	nonce    string

	scopes    []string
	resources []string
	challenge string
	claims    claimsRequest

	none, login, consent bool          // prompt
	maxAge               time.Duration // negative: not asked
	hint                 string        // id_token_hint
	wantAccount          auth.AccountID
	acrValues            []string
	essentialACR         bool

	client auth.Client // set by judge
}

// refuse notes the first reason to say no.
func (q *request) refuse(f *fault.Error) {
	if q.refused == nil {
		q.refused = f
	}
}

// parseRequest reads the parameters, each by its own rules; what they mean together with the client is judge's. Parameters
// without a value count as absent (RFC 6749 §3.1).
func parseRequest(form url.Values) (*request, error) {
	if repeated(form, "client_id") {
		return nil, errUnknownClient
	}
	if repeated(form, "redirect_uri") {
		return nil, errUnknownRedirect
	}
	q := &request{form: url.Values{}, mode: "query", maxAge: -1}
	for _, name := range kept {
		if v := form.Get(name); v != "" {
			q.form.Set(name, v)
		}
	}
	for _, name := range []string{"display", "ui_locales", "login_hint", "acr_values"} {
		if line(q.form.Get(name)) == "" {
			q.form.Del(name) // not read, so not kept: the row of a sign-in is written before anybody has proved anything (I22)
		}
	}
	q.clientID, q.redirect = auth.ClientID(q.form.Get("client_id")), q.form.Get("redirect_uri")

	q.parseEcho(form)
	for name, f := range refusedParams {
		if form.Get(name) != "" {
			q.refuse(f)
		}
	}
	if repeated(form, kept...) || repeated(form, "id_token_hint") {
		q.refuse(errInvalidRequest)
	}
	if len(q.form.Encode()) > maxKept {
		q.refuse(errInvalidRequest)
	}
	q.parseGrant(form)
	q.parsePrompt()
	q.parseAuthentication(form)
	return q, nil
}

// parseEcho reads what every answer, a refusal too, has to carry or obey.
func (q *request) parseEcho(form url.Values) {
	switch mode := q.form.Get("response_mode"); mode {
	case "", "query":
	case "fragment", "form_post":
		q.mode = mode
	default:
		q.refuse(errResponseMode)
	}
	if s := q.form.Get("state"); len(form["state"]) == 1 && opaque(s) {
		q.state = s
	} else if s != "" {
		q.form.Del("state")
		q.refuse(errInvalidRequest)
	}
}

// parseGrant reads what the grant will be made of.
func (q *request) parseGrant(form url.Values) {
	var err error
	if q.scopes, err = parseScopes(q.form.Get("scope")); err != nil {
		q.refuse(auth.ErrScope)
	}
	if q.resources, err = parseResources(form["resource"]); err != nil {
		q.refuse(auth.ErrTarget)
	} else if len(q.resources) > 0 {
		q.form["resource"] = q.resources
	}
	if q.nonce = q.form.Get("nonce"); !opaque(q.nonce) {
		q.refuse(errInvalidRequest)
	}
	if q.claims, err = parseClaims(q.form.Get("claims")); err != nil {
		q.refuse(errInvalidRequest)
	}
	// RFC 7636 §4.3: a method left out means plain, which is not served (sec-P09).
	q.challenge = q.form.Get("code_challenge")
	switch method := q.form.Get("code_challenge_method"); {
	case q.challenge == "" && method == "":
	case method != "S256", len(q.challenge) != 43, strings.ContainsFunc(q.challenge, notBase64URL):
		q.refuse(errPKCE)
	}
}

func notBase64URL(c rune) bool {
	return !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_')
}

// parsePrompt reads prompt. none stands alone; an unknown value is refused (Initiating User Registration 1.0 §4.1).
func (q *request) parsePrompt() {
	values := strings.Fields(q.form.Get("prompt"))
	for _, v := range values {
		switch v {
		case "none":
			q.none = true
		case "login", "select_account":
			q.login = true
		case "consent":
			q.consent = true
		default:
			q.refuse(errInvalidRequest)
		}
	}
	if q.none && len(values) > 1 {
		q.refuse(errInvalidRequest)
	}
}

// parseAuthentication reads who is to be authenticated, how, and how recently.
func (q *request) parseAuthentication(form url.Values) {
	if v := q.form.Get("max_age"); v != "" {
		// fosite ignores 0, negative values and garbage (fosite-5).
		seconds, err := strconv.ParseUint(v, 10, 31)
		if err != nil {
			q.refuse(errInvalidRequest)
		}
		q.maxAge = time.Duration(seconds) * time.Second
	}
	q.hint = form.Get("id_token_hint") // not kept: what it says is carried as wantAccount
	q.acrValues = strings.Fields(line(q.form.Get("acr_values")))
	if c := q.claims.IDToken["acr"]; c != nil {
		if asked := c.strings(); len(asked) > 0 {
			q.acrValues, q.essentialACR = asked, c.Essential
		}
	}
	if c := q.claims.IDToken["sub"]; c != nil {
		if asked := c.strings(); len(asked) == 1 {
			q.wantAccount = auth.AccountID(asked[0])
		} else if len(asked) > 1 {
			q.refuse(errInvalidRequest)
		}
	}
}

// display is how the pages are to be shown; what we do not know counts as a page.
func (q *request) display() string {
	if d := q.form.Get("display"); d == "popup" || d == "touch" || d == "wap" {
		return d
	}
	return "page"
}

// levels returns the authentication context classes asked for that we know, one of which is demanded; unknown values are ignored.
func (q *request) levels() (known []string) {
	for _, v := range q.acrValues {
		if slices.Contains(auth.Levels(), v) && !slices.Contains(known, v) {
			known = append(known, v)
		}
	}
	return known
}

// unmet reports whether what is asked for nobody can meet here: an essential class that we do not know, or only classes that need
// passkeys where there are none.
func (q *request) unmet(passkeys bool) bool {
	known := q.levels()
	if len(known) == 0 {
		return q.essentialACR
	}
	return !slices.ContainsFunc(known, func(l string) bool { return passkeys || l == auth.AAL1 || l == auth.AAL2 })
}

// consentScopes are the scopes to ask the person for: those of the request and those that claims asked for singly belong
// to, so that no claim is given out that nobody allowed.
func (q *request) consentScopes() []string {
	all := slices.Clone(q.scopes)
	for _, s := range q.claims.scopes() {
		if !slices.Contains(all, s) && slices.Contains(q.client.Scopes, s) {
			all = append(all, s)
		}
	}
	return all
}

// demands is q as the sign-in understands it, coming from a browser.
func (q *request) demands(from auth.Origin) auth.Demands {
	return auth.Demands{
		Client: q.client, Request: q.form.Encode(), Scopes: q.consentScopes(),
		Hint: line(q.form.Get("login_hint")), Locales: line(q.form.Get("ui_locales")), Display: q.display(),
		Login: q.login, Consent: q.consent, MaxAge: q.maxAge, WantAccount: q.wantAccount, Asked: q.levels(), From: from,
	}
}
