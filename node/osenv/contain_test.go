package osenv_test

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/klammlog/klamm/disksim"
	"github.com/klammlog/klamm/node/env/envtest"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/sim"
)

// The simulated disk must be able to do what the real one was seen to do: what
// its crashes leave behind is searched for the state that a real kill left.
const searches = 4000

// contained reports after how many crashes of the simulated disk, before, after or
// in the middle of the same operation, it held the same state.
func (k *kill) contained() (tries int, err error) {
	r := rand.New(rand.NewPCG(k.seed, 1))
	for tries = range searches {
		begun := min(k.completed+tries%2, len(k.script))
		state, err := simulate(r.Uint64(), k.script[:begun], time.Duration(r.IntN(200))*time.Microsecond)
		if err != nil {
			return tries, err
		}
		if state.Diff(k.state) == "" {
			return tries + 1, nil
		}
	}
	return tries, fmt.Errorf("in %d crashes the simulated disk was never left as the real one was by a kill after %d operations",
		searches, k.completed)
}

// simulate plays a script, crashes the node some time after it began the last
// operation, and returns what is left.
func simulate(seed uint64, script envtest.Script, after time.Duration) (envtest.State, error) {
	kernel := sim.New(sim.Options{Seed: seed})
	defer kernel.Close()
	node := kernel.NewNode("n")
	fs := disksim.New(kernel, "n/0", disksim.Options{Times: disksim.NVMe()}).FS(node)

	began, failed := len(script) == 0, error(nil)
	node.Go("player", func() {
		player := envtest.NewPlayer(fs)
		for i, op := range script {
			began = i == len(script)-1
			if failed = player.Do(op); failed != nil {
				return
			}
		}
	})
	kernel.Run(kafka.Never, func() bool { return began || failed != nil })
	if failed != nil {
		return nil, failed
	}
	kernel.Run(kernel.Now().Add(after), func() bool { return false })
	node.Crash()

	node.Restart()
	var state envtest.State
	done := false
	node.Go("look", func() {
		state, failed = envtest.Capture(fs)
		done = true
	})
	kernel.Run(kafka.Never, func() bool { return done })
	return state, failed
}
