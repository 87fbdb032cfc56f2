package delivery

import (
	"cmp"
	"fmt"
	"slices"
)

// exclusive demands that in one generation a partition is one member's, who alone
// commits for it in that, and that who lost it cannot commit for it: once a later
// generation has given it to another, or another has committed in one, no commit of an
// earlier one, begun afterwards, is done. A member that gives a partition back does so
// before another gets it; who was thrown out may not know it, and is told by never
// being heard of again.
func (j *judgement) exclusive() {
	type share struct {
		generation, partition int32
	}
	owner := map[share]Holding{}
	for _, h := range j.g.Holdings {
		j.judged(GroupExclusive)
		at := share{h.Generation, h.Partition}
		if other, ok := owner[at]; ok && other.Member != h.Member {
			j.violated(GroupExclusive, []string{j.holding(&other), j.holding(&h)},
				"%s was given to %s and to %s in generation %d", j.name(h.Partition), other.Member, h.Member, h.Generation)
		}
		owner[at] = h
	}
	for i := range j.g.Commits {
		c := &j.g.Commits[i]
		if h, ok := owner[share{c.Generation, c.Partition}]; ok && c.Outcome == Done && h.Member != c.Member {
			j.violated(GroupExclusive, []string{j.holding(&h), j.commit(c)},
				"%s committed for %s in generation %d, in which %s had it", c.Member, j.name(c.Partition), c.Generation, h.Member)
			break
		}
	}
	byPartition := j.claims()
	for i := range byPartition {
		j.fenced(byPartition[i])
	}
	j.apart()
}

// A claim shows that a generation had begun in which a partition was a member's.
type claim struct {
	member     string
	generation int32
	shown      Instant // at the latest
	text       func() string
}

// A fencing is what is known of one partition's owners: claims, and the commits that
// were done.
type fencing struct {
	claims []claim   // as they were shown
	done   []*Commit // as they were invoked
}

// partitions returns how many partitions the group and the history speak of: of some
// that came late nobody may have read back the records.
func (j *judgement) partitions() int {
	n := int32(len(j.h.Records))
	for i := range j.g.Holdings {
		n = max(n, j.g.Holdings[i].Partition+1)
	}
	for i := range j.g.Commits {
		n = max(n, j.g.Commits[i].Partition+1)
	}
	for i := range j.g.Fetches {
		n = max(n, j.g.Fetches[i].Partition+1)
	}
	return int(n)
}

func (j *judgement) claims() []fencing {
	out := make([]fencing, j.partitions())
	for i := range j.g.Holdings {
		h := &j.g.Holdings[i]
		f := &out[h.Partition]
		f.claims = append(f.claims, claim{h.Member, h.Generation, h.From, func() string { return j.holding(h) }})
	}
	for i := range j.g.Commits {
		c := &j.g.Commits[i]
		if c.Outcome != Done {
			continue
		}
		f := &out[c.Partition]
		f.claims = append(f.claims, claim{c.Member, c.Generation, c.Returned, func() string { return j.commit(c) }})
		f.done = append(f.done, c)
	}
	for i := range out {
		slices.SortStableFunc(out[i].claims, func(a, b claim) int { return cmp.Compare(a.shown, b.shown) })
		slices.SortStableFunc(out[i].done, func(a, b *Commit) int { return cmp.Compare(a.Invoked, b.Invoked) })
	}
	return out
}

// fenced holds each commit against the latest generation that another had shown
// before it was invoked.
func (j *judgement) fenced(f fencing) {
	var last, other *claim // of the latest generation, and of the latest that is not that member's
	next := 0
	for _, c := range f.done {
		for ; next < len(f.claims) && f.claims[next].shown < c.Invoked; next++ {
			k := &f.claims[next]
			switch {
			case last == nil || last.member == k.member && k.generation > last.generation:
				last = k
			case last.member == k.member:
			case k.generation > last.generation:
				last, other = k, last
			case other == nil || k.generation > other.generation:
				other = k
			}
		}
		k := last
		if k != nil && k.member == c.Member {
			k = other
		}
		if k != nil && k.generation > c.Generation {
			j.violated(GroupExclusive, []string{k.text(), j.commit(c)},
				"%s committed for %s in generation %d after %s had it in generation %d", c.Member, j.name(c.Partition), c.Generation, k.member, k.generation)
			return
		}
	}
}

// apart demands that a partition was given back before another got it, by whoever
// gave it back and was a member afterwards: its commits show that the group had not
// thrown it out.
func (j *judgement) apart() {
	stayed := map[string]int32{} // the latest generation in which a member committed
	for i := range j.g.Commits {
		if c := &j.g.Commits[i]; c.Outcome == Done {
			stayed[c.Member] = max(stayed[c.Member], c.Generation)
		}
	}
	of := make([][]*Holding, j.partitions())
	for i := range j.g.Holdings {
		h := &j.g.Holdings[i]
		of[h.Partition] = append(of[h.Partition], h)
	}
	for _, holdings := range of {
		slices.SortStableFunc(holdings, func(a, b *Holding) int { return cmp.Compare(a.From, b.From) })
		for i, a := range holdings {
			for _, b := range holdings[i+1:] {
				if b.From >= a.Until { // 0, if nobody told
					break
				}
				if a.Member != b.Member && b.Generation > a.Generation && stayed[a.Member] >= b.Generation {
					j.violated(GroupExclusive, []string{j.holding(a), j.holding(b)},
						"%s was given to %s while %s, which stayed a member, had not given it back", j.name(a.Partition), b.Member, a.Member)
				}
			}
		}
	}
}

