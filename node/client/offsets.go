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

func (s Start) String() string {
	switch s.kind {
	case startEarliest:
		return "earliest"
	case startLatest:
		return "latest"
	case startTime:
		return fmt.Sprintf("time %d", s.time)
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
	}
	return int64(s.time)
}

// A Place is a partition and where in it.
type Place struct {
	Partition kafka.TopicPartition
	From      Start
}

// A Found is the answer to a Place.
type Found struct {
	Partition kafka.TopicPartition
	Offset    kafka.Offset    // kafka.NoOffset: no record is that young
	Timestamp kafka.Timestamp // of the record, for AtTime
	Err       error
}

// Offsets asks the leaders which offsets the places stand for, until each has
// an answer or the deadline passes. Results are in the order of the places; the
// error is the first among them. Blocks.
func (c *Client) Offsets(places []Place, deadline kafka.Instant) ([]Found, error) {
	s := &search{c: c, places: places, deadline: deadline, found: make([]Found, len(places)),
		open: make(map[kafka.TopicPartition]int)}
	for i, p := range places {
		s.found[i] = Found{Partition: p.Partition, Offset: p.From.offset}
		if p.From.kind != startOffset {
			s.found[i].Offset, s.found[i].Err = kafka.NoOffset, ErrNoPosition
			s.open[p.Partition] = i
		}
	}
	for round := 1; len(s.open) > 0; round++ {
		s.round()
		pause := c.backOff(round)
		if len(s.open) == 0 || c.w.Now().Add(pause) >= deadline {
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
	open     map[kafka.TopicPartition]int // places without a final answer, and where in found
	deadline kafka.Instant
}

// round asks each leader once. Blocks.
func (s *search) round() {
	var leaders []string
	byLeader := make(map[string][]Place)
	for _, p := range s.places {
		if _, ok := s.open[p.Partition]; !ok {
			continue
		}
		address, err := s.leader(p.Partition)
		if err != nil {
			s.fail(p.Partition, err)
			continue
		}
		if !slices.Contains(leaders, address) {
			leaders = append(leaders, address)
		}
		byLeader[address] = append(byLeader[address], p)
	}
	for _, address := range leaders {
		s.ask(address, byLeader[address])
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
func (s *search) fail(tp kafka.TopicPartition, err error) {
	s.c.needUpdate()
	s.found[s.open[tp]].Err = err
	if OutcomeOf(err) == kafka.Definite {
		delete(s.open, tp)
	}
}

// ask asks one leader. Blocks.
func (s *search) ask(address string, places []Place) {
	resp, err := s.c.links.get(address).Do(s.c.offsetsRequest(places), link.Options{MinVersion: 1}, s.deadline)
	if err != nil {
		for _, p := range places {
			s.fail(p.Partition, err)
		}
		return
	}
	for _, t := range resp.(*kmsg.ListOffsetsResponse).Topics {
		for _, part := range t.Partitions {
			tp := kafka.TopicPartition{Topic: t.Topic, Partition: part.Partition}
			i, ok := s.open[tp]
			if !ok {
				continue
			}
			if code := kafka.Error(part.ErrorCode); code != kafka.None {
				s.fail(tp, fmt.Errorf("%s: %w", tp, code))
				continue
			}
			s.found[i] = Found{Partition: tp, Offset: kafka.Offset(part.Offset), Timestamp: kafka.Timestamp(part.Timestamp)}
			delete(s.open, tp)
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
