package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/countersign-id/countersign/internal/fault"
	"github.com/countersign-id/countersign/rbac"
)

var errRulesetFile = fault.New(fault.Invalid, "ruleset-unreadable", "The ruleset file cannot be read.")

func (c *cli) rulesetCommand() *cobra.Command {
	return group("ruleset", "Rulesets: duties and rules that travel together", c.rulesetList(), c.rulesetShow(), c.rulesetImport(), c.rulesetExport(), c.rulesetTest())
}

// readRuleset reads a file. The error is os.ErrNotExist where there is none.
func readRuleset(name string) (rbac.Ruleset, error) {
	b, err := os.ReadFile(name)
	switch {
	case os.IsNotExist(err):
		return rbac.Ruleset{}, err
	case err != nil:
		return rbac.Ruleset{}, errRulesetFile.Because(err)
	}
	return rbac.ParseRuleset(b)
}

// findRuleset takes a name of the library or a file.
func findRuleset(name string) (rbac.Ruleset, error) {
	if slices.Contains(rbac.Library(), rbac.RulesetID(name)) {
		return rbac.FromLibrary(rbac.RulesetID(name))
	}
	rs, err := readRuleset(name)
	if os.IsNotExist(err) {
		return rs, rbac.ErrNotFound.Saying(fmt.Sprintf("The library has no ruleset %q, and there is no such file.", name)).At("ruleset")
	}
	return rs, err
}

// rulesetView is a ruleset, of the library or in the policy.
type rulesetView struct {
	ID       rbac.RulesetID `json:"ruleset"`
	Version  string         `json:"version,omitempty"`
	Title    string         `json:"title,omitempty"`
	Library  bool           `json:"library"`
	Imported bool           `json:"imported"`
	Duties   int            `json:"duties"`
	Rules    int            `json:"rules"`
}

func (c *cli) rulesetList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the rulesets of the library and those that were imported", Args: exactly(), Example: "  countersign ruleset list",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.reads(cmd, func(d *desk) error {
				var list []rulesetView
				for _, id := range rbac.Library() {
					rs, err := rbac.FromLibrary(id)
					if err != nil {
						return err
					}
					list = append(list, rulesetView{ID: rs.ID, Version: rs.Version, Title: rs.Title, Library: true, Duties: len(rs.Duties), Rules: len(rs.Rules)})
				}
				here := map[rbac.RulesetID]rulesetView{}
				for _, r := range d.Rules {
					v := here[r.Ruleset]
					v.Rules++
					here[r.Ruleset] = v
				}
				for _, r := range d.Duties {
					v := here[r.Ruleset]
					v.Duties++
					here[r.Ruleset] = v
				}
				delete(here, "")
				for i := range list {
					_, list[i].Imported = here[list[i].ID]
					delete(here, list[i].ID)
				}
				for id, v := range here {
					v.ID, v.Imported = id, true
					list = append(list, v)
				}
				slices.SortFunc(list, func(a, b rulesetView) int { return strings.Compare(string(a.ID), string(b.ID)) })
				return c.print(map[string]any{"rulesets": list}, func(w io.Writer) {
					table(w, []string{"RULESET", "VERSION", "TITLE", "DUTIES", "RULES", "IMPORTED"}, len(list), func(i int) []any {
						v := list[i]
						return []any{v.ID, v.Version, v.Title, v.Duties, v.Rules, map[bool]string{true: "yes"}[v.Imported]}
					})
				})
			})
		},
	}
}

func (c *cli) rulesetShow() *cobra.Command {
	return &cobra.Command{
		Use: "show NAME|FILE", Short: "Show the rules of a ruleset", Args: exactly("a ruleset of the library or a file"), Example: "  countersign ruleset show procure-to-pay",
		RunE: func(_ *cobra.Command, args []string) error {
			rs, err := findRuleset(args[0])
			if err != nil {
				return err
			}
			return c.print(rs, func(w io.Writer) {
				fmt.Fprintf(w, "%s %s: %s\n\n", rs.ID, rs.Version, rs.Title)
				table(w, []string{"RULE", "KIND", "DUTIES", "K", "LEVEL", "MODE", "DESCRIPTION"}, len(rs.Rules), func(i int) []any {
					r := rs.Rules[i]
					return []any{r.ID, r.Kind, shorten(joined(r.Duties, " ")), r.K, r.Level, r.Mode, r.Description}
				})
			})
		},
	}
}

