package oidc

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/ory/fosite"

	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/internal/fault"
)

// Every refusal of this door is a fault. One whose code is an OAuth error code (with hyphens) goes over the wire under
// that name; any other under the name its kind has there. Texts are ours alone: nothing a stranger sent is repeated.

// Refusals shown on our own page, because no address to send them to can be trusted (RFC 6749 §4.1.2.1, sec-P16).
var (
	errUnknownClient   = fault.New(fault.Malformed, "unknown-application", "The application that sent you here is not registered with us. Tell whoever runs it.")
	errUnknownRedirect = fault.New(fault.Malformed, "unknown-redirect", "The application asked us to send you to an address that is not registered for it. We did not.")
	errMalformed       = fault.New(fault.Malformed, "invalid-request", "The request cannot be read.")
	errMediaType       = fault.New(fault.Malformed, "invalid-request", "The body must be application/x-www-form-urlencoded.")
	errTooLarge        = fault.New(fault.Malformed, "invalid-request", "The request is too large.")
	errPostedGone      = fault.New(fault.Expired, "request-expired", "This request is too old. Go back to the application and start again.")
)

// Refusals an application is told of.
var (
	errInvalidRequest  = fault.New(fault.Malformed, "invalid-request", "A parameter is missing, malformed, or given twice.")
	errClient          = fault.New(fault.Unauthenticated, "invalid-client", "Client authentication failed.")
	errUnauthorized    = fault.New(fault.Denied, "unauthorized-client", "The client may not use this grant.")
	errGrantType       = fault.New(fault.Invalid, "unsupported-grant-type", "This grant type is not served.")
	errResponseType    = fault.New(fault.Invalid, "unsupported-response-type", "Only the response type 'code' is served.")
	errResponseMode    = fault.New(fault.Malformed, "invalid-request", "The response mode must be query, fragment or form_post.")
	errPKCE            = fault.New(fault.Malformed, "invalid-request", "PKCE is required: send code_challenge with code_challenge_method S256.")
	errRequestObject   = fault.New(fault.Invalid, "request-not-supported", "The parameter request is not supported.")
	errRequestURI      = fault.New(fault.Invalid, "request-uri-not-supported", "The parameter request_uri is not supported.")
	errRegistration    = fault.New(fault.Invalid, "registration-not-supported", "The parameter registration is not supported.")
	errHint            = fault.New(fault.Malformed, "invalid-request", "The id_token_hint is not an ID token of ours for this client.")
	errAccessDenied    = fault.New(fault.Denied, "access-denied", "The person said no.")
	errLoginRequired   = fault.New(fault.Unauthenticated, "login-required", "The person has to sign in.")
	errConsentRequired = fault.New(fault.Denied, "consent-required", "The person has to allow what is asked.")
	errInteraction     = fault.New(fault.Denied, "interaction-required", "The person has to do something first.")
	errUnmet           = fault.New(fault.Denied, "unmet-authentication-requirements", "The authentication asked for cannot be had here.")
)

// wire holds the error codes that go over the wire as they are: RFC 6749 §4.1.2.1 and §5.2, OpenID Connect Core §3.1.2.6,
// RFC 6750 §3.1, RFC 7009 §2.2.1, RFC 8707 §2, OpenID Connect Core Unmet Authentication Requirements 1.0.
var wire = map[string]int{
	"invalid_request": 400, "invalid_client": 401, "invalid_grant": 400, "unauthorized_client": 400,
	"unsupported_grant_type": 400, "unsupported_response_type": 400, "invalid_scope": 400, "invalid_target": 400,
	"access_denied": 403, "server_error": 500, "temporarily_unavailable": 503, "unsupported_token_type": 400,
	"login_required": 400, "consent_required": 400, "interaction_required": 400, "account_selection_required": 400,
	"request_not_supported": 400, "request_uri_not_supported": 400, "registration_not_supported": 400,
	"unmet_authentication_requirements": 400,
	"invalid_token":                     401, "insufficient_scope": 403, "insufficient_user_authentication": 401,
}

// byKind names the faults that have no name of their own over the wire.
var byKind = map[fault.Kind]string{
	fault.Internal: "server_error", fault.Malformed: "invalid_request", fault.Invalid: "invalid_request",
	fault.Unauthenticated: "access_denied", fault.Denied: "access_denied", fault.NotFound: "invalid_request",
	fault.Conflict: "access_denied", fault.Expired: "access_denied", fault.Stale: "temporarily_unavailable", fault.Locked: "access_denied",
	fault.Throttled: "temporarily_unavailable", fault.Unavailable: "temporarily_unavailable",
}

// oauthError returns the name and the status under which f goes over the wire.
func oauthError(f *fault.Error) (name string, status int) {
	name = strings.ReplaceAll(f.Code, "-", "_")
	status, ok := wire[name]
	if !ok {
		name = byKind[f.Kind]
		status = wire[name]
	}
	if f.Kind == fault.Throttled {
		status = http.StatusTooManyRequests
	}
	return name, status
}

// describe keeps text within what an error_description may hold: %x20-21 / %x23-5B / %x5D-7E (RFC 6749 §5.2, oidc-A4).
func describe(text string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case c == '"':
			return '\''
		case c < 0x20 || c > 0x7e || c == '\\':
			return -1
		}
		return c
	}, text)
}

// showOAuth answers a fault as RFC 6749 §5.2 writes it.
func (p *Provider) showOAuth(w http.ResponseWriter, r *http.Request, f *fault.Error) {
	name, status := oauthError(f)
	p.count(r.Pattern, name)
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("Pragma", "no-cache")
	if status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Basic realm="`+p.issuer+`", charset="UTF-8"`) // RFC 9110 §15.5.2: a 401 says how
	}
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]string{"error": name, "error_description": describe(f.Text)})
}

// faultOf finds the fault in err, which may be one of fosite's errors. Those keep their code where it is one of the
// standards', and lose their text: fosite's repeats what was sent (oidc fosite-9).
func faultOf(err error) *fault.Error {
	var f *fault.Error
	if errors.As(err, &f) {
		return f
	}
	var e *fosite.RFC6749Error
	if !errors.As(err, &e) {
		return fault.From(err)
	}
	for _, known := range []*fault.Error{
		errInvalidRequest, errClient, errUnauthorized, errGrantType, errResponseType, auth.ErrScope, auth.ErrInvalidGrant,
		auth.ErrTarget, errAccessDenied, errRequestObject, errRequestURI, errRegistration,
	} {
		if strings.ReplaceAll(known.Code, "-", "_") == e.ErrorField {
			return known.Because(err)
		}
	}
	switch e.ErrorField {
	case "unsupported_response_mode":
		return errResponseMode.Because(err)
	case "server_error", "misconfiguration", "error":
		return fault.From(err)
	}
	return errInvalidRequest.Because(err)
}
