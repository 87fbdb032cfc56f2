package delivery

import (
	"fmt"
	"maps"
	"slices"
)

// deliveries counts how often each record was processed, and compares it with what
// the group's mode promises: at most once, at least once, exactly once.
func (j *judgement) deliveries() {
	times := make([]map[Offset]int, len(j.h.Records))
	for p := range times {
		times[p] = map[Offset]int{}
	}
	for _, o := range j.g.Outputs {
		if int(o.Partition) < len(times) && !j.h.gone(o.Partition, o.Offset) {
			times[o.Partition][o.Offset]++
		}
	}
	promised := [...]Guarantee{CommitFirst: AtMostOnce, ProcessFirst: AtLeastOnce, WithOutput: ExactlyOnce}[j.g.Mode]
	for p, offsets := range j.h.Records {
		if !j.owes(int32(p)) {
			continue
		}
		for _, at := range offsets {
			j.judged(promised)
			n := times[p][at]
			delete(times[p], at)
			j.count(int32(p), at, n)
			switch {
			case n == 0:
				j.missed(int32(p), at)
			case n > 1:
				j.repeated(int32(p), at, n)
			}
		}
	}
	j.r.Missed, j.r.Repeated = j.r.Missed+j.n.Missed, j.r.Repeated+j.n.Repeated
	for p, rest := range times {
		if len(rest) > 0 && j.owes(int32(p)) {
			at := slices.Sorted(maps.Keys(rest))[0]
			j.violated(GroupBroadcast, nil, "offset %d of %s was processed, and the topic has no such record", at, j.name(int32(p)))
		}
	}
}

// count counts a record that was processed n times.
func (j *judgement) count(p int32, at Offset, n int) {
	c := &j.n
	c.Records++
	switch {
	case n == 0:
		if c.Missed++; c.Missed == 1 {
			c.Miss = fmt.Sprintf("offset %d of %s was never processed", at, j.name(p))
		}
	case n > 1:
		if c.Repeated++; c.Repeated == 1 {
			c.Repeat = fmt.Sprintf("offset %d of %s was processed %d times", at, j.name(p), n)
		}
	}
}

// owes reports whether the group is to read a partition.
func (j *judgement) owes(p int32) bool {
	return j.g.Partitions == nil || slices.Contains(j.g.Partitions, p)
}

// broadcast demands that a record which one group processed every other did too that
// is to read it, but for groups that may miss some.
func broadcast(h *History, r *Report) {
	if len(h.Groups) < 2 {
		return
	}
	type record struct {
		partition int32
		offset    Offset
	}
	by := make([]map[record]bool, len(h.Groups))
	for i := range h.Groups {
		by[i] = map[record]bool{}
		for _, o := range h.Groups[i].Outputs {
			by[i][record{o.Partition, o.Offset}] = true
		}
	}
	for i := range h.Groups {
		j := judgement{h: h, g: &h.Groups[i], r: r}
		if j.g.Mode == CommitFirst {
			continue
		}
		for k := range h.Groups {
			for _, o := range h.Groups[k].Outputs {
				if k == i || !j.owes(o.Partition) || h.gone(o.Partition, o.Offset) {
					continue
				}
				if j.judged(GroupBroadcast); !by[i][record{o.Partition, o.Offset}] {
					j.unless(GroupBroadcast, o.Partition, o.Offset, "offset %d of %s was processed by group %s, and never by it",
						o.Offset, j.name(o.Partition), h.Groups[k].Name)
				}
			}
		}
	}
}

func (j *judgement) missed(p int32, at Offset) {
	switch j.g.Mode {
	case ProcessFirst:
		j.unless(AtLeastOnce, p, at, "offset %d of %s was never processed", at, j.name(p))
	case WithOutput:
		j.unless(ExactlyOnce, p, at, "offset %d of %s is not in the output", at, j.name(p))
	}
}

func (j *judgement) repeated(p int32, at Offset, n int) {
	switch j.g.Mode {
	case CommitFirst:
		j.unless(AtMostOnce, p, at, "offset %d of %s was processed %d times", at, j.name(p), n)
	case WithOutput:
		j.unless(ExactlyOnce, p, at, "offset %d of %s is in the output %d times", at, j.name(p), n)
	}
}

// unless adds a violation about an offset, unless there is one: what is known of the
// offset is dear to gather.
func (j *judgement) unless(g Guarantee, p int32, at Offset, format string, args ...any) {
	if !j.known(g) {
		j.violated(g, j.about(p, at), format, args...)
	}
}

// maxEvidence bounds the events of one violation.
const maxEvidence = 12

// about gathers what is known of an offset: who processed it, and the commits
// around it.
func (j *judgement) about(p int32, at Offset) []string {
	var out []string
	for i, o := range j.g.Outputs {
		if o.Partition == p && o.Offset == at && len(out) < maxEvidence {
			out = append(out, fmt.Sprintf("output %d: offset %d of %s, by %s", i, at, j.name(p), o.By))
		}
	}
	var before, after *Commit
	for i := range j.g.Commits {
		c := &j.g.Commits[i]
		if c.Partition != p || c.Outcome == Refused {
			continue
		}
		if c.Offset <= at && (before == nil || c.Offset >= before.Offset) {
			before = c
		}
		if c.Offset > at && after == nil {
			after = c
		}
	}
	for _, c := range []*Commit{before, after} {
		if c != nil {
			out = append(out, j.commit(c))
		}
	}
	return out
}

func (j *judgement) commit(c *Commit) string {
	return fmt.Sprintf("%v commit of offset %d of %s by %s in generation %d, from %v to %v",
		c.Outcome, c.Offset, j.name(c.Partition), c.Member, c.Generation, c.Invoked, c.Returned)
}

func (o Outcome) String() string { return [...]string{"unknown", "done", "refused"}[o] }

func (i Instant) String() string { return fmt.Sprintf("%d.%06ds", i/1e9, i%1e9/1e3) }
