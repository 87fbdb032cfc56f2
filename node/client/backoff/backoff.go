// Package backoff decides how long to wait after a failure.
//
// The wait doubles with each failure in a row, up to a bound, and is up to a
// fifth shorter or longer than that, so that clients that failed together do not
// come back together (KIP-580).
package backoff

import (
	"math/rand/v2"
	"time"
)

// A Backoff is the bounds of the waits. Max holds also where Min is above it.
type Backoff struct {
	Min time.Duration // after the first failure
	Max time.Duration
}

// After returns how long to wait after the nth failure in a row, n from 1: at
// most Max, and at least four fifths of what doubling comes to.
func (b Backoff) After(n int, draws *rand.Rand) time.Duration {
	d := b.exact(n)
	least := d - d/5
	most := min(d+d/5, b.Max)
	return least + time.Duration(draws.Int64N(int64(most-least)+1))
}

// exact returns the wait without its spread.
func (b Backoff) exact(n int) time.Duration {
	d := max(b.Min, 0)
	for range n - 1 {
		if d >= b.Max {
			break
		}
		d *= 2
	}
	return max(min(d, b.Max), 0)
}
