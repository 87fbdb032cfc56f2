package txn

import (
	"bytes"
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/klammlog/klamm/node/kafka"
)

// A model remembers everything that was appended, and decides by looking through
// it from the beginning.
type model struct {
	log     []Batch // markers have First -1
	settled int
	first   map[kafka.ProducerID]Batch // the first batch of a producer, undone
}

func (m *model) end() kafka.Offset {
	if len(m.log) == 0 {
		return 0
	}
	return m.endOf(m.log[len(m.log)-1])
}

func (m *model) endOf(b Batch) kafka.Offset {
	if b.First < 0 {
		return b.Base + 1
	}
	n := int64(b.Last) - int64(b.First) + 1
	if n <= 0 {
		n += 1 << 31
	}
	return b.Base + kafka.Offset(n)
}

// of returns the batches of a producer's latest run of one epoch.
func (m *model) of(id kafka.ProducerID) []Batch {
	var out []Batch
	for _, b := range m.log {
		if b.Producer != id {
			continue
		}
		if len(out) > 0 && out[0].Epoch != b.Epoch {
			out = nil
		}
		out = append(out, b)
	}
	return out
}

// only reports whether a producer had no other epoch in the log.
func (m *model) only(id kafka.ProducerID, epoch kafka.ProducerEpoch) bool {
	for _, b := range m.log {
		if b.Producer == id && b.Epoch != epoch {
			return false
		}
	}
	return true
}

func (m *model) check(b Batch) (Verdict, Batch) {
	run := m.of(b.Producer)
	if len(run) == 0 {
		undone, ok := m.first[b.Producer]
		switch {
		case !ok:
			return Append, b
		case b.Epoch < undone.Epoch:
			return Fenced, b
		case b.Epoch == undone.Epoch && b.First != max(undone.First, 0), b.Epoch > undone.Epoch && b.First != 0:
			return OutOfOrder, b
		}
		return Append, b
	}
	epoch := run[0].Epoch
	var sent []Batch
	for _, old := range run {
		if old.First >= 0 {
			sent = append(sent, old)
		}
	}
	if b.Epoch < epoch {
		return Fenced, b
	}
	if b.Epoch > epoch || len(sent) == 0 {
		begin := kafka.Sequence(0)
		if undone, ok := m.first[b.Producer]; ok && b.Epoch == epoch && undone.Epoch == epoch && m.only(b.Producer, epoch) {
			begin = max(undone.First, 0) // there were only markers since
		}
		if b.First != begin {
			return OutOfOrder, b
		}
		return Append, b
	}
	for _, old := range sent[max(0, len(sent)-5):] {
		if old.First == b.First && old.Last == b.Last {
			return Duplicate, old
		}
	}
	last := int64(sent[len(sent)-1].Last)
	if int64(b.First) == last+1 || b.First == 0 && last == math.MaxInt32 {
		return Append, b
	}
	return OutOfOrder, b
}

// TestAgainstTheModel sends what well and badly behaved producers send.
func TestAgainstTheModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, m := &Producers{}, &model{first: map[kafka.ProducerID]Batch{}}
		t.Repeat(map[string]func(*rapid.T){
			"send":    func(t *rapid.T) { send(t, p, m) },
			"send 2":  func(t *rapid.T) { send(t, p, m) },
			"send 3":  func(t *rapid.T) { send(t, p, m) },
			"marker":  func(t *rapid.T) { marker(t, p, m) },
			"settle":  func(t *rapid.T) { settle(t, p, m) },
			"undo":    func(t *rapid.T) { undo(t, p, m) },
			"restart": func(t *rapid.T) { p = restart(t, p, m) },
			"": func(t *rapid.T) {
				if err := p.Consistent(); err != nil {
					t.Fatal(err)
				}
			},
		})
	})
}

// drawSend draws a batch that often is a repetition or the right continuation.
func drawSend(t *rapid.T, m *model) Batch {
	b := Batch{
		Producer:  kafka.ProducerID(rapid.Int64Range(1, 2).Draw(t, "producer")),
		Epoch:     kafka.ProducerEpoch(rapid.Int16Range(0, 2).Draw(t, "epoch")),
		First:     rapid.SampledFrom([]kafka.Sequence{0, 1, 3, math.MaxInt32 - 1, math.MaxInt32}).Draw(t, "first"),
		Base:      m.end(),
		Timestamp: kafka.Timestamp(rapid.Int64Range(0, 9).Draw(t, "timestamp")),
	}
	run := m.of(b.Producer)
	n := rapid.Int32Range(1, 3).Draw(t, "count")
	if len(run) > 0 && rapid.IntRange(0, 4).Draw(t, "fits") > 0 {
		old := run[rapid.IntRange(max(0, len(run)-7), len(run)-1).Draw(t, "which")]
		b.Epoch, b.First, b.Last = old.Epoch, old.First, old.Last
		if rapid.Bool().Draw(t, "repeat") && b.First >= 0 {
			return b
		}
		b.First = run[len(run)-1].Last.Add(1)
	}
	b.Last = b.First.Add(n - 1)
	return b
}

