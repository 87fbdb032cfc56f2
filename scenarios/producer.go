package scenarios

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/klammlog/klamm/checker/history"
	"github.com/klammlog/klamm/node/client"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/record"
)

// A producerClient sends its share of the records to partitions drawn at random.
// If its process dies it comes back as a new producer and goes on.
type producerClient struct {
	machine
	config client.ProducerConfig
	draws  *rand.Rand
	left   int // records still to be sent
	kept   int // of them, those kept until the faults have ended: service must go on
	pause  time.Duration

	backdates bool // its records have timestamps of the past

	open   []history.SendHandle // without an answer
	broken map[int32]bool       // partitions to which a record was sent that is too large
	done   bool
}

// newProducer draws how a producer sends. The history says what each send was
// promised, so that producers of all kinds can share partitions.
func (r *run) newProducer(name string, sends int) *producerClient {
	draws := r.k.Rand("workload/" + name)
	c := client.DefaultProducer()
	c.Linger = pick(draws, 0, time.Millisecond, 20*time.Millisecond)
	c.BatchSize = pick(draws, 200, 2000, 16384)
	c.DeliveryTimeout = pick(draws, 2*time.Minute, 2*time.Minute, 5*time.Second)
	c.Compression.Codec = pick(draws, record.None, record.None, record.Gzip, record.Lz4, record.Zstd)
	c.MaxInFlight = 1 + draws.IntN(5)
	switch kind := draws.IntN(8); {
	case len(r.producers) < r.options.Strict && kind < 2:
	case kind == 0:
		c.Idempotent, c.Acks = false, kafka.AcksNone
	case kind == 1:
		c.Idempotent, c.Acks = false, kafka.AcksLeader
	case kind == 2:
		c.Idempotent, c.MaxInFlight, c.Retries = false, 1, 0
	}
	if len(r.producers) >= r.options.Producers-r.options.Plain {
		c.Idempotent, c.Acks, c.Retries = false, kafka.AcksAll, client.DefaultProducer().Retries
	}
	c.FirstSequence = firstSequence(r.k.Rand("sequence/" + name))
	p := &producerClient{config: c, draws: draws, left: sends, kept: sends / 10, broken: map[int32]bool{}}
	p.pause = 2 * r.options.Safety * meanBurst / time.Duration(max(sends, 1))
	p.backdates = r.options.Backdated > 0 && draws.IntN(2) == 0
	p.machine = r.newMachine(name, p.main)
	return p
}

// assureAcks has the first producer wait for all replicas if none would wait for an
// answer that promises anything: there has to be something that may not be lost.
func (r *run) assureAcks() {
	if len(r.producers) > 0 && !slices.ContainsFunc(r.producers, (*producerClient).promised) {
		c := &r.producers[0].config
		c.Idempotent, c.Acks = true, kafka.AcksAll
	}
}

// promised reports whether what is acknowledged to the producer may not be lost.
func (p *producerClient) promised() bool {
	a := p.config.Acks
	return a == kafka.AcksAll || a == kafka.AcksLeader && !p.r.options.clustered()
}

// firstSequence draws where a producer's sequences begin: one in four wraps during
// the run.
func firstSequence(draws *rand.Rand) kafka.Sequence {
	if draws.IntN(4) != 0 {
		return 0
	}
	return kafka.Sequence(math.MaxInt32 - draws.Int32N(300))
}

// meanBurst is how many records are sent at once on average.
const meanBurst = 6

func (p *producerClient) finished() bool { return p.done }

// pending says why the producer has not finished, or "".
func (p *producerClient) pending() string {
	if p.done {
		return ""
	}
	return fmt.Sprintf("%s has %d records left to send and %d without an answer", p.node.Name(), p.left, len(p.open))
}

// died gives the sends in flight the only answer there is: nobody knows.
func (p *producerClient) died() {
	for _, h := range p.open {
		h.Unknown("the client died")
	}
	p.open = nil
}

// main is the life of one incarnation.
func (p *producerClient) main() {
	c, err := client.New(p.world, p.r.clientConfig(p.node.Name()))
	if err != nil {
		panic(err)
	}
	producer, err := c.NewProducer(p.config)
	if err != nil {
		panic(err)
	}
	for p.left > 0 || p.r.needsMore() || p.owes() {
		burst := 1 + p.draws.IntN(2*meanBurst-1)
		p.left = max(p.left, 1)
		for range min(burst, p.left) {
			p.left--
			p.send(producer)
		}
		p.world.Sleep(time.Duration(p.draws.Int64N(int64(p.pause))))
		for p.left <= p.kept && !p.r.healed {
			p.world.Sleep(10 * time.Millisecond)
		}
	}
	// A result can wait for the end of the faults; the run's own bound is on
	// top of this.
	producer.Flush(kafka.Never)
	producer.Close(kafka.Never)
	c.Close(kafka.Never)
	for len(p.open) > 0 {
		p.world.Sleep(time.Millisecond)
	}
	p.done = true
}

// owes reports whether nothing was acknowledged yet of what may not be lost: there was
// nothing then to be judged. Faults, and what they leave behind, can last for as long as
// one request, and all sends fail meanwhile. Where clocks are so far apart that brokers
// refuse all timestamps nothing ever will be.
func (p *producerClient) owes() bool {
	return p.r.healed && !p.r.options.Unrestricted && !p.r.clocksApart() && p.promised() && p.r.assured == 0
}

// needsMore reports whether there were too few operations yet.
func (r *run) needsMore() bool { return r.history.History().Operations() < r.options.Least }

