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
		if int(o.Partition) < len(times) {
			times[o.Partition][o.Offset]++
		}
	}
	total := 0
	for p, offsets := range j.h.Records {
		for _, at := range offsets {
			total++
			n := times[p][at]
			delete(times[p], at)
			switch {
			case n == 0:
				j.r.Missed++
				j.missed(int32(p), at)
			case n > 1:
				j.r.Repeated++
				j.repeated(int32(p), at, n)
			}
		}
	}
	for p, rest := range times {
		if len(rest) > 0 {
			at := slices.Sorted(maps.Keys(rest))[0]
			j.violated(GroupBroadcast, nil, "offset %d of partition %d was processed, and the topic has no such record", at, p)
		}
	}
	if total == 0 {
		return
	}
	switch j.g.Mode {
	case CommitFirst:
		j.judged(AtMostOnce)
	case ProcessFirst:
		j.judged(AtLeastOnce)
	case WithOutput:
		j.judged(ExactlyOnce)
	}
}

// broadcast demands that a record which one group processed every other did too, but
// for groups that may miss some.
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
		j.judged(GroupBroadcast)
		for k := range h.Groups {
			for _, o := range h.Groups[k].Outputs {
				if !by[i][record{o.Partition, o.Offset}] {
					j.violated(GroupBroadcast, j.about(o.Partition, o.Offset), "offset %d of partition %d was processed by group %s, and never by it", o.Offset, o.Partition, h.Groups[k].Name)
				}
			}
		}
	}
}

func (j *judgement) missed(p int32, at Offset) {
	switch j.g.Mode {
	case ProcessFirst:
		j.violated(AtLeastOnce, j.about(p, at), "offset %d of partition %d was never processed", at, p)
	case WithOutput:
		j.violated(ExactlyOnce, j.about(p, at), "offset %d of partition %d is not in the output", at, p)
	}
}

func (j *judgement) repeated(p int32, at Offset, n int) {
	switch j.g.Mode {
	case CommitFirst:
		j.violated(AtMostOnce, j.about(p, at), "offset %d of partition %d was processed %d times", at, p, n)
	case WithOutput:
		j.violated(ExactlyOnce, j.about(p, at), "offset %d of partition %d is in the output %d times", at, p, n)
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
			out = append(out, fmt.Sprintf("output %d: offset %d of partition %d, by %s", i, at, p, o.By))
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
			out = append(out, c.String())
		}
	}
	return out
}

func (c *Commit) String() string {
	return fmt.Sprintf("%v commit of offset %d of partition %d by %s in generation %d, from %v to %v",
		c.Outcome, c.Offset, c.Partition, c.Member, c.Generation, c.Invoked, c.Returned)
}

func (o Outcome) String() string { return [...]string{"unknown", "done", "refused"}[o] }

func (i Instant) String() string { return fmt.Sprintf("%d.%06ds", i/1e9, i%1e9/1e3) }
