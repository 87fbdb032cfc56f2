package media

import (
	"iter"
	"math/rand/v2"
)

// DrawProfile draws a kind of file system: half of them promise nothing, few are
// friendly.
func DrawProfile(r *rand.Rand) Profile {
	switch n := r.IntN(20); {
	case n < 10:
		return Posix
	case n < 16:
		return Ext4Ordered
	case n < 19:
		return XFSLike
	}
	return Prefix
}

// Draw chooses a legal outcome of a power loss at this moment.
func (v *Volume) Draw(p Profile, m Modifiers, r *rand.Rand) Crash {
	effects := v.Effects()
	c := Crash{Profile: p, Modifiers: m, Salt: r.Uint64(), Kept: wish(effects, p, r)}
	legalize(rules{p, v.journal}, effects, c.Kept, r)
	return c
}

// wish draws what may survive without a look at the rules. The shapes matter:
// nothing, everything, only the older part, and mixtures find different bugs.
func wish(effects []Effect, p Profile, r *rand.Rand) []uint8 {
	kept := make([]uint8, len(effects))
	shape := r.IntN(8)
	cut := r.IntN(len(effects) + 1) // where the journal ends
	share := 1 + r.IntN(7)          // of eight
	if shape == 0 {
		cut, share = 0, 0
	}
	if shape == 1 {
		cut, share = len(effects), 8
	}
	for k := range effects {
		e := &effects[k]
		inOrder := p == Prefix || p.journaled() && e.isMetadata() || shape == 2 || shape == 3
		switch {
		case inOrder && k < cut, !inOrder && r.IntN(8) < share:
			kept[k] = e.full()
		}
		if shape > 1 && kept[k] != lost && p != Prefix && r.IntN(4) == 0 {
			kept[k] = tear(e, p, r)
		}
	}
	return kept
}

// tear draws a part of an effect that can be kept in parts.
func tear(e *Effect, p Profile, r *rand.Rand) uint8 {
	switch {
	case e.crossDirectory() && p == Posix:
		return newName
	case e.Kind != Page:
		return e.full()
	case r.IntN(2) == 0:
		return e.Mask & (1<<r.IntN(sectorsPerPage+1) - 1)
	}
	return e.Mask & uint8(r.UintN(256))
}

// legalize turns a wish into an outcome. Going back, some of what is kept pulls in
// what it needs; going forward, what still misses something is lost.
func legalize(rules rules, effects []Effect, kept []uint8, r *rand.Rand) {
	pulls := r.IntN(4) // of three
	for k := len(effects) - 1; k >= 0; k-- {
		e := &effects[k]
		must := rules.forced(e)
		if must {
			kept[k] = e.full()
		}
		if kept[k] == lost || !must && r.IntN(3) >= pulls {
			continue
		}
		for j := range k {
			kept[j] |= rules.needs(e, &effects[j], kept[k])
		}
	}
	for k := range effects {
		if rules.check(effects, kept, k) != nil {
			kept[k] = lost
		}
	}
}

// MaxExhaustive is the largest number of effects for which Crashes enumerates.
const MaxExhaustive = 12

// Crashes yields every legal outcome of a power loss at this moment, pages kept
// whole or not at all. There must be at most MaxExhaustive pending effects.
func (v *Volume) Crashes(p Profile) iter.Seq[Crash] {
	return func(yield func(Crash) bool) {
		if v.pending > MaxExhaustive {
			return
		}
		s := search{rules: rules{p, v.journal}, effects: v.Effects(), yield: yield}
		s.kept = make([]uint8, len(s.effects))
		s.from(0)
	}
}

// A search walks the tree of outcomes, one effect per level.
type search struct {
	rules   rules
	effects []Effect
	kept    []uint8
	yield   func(Crash) bool
}

// from decides about effect k and those after it; it returns false when the
// consumer has had enough.
func (s *search) from(k int) bool {
	if k == len(s.effects) {
		return s.yield(Crash{Profile: s.rules.profile, Kept: append([]uint8(nil), s.kept...)})
	}
	options := []uint8{lost, s.effects[k].full()}
	if s.effects[k].crossDirectory() {
		options = append(options, newName)
	}
	for _, option := range options {
		s.kept[k] = option
		if s.rules.check(s.effects, s.kept, k) == nil && !s.from(k+1) {
			return false
		}
	}
	return true
}
