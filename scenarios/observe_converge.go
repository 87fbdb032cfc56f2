package scenarios

import (
	"fmt"
	"slices"

	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
)

// pending says why the cluster has not converged, a sentence for each partition:
// after the heal in-sync sets are full again, and replicas equal.
func (o *clusterObserver) pending() []string {
	seen := map[place][]holding{}
	for _, w := range o.windows {
		if w.replicas == nil {
			continue
		}
		for _, v := range w.replicas() {
			seen[v.place] = append(seen[v.place], holding{w.id, v})
		}
	}
	var out []string
	for _, s := range o.order {
		if !s.exists {
			continue
		}
		if why := s.apart(seen[s.place]); why != "" {
			out = append(out, fmt.Sprintf("%s: %s", s.partition, why))
		}
	}
	return out
}

// A holding is a replica and who has it.
type holding struct {
	by kafka.NodeID
	replicaView
}

// apart says why one partition has not converged, or "".
func (s *subject) apart(replicas []holding) string {
	d := &s.decided
	if d.Leader == meta.NoLeader {
		return fmt.Sprintf("no leader, in-sync set %v of replicas %v", d.ISR, d.Replicas)
	}
	for _, id := range d.Replicas {
		if !has(d.ISR, id) {
			return fmt.Sprintf("in-sync set %v of replicas %v", d.ISR, d.Replicas)
		}
	}
	leader := find(replicas, d.Leader)
	if leader == nil || leader.Role != leadingReplica {
		return fmt.Sprintf("%d was elected and does not lead", d.Leader)
	}
	for _, id := range d.Replicas {
		if why := lags(find(replicas, id), leader); why != "" {
			return fmt.Sprintf("replica %d %s", id, why)
		}
	}
	return ""
}

func find(replicas []holding, id kafka.NodeID) *holding {
	if i := slices.IndexFunc(replicas, func(h holding) bool { return h.by == id }); i >= 0 {
		return &replicas[i]
	}
	return nil
}

// lags says in what a replica differs from its leader, or "".
func lags(h, leader *holding) string {
	switch {
	case h == nil || !h.open():
		return "is not served"
	case h.LogEnd != leader.LogEnd || h.HighWatermark != leader.LogEnd:
		return fmt.Sprintf("has high watermark %d, log end %d; the leader's log ends at %d", h.HighWatermark, h.LogEnd, leader.LogEnd)
	case h.LogStart != leader.LogStart:
		return fmt.Sprintf("has log start %d; the leader's is %d", h.LogStart, leader.LogStart)
	}
	return ""
}

// ended looks at everything a last time, when everybody has had time enough.
func (o *clusterObserver) ended() {
	o.everything()
	if o.told > 0 {
		return
	}
	for _, why := range o.pending() {
		o.complain(converges, "%s", why)
	}
	for _, s := range o.order {
		if s.exists {
			o.checkEqual(s)
		}
	}
}

// checkEqual: in the end all replicas of a partition have the same batches, from
// where the shortest begins.
func (o *clusterObserver) checkEqual(s *subject) {
	var first *logCopy
	var by kafka.NodeID
	for _, id := range s.decided.Replicas {
		w := o.window(id)
		if w == nil || w.copyOf == nil || w.damaged || o.promised.Compacts {
			continue
		}
		c := w.copyOf(s.place)
		switch {
		case c == nil:
			o.complain(converges, "%s: %d has no log", s.partition, id)
		case first == nil:
			first, by = c, id
		default:
			if at := differ(first, c); at != kafka.NoOffset {
				o.complain(logMatching, "%s: the logs of %d and %d differ at offset %d in the end", s.partition, by, id, at)
			}
		}
	}
}

// differ returns the first offset at which two logs differ, from where both have
// begun; NoOffset if there is none.
func differ(a, b *logCopy) kafka.Offset {
	from := max(a.start, b.start)
	i, j := a.from(from), b.from(from)
	for ; i < len(a.batches) && j < len(b.batches); i, j = i+1, j+1 {
		if x, y := &a.batches[i], &b.batches[j]; x.base != y.base || x.epoch != y.epoch || x.sum != y.sum {
			return min(x.base, y.base)
		}
	}
	if a.end() != b.end() {
		return min(a.end(), b.end())
	}
	return kafka.NoOffset
}

// from returns the index of the first batch that begins at an offset or behind it.
func (c *logCopy) from(offset kafka.Offset) int {
	i, _ := slices.BinarySearchFunc(c.batches, offset, func(b batch, at kafka.Offset) int { return int(b.base - at) })
	return i
}
