package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// row is a line of the record.
type row struct {
	campaign, what        string
	tries                 int
	verdict, code, commit string
	date                  string
}

func (r row) String() string {
	return fmt.Sprintf("| %s | %s | %d | %s | `%s` | `%s` | %s |", r.campaign, r.what, r.tries, r.verdict, r.code, r.commit, r.date)
}

const heading = `| campaign | what | tries | verdict | code | commit | last run |
|---|---|---|---|---|---|---|
`

const introduction = `# Reliability

What the fault campaigns counted: ` + "`make fault CAMPAIGN=…`" + ` adds to this table. *Code* names the state of the code that the campaign tests; the
tries of several runs add up while it stays the same.

`

// note adds r to the table in file, to the line of the same campaign, code and verdict if there is one:
// its count is added to what stands there, or takes its place where it is the whole.
func note(file string, r row, whole bool) error {
	text, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		text, err = []byte(introduction+heading), nil
	}
	if err != nil {
		return err
	}
	before, table, found := strings.Cut(string(text), heading)
	if !found {
		before, table = string(text)+"\n", ""
	}

	// The rows end where a line is none; what stands below is left alone.
	var rows []string
	for strings.HasPrefix(table, "|") {
		line, rest, _ := strings.Cut(table, "\n")
		rows, table = append(rows, line), rest
	}
	merged := false
	for i, line := range rows {
		cells := strings.Split(line, " | ")
		if len(cells) != 7 || strings.TrimPrefix(cells[0], "| ") != r.campaign || cells[3] != r.verdict || cells[4] != "`"+r.code+"`" {
			continue
		}
		earlier, err := strconv.Atoi(cells[2])
		if err != nil {
			return fmt.Errorf("%s: %q is no count", file, cells[2])
		}
		sum := r
		if !whole {
			sum.tries += earlier
		}
		rows[i], merged = sum.String(), true
	}
	if !merged {
		rows = append(rows, r.String())
	}
	return os.WriteFile(file, []byte(before+heading+strings.Join(rows, "\n")+"\n"+table), 0o644)
}
