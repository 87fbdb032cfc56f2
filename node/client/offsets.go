package client

import (
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/klammlog/klamm/node/client/link"
	"github.com/klammlog/klamm/node/kafka"
)

// A Start says where in a partition to begin.
type Start struct {
	kind   startKind
	offset kafka.Offset
	time   kafka.Timestamp
}

type startKind uint8

const (
	startOffset startKind = iota
	startEarliest
	startLatest
	startTime
	startNewest
)

// At begins with the record at an offset.
func At(o kafka.Offset) Start { return Start{kind: startOffset, offset: o} }

// Earliest begins with the first record there is.
func Earliest() Start { return Start{kind: startEarliest} }

// Latest begins with the first record that is yet to come.
func Latest() Start { return Start{kind: startLatest} }

// AtTime begins with the first record whose timestamp is at least t, or as
// Latest if there is none.
func AtTime(t kafka.Timestamp) Start { return Start{kind: startTime, time: t} }

// Newest begins with the record that has the largest timestamp of all (KIP-734);
// without any record, as Latest.
func Newest() Start { return Start{kind: startNewest} }

func (s Start) String() string {
	switch s.kind {
	case startEarliest:
		return "earliest"
	case startLatest:
		return "latest"
	case startTime:
		return fmt.Sprintf("time %d", s.time)
	case startNewest:
		return "newest"
	}
	return fmt.Sprintf("offset %d", s.offset)
}

// wire returns what ListOffsets calls a start that is not an offset.
func (s Start) wire() int64 {
	switch s.kind {
	case startEarliest:
		return int64(kafka.EarliestOffset)
	case startLatest:
		return int64(kafka.LatestOffset)
	case startNewest:
		return int64(kafka.MaxTimestampOff)
	}
	return int64(s.time)
}

// version returns the lowest version of ListOffsets that knows the start.
func (s Start) version() int16 {
	if s.kind == startNewest {
		return 7
	}
	return 1
}

// A Place is a partition and where in it.
type Place struct {
	Partition kafka.TopicPartition
	From      Start
}

// A Found is the answer to a Place.
type Found struct {
	Partition kafka.TopicPartition
	Offset    kafka.Offset    // kafka.NoOffset: no record is that young, or there is none
	Timestamp kafka.Timestamp // of the record, for AtTime and Newest
	Err       error
}

// Offsets asks the leaders which offsets the places stand for, until each has
// an answer or the deadline passes. Results are in the order of the places; the
// error is the first among them. Blocks.
func (c *Client) Offsets(places []Place, deadline kafka.Instant) ([]Found, error) {
	s := &search{c: c, places: places, deadline: deadline, found: make([]Found, len(places)), open: make([]bool, len(places))}
	for i, p := range places {
		s.found[i] = Found{Partition: p.Partition, Offset: p.From.offset}
		if p.From.kind != startOffset {
			s.found[i].Offset, s.found[i].Err = kafka.NoOffset, ErrNoPosition
			s.open[i] = true
		}
	}
	for round := 1; slices.Contains(s.open, true); round++ {
		s.round()
		pause := c.backOff(round)
		if !slices.Contains(s.open, true) || c.w.Now().Add(pause) >= deadline {
			break
		}
		if err := c.w.Sleep(pause); err != nil {
			return s.found, err
		}
	}
	for _, f := range s.found {
		if f.Err != nil {
			return s.found, fmt.Errorf("offsets: %w", f.Err)
		}
	}
	return s.found, nil
}

// A search is one call of Offsets.
type search struct {
	c        *Client
	places   []Place
	found    []Found
	open     []bool // which places have no final answer
	deadline kafka.Instant
}

// A question is one request of a search: places that one broker leads, each
// partition once.
type question struct {
	address string
	version int16 // the lowest that can ask
	asked   map[kafka.TopicPartition]int
	places  []Place
}

// round asks about each open place once. Blocks.
func (s *search) round() {
	var questions []*question
	for i, p := range s.places {
		if !s.open[i] {
			continue
		}
		address, err := s.leader(p.Partition)
		if err != nil {
			s.fail(i, err)
			continue
		}
		at := slices.IndexFunc(questions, func(q *question) bool {
			_, taken := q.asked[p.Partition]
			return q.address == address && !taken
		})
		if at < 0 {
			at = len(questions)
			questions = append(questions, &question{address: address, version: 1, asked: make(map[kafka.TopicPartition]int)})
		}
		q := questions[at]
		q.asked[p.Partition], q.places = i, append(q.places, p)
		q.version = max(q.version, p.From.version())
	}
	for _, q := range questions {
		s.ask(q)
	}
}

// leader returns where a partition's leader is. Blocks.
func (s *search) leader(tp kafka.TopicPartition) (string, error) {
	if _, err := s.c.topic(tp.Topic, s.deadline); err != nil {
		return "", err
	}
	leader, _, ok := s.c.meta.view.Leader(tp)
	if !ok {
		return "", s.c.whyNoLeader(tp)
	}
	return leader.Address, nil
}

func (c *Client) whyNoLeader(tp kafka.TopicPartition) error {
	if _, ok := c.meta.view.Partition(tp); !ok {
		return fmt.Errorf("%s: %w", tp, ErrNoPartition)
	}
	return fmt.Errorf("%s: %w", tp, kafka.ErrLeaderNotAvailable)
}

// fail notes why a place has no answer; a definite reason is its answer.
func (s *search) fail(i int, err error) {
	s.c.needUpdate()
	s.found[i].Err = err
	s.open[i] = OutcomeOf(err) != kafka.Definite
}

// ask asks one leader. Blocks.
func (s *search) ask(q *question) {
	resp, err := s.c.links.get(q.address).Do(s.c.offsetsRequest(q.places), link.Options{MinVersion: q.version}, s.deadline)
	if err != nil {
		for _, p := range q.places {
			s.fail(q.asked[p.Partition], err)
		}
		return
	}
	for _, t := range resp.(*kmsg.ListOffsetsResponse).Topics {
		for _, part := range t.Partitions {
			tp := kafka.TopicPartition{Topic: t.Topic, Partition: part.Partition}
			i, ok := q.asked[tp]
			if !ok {
				continue
			}
			if code := kafka.Error(part.ErrorCode); code != kafka.None {
				s.fail(i, fmt.Errorf("%s: %w", tp, code))
				continue
			}
			s.found[i] = Found{Partition: tp, Offset: kafka.Offset(part.Offset), Timestamp: kafka.Timestamp(part.Timestamp)}
			s.open[i] = false
		}
	}
}

func (c *Client) offsetsRequest(places []Place) kmsg.Request {
	req := kmsg.NewPtrListOffsetsRequest()
	req.ReplicaID = -1
	at := make(map[string]int)
	for _, p := range places {
		i, ok := at[p.Partition.Topic]
		if !ok {
			i = len(req.Topics)
			at[p.Partition.Topic] = i
			t := kmsg.NewListOffsetsRequestTopic()
			t.Topic = p.Partition.Topic
			req.Topics = append(req.Topics, t)
		}
		part := kmsg.NewListOffsetsRequestTopicPartition()
		part.Partition = p.Partition.Partition
		part.Timestamp = p.From.wire()
		part.CurrentLeaderEpoch = -1
		if known, ok := c.meta.view.Partition(p.Partition); ok {
			part.CurrentLeaderEpoch = int32(known.Epoch)
		}
		req.Topics[i].Partitions = append(req.Topics[i].Partitions, part)
	}
	return req
}
