package passkey

import (
	"bytes"
	"strings"
	"testing"

	virtual "github.com/descope/virtualwebauthn"
	"github.com/google/uuid"

	"github.com/countersign-id/countersign/auth"
)

// device is an authenticator with one credential, and the relying party it believes it talks to.
type device struct {
	rp   virtual.RelyingParty
	auth virtual.Authenticator
	cred virtual.Credential
}

func newDevice(with virtual.AuthenticatorOptions) *device {
	with.UserHandle = []byte("0123456789abcdef0123456789abcdef")
	return &device{virtual.RelyingParty{ID: "id.example.org", Name: "Example", Origin: "https://id.example.org"},
		virtual.NewAuthenticatorWithOptions(with), virtual.NewCredential(virtual.KeyTypeEC2)}
}

func (d *device) creates(t *testing.T, b Begun) []byte {
	t.Helper()
	o, err := virtual.ParseAttestationOptions(`{"publicKey":` + string(b.Options) + `}`)
	if err != nil {
		t.Fatal(err)
	}
	return []byte(virtual.CreateAttestationResponse(d.rp, d.auth, d.cred, *o))
}

func (d *device) proves(t *testing.T, b Begun) []byte {
	t.Helper()
	o, err := virtual.ParseAssertionOptions(`{"publicKey":` + string(b.Options) + `}`)
	if err != nil {
		t.Fatal(err)
	}
	return []byte(virtual.CreateAssertionResponse(d.rp, d.auth, d.cred, *o))
}

func party(t *testing.T, change func(c *Config)) *Party {
	t.Helper()
	c := Config{Issuer: "https://id.example.org", Name: "Example"}
	if change != nil {
		change(&c)
	}
	p, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func ada() Person {
	return Person{Handle: []byte("0123456789abcdef0123456789abcdef"), Name: "ada", Display: "Ada Lovelace"}
}

// enrolled makes a passkey on d for ada.
func enrolled(t *testing.T, p *Party, d *device) (Person, error) {
	t.Helper()
	who := ada()
	b, err := p.Create(who)
	if err != nil {
		t.Fatal(err)
	}
	k, err := p.Created(who, b.State, d.creates(t, b))
	k.ID = "k"
	who.Keys = []auth.Passkey{k}
	return who, err
}

func must[T any](t *testing.T) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func TestAPasskeyIsMadeAndProved(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]virtual.AuthenticatorOptions{"bound to its device": {}, "synced": {BackupEligible: true, BackupState: true}, "synced, not backed up": {BackupEligible: true}} {
		t.Run(name, func(t *testing.T) {
			p, d := party(t, nil), newDevice(o)
			who, err := enrolled(t, p, d)
			if err != nil {
				t.Fatal(err)
			}
			k := who.Keys[0]
			if k.Synced != o.BackupEligible || !bytes.Equal(k.Credential, d.cred.ID) || k.Model != uuid.UUID(d.auth.Aaguid).String() {
				t.Errorf("got %+v", k)
			}
			for name, b := range map[string]Begun{"whoever it is": must[Begun](t)(p.Discover()), "ada": must[Begun](t)(p.Ask(who, true)), "ada, verified or not": must[Begun](t)(p.Ask(who, false))} {
				proof, err := verify(p, who, b.State, d.proves(t, b))
				if err != nil || !proof.Verified || proof.Bound == o.BackupEligible || proof.Back || proof.Key.ID != "k" {
					t.Errorf("%s: %+v, %v", name, proof, err)
				}
			}
		})
	}
}

// sec-M12: what this ceremony's flags say counts, and verification where it is demanded.
func TestWhoIsNotVerifiedProvesPossessionAlone(t *testing.T) {
	t.Parallel()
	p, d := party(t, nil), newDevice(virtual.AuthenticatorOptions{})
	who := must[Person](t)(enrolled(t, p, d))
	d.auth.Options.UserNotVerified = true
	if _, err := enrolled(t, p, d); !Refused(err) {
		t.Errorf("made without verification: %v", err)
	}
	b := must[Begun](t)(p.Discover())
	if _, err := verify(p, who, b.State, d.proves(t, b)); !Refused(err) {
		t.Errorf("the only proof, without verification: %v", err)
	}
	b = must[Begun](t)(p.Ask(who, true))
	if _, err := verify(p, who, b.State, d.proves(t, b)); !Refused(err) {
		t.Errorf("verification was demanded: %v", err)
	}
	b = must[Begun](t)(p.Ask(who, false))
	if proof, err := verify(p, who, b.State, d.proves(t, b)); err != nil || proof.Verified {
		t.Errorf("possession alone: %+v, %v", proof, err)
	}
	d.auth.Options.UserNotPresent = true
	b = must[Begun](t)(p.Ask(who, false))
	if _, err := verify(p, who, b.State, d.proves(t, b)); !Refused(err) {
		t.Errorf("nobody was there: %v", err)
	}
}

