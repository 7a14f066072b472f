package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/countersign-id/countersign/rbac"
)

// noun is a kind of row of the policy, with the commands that every kind has.
type noun[K ~string, R any] struct {
	word, plural string
	arg          string // what names one, in a usage line
	rows         func(d *desk) map[K]R
	fresh        func(d *desk, id K) (R, error) // a new one, before its flags
	fields       func(f *fields[R])
	settle       func(d *desk, r *R) error // what flags leave to be filled in; nil if nothing
	add, edit    func(r R) rbac.Op
	drop         func(id K, force bool) rbac.Op
	remove       string // the verb for drop
	forced       bool   // rules that speak of it may be marked invalid
	head         []string
	line         func(d *desk, r R) []any
	view         func(d *desk, r R) R             // people by name; nil if none are in it
	also         func(d *desk, r R) (more, error) // beside the row, where one is shown
	example      map[string]string
}

// more is what is shown of a row besides itself.
type more struct {
	json map[string]any
	text func(w io.Writer)
}

func (n noun[K, R]) list(c *cli) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List " + n.plural, Args: exactly(), Example: "  countersign " + n.word + " list",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.reads(cmd, func(d *desk) error {
				if err := d.knowOwners(); err != nil {
					return err
				}
				rows := n.rows(d)
				ids := slices.Sorted(maps.Keys(rows))
				all := make([]R, len(ids))
				for i, id := range ids {
					all[i] = n.shown(d, rows[id])
				}
				return c.print(map[string]any{strings.ReplaceAll(n.plural, " ", "_"): all}, func(w io.Writer) {
					table(w, n.head, len(all), func(i int) []any { return n.line(d, all[i]) })
				})
			})
		},
	}
}

func (n noun[K, R]) shown(d *desk, r R) R {
	if n.view == nil {
		return r
	}
	return n.view(d, r)
}

func (n noun[K, R]) find(d *desk, id K) (R, error) {
	return known(n.rows(d), id, n.word)
}

// known returns what is there under an id; its error says what is not.
func known[K ~string, R any](rows map[K]R, id K, word string) (R, error) {
	r, ok := rows[id]
	if !ok {
		return r, rbac.ErrNotFound.Saying(fmt.Sprintf("There is no %s %q.", word, id)).At(word)
	}
	return r, nil
}

func (n noun[K, R]) show(c *cli) *cobra.Command {
	return &cobra.Command{
		Use: "show " + n.arg, Short: "Show a " + n.word, Args: exactly("one " + n.word), Example: n.example["show"],
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.reads(cmd, func(d *desk) error {
				r, err := n.find(d, K(args[0]))
				if err != nil {
					return err
				}
				if err := d.knowOwners(); err != nil {
					return err
				}
				var beside more
				if n.also != nil {
					if beside, err = n.also(d, r); err != nil {
						return err
					}
				}
				fields, err := members(n.shown(d, r))
				if err != nil {
					return err
				}
				out := map[string]any{}
				for _, f := range fields {
					out[f.name] = f.value
				}
				maps.Copy(out, beside.json)
				return c.print(out, func(w io.Writer) {
					table(w, []string{"FIELD", "VALUE"}, len(fields), func(i int) []any { return []any{fields[i].name, fields[i].text()} })
					if beside.text != nil {
						fmt.Fprintln(w)
						beside.text(w)
					}
				})
			})
		},
	}
}

func (n noun[K, R]) adding(c *cli) *cobra.Command { return n.putting(c, "add", n.add) }

func (n noun[K, R]) editing(c *cli) *cobra.Command { return n.putting(c, "edit", n.edit) }

