package main

import (
	"errors"
	"fmt"
	"runtime"
	"time"
)

// shape is a policy with people under it, and what both engines are asked about it.
type shape struct {
	name         string
	ours, theirs func() engine // loads it
	rows         []row
}

// row is one question, its aim for us, and a remark on what casbin does for it.
type row struct {
	name string
	aim  aim
	note string
}

// aim is what an operation of ours may take at most: a time, or bytes. Zero is no aim.
type aim struct {
	time  time.Duration
	bytes float64
}

// engine is one of the two with a shape loaded: the questions it knows, by the name of the row.
type engine map[string]question

// question is something asked again and again, each time about another person, role or rule.
type question struct {
	do    func(i int)
	say   func(i int) string // the answer, to be compared; nil where there is none
	warm  int                // so many are asked before anything is timed
	part  float64            // do does one of so many parts, and the figure is for all of them; 0 is 1
	fixed *figure            // was measured while loading
}

// warmed is q asked before anything is timed.
func (q question) warmed(n int) question {
	q.warm = n
	return q
}

// ask makes a question of its answers.
func ask[T any](f func(i int) T) question {
	return question{do: func(i int) { f(i) }, say: func(i int) string { return fmt.Sprint(f(i)) }}
}

// result is a row with its figures; theirs is nil where casbin was not asked.
type result struct {
	row
	ours, theirs *figure
}

// samples is how many answers of each question are compared.
const samples = 24

var errDiffer = errors.New("the engines do not agree")

// agree compares the answers of the two and reports how many it compared.
func agree(ours, theirs engine) (int, error) {
	n := 0
	for name, q := range ours {
		other, ok := theirs[name]
		if !ok || q.say == nil || other.say == nil {
			continue
		}
		for i := range samples {
			if a, b := q.say(i), other.say(i); a != b {
				return n, fmt.Errorf("%s, question %d: %w: we say %s, casbin says %s", name, i, errDiffer, a, b)
			}
			n++
		}
	}
	return n, nil
}

// measure compares answers and then times each engine alone.
func (s *shape) measure(limit time.Duration) ([]result, error) {
	if s.theirs != nil {
		if _, err := agree(s.ours(), s.theirs()); err != nil {
			return nil, err
		}
	}
	out := make([]result, len(s.rows))
	for i, r := range s.rows {
		out[i].row = r
	}
	runtime.GC()
	e := s.ours()
	for i := range out {
		out[i].ours = e.time(out[i].name, limit)
	}
	if s.theirs == nil {
		return out, nil
	}
	e = nil
	runtime.GC()
	e = s.theirs()
	for i := range out {
		out[i].theirs = e.time(out[i].name, limit)
	}
	return out, nil
}

func (e engine) time(name string, limit time.Duration) *figure {
	q, ok := e[name]
	if !ok {
		return nil
	}
	if q.fixed != nil {
		return q.fixed
	}
	for i := range q.warm {
		q.do(i)
	}
	f := measure(q.do, limit)
	if q.part != 0 {
		f = f.times(q.part)
	}
	return &f
}
