package main

import (
	"reflect"
	"testing"
	"time"

	"github.com/countersign-id/countersign/rbac"
)

// Times are what people type, and what lasts until a day lasts all of it.
func TestTimesAreReadAsTyped(t *testing.T) {
	t.Parallel()
	now := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	at := func(year int, month time.Month, day, hour, minute int) rbac.Instant {
		return rbac.At(time.Date(year, month, day, hour, minute, 0, 0, time.UTC))
	}
	for _, tt := range []struct {
		text string
		last bool
		want rbac.Instant // 0 is refused
	}{
		{"now", false, rbac.At(now)},
		{"2030-05-01", false, at(2030, 5, 1, 0, 0)},
		{"2030-05-01", true, at(2030, 5, 2, 0, 0)},
		{"2028-02-29", true, at(2028, 3, 1, 0, 0)},
		{"2030-05-01T10:30:00Z", true, at(2030, 5, 1, 10, 30)},
		{"2030-05-01T10:30:00+02:00", false, at(2030, 5, 1, 8, 30)},
		{"+8h", false, rbac.At(now.Add(8 * time.Hour))},
		{"+90m", true, rbac.At(now.Add(90 * time.Minute))},
		{"+30d", true, rbac.At(now.Add(30 * 24 * time.Hour))},
		{"+2w", false, rbac.At(now.Add(14 * 24 * time.Hour))},
		{"", false, 0}, {"tomorrow", false, 0}, {"2030-13-01", false, 0}, {"2029-02-29", false, 0}, {"+0d", false, 0}, {"+-1d", false, 0}, {"+", false, 0},
		{"-8h", false, 0}, {"+99999999d", false, 0}, {"1969-12-31", false, 0}, {"2030-05-01 10:30", false, 0}, {"٣٠", false, 0},
	} {
		got, err := parseTime(tt.text, now, tt.last)
		if (err != nil) != (tt.want == 0) || got != tt.want {
			t.Errorf("%q, last %v: got %v %v, want %v", tt.text, tt.last, got.Time(), err, tt.want.Time())
		}
	}
}

// Expressions are read as they are written, whatever script their names are in.
func TestExpressionsAreReadAsWritten(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]rbac.Expr{
		"perm:a/b:c":                        rbac.Leaf("perm:a/b:c"),
		" any( perm:a/b:c ,role:出纳 ) ":      rbac.AnyOf("perm:a/b:c", "role:出纳"),
		"all(group:g, scope:a/x.y)":         rbac.AllOf("group:g", "scope:a/x.y"),
		"2 of (role:a, role:b, role:c)":     rbac.AtLeast(2, "role:a", "role:b", "role:c"),
		`any("role:head of, (sales)", any)`: rbac.AnyOf("role:head of, (sales)", "any"),
		`{"anyOf":["role:a"]}`:              rbac.AnyOf("role:a"),
		"any(all(role:a, role:b), role:c)":  {K: 1, Of: []rbac.Expr{rbac.AllOf("role:a", "role:b"), rbac.Leaf("role:c")}},
		"any(":                              {}, "any()": {}, "any(a,)": {}, "some(a)": {}, "not(a)": {}, "a b": {}, `"a`: {}, "2 of a": {}, "": {}, "any(a))": {},
		`{"anyOf":[]`: {},
		"any(any(any(any(any(any(any(any(any(any(a))))))))))": {},
	} {
		got, err := parseExpr(text)
		if refused := reflect.DeepEqual(want, rbac.Expr{}); refused != (err != nil) || !refused && !reflect.DeepEqual(got, want) {
			t.Errorf("%q: got %+v %v, want %+v", text, got, err, want)
			continue
		}
		if err != nil {
			continue
		}
		if again, err := parseExpr(spellExpr(got)); err != nil || !reflect.DeepEqual(again, got) {
			t.Errorf("%q is written %q, which reads %+v %v", text, spellExpr(got), again, err)
		}
	}
	for text, want := range map[string]rbac.Cond{
		"":               {},
		"clerk":          {Role: "clerk"},
		"role:clerk":     {Role: "clerk"},
		"all(a, not(b))": {All: []rbac.Cond{{Role: "a"}, {Role: "b", Not: true}}},
		`any("a b", 出纳)`: {Any: []rbac.Cond{{Role: "a b"}, {Role: "出纳"}}},
	} {
		got, err := parseCond(text)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: got %+v %v, want %+v", text, got, err, want)
		}
		if again, err := parseCond(spellCond(got)); err != nil || !reflect.DeepEqual(again, got) {
			t.Errorf("%q is written %q, which reads %+v %v", text, spellCond(got), again, err)
		}
	}
	for _, text := range []string{"not(a, b)", "2 of (a, b)", "any(a"} {
		if got, err := parseCond(text); err == nil {
			t.Errorf("%q: got %+v, want a refusal", text, got)
		}
	}
}

// What is read is written and read again to the same.
func FuzzExpression(f *testing.F) {
	for _, s := range []string{"any(perm:a/b:c, role:d)", "2 of (a, b, c)", `all("x, y", any(z))`, "not(a)", `{"allOf":["a","b"]}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		e, err := parseExpr(s)
		if err != nil {
			return
		}
		again, err := parseExpr(spellExpr(e))
		if err != nil || spellExpr(again) != spellExpr(e) {
			t.Errorf("%q is written %q, which reads %+v %v", s, spellExpr(e), again, err)
		}
	})
}
