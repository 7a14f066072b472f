package password_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/countersign-id/countersign/auth/password"
)

// sec-K01, NIST SP 800-63B-4 §3.1.1.2.
func TestWeak(t *testing.T) {
	t.Parallel()
	rules := password.Rules{Organisation: "Harbour Mutual", Blocked: password.Blocklist("# ours\nSaltwater Taffy 2026\n")}
	for _, tt := range []struct {
		name, password, want string
	}{
		{"sec-K01 fourteen characters are too few", "kelp otter mug", "password-too-short"},
		{"sec-K01 fifteen characters will do", "kelp otter mugs", ""},
		{"sec-K01 sixty-four are accepted", strings.Repeat("kelp otter mug! ", 3) + "and now a harbour", ""},
		{"sec-K01 characters are counted, not bytes", "стул мост пят!", "password-too-short"},
		{"sec-K01 fifteen characters of any script will do", "河马在图书馆里吃着蓝色的苹果派", ""},
		{"sec-K01 emoji and spaces are characters too", "🦦 🌊 ⛵ 🪢 🧭 🐚 🪸 🦀", ""},
		{"sec-K01 no kind of character is asked for", "otterkelpmugharbourlamp", ""},
		{"sec-K01 more than 4096 bytes are refused", strings.Repeat("otter kelp ", 400), "password-too-long"},
		{"text that is none is refused", "otter kelp mug \xff\xfe lamp", "password-unreadable"},

		{"sec-K01 the phrase of the comic is on the list", "correct horse battery staple", "password-common"},
		{"sec-K01 case and width do not hide it", "ＣＯＲＲＥＣＴ Horse Battery STAPLE", "password-common"},
		{"sec-K01 nor digits around it", "Password12345678", "password-common"},
		{"sec-K01 nor well-known substitutions", "p@$$w0rd_p@$$w0rd!", "password-common"},
		{"sec-K01 two common words are guessed together", "sunshine-dragon-99", "password-common"},
		{"sec-K01 a long one from the list", "1qaz2wsx3edc4rfv", "password-common"},
		{"sec-K01 the operator's own list counts", "saltwater taffy 2026", "password-common"},
		{"sec-K01 one letter", strings.Repeat("a", 20), "password-predictable"},
		{"sec-K01 one piece again and again", "otterkelpotterkelpotter", "password-predictable"},
		{"sec-K01 the alphabet", "abcdefghijklmnopq", "password-predictable"},
		{"sec-K01 the digits, down", "98765432109876543", "password-predictable"},
		{"sec-K01 rows of the keyboard", "poiuytrewq;lkjhgf7", "password-predictable"},
		{"sec-K01 the person's own name", "noor.haddad 2026!", "password-personal"},
		{"sec-K01 their mail address", "noor@example.org1", "password-personal"},
		{"sec-K01 the name of the house", "harbour mutual 12", "password-personal"},
		{"sec-K01 our own name", "Countersign 2026!", "password-personal"},
		{"a name within a longer phrase is no harm", "noor keeps seven grey otters", ""},

		{"the words of the manual", "a long enough passphrase", ""},
		{"random letters", "vq8-tfx2-mzk7-hwp4", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := ""
			if f := rules.Weak(tt.password, "noor.haddad", "noor@example.org", "Noor Haddad"); f != nil {
				got = f.Code
				if f.Text == "" || f.Field != "password" {
					t.Errorf("Weak(%q) says %q at %q, want a sentence at password", tt.password, f.Text, f.Field)
				}
			}
			if got != tt.want {
				t.Errorf("Weak(%q) = %q, want %q", tt.password, got, tt.want)
			}
		})
	}
	if f := (password.Rules{MinLength: 8}).Weak("otter-7k"); f != nil {
		t.Errorf("where the minimum is 8: %v", f)
	}
}

// sec-K01: 256 characters of any script are accepted in full.
func TestWeakAcceptsAnythingUnexpected(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := rapid.StringOfN(rapid.RuneFrom([]rune("каракатицаöñ漢字かな한국어עברית العربية dfkmqwvbxzй🦦")), 40, 256, -1).Draw(t, "password")
		if f := (password.Rules{}).Weak(p); f != nil && f.Code != "password-predictable" && f.Code != "password-too-short" {
			t.Fatalf("Weak(%q) = %v", p, f)
		}
	})
}

func FuzzWeak(f *testing.F) {
	for _, s := range []string{"", "p@$$w0rd_p@$$w0rd!", "🦦 🌊 ⛵", "\xff", "ßẞﬁ"} {
		f.Add(s, "noor")
	}
	f.Fuzz(func(t *testing.T, p, word string) {
		rules := password.Rules{}
		a, b := rules.Weak(p, word), rules.Weak(p, word)
		if (a == nil) != (b == nil) {
			t.Errorf("Weak(%q) is undecided", p)
		}
		if a == nil && len([]rune(p)) < 5 {
			t.Errorf("Weak(%q) accepts %d characters", p, len([]rune(p)))
		}
	})
}