func (j *judgement) holding(h *Holding) string {
	text := fmt.Sprintf("%s holds %s in generation %d from %v", h.Member, j.name(h.Partition), h.Generation, h.From)
	if h.Until > 0 {
		text += fmt.Sprintf(" to %v", h.Until)
	}
	return text
}

// forward demands that what a member is told as committed was committed, or may have
// been, and that no commit which was done before is lost. Workers commit forward,
// so that the committed offset goes back for no reason of theirs.
//
// A commit of unknown outcome may take effect late, after those that were done since.
// That is no commit lost where records may be processed again, or are told apart by the
// output; a group that commits first has to see to it that it cannot be.
func (j *judgement) forward() {
	made := make([]tally, j.partitions())
	for i := range j.g.Commits {
		c := &j.g.Commits[i]
		made[c.Partition].add(c)
	}
	for i := range made {
		slices.SortStableFunc(made[i].done, func(a, b *Commit) int { return cmp.Compare(a.Returned, b.Returned) })
	}
	fetches := make([]*Fetch, len(j.g.Fetches))
	for i := range j.g.Fetches {
		fetches[i] = &j.g.Fetches[i]
	}
	slices.SortStableFunc(fetches, func(a, b *Fetch) int { return cmp.Compare(a.Invoked, b.Invoked) })
	for _, f := range fetches {
		j.judged(CommitForward)
		t := &made[f.Partition]
		newest := t.before(f.Invoked)
		invoked, found := t.invoked[f.Offset]
		switch {
		case newest != nil && f.Offset < newest.Offset && j.g.Mode != CommitFirst && t.wentBack(f, newest):
		case newest != nil && f.Offset < newest.Offset:
			j.violated(CommitForward, []string{j.commit(newest), j.fetch(f)},
				"%s was told offset %d for %s, and %d had been committed", f.Member, f.Offset, j.name(f.Partition), newest.Offset)
		case f.Offset != NoOffset && (!found || invoked >= f.Returned):
			j.violated(CommitForward, []string{j.fetch(f)},
				"%s was told offset %d for %s, which nobody committed", f.Member, f.Offset, j.name(f.Partition))
		}
	}
}

// A tally is the commits of one partition.
type tally struct {
	invoked map[Offset]Instant // when an offset was first to be committed, and not refused
	done    []*Commit          // as they returned
	unknown []*Commit          // what came of them
	next    int                // in done
	newest  *Commit            // of those before: the furthest
}

func (t *tally) add(c *Commit) {
	switch c.Outcome {
	case Done:
		t.done = append(t.done, c)
	case Unknown:
		t.unknown = append(t.unknown, c)
	}
	if t.invoked == nil {
		t.invoked = map[Offset]Instant{}
	}
	if at, ok := t.invoked[c.Offset]; c.Outcome != Refused && (!ok || c.Invoked < at) {
		t.invoked[c.Offset] = c.Invoked
	}
}

// before returns the furthest commit that was done before an instant, or nil. Instants
// do not go back.
func (t *tally) before(at Instant) *Commit {
	for ; t.next < len(t.done) && t.done[t.next].Returned < at; t.next++ {
		if c := t.done[t.next]; t.newest == nil || c.Offset > t.newest.Offset {
			t.newest = c
		}
	}
	return t.newest
}

// wentBack reports whether what was told may be a commit of unknown outcome that took
// effect after the newest, or what a member that was told of that one committed then.
func (t *tally) wentBack(f *Fetch, newest *Commit) bool {
	if t.late(f.Offset, f.Offset, f.Returned) {
		return true
	}
	return slices.ContainsFunc(t.done, func(c *Commit) bool {
		return c.Offset == f.Offset && c.Invoked > newest.Returned && c.Invoked < f.Returned &&
			t.late(0, c.Offset, c.Invoked) && !t.outdone(c, f.Invoked)
	})
}

// late reports whether a commit of unknown outcome, of an offset from one to another,
// was invoked before an instant.
func (t *tally) late(from, to Offset, before Instant) bool {
	return slices.ContainsFunc(t.unknown, func(c *Commit) bool { return c.Offset >= from && c.Offset <= to && c.Invoked < before })
}

// outdone reports whether a commit that followed one was done before an instant.
func (t *tally) outdone(c *Commit, before Instant) bool {
	return slices.ContainsFunc(t.done, func(o *Commit) bool { return o.Invoked > c.Returned && o.Returned < before && o.Offset != c.Offset })
}

func (j *judgement) fetch(f *Fetch) string {
	return fmt.Sprintf("%s was told offset %d of %s, from %v to %v", f.Member, f.Offset, j.name(f.Partition), f.Invoked, f.Returned)
}
