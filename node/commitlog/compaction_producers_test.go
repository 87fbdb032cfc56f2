package commitlog

import (
	"testing"

	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/record"
	"github.com/klammlog/klamm/sim"
)

// What a producer sent above the high watermark may be cut off again: of what it sent
// below, a replica that fetches the compacted log anew learns where the producer is
// (docs/bugs/0092.md).
func TestCompactionKeepsAProducersLastBatchThatIsDecided(t *testing.T) {
	for _, end := range []string{"none", "clean", "kill without snapshots"} {
		t.Run(end, func(t *testing.T) {
			r := newRig(t, sim.Options{Seed: 1}, compactConfig())
			r.open()
			p := kafkaProducer{id: 5}
			r.append(p.batch(3))
			last := p.batch(3)
			at := r.append(last)
			r.fill(40, 3, 50) // with the same keys
			decided := r.log.End()
			next := p.batch(3)
			r.append(next)
			r.fill(40, 3, 50)
			switch end {
			case "clean":
				r.close()
				r.open()
			case "kill without snapshots":
				r.settle()
				r.kill()
				r.removeSnapshots()
				r.open()
			}
			var kept [][]byte
			r.must(func() (err error) {
				if err = r.log.Checkpoint(); err == nil {
					err = r.log.CompactBelow(0, decided)
				}
				if err == nil {
					err = r.log.Truncate(decided)
				}
				if err == nil {
					kept, err = readAll(r.log, 0, 1<<20)
				}
				return err
			})
			if s := r.log.Stats(); s.Compactions != 1 {
				t.Fatalf("%d compactions", s.Compactions)
			}
			other := newRig(t, sim.Options{Seed: 2}, compactConfig())
			other.open()
			for _, b := range kept {
				v, _, err := record.View(b)
				if err != nil || v.BaseOffset() < at.End && v.Count() > 0 {
					t.Fatalf("the batch at %d was not compacted: %d records, %v", v.BaseOffset(), v.Count(), err)
				}
				other.must(func() error {
					a, err := other.log.AppendReplica(b)
					if err == nil {
						err = other.log.WaitHeld(a, kafka.Never)
					}
					return err
				})
			}
			for name, r := range map[string]*rig{"the log": r, "a replica fetched anew": other} {
				if v, _, err := record.View(last); err != nil || !r.log.Recognises(v) {
					t.Errorf("%s: the producer's last batch is not recognised: %v", name, err)
				}
				if a := r.append(next); a.Duplicate || a.Base != decided {
					t.Errorf("%s: the producer goes on with %+v", name, a)
				}
			}
		})
	}
}

// A replica that fetches a compacted log anew recognises all that a producer may send
// again, and not its last batch alone (docs/bugs/0094.md).
func TestCompactionKeepsWhatAProducerMaySendAgain(t *testing.T) {
	r := newRig(t, sim.Options{Seed: 1}, compactConfig())
	r.open()
	p := kafkaProducer{id: 5}
	var sent [][]byte
	for range 7 {
		sent = append(sent, p.batch(3))
		r.append(sent[len(sent)-1])
	}
	r.fill(60, 3, 50) // with the same keys
	var kept [][]byte
	r.must(func() (err error) {
		if err = r.log.Checkpoint(); err == nil {
			err = r.log.CompactBelow(0, r.log.End())
		}
		if err == nil {
			kept, err = readAll(r.log, 0, 1<<20)
		}
		return err
	})
	other := newRig(t, sim.Options{Seed: 2}, compactConfig())
	other.open()
	for _, b := range kept {
		other.must(func() error {
			a, err := other.log.AppendReplica(b)
			if err == nil {
				err = other.log.WaitHeld(a, kafka.Never)
			}
			return err
		})
	}
	for i, b := range sent {
		v, _, err := record.View(b)
		if want := i >= len(sent)-5; err != nil || other.log.Recognises(v) != want {
			t.Errorf("batch %d of %d is recognised: %v, %v", i, len(sent), !want, err)
		}
	}
	if v, _, err := record.View(kept[0]); err != nil || v.Count() != 0 {
		t.Errorf("the first batch that is left has %d records, %v", v.Count(), err)
	}
}
