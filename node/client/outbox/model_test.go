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
	number uint64
	base   kafka.Offset
	count  int32
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
	number   uint64
	count    int32
	identity outbox.Identity
}

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
		if h.first == s.identity.First && h.count == s.count {
			return h.base, kafka.None
		}
	}
	if s.identity.First != was.next {
		return 0, kafka.ErrOutOfOrderSequence
	}
	base := m.write(s)
	was.next = s.identity.First.Add(s.count)
	was.window = append(was.window, heldBatch{s.identity.First, s.count, base})
	if len(was.window) > 5 {
		was.window = was.window[1:]
	}
	return base, kafka.None
}

func (m *modelBroker) write(s shipped) kafka.Offset {
	var base kafka.Offset
	if n := len(m.log); n > 0 {
		base = m.log[n-1].base + kafka.Offset(m.log[n-1].count)
	}
	m.log = append(m.log, logged{s.number, base, s.count})
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
}

// passing are the fates after which there is another attempt; all adds refusals.
var (
	passing = []string{"ok", "ok", "ok", "lost", "answer lost", "late", "not sent", "not leader"}
	all     = append([]string{"too large"}, passing...)
)

var tp = kafka.TopicPartition{Topic: "t", Partition: 0}

var errRefused = fmt.Errorf("refused: %w", kafka.ErrMessageTooLarge)

func (w *world) end(batches []*outbox.Batch) { w.ended = append(w.ended, batches...) }

// settleOne decides what becomes of the oldest request in flight: answers come
// in order.
func (w *world) settleOne(t *rapid.T) {
	b := w.inFlight[0]
	w.inFlight = w.inFlight[1:]
	s := shipped{b.Number, b.Count, b.Identity}
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
		w.end(w.o.Answer(b, outbox.Verdict{Fate: outbox.NotAppended, Err: errRefused, Final: true}))
	}
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
		"add":  func(t *rapid.T) { w.o.Add(tp, 100, w.now); w.o.Flush() },
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
		broker: modelBroker{producers: make(map[kafka.ProducerID]*remembered)},
	}
}

// judge compares what was said of each batch with the log.
func (w *world) judge(t *rapid.T) {
	times := make(map[uint64]int)
	at := make(map[uint64]kafka.Offset)
	for i, l := range w.broker.log {
		times[l.number]++
		at[l.number] = l.base
		if w.idempotent && i > 0 && l.number <= w.broker.log[i-1].number {
			t.Fatalf("batch %d stands behind batch %d", l.number, w.broker.log[i-1].number)
		}
	}
	for _, b := range w.ended {
		n := times[b.Number]
		switch {
		case w.idempotent && n > 1:
			t.Fatalf("batch %d is in the log %d times", b.Number, n)
		case b.Result.Outcome == outbox.Acked && n == 0:
			t.Fatalf("batch %d is acked and not in the log", b.Number)
		case b.Result.Outcome == outbox.Acked && w.idempotent && b.Result.Base != kafka.NoOffset && b.Result.Base != at[b.Number]:
			t.Fatalf("batch %d is acked at %d and stands at %d", b.Number, b.Result.Base, at[b.Number])
		case b.Result.Outcome == outbox.Failed && n > 0:
			t.Fatalf("batch %d has failed (%v) and is in the log", b.Number, b.Result.Err)
		}
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
			w.answer(b, shipped{b.Number, b.Count, b.Identity})
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
