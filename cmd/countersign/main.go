// Command countersign is the identity provider: one binary that serves, keeps its database, and administers both.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/countersign-id/countersign/internal/fault"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr))
}

// Exit codes, as `countersign help exit-codes` and docs/cli.md list them.
const (
	exitOK          = 0
	exitInternal    = 1 // our defect, or something we depend on failed
	exitUsage       = 2 // the command line or a setting is wrong; nothing was done
	exitNotFound    = 3
	exitConflict    = 4 // true in itself, but not together with what already holds
	exitRefused     = 5 // read, understood, and the answer is no
	exitUnavailable = 6 // the database or another part does not answer
	exitUnsound     = 7 // a check ran and found something wrong: audit verify, doctor, migrate status
)

// errUnsound ends a command whose check ran and found something wrong; what it found is already printed.
var errUnsound = errors.New("unsound")

// exitCode turns an error into an exit code, by kind alone.
func exitCode(err error) int {
	var usage usageError
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errUnsound):
		return exitUnsound
	case errors.As(err, &usage):
		return exitUsage
	}
	switch fault.Of(err) {
	case fault.Malformed, fault.Invalid:
		return exitUsage
	case fault.NotFound:
		return exitNotFound
	case fault.Conflict, fault.Stale:
		return exitConflict
	case fault.Unauthenticated, fault.Denied, fault.Expired, fault.Locked:
		return exitRefused
	case fault.Throttled, fault.Unavailable:
		return exitUnavailable
	}
	return exitInternal
}

// usageError is a command line that cannot be read.
type usageError struct{ error }

// cli is one run of the command: what it was given, and where it answers.
type cli struct {
	environ        []string
	stdin          io.Reader
	stdout, stderr io.Writer
	json           bool
	configFile     string
	flags          map[string]*string // settings given as flags, by key; nil where not given
	root           *cobra.Command
}

// run is the whole program but for the process around it.
func run(ctx context.Context, args, environ []string, stdin io.Reader, stdout, stderr io.Writer) int {
	c := &cli{environ: environ, stdin: stdin, stdout: stdout, stderr: stderr, flags: map[string]*string{}}
	c.root = c.commands()
	c.root.SetArgs(args)
	c.root.SetIn(stdin)
	c.root.SetOut(stdout)
	c.root.SetErr(stderr)
	err := c.root.ExecuteContext(ctx)
	if err != nil && misread(err) {
		err = usageError{err}
	}
	if err != nil && !errors.Is(err, errUnsound) {
		c.complain(err)
	}
	return exitCode(err)
}

// misread reports whether err is cobra's own about a command line; it gives those no type.
func misread(err error) bool {
	for _, start := range []string{"required flag(s)", "unknown command", "if any flags in the group"} {
		if strings.HasPrefix(err.Error(), start) {
			return true
		}
	}
	return false
}

// complain prints what went wrong in one line, or as one JSON object where --json was asked for.
func (c *cli) complain(err error) {
	var usage usageError
	if errors.As(err, &usage) {
		fmt.Fprintf(c.stderr, "countersign: %v\nSee 'countersign --help'.\n", err)
		return
	}
	f := fault.From(err)
	var why refusal
	errors.As(err, &why)
	if c.json {
		e := json.NewEncoder(c.stderr)
		e.SetEscapeHTML(false)
		said := map[string]any{"error": f.Code, "text": f.Text, "field": f.Field}
		if len(why.answer.Conflicts) > 0 {
			said["conflicts"] = why.answer.Conflicts
		}
		_ = e.Encode(said)
		return
	}
	line := f.Text
	if f.Kind == fault.Internal {
		line = err.Error() // an operator's terminal: the cause is for them
	} else if f.Err != nil {
		line += " (" + firstLine(f.Err) + ")"
	}
	if why.why != nil && f.Field != "" {
		line = strings.TrimSuffix(line, ".") + " (" + f.Field + ")."
	}
	fmt.Fprintf(c.stderr, "countersign: %s [%s]\n", line, f.Code)
	why.answer.list(c.stderr)
}

