package store

import (
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"time"
)

// micros is a time as stored: microseconds since 1970, null for the zero time.
type micros int64

func stamp(t time.Time) micros {
	if t.IsZero() {
		return 0
	}
	return micros(t.UnixMicro())
}

func (m micros) time() time.Time {
	if m == 0 {
		return time.Time{}
	}
	return time.UnixMicro(int64(m)).UTC()
}

// Value is the column's value.
func (m micros) Value() (driver.Value, error) {
	if m == 0 {
		return nil, nil
	}
	return int64(m), nil
}

// Scan reads the column.
func (m *micros) Scan(v any) error {
	switch v := v.(type) {
	case nil:
		*m = 0
	case int64:
		*m = micros(v)
	default:
		return fmt.Errorf("store: %T where a time belongs", v)
	}
	return nil
}

// flag is a boolean as stored: 0 or 1.
type flag bool

// Value is the column's value.
func (f flag) Value() (driver.Value, error) {
	if f {
		return int64(1), nil
	}
	return int64(0), nil
}

// Scan reads the column.
func (f *flag) Scan(v any) error {
	n, ok := v.(int64)
	if !ok {
		return fmt.Errorf("store: %T where a flag belongs", v)
	}
	*f = n != 0
	return nil
}

// list is a list of strings as JSON. Empty ones are read back as nil.
type list []string

// Value is the column's value.
func (l list) Value() (driver.Value, error) {
	if len(l) == 0 {
		return "[]", nil
	}
	b, err := json.Marshal([]string(l))
	return string(b), err
}

// Scan reads the column.
func (l *list) Scan(v any) error {
	var s []string
	if err := scanJSON(v, &s); err != nil {
		return err
	}
	*l = nil
	if len(s) > 0 {
		*l = s
	}
	return nil
}

// doc is a value as JSON.
type doc[T any] struct{ v T }

// Value is the column's value.
func (d doc[T]) Value() (driver.Value, error) {
	b, err := json.Marshal(d.v)
	return string(b), err
}

// Scan reads the column.
func (d *doc[T]) Scan(v any) error {
	var t T
	err := scanJSON(v, &t)
	d.v = t
	return err
}

func scanJSON(v, into any) error {
	switch v := v.(type) {
	case string:
		return json.Unmarshal([]byte(v), into)
	case []byte:
		return json.Unmarshal(v, into)
	}
	return fmt.Errorf("store: %T where JSON belongs", v)
}
