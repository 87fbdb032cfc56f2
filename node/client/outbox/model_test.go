package outbox_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/klammlog/klamm/node/client/outbox"
	"github.com/klammlog/klamm/node/kafka"
)

// A modelBroker is one partition's leader as Kafka's documents describe it: it
// appends what continues a producer's sequence, remembers the last five batches,
// and refuses older epochs.
type modelBroker struct {
	log       []logged
	producers map[kafka.ProducerID]*remembered
}

// logged is a batch in the log.
type logged struct {
	records []int
	base    kafka.Offset
}

type remembered struct {
	epoch  kafka.ProducerEpoch
	next   kafka.Sequence
	window []heldBatch
}

type heldBatch struct {
	first kafka.Sequence
	count int32
	base  kafka.Offset
}

// shipped is a batch as it was when it was sent.
type shipped struct {
	records  []int // which ones, in the order in which they were added
	identity outbox.Identity
}

func (s shipped) count() int32 { return int32(len(s.records)) }

func (m *modelBroker) append(s shipped, idempotent bool) (kafka.Offset, kafka.Error) {
	if !idempotent {
		return m.write(s), kafka.None
	}
	id := s.identity.Producer
	was := m.producers[id.ID]
	if was == nil {
		was = &remembered{epoch: id.Epoch, next: s.identity.First}
		m.producers[id.ID] = was
	}
	switch {
	case id.Epoch < was.epoch:
		return 0, kafka.ErrInvalidProducerEpoch
	case id.Epoch > was.epoch && s.identity.First != 0:
		return 0, kafka.ErrOutOfOrderSequence
	case id.Epoch > was.epoch:
		*was = remembered{epoch: id.Epoch}
	}
	for _, h := range was.window {
		if h.first == s.identity.First && h.count == s.count() {
			return h.base, kafka.None
		}
	}
	if s.identity.First != was.next {
		return 0, kafka.ErrOutOfOrderSequence
	}
	base := m.write(s)
	was.next = s.identity.First.Add(s.count())
	was.window = append(was.window, heldBatch{s.identity.First, s.count(), base})
	if len(was.window) > 5 {
		was.window = was.window[1:]
	}
	return base, kafka.None
}

func (m *modelBroker) write(s shipped) kafka.Offset {
	var base kafka.Offset
	if n := len(m.log); n > 0 {
		base = m.log[n-1].base + kafka.Offset(len(m.log[n-1].records))
	}
	m.log = append(m.log, logged{s.records, base})
	return base
}

// A world is an outbox, a broker, and what travels between them.
type world struct {
	o          *outbox.Outbox
	idempotent bool
	broker     modelBroker
	now        kafka.Instant
	nextID     kafka.ProducerID
	inFlight   []*outbox.Batch // in the order they were sent
	roaming    []shipped       // given up by the client, not lost by the network
	ended      []*outbox.Batch // in the order in which they ended
	fates      []string        // what can become of a request
	records    map[*outbox.Batch][]int
	added      int
}

// passing are the fates after which there is another attempt; all adds refusals.
var (
	passing = []string{"ok", "ok", "ok", "lost", "answer lost", "late", "not sent", "not leader", "split"}
	all     = append([]string{"too large", "refused"}, passing...)
)

var tp = kafka.TopicPartition{Topic: "t", Partition: 0}

var (
	errTooLarge = fmt.Errorf("refused: %w", kafka.ErrMessageTooLarge)
	errRefused  = fmt.Errorf("refused: %w", kafka.ErrInvalidRecord)
)

func (w *world) end(batches []*outbox.Batch) { w.ended = append(w.ended, batches...) }

// settleOne decides what becomes of the oldest request in flight: answers come
// in order.
func (w *world) settleOne(t *rapid.T) {
	b := w.inFlight[0]
	w.inFlight = w.inFlight[1:]
	s := w.ship(b)
	switch rapid.SampledFrom(w.fates).Draw(t, "fate") {
	case "ok":
		w.answer(b, s)
	case "lost":
		w.unknown(b)
	case "answer lost":
		w.broker.append(s, w.idempotent)
		w.unknown(b)
	case "late":
		w.roaming = append(w.roaming, s)
		w.unknown(b)
	case "not sent":
		w.end(w.o.Answer(b, outbox.Verdict{Fate: outbox.NotAppended, Err: errors.New("not sent")}))
	case "not leader":
		w.end(w.o.Answer(b, outbox.Verdict{Fate: outbox.NotAppended, Err: kafka.ErrNotLeaderOrFollower,
			RetryAt: w.now.Add(100 * time.Millisecond)}))
	case "too large":
		w.tooLarge(t, b)
	case "split":
		if b.Splits(outbox.Verdict{Fate: outbox.NotAppended, Err: errTooLarge}) && !w.mayHave(s) {
			w.tooLarge(t, b)
		} else {
			w.answer(b, s)
		}
	case "refused":
		w.end(w.o.Answer(b, outbox.Verdict{Fate: outbox.NotAppended, Err: errRefused, Final: true}))
	}
}

