package commitlog

import (
	"testing"
	"time"

	"github.com/klammlog/klamm/disksim"
	"github.com/klammlog/klamm/disksim/media"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/sim"
)

// While a directory cannot be synced a log goes on in its next segment only: a power loss
// could take the name of one and leave that of the one behind it.
func TestASegmentIsBegunBehindADurableNameOnly(t *testing.T) {
	cfg := smallConfig()
	cfg.Flush = FlushOS
	for seed := range uint64(60) {
		r := newRig(t, sim.Options{Seed: seed}, cfg)
		r.open()
		r.disk.Inject(disksim.Fault{Kind: disksim.FaultStall, Disk: "n/0", Path: rigPath, At: r.k.Now(), For: 20 * time.Second})
		r.must(func() error {
			for i := range 40 {
				if _, err := r.log.Append(batchOf(1, 500, kafka.Timestamp(i), nil), 1); err != nil {
					return err
				}
			}
			return nil
		})
		r.k.Run(r.k.Now().Add(10*time.Second), func() bool { return false })
		if known := r.log.segments(); len(known) != 1 || known[0].size == 0 {
			t.Fatalf("%d segments are written to, want the first", len(known))
		}
		r.node.Crash()
		r.disk.PowerLoss(media.Posix, 0)
		r.node.Restart()
		r.log, r.dir = nil, nil
		r.open()
	}
}
