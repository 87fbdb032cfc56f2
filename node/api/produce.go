package api

import (
	"errors"
	"fmt"

	"github.com/klammlog/klamm/node/broker"
	"github.com/klammlog/klamm/node/kafka"
)

// Produce (key 0): appends record batches. 3 to 13, told from 0 on (see
// ApiVersions).
//
// All versions carry batches of magic 2, one for each partition. v5 answers with
// the log start offset, v8 with the records at fault, v9 is flexible, v10 tells
// who leads now when this node does not (KIP-951), v11 and v12 are about
// transactions. From v13 on topics are ids, and an unknown one is UNKNOWN_TOPIC_ID.
// acks=0 has no answer; if something of it fails, the connection
// is closed, so that the client looks for the leader again, as in Kafka.
//
// Requests of one connection append in the order they arrive; only waiting for
// their acks overlaps. A transactional id, or a batch of a transaction, is
// refused with INVALID_TXN_STATE. A partition that stands in the request twice is
// INVALID_REQUEST at its second place.
//
// Deviation: the records of a compressed batch are looked into only where the topic
// demands it: compaction, which needs keys, or a codec of its own. Kafka unpacks
// every batch; here its checksum and counts are checked, and a client that packs
// nonsense into a sound batch is found out by who reads it.
//
// Decoded and encoded by hand: it is hot, and a list in it can be long.

// A request has no more partitions than there could be records for in so many
// bytes, apart from a few: what each takes in memory is then no more than some
// times the request's size.
const (
	maxProduceItems  = 1 << 14
	fewProduceItems  = 64
	leastProduceItem = 64  // bytes of a batch with its partition, at least
	leastPlace       = 6   // bytes of a partition and the size of its records, at least
	weightOfItem     = 512 // bytes of memory
)

// A produceRequest is the decoded request. Records alias the frame.
type produceRequest struct {
	version       int16
	transactional bool
	acks          kafka.Acks
	timeout       int32
	topics        []produceTopic
	items         []broker.AppendItem // of all topics, in order
}

// A produceTopic is a topic's range of the items.
type produceTopic struct {
	name       string        // up to v12
	id         kafka.TopicID // from v13 on
	first, end int
}

// decodeProduce takes the request off the bytes of its body. Memory grows with
// what is really there.
func decodeProduce(body []byte, version int16) (*produceRequest, error) {
	r := produceFields{fields{b: body}, version >= 9, version >= 13}
	q := &produceRequest{version: version}
	most := min(maxProduceItems, fewProduceItems+len(body)/leastProduceItem)
	q.transactional = r.hasText()
	q.acks, q.timeout = kafka.Acks(r.int16()), r.int32()
	for range r.count() {
		t := produceTopic{first: len(q.items)}
		t.name, t.id = r.topic()
		for range r.count() {
			q.items = append(q.items, broker.AppendItem{Topic: t.name, TopicID: t.id, Partition: r.int32(), Records: r.bytes()})
			r.tags()
			if r.bad {
				return nil, fmt.Errorf("%w: produce request is cut short", errFrame)
			}
			if len(q.items) > most {
				return nil, fmt.Errorf("%w: produce request of %d bytes for more than %d partitions", errFrame, len(body), most)
			}
		}
		r.tags()
		if r.bad {
			return nil, fmt.Errorf("%w: produce request is cut short", errFrame)
		}
		t.end = len(q.items)
		if q.topics = append(q.topics, t); len(q.topics) > most {
			return nil, fmt.Errorf("%w: produce request of %d bytes for more than %d topics", errFrame, len(body), most)
		}
	}
	r.tags()
	if r.bad {
		return nil, fmt.Errorf("%w: produce request is cut short", errFrame)
	}
	return q, nil
}

// produceFields takes fields in the encoding of a version.
type produceFields struct {
	fields
	flexible bool
	ids      bool // topics are ids
}

