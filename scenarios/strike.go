package scenarios

import (
	"github.com/klammlog/klamm/checker/history"
	"github.com/klammlog/klamm/disksim"
	"github.com/klammlog/klamm/disksim/media"
	"github.com/klammlog/klamm/internal/assert"
	"github.com/klammlog/klamm/netsim"
	"github.com/klammlog/klamm/sim"
)

// strike makes one fault of the schedule happen.
func (r *run) strike(f Fault) {
	if r.healed {
		return
	}
	r.mark(history.Fault, "", f.String())
	switch {
	case f.Net != nil:
		r.strikeNetwork(*f.Net)
	case f.Disk != nil:
		r.strikeDisk(*f.Disk)
	case f.Family == clientCrash:
		r.strikeClient(f)
	default:
		r.strikeNodes(f)
		for _, m := range r.clients() {
			if m.node.Name() == f.Process.Node {
				r.took(f.Family, f.Process.Apply(m.node))
			}
		}
	}
}

// strikeDisk has a fault happen to the disk that it is for.
func (r *run) strikeDisk(f disksim.Fault) {
	for _, b := range r.nodes {
		if b.disk.Name() != f.Disk {
			continue
		}
		if f.Kind == disksim.FaultEmpty && !r.isKnown(b) {
			r.k.After(knownPause, func() {
				if !r.healed {
					r.strikeDisk(f)
				}
			})
			return
		}
		f.Apply(b.disk)
	}
	if w := r.observer.cluster; w != nil {
		w.losses() // what a node does about it may be seen before it is looked at again
	}
}

// strikeNetwork has a fault of the network happen, or looks again soon if it is for a
// leader and there is none.
func (r *run) strikeNetwork(f netsim.Fault) {
	aimed, ok := r.aimed(f)
	if !ok {
		r.k.After(aheadPause, func() {
			if !r.healed {
				r.strikeNetwork(f)
			}
		})
		return
	}
	_, err := r.network.Apply(aimed)
	assert.NoError(err)
}

func (r *run) mark(kind history.MarkKind, target, note string) {
	r.history.Mark(history.Mark{Kind: kind, Target: target, Note: note,
		Partition: history.NoPartition, Offset: history.NoOffset})
}

// took counts a fault that the node, rather than network or disk, suffered.
func (r *run) took(f Family, effective bool) {
	if effective {
		r.effects[f]++
	}
}

func (r *run) strikeNode(f Fault, b *brokerHost) {
	switch f.Process.Kind {
	case sim.FaultCrash:
		r.took(f.Family, b.crash())
		r.k.After(f.Process.For, b.bringUp)
	case sim.FaultPowerLoss:
		r.took(f.Family, b.losePower())
		r.k.After(f.Process.For, b.bringUp)
	case sim.FaultStop:
		r.took(f.Family, b.stop(f.Process.For))
	default:
		r.took(f.Family, f.Process.Apply(b.node))
	}
}

func (r *run) strikeClient(f Fault) {
	for _, p := range r.producers {
		if p.node.Name() == f.Process.Node && p.node.Alive() && !p.done {
			r.took(f.Family, true)
			r.crashClient(&p.machine, f)
			p.died()
		}
	}
	for _, p := range r.raws {
		if p.node.Name() == f.Process.Node && p.node.Alive() && !p.done {
			r.took(f.Family, true)
			r.crashClient(&p.machine, f)
			p.died()
		}
	}
	for _, c := range r.consumers {
		if c.node.Name() == f.Process.Node && c.node.Alive() && !c.done {
			r.took(f.Family, true)
			r.crashClient(&c.machine, f)
		}
	}
	for _, w := range r.workers {
		if w.node.Name() == f.Process.Node && w.node.Alive() && !w.done {
			r.took(f.Family, true)
			r.crashClient(&w.machine, f)
		}
	}
}

func (r *run) crashClient(m *machine, f Fault) {
	m.node.Crash()
	r.k.After(f.Process.For, func() {
		if !m.node.Alive() {
			r.mark(history.ClientRestarts, m.node.Name(), "")
			m.restart()
		}
	})
}

// profile returns what the run's disk does when power is lost. Hard crashes, which
// turn the sector being written into garbage, are not drawn: a sector can hold
// synced bytes too, and there is no second copy.
func (r *run) profile() (media.Profile, media.Modifiers) {
	p, err := media.ParseProfile(r.options.Profile)
	assert.NoError(err)
	var m media.Modifiers
	if r.options.StaleTail {
		m |= media.StaleTail
	}
	return p, m
}
