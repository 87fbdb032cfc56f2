package commitlog

import "time"

// FlushBounds are the upper bounds of the buckets of Flushes.
var FlushBounds = [...]time.Duration{
	100 * time.Microsecond, 250 * time.Microsecond, 500 * time.Microsecond,
	time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond, 10 * time.Millisecond, 25 * time.Millisecond,
	50 * time.Millisecond, 100 * time.Millisecond, 250 * time.Millisecond, time.Second, 10 * time.Second,
}

// Flushes counts the syncs of a directory's segments and how long they took.
type Flushes struct {
	Count   uint64
	Total   time.Duration
	Buckets [len(FlushBounds)]uint64 // of each bound, those that took no longer and longer than the bound before
}

func (f *Flushes) add(d time.Duration) {
	f.Count++
	f.Total += d
	for i, bound := range FlushBounds {
		if d <= bound {
			f.Buckets[i]++
			return
		}
	}
}

// Flushes returns how long syncs took since the directory was opened, those that
// failed included.
func (d *Dir) Flushes() Flushes { return d.flushes }
