package audit_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/countersign-id/countersign/audit"
)

func sample() audit.Event {
	return audit.Event{
		ID: "0199aa00-0000-7000-8000-000000000001", At: time.UnixMicro(1_700_000_000_123_456),
		Kind: audit.SessionRefused, Outcome: audit.Refused, Code: "wrong-proof",
		Actor: "client:ledger", Subject: "account:1", Client: "ledger", Session: "s1", Grant: "g1", Request: "r1",
		Detail: map[string]string{"factor": "password", "level": "aal1"}, Count: 3,
		Personal: map[string]string{audit.Address: "192.0.2.7", audit.Agent: "Browser/1.0"},
	}
}

// The walk over the fields is by reflection, so that a field added to Event cannot stay outside
// of the log's hashes.
func TestLeafHoldsEveryFieldButPersonal(t *testing.T) {
	t.Parallel()
	_, commitment := audit.Commit(sample().Personal)
	whole := audit.Leaf(sample(), commitment)
	for i := range reflect.TypeFor[audit.Event]().NumField() {
		e := sample()
		field := reflect.ValueOf(&e).Elem().Field(i)
		name := reflect.TypeFor[audit.Event]().Field(i).Name
		switch v := field.Addr().Interface().(type) {
		case *time.Time:
			*v = v.Add(time.Microsecond)
		case *int:
			*v++
		case *map[string]string:
			m := maps.Clone(*v)
			m["other"] = "x"
			*v = m
		default:
			field.SetString(field.String() + "x")
		}
		same := bytes.Equal(whole, audit.Leaf(e, commitment))
		if personal := name == "Personal"; same != personal {
			t.Errorf("with another %s the leaf is the same: %v", name, same)
		}
	}
	if bytes.Equal(whole, audit.Leaf(sample(), nil)) {
		t.Error("without the commitment the leaf is the same")
	}
}

// Logs in the world depend on these bytes: the hash was computed by another program from the
// encoding as described, and must never change.
func TestLeafVersionOneIsFixed(t *testing.T) {
	t.Parallel()
	got := audit.LeafHash(sample(), bytes.Repeat([]byte{7}, 32)).String()
	if want := "PB2dKHY3uhLm1yrmwTpVsaLlZ82P3wtSghDJavlSzEI="; got != want {
		t.Errorf("leaf hash is %s, want %s", got, want)
	}
}

func TestLeafKeepsFieldsApart(t *testing.T) {
	t.Parallel()
	pairs := map[string][2]audit.Event{
		"text moved to the next field": {{Actor: "ab", Subject: "c"}, {Actor: "a", Subject: "bc"}},
		"field moved as a whole":       {{Session: "x"}, {Grant: "x"}},
		"key and value":                {{Detail: map[string]string{"ab": "c"}}, {Detail: map[string]string{"a": "bc"}}},
		"one pair or two":              {{Detail: map[string]string{"a": "b", "c": "d"}}, {Detail: map[string]string{"a": "b\x01c\x01d"}}},
		"an empty pair":                {{Detail: map[string]string{"": ""}}, {}},
		"a separator in the text":      {{Actor: "a\n"}, {Actor: "a", Subject: "\n"}},
		"a length that takes two":      {{Actor: strings.Repeat("a", 128)}, {Actor: strings.Repeat("a", 127), Subject: "a"}},
		"bytes that are not UTF-8":     {{Actor: "\xff"}, {Actor: "\ufffd"}},
		"none and one":                 {{Count: 0}, {Count: 1}},
	}
	for name, p := range pairs {
		if bytes.Equal(audit.Leaf(p[0], nil), audit.Leaf(p[1], nil)) {
			t.Errorf("%s: the leaves are the same", name)
		}
	}
}

// unleaf reads a leaf back. That it can, for every event, is the proof that no two share one.
func unleaf(b []byte) (e audit.Event, commitment []byte, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("short leaf: %v", r)
		}
	}()
	number := func() uint64 {
		n, size := binary.Uvarint(b)
		b = b[size:]
		return n
	}
	word := func() string {
		n := number()
		s := string(b[:n])
		b = b[n:]
		return s
	}
	fixed := func() uint64 {
		n := binary.BigEndian.Uint64(b)
		b = b[8:]
		return n
	}
	b = bytes.TrimPrefix(b, []byte("countersign event 1\n"))
	e.ID = word()
	e.At = time.UnixMicro(int64(fixed()))
	e.Kind, e.Outcome, e.Code = audit.Kind(word()), audit.Outcome(word()), word()
	e.Actor, e.Subject, e.Client, e.Session, e.Grant, e.Request = word(), word(), word(), word(), word(), word()
	e.Detail = map[string]string{}
	for range number() {
		k := word()
		e.Detail[k] = word()
	}
	e.Count = int(fixed())
	commitment = []byte(word())
	if len(b) > 0 {
		err = fmt.Errorf("%d bytes left", len(b))
	}
	return e, commitment, err
}

