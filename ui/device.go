package ui

import "strings"

// device names the browser and system a User-Agent claims to be, for its owner to recognise; nothing relies on it.
func (l *locale) device(userAgent string) (name, icon string) {
	browser := first(userAgent, [][2]string{
		{"Edg/", "Edge"}, {"EdgiOS/", "Edge"}, {"EdgA/", "Edge"}, {"OPR/", "Opera"}, {"SamsungBrowser/", "Samsung Internet"}, {"Firefox/", "Firefox"}, {"FxiOS/", "Firefox"},
		{"CriOS/", "Chrome"}, {"Chrome/", "Chrome"}, {"Safari/", "Safari"}, {"curl/", "curl"}, {"Go-http-client/", "Go"},
	})
	system := first(userAgent, [][2]string{
		{"iPhone", "iPhone"}, {"iPad", "iPad"}, {"Android", "Android"}, {"CrOS", "ChromeOS"}, {"Windows", "Windows"}, {"Macintosh", "macOS"}, {"Linux", "Linux"},
	})
	icon = "monitor"
	switch system {
	case "iPhone", "iPad", "Android":
		icon = "smartphone"
	case "macOS", "Windows", "ChromeOS":
		icon = "laptop"
	}
	switch {
	case browser == "" && system == "":
		return l.T("account.sessions.unknown"), icon
	case browser == "" || system == "":
		return browser + system, icon
	}
	return l.T("account.sessions.device", "Browser", browser, "System", system), icon
}

func first(s string, marks [][2]string) string {
	for _, m := range marks {
		if strings.Contains(s, m[0]) {
			return m[1]
		}
	}
	return ""
}