// send sends one record and leaves a task behind that awaits its result.
func (p *producerClient) send(producer *client.Producer) {
	partition := p.draws.Int32N(p.r.options.Partitions)
	if p.r.givenUp(partition) {
		return
	}
	rec, s := p.compose(partition)
	if max := p.r.options.MessageMax; max > 0 && int64(len(rec.Value)) >= max {
		p.broken[partition] = true
	}
	broken := p.broken[partition]
	h := p.r.history.Send(s)
	p.open = append(p.open, h)
	d, err := producer.SendTo(partition, rec)
	if err != nil {
		p.settle(h)
		h.Failed(err.Error())
		return
	}
	p.world.Go("await delivery", func() {
		result, err := d.Wait(kafka.Never)
		if err != nil {
			return // canceled: the process ends
		}
		p.settle(h)
		conclude(h, result)
		p.noteUndelivered(s, result, broken)
		if result.Outcome == client.Acked {
			p.r.noteAck()
			if p.promised() {
				p.r.assured++
			}
			p.r.stamps = append(p.r.stamps, result.Timestamp)
			p.r.observer.acked(partition, result)
		}
	})
}

func (p *producerClient) settle(h history.SendHandle) {
	if i := slices.Index(p.open, h); i >= 0 {
		p.open = slices.Delete(p.open, i, i+1)
	}
}

// patient reports whether the producer tries again until it is told how it went:
// its time is longer than that of all faults and what they leave behind.
func (p *producerClient) patient() bool {
	return p.config.Idempotent && p.config.DeliveryTimeout > p.r.options.Safety+livenessBound/4
}

// noteUndelivered notes a record that a patient producer did not get acknowledged.
// A record that the topic does not take is not one of them, and what is sent behind
// it may end without anybody knowing how: its sequences follow one that never
// comes.
func (p *producerClient) noteUndelivered(s history.Send, r client.Result, broken bool) {
	switch {
	case !p.patient(), r.Outcome == client.Acked:
	case broken && (r.Outcome == client.Unknown || errors.Is(r.Err, kafka.ErrMessageTooLarge)):
	default:
		p.r.undelivered = append(p.r.undelivered, Violation{Guarantee: delivers,
			Sentence: fmt.Sprintf("%s-%d send #%d of %s ended as %s: %v", topicName, s.Partition, s.Seq, p.node.Name(), r.Outcome, r.Err)})
	}
}

func conclude(h history.SendHandle, r client.Result) {
	switch r.Outcome {
	case client.Acked, client.Sent:
		h.Acked(history.Offset(r.Offset), history.Timestamp(r.Timestamp))
	case client.Failed:
		h.Failed(r.Err.Error())
	default:
		h.Unknown(r.Err.Error())
	}
}

// compose makes a record that carries its identity.
func (p *producerClient) compose(partition int32) (client.Record, history.Send) {
	id := p.r.history.NextRecord()
	rec := client.Record{Topic: topicName, Timestamp: p.timestamp()}
	if n := p.r.options.Tombstones; n > 0 && p.draws.IntN(n) == 0 {
		rec.Headers = []record.Header{{Key: identityHeader, Value: history.AppendIdentity(nil, id)}}
	} else {
		rec.Value = p.value(id)
	}
	rec.Key = p.key()
	if p.draws.IntN(8) == 0 {
		rec.Headers = append(rec.Headers, record.Header{Key: "from", Value: []byte(p.node.Name())})
	}
	part := p.r.history.Partition(topicName, partition)
	return rec, history.Send{
		Client: p.id, Incarnation: p.incarnation, Partition: part, Seq: p.nextSeq(partition), Record: id,
		Key: history.KeyDigest(rec.Key), Digest: digestOf(rec), Tombstone: rec.Value == nil,
		Acks: history.Acks(p.config.Acks), Delivery: p.delivery(),
	}
}

// identityHeader is where a record without a value carries its identity.
const identityHeader = "id"

// identityOf returns the identity that a record carries.
func identityOf(rec client.Record) history.RecordID {
	if rec.Value == nil {
		for _, h := range rec.Headers {
			if h.Key == identityHeader {
				return history.IdentityOf(h.Value)
			}
		}
	}
	return history.IdentityOf(rec.Value)
}

func digestOf(rec client.Record) history.Digest {
	var headers []history.Header
	for _, h := range rec.Headers {
		headers = append(headers, history.Header{Key: h.Key, Value: h.Value})
	}
	return history.DigestOf(rec.Key, rec.Value, headers)
}

func (p *producerClient) key() []byte {
	if n := p.r.options.Keys; n > 0 {
		return fmt.Appendf(nil, "k%d", p.draws.IntN(n))
	}
	return fmt.Appendf(nil, "%s-%d", p.node.Name(), p.draws.IntN(50))
}

// value returns the identity and drawn many bytes.
func (p *producerClient) value(id history.RecordID) []byte {
	value := history.AppendIdentity(nil, id)
	n := p.draws.IntN(p.r.options.ValueMax + 1)
	if one := p.r.options.Oversized; one > 0 && p.draws.IntN(one) == 0 {
		n = int(p.r.options.MessageMax)
	}
	for len(value) < n {
		value = append(value, byte('a'+len(value)%23))
	}
	return value
}

// timestamp returns what a record says of its time: 0 for now, or something in
// the past.
func (p *producerClient) timestamp() kafka.Timestamp {
	past := p.r.options.Backdated
	if past == 0 || !p.backdates {
		return 0
	}
	return p.world.Wall() - kafka.Timestamp(p.draws.Int64N(past.Milliseconds()))
}

func (p *producerClient) delivery() history.Delivery {
	switch {
	case p.config.Idempotent:
		return history.Idempotent
	case p.config.MaxInFlight == 1 && p.config.Retries == 0 && p.config.Acks != kafka.AcksNone:
		return history.OneInFlight
	}
	return history.Plain
}
