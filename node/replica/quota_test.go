package replica

import (
	"math"
	"math/big"
	"testing"
	"time"

	"github.com/klammlog/klamm/node/kafka"
	"pgregory.net/rapid"
)

// A charge is what went through a quota at an instant, and what there was room for.
type charge struct {
	at          kafka.Instant
	bytes, room int64
}

// allowed is invariant 1, word for word.
func allowed(rate int64, charges []charge) bool {
	for i := range charges {
		sum := big.NewInt(0)
		for j := i; j < len(charges); j++ {
			sum.Add(sum, big.NewInt(charges[j].bytes))
			over := max(charges[j].bytes-charges[j].room, 0) + 1 // and what is not a whole byte
			nanos := charges[j].at.Sub(charges[i].at) + time.Second
			limit := big.NewInt(int64(nanos))
			limit.Mul(limit, big.NewInt(rate)).Div(limit, big.NewInt(int64(time.Second)))
			if sum.Cmp(limit.Add(limit, big.NewInt(over))) > 0 {
				return false
			}
		}
	}
	return true
}

// Whoever takes what there is room for, and now and then a batch that is larger, stays
// within the rate; and when the quota says that there is room there is.
func TestQuotaKeepsTheRateAndLetsBatchesThrough(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rate := rapid.OneOf(rapid.Int64Range(1, 100), rapid.Int64Range(1, 1<<20), rapid.Just(Unlimited-1)).Draw(t, "rate")
		now := kafka.Instant(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "begin"))
		var q Quota
		q.SetRate(rate, now)
		var charges []charge
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(3*time.Second)).Draw(t, "pause")))
			if rapid.Bool().Draw(t, "spend") {
				before := q.Until(now)
				q.Spend(rapid.Int64Range(0, 1<<20).Draw(t, "spent"), now)
				if q.Until(now) != before {
					t.Fatalf("what nobody held back makes others wait until %v, not %v", q.Until(now), before)
				}
			}
			if q.Room(now) == 0 {
				until := q.Until(now)
				if until <= now || q.Room(until-1) != 0 {
					t.Fatalf("no room at %v, and until %v", now, until)
				}
				if until > now.Add(time.Hour) {
					return
				}
				now = until
			}
			room := q.Room(now)
			if room == 0 {
				t.Fatalf("no room at %v, which is when there is some", now)
			}
			bytes := min(rapid.Int64Range(1, 1<<21).Draw(t, "bytes"), room)
			if rapid.IntRange(0, 4).Draw(t, "oversize") == 0 {
				bytes = rapid.Int64Range(1, 1<<20).Draw(t, "batch")
			}
			q.Charge(bytes, now)
			charges = append(charges, charge{now, bytes, room})
		}
		if !allowed(rate, charges) {
			t.Fatalf("at %d bytes a second: %v", rate, charges)
		}
	})
}

// A quota that is always used brings what it promises, and not less.
func TestQuotaIsUsedInFull(t *testing.T) {
	var q Quota
	q.SetRate(1000, 0)
	total := int64(0)
	for now := kafka.Instant(0); now < kafka.Instant(time.Minute); now = now.Add(7 * time.Millisecond) {
		if room := q.Room(now); room > 0 {
			n := min(room, 100)
			q.Charge(n, now)
			total += n
		}
	}
	if total < 59_000 || total > 61_000 {
		t.Errorf("%d bytes in a minute, at 1000 a second", total)
	}
}

func TestQuotaAtItsEnds(t *testing.T) {
	now := kafka.Instant(time.Minute)
	var q Quota
	if q.Room(now) != 0 || q.Until(now) != kafka.Never {
		t.Errorf("without a rate: room %d until %v", q.Room(now), q.Until(now))
	}
	q.SetRate(Unlimited, now)
	q.Charge(math.MaxInt64, now)
	if q.Room(now) != Unlimited || q.Until(now) != now {
		t.Errorf("without limit: room %d until %v", q.Room(now), q.Until(now))
	}
	q.SetRate(1, now)
	q.Charge(math.MaxInt64, now)
	if q.Room(now) != 0 || q.Until(now) != kafka.Never {
		t.Errorf("with a debt for ever: room %d until %v", q.Room(now), q.Until(now))
	}
	q.SetRate(1000, now)
	if q.Room(now) == 0 {
		t.Error("another rate does not forgive what was owed")
	}
	q.Charge(10, now)
	q.Charge(0, now)
	if got := q.Until(now); got != now.Add(10*time.Millisecond) {
		t.Errorf("10 bytes at 1000 a second: until %v", got)
	}
	later := now.Add(time.Hour)
	if got := q.Room(later); got != 1000 {
		t.Errorf("room for %d after an hour, want a second's worth", got)
	}
	q.Spend(1_000_000, later)
	if got := q.Room(later); got != 1 {
		t.Errorf("room for %d after what nobody held back, want a batch", got)
	}
}
