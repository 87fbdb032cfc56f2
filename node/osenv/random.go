package osenv

import (
	"hash/fnv"
	"math/rand/v2"
)

// streams implements env.Random.
type streams struct{ h *Host }

func (s streams) Rand(name string) *rand.Rand {
	if r, ok := s.h.streams[name]; ok {
		return r
	}
	hash := fnv.New64a()
	_, _ = hash.Write([]byte(name))
	r := rand.New(rand.NewPCG(s.h.seed, hash.Sum64()))
	s.h.streams[name] = r
	return r
}
