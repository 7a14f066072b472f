package rig

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
)

// watch notes what goes wrong in a page.
type watch struct {
	mu      sync.Mutex
	heard   []string
	allowed []*regexp.Regexp
	status  int64 // of the document that was loaded last
}

// Expect lets a fault that matches pattern pass, for a test that provokes it.
func (b *Browser) Expect(pattern string) {
	b.t.Helper()
	b.watch.mu.Lock()
	defer b.watch.mu.Unlock()
	b.watch.allowed = append(b.watch.allowed, regexp.MustCompile(pattern))
}

// Status returns the HTTP status of the page that was loaded last.
func (b *Browser) Status() int {
	b.watch.mu.Lock()
	defer b.watch.mu.Unlock()
	return int(b.watch.status)
}

// hear is called with every event of the page. It must not wait.
func (w *watch) hear(ev any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch ev := ev.(type) {
	case *runtime.EventExceptionThrown:
		w.note("exception", exception(ev.ExceptionDetails))
	case *runtime.EventConsoleAPICalled:
		if ev.Type == runtime.ConsoleAPICalledTypeError || ev.Type == runtime.ConsoleAPICalledTypeAssert {
			w.note("console", spoken(ev.Args))
		}
	case *log.EventEntryAdded:
		// What the network says is told below, without the pages that are meant to answer 4xx.
		if ev.Entry.Level == log.EntryLevelError && ev.Entry.Source != log.EntrySourceNetwork {
			w.note("log", ev.Entry.Text)
		}
	case *audits.EventIssueAdded:
		if d := ev.Issue.Details; d != nil && d.ContentSecurityPolicyIssueDetails != nil {
			csp := d.ContentSecurityPolicyIssueDetails
			w.note("content security policy", fmt.Sprintf("%s violated %s", csp.ViolatedDirective, csp.BlockedURL))
		}
	case *network.EventResponseReceived:
		w.response(ev)
	}
}

func (w *watch) response(ev *network.EventResponseReceived) {
	switch ev.Type {
	case network.ResourceTypeDocument:
		w.status = ev.Response.Status
	case network.ResourceTypeStylesheet, network.ResourceTypeScript, network.ResourceTypeImage, network.ResourceTypeFont, network.ResourceTypeManifest:
		if ev.Response.Status >= 400 {
			w.note("asset", fmt.Sprintf("%s answers %d", ev.Response.URL, ev.Response.Status))
		}
	}
}

func (w *watch) note(kind, text string) {
	if line := kind + ": " + text; !slices.Contains(w.heard, line) {
		w.heard = append(w.heard, line)
	}
}

// faults returns what was heard and not expected.
func (w *watch) faults() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(w.heard), func(line string) bool {
		return slices.ContainsFunc(w.allowed, func(r *regexp.Regexp) bool { return r.MatchString(line) })
	})
}

func exception(d *runtime.ExceptionDetails) string {
	if d.Exception != nil && d.Exception.Description != "" {
		return d.Exception.Description
	}
	return d.Text
}

func spoken(args []*runtime.RemoteObject) string {
	var words []string
	for _, a := range args {
		if a.Description != "" {
			words = append(words, a.Description)
			continue
		}
		words = append(words, string(a.Value))
	}
	return strings.Join(words, " ")
}
