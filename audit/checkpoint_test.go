package audit_test

import (
	"crypto/ed25519"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/note"

	"github.com/countersign-id/countersign/audit"
	"github.com/countersign-id/countersign/audit/audittest"
)

var point = audit.Checkpoint{
	Origin: "id.example.org/audit", Size: 1234, Root: [32]byte{1, 2, 3},
	At: time.Date(2026, 11, 5, 10, 0, 0, 123_456_000, time.UTC),
}

func sign(t testing.TB, c audit.Checkpoint, k audit.Keys) []byte {
	t.Helper()
	signed, err := audit.Sign(c, k.Signer)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// The form is that of C2SP tlog-checkpoint, which witnesses and other tools read.
func TestCheckpointIsANoteOfC2SP(t *testing.T) {
	t.Parallel()
	signed := sign(t, point, keys)
	const want = "id.example.org/audit\n1234\nAQIDAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\ntime 2026-11-05T10:00:00.123456Z\n\n— id.example.org/audit "
	if !strings.HasPrefix(string(signed), want) {
		t.Errorf("got\n%s\nwant it to begin\n%s", signed, want)
	}
	got, err := audit.Open(signed, keys.Known)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(point, got); diff != "" {
		t.Error(diff)
	}
}

func TestSignWritesTheSignersOwnOrigin(t *testing.T) {
	t.Parallel()
	c := point
	c.Origin = "elsewhere.example/audit"
	got, err := audit.Open(sign(t, c, keys), keys.Known)
	if err != nil || got.Origin != "id.example.org/audit" {
		t.Errorf("got origin %q, %v", got.Origin, err)
	}
}

func TestOpenRefusesWhatIsNoCheckpoint(t *testing.T) {
	t.Parallel()
	raw := func(text string, k audit.Keys) []byte {
		signed, err := note.Sign(&note.Note{Text: text}, k.Signer)
		if err != nil {
			t.Fatal(err)
		}
		return signed
	}
	const root = "AQIDAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
	const at = "time 2026-11-05T10:00:00.123456Z\n"
	const origin = "id.example.org/audit\n"
	pruning, err := audit.Pruning{From: 0, To: 5}.Event(keys.Signer)
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string][]byte{
		"nothing":                       nil,
		"no signature":                  []byte(origin + "5\n" + root + "\n" + at),
		"a key we do not know":          sign(t, point, audittest.Keys("id.example.org/audit", "another")),
		"a known key of another origin": raw("elsewhere.example/audit\n5\n"+root+"\n"+at, keys),
		"a negative size":               raw(origin+"-5\n"+root+"\n"+at, keys),
		"a size with a leading zero":    raw(origin+"05\n"+root+"\n"+at, keys),
		"a size with a plus sign":       raw(origin+"+5\n"+root+"\n"+at, keys),
		"a size beyond 64 bits":         raw(origin+"9223372036854775808\n"+root+"\n"+at, keys),
		"a short root":                  raw(origin+"5\nAQID\n"+at, keys),
		"a root in lax base64":          raw(origin+"5\n"+root[:42]+"B=\n"+at, keys),
		"no time":                       raw(origin+"5\n"+root+"\n", keys),
		"a time of another zone":        raw(origin+"5\n"+root+"\ntime 2026-11-05T10:00:00.123456+01:00\n", keys),
		"a time without fraction":       raw(origin+"5\n"+root+"\ntime 2026-11-05T10:00:00Z\n", keys),
		"a line too many":               raw(origin+"5\n"+root+"\n"+at+"more\n", keys),
		"a statement of pruning":        []byte(pruning.Detail["statement"]),
	}
	for name, msg := range tests {
		if c, err := audit.Open(msg, keys.Known); !errors.Is(err, audit.ErrCheckpoint) {
			t.Errorf("%s: opened as %+v, %v", name, c, err)
		}
	}
}

// Every single bit counts: there is one spelling of a checkpoint and its signature.
func TestOpenRefusesEveryFlippedBit(t *testing.T) {
	t.Parallel()
	signed := sign(t, point, keys)
	for i := range signed {
		for bit := range 8 {
			msg := slices.Clone(signed)
			msg[i] ^= 1 << bit
			if c, err := audit.Open(msg, keys.Known); err == nil {
				t.Fatalf("bit %d of byte %d flipped: opened as %+v", bit, i, c)
			}
		}
	}
}

func TestOpenAcceptsAWitnessBesideUs(t *testing.T) {
	t.Parallel()
	witness := audittest.Keys("witness.example", "witness")
	n, err := note.Open(sign(t, point, keys), keys.Known)
	if err != nil {
		t.Fatal(err)
	}
	both, err := note.Sign(n, witness.Signer)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := audit.Open(both, keys.Known); err != nil || !cmp.Equal(got, point) {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := audit.Open(both, witness.Known); !errors.Is(err, audit.ErrCheckpoint) {
		t.Errorf("under the witness's key alone: %v, want ErrCheckpoint", err)
	}
}

func TestKeysNeedAnOriginThatANoteCanName(t *testing.T) {
	t.Parallel()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	for origin, want := range map[string]bool{
		"localhost:8080/audit": true, "id.example.org": true, "身份.example/audit": true,
		"": false, "two words": false, "a+b": false, "line\nbreak": false,
	} {
		_, err1 := audit.NewSigner(origin, private)
		_, err2 := audit.NewVerifier(origin, public)
		if (err1 == nil) != want || (err2 == nil) != want {
			t.Errorf("origin %q: signer %v, verifier %v", origin, err1, err2)
		}
	}
	if _, err := audit.NewVerifier("id.example.org", public[:31]); err == nil {
		t.Error("a short public key was taken")
	}
}

func FuzzCheckpointOpen(f *testing.F) {
	signed := sign(f, point, keys)
	f.Add(signed)
	f.Add(sign(f, audit.Checkpoint{}, keys))
	f.Add([]byte("id.example.org/audit\n1\n\n\n— id.example.org/audit AAAA\n"))
	f.Fuzz(func(t *testing.T, msg []byte) {
		c, err := audit.Open(msg, keys.Known)
		if err != nil {
			if !errors.Is(err, audit.ErrCheckpoint) {
				t.Fatalf("not ErrCheckpoint: %v", err)
			}
			return
		}
		// Whatever opens says exactly what our own signature says: Ed25519 is deterministic.
		own := string(sign(t, c, keys))
		text, line, _ := strings.Cut(own, "\n\n")
		if !strings.HasPrefix(string(msg), text+"\n\n") || !strings.Contains(string(msg), strings.TrimSuffix(line, "\n")) {
			t.Fatalf("opened as %+v:\n%s", c, msg)
		}
	})
}
