// Package store remembers: it keeps what auth, rbac and audit speak of in SQLite or PostgreSQL.
//
// Doors hold a *DB and open transactions with View and Update; domain packages see only the interface
// they declared, which *Tx has. Everything inside a transaction goes through its Tx: it holds the one
// connection the transaction uses, its one instant, and the events that are written when it commits.
//
// GORM lives here alone. Rows are private, one noun a file, and columns may differ from fields:
// secrets are sealed, lists are JSON, a zero time is null.
package store
