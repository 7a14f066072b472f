package ui

import "time"

type homeData struct {
	EmailVerified   bool
	Since           time.Time
	PasswordChanged time.Time // zero: no password
	Sessions, Apps  int
}

type sessionsData struct{ Sessions []sessionLine }

type sessionLine struct {
	ID, Device, Icon, Address string
	Began, Seen               time.Time
	This                      bool
}

type appsData struct{ Apps []appLine }

type appLine struct {
	ID, Name string
	Scopes   []string // titles, in the reader's language
	Given    time.Time
}

var (
	homePage           = page[homeData](accountShell, "account/home.html")
	changePasswordPage = page[struct{}](accountShell, "account/password.html")
	sessionsPage       = page[sessionsData](accountShell, "account/sessions.html")
	appsPage           = page[appsData](accountShell, "account/apps.html")
)
