package passkey

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/countersign-id/countersign/auth"
)

// vector is a registration and a proof of WebAuthn Level 3 §16.
type vector struct {
	Section, Title string
	Create         struct{ Challenge, ClientData, Attestation bytesOf }
	Get            struct{ Challenge, ClientData, AuthData, Signature bytesOf }
	Credential     bytesOf
}

type bytesOf []byte

func (b *bytesOf) UnmarshalText(text []byte) (err error) {
	*b, err = hex.DecodeString(string(text))
	return err
}

func vectors(t *testing.T) (all []vector) {
	t.Helper()
	b, err := os.ReadFile("testdata/webauthn-l3-16.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &all); err != nil || len(all) < 13 {
		t.Fatalf("%d vectors: %v", len(all), err)
	}
	return all
}

// crossOrigin are the vectors made inside another site's frame, which we do not allow.
func (v vector) crossOrigin() bool { return v.Section == "16.4" || v.Section == "16.5" }

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

var vectorPerson = Person{Handle: []byte("0123456789abcdef"), Name: "ada", Display: "Ada"}

func vectorParty(t *testing.T) *Party {
	t.Helper()
	p, err := New(Config{Issuer: "https://example.org", Name: "Example"})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// state is what a ceremony with a challenge of the standard's leaves to be kept.
func state(t *testing.T, challenge []byte, known bool, change func(s *webauthn.SessionData)) auth.Secret {
	t.Helper()
	s := webauthn.SessionData{
		Challenge: b64(challenge), RelyingPartyID: "example.org", Origin: "https://example.org", UserVerification: protocol.VerificationPreferred,
		CredParams: webauthn.CredentialParametersExtendedL3(),
	}
	if known {
		s.UserID = vectorPerson.Handle
	}
	if change != nil {
		change(&s)
	}
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (v vector) created(clientData, attestation []byte) []byte {
	b, _ := json.Marshal(map[string]any{
		"id": b64(v.Credential), "rawId": b64(v.Credential), "type": "public-key", "clientExtensionResults": map[string]any{},
		"response": map[string]any{"clientDataJSON": b64(clientData), "attestationObject": b64(attestation)},
	})
	return b
}

// withoutStatement is the registration as a browser sends it that was asked for no attestation.
func (v vector) withoutStatement(t *testing.T) []byte {
	t.Helper()
	_, data, ok := bytes.Cut(v.Create.Attestation, []byte("\x68authData"))
	if !ok {
		t.Fatal("no authenticator data")
	}
	return append([]byte("\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData"), data...)
}

func (v vector) answer(clientData, authData, signature, handle []byte) []byte {
	b, _ := json.Marshal(map[string]any{
		"id": b64(v.Credential), "rawId": b64(v.Credential), "type": "public-key", "clientExtensionResults": map[string]any{},
		"response": map[string]any{"clientDataJSON": b64(clientData), "authenticatorData": b64(authData), "signature": b64(signature), "userHandle": b64(handle)},
	})
	return b
}

func verify(p *Party, who Person, s auth.Secret, response []byte) (auth.PasskeyProof, error) {
	a, err := ReadAnswer(response)
	if err != nil {
		return auth.PasskeyProof{}, err
	}
	return p.Verify(a, who, s)
}

// WebAuthn Level 3 §16: what the standard says is right is taken, but for frames of other sites; the attestation of sample
// authorities is not looked at, because none is asked for.
func TestTheStandardsVectorsAreTaken(t *testing.T) {
	t.Parallel()
	p := vectorParty(t)
	taken := 0
	for _, v := range vectors(t) {
		t.Run(v.Section+" "+v.Title, func(t *testing.T) {
			k, err := p.Created(vectorPerson, state(t, v.Create.Challenge, true, nil), v.created(v.Create.ClientData, v.Create.Attestation))
			if slices.Contains([]string{"16.13", "16.14", "16.15"}, v.Section) {
				// Their certificates are samples: no maker of TPMs, no Android, no Apple. A browser leaves such a statement out where none is asked for.
				if !Refused(err) {
					t.Errorf("a statement by nobody's certificate: got %v", err)
				}
				k, err = p.Created(vectorPerson, state(t, v.Create.Challenge, true, nil), v.created(v.Create.ClientData, v.withoutStatement(t)))
			}
			if v.crossOrigin() {
				if !Refused(err) {
					t.Errorf("made in another site's frame: got %v", err)
				}
				return
			}
			if err != nil || !bytes.Equal(k.Credential, v.Credential) {
				t.Fatalf("registration: %v", err)
			}
			who := vectorPerson
			who.Keys = []auth.Passkey{k}
			proof, err := verify(p, who, state(t, v.Get.Challenge, true, nil), v.answer(v.Get.ClientData, v.Get.AuthData, v.Get.Signature, nil))
			if err != nil || proof.Verified != (v.Get.AuthData[32]&4 != 0) || proof.Bound != (v.Get.AuthData[32]&8 == 0) {
				t.Fatalf("proof: %+v, %v", proof, err)
			}
			taken++
		})
	}
	if taken < 12 {
		t.Errorf("only %d vectors were taken", taken)
	}
}

// sec-M12: no byte of what was signed, nor of its signature, may be another.
func TestNoByteOfAVectorMayBeAnother(t *testing.T) {
	t.Parallel()
	p, refusals := vectorParty(t), 0
	for _, v := range vectors(t) {
		k, err := p.Created(vectorPerson, state(t, v.Create.Challenge, true, nil), v.created(v.Create.ClientData, v.Create.Attestation))
		if err != nil {
			continue // those that are refused as they stand
		}
		who := vectorPerson
		who.Keys = []auth.Passkey{k}
		for name, part := range map[string]bytesOf{"client data": v.Get.ClientData, "authenticator data": v.Get.AuthData, "signature": v.Get.Signature} {
			for i := range part {
				changed := bytes.Clone(part)
				changed[i] ^= 1 << (i % 8)
				parts := map[string]bytesOf{"client data": v.Get.ClientData, "authenticator data": v.Get.AuthData, "signature": v.Get.Signature}
				parts[name] = changed
				_, err := verify(p, who, state(t, v.Get.Challenge, true, nil), v.answer(parts["client data"], parts["authenticator data"], parts["signature"], nil))
				if !Refused(err) {
					t.Errorf("§%s: byte %d of the %s changed: got %v", v.Section, i, name, err)
				}
				refusals++
			}
		}
		// Of a registration without attestation nothing is signed: what it is checked for is where it was made.
		for i := range v.Create.ClientData[:100] {
			changed := bytes.Clone(v.Create.ClientData)
			changed[i] ^= 1
			if _, err := p.Created(vectorPerson, state(t, v.Create.Challenge, true, nil), v.created(changed, v.Create.Attestation)); !Refused(err) {
				t.Errorf("§%s: byte %d of the registration's client data changed: got %v", v.Section, i, err)
			}
			refusals++
		}
	}
	if refusals < 3000 {
		t.Errorf("only %d were refused", refusals)
	}
}

// sec-M12: each step of WebAuthn Level 3 §7.1 and §7.2 that can fail, failing alone.
func TestEachStepOfTheStandardRefuses(t *testing.T) {
	t.Parallel()
	p := vectorParty(t)
	v := vectors(t)[0]
	k, err := p.Created(vectorPerson, state(t, v.Create.Challenge, true, nil), v.created(v.Create.ClientData, v.Create.Attestation))
	if err != nil {
		t.Fatal(err)
	}
	who := vectorPerson
	who.Keys = []auth.Passkey{k}
	replaced := func(data []byte, old, new string) []byte {
		if !bytes.Contains(data, []byte(old)) {
			t.Fatalf("%s is not in %s", old, data)
		}
		return bytes.Replace(data, []byte(old), []byte(new), 1)
	}
	flags := func(set, clear byte) []byte {
		d := bytes.Clone(v.Get.AuthData)
		d[32] = d[32]&^clear | set
		return d
	}
	other := vectorPerson
	other.Handle = []byte("fedcba9876543210")
	other.Keys = who.Keys
	stranger := vectorPerson
	good := v.answer(v.Get.ClientData, v.Get.AuthData, v.Get.Signature, nil)
	for name, c := range map[string]struct {
		who      Person
		state    auth.Secret
		response []byte
	}{
		"type":             {who, nil, v.answer(replaced(v.Get.ClientData, "webauthn.get", "webauthn.create"), v.Get.AuthData, v.Get.Signature, nil)},
		"challenge":        {who, state(t, []byte("another challenge, as long"), true, nil), good},
		"no challenge":     {who, state(t, nil, true, nil), good},
		"origin":           {who, nil, v.answer(replaced(v.Get.ClientData, "https://example.org", "https://example.com"), v.Get.AuthData, v.Get.Signature, nil)},
		"origin's scheme":  {who, nil, v.answer(replaced(v.Get.ClientData, "https://example.org", "http://example.org"), v.Get.AuthData, v.Get.Signature, nil)},
		"origin's port":    {who, nil, v.answer(replaced(v.Get.ClientData, "https://example.org", "https://example.org:8443"), v.Get.AuthData, v.Get.Signature, nil)},
		"subdomain":        {who, nil, v.answer(replaced(v.Get.ClientData, "https://example.org", "https://evil.example.org"), v.Get.AuthData, v.Get.Signature, nil)},
		"cross origin":     {who, nil, v.answer(replaced(v.Get.ClientData, `"crossOrigin":false`, `"crossOrigin":true`), v.Get.AuthData, v.Get.Signature, nil)},
		"top origin":       {who, nil, v.answer(replaced(v.Get.ClientData, `"crossOrigin":false`, `"crossOrigin":true,"topOrigin":"https://example.com"`), v.Get.AuthData, v.Get.Signature, nil)},
		"relying party":    {who, state(t, v.Get.Challenge, true, func(s *webauthn.SessionData) { s.RelyingPartyID = "example.com" }), good},
		"presence":         {who, nil, v.answer(v.Get.ClientData, flags(0, 1), v.Get.Signature, nil)},
		"verification":     {who, state(t, v.Get.Challenge, true, func(s *webauthn.SessionData) { s.UserVerification = protocol.VerificationRequired }), v.answer(v.Get.ClientData, flags(0, 4), v.Get.Signature, nil)},
		"backup state":     {who, nil, v.answer(v.Get.ClientData, flags(16, 8), v.Get.Signature, nil)},
		"backup changed":   {who, nil, v.answer(v.Get.ClientData, flags(0, 24), v.Get.Signature, nil)},
		"user handle":      {who, nil, v.answer(v.Get.ClientData, v.Get.AuthData, v.Get.Signature, other.Handle)},
		"another person":   {other, nil, good},
		"nobody's":         {stranger, nil, good},
		"not allowed":      {who, state(t, v.Get.Challenge, true, func(s *webauthn.SessionData) { s.AllowedCredentialIDs = [][]byte{[]byte("another")} }), good},
		"signature":        {who, nil, v.answer(v.Get.ClientData, v.Get.AuthData, vectors(t)[1].Get.Signature, nil)},
		"no signature":     {who, nil, v.answer(v.Get.ClientData, v.Get.AuthData, nil, nil)},
		"handle missing":   {who, state(t, v.Get.Challenge, false, nil), good},
		"handle another's": {who, state(t, v.Get.Challenge, false, nil), v.answer(v.Get.ClientData, v.Get.AuthData, v.Get.Signature, other.Handle)},
		"empty":            {who, nil, nil},
		"not JSON":         {who, nil, []byte("credential")},
		"too large":        {who, nil, []byte(strings.Repeat(" ", MaxResponse) + string(good))},
	} {
		s := c.state
		if s == nil {
			s = state(t, v.Get.Challenge, true, nil)
		}
		if _, err := verify(p, c.who, s, c.response); err == nil {
			t.Errorf("%s: taken", name)
		} else if name != "no challenge" && !Refused(err) {
			t.Errorf("%s: not refused as the others are: %v", name, err)
		}
	}
	made := v.created(v.Create.ClientData, v.Create.Attestation)
	for name, c := range map[string]struct {
		state    auth.Secret
		response []byte
	}{
		"type":         {nil, v.created(replaced(v.Create.ClientData, "webauthn.create", "webauthn.get"), v.Create.Attestation)},
		"challenge":    {state(t, []byte("another challenge, as long"), true, nil), made},
		"origin":       {nil, v.created(replaced(v.Create.ClientData, "https://example.org", "https://example.net"), v.Create.Attestation)},
		"cross origin": {nil, v.created(replaced(v.Create.ClientData, `"crossOrigin":false`, `"crossOrigin":true`), v.Create.Attestation)},
		"alg":          {state(t, v.Create.Challenge, true, func(s *webauthn.SessionData) { s.CredParams = s.CredParams[:0] }), made},
		"person":       {state(t, v.Create.Challenge, true, func(s *webauthn.SessionData) { s.UserID = other.Handle }), made},
		"statement":    {nil, v.created(v.Create.ClientData, bytes.Replace(v.Create.Attestation, []byte("none"), []byte("nonn"), 1))},
		"garbage":      {nil, v.created(v.Create.ClientData, []byte("garbage"))},
		"a proof":      {nil, good},
	} {
		s := c.state
		if s == nil {
			s = state(t, v.Create.Challenge, true, nil)
		}
		if _, err := p.Created(vectorPerson, s, c.response); !Refused(err) {
			t.Errorf("registration, %s: got %v", name, err)
		}
	}
}