func TestAnAnswerHoldsInItsCeremonyAlone(t *testing.T) {
	t.Parallel()
	p, d := party(t, nil), newDevice(virtual.AuthenticatorOptions{})
	who := must[Person](t)(enrolled(t, p, d))
	one, two := must[Begun](t)(p.Discover()), must[Begun](t)(p.Discover())
	if _, err := verify(p, who, two.State, d.proves(t, one)); !Refused(err) {
		t.Errorf("another ceremony's answer: %v", err)
	}
	made := must[Begun](t)(p.Create(ada()))
	if _, err := verify(p, who, made.State, d.proves(t, one)); err == nil {
		t.Error("a proof was taken for a registration's ceremony")
	}
	if string(one.Options) == string(two.Options) {
		t.Error("two ceremonies have one challenge")
	}
	for name, rp := range map[string]virtual.RelyingParty{
		"another site's": {ID: "id.example.org", Origin: "https://evil.example.org"}, "another identifier's": {ID: "example.org", Origin: "https://id.example.org"},
		"a plain origin's": {ID: "id.example.org", Origin: "http://id.example.org"},
	} {
		d.rp = rp
		if _, err := verify(p, who, one.State, d.proves(t, one)); !Refused(err) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := enrolled(t, p, d); !Refused(err) {
			t.Errorf("made at %s: %v", name, err)
		}
	}
}

// sec-M15: a counter that goes back is told of, and the stored one never does.
func TestACounterThatGoesBackIsNoticed(t *testing.T) {
	t.Parallel()
	p, d := party(t, nil), newDevice(virtual.AuthenticatorOptions{})
	d.cred.Counter = 10
	who := must[Person](t)(enrolled(t, p, d))
	if who.Keys[0].Signs != 10 {
		t.Fatalf("the counter is %d, want 10", who.Keys[0].Signs)
	}
	for _, c := range []struct {
		counter uint32
		back    bool
		signs   int64
	}{{11, false, 11}, {11, true, 11}, {5, true, 11}, {0, true, 11}, {12, false, 12}} {
		d.cred.Counter = c.counter
		b := must[Begun](t)(p.Discover())
		proof, err := verify(p, who, b.State, d.proves(t, b))
		if err != nil || proof.Back != c.back || proof.Key.Signs != c.signs {
			t.Errorf("counter %d: %+v, %v, want back %v at %d", c.counter, proof, err, c.back, c.signs)
		}
		if !proof.Back {
			who.Keys[0] = proof.Key
		}
	}
}

func TestAuthenticatorsAreTakenByTheirModel(t *testing.T) {
	t.Parallel()
	d := newDevice(virtual.AuthenticatorOptions{BackupEligible: true})
	model := uuid.UUID(d.auth.Aaguid).String()
	for name, c := range map[string]struct {
		change func(c *Config)
		taken  bool
	}{
		"any":            {nil, true},
		"allowed":        {func(c *Config) { c.Allow = []string{model} }, true},
		"not allowed":    {func(c *Config) { c.Allow = []string{"ea9b8d66-4d01-1d21-3ce4-b6b48cb575d4"} }, false},
		"denied":         {func(c *Config) { c.Deny = []string{model} }, false},
		"synced":         {func(c *Config) { c.BoundOnly = true }, false},
		"known ones":     {func(c *Config) { c.Attestation, c.Known = "direct", true }, false},
		"attested, any":  {func(c *Config) { c.Attestation = "direct" }, true},
		"another denied": {func(c *Config) { c.Deny = []string{"ea9b8d66-4d01-1d21-3ce4-b6b48cb575d4"} }, true},
	} {
		if _, err := enrolled(t, party(t, c.change), d); (err == nil) != c.taken {
			t.Errorf("%s: got %v, want taken %v", name, err, c.taken)
		}
	}
}

func TestPasskeysNeedAHostWithAName(t *testing.T) {
	t.Parallel()
	for issuer, want := range map[string]bool{
		"https://id.example.org": true, "https://id.example.org:8443": true, "http://localhost:8080": true, "https://localhost": true,
		"http://id.example.org": false, "https://192.0.2.1": false, "https://[2001:db8::1]": false, "http://127.0.0.1:8080": false, "https://": false, "": false,
	} {
		_, err := New(Config{Issuer: issuer, Name: "x"})
		if Possible(issuer) != want || (err == nil) != want {
			t.Errorf("%s: possible %v, new %v, want %v", issuer, Possible(issuer), err, want)
		}
	}
	for _, c := range []Config{{Attestation: "all"}, {Allow: []string{"x"}}, {Deny: []string{"x"}}, {Allow: []string{uuid.NewString()}, Deny: []string{uuid.NewString()}}} {
		c.Issuer, c.Name = "https://id.example.org", "x"
		if _, err := New(c); err == nil {
			t.Errorf("%+v is taken", c)
		}
	}
}

func TestMetadataThatDoNotVerifyChangeNothing(t *testing.T) {
	t.Parallel()
	p := party(t, nil)
	before := p.current.Load()
	for _, blob := range []string{"", "x.y.z", "eyJhbGciOiJub25lIn0.e30.", strings.Repeat("a", MaxMetadata+1)} {
		if n, err := p.Learn([]byte(blob)); err == nil {
			t.Errorf("%.20q is taken, with %d", blob, n)
		}
	}
	if p.current.Load() != before {
		t.Error("the relying party changed")
	}
}

func TestNamesAreProposedByModel(t *testing.T) {
	t.Parallel()
	if Model("EA9B8D66-4D01-1D21-3CE4-B6B48CB575D4") != "Google Password Manager" || Model(uuid.Nil.String()) != "" {
		t.Error("a known model has no name, or an unknown one has")
	}
	for id := range knownModels {
		if u, err := uuid.Parse(id); err != nil || u.String() != id {
			t.Errorf("%s is no AAGUID as they are written", id)
		}
	}
}
