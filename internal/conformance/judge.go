package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"github.com/klammlog/klamm/checker/history"
	"github.com/klammlog/klamm/internal/conformance/talk"
)

// judge returns what there is to say of a topic that is as it should be.
func (o *ordeal) judge(t *topic) (string, error) {
	if err := errors.Join(t.allAcked(), t.sameAsSent(), t.inOrder(), t.lookedUp(), o.written(t)); err != nil {
		return "", err
	}
	file := filepath.Join(o.dir, t.name+".jsonl")
	if err := o.writeHistory(t, file); err != nil {
		return "", err
	}
	said, err := exec.Command(o.node.klamm, "check", file).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("klamm check: %w\n%s", err, said)
	}
	read := 0
	for p := range int32(partitions) {
		read += len(t.timestamps(p))
	}
	if o.idempotent == idempotent && read != o.records {
		return "", fmt.Errorf("%d records are there, %d were sent", read, o.records)
	}
	out := fmt.Sprintf("%s, %d acknowledged, %d in the log", t.codec, o.records, read)
	if n := len(t.lookups); n > 0 {
		out += fmt.Sprintf(", %d looked up by time", n)
	}
	return out + ": held", nil
}

// allAcked: clients that may retry for ever have no reason to give up.
func (t *topic) allAcked() error {
	for n, a := range t.acks[1:] {
		if a.Number == 0 {
			return fmt.Errorf("record %d was neither acknowledged nor refused", n+1)
		}
		if a.Error != "" {
			return fmt.Errorf("record %d: %s", n+1, a.Error)
		}
	}
	return nil
}

// sameAsSent compares what was read with what was sent, timestamps included,
// which the history does not know.
func (t *topic) sameAsSent() error {
	for i := range t.final {
		for _, r := range t.final[i].Records {
			n := numberOf(&r.Record)
			if n < 1 || n >= len(t.acks) {
				return fmt.Errorf("offset %d: a record nobody sent: key %q value %q", r.Offset, r.Key, r.Value)
			}
			want := recordOf(n, t.style, t.begin)
			if d := difference(&want, &r.Record); d != "" {
				return fmt.Errorf("offset %d, record %d: %s", r.Offset, n, d)
			}
		}
	}
	return nil
}

// inOrder checks that the records of each partition first appear in the order in
// which they were sent.
func (t *topic) inOrder() error {
	var last [partitions]int
	seen := make([]bool, len(t.acks))
	for i := range t.final {
		p := t.final[i].Partition
		for _, r := range t.final[i].Records {
			n := numberOf(&r.Record)
			if n < 1 || n >= len(seen) || seen[n] {
				continue
			}
			if seen[n] = true; n < last[p] {
				return fmt.Errorf("partition %d offset %d: record %d appears behind record %d", p, r.Offset, n, last[p])
			}
			last[p] = n
		}
	}
	return nil
}

// lookedUp compares the answers with the first record not older, found the long
// way.
func (t *topic) lookedUp() error {
	for _, l := range t.lookups {
		want := int64(slices.IndexFunc(t.timestamps(l.Partition), func(ts int64) bool { return ts >= l.Asked }))
		if l.Offset != want {
			return fmt.Errorf("partition %d, first record from %d on: answer %d, want %d", l.Partition, l.Asked, l.Offset, want)
		}
	}
	return nil
}

// written checks that batches were compressed and numbered as the client was
// asked to: clients fall back silently if they mistrust a broker. A batch that does
// not get smaller may be left as it is.
func (o *ordeal) written(t *topic) error {
	first, err := o.node.firstRecords(t.name, 0, 500)
	if err != nil {
		return err
	}
	compressed := 0
	for _, r := range first {
		codec := allCodecs[r.Attrs.CompressionType()]
		if codec == t.codec {
			compressed++
		} else if codec != "none" {
			return fmt.Errorf("offset %d: written with codec %s, asked for %s", r.Offset, codec, t.codec)
		}
		if numbered := r.ProducerID >= 0; numbered != (o.idempotent == idempotent) {
			return fmt.Errorf("offset %d: written with producer id %d", r.Offset, r.ProducerID)
		}
	}
	if compressed < len(first)/2 {
		return fmt.Errorf("%d of %d records were written with codec %s", compressed, len(first), t.codec)
	}
	return nil
}

// An event is something to be put into the history.
type event struct {
	at  int64
	put func()
}

// A transcript turns what clients told into a history.
type transcript struct {
	r       *history.Recorder
	now     history.Instant
	zero    int64 // the instant at which the history begins
	topic   *topic
	program *program
}

