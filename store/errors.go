package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"gorm.io/gorm"
	lite "modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"github.com/countersign-id/countersign/internal/fault"
)

// What the store itself refuses. That something is missing is a fault of the one asking for it.
var (
	ErrUnavailable = fault.New(fault.Unavailable, "database-unavailable", "The database does not answer. Try again in a moment.")
	ErrContended   = fault.New(fault.Unavailable, "database-busy", "Too much is happening at once. Try again in a moment.")
	ErrText        = fault.New(fault.Invalid, "text-not-storable", "A text holds characters that cannot be stored.")

	errAccountMissing  = fault.New(fault.NotFound, "account-not-found", "There is no such account.")
	errPersonMissing   = fault.New(fault.NotFound, "person-not-found", "There is no such person.")
	errPasswordMissing = fault.New(fault.NotFound, "password-not-found", "The account has no password.")
	errSetupMissing    = fault.New(fault.NotFound, "setup-not-found", "There is no such set-up link.")
	errSessionMissing  = fault.New(fault.NotFound, "session-not-found", "There is no such session.")
	errClientMissing   = fault.New(fault.NotFound, "client-not-found", "There is no such application.")
	errConsentMissing  = fault.New(fault.NotFound, "consent-not-found", "There is no such consent.")
	errGrantMissing    = fault.New(fault.NotFound, "grant-not-found", "There is no such grant.")
	errTokenMissing    = fault.New(fault.NotFound, "token-not-found", "There is no such token.")
	errFlowMissing     = fault.New(fault.NotFound, "flow-not-found", "There is no such sign-in.")

	errClientExists = fault.New(fault.Conflict, "client-exists", "An application with that identifier exists.")
	errKeyExists    = fault.New(fault.Conflict, "key-exists", "A key with that identifier exists or existed.")
)

// code returns PostgreSQL's five characters or SQLite's number.
func codes(err error) (pg string, lite3 int) {
	var p *pgconn.PgError
	if errors.As(err, &p) {
		return p.Code, 0
	}
	var l *lite.Error
	if errors.As(err, &l) {
		return "", l.Code()
	}
	return "", 0
}

// duplicate reports whether err says that a key is in use.
func duplicate(err error) bool {
	pg, n := codes(err)
	return pg == "23505" || n == lib.SQLITE_CONSTRAINT_UNIQUE || n == lib.SQLITE_CONSTRAINT_PRIMARYKEY
}

// dangling reports whether err says that a row refers to none.
func dangling(err error) bool {
	pg, n := codes(err)
	return pg == "23503" || n == lib.SQLITE_CONSTRAINT_FOREIGNKEY
}

// contended reports whether the transaction lost to another one and may simply be run again.
func contended(err error) bool {
	if errors.Is(err, errAgain) {
		return true
	}
	pg, n := codes(err)
	switch pg {
	case "40001", "40P01": // serialization failure, deadlock
		return true
	case "0A000", "26000": // a cached plan that no longer fits, or is gone: pgx forgets it and asks anew
		return true
	}
	switch n & 0xff {
	case lib.SQLITE_BUSY, lib.SQLITE_LOCKED:
		return true
	}
	return false
}

// unreachable reports whether the database, not the statement, is the trouble.
func unreachable(err error) bool {
	pg, n := codes(err)
	switch {
	case strings.HasPrefix(pg, "08"), strings.HasPrefix(pg, "53"), strings.HasPrefix(pg, "57P"), strings.HasPrefix(pg, "58"):
		return true // connection, resources (disk full, too many connections), shutdown, input and output
	case pg == "25006", pg == "25P03", pg == "55P03", pg == "57014":
		return true // a standby, a transaction, lock or statement over its time
	case pg != "":
		return false
	}
	switch n & 0xff {
	case lib.SQLITE_FULL, lib.SQLITE_IOERR, lib.SQLITE_CANTOPEN, lib.SQLITE_READONLY, lib.SQLITE_NOMEM, lib.SQLITE_INTERRUPT:
		return true
	}
	if n != 0 {
		return false
	}
	var dial *pgconn.ConnectError
	var wire net.Error
	return errors.As(err, &dial) || errors.As(err, &wire) || errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}

// classify makes err a fault, unless somebody already said what it means.
func classify(err error) error {
	var f *fault.Error
	switch {
	case err == nil || errors.As(err, &f):
		return err
	case contended(err):
		return ErrContended.Because(err)
	case errors.Is(err, errText):
		return ErrText.Because(err)
	case unreachable(err):
		return ErrUnavailable.Because(err)
	}
	return err
}

// missing turns "no row" into the fault that names what is missing. Text that no row can hold is in no row.
func missing(err error, what *fault.Error) error {
	if errors.Is(err, gorm.ErrRecordNotFound) || errors.Is(err, errText) {
		return what
	}
	return err
}

// taken turns "key in use" into the fault that names it.
func taken(err error, what *fault.Error) error {
	if duplicate(err) {
		return what.Because(err)
	}
	return err
}
