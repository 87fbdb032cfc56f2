package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/klammlog/klamm/checker/history"
	"github.com/klammlog/klamm/node/client"
	"github.com/klammlog/klamm/node/client/cluster"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
)

// A workload is what klamm record does to a topic. All of it is tasks of one host.
type workload struct {
	f       *recordFlags
	c       *call
	topic   string
	config  client.ProducerConfig
	journal *journal
	meter   *meter
	errs    io.Writer

	label   string // what the values of this run begin with
	parts   []kafka.TopicPartition
	begins  []kafka.Offset // by partition: what it held before
	records history.RecordID
	left    int           // records to be sent; -1: until the end
	until   kafka.Instant // of the sending
	sending int           // producers that have not ended

	acked, failed, unknown, read, readBack int
}

// minValue is how many bytes the beginning of a value may have.
const minValue = 32

// run makes the run. Blocks.
func (w *workload) run() error {
	if err := w.prepare(); err != nil {
		return err
	}
	w.left, w.until = -1, w.c.w.Now().Add(w.f.duration)
	if w.f.sends > 0 {
		w.left, w.until = w.f.sends, kafka.Never
	}
	tasks := env.NewGroup(w.c.w, "workload")
	var firstErr error
	start := func(name string, f func(string) error) {
		tasks.Go(name, func() {
			if err := f(name); err != nil && firstErr == nil {
				firstErr = fmt.Errorf("%s: %w", name, err)
			}
		})
	}
	w.sending = w.f.producers
	for i := range w.f.producers {
		start("p"+strconv.Itoa(i+1), w.produce)
	}
	for i := range w.f.consumers {
		start("c"+strconv.Itoa(i+1), w.consume)
	}
	start("lister", w.ask)
	err := tasks.Wait(kafka.Never)
	if err == nil {
		err = firstErr
	}
	if err == nil {
		err = w.readAll("reader")
	}
	if closeErr := w.journal.close(); err == nil || errors.Is(err, env.ErrCanceled) && closeErr != nil {
		err = closeErr
	}
	w.meter.clear()
	if err == nil {
		w.tell()
	}
	return err
}

// tell sums the run up.
func (w *workload) tell() {
	fmt.Fprintf(w.errs, "klamm: %d sends: %d acknowledged, %d failed, %d unknown; %d records read, %d read back\n",
		w.acked+w.failed+w.unknown, w.acked, w.failed, w.unknown, w.read, w.readBack)
}

// prepare creates the topic if there is none, and writes the head of the history.
// Blocks.
func (w *workload) prepare() error {
	t, err := w.findTopic()
	if err != nil {
		return err
	}
	for _, p := range t.Partitions {
		w.parts = append(w.parts, kafka.TopicPartition{Topic: w.topic, Partition: p.ID})
	}
	ends, err := w.c.client.Offsets(placesAt(w.parts, client.Latest()), w.c.deadline)
	if err != nil {
		return err
	}
	w.label = fmt.Sprintf("%08x", uint32(w.c.w.Wall())^w.c.w.Rand("run").Uint32())
	demands, err := w.demands()
	if err != nil {
		return err
	}
	acks, delivery := history.Acks(w.config.Acks), w.delivery()
	head := history.File{Demands: demands, Note: w.f.note, Sends: history.SendDefaults{Acks: &acks, Delivery: &delivery}}
	if err := w.journal.Begin(head); err != nil {
		return err
	}
	for i, e := range ends {
		w.begins = append(w.begins, e.Offset)
		if e.Offset > 0 {
			at := w.partition(i)
			w.journal.Mark(w.journal.now(), history.LogBegins, &at, history.Offset(e.Offset), "")
		}
	}
	return nil
}

// findTopic returns the topic, which it creates if there is none. A cluster may know
// of a topic a while after it was created. Blocks.
func (w *workload) findTopic() (cluster.Topic, error) {
	t, err := w.c.topic(w.topic)
	if !errors.Is(err, kafka.ErrUnknownTopicOrPartition) {
		return t, err
	}
	results, err := w.c.client.CreateTopics([]client.NewTopic{{Name: w.topic, Partitions: w.f.partitions, Replicas: -1}}, w.c.deadline)
	if err == nil && !errors.Is(results[0].Err, kafka.ErrTopicAlreadyExists) {
		err = results[0].Err
	}
	if err != nil {
		return t, err
	}
	for {
		t, err := w.c.topic(w.topic)
		if err == nil || client.OutcomeOf(err) != kafka.Retriable || w.c.w.Now() >= w.c.deadline {
			return t, err
		}
		if err := w.c.w.Sleep(50 * time.Millisecond); err != nil {
			return t, err
		}
	}
}

func (w *workload) partition(i int) history.Partition {
	return history.Partition{Topic: w.topic, Index: w.parts[i].Partition}
}

// over reports whether the sending is to end.
func (w *workload) over() bool {
	return w.left == 0 || w.c.w.Now() >= w.until || w.c.told()
}

// connect returns a client of a process's own. Blocks.
func (w *workload) connect(process string) (*client.Client, error) {
	config := client.DefaultConfig(strings.Split(w.f.bootstrap, ",")...)
	config.ClientID = "klamm-record-" + process
	return client.New(w.c.w, config)
}

// value returns a value that carries its record's identity.
func (w *workload) value(id history.RecordID) []byte {
	b := fmt.Appendf(nil, "%s-%d ", w.label, id)
	for len(b) < w.f.valueSize {
		b = append(b, byte('a'+(len(b)*7+int(id))%26))
	}
	return b
}

// identity returns the identity that a value of this run carries.
func (w *workload) identity(value []byte) history.RecordID {
	rest, ours := bytes.CutPrefix(value, []byte(w.label+"-"))
	number, _, ok := bytes.Cut(rest, []byte(" "))
	id, err := strconv.ParseUint(string(number), 10, 64)
	if !ours || !ok || err != nil {
		return history.NoRecord
	}
	return history.RecordID(id)
}

// ask looks up offsets until the producers have ended. Blocks.
func (w *workload) ask(name string) error {
	c, err := w.connect(name)
	if err != nil {
		return err
	}
	defer c.Close(kafka.Never)
	began := w.c.w.Wall()
	for n := 0; w.sending > 0; n++ {
		i := w.c.w.Rand("lookups").IntN(len(w.parts))
		q := []history.Query{history.Latest, history.Earliest, history.ByTime}[n%3]
		asked := began + kafka.Timestamp(w.c.w.Rand("lookups").Int64N(int64(w.c.w.Wall()-began)+1))
		from := map[history.Query]client.Start{history.Latest: client.Latest(), history.Earliest: client.Earliest(), history.ByTime: client.AtTime(asked)}[q]
		w.journal.ListOffsets(w.journal.id(name, 0), w.partition(i), q, history.Timestamp(asked))
		found, err := c.Offsets([]client.Place{{Partition: w.parts[i], From: from}}, w.c.w.Now().Add(5*time.Second))
		switch {
		case errors.Is(err, env.ErrCanceled):
			return err
		case err != nil:
			w.journal.Ended(w.journal.id(name, 0), history.KindListOffsets, history.Failed, err.Error())
		default:
			w.journal.Answered(w.journal.id(name, 0), history.Offset(found[0].Offset), history.Timestamp(found[0].Timestamp))
		}
		if err := w.c.w.Sleep(50 * time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}