// mayHave reports whether the broker has a batch, or may get it yet: then it is
// not too large, unless the limit changes.
func (w *world) mayHave(s shipped) bool {
	return slices.ContainsFunc(w.broker.log, func(l logged) bool { return slices.Contains(l.records, s.records[0]) }) ||
		slices.ContainsFunc(w.roaming, func(r shipped) bool { return slices.Contains(r.records, s.records[0]) })
}

func (w *world) ship(b *outbox.Batch) shipped { return shipped{w.records[b], b.Identity} }

// tooLarge splits a batch anywhere, where that is asked for.
func (w *world) tooLarge(t *rapid.T, b *outbox.Batch) {
	v := outbox.Verdict{Fate: outbox.NotAppended, Err: errTooLarge, Final: true}
	if !b.Splits(v) {
		w.end(w.o.Answer(b, v))
		return
	}
	var pieces []outbox.Piece
	for left := b.Count; left > 0; {
		n := rapid.Int32Range(1, min(left, b.Count-1)).Draw(t, "records of a piece")
		pieces = append(pieces, outbox.Piece{Count: n, Size: 100 * int(n)})
		left -= n
	}
	records := w.records[b]
	for _, part := range w.o.Split(b, pieces) {
		w.records[part] = records[:part.Count:part.Count]
		records = records[part.Count:]
	}
}

// add begins a batch and adds some records to it.
func (w *world) add(n int) {
	for i := range n {
		b := w.o.Add(tp, 100*(i+1), w.now)
		w.records[b] = append(w.records[b], w.added)
		w.added++
	}
	w.o.Flush()
}

func (w *world) answer(b *outbox.Batch, s shipped) {
	base, code := w.broker.append(s, w.idempotent)
	if code == kafka.None {
		w.end(w.o.Answer(b, outbox.Verdict{Fate: outbox.Appended, Base: base, Timestamp: kafka.NoTimestamp}))
		return
	}
	w.end(w.o.Answer(b, outbox.Verdict{Fate: outbox.NotAppended, Err: code,
		Final: code.Outcome() == kafka.Definite, RetryAt: w.now}))
}

func (w *world) unknown(b *outbox.Batch) {
	w.end(w.o.Answer(b, outbox.Verdict{Fate: outbox.MaybeAppended, Err: kafka.ErrNetworkException,
		RetryAt: w.now.Add(50 * time.Millisecond)}))
}

func (w *world) take() {
	if b := w.o.Take(tp, w.now); b != nil {
		w.inFlight = append(w.inFlight, b)
	}
}

// actions are what can happen, each at any time.
func (w *world) actions() map[string]func(*rapid.T) {
	return map[string]func(*rapid.T){
		"add":  func(t *rapid.T) { w.add(rapid.IntRange(1, 4).Draw(t, "records")) },
		"take": func(t *rapid.T) { w.take() },
		"settle": func(t *rapid.T) {
			if len(w.inFlight) > 0 {
				w.settleOne(t)
			}
		},
		"a late request arrives": func(t *rapid.T) {
			if len(w.roaming) == 0 {
				return
			}
			i := rapid.IntRange(0, len(w.roaming)-1).Draw(t, "which")
			w.broker.append(w.roaming[i], w.idempotent)
			w.roaming = slices.Delete(w.roaming, i, i+1)
		},
		"time passes": func(t *rapid.T) {
			w.now = w.now.Add(time.Duration(rapid.IntRange(1, 400).Draw(t, "ms")) * time.Millisecond)
			w.end(w.o.Expire(w.now))
		},
		"producer id": func(t *rapid.T) {
			if w.o.NeedsProducer() {
				w.nextID++
				w.o.SetProducer(outbox.Producer{ID: w.nextID, Epoch: 0})
			}
		},
		"": func(t *rapid.T) {
			if err := w.o.Check(); err != nil {
				t.Fatal(err)
			}
		},
	}
}

