package passkey

import (
	"errors"
	"fmt"
	"net/http"
	"sync"

	"github.com/go-webauthn/webauthn/metadata"
	"github.com/go-webauthn/webauthn/metadata/providers/memory"
	"github.com/go-webauthn/x/revoke"
	"github.com/google/uuid"
)

// MaxMetadata bounds a FIDO metadata blob, in bytes. It has about seven million.
const MaxMetadata = 64 << 20

// Learn takes a FIDO metadata blob (MDS3): signed, and chained to the FIDO Alliance's root. From then on authenticators whose status
// there is bad are refused, at registration and at each proof. It returns how many it knows. A blob that does not verify changes nothing.
func (p *Party) Learn(blob []byte) (int, error) { return p.learn(blob) }

// stayHere keeps the library from fetching lists of revoked certificates by its own HTTP client: nothing leaves but by the guarded one. The
// certificates that sign the metadata live for a year at most.
var stayHere = sync.OnceFunc(func() {
	revoke.HTTPClient = &http.Client{Transport: refusing{}}
})

type refusing struct{}

func (refusing) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, errors.New("passkey: nothing is fetched here")
}

func (p *Party) learn(blob []byte, options ...metadata.DecoderOption) (int, error) {
	if len(blob) > MaxMetadata {
		return 0, fmt.Errorf("the metadata are larger than %d bytes", MaxMetadata)
	}
	stayHere()
	d, err := metadata.NewDecoder(append(options, metadata.WithIgnoreEntryParsingErrors())...)
	if err != nil {
		return 0, err
	}
	payload, err := d.DecodeBytes(blob)
	if err != nil {
		return 0, fmt.Errorf("verify the metadata: %w", err)
	}
	all, err := d.Parse(payload)
	if err != nil {
		return 0, fmt.Errorf("read the metadata: %w", err)
	}
	entries := all.ToMap()
	return len(entries), p.trust(entries)
}

// trust makes entries what authenticators are held to. Only where just known ones are taken must an authenticator have one.
func (p *Party) trust(entries map[uuid.UUID]*metadata.Entry) error {
	if entries == nil {
		entries = map[uuid.UUID]*metadata.Entry{}
	}
	provider, err := memory.New(memory.WithMetadata(entries), memory.WithValidateEntry(p.known), memory.WithValidateEntryPermitZeroAAGUID(!p.known),
		memory.WithValidateTrustAnchor(p.known), memory.WithValidateAttestationTypes(p.known), memory.WithValidateStatus(true))
	if err != nil {
		return err
	}
	c := p.cfg
	c.MDS = provider
	return p.swap(c)
}
