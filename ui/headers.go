package ui

import (
	"net/url"
	"strings"
)

// contentPolicy is the Content-Security-Policy of a page: our own files only, no inline code, no framing, forms to
// ourselves (sec-R03, sec-R05). A form_post page names the one origin its form goes to.
func contentPolicy(formAction string) string {
	to := "'self'"
	if formAction != "" {
		to = formAction
	}
	return "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; " +
		"form-action " + to + "; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
}

// origin returns the origin of an http(s) address, in a form that can stand in a policy; "" if it has none.
func origin(address string) string {
	u, err := url.Parse(address)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" || u.User != nil {
		return ""
	}
	// A host that could end the directive would let its owner write the rest of our policy.
	if strings.ContainsFunc(u.Host, func(c rune) bool {
		return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:[]", c)
	}) {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

// leaving reports whether address is one a page of ours may send a browser to: http(s), or an application's private-use
// scheme, which has a dot (RFC 8252 §7.1). Scripts, data and the like never are, whoever registered them.
func leaving(address string) bool {
	u, err := url.Parse(address)
	if err != nil || strings.ContainsFunc(address, func(c rune) bool { return c <= ' ' || c == 0x7f }) {
		return false
	}
	switch u.Scheme {
	case "https", "http":
		return u.Host != ""
	}
	return strings.Contains(u.Scheme, ".")
}
