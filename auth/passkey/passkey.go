// Package passkey is the relying party of WebAuthn (Level 3): it writes the options of a ceremony and verifies what a browser answers.
// What must be remembered between the two is the caller's to keep, bound to the browser that began, and to spend once: this package
// takes the same answer twice.
package passkey

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"
	"github.com/google/uuid"

	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/internal/fault"
)

// MaxResponse bounds what a browser may answer, in bytes.
const MaxResponse = 32 << 10

// Config says who we are and whose authenticators we take. The zero values take any.
type Config struct {
	Issuer      string   // address of the deployment; its host is the relying party's identifier
	Name        string   // of the organisation, as browsers show it
	Attestation string   // none (if empty), indirect, direct or enterprise: whether to ask what an authenticator is
	Allow, Deny []string // AAGUIDs; one of the two at most
	BoundOnly   bool     // refuse passkeys that can be copied between devices
	Known       bool     // refuse authenticators that the FIDO metadata do not know; until there are any, all
}

// Party is the relying party. It is safe for concurrent use.
type Party struct {
	cfg     webauthn.Config
	origin  string
	known   bool
	current atomic.Pointer[webauthn.WebAuthn]
}

// Possible reports whether an issuer can have passkeys: its host must be a name, and the address one that browsers call secure.
func Possible(issuer string) bool {
	u, err := url.Parse(issuer)
	if err != nil || u.Hostname() == "" {
		return false
	}
	if _, err := netip.ParseAddr(u.Hostname()); err == nil {
		return false
	}
	return (u.Scheme == "https" || u.Hostname() == "localhost") && protocol.ValidateRPID(u.Hostname()) == nil
}

// New returns the relying party of c.
func New(c Config) (*Party, error) {
	u, err := url.Parse(c.Issuer)
	if err != nil || !Possible(c.Issuer) {
		return nil, fmt.Errorf("passkeys need an issuer with a name: %s", c.Issuer)
	}
	filter := &webauthn.FilteringConfig{ProhibitBackupEligibility: c.BoundOnly}
	if filter.PermittedAAGUIDs, err = models(c.Allow); err != nil {
		return nil, err
	}
	if filter.ProhibitedAAGUIDs, err = models(c.Deny); err != nil {
		return nil, err
	}
	attestation := protocol.ConveyancePreference(c.Attestation)
	switch attestation {
	case "":
		attestation = protocol.PreferNoAttestation
	case protocol.PreferNoAttestation, protocol.PreferIndirectAttestation, protocol.PreferDirectAttestation, protocol.PreferEnterpriseAttestation:
	default:
		return nil, fmt.Errorf("attestation %q is none of none, indirect, direct, enterprise", c.Attestation)
	}
	required := true
	p := &Party{origin: u.Scheme + "://" + u.Host, known: c.Known}
	p.cfg = webauthn.Config{
		RPID: u.Hostname(), RPDisplayName: c.Name, RPOrigins: []string{p.origin}, AttestationPreference: attestation, Filtering: filter,
		AuthenticatorSelection: protocol.AuthenticatorSelection{
			RequireResidentKey: &required, ResidentKey: protocol.ResidentKeyRequirementRequired, UserVerification: protocol.VerificationRequired,
		},
	}
	if p.known {
		if err := p.trust(nil); err != nil { // nobody's until there are metadata
			return nil, err
		}
		return p, nil
	}
	return p, p.swap(p.cfg)
}

func (p *Party) swap(c webauthn.Config) error {
	w, err := webauthn.New(&c)
	if err != nil {
		return err
	}
	p.current.Store(w)
	return nil
}

func models(texts []string) (all []uuid.UUID, err error) {
	for _, t := range texts {
		id, err := uuid.Parse(t)
		if err != nil {
			return nil, fmt.Errorf("%q is no AAGUID", t)
		}
		all = append(all, id)
	}
	return all, nil
}

// ID is the relying party's identifier.
func (p *Party) ID() string { return p.cfg.RPID }

// Origins are the origins that may use our passkeys.
func (p *Party) Origins() []string { return []string{p.origin} }

