package scenarios

import (
	"slices"
	"time"

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
				r.witness.struck(f, m.node.Name())
			}
		}
	}
}

// strikeDisk has a fault happen to the disk that it is for, or looks again soon if it is
// too early for it.
func (r *run) strikeDisk(f disksim.Fault) {
	for _, b := range r.nodes {
		if b.disk.Name() != f.Disk {
			continue
		}
		if f.Kind == disksim.FaultEmpty && !r.drawn.Unrestricted && !r.isKnown(b) || r.ruinsNothing(f) {
			r.k.After(knownPause, func() {
				if !r.healed {
					r.strikeDisk(f)
				}
			})
			return
		}
		f.Apply(b.disk)
		r.witness.struck(Fault{Family: Family(f.Kind), Disk: &f}, b.seat.name)
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
	r.witness.struck(Fault{Family: Family(aimed.Family.String()), Net: &aimed}, aimed.A...)
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
	r.witness.struck(f, b.seat.name)
	switch f.Process.Kind {
	case sim.FaultCrash:
		r.took(f.Family, b.crash())
		r.k.After(f.Process.For, b.bringUp)
	case sim.FaultPowerLoss:
		r.took(f.Family, b.losePower())
		r.k.After(f.Process.For, b.bringUp)
	case sim.FaultStop:
		r.took(f.Family, b.stop(f.Process.For))
	case sim.FaultStorm:
		r.storm(f, b)
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
	r.witness.struck(f, m.node.Name())
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

// How often the heal waits for a fault that the scenario is about, and for how long each
// time.
const (
	mostPostponed = 3
	postponement  = 2 * time.Second
)

// postpones reports whether the heal is put off, because nothing has taken effect of what
// the scenario is about, or nothing at all: those whom the faults were for were down, had
// nothing to do, or nobody led. One of the faults strikes whoever runs then; if nobody does
// at the moment, it is looked again the next time.
func (r *run) postpones() bool {
	if r.postponed == mostPostponed || !r.options.clustered() || r.scenario.Once || r.lonely() || !r.missesFaults() || !r.strikesAgain() {
		return false
	}
	r.postponed++
	r.k.After(postponement, r.heal)
	return true
}

// strikesAgain has one of the faults happen that the scenario is about, or any if it is
// about none: of the network only if there is no other. It reports false if there is none
// that could.
func (r *run) strikesAgain() bool {
	must := r.scenario.Must
	var ofNodes, ofLinks []Fault
	for _, f := range r.schedule {
		switch {
		case len(must) > 0 && !slices.Contains(must, f.Family) || f.Family == clientCrash:
		case f.Net == nil:
			ofNodes = append(ofNodes, f)
		case f.Net.For > 0:
			ofLinks = append(ofLinks, f)
		}
	}
	if slices.ContainsFunc(ofNodes, r.strikeInstead) {
		return true
	}
	if len(ofLinks) > 0 {
		longer := *ofLinks[0].Net
		longer.At, longer.For = r.k.Now(), max(longer.For, postponement/2)
		r.strikeNetwork(longer)
		return true
	}
	return len(ofNodes) > 0 && !slices.ContainsFunc(r.brokers, func(b *brokerHost) bool { return b.running != nil && !b.stopping })
}

// missesFaults reports whether the run has not had the faults that it needs to show
// anything.
func (r *run) missesFaults() bool {
	if must := r.scenario.Must; len(must) > 0 {
		return !r.tookEffect(must)
	}
	return r.scenario.faulty() && len(r.faultsEffective()) == 0
}

// strikeInstead has a fault of processes or disks happen to a broker that runs, now. It
// reports false if nobody runs who may suffer it.
func (r *run) strikeInstead(f Fault) bool {
	for i := range r.brokers {
		b := r.brokers[(i+r.postponed)%len(r.brokers)] // whose disk nobody uses is not struck
		if b.running == nil || b.stopping || b.seat.name == r.options.spared() ||
			r.options.loses(f.Family) && b.seat.name != r.options.Loser {
			continue
		}
		if f.Disk != nil {
			d := *f.Disk
			d.Disk, d.At = b.disk.Name(), r.k.Now()
			r.strikeDisk(d)
			return true
		}
		p := *f.Process
		p.Node = b.seat.name
		f.Process = &p
		r.strikeNodes(f)
		return true
	}
	return false
}
