// Package kafka holds the nouns of the log: offsets, epochs, identifiers,
// instants, and Kafka's error codes.
//
// It is a leaf: it imports nothing of klamm, decides nothing and waits for
// nothing. Everything else speaks in its types, so that an offset cannot be
// added to an epoch, nor a wall-clock time compared with a monotonic one.
package kafka

import (
	"encoding/hex"
	"fmt"
	"math"
	"strconv"
	"time"
)

// An Offset is a record's position in its partition. Ranges of offsets are half
// open: an "end" offset is one past the last record.
type Offset int64

// Offsets with a meaning of their own in Kafka's protocol.
const (
	NoOffset        Offset = -1
	LatestOffset    Offset = -1 // ListOffsets: the high watermark or last stable offset
	EarliestOffset  Offset = -2 // ListOffsets: the log start offset
	MaxTimestampOff Offset = -3 // ListOffsets: the record with the largest timestamp (KIP-734)

	// ListOffsets, of a log with a second tier: the first offset on the node's own
	// disks, the last in the second tier (KIP-1005), the first that is not yet
	// there (KIP-1023).
	EarliestLocalOffset         Offset = -4
	LatestTieredOffset          Offset = -5
	EarliestPendingUploadOffset Offset = -6
)

// A LeaderEpoch numbers the leaderships of one partition (KIP-101).
type LeaderEpoch int32

// NoLeaderEpoch is what a client sends that does not know its leader's epoch.
const NoLeaderEpoch LeaderEpoch = -1

// A NodeID names a broker or controller.
type NodeID int32

// A ProducerID names an idempotent producer; NoProducerID is a producer's
// that is not.
type ProducerID int64

// NoProducerID marks records of a producer without idempotence.
const NoProducerID ProducerID = -1

// A ProducerEpoch fences former incarnations of one producer id.
type ProducerEpoch int16

// A Sequence numbers the records of one producer in one partition. It wraps
// from the largest int32 to 0.
type Sequence int32

// NoSequence marks a batch without sequence numbers.
const NoSequence Sequence = -1

// Add returns the sequence n records after s, wrapping as Kafka does.
func (s Sequence) Add(n int32) Sequence {
	return Sequence((int64(s) + int64(n)) % (int64(math.MaxInt32) + 1))
}

// An Instant is a point of monotonic time: nanoseconds since the world began.
// It never goes back and says nothing about the date.
type Instant int64

// Never is later than every instant; as a deadline it means none.
const Never Instant = math.MaxInt64

// Add returns the instant d after t, saturating at Never.
func (t Instant) Add(d time.Duration) Instant {
	if t == Never || (d > 0 && int64(t) > math.MaxInt64-int64(d)) {
		return Never
	}
	return t + Instant(d)
}

// Sub returns the time from u to t.
func (t Instant) Sub(u Instant) time.Duration { return time.Duration(t - u) }

func (t Instant) String() string {
	if t == Never {
		return "never"
	}
	return time.Duration(t).String()
}

// A Timestamp is a wall-clock time in milliseconds since 1970, as records carry
// it. It may jump in either direction.
type Timestamp int64

// NoTimestamp marks a batch or an answer without a timestamp.
const NoTimestamp Timestamp = -1

// A TopicID names one incarnation of a topic (KIP-516): a topic that is deleted
// and created again has another.
type TopicID [16]byte

func (id TopicID) String() string { return hex.EncodeToString(id[:]) }

// ParseTopicID reads what String writes.
func ParseTopicID(s string) (TopicID, error) {
	var id TopicID
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(id) {
		return id, fmt.Errorf("topic id %q: want 32 hexadecimal digits", s)
	}
	copy(id[:], b)
	return id, nil
}

// A TopicPartition names one partition of a topic, and prints as "orders-2".
type TopicPartition struct {
	Topic     string
	Partition int32
}

func (tp TopicPartition) String() string {
	return tp.Topic + "-" + strconv.Itoa(int(tp.Partition))
}

// Acks is how many replicas must hold a produced record before it is answered.
type Acks int16

// The three values Kafka allows.
const (
	AcksNone   Acks = 0
	AcksLeader Acks = 1
	AcksAll    Acks = -1
)
