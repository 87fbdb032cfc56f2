package osenv

import (
	"math/bits"
	"time"
)

// Holds counts how long the baton was held, in buckets that are a quarter of an
// octave wide.
type Holds struct {
	Count   uint64
	Total   time.Duration
	Longest time.Duration
	buckets [holdBuckets]uint64
}

// Up to 2^(160/4) ns, 18 minutes.
const holdBuckets = 160

func (s *Holds) add(d time.Duration) {
	s.Count++
	s.Total += d
	s.Longest = max(s.Longest, d)
	s.buckets[holdBucket(d)]++
}

// holdBucket numbers the buckets: 0 to 3 ns have their own, then four share an
// octave, told apart by the two bits after the highest.
func holdBucket(d time.Duration) int {
	n := uint64(max(0, d))
	if n < 4 {
		return int(n)
	}
	octave := bits.Len64(n) - 1
	return min(4*(octave-1)+int(n>>(octave-2)&3), holdBuckets-1)
}

// holdBound returns the first duration beyond a bucket.
func holdBound(bucket int) time.Duration {
	if bucket < 4 {
		return time.Duration(bucket + 1)
	}
	octave := bucket/4 + 1
	return time.Duration(5+bucket%4) << (octave - 2)
}

// Quantile returns a duration that so many thousandths of the holds did not
// reach: at most a quarter above the true one. Quantile(999) is p99.9.
func (s *Holds) Quantile(thousandths int) time.Duration {
	want := (s.Count*uint64(thousandths) + 999) / 1000
	seen := uint64(0)
	for i, n := range s.buckets {
		seen += n
		if n > 0 && seen >= want {
			return min(holdBound(i), s.Longest+1)
		}
	}
	return 0
}