func (c *cli) rulesetImport() *cobra.Command {
	cmd := &cobra.Command{
		Use: "import NAME|FILE", Short: "Bring in a ruleset, or its newer version", Args: exactly("a ruleset of the library or a file"),
		Long: "Bring in a ruleset of the library or of a file. Its examples are run first. Rules that are there keep their mode and owner; with\n" +
			"--prefix a copy to change comes in beside the original.",
		Example: "  countersign ruleset import procure-to-pay --unresolved --dry-run\n  countersign ruleset import own.json --prefix Z- --mode simulate",
	}
	type options struct {
		prefix                  string
		mode                    rbac.Mode
		unresolved, grandfather bool
	}
	f := fieldsOf[options](cmd)
	text(f, "prefix", "put before its name and every id in it", func(o *options) *string { return &o.prefix })
	yes(f, "unresolved", "though it speaks of what is not known: those rules come in marked invalid", func(o *options) *bool { return &o.unresolved })
	choice(f, "mode", "mode of rules that are new, instead of their own", func(o *options) *rbac.Mode { return &o.mode }, modes...)
	yes(f, "grandfather", "let those who hold today what a new rule that blocks forbids; each becomes a case", func(o *options) *bool { return &o.grandfather })
	return c.changes(cmd, change{rehearse: true, propose: func(d *desk, args []string) (proposal, error) {
		rs, err := findRuleset(args[0])
		if err != nil {
			return proposal{}, err
		}
		var o options
		if err := f.into(d, &o); err != nil {
			return proposal{}, err
		}
		if o.prefix != "" {
			rs = rs.Copy(o.prefix)
		}
		p := proposal{ops: rs.Import(d.Policy, o.unresolved)}
		duties, rules := 0, 0
		for i, op := range p.ops {
			switch r := op.(type) {
			case rbac.DefineDuty:
				duties++
			case rbac.EditRule:
				rules++
			case rbac.CreateRule:
				rules++
				if o.mode != "" && r.Rule.Kind != rbac.ObjectBased && r.Rule.Kind != rbac.History { // those stay drafts
					r.Rule.Mode = o.mode
				}
				r.Grandfather = o.grandfather
				p.ops[i] = r
			}
		}
		p.said = fmt.Sprintf("%s %s: %d duties and %d rules are new or other than before.", rs.ID, rs.Version, duties, rules)
		p.made = map[string]any{"ruleset": rs.ID, "version": rs.Version, "duties": duties, "rules": rules}
		return p, nil
	}})
}

func (c *cli) rulesetExport() *cobra.Command {
	var version, title, description string
	cmd := &cobra.Command{
		Use: "export NAME", Short: "Print a ruleset of the policy as a file", Args: exactly("a ruleset"), Example: "  countersign ruleset export procure-to-pay --version 1.1.0 > procure-to-pay.json",
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.reads(cmd, func(d *desk) error {
				rs := rbac.Export(d.Policy, rbac.RulesetID(args[0]), version, title, description)
				if len(rs.Rules)+len(rs.Duties) == 0 {
					return rbac.ErrNotFound.Saying(fmt.Sprintf("Nothing of a ruleset %q was imported.", args[0])).At("ruleset")
				}
				for i := range rs.Rules {
					rs.Rules[i].Owner = "" // a person of this deployment
				}
				return c.printIndented(rs)
			})
		},
	}
	cmd.Flags().StringVar(&version, "version", "1.0.0", "version of the file")
	cmd.Flags().StringVar(&title, "title", "", "its title")
	cmd.Flags().StringVar(&description, "description", "", "what it is for")
	return cmd
}

func (c *cli) rulesetTest() *cobra.Command {
	return &cobra.Command{
		Use: "test FILE", Short: "Check a ruleset and run its examples", Args: exactly("a ruleset of the library or a file"), Example: "  countersign ruleset test own.json",
		RunE: func(_ *cobra.Command, args []string) error {
			rs, err := findRuleset(args[0])
			if err != nil {
				return err
			}
			examples, without := 0, []rbac.RuleID{}
			for _, r := range rs.Rules {
				examples += len(r.Tests)
				if len(r.Tests) == 0 {
					without = append(without, r.ID)
				}
			}
			out := map[string]any{"ruleset": rs.ID, "duties": len(rs.Duties), "rules": len(rs.Rules), "examples": examples, "without_examples": without}
			return c.print(out, func(w io.Writer) {
				fmt.Fprintf(w, "%s: %d duties, %d rules, %d examples come out.\n", rs.ID, len(rs.Duties), len(rs.Rules), examples)
				if len(without) > 0 {
					fmt.Fprintf(w, "Rules without an example: %s\n", joined(without, ", "))
				}
			})
		},
	}
}
