package scenarios

import (
	"slices"

	"github.com/klammlog/klamm/node/kafka"
)

// ended looks at everything a last time, when the cluster has converged.
func (o *clusterObserver) ended() {
	o.everything()
	if o.told > 0 {
		return
	}
	for _, s := range o.order {
		if s.exists {
			o.checkEqual(s)
			o.checkKept(s)
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
		if w == nil || w.copyOf == nil || w.damaged || o.compacts(s) {
			continue
		}
		c := w.inTheEnd(s.place)
		if first == nil {
			first, by = c, id
		} else if at := differ(first, c); at != kafka.NoOffset {
			o.complain(logMatching, "%s: the logs of %d and %d differ at offset %d in the end", s.partition, by, id, at)
		}
	}
}

// inTheEnd returns what lies on a node's disk of a partition. Where everything was
// deleted no file says where the log begins: only the node knows (docs/bugs/0093.md).
func (w *window) inTheEnd(p place) *logCopy {
	c := w.copy(p)
	if len(c.batches) > 0 || w.closeup == nil {
		return c
	}
	if v, ok := w.closeup(p); ok && v.LogStart == v.LogEnd {
		return &logCopy{start: v.LogStart}
	}
	return c
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