func (c *cli) commands() *cobra.Command {
	root := &cobra.Command{
		Use:   "countersign",
		Short: "An identity provider that keeps duties apart",
		Long: "Countersign signs people in for your applications by OpenID Connect and OAuth 2.0.\n\n" +
			"Settings come from a YAML file, COUNTERSIGN_… variables and flags, the later over the earlier;\n" +
			"'countersign help settings' lists them.",
		Example:           "  countersign demo\n  countersign serve --config countersign.yaml",
		SilenceErrors:     true,
		SilenceUsage:      true,
		DisableAutoGenTag: true,
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	p := root.PersistentFlags()
	p.BoolVar(&c.json, "json", false, "print JSON")
	p.StringVar(&c.configFile, "config", c.env("COUNTERSIGN_CONFIG"), "settings file, YAML")
	for _, s := range settings() {
		usage := s.Doc
		if s.Secret && s.Key != "database" {
			usage += " Name a file with it: secrets on a command line show in process lists."
			p.Var(&flagValue{c, s.Key, true}, s.Flag()+"-file", usage)
		} else {
			p.Var(&flagValue{c, s.Key, false}, s.Flag(), usage)
		}
		name := s.Flag()
		if s.Secret && s.Key != "database" {
			name += "-file"
		}
		if s.Key != "database" && s.Key != "issuer" && s.Key != "master_key" {
			_ = p.MarkHidden(name)
		}
	}
	root.AddCommand(
		c.serveCommand(), c.demoCommand(), c.keygenCommand(), c.migrateCommand(), c.userCommand(), c.clientCommand(),
		c.keysCommand(), c.planCommand(), c.applyCommand(), c.exportCommand(), c.auditCommand(), c.doctorCommand(), c.routesCommand(), c.versionCommand(),
		c.settingsTopic(), exitCodesTopic(),
	)
	root.AddCommand(c.policyCommands()...)
	return root
}

// flagValue takes a setting given as a flag.
type flagValue struct {
	c    *cli
	key  string
	file bool
}

func (f *flagValue) String() string { return "" }
func (f *flagValue) Type() string {
	if f.file {
		return "file"
	}
	return "value"
}

func (f *flagValue) Set(v string) error {
	if f.file {
		secret, err := secretFile(f.key, v)
		if err != nil {
			return err
		}
		v = secret
	}
	f.c.flags[f.key] = &v
	return nil
}

func (c *cli) env(name string) string {
	for i := len(c.environ) - 1; i >= 0; i-- {
		if k, v, _ := strings.Cut(c.environ[i], "="); k == name {
			return v
		}
	}
	return ""
}

// config reads the settings; needs names those this command cannot do without.
func (c *cli) config(needs ...string) (*Config, error) {
	given := map[string]string{}
	for k, v := range c.flags {
		given[k] = *v
	}
	return loadConfig(c.configFile, c.environ, given, needs...)
}

// print answers v as JSON, or text where no JSON was asked for.
func (c *cli) print(v any, text func(w io.Writer)) error {
	if !c.json {
		text(c.stdout)
		return nil
	}
	e := json.NewEncoder(c.stdout)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// printIndented answers a document that people read and keep.
func (c *cli) printIndented(v any) error {
	e := json.NewEncoder(c.stdout)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	return e.Encode(v)
}

// by names who acts at this terminal, for the audit log.
func (c *cli) by() string {
	for _, name := range []string{"SUDO_USER", "USER", "LOGNAME"} {
		if u := c.env(name); u != "" {
			return "local:" + u
		}
	}
	return fmt.Sprintf("local:uid-%d", os.Getuid())
}

// exactly refuses any other number of arguments than the names given.
func exactly(names ...string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) == len(names) {
			return nil
		}
		if len(names) == 0 {
			return usageError{fmt.Errorf("unexpected argument %q", args[0])}
		}
		return usageError{fmt.Errorf("give %s", strings.Join(names, " and "))}
	}
}

// group returns a command that only holds others.
func group(use, short string, subs ...*cobra.Command) *cobra.Command {
	g := &cobra.Command{Use: use, Short: short, Args: func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return usageError{fmt.Errorf("%s has no command %q", cmd.CommandPath(), args[0])}
		}
		return nil
	}, RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	g.AddCommand(subs...)
	return g
}
