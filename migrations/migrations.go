// Package migrations holds the schema: hand-written SQL for each database, under equal numbers.
//
// Migrations go forward only. Within a release a migration expands (old code must run on the new
// schema); what the next release no longer reads is contracted by the one after. The last statement
// of each writes its own event, so no schema change is without one.
package migrations

import (
	"embed"
	"io/fs"
	"slices"
	"strconv"
	"strings"
)

//go:embed sqlite/*.sql postgres/*.sql
var files embed.FS

// Of returns the migrations of a database: "sqlite" or "postgres".
func Of(database string) (fs.FS, error) { return fs.Sub(files, database) }

// Versions returns the numbers of a database's migrations, lowest first.
func Versions(database string) []int64 {
	entries, err := files.ReadDir(database)
	if err != nil {
		return nil
	}
	var versions []int64
	for _, e := range entries {
		number, _, _ := strings.Cut(e.Name(), "_")
		if v, err := strconv.ParseInt(number, 10, 64); err == nil {
			versions = append(versions, v)
		}
	}
	slices.Sort(versions)
	return versions
}

// Newest returns the number this binary needs the schema to have.
func Newest(database string) int64 { return slices.Max(Versions(database)) }
