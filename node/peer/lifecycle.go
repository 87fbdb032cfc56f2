package peer

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// What brokers and the active controller say to each other goes in Kafka's own
// messages; what Kafka has no field for goes in a tagged field of our own. Each
// pair of functions here is the two sides of one message, and the test holds them
// together.

// PrivateTag is the tagged field of klamm's own in Kafka's messages: in
// BrokerRegistration whether what the broker holds is volatile (one byte), in its
// answer why it was refused (text), in BrokerHeartbeat the partitions that are offline (topic id and number each), in a
// partition of Fetch how far the follower holds the log (int64), and in the answer to
// one that holds nothing what producers did before (as in a snapshot of them).
const PrivateTag = 10000

func privateTag(tags *kmsg.Tags) (value []byte, ok bool) {
	tags.Each(func(key uint32, v []byte) {
		if key == PrivateTag {
			value, ok = v, true
		}
	})
	return value, ok
}

// RegistrationRequest returns the message of a registration.
func RegistrationRequest(r meta.Registration) *kmsg.BrokerRegistrationRequest {
	q := kmsg.NewPtrBrokerRegistrationRequest()
	q.BrokerID, q.ClusterID, q.IncarnationID = int32(r.ID), r.ClusterID, r.Incarnation
	for _, e := range r.Endpoints {
		l := kmsg.NewBrokerRegistrationRequestListener()
		l.Name, l.Host, l.Port = e.Listener, e.Host, uint16(e.Port)
		q.Listeners = append(q.Listeners, l)
	}
	for _, d := range r.Directories {
		q.LogDirs = append(q.LogDirs, d)
	}
	if r.Rack != "" {
		q.Rack = &r.Rack
	}
	q.PreviousBrokerEpoch = r.CleanAfter
	f := kmsg.NewBrokerRegistrationRequestFeature()
	f.Name, f.MinSupportedVersion, f.MaxSupportedVersion = meta.MetadataVersion, r.MinLevel, r.MaxLevel
	q.Features = append(q.Features, f)
	if r.Volatile {
		q.UnknownTags.Set(PrivateTag, []byte{1})
	}
	return q
}

// RegistrationOf returns what a message registers. INVALID_REQUEST if it lacks
// what has to be there.
func RegistrationOf(q *kmsg.BrokerRegistrationRequest) (meta.Registration, error) {
	r := meta.Registration{
		ID: kafka.NodeID(q.BrokerID), ClusterID: q.ClusterID, Incarnation: q.IncarnationID, CleanAfter: q.PreviousBrokerEpoch,
	}
	if q.BrokerID < 0 || len(q.Listeners) == 0 || len(q.LogDirs) == 0 {
		return r, fmt.Errorf("registration of broker %d with %d listeners and %d log directories: %w",
			q.BrokerID, len(q.Listeners), len(q.LogDirs), kafka.ErrInvalidRequest)
	}
	for _, l := range q.Listeners {
		r.Endpoints = append(r.Endpoints, meta.Endpoint{Listener: l.Name, Host: l.Host, Port: int32(l.Port)})
	}
	for _, d := range q.LogDirs {
		r.Directories = append(r.Directories, d)
	}
	if q.Rack != nil {
		r.Rack = *q.Rack
	}
	for _, f := range q.Features {
		if f.Name == meta.MetadataVersion {
			r.MinLevel, r.MaxLevel = f.MinSupportedVersion, f.MaxSupportedVersion
		}
	}
	volatile, ok := privateTag(&q.UnknownTags)
	r.Volatile = ok && len(volatile) == 1 && volatile[0] == 1
	return r, nil
}

// maxReason is the longest text of a refusal that is sent or read, in bytes.
const maxReason = 1000

// RegistrationResponse returns the answer to a registration: its epoch, or why it
// was refused.
func RegistrationResponse(epoch int64, err error) *kmsg.BrokerRegistrationResponse {
	r := kmsg.NewPtrBrokerRegistrationResponse()
	r.BrokerEpoch = epoch
	if err != nil {
		code := kafka.ErrorOf(err)
		why := strings.TrimSuffix(err.Error(), ": "+code.Error())
		r.ErrorCode, r.BrokerEpoch = int16(code), meta.NoEpoch
		r.UnknownTags.Set(PrivateTag, []byte(strings.ToValidUTF8(why[:min(len(why), maxReason)], "")))
	}
	return r
}

func registered(r *kmsg.BrokerRegistrationResponse) (epoch int64, err error) {
	code := kafka.Error(r.ErrorCode)
	if code == kafka.None {
		return r.BrokerEpoch, nil
	}
	if why, ok := privateTag(&r.UnknownTags); ok {
		return meta.NoEpoch, fmt.Errorf("%s: %w", strings.ToValidUTF8(string(why[:min(len(why), maxReason)]), ""), code)
	}
	return meta.NoEpoch, code
}

