package rig

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/security"
	"github.com/chromedp/chromedp"

	"github.com/countersign-id/countersign/internal/leash"
)

// patience bounds each single thing that a test waits for in a page.
const patience = 20 * time.Second

// step is what chromedp calls an action without a result.
type step = chromedp.Action[chromedp.Void]

// Browser is a page in a real Chromium, with cookies and storage of its own. What goes wrong in the
// page while a test looks elsewhere (an uncaught exception, a console error, a violated content
// security policy, a missing stylesheet) fails the test when it ends.
//
// Its methods wait for what they need, and end the test where it does not come. A Browser belongs to
// one goroutine.
type Browser struct {
	t        testing.TB
	ctx      context.Context
	watch    *watch
	noScript bool
}

// NewBrowser opens a page for t. One Chromium serves all tests of a binary and ends with it.
func NewBrowser(t testing.TB) *Browser {
	t.Helper()
	if testing.Short() {
		t.Skip("short: the browser is left to make test")
	}
	chromium, err := running()
	switch {
	case err == nil:
	case errors.Is(err, errNoChromium) && os.Getenv("CI") != "true":
		t.Skip(err)
	default:
		t.Fatal(err)
	}

	b := &Browser{t: t, watch: &watch{}}
	ctx, cancel := chromedp.NewContext(chromium, chromedp.WithNewBrowserContext(), chromedp.WithListener(b.watch.hear))
	b.ctx = ctx
	t.Cleanup(func() {
		b.end()
		cancel()
	})
	// The first run opens the page and ties it to its context: that one has no end.
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("open a page: %v", err)
	}
	call(b, audits.Enable, cdp.Empty{})
	call(b, network.Enable, network.EnableParams{})
	b.Size(1440, 900)
	return b
}

// end reports what was wrong in the page, and where a failed test stood.
func (b *Browser) end() {
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	// Whatever the page has said arrives before the answer to this.
	place, err := chromedp.Run(ctx, chromedp.Location())
	if err != nil {
		b.t.Errorf("the page is gone: %v", err)
		return
	}
	for _, fault := range b.watch.faults() {
		b.t.Errorf("in the page %s: %s", place, fault)
	}
	if !b.t.Failed() {
		return
	}
	text, _ := chromedp.Run(ctx, chromedp.Evaluate[string]("document.body ? document.body.innerText : ''"))
	b.t.Logf("the browser was at %s, which showed:\n%s", place, clip(text, 2000))
}

// Run does what no other method does.
func (b *Browser) Run(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := b.try(steps...); err != nil {
		b.t.Fatal(err)
	}
}

// Context is for calls of chromedp that Run does not cover, such as a virtual authenticator.
func (b *Browser) Context() context.Context { return b.ctx }

func (b *Browser) try(steps ...step) error {
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	return chromedp.Do(ctx, steps...)
}

// ask is Run for an action with a result.
func ask[T any](b *Browser, a chromedp.Action[T]) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, a)
	if err != nil {
		b.t.Fatal(err)
	}
	return v
}

// call runs a command of the DevTools protocol.
func call[P, R any](b *Browser, cmd cdp.Command[P, R], params P) R {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	r, err := chromedp.Call(ctx, cmd, params)
	if err != nil {
		b.t.Fatalf("%s: %v", cmd.Method, err)
	}
	return r
}

// Size gives the window another size, in CSS pixels.
func (b *Browser) Size(width, height int64) {
	b.t.Helper()
	call(b, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: width, Height: height, DeviceScaleFactor: 1})
}

// Phone makes the page that of a telephone.
func (b *Browser) Phone() {
	b.t.Helper()
	call(b, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: 390, Height: 844, DeviceScaleFactor: 2, Mobile: true})
	call(b, emulation.SetTouchEmulationEnabled, emulation.SetTouchEmulationEnabledParams{Enabled: true})
}

// Dark asks for the dark colours.
func (b *Browser) Dark() {
	b.t.Helper()
	call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}},
	})
}

// Language makes tag, "zh-Hans" for one, the first language of the person.
func (b *Browser) Language(tag string) {
	b.t.Helper()
	agent := ask(b, chromedp.Evaluate[string]("navigator.userAgent"))
	call(b, emulation.SetUserAgentOverride, emulation.SetUserAgentOverrideParams{UserAgent: agent, AcceptLanguage: tag})
}

// NoScript turns JavaScript off, for the pages that come next.
func (b *Browser) NoScript() {
	b.t.Helper()
	b.noScript = true
	b.scripts(false)
}

func (b *Browser) scripts(on bool) {
	b.t.Helper()
	call(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !on})
}

// DangerouslyTrustAnyCertificate is for a provider that a test runs over https.
func (b *Browser) DangerouslyTrustAnyCertificate() {
	b.t.Helper()
	call(b, security.SetIgnoreCertificateErrors, security.SetIgnoreCertificateErrorsParams{Ignore: true})
}

var errNoChromium = errors.New("no Chromium is installed (chromium, chromium-browser or google-chrome, in PATH)")

// keeper waits for its owner's end, ends the browser whose process it was told, and removes the
// profile $1. A browser that is left to end by itself writes to its profile for seconds, and its
// helpers a little longer than itself.
const keeper = `
while read -r pid; do browser=$pid; echo ok; done
kill -KILL $browser
for _ in 1 2 3 4 5; do rm -rf "$1"; sleep 0.2; done
`

// running starts the Chromium of this test binary.
var running = sync.OnceValues(func() (context.Context, error) {
	path, err := chromiumPath()
	if err != nil {
		return nil, err
	}
	profile, err := os.MkdirTemp("", "countersign-chromium-")
	if err != nil {
		return nil, err
	}
	l, err := leash.Start(nil, keeper, profile)
	if err != nil {
		return nil, err
	}

	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path),
		chromedp.UserDataDir(filepath.Join(profile, "profile")),
		chromedp.Env("HOME="+profile, "TMPDIR="+profile, "XDG_CONFIG_HOME="+profile, "XDG_CACHE_HOME="+profile),
		chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-crash-reporter", true),
		// Every window would prepare pages of the browser's own frame, which nobody sees here.
		chromedp.Flag("disable-features", "Translate,BlinkGenPropertyTrees,PreloadTopChromeWebUI"),
		chromedp.Flag("hide-scrollbars", true),
		// The profile has room; /dev/shm is only a few megabytes in many containers.
		chromedp.Flag("disable-dev-shm-usage", true),
	)
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox) // its sandbox does not work for root
	}
	// Neither context is cancelled: both live as long as the binary.
	allocator, _ := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, _ := chromedp.NewContext(allocator)
	if err := chromedp.Do(ctx); err != nil {
		return nil, fmt.Errorf("start %s: %w", path, err)
	}
	if _, err := l.Ask(strconv.Itoa(chromedp.FromContext(ctx).Browser.Process().Pid)); err != nil {
		return nil, err
	}
	return ctx, nil
})

func chromiumPath() (string, error) {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errNoChromium
}

func clip(s string, n int) string {
	s = strings.TrimSpace(s)
	if len(s) > n {
		return s[:n] + " …"
	}
	return s
}
