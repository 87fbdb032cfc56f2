package commitlog

import (
	"math"
	"time"

	"github.com/klammlog/klamm/node/kafka"
)

// Compaction removes records that a later record with the same key has made
// void. It reads what was written since the last pass, the dirty part, and
// remembers each key's last offset; then it writes all segments up to there anew
// with what is still valid. Three files decide, without a disk:
//
//   - this one, when a pass is due, how far it goes, and which segments
//     become one
//   - compaction_keys.go, what the dirty part says about keys and transactions
//   - compaction_clean.go, what of a batch is kept
//
// compaction_swap.go carries it out.

// A cleanable is what the plan of a pass needs to know of a segment that is not
// written to any more.
type cleanable struct {
	base, end kafka.Offset
	size      int64
	largest   kafka.Timestamp // of its records
	opening   kafka.Timestamp // of its first batch
}

// cleanRules are the settings that a plan follows.
type cleanRules struct {
	minRatio     float64 // min.cleanable.dirty.ratio
	minLag       time.Duration
	maxLag       time.Duration // 0: no limit
	segmentBytes int64
}

// A cleanPlan is one pass: everything from the log start is rewritten up to end,
// according to the keys found from dirty on.
type cleanPlan struct {
	dirty, end kafka.Offset
	clean      int64 // bytes of segments below dirty
	fresh      int64 // bytes of those from dirty to end
	overdue    bool  // max.compaction.lag.ms has passed
	due        bool
}

// planCleaning decides about a pass over the sealed segments ss. Records at
// stable and above, which may belong to an open transaction or be truncated yet,
// are left alone, and so is everything from the first segment on that has
// records younger than min.compaction.lag.ms.
func planCleaning(ss []cleanable, dirty, stable kafka.Offset, r cleanRules, now kafka.Timestamp) cleanPlan {
	p := cleanPlan{dirty: dirty, end: dirty}
	for _, s := range ss {
		if s.end <= dirty {
			p.clean += s.size
			continue
		}
		if s.end > stable || r.minLag > 0 && s.largest > now-milliseconds(r.minLag) {
			break
		}
		if p.fresh == 0 && r.maxLag > 0 && s.opening != kafka.NoTimestamp {
			p.overdue = now-s.opening > milliseconds(r.maxLag)
		}
		p.fresh += s.size
		p.end = s.end
	}
	p.due = p.fresh > 0 && (p.overdue || p.dirtierThan(r.minRatio))
	return p
}

func milliseconds(d time.Duration) kafka.Timestamp { return kafka.Timestamp(d.Milliseconds()) }

// dirtierThan compares the dirty part's share of the whole with a ratio, which
// counts in thousandths.
func (p cleanPlan) dirtierThan(ratio float64) bool {
	return p.fresh*1000 > int64(math.Round(ratio*1000))*(p.clean+p.fresh)
}

// groupForCleaning cuts the segments below end into runs, each of which becomes
// one segment: no larger than segment.bytes before anything is removed, and with
// offsets that fit 32 bits from its base. Segments that shrank in former passes
// so become fewer.
func groupForCleaning(ss []cleanable, end kafka.Offset, r cleanRules) [][]cleanable {
	var groups [][]cleanable
	var size int64
	for _, s := range ss {
		if s.base >= end {
			break
		}
		last := len(groups) - 1
		if last < 0 || size+s.size > r.segmentBytes || s.end-groups[last][0].base > math.MaxInt32 {
			groups = append(groups, nil)
			last, size = last+1, 0
		}
		groups[last] = append(groups[last], s)
		size += s.size
	}
	return groups
}