// replicaSize is the bytes of a replica in the heartbeat's private field.
const replicaSize = 16 + 4

// BeatRequest returns the message of a heartbeat.
func BeatRequest(b meta.Beat) *kmsg.BrokerHeartbeatRequest {
	q := kmsg.NewPtrBrokerHeartbeatRequest()
	q.BrokerID, q.BrokerEpoch, q.CurrentMetadataOffset = int32(b.ID), b.Epoch, int64(b.Applied)
	q.WantFence, q.WantShutdown = b.WantFence, b.WantShutdown
	if len(b.Offline) > 0 {
		offline := make([]byte, 0, len(b.Offline)*replicaSize)
		for _, r := range b.Offline {
			offline = append(offline, r.Topic[:]...)
			offline = binary.BigEndian.AppendUint32(offline, uint32(r.Partition))
		}
		q.UnknownTags.Set(PrivateTag, offline)
	}
	return q
}

// BeatOf returns what a heartbeat says.
func BeatOf(q *kmsg.BrokerHeartbeatRequest) (meta.Beat, error) {
	b := meta.Beat{
		ID: kafka.NodeID(q.BrokerID), Epoch: q.BrokerEpoch, Applied: kafka.Offset(q.CurrentMetadataOffset),
		WantFence: q.WantFence, WantShutdown: q.WantShutdown,
	}
	offline, _ := privateTag(&q.UnknownTags)
	if len(offline)%replicaSize != 0 {
		return b, fmt.Errorf("heartbeat of broker %d: offline partitions of %d bytes: %w", q.BrokerID, len(offline), kafka.ErrInvalidRequest)
	}
	for one := range slices.Chunk(offline, replicaSize) {
		b.Offline = append(b.Offline, meta.Replica{
			Topic: kafka.TopicID(one[:16]), Partition: int32(binary.BigEndian.Uint32(one[16:])),
		})
	}
	return b, nil
}

// BeatResponse returns the answer to a heartbeat.
func BeatResponse(a meta.BeatAnswer, err error) *kmsg.BrokerHeartbeatResponse {
	r := kmsg.NewPtrBrokerHeartbeatResponse()
	r.ErrorCode = kafka.Code(err)
	r.IsCaughtUp, r.IsFenced, r.ShouldShutdown = a.CaughtUp, a.Fenced, a.MayShutDown
	if err == nil {
		r.UnknownTags.Set(PrivateTag, binary.BigEndian.AppendUint64(nil, uint64(a.Decided)))
	}
	return r
}

// beatAnswer returns what the answer to a heartbeat says. Where it does not say how
// much was decided, nobody has applied so much.
func beatAnswer(r *kmsg.BrokerHeartbeatResponse) (meta.BeatAnswer, error) {
	a := meta.BeatAnswer{CaughtUp: r.IsCaughtUp, Fenced: r.IsFenced, MayShutDown: r.ShouldShutdown, Decided: math.MaxInt64}
	if decided, ok := privateTag(&r.UnknownTags); ok && len(decided) == 8 {
		a.Decided = kafka.Offset(binary.BigEndian.Uint64(decided))
	}
	return a, kafka.Error(r.ErrorCode).AsError()
}

// AllocateRequest returns the message that asks for a block of producer ids.
func AllocateRequest(self meta.Member) *kmsg.AllocateProducerIDsRequest {
	q := kmsg.NewPtrAllocateProducerIDsRequest()
	q.BrokerID, q.BrokerEpoch = int32(self.ID), self.Epoch
	return q
}

// AllocateResponse returns the answer to it.
func AllocateResponse(b meta.Block, err error) *kmsg.AllocateProducerIDsResponse {
	r := kmsg.NewPtrAllocateProducerIDsResponse()
	r.ErrorCode = kafka.Code(err)
	r.ProducerIDStart, r.ProducerIDLen = int64(b.First), int32(b.End-b.First)
	return r
}

func allocated(r *kmsg.AllocateProducerIDsResponse) (meta.Block, error) {
	if code := kafka.Error(r.ErrorCode); code != kafka.None {
		return meta.Block{}, code
	}
	if r.ProducerIDStart < 0 || r.ProducerIDLen <= 0 || r.ProducerIDStart > math.MaxInt64-int64(r.ProducerIDLen) {
		return meta.Block{}, fmt.Errorf("%d producer ids from %d: %w", r.ProducerIDLen, r.ProducerIDStart, kafka.ErrUnknownServerError)
	}
	first := kafka.ProducerID(r.ProducerIDStart)
	return meta.Block{First: first, End: first + kafka.ProducerID(r.ProducerIDLen)}, nil
}
