package ui

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"sync"
)

// Files under assets are served under names that hold a hash of their content, so that they may be kept for ever.
// THIRD_PARTY.md says where those come from that are not ours.
//
//go:embed assets
var assetFiles embed.FS

// asset is one file as served.
type asset struct {
	name  string // hashed
	kind  string
	plain []byte
	small func() []byte // gzip; nil where it would not help
}

type assetTable struct {
	byName map[string]*asset // by hashed name
	hashed map[string]string // plain name to hashed
}

var assets = sync.OnceValue(func() assetTable {
	t := assetTable{map[string]*asset{}, map[string]string{}}
	files, err := fs.ReadDir(assetFiles, "assets")
	if err != nil {
		panic(err) // embedded
	}
	var sheets []string
	for _, f := range files {
		switch {
		case f.IsDir() || path.Ext(f.Name()) == ".md":
		case path.Ext(f.Name()) == ".css":
			sheets = append(sheets, f.Name()) // after what they point to
		default:
			t.add(f.Name(), read(f.Name()))
		}
	}
	for _, name := range sheets {
		body := string(read(name))
		for plain, hashed := range t.hashed {
			body = strings.ReplaceAll(body, `url("`+plain+`")`, `url("`+hashed+`")`)
		}
		t.add(name, []byte(body))
	}
	return t
})

// mediaTypes is ours, because the table of package mime differs from machine to machine.
var mediaTypes = map[string]string{
	".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml",
	".txt": "text/plain; charset=utf-8", ".woff2": "font/woff2",
}

func read(name string) []byte {
	b, err := assetFiles.ReadFile("assets/" + name)
	if err != nil {
		panic(err) // embedded
	}
	return b
}

func (t assetTable) add(name string, body []byte) {
	sum := sha256.Sum256(body)
	ext := path.Ext(name)
	a := &asset{name: strings.TrimSuffix(name, ext) + "." + hex.EncodeToString(sum[:6]) + ext, kind: mediaTypes[ext], plain: body}
	if a.kind == "" {
		panic("ui: no media type for " + name) // embedded; a test adds them all
	}
	if ext != ".woff2" { // which is compressed already
		a.small = sync.OnceValue(func() []byte { return squeeze(body) })
	}
	t.byName[a.name], t.hashed[name] = a, a.name
}

func squeeze(body []byte) []byte {
	var b bytes.Buffer
	z, _ := gzip.NewWriterLevel(&b, gzip.BestCompression) // the level is valid
	_, _ = z.Write(body)                                  // a buffer does not fail
	_ = z.Close()
	return b.Bytes()
}

// assetPath is the address of a file of assets/. A name that does not exist fails the page, and so a test.
func assetPath(name string) (string, error) {
	hashed, ok := assets().hashed[name]
	if !ok {
		return "", fmt.Errorf("no asset %q", name)
	}
	return "/assets/" + hashed, nil
}

// getAsset serves one file, compressed where that is understood.
func getAsset(w http.ResponseWriter, r *http.Request) error {
	a, ok := assets().byName[r.PathValue("name")]
	if !ok {
		return errNoPage
	}

	h := w.Header()
	h.Set("Content-Type", a.kind)
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("ETag", `"`+a.name+`"`)
	body := a.plain
	if a.small != nil {
		h.Set("Vary", "Accept-Encoding")
		if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			body = a.small()
			h.Set("Content-Encoding", "gzip")
		}
	}
	h.Set("Content-Length", fmt.Sprint(len(body)))
	if r.Method != http.MethodHead {
		_, _ = w.Write(body)
	}
	return nil
}

var icons = sync.OnceValue(func() map[string]template.HTML {
	m := map[string]template.HTML{}
	files, err := fs.Glob(assetFiles, "assets/icons/*.svg")
	if err != nil {
		panic(err) // the pattern is valid
	}
	for _, name := range files {
		s := string(read(strings.TrimPrefix(name, "assets/")))
		s = s[strings.Index(s, "<svg"):strings.LastIndex(s, "</svg>")]
		s = s[strings.Index(s, ">")+1:]
		m[strings.TrimSuffix(path.Base(name), ".svg")] = template.HTML(strings.Join(strings.Fields(s), " ")) // embedded
	}
	return m
})

// icon draws an icon that stands beside words and is therefore hidden from assistive technology; none for no name.
func icon(name string, classes ...string) (template.HTML, error) {
	body, ok := icons()[name]
	if !ok && name != "" {
		return "", fmt.Errorf("no icon %q", name)
	}
	class := template.HTMLEscapeString(strings.Join(append([]string{"i"}, classes...), " "))
	return template.HTML(`<svg class="`+class+`" viewBox="0 0 24 24" aria-hidden="true" focusable="false">`) + body + "</svg>", nil // escaped above
}
