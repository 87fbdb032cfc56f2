package disksim

import (
	"math/rand/v2"
	"time"
)

// Times say how long operations take.
type Times struct {
	Read, Write, Sync, Meta Latency // Meta: opening, renaming, and the like
}

// A Latency is drawn per operation: Base, plus up to Spread, plus PerPage for
// each page; and once in TailOneIn operations up to Tail on top.
type Latency struct {
	Base, Spread, PerPage time.Duration
	TailOneIn             uint32 // 0: never
	Tail                  time.Duration
}

func (l *Latency) draw(r *rand.Rand, pages int64) time.Duration {
	d := l.Base + l.PerPage*time.Duration(pages)
	if l.Spread <= 0 && l.TailOneIn == 0 {
		return d
	}
	x := r.Uint64()
	if l.Spread > 0 {
		d += time.Duration((x >> 32) * uint64(l.Spread) >> 32)
	}
	if l.TailOneIn > 0 && uint32(x)%l.TailOneIn == 0 {
		d += time.Duration(r.Int64N(int64(l.Tail) + 1))
	}
	return d
}

// NVMe returns the times of a fast solid-state disk with a long tail.
func NVMe() Times {
	us, ms := time.Microsecond, time.Millisecond
	return Times{
		Read:  Latency{Base: 20 * us, Spread: 60 * us, PerPage: us, TailOneIn: 1000, Tail: 5 * ms},
		Write: Latency{Base: 3 * us, Spread: 5 * us, PerPage: us / 2, TailOneIn: 5000, Tail: 5 * ms},
		Sync:  Latency{Base: 60 * us, Spread: 100 * us, TailOneIn: 500, Tail: 20 * ms},
		Meta:  Latency{Base: 10 * us, Spread: 40 * us, TailOneIn: 1000, Tail: 5 * ms},
	}
}

// Spinning returns the times of a hard disk behind a page cache.
func Spinning() Times {
	us, ms := time.Microsecond, time.Millisecond
	return Times{
		Read:  Latency{Base: 10 * us, Spread: 12 * ms, PerPage: 20 * us, TailOneIn: 200, Tail: 80 * ms},
		Write: Latency{Base: 3 * us, Spread: 5 * us, PerPage: us, TailOneIn: 500, Tail: 100 * ms},
		Sync:  Latency{Base: 5 * ms, Spread: 15 * ms, TailOneIn: 100, Tail: 300 * ms},
		Meta:  Latency{Base: 10 * us, Spread: 4 * ms, TailOneIn: 500, Tail: 80 * ms},
	}
}

// DrawOptions draws a disk: mostly fast, sometimes slow, sometimes without any
// latency, so that the order of things is all that differs.
func DrawOptions(r *rand.Rand) Options {
	var o Options
	switch r.IntN(4) {
	case 0:
	case 1:
		o.Times = Spinning()
	default:
		o.Times = NVMe()
	}
	o.WriteBackEvery = time.Duration(1+r.IntN(30)) * time.Second
	return o
}
