package commitlog

import (
	"slices"
	"testing"

	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/sim"
)

// What a manifest says that was never synced may be in memory only. Open acts on it
// after it has made it durable: a power loss at any step of it leaves the log as it
// was or as it was to be (docs/bugs/0067.md).
func TestNothingIsRemovedForWhatIsInMemoryOnly(t *testing.T) {
	for _, c := range []struct {
		name string
		does func(*Log) error
		ends []kafka.Offset
	}{
		{"reset", func(l *Log) error { return l.Reset(1000) }, []kafka.Offset{300, 1000}},
		{"truncation", func(l *Log) error { return l.Truncate(100) }, []kafka.Offset{300, 99}},
		{"log start", func(l *Log) error { _, err := l.DeleteRecords(200); return err }, []kafka.Offset{300}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for step, finished := uint64(0), false; !finished; step++ {
				r := newRig(t, sim.Options{Seed: step}, smallConfig())
				r.open()
				r.fill(100, 3, 50)
				r.inject("disk-sync-nospace disk=n/0 path=*manifest times=1")
				var err error
				r.do(func() { err = c.does(r.log) })
				if err == nil {
					t.Fatal("it took effect")
				}
				r.kill()
				r.node.Go("open", func() { err, finished = r.openErr(), true })
				until := r.k.Steps() + step
				r.k.Run(kafka.Never-1, func() bool { return r.k.Steps() >= until || finished })
				crashLog(t, r, "posix")
				r.do(func() { err = r.openErr() })
				if err != nil {
					t.Fatalf("power lost at step %d of Open: %v", step, err)
				}
				if !slices.Contains(c.ends, r.log.End()) {
					t.Errorf("power lost at step %d of Open: the log ends at %d, want one of %v", step, r.log.End(), c.ends)
				}
				r.k.Close()
			}
		})
	}
}