// Person is whose passkeys a ceremony is about.
type Person struct {
	Handle        []byte
	Name, Display string
	Keys          []auth.Passkey
}

// person is a Person as the library takes one.
type person struct {
	Person
	credentials []webauthn.Credential
}

func read(p Person) (person, error) {
	out := person{Person: p}
	for _, k := range p.Keys {
		var c webauthn.Credential
		if err := json.Unmarshal(k.Record, &c); err != nil {
			return out, fmt.Errorf("read passkey %s: %w", k.ID, err)
		}
		if !bytes.Equal(c.ID, k.Credential) {
			return out, fmt.Errorf("passkey %s has another's record", k.ID)
		}
		out.credentials = append(out.credentials, c)
	}
	return out, nil
}

func (p person) WebAuthnID() []byte                         { return p.Handle }
func (p person) WebAuthnName() string                       { return p.Name }
func (p person) WebAuthnDisplayName() string                { return p.Display }
func (p person) WebAuthnCredentials() []webauthn.Credential { return p.credentials }

// Begun is the first half of a ceremony: what the browser is given, and what must be kept for the second half.
type Begun struct {
	Options json.RawMessage // as PublicKeyCredential.parse…OptionsFromJSON reads it
	State   auth.Secret
}

func begun(options any, session *webauthn.SessionData) (b Begun, err error) {
	if b.Options, err = json.Marshal(options); err != nil {
		return b, err
	}
	b.State, err = json.Marshal(session)
	return b, err
}

// Create begins to make a passkey for who.
func (p *Party) Create(who Person) (Begun, error) {
	u, err := read(who)
	if err != nil {
		return Begun{}, err
	}
	c, s, err := p.current.Load().BeginRegistration(u,
		webauthn.WithExclusions(webauthn.Credentials(u.credentials).CredentialDescriptors()),
		webauthn.WithCredentialParameters(webauthn.CredentialParametersRecommendedL3()),
		webauthn.WithExtensions(webauthn.WithExtensionCredProps()), webauthn.WithRegistrationOrigin(p.origin))
	if err != nil {
		return Begun{}, fmt.Errorf("begin to create a passkey: %w", err)
	}
	return begun(c.Response, s)
}

// Created verifies the second half of Create and returns the new passkey, with a name proposed for it.
func (p *Party) Created(who Person, state auth.Secret, response []byte) (auth.Passkey, error) {
	u, err := read(who)
	if err != nil {
		return auth.Passkey{}, err
	}
	s, err := session(state)
	if err != nil {
		return auth.Passkey{}, err
	}
	if len(response) > MaxResponse {
		return auth.Passkey{}, auth.ErrPasskey
	}
	parsed, err := protocol.ParseCredentialCreationResponseBytes(response)
	if err != nil {
		return auth.Passkey{}, refused(err)
	}
	c, err := p.current.Load().CreateCredential(u, s, parsed)
	if err != nil {
		return auth.Passkey{}, refused(err)
	}
	if len(c.ID) > 1023 {
		return auth.Passkey{}, auth.ErrPasskey
	}
	if rk := c.Extensions.RK; rk != nil && !*rk {
		return auth.Passkey{}, auth.ErrPasskey.Because(errors.New("the authenticator kept no discoverable credential"))
	}
	k := auth.Passkey{Credential: c.ID, Synced: c.Flags.BackupEligible, Signs: int64(c.Authenticator.SignCount), Model: uuid.Nil.String()}
	if id, err := uuid.FromBytes(c.Authenticator.AAGUID); err == nil {
		k.Model = id.String()
	}
	k.Name = Model(k.Model)
	k.Record, err = json.Marshal(c)
	return k, err
}

// Discover begins a proof by whoever holds a passkey of ours. Its holder must be verified, because nothing else is proved.
func (p *Party) Discover() (Begun, error) {
	c, s, err := p.current.Load().BeginDiscoverableLogin(webauthn.WithUserVerification(protocol.VerificationRequired), webauthn.WithLoginOrigin(p.origin))
	if err != nil {
		return Begun{}, fmt.Errorf("begin a proof: %w", err)
	}
	return begun(c.Response, s)
}

