package totp

import (
	"encoding/hex"
	"fmt"
	"net/url"
	"os/exec"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var rfcSecret = []byte("12345678901234567890")

// sec-M01: the SHA-1 vectors of RFC 6238 appendix B, to six digits, and those of RFC 4226 appendix D.
func TestCodesAreThoseOfTheStandards(t *testing.T) {
	t.Parallel()
	for at, want := range map[int64]string{
		59: "94287082", 1111111109: "07081804", 1111111111: "14050471", 1234567890: "89005924", 2000000000: "69279037", 20000000000: "65353130",
	} {
		got, err := Code(rfcSecret, Step(time.Unix(at, 0)))
		if err != nil || got != want[2:] {
			t.Errorf("at %d: got %s, %v, want %s", at, got, err, want[2:])
		}
	}
	for step, want := range []string{"755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489"} {
		if got, err := Code(rfcSecret, int64(step)); err != nil || got != want {
			t.Errorf("step %d: got %s, %v, want %s", step, got, err, want)
		}
	}
}

// sec-M01: one step to either side counts, two do not; leading zeros are part of a code, spaces are not.
func TestACodeCountsOneStepToEitherSide(t *testing.T) {
	t.Parallel()
	now := time.Unix(1111111109, 0)
	for away := int64(-3); away <= 3; away++ {
		code, err := Code(rfcSecret, Step(now)+away)
		if err != nil {
			t.Fatal(err)
		}
		want := int64(0)
		if away >= -1 && away <= 1 {
			want = Step(now) + away
		}
		for _, typed := range []string{code, code[:3] + " " + code[3:], "  " + code + "\t"} {
			if got := Match(rfcSecret, typed, now); got != want {
				t.Errorf("%q, %d steps away: got step %d, want %d", typed, away, got, want)
			}
		}
	}
	if got := Match(rfcSecret, "081804", now); got != Step(now) {
		t.Errorf("a code with a leading zero: got step %d", got)
	}
	for _, typed := range []string{"", "81804", "0818040", "08180x", "۰۸۱۸۰۴", "-81804", "0x1804", strings.Repeat("0", 1<<16), "081804081804"} {
		if got := Match(rfcSecret, typed, now); got != 0 {
			t.Errorf("%.20q counts for step %d", typed, got)
		}
	}
	for _, secret := range [][]byte{nil, {}, []byte("short")} {
		if Match(secret, "000000", now) != 0 {
			t.Errorf("a secret of %d bytes is verified against", len(secret))
		}
	}
}

func TestAnythingTypedIsAStepThatCountsOrNone(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		now := time.Unix(rapid.Int64Range(0, 1<<40).Draw(t, "now"), 0)
		got := Match(rfcSecret, rapid.OneOf(rapid.StringMatching(`[0-9]{6}`), rapid.String()).Draw(t, "typed"), now)
		if d := got - Step(now); got != 0 && (d < -1 || d > 1) {
			t.Errorf("got step %d at step %d", got, Step(now))
		}
	})
}

func TestOathtoolAgrees(t *testing.T) {
	t.Parallel()
	tool, err := exec.LookPath("oathtool")
	if err != nil {
		t.Skip("oathtool is not installed (package oathtool)")
	}
	ask := func(secret []byte, at time.Time) string {
		t.Helper()
		out, err := exec.Command(tool, "--totp=sha1", "--digits=6", "--now="+at.UTC().Format("2006-01-02 15:04:05 UTC"), hex.EncodeToString(secret)).Output()
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(out))
	}
	for _, at := range []int64{59, 1111111109, 1111111111, 1234567890, 2000000000} {
		got, err := Code(rfcSecret, Step(time.Unix(at, 0)))
		if want := ask(rfcSecret, time.Unix(at, 0)); err != nil || got != want {
			t.Errorf("at %d: got %s, %v, oathtool says %s", at, got, err, want)
		}
	}
	for i := range 20 {
		secret, at := NewSecret(), time.Unix(1790000000+int64(i)*86413, 0)
		if code := ask(secret, at); Match(secret, code, at) != Step(at) {
			t.Errorf("oathtool's code %s at %s counts for step %d", code, at, Match(secret, code, at))
		}
	}
}

func TestTheAddressForTheCameraSaysWhatAppsNeed(t *testing.T) {
	t.Parallel()
	secret := NewSecret()
	u, err := url.Parse(URL(secret, "Acme: IdP", "a:b c@example.org"))
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	if u.Scheme != "otpauth" || u.Host != "totp" || u.Path != "/Acme  IdP:a b c@example.org" || q.Get("issuer") != "Acme  IdP" ||
		q.Get("algorithm") != "SHA1" || q.Get("digits") != "6" || q.Get("period") != "30" {
		t.Errorf("got %s", u)
	}
	back, err := Parse(q.Get("secret"))
	if err != nil || string(back) != string(secret) {
		t.Errorf("the secret does not come back: %v", err)
	}
	back, err = Parse(Text(secret))
	if err != nil || string(back) != string(secret) || len(Text(secret)) != 39 {
		t.Errorf("the secret as text does not come back: %v", err)
	}
	if fmt.Sprint(secret) == string(secret) || strings.Contains(fmt.Sprintf("%v %s %+v", secret, secret, secret), Text(secret)[:4]) {
		t.Error("a secret prints")
	}
}
