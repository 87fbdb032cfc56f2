package world_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/klammlog/klamm/disksim"
	"github.com/klammlog/klamm/netsim"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/env/envtest"
	"github.com/klammlog/klamm/node/env/envtest/broken"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/sim"
	"github.com/klammlog/klamm/sim/world"
)

// universe makes simulated worlds for the conformance checks.
type universe struct {
	k       *sim.Kernel
	network *netsim.Network
	worlds  map[string]*env.World
	nodes   map[string]*sim.Node
}

func newUniverse(seed uint64) *universe {
	k := sim.New(sim.Options{Seed: seed, HoldOneIn: 50, HoldMax: 300 * time.Microsecond})
	o := netsim.DefaultOptions()
	o.Buffer = 100_001 // no multiple of what a check writes at once, so that writes are taken in part
	return &universe{k: k, network: netsim.New(k, o),
		worlds: map[string]*env.World{}, nodes: map[string]*sim.Node{}}
}

func (u *universe) host(name string) (*sim.Node, *env.World) {
	n := u.nodes[name]
	if n == nil {
		n = u.k.NewNode(name)
		var disks []*disksim.Disk
		for _, d := range []string{"/0", "/1"} {
			disks = append(disks, disksim.New(u.k, name+d, disksim.DrawOptions(u.k.Rand("disk options/"+name+d))))
		}
		u.nodes[name], u.worlds[name] = n, world.New(u.network, n, disks...)
	}
	if !n.Alive() {
		n.Restart()
	}
	return n, u.worlds[name]
}

func (u *universe) Run(parts ...envtest.Part) error {
	var errs []error
	left := len(parts)
	for _, p := range parts {
		n, w := u.host(p.Host)
		n.Go("part", func() {
			if err := p.Run(w); err != nil {
				errs = append(errs, err)
			}
			left--
		})
	}
	end := u.k.Run(u.k.Now().Add(time.Hour), func() bool { return left == 0 })
	if end != sim.Finished {
		errs = append(errs, fmt.Errorf("the run ended %s, %d parts left: %v", end, left, u.k.Panics()))
	}
	return errors.Join(errs...)
}

func (u *universe) Address(host string) string { return host + ":0" }

func (u *universe) Kill(host string) error {
	u.nodes[host].Crash()
	return nil
}

func (u *universe) Patience() time.Duration { return time.Minute }

// seeds is how many schedules each check passes.
const seeds = 12

func TestSimulatedWorldKeepsTheContract(t *testing.T) {
	for _, c := range envtest.Checks() {
		t.Run(c.Name, func(t *testing.T) {
			for seed := range uint64(seeds) {
				first := check(t, c, seed)
				if seed%8 == 0 && check(t, c, seed) != first {
					t.Fatalf("seed %d: two runs have different chains", seed)
				}
			}
		})
	}
}

func check(t *testing.T, c envtest.Check, seed uint64) sim.Chain {
	u := newUniverse(seed)
	defer u.k.Close()
	if err := c.Run(u); err != nil {
		t.Fatalf("seed %d, at %s: %v", seed, u.k.Now(), err)
	}
	return u.k.Chain()
}

func TestNothingOfARunStaysBehind(t *testing.T) {
	u := newUniverse(1)
	n, w := u.host("a")
	n.Go("sleeper", func() { w.Sleep(time.Hour) })
	u.k.Run(kafka.Instant(time.Second), func() bool { return false })
	u.k.Close()
	if left := len(n.LiveTasks()); left != 0 {
		t.Errorf("%d tasks are left after Close", left)
	}
}

// A check that no broken world fails proves nothing about the others.
func TestBrokenWorldsAreNoticed(t *testing.T) {
	checks := map[string]envtest.Check{}
	for _, c := range envtest.Checks() {
		checks[c.Name] = c
	}
	for _, w := range broken.Worlds() {
		for _, name := range w.Noticed {
			t.Run(w.Name+"/"+name, func(t *testing.T) {
				if !noticed(w, checks[name]) {
					t.Errorf("%d seeds, and the check did not notice", seeds)
				}
			})
		}
	}
}

func noticed(w broken.World, c envtest.Check) bool {
	for seed := range uint64(seeds) {
		u := newUniverse(seed)
		err := c.Run(w.Harness(u))
		u.k.Close()
		if err != nil {
			return true
		}
	}
	return false
}
