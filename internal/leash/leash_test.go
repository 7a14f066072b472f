package leash_test

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/countersign-id/countersign/internal/leash"
)

// echo answers, and leaves a mark when its input ends.
const echo = `while read -r word; do echo "heard $word"; done; echo done >"$1"`

func TestScriptAnswersAndCleansUp(t *testing.T) {
	t.Parallel()
	mark := filepath.Join(t.TempDir(), "mark")
	l, err := leash.Start(nil, echo, mark)
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{"one", "two"} {
		got, err := l.Ask(word)
		if err != nil || got != "heard "+word {
			t.Errorf("got %q, %v; want %q", got, err, "heard "+word)
		}
	}
	if err := l.Release(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(mark); err != nil {
		t.Errorf("released before the script had ended: %v", err)
	}
}

func TestDroppedLeashHolds(t *testing.T) {
	t.Parallel()
	mark := filepath.Join(t.TempDir(), "mark")
	l, err := leash.Start(nil, echo, mark)
	if err != nil {
		t.Fatal(err)
	}
	runtime.AddCleanup(l, func(int) { t.Error("the leash was collected") }, 0)
	l = nil
	for range 5 {
		runtime.GC()
		time.Sleep(10 * time.Millisecond)
	}
	if _, err := os.Stat(mark); err == nil {
		t.Error("the script ended although its owner lives")
	}
}
