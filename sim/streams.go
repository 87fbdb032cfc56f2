package sim

import "math/rand/v2"

// streams are the named random streams of a run: what one consumer draws leaves
// the others alone, so a fix does not move the bug elsewhere.
type streams struct {
	seed  uint64
	known map[string]*rand.Rand
}

func newStreams(seed uint64) streams {
	return streams{seed: seed, known: map[string]*rand.Rand{}}
}

func (s *streams) seeds(name string) (uint64, uint64) {
	c := chain{sum: s.seed}
	c.add(NoteRand, hashText(name), uint64(len(name)))
	first := c.sum
	c.add(NoteRand, first, 1)
	return first, c.sum
}

func (s *streams) get(name string) *rand.Rand {
	r := s.known[name]
	if r == nil {
		r = rand.New(rand.NewPCG(s.seeds(name)))
		s.known[name] = r
	}
	return r
}

// Stream returns the named random stream of a seed, the one Kernel.Rand gives:
// for options that are drawn before there is a kernel.
func Stream(seed uint64, name string) *rand.Rand {
	s := newStreams(seed)
	return s.get(name)
}
