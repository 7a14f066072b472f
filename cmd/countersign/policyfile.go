package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/countersign-id/countersign/internal/fault"
	"github.com/countersign-id/countersign/rbac"
)

// maxPolicyFile is the largest policy file, in bytes.
const maxPolicyFile = 64 << 20

// readDocuments reads policy files, "-" for standard input, as one document: each section may be in one of them.
func (c *cli) readDocuments(files []string) (rbac.Document, error) {
	sections := map[string]json.RawMessage{}
	for _, name := range files {
		text, err := c.readFile(name)
		if err != nil {
			return rbac.Document{}, err
		}
		found, err := sectionsOf(text)
		if err != nil {
			return rbac.Document{}, rbac.ErrDocument.Saying(fmt.Sprintf("%s cannot be read as a policy file.", name)).Because(err)
		}
		for section, rows := range found {
			if _, twice := sections[section]; twice {
				return rbac.Document{}, rbac.ErrDocument.Saying(fmt.Sprintf("The section %q is in more than one file.", section)).At(section)
			}
			sections[section] = rows
		}
	}
	text, err := json.Marshal(sections)
	if err != nil {
		return rbac.Document{}, err
	}
	var d rbac.Document
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields() // a misspelt field is not a field left out
	if err := dec.Decode(&d); err != nil {
		return d, rbac.ErrDocument.Because(err)
	}
	return d, nil
}

func (c *cli) readFile(name string) ([]byte, error) {
	in := c.stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, fault.New(fault.Invalid, "policy-file-unreadable", "The policy file cannot be opened.").Because(err)
		}
		defer f.Close()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, maxPolicyFile+1))
	if err == nil && len(text) > maxPolicyFile {
		return nil, rbac.ErrDocument.Saying("The policy file is larger than 64 MiB.")
	}
	return text, err
}

// sectionsOf reads YAML, of which JSON is a part. A section without rows is an empty one.
func sectionsOf(text []byte) (map[string]json.RawMessage, error) {
	var all map[string]any
	dec := yaml.NewDecoder(bytes.NewReader(text))
	if err := dec.Decode(&all); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if err := dec.Decode(new(any)); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is more than one document in it")
	}
	out := map[string]json.RawMessage{}
	for section, rows := range all {
		if rows == nil {
			rows = []any{}
		}
		b, err := json.Marshal(rows)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", section, err)
		}
		out[section] = b
	}
	return out, nil
}

// writeDocument writes d as YAML, its fields in their order.
func writeDocument(w io.Writer, d rbac.Document) error {
	b, err := json.Marshal(d)
	if err != nil {
		return err
	}
	var n yaml.Node
	if err := yaml.Unmarshal(b, &n); err != nil { // JSON is YAML
		return err
	}
	plain(&n)
	e := yaml.NewEncoder(w)
	e.SetIndent(2)
	if err := e.Encode(&n); err != nil {
		return err
	}
	return e.Close()
}

// plain makes a node block style, but for short lists of words, and quotes only what needs it.
func plain(n *yaml.Node) {
	n.Style = 0
	if n.Kind == yaml.SequenceNode && short(n) {
		n.Style = yaml.FlowStyle
	}
	if n.Kind == yaml.ScalarNode && n.Tag == "!!str" && looksOtherwise(n.Value) {
		n.Style = yaml.DoubleQuotedStyle
	}
	for _, c := range n.Content {
		plain(c)
	}
}

func short(n *yaml.Node) bool {
	length := 0
	for _, c := range n.Content {
		length += len(c.Value) + 2
		if c.Kind != yaml.ScalarNode {
			return false
		}
	}
	return length <= 80
}

// looksOtherwise reports whether a text would be read as something else without quotes.
func looksOtherwise(s string) bool {
	var v any
	if yaml.Unmarshal([]byte(s), &v) != nil {
		return true
	}
	text, ok := v.(string)
	return !ok || text != s || strings.TrimSpace(s) != s
}
