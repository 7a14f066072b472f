package ui

import (
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/BurntSushi/toml"
	"github.com/nicksnyder/go-i18n/v2/i18n"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

//go:embed locales/*.toml
var localeFiles embed.FS

// languages are those we have texts in; the first is the default.
var languages = []string{"en", "zh-Hans"}

// Languages lists the languages of the pages (BCP 47), the default first, for discovery's ui_locales_supported.
func Languages() []string { return slices.Clone(languages) }

var languageMatcher = language.NewMatcher([]language.Tag{language.English, language.SimplifiedChinese})

// locale is one language's texts, numbers and dates.
type locale struct {
	Lang  string // as in <html lang>
	texts *i18n.Localizer
	num   *message.Printer
}

var locales = sync.OnceValue(func() map[string]*locale {
	bundle := i18n.NewBundle(language.English)
	bundle.RegisterUnmarshalFunc("toml", toml.Unmarshal)
	m := map[string]*locale{}
	for _, l := range languages {
		if _, err := bundle.LoadMessageFileFS(localeFiles, "locales/active."+l+".toml"); err != nil {
			panic("ui: " + err.Error()) // embedded files; a test loads them
		}
	}
	for _, l := range languages {
		m[l] = &locale{Lang: l, texts: i18n.NewLocalizer(bundle, l), num: message.NewPrinter(language.Make(l))}
	}
	return m
})

// choose picks the language of an answer: the reader's own choice (cookie), then the application's ui_locales
// (OpenID Connect Core §3.1.2.1), then Accept-Language, then English.
func choose(r *http.Request, uiLocales string) *locale {
	if c, err := r.Cookie("lang"); err == nil {
		if l := locales()[c.Value]; l != nil {
			return l
		}
	}
	for tag := range strings.FieldsSeq(uiLocales) {
		if l := match(tag); l != nil {
			return l
		}
	}
	if accept := r.Header.Get("Accept-Language"); accept != "" && len(accept) <= 200 {
		if l := match(accept); l != nil {
			return l
		}
	}
	return locales()[languages[0]]
}

// match finds our language for a tag or an Accept-Language list; nil if we have none of them.
func match(list string) *locale {
	tags, _, err := language.ParseAcceptLanguage(list)
	if err != nil {
		return nil
	}
	_, i, confidence := languageMatcher.Match(tags...)
	if confidence == language.No {
		return nil
	}
	return locales()[languages[i]]
}

// has reports whether there is a text for id.
func (l *locale) has(id string) bool {
	_, err := l.texts.Localize(&i18n.LocalizeConfig{MessageID: id})
	return err == nil
}

// T returns the text for id with its blanks filled from name, value pairs. A value named Count chooses the plural form.
// A text that is missing in the reader's language is English; one that is missing everywhere shows its id.
func (l *locale) T(id string, pairs ...any) string {
	data := map[string]any{}
	var count any
	for i := 0; i+1 < len(pairs); i += 2 {
		name := pairs[i].(string)
		data[name] = pairs[i+1]
		if s, ok := pairs[i+1].(string); ok {
			data[name] = calm(s)
		}
		if name == "Count" {
			count, data[name] = pairs[i+1], l.num.Sprint(pairs[i+1])
		}
	}
	s, err := l.texts.Localize(&i18n.LocalizeConfig{MessageID: id, TemplateData: data, PluralCount: count})
	if err != nil && s == "" {
		return "⟦" + id + "⟧"
	}
	return s
}

// calm is s as it may stand among our own words: without the characters that turn the direction of what follows or
// control anything else (Unicode TR 36 §2.1), and not longer than a name can be.
func calm(s string) string {
	var b strings.Builder
	n := 0
	for _, c := range s {
		if unicode.Is(unicode.Cc, c) || unicode.Is(unicode.Cf, c) || unicode.Is(unicode.Zl, c) || unicode.Is(unicode.Zp, c) {
			continue
		}
		if n++; n > 200 {
			b.WriteRune('…')
			break
		}
		b.WriteRune(c)
	}
	return b.String()
}

// Rich is T for a text that marks a part of itself with <b>…</b>. The values are escaped; no other markup is kept.
func (l *locale) Rich(id string, pairs ...any) template.HTML {
	for i := 1; i < len(pairs); i += 2 {
		if s, ok := pairs[i].(string); ok {
			pairs[i] = calm(s) // before escaping, lest it cut an entity
		}
		pairs[i] = template.HTML(template.HTMLEscaper(pairs[i])) // not a string, so that T leaves it
	}
	return template.HTML(l.T(id, pairs...)) // values escaped above; the texts are ours and a test reads them
}

// comma stands between the parts of a list.
func (l *locale) comma() string {
	if l.Lang == "zh-Hans" {
		return "、"
	}
	return ", "
}

// when writes a UTC instant in full.
func (l *locale) when(t time.Time) string {
	if l.Lang == "zh-Hans" {
		return fmt.Sprintf("%d年%d月%d日 %02d:%02d UTC", t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute())
	}
	return t.Format("2 Jan 2006, 15:04 UTC")
}