// putting makes the commands that add and change one. They take the same flags.
func (n noun[K, R]) putting(c *cli, verb string, op func(R) rbac.Op) *cobra.Command {
	short := map[string]string{"add": "Add a " + n.word, "edit": "Change a " + n.word + "; what is not named stays"}[verb]
	cmd := &cobra.Command{Use: verb + " " + n.arg, Short: short, Args: exactly("one " + n.word), Example: n.example[verb]}
	f := fieldsOf[R](cmd)
	n.fields(f)
	return c.changes(cmd, change{propose: func(d *desk, args []string) (proposal, error) {
		id := K(args[0])
		r, err := n.find(d, id)
		switch {
		case verb == "edit" && err != nil:
			return proposal{}, err
		case verb == "add" && err == nil:
			return proposal{}, rbac.ErrExists.At(n.word)
		case verb == "add":
			if r, err = n.fresh(d, id); err != nil {
				return proposal{}, err
			}
		}
		if err := f.into(d, &r); err != nil {
			return proposal{}, err
		}
		if n.settle != nil {
			if err := n.settle(d, &r); err != nil {
				return proposal{}, err
			}
		}
		said := map[string]string{"add": "Added", "edit": "Changed"}[verb]
		if err := d.knowOwners(); err != nil {
			return proposal{}, err
		}
		return proposal{ops: []rbac.Op{op(r)}, said: fmt.Sprintf("%s %s %s.", said, n.word, id), made: n.shown(d, r)}, nil
	}})
}

func (n noun[K, R]) dropping(c *cli) *cobra.Command {
	verb := cmp.Or(n.remove, "delete")
	cmd := &cobra.Command{
		Use: verb + " " + n.arg, Short: strings.ToUpper(verb[:1]) + verb[1:] + " a " + n.word, Args: exactly("one " + n.word),
		Example: cmp.Or(n.example[verb], fmt.Sprintf("  countersign %s %s %s --dry-run", n.word, verb, n.arg)),
	}
	var force bool
	if n.forced {
		cmd.Flags().BoolVar(&force, "force", false, "though rules speak of it: they are marked invalid")
	}
	return c.changes(cmd, change{propose: func(d *desk, args []string) (proposal, error) {
		if _, err := n.find(d, K(args[0])); err != nil {
			return proposal{}, err
		}
		return proposal{ops: []rbac.Op{n.drop(K(args[0]), force)}, said: fmt.Sprintf("The %s %s is gone.", n.word, args[0])}, nil
	}})
}

// member is one field of a row, as JSON has it.
type member struct {
	name  string
	value json.RawMessage
}

// members are the fields of a row in their order.
func members(row any) ([]member, error) {
	b, err := json.Marshal(row)
	if err != nil {
		return nil, err
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	if _, err := dec.Token(); err != nil {
		return nil, err
	}
	var out []member
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return nil, err
		}
		m := member{name: fmt.Sprint(name)}
		if err := dec.Decode(&m.value); err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	return out, nil
}

// text writes a value for a table: words plainly, lists of words beside each other, anything else as JSON.
func (m member) text() string {
	var word string
	if json.Unmarshal(m.value, &word) == nil {
		return word
	}
	var words []string
	if json.Unmarshal(m.value, &words) == nil {
		return strings.Join(words, ", ")
	}
	var e rbac.Expr
	if m.name == "expr" && json.Unmarshal(m.value, &e) == nil {
		return spellExpr(e)
	}
	var needs rbac.Cond
	if m.name == "prerequisite" && json.Unmarshal(m.value, &needs) == nil {
		return spellCond(needs)
	}
	return string(m.value)
}

// knowOwners learns who owns roles, rules and controls.
func (d *desk) knowOwners() error {
	var ids []rbac.SubjectID
	add := func(id rbac.SubjectID) {
		if id != "" {
			ids = append(ids, id)
		}
	}
	for _, r := range d.Roles {
		add(r.Owner)
	}
	for _, r := range d.Rules {
		add(r.Owner)
	}
	for _, r := range d.Controls {
		add(r.Owner)
	}
	slices.Sort(ids)
	return d.know(slices.Compact(ids)...)
}
