package audit

import (
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/countersign-id/countersign/internal/fault"
)

// ErrCheckpoint is the fault of a note that is not a checkpoint signed by a key we know.
var ErrCheckpoint = fault.New(fault.Invalid, "checkpoint-invalid", "This is not a checkpoint signed by a key of this log.")

// Checkpoint says that at a time the log of an origin had so many entries with this root. Signed,
// it is a note in the form of C2SP tlog-checkpoint, with the time as its one extension line.
type Checkpoint struct {
	Origin string    `json:"origin"` // the log's name, and that of the keys that sign for it
	Size   int64     `json:"size"`
	Root   tlog.Hash `json:"root"`
	At     time.Time `json:"at"` // whole microseconds, UTC
}

const checkpointTime = "2006-01-02T15:04:05.000000Z"

func (c Checkpoint) text() string {
	return fmt.Sprintf("%s\n%d\n%s\ntime %s\n", c.Origin, c.Size, c.Root, c.At.UTC().Format(checkpointTime))
}

// Sign signs c. The signer's name is the origin, whatever c holds there, because a checkpoint
// counts only under a key of its own log.
func Sign(c Checkpoint, signer note.Signer) ([]byte, error) {
	c.Origin = signer.Name()
	return note.Sign(&note.Note{Text: c.text()}, signer)
}

// Open reads a signed checkpoint. It accepts only the one spelling that Sign writes, under at
// least one true signature of a known key of the checkpoint's origin; signatures of others, such
// as witnesses, may stand beside it. Every fault is ErrCheckpoint.
func Open(msg []byte, known note.Verifiers) (Checkpoint, error) {
	n, err := note.Open(msg, known)
	if err != nil {
		return Checkpoint{}, ErrCheckpoint.Because(err)
	}
	c, err := parseCheckpoint(n.Text)
	if err != nil {
		return Checkpoint{}, ErrCheckpoint.Because(err)
	}
	if !signedBy(n, c.Origin) {
		return Checkpoint{}, ErrCheckpoint.Because(fmt.Errorf("no signature of %q", c.Origin))
	}
	return c, nil
}

func parseCheckpoint(text string) (Checkpoint, error) {
	lines := strings.Split(text, "\n")
	if len(lines) != 5 {
		return Checkpoint{}, fmt.Errorf("want 4 lines, got %d", len(lines)-1)
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return Checkpoint{}, err
	}
	root, err := tlog.ParseHash(lines[2])
	if err != nil {
		return Checkpoint{}, err
	}
	at, err := time.Parse("time "+checkpointTime, lines[3])
	if err != nil {
		return Checkpoint{}, err
	}
	c := Checkpoint{Origin: lines[0], Size: size, Root: root, At: at}
	if size < 0 || c.text() != text {
		return Checkpoint{}, fmt.Errorf("not in canonical form")
	}
	return c, nil
}

// signedBy reports whether a verified signature of name stands in n, in base64's one strict
// spelling: the lax one has bits that nobody reads.
func signedBy(n *note.Note, name string) bool {
	return slices.ContainsFunc(n.Sigs, func(s note.Signature) bool {
		_, err := base64.StdEncoding.Strict().DecodeString(s.Base64)
		return s.Name == name && err == nil
	})
}

// NewSigner makes the signer of the log called origin from an Ed25519 key. An origin is a name
// like "id.example.org/audit": not empty, without spaces and plus signs. It stays with the key
// for life.
func NewSigner(origin string, key ed25519.PrivateKey) (note.Signer, error) {
	vkey, err := note.NewEd25519VerifierKey(origin, key.Public().(ed25519.PublicKey))
	if err != nil {
		return nil, err
	}
	// note reads keys only in its text form: name, hash and key, with the algorithm's byte first.
	const ed25519Algorithm = 1
	hash := vkey[len(origin)+1:][:8]
	seed := base64.StdEncoding.EncodeToString(append([]byte{ed25519Algorithm}, key.Seed()...))
	return note.NewSigner("PRIVATE+KEY+" + origin + "+" + hash + "+" + seed)
}

// NewVerifier makes the verifier of the log called origin from an Ed25519 public key.
func NewVerifier(origin string, key ed25519.PublicKey) (note.Verifier, error) {
	vkey, err := note.NewEd25519VerifierKey(origin, key)
	if err != nil {
		return nil, err
	}
	return note.NewVerifier(vkey)
}
