package audit

import (
	"context"
	"fmt"
	"math"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Extent is how far the parts of a stored log reach.
type Extent struct {
	Entries     int64  // rows that have a position
	End         int64  // the greatest position plus one; 0 if there is none
	Unsequenced int64  // rows that wait for one
	Signed      int64  // the greatest size with a checkpoint; 0 if there is none
	Head        []byte // that checkpoint, which may be dropped for a greater one while we read on
}

// Source is what verifying reads of a store's transaction. It answers from the rows as they are
// and trusts none of them; it need not be one snapshot, since a log only grows.
type Source interface {
	Hashes

	// LogExtent answers by one statement, so that its parts belong together.
	LogExtent(ctx context.Context) (Extent, error)
	// LogEntries returns the entries with from <= position < to, ordered by position and id, but
	// at most to-from+1 of them: one too many shows a position held twice.
	LogEntries(ctx context.Context, from, to int64) ([]Entry, error)
	// LogHashRange returns the tree's hashes with from <= index < to, by index.
	LogHashRange(ctx context.Context, from, to int64) (map[int64]tlog.Hash, error)
	// LogCheckpoints returns the signed checkpoints with from < size <= to, by size.
	LogCheckpoints(ctx context.Context, from, to int64) (map[int64][]byte, error)
	// LogPrunings returns the events of kind Pruned, sequenced or not.
	LogPrunings(ctx context.Context) ([]Event, error)
}

// Options of Verify.
type Options struct {
	// Checkpoint is a signed checkpoint kept elsewhere. Only against one is a log known to be
	// whole that somebody cut, or cut and grew again, together with its own checkpoints.
	Checkpoint []byte
}

// Harm says in what way an entry is not as it was signed.
type Harm string

// The harms, as far as they can be told apart from what is left.
const (
	Changed   Harm = "changed"   // the entry's body, or the hash beside it
	Missing   Harm = "missing"   // no entry has the position
	Removed   Harm = "removed"   // taken out, and the later ones moved up
	Inserted  Harm = "inserted"  // not one of ours, whatever became of the later ones
	Swapped   Harm = "swapped"   // changed places with another
	Truncated Harm = "truncated" // the end is cut off
	Unsigned  Harm = "unsigned"  // put in without a checkpoint
	Emptied   Harm = "emptied"   // body gone, and no signed pruning covers it
	Personal  Harm = "personal"  // personal data are not those committed to
	Tree      Harm = "tree"      // the tree's stored hashes do not follow from the entries
	Rewritten Harm = "rewritten" // entries, hashes and tree agree, but not with what was signed
	Signature Harm = "signature" // a stored checkpoint is not one of ours
)

// Bad is the first place where a log is not what was signed. First and Last are positions; they
// differ where the damage cannot be told more closely.
type Bad struct {
	Harm  Harm   `json:"harm"`
	First int64  `json:"first"`
	Last  int64  `json:"last"`
	Text  string `json:"text"` // one sentence
}

// Report is what Verify found.
type Report struct {
	Entries     int64      `json:"entries"`     // found good, pruned ones included
	Pruned      int64      `json:"pruned"`      // of these, known by their hash only
	Erased      int64      `json:"erased"`      // of these, with personal data erased
	Unsequenced int64      `json:"unsequenced"` // waiting to be put into the log, not examined
	Checkpoints int64      `json:"checkpoints"` // compared, an outside one included
	Head        Checkpoint `json:"head"`        // the greatest of its own checkpoints that was compared
	Bad         *Bad       `json:"bad,omitempty"`
}

// Verify walks the whole log and compares every entry, every stored hash and every checkpoint
// with what it computes itself. It stops at the first bad entry and names it in the report. Its
// memory is bounded by a page, whatever the log holds. The error tells of faults in reading, and
// is ErrCheckpoint where the outside checkpoint is not one; a damaged log is no error.
func Verify(ctx context.Context, tx Source, known note.Verifiers, o Options) (Report, error) {
	w := walk{tx: tx, known: known, outside: -1}
	if o.Checkpoint != nil {
		head, err := Open(o.Checkpoint, known)
		if err != nil {
			return Report{}, err
		}
		w.outside, w.outsideHead = head.Size, head
	}
	err := w.run(ctx)
	return w.report, err
}

// page is how many positions are read at once.
const page = 1024

type walk struct {
	tx     Source
	known  note.Verifiers
	report Report
	covers covers
	extent Extent

	edge    frontier // of the entries found good
	fits    int64    // the size of the last checkpoint that fitted
	scratch []tlog.Hash

	outside     int64 // the outside checkpoint's size, -1 if there is none
	outsideHead Checkpoint
}

// bad notes the first damage; the walk ends there.
func (w *walk) bad(h Harm, first, last int64, format string, args ...any) {
	w.report.Bad = &Bad{Harm: h, First: first, Last: last, Text: fmt.Sprintf(format, args...)}
}

func (w *walk) run(ctx context.Context) error {
	var err error
	if w.extent, err = w.tx.LogExtent(ctx); err != nil {
		return fmt.Errorf("read extent: %w", err)
	}
	w.report.Unsequenced = w.extent.Unsequenced
	if err := w.empty(ctx); err != nil {
		return err
	}
	for from := int64(0); w.report.Bad == nil && from < w.extent.End; from += page {
		if err := w.page(ctx, from, min(from+page, w.extent.End)); err != nil {
			return err
		}
	}
	if w.report.Bad != nil {
		return nil
	}
	return w.end(ctx)
}

// empty compares the checkpoints of nothing, which say little, and finds those of less.
func (w *walk) empty(ctx context.Context) error {
	signed, err := w.tx.LogCheckpoints(ctx, math.MinInt64, 0)
	if err != nil {
		return fmt.Errorf("read checkpoints: %w", err)
	}
	for size := range signed {
		if size < 0 {
			w.bad(Signature, 0, 0, "A checkpoint of the impossible size %d is stored.", size)
			return nil
		}
	}
	w.compare(signed)
	return nil
}

func (w *walk) page(ctx context.Context, from, to int64) error {
	entries, err := w.tx.LogEntries(ctx, from, to)
	if err != nil {
		return fmt.Errorf("read entries: %w", err)
	}
	stored, err := w.tx.LogHashRange(ctx, tlog.StoredHashCount(from), tlog.StoredHashCount(to))
	if err != nil {
		return fmt.Errorf("read hashes: %w", err)
	}
	signed, err := w.tx.LogCheckpoints(ctx, from, to)
	if err != nil {
		return fmt.Errorf("read checkpoints: %w", err)
	}
	for i := range entries {
		if !w.inPlace(&entries[i]) {
			return nil
		}
		if good, err := w.entry(ctx, &entries[i], stored); err != nil || !good {
			return err
		}
		if w.compare(signed); w.report.Bad != nil {
			return nil
		}
	}
	if w.edge.size < to {
		w.missing(to)
	}
	return nil
}

// inPlace reports whether e holds the next position, within what was signed.
func (w *walk) inPlace(e *Entry) bool {
	next := w.edge.size
	switch {
	case e.Position > next:
		w.missing(e.Position)
	case e.Position < next:
		w.bad(Inserted, e.Position, e.Position, "Two entries hold position %d.", e.Position)
	case next >= w.extent.Signed:
		w.bad(Unsigned, next, w.extent.End-1, "From entry %d on the log is under no checkpoint of its own.", next)
	default:
		return true
	}
	return false
}

func (w *walk) missing(before int64) {
	next := w.edge.size
	if before-next == 1 {
		w.bad(Missing, next, next, "Entry %d is missing.", next)
		return
	}
	w.bad(Missing, next, before-1, "Entries %d to %d are missing.", next, before-1)
}

// entry compares one entry with its own hash, with the tree and with its commitment, and takes
// it into the computed tree.
func (w *walk) entry(ctx context.Context, e *Entry, stored map[int64]tlog.Hash) (bool, error) {
	p := e.Position
	index := tlog.StoredHashIndex(0, p)
	logged, ok := stored[index]
	own := hashOf(e)
	switch {
	case ok && own != logged:
		return false, w.explain(ctx, p, own, logged)
	case own != e.Hash:
		w.bad(Changed, p, p, "The hash kept beside entry %d is not its own.", p)
		return false, nil
	case !ok:
		w.bad(Tree, p, p, "The tree has no hash for entry %d.", p)
		return false, nil
	}
	w.scratch = w.edge.add(logged, w.scratch[:0])
	for i, h := range w.scratch {
		if stored[index+int64(i)] != h {
			first := (p + 1) - 1<<i
			w.bad(Tree, first, p, "The tree's hash over entries %d to %d does not follow from them.", first, p)
			return false, nil
		}
	}
	if e.Pruned {
		return w.pruned(ctx, e)
	}
	if !CheckCommitment(e.Salt, e.Commitment, e.Personal) {
		w.bad(Personal, p, p, "The personal data of entry %d are not those it was logged with.", p)
		return false, nil
	}
	if len(e.Commitment) > 0 && len(e.Salt) == 0 {
		w.report.Erased++
	}
	w.report.Entries++
	return true, nil
}

// pruned asks why an entry has no body.
func (w *walk) pruned(ctx context.Context, e *Entry) (bool, error) {
	p := e.Position
	if !bodiless(e) {
		w.bad(Changed, p, p, "Entry %d is marked as pruned and has a body.", p)
		return false, nil
	}
	if !w.covers.has(p) { // it may have been pruned since the prunings were read
		if err := w.readCovers(ctx); err != nil {
			return false, err
		}
	}
	if !w.covers.has(p) {
		w.bad(Emptied, p, p, "The body of entry %d is gone and no signed pruning covers it.", p)
		return false, nil
	}
	w.report.Pruned++
	w.report.Entries++
	return true, nil
}

func (w *walk) readCovers(ctx context.Context) error {
	prunings, err := w.tx.LogPrunings(ctx)
	if err != nil {
		return fmt.Errorf("read prunings: %w", err)
	}
	w.covers = coversOf(prunings, w.known)
	return nil
}

// hashOf is what an entry's leaf hash must be, judged by its body while it has one.
func hashOf(e *Entry) tlog.Hash {
	if e.Pruned {
		return e.Hash
	}
	return LeafHash(e.Event, e.Commitment)
}

func bodiless(e *Entry) bool {
	return len(e.Personal) == 0 && len(e.Salt) == 0 && len(e.Commitment) == 0 &&
		e.At.IsZero() && LeafHash(e.Event, nil) == LeafHash(Event{ID: e.ID}, nil)
}

// compare holds the tree as computed so far against the checkpoints of its size.
func (w *walk) compare(signed map[int64][]byte) {
	size := w.edge.size
	msg, ok := signed[size]
	if size > 0 && size == w.extent.Signed {
		msg, ok = w.extent.Head, true
	}
	if ok {
		head, err := Open(msg, w.known)
		switch {
		case err != nil || head.Size != size:
			w.bad(Signature, max(size-1, 0), max(size-1, 0), notOurs, size)
			return
		case head.Root != w.edge.root():
			w.bad(Rewritten, w.fits, max(size-1, 0), "From entry %d on, the log is not the one that the checkpoint of size %d signed.", w.fits, size)
			return
		}
		w.fits = size
		w.report.Checkpoints++
		w.report.Head = head
	}
	if size != w.outside {
		return
	}
	if w.outsideHead.Root != w.edge.root() {
		w.bad(Rewritten, 0, max(size-1, 0), "The first %d entries are not those that the outside checkpoint signed.", size)
		return
	}
	w.report.Checkpoints++
}

// end finds what is missing behind the last entry, and what lies outside the positions walked.
func (w *walk) end(ctx context.Context) error {
	end := w.edge.size
	switch {
	case w.extent.Signed > end:
		return w.cut(ctx)
	case w.outside > end:
		w.bad(Truncated, end, w.outside-1, "The log ends before entry %d; the outside checkpoint signed %d entries.", end, w.outside)
	case w.extent.Entries > end:
		w.bad(Inserted, 0, 0, "%d entries hold positions below 0.", w.extent.Entries-end)
	}
	return nil
}

const notOurs = "The stored checkpoint of size %d is not one that this log's key signed."