// writeHistory writes the history of a topic.
func (o *ordeal) writeHistory(t *topic, file string) error {
	x := &transcript{zero: t.invoked[1], topic: t, program: o.program}
	x.r = history.NewTranscriber(func() history.Instant { return x.now })
	var events []event
	for n := 1; n < len(t.acks); n++ {
		events = append(events, event{x.invoked(n), func() { x.send(n) }})
	}
	for _, p := range inPieces(t.follow) {
		events = append(events, event{p.Invoked, func() { x.poll(&p, "follower", false) }})
	}
	for _, p := range inPieces(t.final) {
		events = append(events, event{p.Invoked, func() { x.poll(&p, "reader", true) }})
	}
	for p := range t.back {
		events = append(events, event{t.back[p].invoked, func() { x.back(int32(p)) }})
	}
	for i := range t.lookups {
		events = append(events, event{t.lookups[i].Invoked, func() { x.lookup(&t.lookups[i]) }})
	}
	x.zero = slices.MinFunc(events, byInstant).at
	slices.SortStableFunc(events, byInstant)
	for _, e := range events {
		e.put()
	}
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	return errors.Join(history.Encode(out, x.r.History()), out.Close())
}

// pollPiece is how many records are in one poll of the history at most: kcat tells
// all that it reads of a partition as one, and a line of a history has a bound.
const pollPiece = 100_000

// inPieces cuts large polls into several, one behind the other, of the same time.
func inPieces(polls []talk.Poll) []talk.Poll {
	var out []talk.Poll
	for _, p := range polls {
		for len(p.Records) > pollPiece {
			first := p
			first.Records, first.After = p.Records[:pollPiece], p.Records[pollPiece].Offset
			out = append(out, first)
			p.Records, p.Before = p.Records[pollPiece:], first.After
		}
		out = append(out, p)
	}
	return out
}

func byInstant(a, b event) int { return cmp.Compare(a.at, b.at) }

// invoked returns when a record was sent: as the client says, or as it was told.
func (x *transcript) invoked(n int) int64 {
	if a := &x.topic.acks[n]; a.Number != 0 {
		return a.Invoked
	}
	return x.topic.invoked[n]
}

func (x *transcript) at(instant int64) { x.now = history.Instant(instant - x.zero) }

func (x *transcript) send(n int) {
	t := x.topic
	r := recordOf(n, t.style, t.begin)
	delivery := history.Idempotent
	if x.program.idempotent == oneInFlight {
		// What is in flight is a batch, and a retry writes A B again behind A B.
		// history.OneInFlight is said of single records; inOrder judges this.
		delivery = history.Plain
	}
	x.at(x.invoked(n))
	h := x.r.Send(history.Send{
		Client: x.r.Client("producer"), Partition: x.r.Partition(t.name, int32(n%partitions)), Seq: int64((n - 1) / partitions),
		Record: history.RecordID(n), Key: history.KeyDigest(r.Key), Digest: digest(&r), Acks: history.AcksAll,
		Delivery: delivery, Tombstone: r.Value == nil,
	})
	if a := &t.acks[n]; a.Number != 0 {
		x.at(a.Completed)
		h.Acked(history.Offset(a.Offset), history.Timestamp(a.Timestamp))
	}
}

func (x *transcript) poll(p *talk.Poll, client string, final bool) {
	reads := make([]history.Read, len(p.Records))
	for i := range p.Records {
		r := &p.Records[i]
		reads[i] = history.Read{
			Offset: history.Offset(r.Offset), Record: history.RecordID(numberOf(&r.Record)), Digest: digest(&r.Record), Epoch: history.NoEpoch,
		}
	}
	x.at(p.Invoked)
	h := x.r.Poll(history.Poll{
		Client: x.r.Client(client), Partition: x.r.Partition(p.Topic, p.Partition), Final: final, Before: history.Offset(p.Before),
	})
	x.at(p.Completed)
	h.Returned(reads, history.Offset(p.After), history.NoOffset)
}

func (x *transcript) back(partition int32) {
	b := &x.topic.back[partition]
	x.at(b.invoked)
	h := x.r.ReadBack(x.r.Client("reader"), x.r.Partition(x.topic.name, partition))
	x.at(b.completed)
	h.Done(history.Offset(b.begin), history.Offset(b.end))
}

func (x *transcript) lookup(l *talk.Lookup) {
	x.at(l.Invoked)
	h := x.r.ListOffsets(history.ListOffsets{
		Client: x.r.Client("reader"), Partition: x.r.Partition(l.Topic, l.Partition), Query: history.ByTime, Asked: history.Timestamp(l.Asked),
	})
	x.at(l.Completed)
	h.Answered(history.Offset(l.Offset), history.NoTimestamp)
}

func digest(r *talk.Record) history.Digest {
	headers := make([]history.Header, len(r.Headers))
	for i, h := range r.Headers {
		headers[i] = history.Header{Key: h.Name, Value: h.Value}
	}
	return history.DigestOf(r.Key, r.Value, headers)
}
