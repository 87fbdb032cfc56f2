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
	e.int32(0) // throttle time
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
	leader, ok := currentLeader(e.image, it)
	if e.version < 10 || !ok {
		e.tags()
		return
	}
	e.b = append(e.b, 1, 0, 9) // one tagged field, number 0, of 9 bytes
	e.leader(leader.Leader, leader.LeaderEpoch)
}

// currentLeader returns who leads, if that is what the client has to know.
func currentLeader(image *meta.Image, it *broker.AppendItem) (meta.PartitionState, bool) {
	if !errors.Is(it.Err, kafka.ErrNotLeaderOrFollower) {
		return meta.PartitionState{}, false
	}
	t, ok := image.Topic(it.Topic)
	if !ok || it.Partition < 0 || int(it.Partition) >= len(t.Partitions) {
		return meta.PartitionState{}, false
	}
	return t.Partitions[it.Partition], true
}

// An encoder appends fields in the encoding of a version.
type encoder struct {
	b        []byte
	version  int16
	flexible bool
	image    *meta.Image    // says who leads, and where the leaders are
	leaders  []kafka.NodeID // that the client was told of
}

// newEncoder returns an encoder that appends to dst. Versions from flexibleFrom on
// are flexible.
func newEncoder(dst []byte, version, flexibleFrom int16, image *meta.Image) *encoder {
	return &encoder{b: dst, version: version, flexible: version >= flexibleFrom, image: image}
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
	var brokers []meta.Broker
	for _, id := range e.leaders {
		if b, ok := e.image.Broker(id); ok && len(b.Endpoints) > 0 {
			brokers = append(brokers, b)
		}
	}
	if len(brokers) == 0 {
		e.tags()
		return
	}
	list := encoder{flexible: true}
	list.count(len(brokers))
	for _, b := range brokers {
		list.int32(int32(b.ID))
		list.text(b.Endpoints[0].Host)
		list.int32(b.Endpoints[0].Port)
		list.nullableText(nil) // rack
		list.tags()
	}
	e.b = append(e.b, 1, 0)
	e.uvarint(uint64(len(list.b)))
	e.b = append(e.b, list.b...)
}
