package delivery

import (
	"cmp"
	"fmt"
	"slices"
)

// exclusive demands that in one generation a partition is one member's, and that who
// lost it cannot commit for it: once a later generation has committed, none of an
// earlier one, begun afterwards, is done.
func (j *judgement) exclusive() {
	type share struct {
		generation, partition int32
	}
	owner := map[share]Holding{}
	for _, h := range j.g.Holdings {
		j.judged(GroupExclusive)
		at := share{h.Generation, h.Partition}
		if other, ok := owner[at]; ok && other.Member != h.Member {
			j.violated(GroupExclusive, []string{other.String(), h.String()},
				"partition %d was given to %s and to %s in generation %d", h.Partition, other.Member, h.Member, h.Generation)
		}
		owner[at] = h
	}
	done := slices.DeleteFunc(slices.Clone(j.g.Commits), func(c Commit) bool { return c.Outcome != Done })
	slices.SortStableFunc(done, func(a, b Commit) int { return cmp.Compare(a.Returned, b.Returned) })
	for i := range done {
		c := &done[i]
		for k := range i {
			b := &done[k]
			if b.Partition == c.Partition && b.Generation > c.Generation && b.Member != c.Member && b.Returned < c.Invoked {
				j.violated(GroupExclusive, []string{b.String(), c.String()},
					"%s committed for partition %d in generation %d after %s had in generation %d", c.Member, c.Partition, c.Generation, b.Member, b.Generation)
				return
			}
		}
	}
}

func (h Holding) String() string {
	return fmt.Sprintf("%s holds partition %d in generation %d from %v", h.Member, h.Partition, h.Generation, h.From)
}

// forward demands that what a member is told as committed was committed, or may have
// been, and that no commit which was done before is lost. Workers commit forward,
// so that the committed offset goes back for no reason of theirs.
func (j *judgement) forward() {
	for i := range j.g.Fetches {
		f := &j.g.Fetches[i]
		j.judged(CommitForward)
		var newest *Commit
		found := f.Offset == NoOffset
		for k := range j.g.Commits {
			c := &j.g.Commits[k]
			if c.Partition != f.Partition {
				continue
			}
			if c.Outcome == Done && c.Returned < f.Invoked && (newest == nil || c.Offset > newest.Offset) {
				newest = c
			}
			found = found || c.Offset == f.Offset && c.Outcome != Refused && c.Invoked < f.Returned
		}
		switch {
		case newest != nil && f.Offset < newest.Offset:
			j.violated(CommitForward, []string{newest.String(), f.String()},
				"%s was told offset %d for partition %d, and %d had been committed", f.Member, f.Offset, f.Partition, newest.Offset)
		case !found:
			j.violated(CommitForward, []string{f.String()},
				"%s was told offset %d for partition %d, which nobody committed", f.Member, f.Offset, f.Partition)
		}
	}
}

func (f *Fetch) String() string {
	return fmt.Sprintf("%s was told offset %d of partition %d, from %v to %v", f.Member, f.Offset, f.Partition, f.Invoked, f.Returned)
}
