package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"gorm.io/gorm"

	"github.com/countersign-id/countersign/internal/fault"
	"github.com/countersign-id/countersign/rbac"
)

// Config says where the store is and what opens it.
type Config struct {
	Database   string       // "sqlite:PATH" or "postgres://…"
	MasterKeys [][]byte     // 32 bytes each: the current one, then older ones that may still seal the data keyset
	Log        *slog.Logger // default: nowhere

	Writers int           // PostgreSQL connections for Update; default 16. SQLite has one writer
	Readers int           // connections for View; default 8
	Timeout time.Duration // how long one transaction may take; default 10 s

	AnySchema bool             // open whatever the schema's version is
	Clock     func() time.Time // for tests; default time.Now
}

func (c Config) withDefaults() Config {
	if c.Writers <= 0 {
		c.Writers = 16
	}
	if c.Readers <= 0 {
		c.Readers = 8
	}
	if c.Timeout <= 0 {
		c.Timeout = 10 * time.Second
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// DB is an open store. It is safe for concurrent use.
type DB struct {
	dialect    dialect
	gorm       *gorm.DB
	ground     string // the columns of Ground's join
	writers    *sql.DB
	readers    *sql.DB // on PostgreSQL another pool too: a flood of reads must not starve writes
	timeout    time.Duration
	clock      func() time.Time
	log        *slog.Logger
	seal       *sealer
	statements atomic.Uint64
	structure  atomic.Pointer[rbac.Structure] // the newest policy this process knows
}

// Open opens the store. It refuses a schema that is not this binary's, and master keys that do not open the data keyset.
// The first Open of an empty, migrated database makes that keyset.
func Open(ctx context.Context, cfg Config) (*DB, error) {
	cfg = cfg.withDefaults()
	where, err := locate(cfg.Database)
	if err != nil {
		return nil, err
	}
	db := &DB{dialect: where.dialect, timeout: cfg.Timeout, clock: cfg.Clock, log: cfg.Log}
	if err := db.connect(ctx, where, cfg); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	if err := db.ready(ctx, cfg); err != nil {
		db.Close()
		return nil, fmt.Errorf("open store: %w", err)
	}
	return db, nil
}

func (db *DB) connect(ctx context.Context, where place, cfg Config) (err error) {
	db.gorm, err = gorm.Open(db.dialect, &gorm.Config{
		ConnPool: nowhere{}, Logger: silent{}, SkipDefaultTransaction: true, DisableAutomaticPing: true,
		QueryFields: true, // columns by name: one that a migration adds while we run is nothing to us
		NowFunc:     func() time.Time { return cfg.Clock().UTC() },
	})
	if err != nil {
		return err
	}
	if db.writers, db.readers, err = where.pools(ctx, cfg.Writers, cfg.Readers); err != nil {
		return err
	}
	db.ground, err = groundColumns()
	return err
}

func (db *DB) ready(ctx context.Context, cfg Config) error {
	if !cfg.AnySchema {
		if err := checkSchema(ctx, db.writers, db.dialect); err != nil {
			return classify(err)
		}
	}
	var err error
	db.seal, err = openSealer(ctx, db, cfg.MasterKeys)
	return err
}

// Close ends all connections. On SQLite it also empties the write-ahead log.
func (db *DB) Close() error {
	return errors.Join(db.readers.Close(), db.writers.Close())
}

// Ping reports whether the database answers.
func (db *DB) Ping(ctx context.Context) error {
	return db.View(ctx, func(tx *Tx) error {
		_, err := tx.ints(ctx, "SELECT 1")
		return err
	})
}

// Statements returns how many SQL statements ran since Open, BEGIN and COMMIT counted.
func (db *DB) Statements() uint64 { return db.statements.Load() }

// Stats describes the two pools, for the metrics.
func (db *DB) Stats() (writers, readers sql.DBStats) { return db.writers.Stats(), db.readers.Stats() }

// View runs f in a transaction that reads. On SQLite f sees one state of the database; on PostgreSQL each statement
// sees what was committed when it began, as in Update. f may run again and must have no effect but its results.
func (db *DB) View(ctx context.Context, f func(tx *Tx) error) error {
	return db.retry(ctx, f, db.readers, db.dialect.beginView(), true)
}

// Update runs f in a transaction that writes, and commits it with its events if f returns nil. If another transaction was in the
// way f runs again, a few times; so inside f there is nothing but tx. Any error, and any statement that failed, undoes everything.
// On PostgreSQL f runs at READ COMMITTED: lock first, read after.
func (db *DB) Update(ctx context.Context, f func(tx *Tx) error) error {
	return db.retry(ctx, f, db.writers, db.dialect.begin(db.timeout), false)
}

// attempts bounds how often a transaction is run.
const attempts = 6

func (db *DB) retry(ctx context.Context, f func(tx *Tx) error, pool *sql.DB, begin string, reads bool) error {
	ctx, cancel := context.WithTimeout(ctx, db.timeout)
	defer cancel()
	for i := 1; ; i++ {
		err := db.run(ctx, f, pool, begin, reads)
		if err != nil && ctx.Err() != nil && fault.Of(err) == fault.Internal {
			return ErrUnavailable.Because(errors.Join(ctx.Err(), err)) // whatever the database made of it
		}
		if err == nil || i == attempts || !contended(err) {
			return classify(err)
		}
		db.log.DebugContext(ctx, "transaction runs again", "attempt", i)
		// Full jitter: those that met each other must not meet again.
		pause := time.NewTimer(rand.N(time.Duration(1<<i) * 4 * time.Millisecond))
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return classify(err)
		}
	}
}

func (db *DB) run(ctx context.Context, f func(tx *Tx) error, pool *sql.DB, begin string, reads bool) error {
	raw, err := pool.Conn(ctx)
	if err != nil {
		return ErrUnavailable.Because(err)
	}
	defer raw.Close()

	c := &conn{raw: raw, count: &db.statements, reads: reads}
	if begin != "" {
		db.statements.Add(1)
		if _, err := raw.ExecContext(ctx, begin); err != nil {
			db.rollback(ctx, c)
			return err
		}
	}
	tx := db.tx(c) // once it has begun: on SQLite that may have taken a while
	done := false
	defer func() {
		if !done { // f panicked
			db.rollback(ctx, c)
		}
	}()
	err = f(tx)
	if err == nil && !reads {
		err = tx.flush(ctx)
	}
	if err == nil {
		err = c.failed
	}
	done = true
	switch {
	case begin == "":
		c.ended = true
		return err
	case err != nil:
		db.rollback(ctx, c)
		return err
	}
	if err := db.commit(ctx, c); err != nil {
		return err
	}
	if tx.made != nil {
		db.keep(tx.made)
	}
	return nil
}

// commit ends the transaction. PostgreSQL answers COMMIT of a transaction that failed with ROLLBACK and no error, so it is asked first.
func (db *DB) commit(ctx context.Context, c *conn) error {
	if err := sound(c.raw); err != nil {
		db.rollback(ctx, c)
		return err
	}
	c.ended = true
	db.statements.Add(1)
	_, err := c.raw.ExecContext(ctx, "COMMIT")
	if err != nil {
		db.rollback(ctx, c)
	}
	return err
}

// rollback undoes the transaction, also when ctx is over. A connection that cannot do even that is thrown away.
func (db *DB) rollback(ctx context.Context, c *conn) {
	c.ended = true
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	db.statements.Add(1)
	if _, err := c.raw.ExecContext(ctx, "ROLLBACK"); err != nil {
		c.raw.Raw(func(any) error { return errBadConn })
	}
}

// errSchema tells an operator what to do; its text is completed where it is returned.
var (
	errSchemaOld = fault.New(fault.Unavailable, "schema-old", "The database's schema is older than this binary's. Run countersign migrate up.")
	errSchemaNew = fault.New(fault.Unavailable, "schema-new", "The database's schema is newer than this binary's. Run the newer binary.")
	errDatabase  = fault.New(fault.Invalid, "database-invalid", "The database must be sqlite:PATH or postgres://….")
	errFileMode  = fault.New(fault.Invalid, "database-file-open", "The database file can be read or written by everybody.")
	errMasterKey = fault.New(fault.Invalid, "master-key-wrong", "The master key does not open this database.")
)
