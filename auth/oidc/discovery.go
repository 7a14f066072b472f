package oidc

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"github.com/countersign-id/countersign/auth"
)

// document is a public answer, encoded once.
type document struct {
	body []byte
	etag string
}

// etagOf is an entity tag of what body holds (RFC 9110 §8.8.3).
func etagOf(body []byte) string {
	sum := sha256.Sum256(body)
	return `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
}

// publicAge is how long others may keep our documents without asking again. It must stay far below the time a key is
// published before it signs (oidc-T7).
const publicAge = "public, max-age=300"

// metadata describes the provider: OpenID Connect Discovery 1.0 §3 and RFC 8414 §2 in one. Every default is spelled out,
// because several defaults of the standards are not what we do (oidc-D7).
type metadata struct {
	Issuer        string `json:"issuer"`
	Authorization string `json:"authorization_endpoint"`
	Token         string `json:"token_endpoint"`
	Userinfo      string `json:"userinfo_endpoint"`
	JWKS          string `json:"jwks_uri"`
	Introspection string `json:"introspection_endpoint"`
	Revocation    string `json:"revocation_endpoint"`
	EndSession    string `json:"end_session_endpoint"`

	Scopes        []string `json:"scopes_supported"`
	ResponseTypes []string `json:"response_types_supported"`
	ResponseModes []string `json:"response_modes_supported"`
	GrantTypes    []string `json:"grant_types_supported"`
	SubjectTypes  []string `json:"subject_types_supported"`
	Prompts       []string `json:"prompt_values_supported"`
	Displays      []string `json:"display_values_supported"`
	ACRs          []string `json:"acr_values_supported"`
	Challenges    []string `json:"code_challenge_methods_supported"`
	ClaimTypes    []string `json:"claim_types_supported"`
	Claims        []string `json:"claims_supported"`
	Locales       []string `json:"ui_locales_supported"`

	IDTokenAlgs        []string `json:"id_token_signing_alg_values_supported"`
	UserinfoAlgs       []string `json:"userinfo_signing_alg_values_supported"`
	TokenAuth          []string `json:"token_endpoint_auth_methods_supported"`
	TokenAuthAlgs      []string `json:"token_endpoint_auth_signing_alg_values_supported"`
	IntrospectAuth     []string `json:"introspection_endpoint_auth_methods_supported"`
	IntrospectAuthAlgs []string `json:"introspection_endpoint_auth_signing_alg_values_supported"`
	RevokeAuth         []string `json:"revocation_endpoint_auth_methods_supported"`
	RevokeAuthAlgs     []string `json:"revocation_endpoint_auth_signing_alg_values_supported"`

	IssInResponse       bool `json:"authorization_response_iss_parameter_supported"` // RFC 9207
	ClaimsParameter     bool `json:"claims_parameter_supported"`
	RequestParameter    bool `json:"request_parameter_supported"`
	RequestURI          bool `json:"request_uri_parameter_supported"`
	RequestRegistration bool `json:"require_request_uri_registration"`
	BackchannelLogout   bool `json:"backchannel_logout_supported"`
	FrontchannelLogout  bool `json:"frontchannel_logout_supported"`
}

func newMetadata(issuer string, locales []string, passkeys bool) document {
	levels := auth.Levels()
	if !passkeys {
		levels = []string{auth.AAL1, auth.AAL2}
	}
	if len(locales) == 0 {
		locales = []string{"en"}
	}
	proved := []string{"client_secret_basic", "client_secret_post", "private_key_jwt"}
	anyone := append(proved[:len(proved):len(proved)], "none")
	claims := []string{"sub", "iss", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "sid", "at_hash"}
	for _, scope := range []string{"profile", "email", "address", "phone"} {
		claims = append(claims, scopeClaims[scope]...)
	}
	body, err := json.Marshal(metadata{
		Issuer: issuer, Authorization: issuer + authorizePath, Token: issuer + tokenPath, Userinfo: issuer + userinfoPath,
		JWKS: issuer + jwksPath, Introspection: issuer + introspectPath, Revocation: issuer + revokePath, EndSession: issuer + logoutPath,

		Scopes:        []string{"openid", "profile", "email", "address", "phone", "offline_access"},
		ResponseTypes: []string{"code"},
		ResponseModes: []string{"query", "fragment", "form_post"},
		GrantTypes:    []string{"authorization_code", "refresh_token", "client_credentials"},
		SubjectTypes:  []string{"public"},
		Prompts:       []string{"none", "login", "consent", "select_account"},
		Displays:      []string{"page", "popup", "touch", "wap"},
		ACRs:          levels,
		Challenges:    []string{"S256"},
		ClaimTypes:    []string{"normal"},
		Claims:        claims,
		Locales:       locales,

		IDTokenAlgs: algorithms, UserinfoAlgs: algorithms,
		TokenAuth: anyone, TokenAuthAlgs: algorithms,
		IntrospectAuth: proved, IntrospectAuthAlgs: algorithms,
		RevokeAuth: anyone, RevokeAuthAlgs: algorithms,

		IssInResponse: true, ClaimsParameter: true,
	})
	if err != nil {
		panic("oidc: " + err.Error()) // strings and booleans encode
	}
	return document{body, etagOf(body)}
}

// discovery describes the provider to relying parties, at both well-known addresses alike.
func (p *Provider) discovery(w http.ResponseWriter, r *http.Request) error {
	return writePublic(w, r, p.metadata)
}

// jwks publishes the keys that verify what we sign.
func (p *Provider) jwks(w http.ResponseWriter, r *http.Request) error {
	body, etag := p.keys.JWKS()
	if body == nil {
		return ErrNoSigningKey
	}
	return writePublic(w, r, document{body, etag})
}

func writePublic(w http.ResponseWriter, r *http.Request, d document) error {
	h := w.Header()
	h.Set("Cache-Control", publicAge)
	h.Set("Etag", d.etag)
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	if matches(r.Header.Get("If-None-Match"), d.etag) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(d.body)))
	_, err := w.Write(d.body)
	return err
}

// matches reports whether an If-None-Match header names etag (RFC 9110 §13.1.2).
func matches(header, etag string) bool {
	for tag := range strings.SplitSeq(header, ",") {
		if tag = strings.TrimSpace(tag); tag == "*" || strings.TrimPrefix(tag, "W/") == etag {
			return true
		}
	}
	return false
}
