package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

// settingsTopic is `countersign help settings`: every setting, from the same table that reads them.
func (c *cli) settingsTopic() *cobra.Command {
	var b strings.Builder
	b.WriteString("Settings come from a YAML file (--config), COUNTERSIGN_… variables and flags, the later over the earlier.\n\n")
	for _, s := range settings() {
		fmt.Fprintf(&b, "  %s\n      %s\n", s.Key, s.Doc)
		fmt.Fprintf(&b, "      variable %s", s.Env())
		if s.Secret {
			fmt.Fprintf(&b, " or %s_FILE", s.Env())
		}
		if s.Default != "" {
			fmt.Fprintf(&b, ", default %s", s.Default)
		}
		b.WriteString("\n")
	}
	return &cobra.Command{Use: "settings", Short: "Every setting, its variable and its default", Long: b.String()}
}

func exitCodesTopic() *cobra.Command {
	return &cobra.Command{Use: "exit-codes", Short: "What each exit code means", Long: `Exit codes:
  0  done
  1  a defect of ours, or something we depend on failed
  2  the command line or a setting is wrong; nothing was done
  3  no such thing
  4  it does not go together with what already holds
  5  read, understood, and the answer is no
  6  the database or another part does not answer
  7  a check ran and found something wrong (audit verify, doctor, migrate status)`}
}

// settingsMarkdown is docs/configuration.md: generated, so that it cannot differ from the code.
func settingsMarkdown(w io.Writer) {
	fmt.Fprint(w, `# Configuration

Generated from the code by `+"`make docs`"+`. A setting has a key in the YAML file named by --config, a variable, and a flag; a flag
goes over a variable, a variable over the file. Unknown keys and weak values refuse to start, with the key, the
problem and the fix in one line.

A secret is never given on the command line: its flag and one of its variables name a file that only its owner can read.

| key | variable | flag | default | meaning |
|---|---|---|---|---|
`)
	for _, s := range settings() {
		env, flag := "`"+s.Env()+"`", "`--"+s.Flag()+"`"
		if s.Secret {
			env += " or `" + s.Env() + "_FILE`"
			if s.Key != "database" {
				flag = "`--" + s.Flag() + "-file`"
			}
		}
		def := "–"
		if s.Default != "" {
			def = "`" + s.Default + "`"
		}
		doc := s.Doc
		if s.Example != "" {
			doc += " Example: `" + s.Example + "`."
		}
		fmt.Fprintf(w, "| `%s` | %s | %s | %s | %s |\n", s.Key, env, flag, def, doc)
	}
}
