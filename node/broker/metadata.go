package broker

import (
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
)

// A Source is the cluster's metadata as this node has it: what the controllers have
// decided, up to some point.
type Source interface {
	// Image returns the image, which changes with every record that is applied.
	// It may be another one when it was taken over as a whole.
	Image() *meta.Image

	// OnApply has f called after records were applied. If the image was taken over
	// as a whole they are those that make the new one, behind removals of what is
	// no more. f must not block.
	OnApply(f func([]meta.Record))

	// Applied returns the end of what is applied, WaitApplied waits for it.
	Applied() kafka.Offset
	WaitApplied(at kafka.Offset, deadline kafka.Instant) error

	// Leader returns the active controller, as far as this node knows, and its
	// term.
	Leader() (kafka.NodeID, kafka.LeaderEpoch)
}