// topic takes a topic's name or id.
func (r *produceFields) topic() (name string, id kafka.TopicID) {
	if r.ids {
		copy(id[:], r.take(len(id)))
		return "", id
	}
	return r.text(), id
}

func (r *produceFields) text() string {
	if r.flexible {
		return r.compactText()
	}
	return r.shortText()
}

// hasText passes over a nullable string and reports whether it was there.
func (r *produceFields) hasText() bool {
	if r.flexible {
		n := r.uvarint()
		r.take(max(int(n)-1, 0))
		return n > 0
	}
	n := r.int16()
	r.take(max(int(n), 0))
	return n >= 0
}

func (r *produceFields) bytes() []byte {
	if r.flexible {
		return r.compactBytes()
	}
	return r.nullableBytes()
}

// count takes the length of a list; a null one is empty.
func (r *produceFields) count() int {
	if r.flexible {
		return max(int(r.uvarint())-1, 0)
	}
	return max(int(r.int32()), 0)
}

func (r *produceFields) tags() {
	if r.flexible {
		r.skipTags()
	}
}

var errNoAnswer = errors.New("a request without an answer failed")

// beginProduce appends; the answer waits for the acks. Records are charged until the
// logs of this node have them, and not until followers do: what followers ask has to
// get in, for the answer to come. Until then the partitions count, with their places in
// the request.
func beginProduce(s *Server, call *Call) (answer, error) {
	q, err := decodeProduce(call.body, call.Version)
	if err != nil {
		return nil, err
	}
	q.refuse()
	p := &produced{s: s, request: q, append: broker.Append{
		Acks: q.acks, Deadline: call.deadlineIn(q.timeout), Items: q.items,
	}}
	f := call.frame
	p.items = f.keep(int64(leastPlace * len(q.items)))
	p.items.charge(int64(weightOfItem * len(q.items)))
	p.items.hold()
	f.hold()
	p.append.Done = func(state broker.Bytes) {
		f.dirty = f.dirty || state == broker.BytesInDoubt
		f.release()
		p.items.release()
	}
	s.broker.Append(&p.append)
	f.grow(p.append.Grown)
	call.frame, call.body = &p.items, nil
	f.release()
	if q.acks != kafka.AcksNone {
		return p, nil
	}
	for _, it := range q.items {
		if it.Err != nil {
			s.w.Probe("a connection was closed because acks=0 cannot be told of an error")
			return nil, fmt.Errorf("%w: %w", errNoAnswer, it.Err)
		}
	}
	return nil, nil
}

// refuse gives errors to what is not tried.
func (q *produceRequest) refuse() {
	type place struct {
		topic     string
		id        kafka.TopicID
		partition int32
	}
	seen := map[place]bool{}
	for i := range q.items {
		it := &q.items[i]
		at := place{it.Topic, it.TopicID, it.Partition}
		switch {
		case q.version >= 13 && it.TopicID == (kafka.TopicID{}):
			it.Err = fmt.Errorf("no topic id: %w", kafka.ErrUnknownTopicID)
		case q.transactional:
			it.Err = fmt.Errorf("%.249s-%d: transactions are not served: %w", it.Topic, it.Partition, kafka.ErrInvalidTxnState)
		case len(q.items) > 1 && seen[at]:
			it.Err = fmt.Errorf("%.249s-%d: stands in the request twice: %w", it.Topic, it.Partition, kafka.ErrInvalidRequest)
		case len(q.items) > 1:
			seen[at] = true
		}
	}
}

// produced is an append whose acks are to be waited for.
type produced struct {
	s       *Server
	request *produceRequest
	append  broker.Append
	items   frame // what is charged for the request once its bytes are not
}

func (p *produced) drop() { p.append.Release() }

func (p *produced) send(c *conn, call *Call) error {
	if err := p.s.broker.AwaitAppend(&p.append); err != nil {
		return err
	}
	e := call.encoder(c.out[:0], p.s)
	p.encode(e)
	putSize(e.b, 0)
	return c.write(e.b)
}
