package scenarios

import (
	"fmt"
	"slices"
	"time"

	"github.com/klammlog/klamm/disksim"
)

// Rot of what a process wrote itself shows when its node scrubs. So a cluster is not
// as it should be before each node that met rot has read everything again since; and
// then it is held to have, of all that rotted, what the others have.

// scrubsAfterRot is how many rounds must have ended since the faults did: the first
// of them may have begun before.
const scrubsAfterRot = 2

// unscrubbed says which node that met rot has not looked for it since, or "". It is
// asked again and again.
func (r *run) unscrubbed() string {
	for _, b := range r.brokers {
		if !b.rotted() || b.running == nil {
			continue
		}
		now := b.running.Scrubs()
		if b.scrubs.life != b.starts {
			b.scrubs.life, b.scrubs.before = b.starts, now
		}
		if n := now - b.scrubs.before; n < scrubsAfterRot {
			return fmt.Sprintf("%s has scrubbed its logs %d times since the faults ended", b.seat.name, n)
		}
	}
	return ""
}

// scrubbed is how often a node had scrubbed when somebody began to wait for it.
type scrubbed struct {
	life   int
	before uint64
}

// rotted reports whether something on the node's disk has rotted.
func (b *brokerHost) rotted() bool {
	return b.struck(func(k disksim.FaultKind) bool { return k == disksim.FaultRot })
}

// whole says that the nodes of which rot took something, and nothing else did, have
// it all again. Without a budget nobody else need have had it.
func (w *clusterWatch) whole() {
	if w.r.drawn.Unrestricted {
		return
	}
	for i := range w.hosts {
		h := &w.hosts[i]
		other := h.struck(func(k disksim.FaultKind) bool {
			return k != disksim.FaultRot && k != disksim.FaultEmpty && (k.Destroys() || k == disksim.FaultSyncRevert)
		})
		if h.rotted() && !other && h.running != nil {
			w.mended(h.id)
		}
	}
}

// scrubInterval is how often nodes scrub: all the time where disks rot, and now and
// then elsewhere.
func (o *Options) scrubInterval() time.Duration {
	if slices.Contains(o.Families, Family(disksim.FaultRot)) {
		return o.CheckInterval
	}
	return 10 * o.CheckInterval
}
