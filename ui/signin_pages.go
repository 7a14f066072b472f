package ui

type identifyData struct {
	Flow     string
	App      App
	Username string // as typed, or the application's login_hint
}

type passwordData struct {
	Flow     string
	Username string // as typed; whether an account has it is not said
}

type consentData struct {
	Flow   string
	App    App
	Scopes []scopeLine
}

// scopeLine is one thing an application asks for, with the person's own data.
type scopeLine struct {
	Name, Icon, Title, Detail string
	Required, Checked         bool
}

type setupData struct{ Username, Name, Email string }

var (
	identifyPage = page[identifyData](signInShell, "signin/identify.html")
	passwordPage = page[passwordData](signInShell, "signin/password.html")
	consentPage  = page[consentData](signInShell, "signin/consent.html")
	setupPage    = page[setupData](signInShell, "signin/setup.html")
)
