package client

import (
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/klammlog/klamm/internal/assert"
	"github.com/klammlog/klamm/node/client/link"
	"github.com/klammlog/klamm/node/client/outbox"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/record"
)

// A sender encodes batches and sends them to one broker, in the order the outbox
// hands them out. A task of its own takes the answers, in the order of the
// requests: that is the order in which they come, and so results of one partition
// are told in the order of its records.
type sender struct {
	p        *Producer
	node     kafka.NodeID
	codecs   record.Codecs
	inFlight []request
	sent     env.Cond // there is another request in flight
	spare    [][]byte // memory for encoded batches
}

// A request is what is in flight.
type request struct {
	call    *link.Call
	batches []*outbox.Batch
	encoded [][]byte // in the order of the batches; nobody needs them once it is answered
	topics  []kmsg.ProduceRequestTopic
}

// newSender returns a sender to a broker, and starts its tasks.
func (p *Producer) newSender(node kafka.NodeID) *sender {
	s := &sender{p: p, node: node, sent: p.w.NewCond(fmt.Sprintf("requests to broker %d", node))}
	p.tasks.Go(fmt.Sprintf("sender to broker %d", node), s.run)
	p.tasks.Go(fmt.Sprintf("answers of broker %d", node), s.takeAnswers)
	return s
}

// run sends until the producer closes.
func (s *sender) run() {
	p := s.p
	for !p.closed {
		now := p.w.Now() // one for all that follows: what is due later is waited for
		p.expire(now)
		batches := s.collect(now)
		if len(batches) > 0 {
			s.ship(batches)
			continue
		}
		if err := p.wake.Wait(p.outbox.Next(now)); err != nil && !isDeadline(err) {
			return
		}
	}
}

// collect takes the batches of the next request: at most one of each partition
// this broker leads.
func (s *sender) collect(now kafka.Instant) []*outbox.Batch {
	p := s.p
	if len(s.inFlight) >= p.c.MaxInFlight {
		return nil
	}
	var batches []*outbox.Batch
	size := 0
	for _, tp := range p.outbox.Ready(now) {
		leader, _, ok := p.client.meta.view.Leader(tp)
		if !ok || leader.ID != s.node {
			continue
		}
		next := p.outbox.Peek(tp, now)
		if next == nil || len(batches) > 0 && size+next.Size > p.c.MaxRequestSize {
			continue
		}
		if b := p.outbox.Take(tp, now); b != nil {
			p.partitioner.Closed(tp)
			batches = append(batches, b)
			size += b.Size
		}
		if len(batches) > 0 && p.w.Buggify("a produce request carries one batch only") {
			break
		}
	}
	return batches
}

// ship sends one request and has its answer awaited. Blocks.
func (s *sender) ship(batches []*outbox.Batch) {
	p := s.p
	encoded := s.encode(batches)
	broker, ok := p.client.meta.view.Broker(s.node)
	sent := request{}
	for i, b := range batches {
		// Second look: a batch may have expired while it was encoded.
		switch {
		case b.Ended():
			p.settle(p.outbox.Answer(b, outbox.Verdict{Fate: outbox.NotAppended}))
		case !ok:
			p.settle(p.outbox.Answer(b, outbox.Verdict{Fate: outbox.NotAppended,
				Err: kafka.ErrLeaderNotAvailable, RetryAt: p.retryAt(b)}))
		default:
			sent.batches, sent.encoded = append(sent.batches, b), append(sent.encoded, encoded[i])
		}
	}
	if len(sent.batches) == 0 {
		return
	}
	req, newest := p.produceRequest(sent)
	sent.call = p.links.get(broker.Address).Start(req, link.Options{
		MinVersion: 3,
		MaxVersion: newest,
		Patience:   time.Second, // the broker's own time limit is the same
		Unanswered: p.c.Acks == kafka.AcksNone,
	})
	sent.topics = req.Topics
	s.inFlight = append(s.inFlight, sent)
	s.sent.Broadcast()
}

// takeAnswers takes what becomes of the requests, until the producer closes.
func (s *sender) takeAnswers() {
	p := s.p
	for !p.closed {
		if len(s.inFlight) == 0 {
			if s.sent.Wait(kafka.Never) != nil {
				return
			}
			continue
		}
		oldest := s.inFlight[0]
		resp, err := oldest.call.Wait(kafka.Never)
		s.inFlight = slices.Delete(s.inFlight, 0, 1)
		s.recycle(oldest.encoded)
		p.answered(oldest, resp, err)
		p.wake.Broadcast()
	}
}

// recycle keeps the memory of encoded batches that were sent.
func (s *sender) recycle(encoded [][]byte) {
	for _, b := range encoded {
		if cap(b) <= 2*s.p.c.BatchSize && len(s.spare) < s.p.mostSpare() {
			s.spare = append(s.spare, b[:0])
		}
	}
}

// An encoding is the work of making one batch's bytes.
type encoding struct {
	shipment *shipment
	builder  record.Builder
	spec     record.Spec
	producer record.Producer
	out      []byte
}

