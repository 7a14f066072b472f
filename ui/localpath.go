package ui

import (
	"net/url"
	"strings"
)

// localPath returns s if it names a page of ours, and fallback otherwise (sec-R09). It accepts less than browsers would:
// one leading slash, no empty or dotted segment, no backslash, no control character, none of these percent-encoded, and
// nothing that a browser or a proxy could read as a host.
func localPath(s, fallback string) string {
	if len(s) > 2048 || !strings.HasPrefix(s, "/") || strings.HasPrefix(s, "//") || !plain(s) {
		return fallback
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || u.Opaque != "" || u.Fragment != "" {
		return fallback
	}
	// u.Path is decoded once; a second decoding must find nothing new, or somebody else's decoder might.
	twice, err := url.PathUnescape(u.Path)
	if err != nil || twice != u.Path || !plain(u.Path) {
		return fallback
	}
	segments := strings.Split(u.Path, "/")[1:]
	for i, part := range segments {
		if part == "." || part == ".." || part == "" && i < len(segments)-1 {
			return fallback
		}
	}
	return s
}

// plain reports whether s is printable ASCII without spaces, backslashes and quotes.
func plain(s string) bool {
	return !strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c >= 0x7f || strings.ContainsRune("\\\"'<>`", c) })
}
