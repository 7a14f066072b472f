package auth

import "time"

// SessionID is the public name of a session: the `sid` claim. It is not a secret and opens nothing.
type SessionID string

// Session is one browser's sign-in. The cookie holds a random token; the row only its hash.
type Session struct {
	ID        SessionID
	Account   AccountID
	TokenHash []byte // SHA-256 of the cookie's value; replaced at each rise in privilege
	AuthTime  time.Time
	ACR       string   // "aal1" …
	AMR       []string // RFC 8176: "pwd" …
	CreatedAt time.Time
	SeenAt    time.Time
	IdleEnds  time.Time // refused at and after this instant, unless touched
	Ends      time.Time // refused at and after this instant, whatever happens
	EndedAt   time.Time // zero while it lives
	UserAgent string    // personal; shown to its owner
	Source    string    // personal; address it began from
}

// Live reports whether s counts at now.
func (s Session) Live(now time.Time) bool {
	return s.ID != "" && s.EndedAt.IsZero() && now.Before(s.IdleEnds) && now.Before(s.Ends)
}

// SessionPolicy bounds sessions. NIST SP 800-63B-4 AAL1: reauthentication within 30 days.
type SessionPolicy struct {
	Idle     time.Duration // default 1 h
	Absolute time.Duration // default 12 h
	Touch    time.Duration // how stale SeenAt may become before a write; default 1 min
}
