package main

import (
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/countersign-id/countersign/internal/fault"
	"github.com/countersign-id/countersign/rbac"
)

var errFlag = fault.New(fault.Invalid, "flag-invalid", "The value of a flag cannot mean anything.")

// fields are the parts of an R that flags set. Only flags that are given count, so that adding and changing are one.
type fields[R any] struct {
	cmd *cobra.Command
	set []func(d *desk, r *R) error
}

func fieldsOf[R any](cmd *cobra.Command) *fields[R] { return &fields[R]{cmd: cmd} }

// into sets what was given.
func (f *fields[R]) into(d *desk, r *R) error {
	for _, set := range f.set {
		if err := set(d, r); err != nil {
			return err
		}
	}
	return nil
}

// given is how a field is read once its flag is given.
func (f *fields[R]) given(name string, put func(d *desk, r *R) error) {
	f.set = append(f.set, func(d *desk, r *R) error {
		if !f.cmd.Flags().Changed(name) {
			return nil
		}
		return put(d, r)
	})
}

func text[R any, S ~string](f *fields[R], name, usage string, at func(*R) *S) {
	v := f.cmd.Flags().String(name, "", usage)
	f.given(name, func(_ *desk, r *R) error { *at(r) = S(*v); return nil })
}

// choice is one of a few words; the empty one is the first of what usage lists.
func choice[R any, S ~string](f *fields[R], name, usage string, at func(*R) *S, words ...S) {
	v := f.cmd.Flags().String(name, "", usage)
	f.given(name, func(_ *desk, r *R) error {
		if !slices.Contains(words, S(*v)) {
			var known []string
			for _, w := range words {
				if w != "" {
					known = append(known, string(w))
				}
			}
			return errFlag.Saying("--" + name + " is one of " + strings.Join(known, ", ") + ".").At(name)
		}
		*at(r) = S(*v)
		return nil
	})
}

// many is a list; given, it replaces the one that was there, and an empty value empties it.
func many[R any, S ~string](f *fields[R], name, usage string, at func(*R) *[]S) {
	v := f.cmd.Flags().StringArray(name, nil, usage+"; may be given several times")
	f.given(name, func(_ *desk, r *R) error {
		*at(r) = nil
		for _, s := range *v {
			if s != "" {
				*at(r) = append(*at(r), S(s))
			}
		}
		return nil
	})
}

func number[R any](f *fields[R], name, usage string, at func(*R) *int) {
	v := f.cmd.Flags().Int(name, 0, usage)
	f.given(name, func(_ *desk, r *R) error { *at(r) = *v; return nil })
}

func yes[R any](f *fields[R], name, usage string, at func(*R) *bool) {
	v := f.cmd.Flags().Bool(name, false, usage)
	f.given(name, func(_ *desk, r *R) error { *at(r) = *v; return nil })
}

// somebody is a person by the name of an account.
func somebody[R any](f *fields[R], name, usage string, at func(*R) *rbac.SubjectID) {
	v := f.cmd.Flags().String(name, "", usage)
	f.given(name, func(d *desk, r *R) (err error) {
		if *at(r) = ""; *v != "" {
			*at(r), err = d.person(*v)
		}
		return err
	})
}

func persons[R any](f *fields[R], name, usage string, at func(*R) *[]rbac.SubjectID) {
	v := f.cmd.Flags().StringArray(name, nil, usage+"; may be given several times")
	f.given(name, func(d *desk, r *R) error {
		*at(r) = nil
		for _, s := range *v {
			id, err := d.person(s)
			if err != nil {
				return err
			}
			*at(r) = append(*at(r), id)
		}
		return nil
	})
}

// during is a window: --from and --until.
func during[R any](f *fields[R], at func(*R) *rbac.Window) {
	from := f.cmd.Flags().String("from", "", "when it begins: RFC 3339, a date (UTC), or such as +8h; now if empty")
	until := f.cmd.Flags().String("until", "", "when it ends: RFC 3339, the last day (UTC), or such as +30d")
	moment := func(name string, v *string, last bool, put func(w *rbac.Window, t rbac.Instant)) {
		f.given(name, func(d *desk, r *R) error {
			if *v == "" {
				put(at(r), 0)
				return nil
			}
			t, err := parseTime(*v, d.tx.Now(), last)
			if err == nil {
				put(at(r), t)
				return nil
			}
			return errTime.At(name)
		})
	}
	moment("from", from, false, func(w *rbac.Window, t rbac.Instant) { w.From = t })
	moment("until", until, true, func(w *rbac.Window, t rbac.Instant) { w.To = t })
}

// seconds is a length of time, kept in seconds.
func seconds[R any](f *fields[R], name, usage string, at func(*R) *int) {
	v := f.cmd.Flags().Duration(name, 0, usage)
	f.given(name, func(_ *desk, r *R) error { *at(r) = int(*v / time.Second); return nil })
}
