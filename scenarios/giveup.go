package scenarios

import (
	"fmt"
	"time"

	"github.com/klammlog/klamm/node/kafka"
)

// A refusal is what clients are told about a partition again and again, since it
// last served one of them.
type refusal struct {
	since kafka.Instant
	why   error // nil: it serves, as far as anybody knows
	over  bool  // it is given up
}

// giveUpAfter is how long a partition must refuse everything, with every fault
// healed, before the clients of an unrestricted run give it up: longer than
// anything that passes by itself.
const giveUpAfter = 90 * time.Second

// refused notes that a client was told an error about a partition.
func (r *run) refused(partition int32, why error) {
	f := &r.refusals[partition]
	if f.why == nil {
		f.since = r.k.Now()
	}
	f.why = why
}

// served notes that a client read from a partition.
func (r *run) served(partition int32) { r.refusals[partition].why = nil }

// givenUp reports whether a partition is out of service for good, as it may be
// where faults destroy what was acknowledged: its clients are told so, clearly and
// until the end. Silence is no excuse.
func (r *run) givenUp(partition int32) bool {
	f := &r.refusals[partition]
	if !r.drawn.Unrestricted || !r.healed {
		return false
	}
	if why := r.allDown(); why != nil && f.why == nil {
		f.since, f.why = r.k.Now(), why // they say clearly why they do not start
	}
	if !f.over && f.why != nil {
		f.over = r.k.Now().Sub(max(f.since, r.healedAt)) > giveUpAfter
	}
	return f.over
}

// allDown returns why no broker runs, or nil.
func (r *run) allDown() error {
	for _, b := range r.brokers {
		if b.running != nil || b.lastExit == nil {
			return nil
		}
	}
	return r.brokers[0].lastExit
}

// allGivenUp reports whether every partition is given up.
func (r *run) allGivenUp() bool {
	for i := range r.refusals {
		if !r.givenUp(int32(i)) {
			return false
		}
	}
	return true
}

// abandoned says which partitions were given up, a line each.
func (r *run) abandoned() []string {
	var out []string
	for i := range r.refusals {
		if f := &r.refusals[i]; f.over {
			out = append(out, fmt.Sprintf("%s-%d is given up: %v", topicName, i, f.why))
		}
	}
	return out
}
