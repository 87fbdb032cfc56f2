package disksim

import (
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/klammlog/klamm/disksim/media"
	"github.com/klammlog/klamm/internal/assert"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/sim"
)

// faults are the run-time faults of one disk: those that are armed, what they
// have done to the disk as a whole, and how often each kind struck.
type faults struct {
	live    []*liveFault
	struck  map[FaultKind]int
	strikes int // of all kinds
	healed  bool
	damages []Damage
	down    bool      // shut down by a failed sync
	stalled sim.Queue // operations that a stall holds
}

// A liveFault is armed.
type liveFault struct {
	Fault
	until kafka.Instant
	left  int64 // strikes; negative: no limit
	image *media.Volume
}

func newFaults() faults { return faults{struck: map[FaultKind]int{}} }

// armed reports whether operations must ask. It is on the path of every one.
func (f *faults) armed() bool { return len(f.live) > 0 || f.down }

// Inject makes a fault begin at its time, or now if that has passed. After Heal
// it does nothing.
func (d *Disk) Inject(f Fault) {
	d.k.At(f.At, func() { f.Apply(d) })
}

// Apply makes the fault begin now, whatever its At, and end after its For. It
// reports whether it took effect; of faults that wait for an operation, whether
// they are armed: Struck tells what came of them. It does not block.
func (f Fault) Apply(d *Disk) (effective bool) {
	assert.That(f.Disk == d.name, "fault of disk %s applied to %s", f.Disk, d.name)
	if d.faults.healed {
		return false
	}
	d.k.NoteText(sim.NoteFault, f.String(), 0)
	switch f.Kind {
	case FaultRot, FaultBadSector:
		return d.damage(f)
	}
	l := &liveFault{Fault: f, until: kafka.Never, left: f.Times}
	if f.Times == 0 {
		l.left = -1
	}
	switch f.Kind {
	case FaultFull:
		free, total := d.v.Usage()
		d.v.SetCapacity(min(total, total-free+f.N))
	case FaultOld:
		l.image = d.Image()
	}
	d.faults.live = append(d.faults.live, l)
	if f.For > 0 {
		l.until = d.k.Now().Add(f.For)
		if f.Kind != FaultEmpty && f.Kind != FaultOld { // these wait for a crash
			d.k.At(l.until, func() { d.disarm(l) })
		}
	}
	return true
}

// disarm ends a fault.
func (d *Disk) disarm(l *liveFault) {
	i := slices.Index(d.faults.live, l)
	if i < 0 {
		return
	}
	d.faults.live = slices.Delete(d.faults.live, i, i+1)
	if l.Kind == FaultFull && !d.faults.has(FaultFull) {
		d.v.SetCapacity(d.options.Capacity)
	}
}

func (f *faults) has(kind FaultKind) bool {
	for _, l := range f.live {
		if l.Kind == kind {
			return true
		}
	}
	return false
}

// Heal ends what goes wrong at run time, for good: what is armed, what is
// stalled, errors that are still owed, sectors that cannot be read. What is lost
// stays lost.
func (d *Disk) Heal() {
	d.k.NoteText(sim.NoteFault, "disk-heal "+d.name, 0)
	for len(d.faults.live) > 0 {
		d.disarm(d.faults.live[0])
	}
	d.faults.healed, d.faults.down = true, false
	for _, f := range d.open {
		f.owed = nil
	}
	d.v.RepairAll()
	d.faults.stalled.WakeAll(d.k)
}

// reboot is what a restart of the machine ends.
func (f *faults) reboot() { f.down = false }

// A Count says how often a kind of fault took effect.
type Count struct {
	Kind FaultKind
	N    int
}

// Struck returns how often each kind took effect, sorted by kind, those that never
// did left out.
func (d *Disk) Struck() []Count {
	var counts []Count
	for kind, n := range d.faults.struck { //klamm:unordered sorted below
		counts = append(counts, Count{kind, n})
	}
	slices.SortFunc(counts, func(a, b Count) int { return strings.Compare(string(a.Kind), string(b.Kind)) })
	return counts
}

// Strikes returns how often any kind took effect.
func (d *Disk) Strikes() int { return d.faults.strikes }

// strike returns an armed fault of that kind that strikes this operation now, or
// nil.
func (d *Disk) strike(kind FaultKind, path string) *liveFault {
	for _, l := range d.faults.live {
		if l.Kind != kind || !matches(l.Path, path) {
			continue
		}
		if l.OneIn > 1 && d.chance(path).Int64N(l.OneIn) != 0 {
			continue
		}
		d.hit(kind, path)
		if l.left > 0 {
			if l.left--; l.left == 0 {
				d.disarm(l)
			}
		}
		return l
	}
	return nil
}

// hit counts a fault that took effect.
func (d *Disk) hit(kind FaultKind, path string) {
	d.faults.struck[kind]++
	d.faults.strikes++
	d.k.NoteText(sim.NoteFault, string(kind), uint64(d.faults.struck[kind]))
	if d.k.Recording() {
		d.k.Record("%s: %s strikes %s", d.name, kind, path)
	}
}

// chance is the stream of faults on one path, so that operations on others leave
// its choices alone.
func (d *Disk) chance(path string) *rand.Rand {
	return d.k.Rand("disk/" + d.name + "/fault/" + path)
}

// slowest is the most that a slow disk takes for one operation: one that begins
// just before the fault ends must not outlast everybody's patience.
const slowest = 10 * time.Second

// slowed returns what an operation costs now.
func (d *Disk) slowed(o *op, cost time.Duration) time.Duration {
	if l := d.strike(FaultSlow, o.path); l != nil {
		return max(cost, min(cost*time.Duration(max(l.N, 1)), slowest))
	}
	return cost
}

// stall holds an operation that a stall strikes. Blocks.
func (d *Disk) stall(o *op) {
	if l := d.strike(FaultStall, o.path); l != nil {
		d.faults.stalled.Wait(d.k, opNames[o.kind], l.until, sim.CannotCancel)
	}
}
