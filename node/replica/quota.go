package replica

import (
	"math"
	"math/bits"
	"time"

	"github.com/klammlog/klamm/node/kafka"
)

// Unlimited is the rate that is none.
const Unlimited int64 = math.MaxInt64

// credit is for how long what was not used can be used later.
const credit = time.Second

// A Quota says how much may be copied now, so that no more than a number of bytes a
// second is copied in the long run (KIP-73). The zero value lets nothing through.
//
// Invariants:
//
//  1. what is charged within any time while the rate stays the same is at most the
//     rate times that time and a second, and the last charge beyond what there was
//     room for
//  2. at the instant that Until names there is room, unless the rate is 0: what is
//     larger than all that a second allows goes through, and is paid for afterwards
type Quota struct {
	rate int64         // bytes a second
	paid kafka.Instant // when what was charged is paid for; credit ago at the earliest
}

// SetRate changes the rate. What was owed, and what could have been used, at another
// rate is forgotten.
func (q *Quota) SetRate(rate int64, now kafka.Instant) {
	if rate != q.rate {
		q.rate, q.paid = rate, now
	}
}

// Room returns how many bytes may be copied now; 0 says that the quota is used up,
// anything else that at least one batch may go, however large.
func (q *Quota) Room(now kafka.Instant) int64 {
	switch {
	case q.rate == Unlimited:
		return Unlimited
	case q.rate <= 0 || q.paid > now:
		return 0
	}
	hi, lo := bits.Mul64(uint64(min(now.Sub(q.paid), credit)), uint64(q.rate))
	n, _ := bits.Div64(hi, lo, uint64(time.Second)) // no overflow: credit is not more than a second
	return max(int64(n), 1)
}

// Until returns when there is room, now or later.
func (q *Quota) Until(now kafka.Instant) kafka.Instant {
	switch {
	case q.rate == Unlimited:
		return now
	case q.rate <= 0:
		return kafka.Never
	}
	return max(q.paid, now)
}

// Charge counts bytes for which there was room.
func (q *Quota) Charge(bytes int64, now kafka.Instant) {
	q.paid = max(q.paid, now-kafka.Instant(credit)).Add(q.cost(bytes))
}

// Spend counts bytes that nobody held back: they take from what can be used now, and
// leave no debt that others would have to pay.
func (q *Quota) Spend(bytes int64, now kafka.Instant) {
	if q.paid < now {
		before := q.paid
		q.Charge(bytes, now)
		q.paid = max(before, min(q.paid, now))
	}
}

// cost returns for how long bytes use up the rate, not less than that.
func (q *Quota) cost(bytes int64) time.Duration {
	if q.rate == Unlimited || q.rate <= 0 || bytes <= 0 {
		return 0
	}
	hi, lo := bits.Mul64(uint64(bytes), uint64(time.Second))
	if hi >= uint64(q.rate) {
		return math.MaxInt64
	}
	n, rest := bits.Div64(hi, lo, uint64(q.rate))
	if rest > 0 {
		n++
	}
	return time.Duration(min(n, math.MaxInt64))
}
