package media

import (
	"fmt"
	"slices"
)

// Effects returns the pending effects in order of issue.
func (v *Volume) Effects() []Effect {
	all := make([]Effect, 0, v.pending)
	all = append(all, v.entries...)
	for _, i := range v.inodes {
		all = append(all, i.pending...)
	}
	slices.SortFunc(all, func(a, b Effect) int { return int(int64(a.Seq) - int64(b.Seq)) })
	return all
}

// rules are what a profile demands of what is kept: of one effect by itself, and
// of an earlier effect if a later one is kept. Every rule points back, so that
// one pass in order of issue decides.
type rules struct {
	profile Profile
	journal uint64
}

// forced reports whether an effect cannot be lost, although it was never synced:
// a sync of something else committed the journal.
func (r rules) forced(e *Effect) bool {
	return r.profile.journaled() && e.isMetadata() && e.Seq <= r.journal
}

// allows reports whether so much of an effect can be kept, by itself.
func (r rules) allows(e *Effect, kept uint8) bool {
	switch {
	case kept == lost:
		return !r.forced(e)
	case kept == e.full():
		return true
	case e.Kind == Page:
		return kept&^e.Mask == 0 && r.profile != Prefix
	}
	return e.crossDirectory() && kept == newName && r.profile == Posix
}

// needs tells how much of the earlier effect f must be kept if so much of e is.
func (r rules) needs(e, f *Effect, kept uint8) uint8 {
	if r.profile == Prefix {
		return f.full()
	}
	if e.isEntry() && f.isEntry() {
		if r.profile.journaled() {
			return f.full()
		}
		return e.needs(f, kept)
	}
	sameContent := e.ino == f.ino && !e.isEntry() && !f.isEntry()
	if sameContent && f.Kind == Alloc {
		return f.full()
	}
	if !r.profile.journaled() {
		return lost
	}
	if e.isMetadata() && f.isMetadata() {
		return f.full()
	}
	if sameContent && r.ordered(e, f) {
		return f.full()
	}
	return lost
}

// ordered is the data rule of the journaling profiles, for effects on one file:
// a file is longer only if its new pages are there, and a page is written in
// a place that was cut off only after the cut.
func (r rules) ordered(e, f *Effect) bool {
	switch {
	case e.Kind == Page && f.shrinks():
		return (e.at+1)*PageSize > f.n
	case !e.grows() || f.Kind != Page || f.at*PageSize >= e.n:
		return false
	case r.profile == Ext4Ordered:
		return e.ino.durable.page(f.at) == nil
	}
	return (f.at+1)*PageSize > e.at && !e.regrows()
}

// regrows reports whether the file was cut by a pending effect before e; XFS may
// then show zeros.
func (e *Effect) regrows() bool {
	for k := range e.ino.pending {
		if s := &e.ino.pending[k]; s.Seq < e.Seq && s.shrinks() {
			return true
		}
	}
	return false
}

// CheckCrash returns the first rule of its profile that an outcome breaks.
func (v *Volume) CheckCrash(c Crash) error {
	effects := v.Effects()
	if len(effects) != len(c.Kept) {
		return fmt.Errorf("crash keeps of %d effects, there are %d", len(c.Kept), len(effects))
	}
	r := rules{c.Profile, v.journal}
	for k := range effects {
		if err := r.check(effects, c.Kept, k); err != nil {
			return err
		}
	}
	return nil
}

// check decides about effect k, given what is kept of the earlier ones.
func (r rules) check(effects []Effect, kept []uint8, k int) error {
	e := &effects[k]
	if !r.allows(e, kept[k]) {
		return fmt.Errorf("%s: %s cannot be kept as %x", r.profile, e, kept[k])
	}
	for j := 0; kept[k] != lost && j < k; j++ {
		if need := r.needs(e, &effects[j], kept[k]); need&^kept[j] != 0 {
			return fmt.Errorf("%s: %s kept without %s", r.profile, e, effects[j])
		}
	}
	return nil
}
