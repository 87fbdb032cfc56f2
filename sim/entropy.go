package sim

import (
	"crypto/rand"
	"sync"
)

// zeroEntropy makes crypto/rand.Reader yield zeros, once, for the rest of the
// process. go.etcd.io/raft draws the jitter of its elections from there, which
// no option can change, and a run has to be a function of its seed: the jitter
// of simulated elections is the quorum's own (ADR 9).
//
// It is safe because a process that simulates makes no secrets: what simulated
// nodes take for one comes from World.Secret, which is seeded; and the real
// world, package osenv, takes the system's source when the process starts, so
// that it keeps it even in a test that has both.
var zeroEntropy = sync.OnceFunc(func() { rand.Reader = zeros{} }) //klamm:world raft reads it; kernels of parallel tests race for it

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
