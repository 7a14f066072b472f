package auth

import "time"

// PersonID identifies a human being or workload, the subject of separation of duty. Ids are UUIDv7 text and never reused.
type PersonID string

// AccountID identifies one account of a person. It is the `sub` of every token; linking or renaming never changes it.
type AccountID string

// Person is who separation of duty counts. Accounts belong to one.
type Person struct {
	ID        PersonID
	Name      string
	CreatedAt time.Time
}

// AccountState says whether an account may sign in and hold tokens.
type AccountState string

// The states of an account.
const (
	AccountActive   AccountState = "active"
	AccountDisabled AccountState = "disabled"
)

// Account is what a person signs in with.
type Account struct {
	ID        AccountID
	Person    PersonID
	Username  string // as typed at creation; CanonicalName(Username) is unique over usernames and e-mail addresses
	State     AccountState
	Profile   Profile
	CreatedAt time.Time
	UpdatedAt time.Time
	Version   int64 // +1 at every change; what UpdateAccount compares
}

// Active reports whether the account may sign in, hold sessions and tokens.
func (a Account) Active() bool { return a.State == AccountActive }

// Profile holds the standard claims of OpenID Connect Core 1.0 §5.1. Empty fields are left out of tokens.
type Profile struct {
	Name, GivenName, FamilyName, MiddleName, Nickname string
	Page, Picture, Website                            string // http(s) only: the claims profile, picture, website
	Gender, Birthdate, Zoneinfo, Locale               string
	Email                                             string
	EmailVerified                                     bool
	Phone                                             string
	PhoneVerified                                     bool
	Address                                           Address
}

// Address is the address claim of OpenID Connect Core 1.0 §5.1.1.
type Address struct {
	Formatted, Street, Locality, Region, PostalCode, Country string
}

// Password is an account's password as kept: a PHC string, sealed at rest.
type Password struct {
	Account   AccountID
	Hash      string // $argon2id$…
	ChangedAt time.Time
}

// SetupToken is a right to do one thing once, handed out as a link. Only its hash is kept.
type SetupToken struct {
	Hash      []byte // SHA-256 of the token in the link
	Purpose   string // "first-administrator"
	CreatedAt time.Time
	Ends      time.Time
}
