package main

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/countersign-id/countersign/internal/fault"
	"github.com/countersign-id/countersign/rbac"
)

var errExpression = fault.New(fault.Invalid, "expression-invalid", "An expression is an atom, any(…), all(…) or K of (…).")

// phrase is an expression as it is typed: a word, or something of terms. The same form says what a duty takes and what a role needs.
type phrase struct {
	word string
	op   string // any, all, of, not
	k    int
	of   []phrase
}

// parsePhrase reads any(a, b), all(a, b), 2 of (a, b, c), not(a), and words. A word with blanks, commas or parentheses stands in double quotes.
func parsePhrase(s string) (phrase, error) {
	p := phraseParser{rest: s}
	t, err := p.phrase(0)
	if err == nil && p.skip() != "" {
		err = errExpression.Saying("Something follows the expression: " + p.rest)
	}
	return t, err
}

type phraseParser struct{ rest string }

func (p *phraseParser) skip() string {
	p.rest = strings.TrimLeft(p.rest, " \t\r\n")
	return p.rest
}

// take removes a mark from the front, if it is there.
func (p *phraseParser) take(mark string) bool {
	rest, ok := strings.CutPrefix(p.skip(), mark)
	p.rest = rest
	return ok
}

func (p *phraseParser) word() (string, error) {
	if strings.HasPrefix(p.skip(), `"`) {
		quoted, err := strconv.QuotedPrefix(p.rest)
		if err != nil {
			return "", errExpression.Saying("A quotation is not closed.")
		}
		p.rest = p.rest[len(quoted):]
		return strconv.Unquote(quoted)
	}
	end := strings.IndexAny(p.rest, " \t\r\n,()")
	if end < 0 {
		end = len(p.rest)
	}
	w := p.rest[:end]
	p.rest = p.rest[end:]
	if w == "" {
		return "", errExpression.Saying("Something is missing in the expression.")
	}
	return w, nil
}

const maxPhraseDepth = 8

func (p *phraseParser) phrase(depth int) (phrase, error) {
	if depth > maxPhraseDepth {
		return phrase{}, errExpression.Saying("The expression is nested too deeply.")
	}
	quoted := strings.HasPrefix(p.skip(), `"`)
	w, err := p.word()
	if err != nil || quoted {
		return phrase{word: w}, err
	}
	t := phrase{op: w}
	if k, err := strconv.Atoi(w); err == nil && strings.HasPrefix(p.skip(), "of") {
		p.take("of")
		t.op, t.k = "of", k
	}
	if !strings.HasPrefix(p.skip(), "(") {
		if t.op == "of" {
			return t, errExpression
		}
		return phrase{word: w}, nil
	}
	if t.op != "any" && t.op != "all" && t.op != "of" && t.op != "not" {
		return t, errExpression.Saying(fmt.Sprintf("There is no %s(…) in an expression.", w))
	}
	p.take("(")
	for {
		sub, err := p.phrase(depth + 1)
		if err != nil {
			return t, err
		}
		t.of = append(t.of, sub)
		if p.take(")") {
			return t, nil
		}
		if !p.take(",") {
			return t, errExpression.Saying("A comma or a closing parenthesis is missing in the expression.")
		}
	}
}

// parseExpr reads what a duty takes; also the form of ruleset files.
func parseExpr(s string) (rbac.Expr, error) {
	if strings.HasPrefix(strings.TrimSpace(s), "{") {
		var e rbac.Expr
		if err := json.Unmarshal([]byte(s), &e); err != nil {
			return e, errExpression.Because(err)
		}
		return e, nil
	}
	t, err := parsePhrase(s)
	if err != nil {
		return rbac.Expr{}, err
	}
	return t.expr()
}

func (t phrase) expr() (rbac.Expr, error) {
	if t.op == "" {
		return rbac.Leaf(rbac.Atom(t.word)), nil
	}
	e := rbac.Expr{K: t.k}
	switch t.op {
	case "any":
		e.K = 1
	case "all":
		e.K = len(t.of)
	case "not":
		return e, errExpression.Saying("A duty cannot say not: holding more must never mend a conflict.")
	}
	for _, sub := range t.of {
		x, err := sub.expr()
		if err != nil {
			return e, err
		}
		e.Of = append(e.Of, x)
	}
	return e, nil
}

// parseCond reads what a role needs first.
func parseCond(s string) (rbac.Cond, error) {
	if strings.TrimSpace(s) == "" {
		return rbac.Cond{}, nil
	}
	t, err := parsePhrase(s)
	if err != nil {
		return rbac.Cond{}, err
	}
	return t.cond()
}

func (t phrase) cond() (c rbac.Cond, err error) {
	if t.op == "" {
		return rbac.Cond{Role: rbac.RoleID(strings.TrimPrefix(t.word, "role:"))}, nil
	}
	var of []rbac.Cond
	for _, sub := range t.of {
		x, err := sub.cond()
		if err != nil {
			return c, err
		}
		of = append(of, x)
	}
	switch {
	case t.op == "all":
		c.All = of
	case t.op == "any":
		c.Any = of
	case t.op == "not" && len(of) == 1:
		if c = of[0]; c.Not {
			c = rbac.Cond{All: of}
		}
		c.Not = true
	default:
		return c, errExpression.Saying("What a role needs is a role, any(…), all(…) or not(…).")
	}
	return c, nil
}

// spellExpr writes an expression as parseExpr reads it.
func spellExpr(e rbac.Expr) string {
	if e.Atom != "" {
		return spellWord(string(e.Atom))
	}
	parts := make([]string, len(e.Of))
	for i, sub := range e.Of {
		parts[i] = spellExpr(sub)
	}
	of := "(" + strings.Join(parts, ", ") + ")"
	switch e.K {
	case 1:
		return "any" + of
	case len(e.Of):
		return "all" + of
	}
	return strconv.Itoa(e.K) + " of " + of
}

// spellCond writes a condition as parseCond reads it.
func spellCond(c rbac.Cond) string {
	var all []string
	list := func(of []rbac.Cond) string {
		parts := make([]string, len(of))
		for i, sub := range of {
			parts[i] = spellCond(sub)
		}
		return "(" + strings.Join(parts, ", ") + ")"
	}
	if c.Role != "" {
		all = append(all, spellWord(string(c.Role)))
	}
	if len(c.All) > 0 {
		all = append(all, "all"+list(c.All))
	}
	if len(c.Any) > 0 {
		all = append(all, "any"+list(c.Any))
	}
	out := strings.Join(all, ", ")
	if len(all) > 1 {
		out = "all(" + out + ")"
	}
	if c.Not {
		out = "not(" + out + ")"
	}
	return out
}

func spellWord(s string) string {
	if s == "" || strings.ContainsAny(s, " \t\r\n,()\"") || s != strings.TrimSpace(s) {
		return strconv.Quote(s)
	}
	return s
}
