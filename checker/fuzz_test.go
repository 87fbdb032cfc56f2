package checker

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/klammlog/klamm/checker/history"
)

// Whatever a history tells, the judges come to an end, and the report is that of
// the history as it was written.
func FuzzJudge(f *testing.F) {
	for seed := range uint64(8) {
		rng := rand.New(rand.NewPCG(seed, 8))
		var b bytes.Buffer
		if err := history.Encode(&b, chaos(rng).build()); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes(), seed)
	}
	f.Fuzz(func(t *testing.T, text []byte, seed uint64) {
		h, err := history.Decode(bytes.NewReader(text), history.Limits{Line: 1 << 16, Ops: 1000, Records: 10000})
		if err != nil {
			return
		}
		d := randomDemands(rand.New(rand.NewPCG(seed, 9)))
		r := Judge(h, d)
		_ = r.String()
	})
}

// A history that was written and read back is judged as before.
func TestDecodedHistoriesAreJudgedTheSame(t *testing.T) {
	for seed := range uint64(500) {
		rng := rand.New(rand.NewPCG(seed, 10))
		s, d := randomSketch(rng)
		h := s.build()
		var b bytes.Buffer
		if err := history.Encode(&b, h); err != nil {
			t.Fatal(err)
		}
		again, err := history.Decode(&b, history.DefaultLimits)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		want, got := Judge(h, d), Judge(again, d)
		if want.String() != got.String() {
			t.Fatalf("seed %d: judged\n%v\nand after writing and reading it\n%v", seed, &want, &got)
		}
	}
}
