package oidc

import (
	"errors"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/ory/fosite"

	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/internal/fault"
)

func TestEveryKindOfFaultHasAName(t *testing.T) {
	t.Parallel()
	for _, kind := range fault.Kinds() {
		name, status := oauthError(fault.New(kind, "code-of-ours", "Text."))
		if name == "" || wire[name] == 0 || status < 400 {
			t.Errorf("%v goes over the wire as %q with %d", kind, name, status)
		}
		if (kind == fault.Internal) != (status == 500) {
			t.Errorf("%v answers %d", kind, status)
		}
	}
	for _, tt := range []struct {
		f      *fault.Error
		name   string
		status int
	}{
		{auth.ErrInvalidGrant, "invalid_grant", 400}, {errClient, "invalid_client", 401}, {auth.ErrScope, "invalid_scope", 400},
		{auth.ErrThrottled, "temporarily_unavailable", 429}, {auth.ErrBusy, "temporarily_unavailable", 503},
		{errGrantType, "unsupported_grant_type", 400}, {errUnmet, "unmet_authentication_requirements", 400},
	} {
		if name, status := oauthError(tt.f); name != tt.name || status != tt.status {
			t.Errorf("%s goes as %s with %d, want %s with %d", tt.f.Code, name, status, tt.name, tt.status)
		}
	}
}

func TestFosite9ItsErrorsLoseTheirTextAndStayStandard(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		err  error
		want string
	}{
		{fosite.ErrInvalidRequest.WithHint(`said "<script>" \ é`), "invalid_request"}, {fosite.ErrInvalidState, "invalid_request"},
		{fosite.ErrInsufficientEntropy, "invalid_request"}, {fosite.ErrUnsupportedResponseType, "unsupported_response_type"},
		{fosite.ErrUnsupportedResponseMode, "invalid_request"}, {fosite.ErrInvalidScope, "invalid_scope"}, {fosite.ErrInvalidClient, "invalid_client"},
		{fosite.ErrInvalidGrant, "invalid_grant"}, {fosite.ErrUnauthorizedClient, "unauthorized_client"}, {fosite.ErrInactiveToken, "invalid_request"},
		{fosite.ErrJTIKnown, "invalid_request"}, {fosite.ErrServerError.WithDebug("dsn=postgres://u:p@h"), "server_error"}, {errors.New("dsn=postgres://u:p@h"), "server_error"},
	} {
		f := faultOf(tt.err)
		if name, _ := oauthError(f); name != tt.want {
			t.Errorf("%v goes as %s, want %s", tt.err, name, tt.want)
		}
		w := httptest.NewRecorder()
		(&Provider{issuer: testIssuer, count: func(string, string) {}}).showOAuth(w, httptest.NewRequest("POST", tokenPath, nil), f)
		if body := w.Body.String(); strings.Contains(body, "script>") || strings.Contains(body, "dsn=") {
			t.Errorf("sec-R18 %v is shown: %s", tt.err, body)
		}
	}
}

func TestOidcA4Descriptions(t *testing.T) {
	t.Parallel()
	if got := describe("a \"b\" \\ c\r\nd é 状 e"); got != "a 'b'  cd   e" {
		t.Errorf("described as %q", got)
	}
}
