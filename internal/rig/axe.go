package rig

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"

	"github.com/countersign-id/countersign/test/axe"
)

// violation is a rule of axe-core that a page breaks.
type violation struct {
	ID     string `json:"id"`
	Impact string `json:"impact"`
	Help   string `json:"help"`
	Nodes  []struct {
		Target string `json:"target"`
		HTML   string `json:"html"`
		Why    string `json:"why"`
	} `json:"nodes"`
}

func (v violation) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s (%s): %s", v.ID, v.Impact, v.Help)
	for _, n := range v.Nodes {
		fmt.Fprintf(&b, "\n  %s\n    %s\n    %s", n.Target, clip(n.HTML, 200), strings.ReplaceAll(n.Why, "\n", "\n    "))
	}
	return b.String()
}

const runAxe = `axe.run(document, {resultTypes: ['violations'], iframes: false, rules: {'target-size': {enabled: true}}}).then(r => JSON.stringify(r.violations.map(v => ({
	id: v.id, impact: v.impact, help: v.help,
	nodes: v.nodes.map(n => ({target: n.target.join(' '), html: n.html, why: n.failureSummary})),
}))))`

// Axe fails the test for every accessibility rule that the page breaks as it stands: WCAG 2.2 A and
// AA and the best practices of axe-core.
func (b *Browser) Axe() {
	b.t.Helper()
	for _, v := range b.violations() {
		b.t.Errorf("%s: %s", b.URL(), v)
	}
}

// violations runs axe-core in a world of its own: the page's scripts do not see it, and the page's
// content security policy does not bind it.
func (b *Browser) violations() []violation {
	b.t.Helper()
	if b.noScript { // axe-core waits for timers; the page stays as it was parsed
		b.scripts(true)
		defer b.scripts(false)
	}
	frame := call(b, page.GetFrameTree, cdp.Empty{}).FrameTree.Frame.ID
	world := call(b, page.CreateIsolatedWorld, page.CreateIsolatedWorldParams{FrameID: frame, WorldName: "axe"}).ExecutionContextID
	yes := true
	var found []violation
	for _, script := range []string{axe.Source + "\n;''", runAxe} {
		r := call(b, runtime.Evaluate, runtime.EvaluateParams{Expression: script, ContextID: world, AwaitPromise: &yes, ReturnByValue: &yes})
		if r.ExceptionDetails != nil {
			b.t.Fatalf("axe: %s", exception(r.ExceptionDetails))
		}
		if script != runAxe {
			continue
		}
		var text string
		if err := json.Unmarshal(r.Result.Value, &text); err != nil {
			b.t.Fatalf("axe: %v", err)
		}
		if err := json.Unmarshal([]byte(text), &found); err != nil {
			b.t.Fatalf("axe: %v", err)
		}
	}
	return found
}
