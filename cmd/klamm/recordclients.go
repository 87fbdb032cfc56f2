package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/klammlog/klamm/checker/history"
	"github.com/klammlog/klamm/node/client"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
)

// A sendListener writes down what became of one send.
type sendListener struct {
	w    *workload
	name string
	op   int64
}

// Delivered implements client.Listener.
func (l sendListener) Delivered(d *client.Delivery) {
	w, r := l.w, d.Result()
	id := w.journal.id(l.name, l.op)
	switch r.Outcome {
	case client.Acked, client.Sent:
		w.acked++
		w.journal.Acked(id, history.Offset(r.Offset), history.Timestamp(r.Timestamp))
	case client.Failed:
		w.failed++
		w.journal.Ended(id, history.KindSend, history.Failed, r.Err.Error())
	default:
		w.unknown++
		w.journal.Ended(id, history.KindSend, history.Unknown, r.Err.Error())
	}
	w.journal.wake()
}

// produce sends until the sending is over, and waits for every result. Blocks.
func (w *workload) produce(name string) error {
	defer func() { w.sending-- }()
	c, err := w.connect(name)
	if err != nil {
		return err
	}
	defer c.Close(kafka.Never)
	p, err := c.NewProducer(w.config)
	if err != nil {
		return err
	}
	sendErr := w.sendAll(name, p)
	closeErr := p.Close(kafka.Never)
	return errors.Join(sendErr, closeErr)
}

// sendAll sends at the rate. Blocks.
func (w *workload) sendAll(name string, p *client.Producer) error {
	began, rate := w.c.w.Now(), w.f.rate/float64(w.f.producers)
	for op := int64(1); !w.over(); op++ {
		if err := w.journal.makeRoom(); err != nil {
			return err
		}
		if w.over() {
			return nil // second look
		}
		if err := w.send(name, op, p); err != nil {
			return err
		}
		if w.f.rate == 0 {
			continue
		}
		due := began.Add(time.Duration(float64(op) / rate * float64(time.Second)))
		for now := w.c.w.Now(); now < due && !w.over(); now = w.c.w.Now() {
			if err := w.c.w.Sleep(min(due.Sub(now), 100*time.Millisecond)); err != nil {
				return err
			}
		}
	}
	return nil
}

// send sends one record. Blocks.
func (w *workload) send(name string, op int64, p *client.Producer) error {
	w.left--
	w.records++
	id := w.records
	part := w.c.w.Rand("workload").IntN(len(w.parts))
	rec := client.Record{Topic: w.topic, Value: w.value(id)}
	if w.f.keys > 0 {
		rec.Key = fmt.Appendf(nil, "%s-%d", name, w.c.w.Rand("workload").IntN(w.f.keys))
	}
	w.journal.Send(w.journal.id(name, op), w.partition(part), rec.Key, history.Send{
		Record: id, Digest: history.DigestOf(rec.Key, rec.Value, nil), Acks: history.Acks(w.config.Acks), Delivery: w.delivery(),
	})
	d, err := p.SendTo(w.parts[part].Partition, rec)
	if err != nil { // it was not taken
		w.failed++
		w.journal.Ended(w.journal.id(name, op), history.KindSend, history.Failed, err.Error())
		if errors.Is(err, env.ErrCanceled) {
			return err
		}
		return nil
	}
	d.Listen(sendListener{w, name, op})
	w.meter.add(1, int64(len(rec.Value)), "sent")
	return nil
}

func (w *workload) delivery() history.Delivery {
	if w.config.Idempotent {
		return history.Idempotent
	}
	return history.Plain
}

// consume reads along until the producers have ended, and then whatever they left,
// or until the reading at the end has had its time. Blocks.
func (w *workload) consume(name string) error {
	c, err := w.connect(name)
	if err != nil {
		return err
	}
	defer c.Close(kafka.Never)
	config := client.DefaultConsumer()
	config.Reset = client.ResetEarliest
	consumer := c.NewConsumer(config)
	defer consumer.Close(kafka.Never)
	var places []client.Place
	for i, tp := range w.parts {
		places = append(places, client.Place{Partition: tp, From: client.At(w.begins[i])})
		w.journal.Assign(w.journal.id(name, 0), w.partition(i), history.Offset(w.begins[i]))
	}
	consumer.Assign(places...)
	for w.sending > 0 {
		if err := w.readAlong(name, consumer); err != nil {
			return err
		}
	}
	deadline := w.c.w.Now().Add(w.f.delivery)
	ends, err := c.Offsets(placesAt(w.parts, client.Latest()), deadline)
	if err != nil {
		return err
	}
	for !w.reached(consumer, ends) && w.c.w.Now() < deadline {
		if err := w.readAlong(name, consumer); err != nil {
			return err
		}
	}
	return nil
}

