package disksim

import (
	"github.com/klammlog/klamm/disksim/media"
	"github.com/klammlog/klamm/internal/assert"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/sim"
)

// A Damage is bytes of a file that a fault made wrong, lost or unreadable without
// telling anybody: what a budget of survivable faults is spent on.
type Damage struct {
	Kind     FaultKind
	At       kafka.Instant
	Path     string
	Off, End int64
}

// Damages returns all damages so far, in order of time. Faults of the whole disk
// are not among them; Struck tells those.
func (d *Disk) Damages() []Damage { return d.faults.damages }

func (d *Disk) hurt(kind FaultKind, path string, off, n int64) {
	d.faults.damages = append(d.faults.damages, Damage{kind, d.k.Now(), path, off, off + n})
}

// damage hurts a drawn place of a drawn durable file, and reports whether there
// was one.
func (d *Disk) damage(f Fault) bool {
	var names []string
	var victims []*media.Inode
	for _, name := range d.v.Files() {
		i, err := d.v.Durable(name)
		if err == nil && i.DurableSize() > 0 && matches(f.Path, name) {
			names, victims = append(names, name), append(victims, i)
		}
	}
	if len(victims) == 0 {
		return false
	}
	r := d.chance(f.Path)
	n := r.IntN(len(victims))
	off := r.Int64N(victims[n].DurableSize())
	if f.Kind == FaultRot {
		return d.Rot(names[n], off, r.UintN(8))
	}
	d.v.Spoil(victims[n], off)
	d.hit(f.Kind, names[n])
	d.hurt(f.Kind, names[n], off&^(media.PageSize-1), media.PageSize)
	return true
}

// Rot flips one bit of the durable image of a file, as the fault does, at a
// chosen place. It reports whether there is such a byte.
func (d *Disk) Rot(name string, off int64, bit uint) bool {
	i, err := d.v.Durable(name)
	if err != nil || !d.v.Rot(i, off, bit) {
		return false
	}
	d.hit(FaultRot, name)
	d.hurt(FaultRot, name, off, 1)
	return true
}

// Image returns a copy of the disk as it durably is: what a power loss leaves that
// takes everything it can.
func (d *Disk) Image() *media.Volume {
	v := d.v.Clone()
	v.PowerLoss(media.Crash{Kept: make([]uint8, v.Pending())})
	return v
}

// Replace puts another volume in the place of this one: an empty one, an earlier
// Image. It is the disk's from then on. The node has crashed.
func (d *Disk) Replace(v *media.Volume) {
	assert.That(len(d.open)+len(d.inFlight) == 0, "%s: replaced while in use", d.name)
	d.k.NoteText(sim.NoteDisk, "replace "+d.name, uint64(v.Pending()))
	d.v = v
	d.writeBackUpTo = v.Seq()
}

// Empty puts an empty disk in the place of this one. The node has crashed.
func (d *Disk) Empty() { d.Replace(media.New(d.options.Capacity)) }

// swap does what faults of the whole disk wait for a crash to do.
func (d *Disk) swap() {
	for _, kind := range []FaultKind{FaultEmpty, FaultOld} {
		if l := d.strike(kind, "."); l != nil {
			d.disarm(l)
			if l.image == nil {
				l.image = media.New(d.options.Capacity)
			}
			d.Replace(l.image)
		}
	}
}
