package commitlog

import (
	"testing"

	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/record"
	"github.com/klammlog/klamm/node/txn"
	"github.com/klammlog/klamm/sim"
)

// Who begins anew behind what a producer had appended recognises it all the same, once
// its leader has told it, and does so after any end (docs/bugs/0084.md).
func TestALogInheritsProducers(t *testing.T) {
	leader := newRig(t, sim.Options{Seed: 1}, smallConfig())
	leader.open()
	p := kafkaProducer{id: 7}
	old := p.batch(3)
	leader.append(old)
	begin := leader.log.End()
	leader.append(p.batch(2))
	bequest := leader.log.Bequest(begin)
	var next [][]byte
	leader.must(func() (err error) { next, err = readAll(leader.log, begin, 1<<20); return err })
	if leader.log.Bequest(0) != nil || leader.log.Bequest(begin-1) != nil {
		t.Error("a producer is told of that had appended nothing yet")
	}
	for _, end := range []string{"none", "clean", "kill", "unplug"} {
		t.Run(end, func(t *testing.T) {
			r := newRig(t, sim.Options{Seed: 2}, smallConfig())
			r.open()
			r.fill(3, 2, 20)
			again := func() {
				switch end {
				case "clean":
					r.close()
				case "kill":
					r.kill()
				case "unplug":
					r.unplug()
				}
				if end != "none" {
					r.open()
				}
			}
			recognises := func(b []byte, want bool) {
				t.Helper()
				if v, _, err := record.View(b); err != nil || r.log.Recognises(v) != want {
					t.Errorf("the batch is recognised: %v, %v", !want, err)
				}
			}
			r.must(func() error { return r.log.Inherit(bequest) })
			recognises(old, false) // it has records, and knows by itself
			r.must(func() error { return r.log.Reset(begin) })
			recognises(old, false)
			r.must(func() error { return r.log.Inherit(bequest) })
			recognises(old, true)
			again()
			recognises(old, true)
			for _, b := range next {
				r.must(func() error {
					a, err := r.log.AppendReplica(b)
					if err == nil {
						err = r.log.WaitHeld(a, kafka.Never)
					}
					return err
				})
				recognises(b, true)
			}
			again()
			recognises(old, true)
			recognises(next[0], true)
			r.must(func() error { return r.log.Truncate(begin) }) // to nothing: it is told again
			recognises(old, false)
			r.must(func() error { return r.log.Inherit(bequest) })
			recognises(old, true)
			recognises(next[0], false)
		})
	}
}

// What is no state of producers changes nothing.
func TestALogInheritsNoRubbish(t *testing.T) {
	r := newRig(t, sim.Options{Seed: 1}, smallConfig())
	r.open()
	for _, b := range [][]byte{{}, {1}, make([]byte, 100), append((&txn.Producers{}).Encode(nil), 0)} {
		var err error
		r.do(func() { err = r.log.Inherit(b) })
		if err == nil || len(r.log.Producers()) != 0 {
			t.Errorf("%d bytes: %v, %v", len(b), err, r.log.Producers())
		}
	}
}
