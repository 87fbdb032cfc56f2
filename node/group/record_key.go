package group

import (
	"fmt"

	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/machine"
)

// A kind is the type of a record: the version of its key, in Kafka's words.
type kind int16

// The kinds of records. Those of share and streams groups are not known here.
const (
	offsetKindOld       kind = 0 // as offsetKind, of Kafka before 0.9
	offsetKind          kind = 1
	classicKind         kind = 2
	consumerEpochKind   kind = 3
	consumerTopicsKind  kind = 4 // what Kafka 4.0 knew of the topics; read and forgotten
	consumerMemberKind  kind = 5
	targetEpochKind     kind = 6
	targetMemberKind    kind = 7
	currentMemberKind   kind = 8
	consumerPatternKind kind = 16
)

// A key names what a record is about.
type key struct {
	kind      kind
	group     string
	topic     string // of an offset
	partition int32  // of an offset
	member    string // or the pattern
}

func (k key) String() string {
	switch k.kind {
	case offsetKind, offsetKindOld:
		return fmt.Sprintf("offset %s %s-%d", k.group, k.topic, k.partition)
	case classicKind:
		return "classic " + k.group
	case consumerEpochKind:
		return "epoch " + k.group
	case consumerTopicsKind:
		return "topics " + k.group
	case consumerMemberKind:
		return "member " + k.group + " " + k.member
	case targetEpochKind:
		return "target " + k.group
	case targetMemberKind:
		return "target " + k.group + " " + k.member
	case currentMemberKind:
		return "current " + k.group + " " + k.member
	case consumerPatternKind:
		return "pattern " + k.group + " " + k.member
	}
	return fmt.Sprintf("kind %d", k.kind)
}

// encode writes a key. Keys are never flexible.
func (k key) encode() []byte {
	e := encoder{b: make([]byte, 0, 8+len(k.group)+len(k.topic)+len(k.member)+4)}
	e.int16(int16(k.kind))
	e.text(k.group)
	switch k.kind {
	case offsetKind, offsetKindOld:
		e.text(k.topic)
		e.int32(k.partition)
	case consumerMemberKind, targetMemberKind, currentMemberKind, consumerPatternKind:
		e.text(k.member)
	}
	return e.b
}

// decodeKey reads a key. It reports false, without an error, for a kind that is not
// known.
func decodeKey(b []byte) (k key, known bool, err error) {
	d := decoder{b: b}
	k.kind = kind(d.int16())
	switch k.kind {
	case offsetKind, offsetKindOld:
		k.group, k.topic, k.partition = d.text(), d.text(), d.int32()
	case classicKind, consumerEpochKind, consumerTopicsKind, targetEpochKind:
		k.group = d.text()
	case consumerMemberKind, targetMemberKind, currentMemberKind, consumerPatternKind:
		k.group, k.member = d.text(), d.text()
	default:
		return k, false, d.end("key", int16(k.kind))
	}
	return k, true, d.end("key", int16(k.kind))
}

// tombstone says that what a key names is gone.
func tombstone(k key) machine.Record { return machine.Record{Key: k.encode()} }

// offsetKey names a committed offset.
func offsetKey(group, topic string, partition int32) key {
	return key{kind: offsetKind, group: group, topic: topic, partition: partition}
}

// A committed is a committed offset.
type committed struct {
	offset   kafka.Offset
	epoch    kafka.LeaderEpoch
	metadata string
	at       kafka.Timestamp // of the commit
	expires  kafka.Timestamp // NoTimestamp: by the broker's retention
	topic    kafka.TopicID   // zero: not known
}

// version is the oldest that can say it, as Kafka writes it: retention was asked for
// with version 1 only.
func (c committed) version() int16 {
	switch {
	case c.expires != kafka.NoTimestamp:
		return 1
	case c.topic != kafka.TopicID{}:
		return 4
	}
	return 3
}

func (c committed) encode() []byte {
	version := c.version()
	e := encoder{b: make([]byte, 0, 48+len(c.metadata)), flexible: version >= 4}
	e.int16(version)
	e.int64(int64(c.offset))
	if version >= 3 {
		e.int32(int32(c.epoch))
	}
	e.text(c.metadata)
	e.int64(int64(c.at))
	if version == 1 {
		e.int64(int64(c.expires))
	}
	if version >= 4 {
		e.tag(0, c.topic[:])
	}
	return e.b
}

// decodeOffset reads OffsetCommitValue, versions 0 to 4.
func decodeOffset(b []byte) (c committed, err error) {
	d := decoder{b: b}
	version, err := d.version("offset", 4)
	if err != nil {
		return c, err
	}
	d.flexible = version >= 4
	c.offset, c.epoch, c.expires = kafka.Offset(d.int64()), kafka.NoLeaderEpoch, kafka.NoTimestamp
	if version >= 3 {
		c.epoch = kafka.LeaderEpoch(d.int32())
	}
	c.metadata = d.text()
	c.at = kafka.Timestamp(d.int64())
	if version == 1 {
		c.expires = kafka.Timestamp(d.int64())
	}
	d.tags(func(number uint64, field []byte) {
		if number == 0 {
			t := decoder{b: field}
			c.topic = t.topicID()
			d.bad = d.bad || t.bad
		}
	})
	return c, d.end("offset", version)
}
