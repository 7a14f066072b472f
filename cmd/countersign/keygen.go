package main

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
)

func (c *cli) keygenCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "keygen",
		Short: "Print a new master key",
		Long: "Print a new master key: 256 random bits that seal every secret in the database.\n" +
			"Where the output is a file, its mode becomes 0600. Keep a copy apart from the database's backups.",
		Example: "  countersign keygen > master.key",
		Args:    exactly(),
		RunE: func(*cobra.Command, []string) error {
			if f, ok := c.stdout.(*os.File); ok {
				if st, err := f.Stat(); err == nil && st.Mode().IsRegular() {
					if err := f.Chmod(0o600); err != nil {
						return fmt.Errorf("close the key file to others: %w", err)
					}
				}
			}
			key := newMasterKey()
			return c.print(map[string]string{"master_key": key}, func(w io.Writer) { fmt.Fprintln(w, key) })
		},
	}
}

// newMasterKey returns a key as the setting master_key takes it.
func newMasterKey() string {
	var b [32]byte
	for {
		rand.Read(b[:])
		if distinct(b[:]) >= 12 {
			return masterPrefix + base64.RawURLEncoding.EncodeToString(b[:])
		}
	}
}
