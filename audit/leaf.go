package audit

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"slices"

	"golang.org/x/mod/sumdb/tlog"
)

// The first bytes of what is hashed. A new encoding gets a new first line, so that no leaf can
// be read as one of another version, and no leaf as a commitment's message.
const (
	leafVersion     = "countersign event 1\n"
	personalVersion = "countersign personal 1\n"
)

// Leaf returns the bytes an event is logged as: every field but Personal, for which its
// commitment stands. It is deterministic and injective: two events that differ in any field
// have different leaves. Times count in whole microseconds, which is how they are stored; a nil
// and an empty map are the same.
func Leaf(e Event, commitment []byte) []byte {
	b := make([]byte, 0, 512)
	b = append(b, leafVersion...)
	b = appendString(b, e.ID)
	b = binary.BigEndian.AppendUint64(b, uint64(e.At.UnixMicro()))
	for _, s := range [...]string{
		string(e.Kind), string(e.Outcome), e.Code,
		e.Actor, e.Subject, e.Client, e.Session, e.Grant, e.Request,
	} {
		b = appendString(b, s)
	}
	b = appendMap(b, e.Detail)
	b = binary.BigEndian.AppendUint64(b, uint64(e.Count))
	return appendString(b, string(commitment))
}

// LeafHash is the RFC 6962 hash of an entry's leaf: SHA-256 over a zero byte and the leaf.
func LeafHash(e Event, commitment []byte) tlog.Hash {
	return tlog.RecordHash(Leaf(e, commitment))
}

// Commit makes the salted commitment by which the log remembers personal data without holding
// it. Both results are nil where there is nothing personal. Whoever erases deletes salt and
// personal data together and keeps the commitment: the leaf is still the same, and without its
// 32 random bytes of salt the commitment tells nothing, not even to somebody who guesses right.
func Commit(personal map[string]string) (salt, commitment []byte) {
	if len(personal) == 0 {
		return nil, nil
	}
	salt = make([]byte, sha256.Size)
	rand.Read(salt) // never fails: crypto/rand ends the process first
	return salt, commitmentOf(salt, personal)
}

// CheckCommitment reports whether an entry's personal data are those committed to, or are
// lawfully absent: never there, or erased together with their salt.
func CheckCommitment(salt, commitment []byte, personal map[string]string) bool {
	if len(salt) == 0 {
		return len(personal) == 0
	}
	// The length is checked because HMAC takes a key and the same key with zeros behind it for one.
	return len(salt) == sha256.Size && hmac.Equal(commitment, commitmentOf(salt, personal))
}

func commitmentOf(salt []byte, personal map[string]string) []byte {
	mac := hmac.New(sha256.New, salt)
	mac.Write(appendMap([]byte(personalVersion), personal))
	return mac.Sum(nil)
}

// appendString writes s behind its length, so that no two sequences of strings run together.
func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendMap(b []byte, m map[string]string) []byte {
	b = binary.AppendUvarint(b, uint64(len(m)))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		b = appendString(appendString(b, k), m[k])
	}
	return b
}
