package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// docs/cli.md is what --help says, command by command.
func TestTheManualIsWhatHelpSays(t *testing.T) {
	t.Parallel()
	c := &cli{flags: map[string]*string{}, stdout: io.Discard, stderr: io.Discard}
	var b bytes.Buffer
	b.WriteString("# Command line\n\nGenerated from the code by `make docs`: what `--help` says. Every command prints JSON with `--json`.\n" +
		"Settings (" + "`--issuer`, `--database`, `--master-key-file` and the rest) are in [configuration.md](configuration.md).\n")
	manual(&b, c.commands())
	golden(t, "../../docs/cli.md", b.Bytes())
}

func manual(w io.Writer, cmd *cobra.Command) {
	if cmd.Short == "" {
		t := cmd.CommandPath()
		panic(t + " has no help")
	}
	if cmd.HasParent() && cmd.Name() != "settings" {
		fmt.Fprintf(w, "\n## %s\n\n%s.\n", cmd.CommandPath(), strings.TrimSuffix(cmd.Short, "."))
		if cmd.Long != "" {
			fmt.Fprintf(w, "\n%s\n", cmd.Long)
		}
		if cmd.Runnable() && !cmd.HasSubCommands() {
			fmt.Fprintf(w, "\n```\n%s\n```\n", strings.TrimSuffix(cmd.UseLine(), " [flags]"))
		}
		if cmd.Example != "" {
			fmt.Fprintf(w, "\nExample:\n\n```\n%s\n```\n", strings.TrimSpace(cmd.Example))
		}
		first := true
		cmd.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) {
			if f.Hidden || f.Name == "help" {
				return
			}
			if first {
				fmt.Fprint(w, "\n| flag | default | meaning |\n|---|---|---|\n")
				first = false
			}
			def := f.DefValue
			if def == "" || def == "[]" {
				def = "–"
			}
			fmt.Fprintf(w, "| `--%s` | %s | %s |\n", f.Name, def, strings.ReplaceAll(f.Usage, "|", "\\|"))
		})
	}
	for _, sub := range cmd.Commands() {
		if sub.Name() != "help" && sub.Name() != "completion" {
			manual(w, sub)
		}
	}
}
