package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"github.com/countersign-id/countersign/migrations"
)

const versionTable = "schema_versions"

// Migration is one step of the schema.
type Migration struct {
	Version   int64
	Name      string
	AppliedAt time.Time // zero: not yet
}

// Migrate brings the schema up to this binary's and returns what it applied. Any number of processes may call it at once: one does the work
// and the others wait for it. Each migration happens whole or not at all, its event included.
func Migrate(ctx context.Context, cfg Config) ([]Migration, error) {
	cfg = cfg.withDefaults()
	var applied []Migration
	err := withProvider(ctx, cfg, func(p *goose.Provider, d dialect) error {
		done, err := up(ctx, p, d)
		for _, r := range done {
			applied = append(applied, Migration{Version: r.Source.Version, Name: r.Source.Path, AppliedAt: cfg.Clock().UTC()})
		}
		return err
	})
	return applied, err
}

// MigrationStatus lists all migrations of this binary, lowest first, and when each was applied.
func MigrationStatus(ctx context.Context, cfg Config) ([]Migration, error) {
	var all []Migration
	err := withProvider(ctx, cfg.withDefaults(), func(p *goose.Provider, _ dialect) error {
		steps, err := p.Status(ctx)
		for _, s := range steps {
			all = append(all, Migration{Version: s.Source.Version, Name: s.Source.Path, AppliedAt: s.AppliedAt.UTC()})
		}
		return err
	})
	return all, err
}

// up applies what is pending. PostgreSQL's lock is a row with a heartbeat, because a lock of the session would mean nothing behind PgBouncer.
// SQLite has one writer at a time: who comes second at a migration fails, looks again, and finds it applied.
func up(ctx context.Context, p *goose.Provider, d dialect) ([]*goose.MigrationResult, error) {
	var applied []*goose.MigrationResult
	for i := 1; ; i++ {
		done, err := p.Up(ctx)
		var partial *goose.PartialError
		if errors.As(err, &partial) {
			done = partial.Applied
		}
		applied = append(applied, done...)
		if err == nil || d == postgres || i == attempts {
			return applied, err
		}
		select {
		case <-time.After(time.Duration(i) * 20 * time.Millisecond):
		case <-ctx.Done():
			return applied, err
		}
		if pending, err := p.HasPending(ctx); err == nil && !pending {
			return applied, nil
		}
	}
}

func withProvider(ctx context.Context, cfg Config, f func(*goose.Provider, dialect) error) error {
	where, err := locate(cfg.Database)
	if err != nil {
		return err
	}
	writers, readers, err := where.pools(ctx, 4, 1)
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	defer readers.Close()
	defer writers.Close()
	p, err := provider(writers, where.dialect)
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	if err := f(p, where.dialect); err != nil {
		return fmt.Errorf("migrate: %w", classify(err))
	}
	return nil
}

func provider(db *sql.DB, d dialect) (*goose.Provider, error) {
	files, err := migrations.Of(string(d))
	if err != nil {
		return nil, err
	}
	options := []goose.ProviderOption{
		goose.WithTableName(versionTable), goose.WithDisableGlobalRegistry(true), goose.WithSlog(slog.New(slog.DiscardHandler)),
	}
	if d == sqlite {
		return goose.NewProvider(goose.DialectSQLite3, db, files, options...)
	}
	locker, err := lock.NewPostgresTableLocker(lock.WithTableName("schema_lock"), lock.WithTableLockTimeout(100*time.Millisecond, 3000))
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(goose.DialectPostgres, db, files, append(options, goose.WithLocker(locker))...)
}

// checkSchema refuses a schema that is not this binary's. A binary one release older still runs on an expanded schema, but it cannot know
// that, so it asks to be told (Config.AnySchema).
func checkSchema(ctx context.Context, db *sql.DB, d dialect) error {
	has, err := schemaVersion(ctx, db, d)
	if err != nil {
		return err
	}
	switch want := migrations.Newest(string(d)); {
	case has < want:
		return errSchemaOld.Saying(fmt.Sprintf("The database's schema is at %d and this binary needs %d. Run countersign migrate up.", has, want))
	case has > want:
		return errSchemaNew.Saying(fmt.Sprintf("The database's schema is at %d and this binary knows %d. Run the newer binary.", has, want))
	}
	return nil
}

// schemaVersion reads the schema's version, 0 where there is none. goose would take its lock for that and make its tables.
func schemaVersion(ctx context.Context, db *sql.DB, d dialect) (version int64, err error) {
	there := "SELECT count(*) FROM sqlite_master WHERE name = '" + versionTable + "'"
	if d == postgres {
		there = "SELECT count(*) FROM pg_tables WHERE tablename = '" + versionTable + "' AND schemaname = ANY (current_schemas(false))"
	}
	var n int64
	if err := db.QueryRowContext(ctx, there).Scan(&n); err != nil || n == 0 {
		return 0, err
	}
	err = db.QueryRowContext(ctx, "SELECT coalesce(max(version_id), 0) FROM "+versionTable).Scan(&version)
	return version, err
}