func newWorld(c outbox.Config) *world {
	return &world{
		o: outbox.New(c), idempotent: c.Idempotent, fates: all,
		broker:  modelBroker{producers: make(map[kafka.ProducerID]*remembered)},
		records: make(map[*outbox.Batch][]int),
	}
}

// judge compares what was said of each record with the log.
func (w *world) judge(t *rapid.T) {
	times := make(map[int]int)
	at := make(map[int]kafka.Offset)
	last := -1
	for _, l := range w.broker.log {
		for i, r := range l.records {
			times[r]++
			at[r] = l.base + kafka.Offset(i)
			if w.idempotent && r <= last {
				t.Fatalf("record %d stands behind record %d", r, last)
			}
			last = r
		}
	}
	told := 0
	for _, b := range w.ended {
		for i, r := range w.records[b] {
			told++
			w.judgeRecord(t, b, r, times[r], at[r]-kafka.Offset(i))
		}
	}
	if told != w.added {
		t.Fatalf("%d of %d records have a result", told, w.added)
	}
}

// judgeRecord judges what was said of one record, which is in the log n times, in
// a batch that begins at base.
func (w *world) judgeRecord(t *rapid.T, b *outbox.Batch, r, n int, base kafka.Offset) {
	switch {
	case w.idempotent && n > 1:
		t.Fatalf("record %d is in the log %d times", r, n)
	case b.Result.Outcome == outbox.Acked && n == 0:
		t.Fatalf("record %d is acked and not in the log", r)
	case b.Result.Outcome == outbox.Acked && w.idempotent && b.Result.Base != kafka.NoOffset && b.Result.Base != base:
		t.Fatalf("record %d: its batch is acked at %d and stands at %d", r, b.Result.Base, base)
	case b.Result.Outcome == outbox.Failed && n > 0:
		t.Fatalf("record %d has failed (%v) and is in the log", r, b.Result.Err)
	}
}

// finish lets the network calm down and everything arrive.
func (w *world) finish(t *rapid.T) {
	for range 10000 {
		if w.o.Len() == 0 && len(w.inFlight) == 0 {
			break
		}
		if w.o.NeedsProducer() {
			w.nextID++
			w.o.SetProducer(outbox.Producer{ID: w.nextID, Epoch: 0})
		}
		w.take()
		if len(w.inFlight) > 0 {
			b := w.inFlight[0]
			w.inFlight = w.inFlight[1:]
			w.answer(b, w.ship(b))
		}
		idle := len(w.inFlight) == 0 && len(w.o.Ready(w.now)) == 0
		if next := w.o.Next(w.now); idle && next > w.now && next != kafka.Never {
			w.now = next
			w.end(w.o.Expire(w.now))
		}
	}
	if n := w.o.Len(); n > 0 {
		t.Fatalf("%d batches never end", n)
	}
	for _, s := range w.roaming {
		w.broker.append(s, w.idempotent)
	}
}

func config(idempotent bool) outbox.Config {
	return outbox.Config{
		BatchSize: 1000, MaxInFlight: 5, DeliveryTimeout: 2 * time.Second, Retries: 1 << 30,
		Memory: 1 << 20, Idempotent: idempotent,
	}
}

func TestNothingIsAppendedTwiceLostOrMisreported(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := config(true)
		c.MaxInFlight = rapid.IntRange(1, 5).Draw(t, "in flight")
		c.Start = kafka.Sequence(rapid.SampledFrom([]int32{0, 1<<31 - 3}).Draw(t, "first sequence"))
		w := newWorld(c)
		t.Repeat(w.actions())
		w.finish(t)
		w.judge(t)
	})
}

// Whatever is lost, with patience every batch is acked: the broker's memory of
// five batches suffices.
func TestWithTimeEverythingIsAcked(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := config(true)
		c.DeliveryTimeout = 1000 * time.Hour
		c.MaxInFlight = rapid.IntRange(1, 5).Draw(t, "in flight")
		w := newWorld(c)
		w.fates = passing
		t.Repeat(w.actions())
		w.finish(t)
		w.judge(t)
		for _, b := range w.ended {
			if b.Result.Outcome != outbox.Acked {
				t.Fatalf("batch %d: %v, %v", b.Number, b.Result.Outcome, b.Result.Err)
			}
		}
	})
}

func TestWithoutIdempotenceResultsAreStillTrue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := config(false)
		c.Retries = rapid.SampledFrom([]int{0, 1, 1 << 30}).Draw(t, "retries")
		w := newWorld(c)
		t.Repeat(w.actions())
		w.finish(t)
		w.judge(t)
	})
}
