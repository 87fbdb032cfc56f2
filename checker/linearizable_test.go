package checker

import (
	"hash/maphash"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/anishathalye/porcupine"

	"github.com/klammlog/klamm/checker/history"
)

// What porcupine is told about one operation.
type (
	appendInput struct {
		record history.RecordID
		at     history.Offset // NoOffset: wherever it gets
	}
	readInput   []history.Read
	lengthInput history.Offset
)

// logModel is a log as porcupine searches it: the state is all its records. It
// resolves nothing by itself: an ambiguous append is an operation that may happen
// at any time up to the end of days, where it does not matter any more.
var logModel = porcupine.Model{
	Init: func() any { return "" },
	Step: func(state, input, _ any) (bool, any) {
		log := state.(string)
		length := history.Offset(len(log) / recordLen)
		switch in := input.(type) {
		case appendInput:
			return in.at == history.NoOffset || in.at == length, log + encoded(in.record)
		case readInput:
			for _, r := range in {
				if r.Offset >= length || log[r.Offset*recordLen:][:recordLen] != encoded(r.Record) {
					return false, log
				}
			}
			return true, log
		default:
			return length == history.Offset(in.(lengthInput)), log
		}
	},
	Hash: func(state any) uint64 { return maphash.String(hashSeed, state.(string)) },
}

var hashSeed = maphash.MakeSeed()

// search asks porcupine, and reports false if that takes more than so many steps:
// what is both bad and ambiguous it can search only for ever.
func search(m porcupine.Model, ops []porcupine.Operation, budget int) (linearizable, searched bool) {
	steps, step := 0, m.Step
	m.Step = func(state, input, output any) (bool, any) {
		if steps++; steps > budget {
			return false, state
		}
		return step(state, input, output)
	}
	linearizable = porcupine.CheckOperations(m, ops)
	return linearizable, steps <= budget
}

const recordLen = 4

// encoded writes a record; those that nobody ever reads are unread, and alike.
func encoded(id history.RecordID) string {
	return string([]byte{byte(id >> 24), byte(id >> 16), byte(id >> 8), byte(id)})
}

const unread history.RecordID = 0xffffffff

// asOperations tells porcupine about one partition. Sends that are not idempotent
// may be there several times: once for each offset they were read at, and the
// earliest of them as often as there are offsets nobody read.
func asOperations(n naive, p history.PartitionID) []porcupine.Operation {
	var ops []porcupine.Operation
	add := func(in any, from, to history.Instant) {
		ops = append(ops, porcupine.Operation{Input: in, Call: int64(from), Return: int64(to)})
	}
	var top history.Offset
	known := map[history.Offset]bool{}
	length := func(o history.Offset, from, to history.Instant) {
		add(lengthInput(o), from, to)
		top = max(top, o)
	}
	for i := range n.h.Polls {
		q := &n.h.Polls[i]
		if q.Partition != p || q.Outcome != history.OK {
			continue
		}
		add(readInput(n.h.Records(q)), q.Invoked, q.Completed)
		for _, r := range n.h.Records(q) {
			known[r.Offset], top = true, max(top, r.Offset)
		}
		if q.End != history.NoOffset {
			length(q.End, q.Invoked, q.Completed)
		}
	}
	for _, l := range n.h.ListOffsets {
		if l.Partition == p && l.Query == history.Latest && l.Outcome == history.OK {
			length(l.Offset, l.Invoked, l.Completed)
		}
	}
	for _, b := range n.h.ReadBacks {
		if b.Partition == p && b.Outcome == history.OK {
			length(b.LogEnd, b.Invoked, b.Completed)
		}
	}
	first := history.Never
	for i := range n.h.Sends {
		s := &n.h.Sends[i]
		if s.Partition != p || s.Outcome == history.Failed {
			continue
		}
		if n.keeps(s) && s.Offset >= 0 {
			known[s.Offset], top = true, max(top, s.Offset)
		}
		n.appends(s, add)
		if s.Delivery != history.Idempotent {
			first = min(first, s.Invoked)
		}
	}
	for o := history.Offset(0); first != history.Never && o < top; o++ {
		if !known[o] {
			add(appendInput{unread, history.NoOffset}, first, history.Never)
		}
	}
	return ops
}

// appends adds the operations of one send.
func (n naive) appends(s *history.Send, add func(in any, from, to history.Instant)) {
	in, end := appendInput{s.Record, history.NoOffset}, history.Never
	read := distinct(n.readAt(s))
	if len(read) == 0 {
		in.record = unread
	}
	if n.keeps(s) && s.Offset >= 0 {
		in.at = s.Offset
		if s.Acks == history.AcksAll {
			end = s.Completed
		}
	}
	add(in, s.Invoked, end)
	if s.Delivery == history.Idempotent {
		return
	}
	copies := len(slices.DeleteFunc(read, func(o history.Offset) bool { return o == in.at }))
	if in.at == history.NoOffset {
		copies-- // the operation itself is one of them
	}
	for range copies {
		add(appendInput{s.Record, history.NoOffset}, s.Invoked, history.Never)
	}
}

