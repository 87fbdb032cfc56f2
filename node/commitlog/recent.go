package commitlog

import (
	"sort"

	"github.com/klammlog/klamm/node/kafka"
)

// recent knows the last batches of the active segment by heart, so that reading
// the tail needs no index and no walk.
type recent struct {
	segment *segment
	heads   []head
}

// recentHeads is how many are remembered at least, once there were so many.
const recentHeads = 64

func (r *recent) reset(s *segment) { *r = recent{segment: s} }

func (r *recent) add(s *segment, h head) {
	if r.segment != s {
		r.reset(s)
	}
	if len(r.heads) == 2*recentHeads {
		r.heads = append(r.heads[:0], r.heads[recentHeads:]...)
	}
	r.heads = append(r.heads, h)
}

// from returns the remembered heads of a segment's batches that end behind an
// offset; ok is false if the first of them may not be remembered.
func (r *recent) from(s *segment, at kafka.Offset) (heads []head, ok bool) {
	if r.segment != s || len(r.heads) == 0 || at < r.heads[0].base {
		return nil, false
	}
	i := sort.Search(len(r.heads), func(i int) bool { return r.heads[i].end > at })
	return r.heads[i:], true
}