// readAlong makes one poll of a consumer. Blocks.
func (w *workload) readAlong(name string, consumer *client.Consumer) error {
	n, err := w.poll(name, consumer)
	w.read += n
	return err
}

// reached reports whether a consumer has read up to where the partitions ended. How
// many polls were empty says nothing of it: a broker that was killed answers none for
// a while.
func (w *workload) reached(consumer *client.Consumer, ends []client.Found) bool {
	for i, tp := range w.parts {
		if at, err := consumer.Position(tp); err != nil || at < ends[i].Offset {
			return false
		}
	}
	return true
}

// poll makes one poll and writes down what it returned. Blocks.
func (w *workload) poll(name string, consumer *client.Consumer) (int, error) {
	if err := w.journal.makeRoom(); err != nil {
		return 0, err
	}
	w.journal.Poll(w.journal.id(name, 0))
	records, err := consumer.Poll(w.c.w.Now().Add(200*time.Millisecond), 0)
	for _, r := range consumer.Resets() { // what was returned may be from behind it
		w.journal.Assign(w.journal.id(name, 0), history.Partition{Topic: r.Partition.Topic, Index: r.Partition.Partition}, history.Offset(r.To))
	}
	if err != nil {
		w.journal.Ended(w.journal.id(name, 0), history.KindPoll, history.Failed, err.Error())
		if trouble := (*client.PartitionError)(nil); !errors.As(err, &trouble) {
			return 0, err
		}
		if err := w.c.w.Sleep(100 * time.Millisecond); err != nil {
			return 0, err
		}
	} else {
		w.journal.Polled(w.journal.id(name, 0), w.polled(records))
	}
	w.journal.wake()
	return len(records), nil
}

func (w *workload) polled(records []client.Record) []history.PolledRecord {
	out := make([]history.PolledRecord, len(records))
	for i, r := range records {
		var headers []history.Header
		for _, h := range r.Headers {
			headers = append(headers, history.Header{Key: h.Key, Value: h.Value})
		}
		out[i] = history.PolledRecord{
			Partition: history.Partition{Topic: r.Topic, Index: r.Partition},
			Read: history.Read{
				Offset: history.Offset(r.Offset), Record: w.identity(r.Value),
				Digest: history.DigestOf(r.Key, r.Value, headers), Epoch: int32(r.Epoch),
			},
		}
	}
	return out
}

// readAll reads every partition from its beginning, or from where the run's
// records begin. Blocks.
func (w *workload) readAll(name string) error {
	deadline := w.c.w.Now().Add(w.f.delivery)
	c, err := w.connect(name)
	if err != nil {
		return err
	}
	defer c.Close(kafka.Never)
	for i := range w.parts {
		if err := w.readPartition(name, c, readBack{i, deadline}); err != nil {
			w.journal.Ended(w.journal.id(name, 0), history.KindReadBack, history.Failed, err.Error())
			return fmt.Errorf("%s was not read back, so the history shows little: %w", w.parts[i], err)
		}
	}
	return nil
}

// A readBack is the reading of one partition at the end.
type readBack struct {
	part     int
	deadline kafka.Instant
}

// readPartition reads one partition. Blocks.
func (w *workload) readPartition(name string, c *client.Client, b readBack) error {
	tp := w.parts[b.part]
	from, err := w.start(c, b)
	w.journal.ReadBack(w.journal.id(name, 0), w.partition(b.part), history.Offset(from))
	if err != nil {
		return err
	}
	start, err := w.start(c, b)
	if err != nil {
		return err
	}
	ends, err := c.Offsets([]client.Place{{Partition: tp, From: client.Latest()}}, b.deadline)
	if err != nil {
		return err
	}
	config := client.DefaultConsumer()
	config.Reset = client.ResetEarliest
	consumer := c.NewConsumer(config)
	defer consumer.Close(kafka.Never)
	consumer.Assign(client.Place{Partition: tp, From: client.At(from)})
	for {
		at, err := consumer.Position(tp)
		if err == nil && at >= ends[0].Offset {
			break
		}
		if w.c.w.Now() >= b.deadline {
			return fmt.Errorf("at offset %d of %d: %w", at, ends[0].Offset, env.ErrDeadline)
		}
		n, err := w.poll(name, consumer)
		if err != nil {
			return err
		}
		w.readBack += n
	}
	w.journal.Back(w.journal.id(name, 0), history.Offset(start), history.Offset(ends[0].Offset))
	return nil
}

// start returns the first offset of a partition that can be of this run. Blocks.
func (w *workload) start(c *client.Client, b readBack) (kafka.Offset, error) {
	found, err := c.Offsets([]client.Place{{Partition: w.parts[b.part], From: client.Earliest()}}, b.deadline)
	if err != nil {
		return 0, err
	}
	return max(found[0].Offset, w.begins[b.part]), nil
}