// sharpen says about the appends what their reads say, for histories that are too
// ambiguous to search: an append that was read at some offset was at the lowest
// such offset that no other copy of it has, and over when it was read there first.
// Those never read go last.
func sharpen(ops []porcupine.Operation) {
	type spot struct {
		at history.Offset
		by int64
	}
	spots := map[history.RecordID][]spot{}
	for _, op := range ops {
		in, _ := op.Input.(readInput)
		for _, r := range in {
			i := slices.IndexFunc(spots[r.Record], func(s spot) bool { return s.at == r.Offset })
			if i < 0 {
				spots[r.Record] = append(spots[r.Record], spot{r.Offset, op.Return})
			} else {
				spots[r.Record][i].by = min(spots[r.Record][i].by, op.Return)
			}
		}
	}
	// Acknowledged places first: a copy must not take them.
	for _, acked := range []bool{true, false} {
		for i := range ops {
			in, ok := ops[i].Input.(appendInput)
			if !ok || (in.at != history.NoOffset) != acked {
				continue
			}
			left := spots[in.record]
			k := slices.IndexFunc(left, func(s spot) bool { return !acked || s.at == in.at })
			if k < 0 {
				continue
			}
			ops[i].Input = appendInput{in.record, left[k].at}
			ops[i].Return = max(min(ops[i].Return, left[k].by), ops[i].Call)
			spots[in.record] = slices.Delete(left, k, k+1)
		}
	}
}

// ambiguous returns how many appends may be anywhere.
func ambiguous(ops []porcupine.Operation) int {
	total := 0
	for _, op := range ops {
		in, ok := op.Input.(appendInput)
		total += count(ok && in.at == history.NoOffset)
	}
	return total
}

func distinct(o []history.Offset) []history.Offset {
	slices.Sort(o)
	return slices.Compact(o)
}

func TestLinearizableLogAgreesWithPorcupine(t *testing.T) {
	histories := uint64(6000)
	if testing.Short() {
		histories = 2000
	}
	good, bad, sharpened, leftOut := 0, 0, 0, 0
	for seed := range histories {
		rng := rand.New(rand.NewPCG(seed, 3))
		s, d := linearizableSketch(rng)
		h := s.build()
		ops := asOperations(naive{h, d}, 0)
		if ambiguous(ops) > 4 || len(ops) > 20 {
			sharpen(ops)
			sharpened++
		}
		want, searched := search(logModel, ops, 60_000)
		if !searched {
			leftOut++
			continue
		}
		r := Judge(h, d)
		if v := r.Verdict(LinearizableLog); (v.Total == 0) != want {
			t.Fatalf("seed %d: porcupine says linearizable=%v; demands %+v\n%v", seed, want, d, &r)
		}
		good += count(want)
		bad += count(!want)
	}
	t.Logf("%d good, %d bad, %d of them sharpened, %d left out", good, bad, sharpened, leftOut)
	if min(good, bad) < int(histories)/5 || leftOut > int(histories)/50 {
		t.Errorf("%d good and %d bad histories: too few of one kind, or %d left out too many", good, bad, leftOut)
	}
}

// linearizableSketch returns a small history without what the model leaves out.
func linearizableSketch(rng *rand.Rand) (*sketch, Demands) {
	var s *sketch
	d := Demands{Leaders: rng.IntN(2) == 0}
	if rng.IntN(2) == 0 {
		s = chaos(rng)
	} else {
		z := smallRun(rng)
		z.demands, z.steps, z.partitions = d, 20+rng.IntN(40), 1
		s, _ = goodRun(rng, z)
		if rng.IntN(5) > 0 {
			mutateSome(rng, s)
		}
	}
	s.marks = nil
	return s, d
}

// lineModel is a log whose every record has been resolved to its offset: the
// state is the length.
var lineModel = porcupine.Model{
	Init: func() any { return history.Offset(0) },
	Step: func(state, input, _ any) (bool, any) {
		length := state.(history.Offset)
		switch in := input.(type) {
		case appendInput:
			return in.at == length, length + 1
		case readInput:
			return len(in) == 0 || in[len(in)-1].Offset < length, length
		default:
			return length == history.Offset(in.(lengthInput)), length
		}
	},
}

// Long histories of idempotent producers, in which only instants are wrong.
func TestLinearizableLogAgreesWithPorcupineOnLongHistories(t *testing.T) {
	histories := uint64(40)
	if testing.Short() {
		histories = 10
	}
	good, bad, most := 0, 0, 0
	for seed := range histories {
		rng := rand.New(rand.NewPCG(seed, 4))
		s, d := goodRun(rng, runSize{partitions: 1, producers: 3, consumers: 3, steps: 3500, delivery: []history.Delivery{history.Idempotent}})
		for range rng.IntN(4) {
			x := &s.sends[rng.IntN(len(s.sends))]
			if x.Outcome == history.OK {
				x.Invoked -= min(x.Invoked, history.Instant(rng.IntN(50)))
				x.Completed = x.Invoked + history.Instant(rng.IntN(50))
			}
		}
		h := s.build()
		n := naive{h, d}
		ops := asOperations(n, 0)
		sharpen(ops)
		ops = slices.DeleteFunc(ops, func(op porcupine.Operation) bool {
			in, ok := op.Input.(appendInput)
			return ok && in.at == history.NoOffset // never read, though all was read: it never happened
		})
		want, searched := search(lineModel, ops, 10_000_000)
		if !searched {
			t.Fatalf("seed %d: porcupine did not get through %d operations", seed, len(ops))
		}
		r := Judge(h, d)
		if v := r.Verdict(LinearizableLog); (v.Total == 0) != want {
			t.Fatalf("seed %d: porcupine says linearizable=%v of %d operations\n%v", seed, want, len(ops), &r)
		}
		good, bad, most = good+count(want), bad+count(!want), max(most, len(ops))
	}
	t.Logf("%d good, %d bad, up to %d operations", good, bad, most)
	if min(good, bad) < int(histories)/6 {
		t.Errorf("%d good and %d bad histories: too few of one kind", good, bad)
	}
}