func send(t *rapid.T, p *Producers, m *model) {
	b := drawSend(t, m)
	want, original := m.check(b)
	got := p.Check(b)
	if got.Verdict != want || got.Batch != original {
		t.Fatalf("batch %+v: %s %+v, want %s %+v", b, got.Verdict, got.Batch, want, original)
	}
	if (got.Err() == nil) != (want == Append || want == Duplicate) {
		t.Fatalf("%s with error %v", got.Verdict, got.Err())
	}
	if want == Append {
		p.Record(b)
		m.log = append(m.log, b)
	}
}

func marker(t *rapid.T, p *Producers, m *model) {
	b := Batch{Producer: kafka.ProducerID(rapid.Int64Range(1, 2).Draw(t, "producer")),
		Epoch: kafka.ProducerEpoch(rapid.Int16Range(0, 2).Draw(t, "epoch")), First: -1, Last: -1, Base: m.end()}
	p.RecordMarker(b.Producer, b.Epoch, b.Base, b.Timestamp)
	m.log = append(m.log, b)
}

func settle(t *rapid.T, p *Producers, m *model) {
	m.settled = rapid.IntRange(m.settled, len(m.log)).Draw(t, "settled")
	if m.settled > 0 {
		p.Settle(m.endOf(m.log[m.settled-1]))
	}
}

func undo(t *rapid.T, p *Producers, m *model) {
	keep := rapid.IntRange(m.settled, len(m.log)).Draw(t, "kept")
	for i := len(m.log) - 1; i >= keep; i-- {
		b := m.log[i]
		m.log = m.log[:i]
		if len(m.of(b.Producer)) == 0 {
			if _, ok := m.first[b.Producer]; !ok {
				m.first[b.Producer] = b
			}
		}
	}
	p.Undo(m.end())
}

// restart goes through a snapshot. Both copies must encode to the same bytes.
func restart(t *rapid.T, p *Producers, m *model) *Producers {
	snapshot := p.Encode(nil)
	decoded, err := Decode(snapshot)
	if err != nil {
		t.Fatal(err)
	}
	if again := decoded.Encode(nil); !bytes.Equal(again, snapshot) {
		t.Fatalf("snapshot %x becomes %x", snapshot, again)
	}
	m.settled = len(m.log)
	return decoded
}

// FuzzDecode: what is decoded without an error encodes to the same bytes.
func FuzzDecode(f *testing.F) {
	p := &Producers{}
	f.Add(p.Encode(nil))
	for i := range kafka.Sequence(7) {
		p.Record(Batch{Producer: 3, Epoch: 1, First: i * 2, Last: i*2 + 1, Base: kafka.Offset(i * 2), Timestamp: 5})
	}
	p.RecordMarker(9, 4, 100, 6)
	f.Add(p.Encode(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := Decode(b)
		if err == nil && !bytes.Equal(p.Encode(nil), b) {
			t.Fatalf("%x decodes to %x", b, p.Encode(nil))
		}
	})
}

func BenchmarkCheckAndRecord(b *testing.B) {
	p := &Producers{}
	at, sequence := kafka.Offset(0), kafka.Sequence(0)
	b.ReportAllocs()
	for b.Loop() {
		batch := Batch{Producer: 1, First: sequence, Last: sequence.Add(99), Base: at}
		if p.Check(batch).Verdict != Append {
			b.Fatal("refused")
		}
		p.Record(batch)
		at, sequence = at+100, sequence.Add(100)
		p.Settle(at)
	}
}

// What lies below an offset is known, and nothing of what lies behind it.
func TestBelow(t *testing.T) {
	p := &Producers{}
	for i := range 3 {
		p.Record(Batch{Producer: 7, Epoch: 1, First: kafka.Sequence(10 * i), Last: kafka.Sequence(10*i + 9), Base: kafka.Offset(100 + 10*i), Timestamp: kafka.Timestamp(i)})
	}
	p.Record(Batch{Producer: 8, First: 0, Last: 4, Base: 130, Timestamp: 9})
	p.Settle(135)
	for _, x := range []struct {
		at      kafka.Offset
		known   int
		last    kafka.Sequence
		verdict Verdict // of the second batch, sent again
	}{{135, 2, 29, Duplicate}, {130, 1, 29, Duplicate}, {129, 1, 19, Duplicate}, {119, 1, 9, Append}, {109, 0, 0, Append}} {
		below := p.Below(x.at)
		if err := below.Consistent(); err != nil || below.Len() != x.known {
			t.Errorf("below %d: %d producers, %v", x.at, below.Len(), err)
		}
		if all := below.All(); x.known > 0 && (all[0].LastSequence != x.last || all[0].LastTimestamp != kafka.Timestamp(x.last/10)) {
			t.Errorf("below %d: %+v", x.at, all[0])
		}
		if d := below.Check(Batch{Producer: 7, Epoch: 1, First: 10, Last: 19}); d.Verdict != x.verdict {
			t.Errorf("below %d: the second batch again is %v", x.at, d.Verdict)
		}
		if again, err := Decode(below.Encode(nil)); err != nil || again.Len() != below.Len() {
			t.Errorf("below %d: %v", x.at, err)
		}
	}
	if p.Len() != 2 || p.known[7].count != 3 {
		t.Error("what was asked has changed")
	}
}
