package rig

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// Visit loads the page at url, whatever its status. It waits for that page, not for one that it
// moves on to by itself.
func (b *Browser) Visit(url string) {
	b.t.Helper()
	b.Run(chromedp.Navigate(url))
}

// Fill types value into the field that the CSS selector finds, in place of what is there.
func (b *Browser) Fill(selector, value string) {
	b.t.Helper()
	sel := chromedp.CSS(selector)
	if err := b.try(chromedp.WaitVisible(sel), chromedp.Clear(sel), chromedp.SendKeys(sel, value)); err != nil {
		b.t.Fatalf("fill %s: %v", selector, err)
	}
}

// Click clicks on what the CSS selector finds and does not wait for what comes of it.
func (b *Browser) Click(selector string) {
	b.t.Helper()
	sel := chromedp.CSS(selector)
	if err := b.try(chromedp.WaitVisible(sel), chromedp.Click(sel)); err != nil {
		b.t.Fatalf("click on %s: %v", selector, err)
	}
}

// Press clicks on what the CSS selector finds and waits for the next page.
func (b *Browser) Press(selector string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	sel := chromedp.CSS(selector)
	if _, err := chromedp.RunResponse(ctx, chromedp.WaitVisible(sel), chromedp.Click(sel)); err != nil {
		b.t.Fatalf("press %s: %v", selector, err)
	}
}

// See waits until the page shows text.
func (b *Browser) See(text string) {
	b.t.Helper()
	b.wait(fmt.Sprintf("the page to show %q", text), func() bool { return strings.Contains(b.Text("body"), text) })
}

// WaitGone waits until the page holds nothing that the CSS selector describes, and is loaded.
func (b *Browser) WaitGone(selector string) {
	b.t.Helper()
	b.wait("no "+selector, func() bool {
		gone, err := b.value(fmt.Sprintf("document.readyState === 'complete' && document.querySelector(%q) === null ? 'gone' : ''", selector))
		return err == nil && gone == "gone"
	})
}

// Arrive waits until the address begins with prefix and its page is loaded.
func (b *Browser) Arrive(prefix string) {
	b.t.Helper()
	b.wait("the address "+prefix, func() bool {
		at, err := b.value("document.readyState === 'complete' ? location.href : ''")
		return err == nil && strings.HasPrefix(at, prefix)
	})
}

// URL returns the address of the page.
func (b *Browser) URL() string {
	b.t.Helper()
	return ask(b, chromedp.Location())
}

// Has reports whether the page holds what the CSS selector describes, now.
func (b *Browser) Has(selector string) bool {
	b.t.Helper()
	return ask(b, chromedp.Evaluate[bool](fmt.Sprintf("document.querySelector(%q) !== null", selector)))
}

// Text returns the text that the element found by the CSS selector shows now, "" if there is none.
func (b *Browser) Text(selector string) string {
	b.t.Helper()
	// A page that is just being left has no answer.
	text, _ := b.value(fmt.Sprintf("document.querySelector(%q)?.innerText ?? ''", selector))
	return text
}

// HTML returns the page as it stands.
func (b *Browser) HTML() string {
	b.t.Helper()
	return ask(b, chromedp.Evaluate[string]("document.documentElement.outerHTML"))
}

// Fits fails the test where the page is wider than its window: someone would have to scroll sideways.
func (b *Browser) Fits() {
	b.t.Helper()
	over := ask(b, chromedp.Evaluate[int]("document.documentElement.scrollWidth - document.documentElement.clientWidth"))
	if over > 0 {
		b.t.Errorf("%s is %d pixels wider than the window", b.URL(), over)
	}
}

// Screenshot writes the whole page to name.png in the folder that COUNTERSIGN_SCREENSHOTS names; it
// does nothing where that is not set. See `make screenshots`.
func (b *Browser) Screenshot(name string) {
	b.t.Helper()
	dir := os.Getenv("COUNTERSIGN_SCREENSHOTS")
	if dir == "" {
		return
	}
	file := filepath.Join(dir, filepath.FromSlash(name)+".png")
	picture := ask(b, chromedp.FullScreenshot(100))
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(file, picture, 0o644); err != nil {
		b.t.Fatal(err)
	}
}

func (b *Browser) value(expression string) (string, error) {
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	return chromedp.Run(ctx, chromedp.Evaluate[string](expression))
}

// wait asks until it is so.
func (b *Browser) wait(what string, so func() bool) {
	b.t.Helper()
	for deadline := time.Now().Add(patience); !so(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			b.t.Fatalf("waited in vain for %s", what)
		}
	}
}

// DangerouslyWithoutPolicy switches the pages' content security policy off and gives each of them a function hit, so that
// a payload that a page does not escape runs and is counted (see Hits).
func (b *Browser) DangerouslyWithoutPolicy() {
	b.t.Helper()
	call(b, page.SetBypassCSP, page.SetBypassCSPParams{Enabled: true})
	call(b, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{
		Source: "window.hits = 0; window.hit = () => { window.hits++ }",
	})
}

// Hits returns how often the page, as it stands, called hit.
func (b *Browser) Hits() int {
	b.t.Helper()
	return ask(b, chromedp.Evaluate[int]("window.hits"))
}
