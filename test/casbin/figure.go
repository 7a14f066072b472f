package main

import (
	"runtime"
	"slices"
	"syscall"
	"time"
)

// figure is what one operation takes.
type figure struct {
	wall, cpu     float64 // nanoseconds; cpu is of the whole process, the garbage collector's among it
	bytes, allocs float64
	kept          bool // bytes are what stays in memory, and nothing else was measured
	scaled        bool // measured on a part, and multiplied
}

func (f figure) times(n float64) figure {
	return figure{f.wall * n, f.cpu * n, f.bytes * n, f.allocs * n, f.kept, true}
}

// rounds is how often a figure is measured: the median counts, because the machine has neighbours.
const rounds = 5

// measure runs do for about limit. What takes longer than that runs once.
func measure(do func(i int), limit time.Duration) figure {
	n, took := 1, time.Duration(0)
	first := once(do, 0, 1)
	for took = time.Duration(first.wall); took < limit/(4*rounds); {
		n *= 2
		took = time.Duration(once(do, 0, n).wall * float64(n))
	}
	if took >= limit {
		return first
	}
	n = max(1, int(float64(n)*float64(limit/rounds)/float64(took)))
	var all []figure
	for r := range rounds {
		runtime.GC()
		all = append(all, once(do, r*n, n))
	}
	slices.SortFunc(all, func(a, b figure) int { return int(a.cpu - b.cpu) })
	return all[len(all)/2]
}

// once measures n operations, from the i-th on.
func once(do func(i int), i, n int) figure {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	used, began := processorTime(), time.Now()
	for k := range n {
		do(i + k)
	}
	wall, cpu := time.Since(began), processorTime()-used
	runtime.ReadMemStats(&after)
	per := func(v float64) float64 { return v / float64(n) }
	return figure{
		wall: per(float64(wall)), cpu: per(float64(cpu)),
		bytes: per(float64(after.TotalAlloc - before.TotalAlloc)), allocs: per(float64(after.Mallocs - before.Mallocs)),
	}
}

// heap returns what is in use after a collection.
func heap() float64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

// processorTime is what this process has used, in user and kernel mode.
func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
