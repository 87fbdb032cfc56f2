package api

import (
	"encoding/binary"
	"errors"
	"slices"

	"github.com/klammlog/klamm/node/broker"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
)

// encode appends the body of a produce answer.
func (p *produced) encode(e *encoder) {
	e.count(len(p.request.topics))
	for _, t := range p.request.topics {
		if e.version >= 13 {
			e.b = append(e.b, t.id[:]...)
		} else {
			e.text(t.name)
		}
		e.count(t.end - t.first)
		for i := t.first; i < t.end; i++ {
			p.s.counts.code(kafka.Code(p.append.Items[i].Err))
			e.appended(&p.append.Items[i])
		}
		e.tags()
	}
	e.int32(e.throttle)
	if e.flexible {
		e.nodes()
	}
}

// appended appends what came of one partition's records.
func (e *encoder) appended(it *broker.AppendItem) {
	base, appendTime, logStart := it.Base, it.AppendTime, it.LogStart
	if it.Err != nil {
		base, appendTime, logStart = kafka.NoOffset, kafka.NoTimestamp, kafka.NoOffset
	}
	e.int32(it.Partition)
	e.int16(kafka.Code(it.Err))
	e.int64(int64(base))
	e.int64(int64(appendTime))
	if e.version >= 5 {
		e.int64(int64(logStart))
	}
	if e.version >= 8 {
		e.count(len(it.Refused))
		for _, r := range it.Refused {
			e.int32(r.Index)
			e.nullableText(&r.Message)
			e.tags()
		}
		e.errorText(it.Err)
	}
	leader, ok := e.currentLeader(it.Topic, it.TopicID, it.Partition)
	if e.version < 10 || !ok || !errors.Is(it.Err, kafka.ErrNotLeaderOrFollower) {
		e.tags()
		return
	}
	e.b = append(e.b, 1, 0, 9) // one tagged field, number 0, of 9 bytes
	e.leader(leader.Leader, leader.LeaderEpoch)
}

// currentLeader returns the state of a partition that somebody leads. The topic is
// named, or numbered if the name is empty.
func (e *encoder) currentLeader(name string, id kafka.TopicID, partition int32) (meta.PartitionState, bool) {
	t, ok := e.image.Topic(name)
	if name == "" {
		t, ok = e.image.TopicByID(id)
	}
	if !ok || partition < 0 || int(partition) >= len(t.Partitions) {
		return meta.PartitionState{}, false
	}
	state := t.Partitions[partition]
	return state, state.Leader != meta.NoLeader
}

// An encoder appends fields in the encoding of a version.
type encoder struct {
	b        []byte
	version  int16
	flexible bool
	image    *meta.Image    // says who leads, and where the leaders are
	listener string         // that the client came by
	leaders  []kafka.NodeID // that the client was told of
	throttle int32          // milliseconds for which the client shall wait
}

// encoder returns an encoder of a call's answer, which appends to dst.
func (call *Call) encoder(dst []byte, s *Server) *encoder {
	return &encoder{
		b: call.appendHeader(dst), version: call.Version, flexible: call.flexible(),
		image: s.image(), listener: call.Client.Listener, throttle: s.throttle(),
	}
}

func (e *encoder) int16(v int16)    { e.b = binary.BigEndian.AppendUint16(e.b, uint16(v)) }
func (e *encoder) int32(v int32)    { e.b = binary.BigEndian.AppendUint32(e.b, uint32(v)) }
func (e *encoder) int64(v int64)    { e.b = binary.BigEndian.AppendUint64(e.b, uint64(v)) }
func (e *encoder) uvarint(v uint64) { e.b = binary.AppendUvarint(e.b, v) }

func (e *encoder) count(n int) {
	if e.flexible {
		e.uvarint(uint64(n) + 1)
		return
	}
	e.int32(int32(n))
}

func (e *encoder) text(s string) {
	if e.flexible {
		e.uvarint(uint64(len(s)) + 1)
	} else {
		e.int16(int16(len(s)))
	}
	e.b = append(e.b, s...)
}

func (e *encoder) nullableText(s *string) {
	switch {
	case s != nil:
		e.text(*s)
	case e.flexible:
		e.uvarint(0)
	default:
		e.int16(-1)
	}
}

func (e *encoder) errorText(err error) {
	if err == nil {
		e.nullableText(nil)
		return
	}
	e.nullableText(message(err))
}

// tags appends that there are no tagged fields.
func (e *encoder) tags() {
	if e.flexible {
		e.b = append(e.b, 0)
	}
}

// leader appends who leads, and that nothing follows.
func (e *encoder) leader(id kafka.NodeID, epoch kafka.LeaderEpoch) {
	e.int32(int32(id))
	e.int32(int32(epoch))
	e.tags()
	if !slices.Contains(e.leaders, id) {
		e.leaders = append(e.leaders, id)
	}
}

// nodes ends an answer with the tagged field that tells where the leaders are,
// number 0 in both Produce and Fetch.
func (e *encoder) nodes() {
	list := encoder{flexible: true}
	n := 0
	for _, id := range e.leaders {
		b, _ := e.image.Broker(id)
		at, ok := endpointFor(b, e.listener)
		if !ok {
			continue
		}
		n++
		list.int32(int32(b.ID))
		list.text(at.Host)
		list.int32(at.Port)
		list.nullableText(rackOf(b))
		list.tags()
	}
	if n == 0 {
		e.tags()
		return
	}
	count := binary.AppendUvarint(nil, uint64(n)+1)
	e.b = append(e.b, 1, 0)
	e.uvarint(uint64(len(count) + len(list.b)))
	e.b = append(append(e.b, count...), list.b...)
}