func checkInjective(t interface {
	Helper()
	Fatalf(string, ...any)
}, e audit.Event, commitment []byte) {
	t.Helper()
	got, gotCommitment, err := unleaf(audit.Leaf(e, commitment))
	if err != nil {
		t.Fatalf("the leaf cannot be read back: %v", err)
	}
	want := e
	want.At, want.Personal = time.UnixMicro(e.At.UnixMicro()), nil
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("the leaf reads back as another event:\n%s", diff)
	}
	if !bytes.Equal(commitment, gotCommitment) {
		t.Fatalf("the leaf reads back another commitment")
	}
}

func TestLeafReadsBackAsTheSameEvent(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		checkInjective(t, anEvent(t), rapid.SliceOfN(rapid.Byte(), 0, 32).Draw(t, "commitment"))
	})
}

func anEvent(t *rapid.T) audit.Event {
	text := rapid.String()
	words := rapid.MapOfN(text, text, 0, 4)
	return audit.Event{
		ID: text.Draw(t, "id"), At: time.UnixMicro(rapid.Int64().Draw(t, "at")),
		Kind: audit.Kind(text.Draw(t, "kind")), Outcome: audit.Outcome(text.Draw(t, "outcome")), Code: text.Draw(t, "code"),
		Actor: text.Draw(t, "actor"), Subject: text.Draw(t, "subject"), Client: text.Draw(t, "client"),
		Session: text.Draw(t, "session"), Grant: text.Draw(t, "grant"), Request: text.Draw(t, "request"),
		Detail: words.Draw(t, "detail"), Count: rapid.Int().Draw(t, "count"), Personal: words.Draw(t, "personal"),
	}
}

func FuzzLeaf(f *testing.F) {
	f.Add("id", int64(1), "session.started", "ok", "", "account:1", "", "k", "v", "k2", "v2", 1, []byte("c"))
	f.Add("", int64(-1), "", "", "\x00", "\x80\x01", "\xff", "", "", "", "", -1, []byte{})
	f.Fuzz(func(t *testing.T, id string, at int64, kind, outcome, code, actor, subject, k1, v1, k2, v2 string, count int, commitment []byte) {
		checkInjective(t, audit.Event{
			ID: id, At: time.UnixMicro(at), Kind: audit.Kind(kind), Outcome: audit.Outcome(outcome), Code: code,
			Actor: actor, Subject: subject, Client: v1, Session: v2, Grant: k1, Request: k2,
			Detail: map[string]string{k1: v1, k2: v2}, Count: count,
		}, commitment)
	})
}

func TestCommitment(t *testing.T) {
	t.Parallel()
	personal := sample().Personal
	salt, commitment := audit.Commit(personal)
	again, other := audit.Commit(personal)
	if len(salt) != 32 || len(commitment) != 32 || bytes.Equal(salt, again) || bytes.Equal(commitment, other) {
		t.Errorf("two commitments to the same data must differ: salts %x %x, commitments %x %x", salt, again, commitment, other)
	}
	changed := maps.Clone(personal)
	changed[audit.Address] = "192.0.2.8"
	flipped := slices.Clone(salt)
	flipped[31] ^= 1
	tests := map[string]struct {
		salt, commitment []byte
		personal         map[string]string
		want             bool
	}{
		"the data that were committed to":   {salt, commitment, personal, true},
		"erased: neither salt nor data":     {nil, commitment, nil, true},
		"never anything personal":           {nil, nil, nil, true},
		"other data":                        {salt, commitment, changed, false},
		"another salt":                      {flipped, commitment, personal, false},
		"a salt that is too short":          {salt[:31], commitment, personal, false},
		"a salt with a zero appended":       {append(slices.Clone(salt), 0), commitment, personal, false},
		"another commitment":                {salt, other, personal, false},
		"data whose salt is gone":           {nil, commitment, personal, false},
		"a salt whose data are gone":        {salt, commitment, nil, false},
		"data that were never committed to": {nil, nil, personal, false},
		"a salt without a commitment":       {salt, nil, personal, false},
	}
	for name, tt := range tests {
		if got := audit.CheckCommitment(tt.salt, tt.commitment, tt.personal); got != tt.want {
			t.Errorf("%s: got %v, want %v", name, got, tt.want)
		}
	}
	if salt, commitment := audit.Commit(nil); salt != nil || commitment != nil {
		t.Errorf("nothing personal: got salt %x, commitment %x, want none", salt, commitment)
	}
}