// encode builds the batches' bytes, in their order. Blocks.
func (s *sender) encode(batches []*outbox.Batch) [][]byte {
	p := s.p
	jobs := make([]encoding, len(batches))
	for i, b := range batches {
		job := &jobs[i]
		job.shipment = shipmentOf(b)
		job.shipment.read = true
		job.builder = job.shipment.builder // complete: nobody appends any more
		job.spec = record.Spec{LeaderEpoch: kafka.NoLeaderEpoch, Compression: p.c.Compression}
		if b.Assigned {
			job.producer = record.Producer{
				ID: b.Identity.Producer.ID, Epoch: b.Identity.Producer.Epoch, Sequence: b.Identity.First,
			}
			job.spec.Producer = &job.producer
		}
		if n := len(s.spare); n > 0 {
			job.out, s.spare = s.spare[n-1], s.spare[:n-1]
		}
	}
	p.w.Offload(func() {
		for i := range jobs {
			batch, err := jobs[i].builder.BuildIn(jobs[i].out, jobs[i].spec, &s.codecs)
			assert.NoError(err) // the codec was checked when the producer was made
			jobs[i].out = batch.Bytes()
		}
	})
	encoded := make([][]byte, len(batches))
	for i := range jobs {
		jobs[i].shipment.read = false
		encoded[i] = jobs[i].out
	}
	return encoded
}

// namesTopics is the last version of Produce that names topics. From the next on
// they are ids: what was meant for a topic that was deleted, and is late, does not
// get into one that was created under its name (KIP-516).
const namesTopics = 12

// produceRequest puts batches into a request, grouped by topic in the order of
// the first of each, and returns it with the newest version that can say it.
func (p *Producer) produceRequest(r request) (req *kmsg.ProduceRequest, newest int16) {
	req, newest = kmsg.NewPtrProduceRequest(), namesTopics+1
	req.Acks = int16(p.c.Acks)
	req.TimeoutMillis = int32(p.client.c.RequestTimeout.Milliseconds())
	for i, b := range r.batches {
		at := slices.IndexFunc(req.Topics, func(t kmsg.ProduceRequestTopic) bool { return t.Topic == b.Partition.Topic })
		if at < 0 {
			at = len(req.Topics)
			t := kmsg.NewProduceRequestTopic()
			t.Topic = b.Partition.Topic
			if known, ok := p.client.meta.view.Topic(t.Topic); ok {
				t.TopicID = known.ID
			}
			if t.TopicID == (kafka.TopicID{}) {
				newest = namesTopics
			}
			req.Topics = append(req.Topics, t)
		}
		part := kmsg.NewProduceRequestTopicPartition()
		part.Partition = b.Partition.Partition
		part.Records = r.encoded[i]
		req.Topics[at].Partitions = append(req.Topics[at].Partitions, part)
	}
	return req, newest
}

func (p *Producer) retryAt(b *outbox.Batch) kafka.Instant {
	return p.w.Now().Add(p.client.backOff(b.Attempts))
}

// answered takes in what became of a request.
func (p *Producer) answered(r request, resp kmsg.Response, err error) {
	var parts map[kafka.TopicPartition]*kmsg.ProduceResponseTopicPartition
	if produced, ok := resp.(*kmsg.ProduceResponse); ok {
		parts = byPartition(produced, r.topics)
	}
	for _, b := range r.batches {
		v := outbox.Verdict{Fate: outbox.Handed}
		switch part := parts[b.Partition]; {
		case err != nil:
			v = unanswered(err)
		case p.c.Acks == kafka.AcksNone:
		case part == nil:
			v = outbox.Verdict{Fate: outbox.MaybeAppended,
				Err: fmt.Errorf("%s: not in the broker's answer: %w", b.Partition, kafka.ErrUnknownServerError)}
		default:
			v = p.judge(b.Partition, part)
		}
		if v.Fate == outbox.NotAppended || v.Fate == outbox.MaybeAppended {
			p.w.Probe("a batch was not acknowledged at once")
			v.RetryAt = p.retryAt(b)
			p.lookForLeader(b.Partition, parts[b.Partition], &v)
		}
		if b.Splits(v) && p.maybeSplit(b) {
			continue
		}
		p.settle(p.outbox.Answer(b, v))
	}
}

// lookForLeader asks for newer metadata after a refusal, unless the broker named
// the leader: then the batch can go there at once.
func (p *Producer) lookForLeader(tp kafka.TopicPartition, part *kmsg.ProduceResponseTopicPartition, v *outbox.Verdict) {
	if part != nil && p.client.learn(tp, part.CurrentLeader.LeaderID, part.CurrentLeader.LeaderEpoch) {
		v.RetryAt = 0
		return
	}
	p.client.needUpdate()
}

// byPartition finds the parts of an answer to a request for some topics.
func byPartition(resp *kmsg.ProduceResponse, asked []kmsg.ProduceRequestTopic) map[kafka.TopicPartition]*kmsg.ProduceResponseTopicPartition {
	parts := make(map[kafka.TopicPartition]*kmsg.ProduceResponseTopicPartition)
	for i := range resp.Topics {
		t := &resp.Topics[i]
		if resp.Version > namesTopics {
			at := slices.IndexFunc(asked, func(a kmsg.ProduceRequestTopic) bool { return a.TopicID == t.TopicID })
			if at < 0 {
				continue
			}
			t.Topic = asked[at].Topic
		}
		for j := range t.Partitions {
			parts[kafka.TopicPartition{Topic: t.Topic, Partition: t.Partitions[j].Partition}] = &t.Partitions[j]
		}
	}
	return parts
}