// Ask begins a proof by one of who's passkeys. verify says that its holder must be verified.
func (p *Party) Ask(who Person, verify bool) (Begun, error) {
	u, err := read(who)
	if err != nil {
		return Begun{}, err
	}
	want := protocol.VerificationPreferred
	if verify {
		want = protocol.VerificationRequired
	}
	c, s, err := p.current.Load().BeginLogin(u, webauthn.WithUserVerification(want), webauthn.WithLoginOrigin(p.origin))
	if err != nil {
		return Begun{}, fmt.Errorf("begin a proof: %w", err)
	}
	return begun(c.Response, s)
}

// Answer is a browser's answer to Discover or Ask, read and not yet verified.
type Answer struct {
	Credential []byte
	Handle     []byte // of whom the authenticator says that the credential is; empty where it does not say
	parsed     *protocol.ParsedCredentialAssertionData
}

// ReadAnswer reads an answer. Nothing in it is to be believed.
func ReadAnswer(response []byte) (Answer, error) {
	if len(response) > MaxResponse {
		return Answer{}, auth.ErrPasskey
	}
	parsed, err := protocol.ParseCredentialRequestResponseBytes(response)
	if err != nil {
		return Answer{}, refused(err)
	}
	return Answer{parsed.RawID, parsed.Response.UserHandle, parsed}, nil
}

// Verify verifies an answer against who it says it is of, and against the state that its ceremony began with.
func (p *Party) Verify(a Answer, who Person, state auth.Secret) (proof auth.PasskeyProof, err error) {
	u, err := read(who)
	if err != nil {
		return proof, err
	}
	s, err := session(state)
	if err != nil {
		return proof, err
	}
	var c *webauthn.Credential
	if w := p.current.Load(); len(s.UserID) == 0 {
		_, c, err = w.ValidatePasskeyLogin(func([]byte, []byte) (webauthn.User, error) { return u, nil }, s, a.parsed)
	} else {
		c, err = w.ValidateLogin(u, s, a.parsed)
	}
	if err != nil {
		return proof, refused(err)
	}
	for _, k := range who.Keys {
		if !bytes.Equal(k.Credential, c.ID) {
			continue
		}
		// The flags of this ceremony, not those that are stored, say what was proved.
		flags, data := a.parsed.Response.AuthenticatorData.Flags, a.parsed.Response.AuthenticatorData
		proof.Verified, proof.Bound = flags.HasUserVerified(), !flags.HasBackupEligible()
		proof.Back = data.Counter <= uint32(k.Signs) && (data.Counter != 0 || k.Signs != 0)
		c.Authenticator.CloneWarning = false // ours to say
		proof.Key = k
		proof.Key.Signs = max(k.Signs, int64(data.Counter))
		proof.Key.Record, err = json.Marshal(c)
		return proof, err
	}
	return proof, auth.ErrPasskey
}

func session(state auth.Secret) (s webauthn.SessionData, err error) {
	if err := json.Unmarshal(state, &s); err != nil {
		return s, fmt.Errorf("read a ceremony: %w", err)
	}
	if len(s.Challenge) < 22 { // 16 bytes; without one anything would verify
		return s, errors.New("a ceremony without a challenge")
	}
	return s, nil
}

// refused is what a browser's answer that does not hold is told: no more than that. The reason is for the log.
func refused(err error) error {
	var e *protocol.Error
	if errors.As(err, &e) && e.DevInfo != "" {
		err = fmt.Errorf("%s: %s", e.Details, e.DevInfo)
	}
	return auth.ErrPasskey.Because(err)
}

// Refused reports whether err says that an answer does not hold, and not that something broke.
func Refused(err error) bool { return fault.Is(err, auth.ErrPasskey.Kind) }

// Model is what an authenticator is called, by its AAGUID, as its owner would; empty if that is not known.
func Model(aaguid string) string { return knownModels[strings.ToLower(aaguid)] }
