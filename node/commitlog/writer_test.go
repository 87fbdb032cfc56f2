package commitlog

import (
	"bytes"
	"testing"

	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/sim"
)

// Batches of one group are written together if they are small and by themselves if
// they are large, in their order and to the byte.
func TestAGroupOfSmallAndLargeBatches(t *testing.T) {
	cfg := smallConfig()
	cfg.SegmentBytes = 1 << 20
	r := newRig(t, sim.Options{Seed: 1}, cfg)
	r.open()
	var sent [][]byte
	r.must(func() error {
		var last AppendResult
		for _, size := range []int{10, 20, gatherBelow, 30, 2 * gatherBelow, gatherBelow, 40} {
			b := batchOf(1, size, 7, nil)
			a, err := r.log.Append(b, 1)
			if err != nil {
				return err
			}
			sent, last = append(sent, b), a
		}
		return r.log.WaitHeld(last, kafka.Never)
	})
	if s := r.log.Stats(); s.Groups >= s.Batches {
		t.Errorf("%d batches were written in %d groups, want a group of several", s.Batches, s.Groups)
	}
	read := func() {
		t.Helper()
		r.do(func() {
			got, err := readAll(r.log, 0, 1<<20)
			r.want(err)
			if !bytes.Equal(bytes.Join(got, nil), bytes.Join(sent, nil)) {
				t.Errorf("%d batches were read, not as the %d that were sent", len(got), len(sent))
			}
		})
	}
	read()
	r.close()
	r.open()
	read()
}
