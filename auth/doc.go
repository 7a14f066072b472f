// Package auth knows who is asking and how sure we are: people and their accounts, passwords,
// sessions, applications, grants, consents, signing keys, and the rules by which one becomes another.
//
// It holds plain types and functions over a transaction (Tx). It knows no HTTP, no SQL, no JOSE and
// no clock of its own: the doors (ui, auth/oidc, cmd) call it inside db.Update or db.View, and store
// provides the transaction. Refusals that have to be remembered (a wrong password, a replayed code)
// are outcomes, returned beside a nil error so that the transaction commits; errors roll back.
package auth
