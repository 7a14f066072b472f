package main

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/countersign-id/countersign/store"
)

func (c *cli) migrateCommand() *cobra.Command {
	return group("migrate", "The database schema", c.migrateUp(), c.migrateStatus())
}

func (c *cli) migrateUp() *cobra.Command {
	return &cobra.Command{
		Use: "up", Short: "Bring the schema up to date", Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := c.config()
			if err != nil {
				return err
			}
			done, err := store.Migrate(cmd.Context(), cfg.store(c.log(cfg)))
			if err != nil {
				return err
			}
			views := make([]migrationView, len(done))
			for i, m := range done {
				views[i] = viewMigration(m)
			}
			return c.print(map[string]any{"applied": views}, func(w io.Writer) {
				for _, m := range done {
					fmt.Fprintf(w, "Applied %d %s.\n", m.Version, m.Name)
				}
				fmt.Fprintln(w, "The schema is up to date.")
			})
		},
	}
}

func (c *cli) migrateStatus() *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "Show which migrations are applied; exit code 7 if one is not", Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := c.config()
			if err != nil {
				return err
			}
			all, err := store.MigrationStatus(cmd.Context(), cfg.store(c.log(cfg)))
			if err != nil {
				return err
			}
			pending := 0
			for _, m := range all {
				if m.AppliedAt.IsZero() {
					pending++
				}
			}
			views := make([]migrationView, len(all))
			for i, m := range all {
				views[i] = viewMigration(m)
			}
			err = c.print(map[string]any{"migrations": views, "pending": pending}, func(w io.Writer) {
				table(w, []string{"VERSION", "NAME", "APPLIED"}, len(all), func(i int) []any {
					return []any{all[i].Version, all[i].Name, stamp(all[i].AppliedAt)}
				})
			})
			if err == nil && pending > 0 {
				return errUnsound
			}
			return err
		},
	}
}

// migrationView is a step of the schema as the command line shows it.
type migrationView struct {
	Version   int64     `json:"version"`
	Name      string    `json:"name"`
	Applied   bool      `json:"applied"`
	AppliedAt time.Time `json:"applied_at,omitzero"`
}

func viewMigration(m store.Migration) migrationView {
	return migrationView{m.Version, m.Name, !m.AppliedAt.IsZero(), m.AppliedAt}
}
