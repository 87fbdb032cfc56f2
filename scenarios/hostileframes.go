package scenarios

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/klammlog/klamm/node/api"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Attacks by frames: sizes, headers and bodies that no client sends.

var attacksOfFrames = []attack{
	{"a size that no frame has", func(h *hostile, c *rawConn) string {
		limit := int32(h.r.options.MaxRequest)
		h.write(c, sized(pick[int32](h.draws, 0, -1, math.MinInt32, 1, 7, limit+1, math.MaxInt32, -h.draws.Int32()), h.noise(40)))
		return h.wantEnd(c)
	}},
	{"a frame cut short", func(h *hostile, c *rawConn) string {
		b := c.frame(h.harmless())
		h.write(c, b[:h.draws.IntN(len(b))])
		_ = c.net.CloseWrite()
		return h.wantEnd(c)
	}},
	{"an API that does not exist", func(h *hostile, c *rawConn) string {
		h.write(c, framed(pick(h.draws, int16(-1), math.MinInt16, 1000, math.MaxInt16), 0, h.noise(40)))
		return h.wantEnd(c)
	}},
	{"a version that is not served", func(h *hostile, c *rawConn) string {
		served := h.served()
		h.write(c, framed(served.Key, pick(h.draws, int16(-1), served.Max+1, math.MaxInt16, math.MinInt16), h.noise(40)))
		return h.wantEnd(c)
	}},
	{"a version of ApiVersions from the future", futureApiVersions},
	{"a program without a name", namelessProgram},
	{"noise", func(h *hostile, c *rawConn) string {
		b := h.noise(200)
		h.write(c, sized(int32(len(b)), b))
		return h.wantConsequence(c)
	}},
	{"noise after a header", func(h *hostile, c *rawConn) string {
		served := h.served()
		h.write(c, framed(served.Key, served.Min+h.version(served.Max-served.Min+1), h.noise(200)))
		return h.wantConsequence(c)
	}},
	{"a request with bytes of it changed", func(h *hostile, c *rawConn) string {
		b := slices.Clone(c.frame(h.harmless()))
		const body = 14 // behind size, key, version, correlation id and the client's length
		for range 1 + h.draws.IntN(8) {
			b[body+h.draws.IntN(len(b)-body)] = byte(h.draws.Uint32())
		}
		h.write(c, b)
		_ = c.net.CloseWrite() // it may ask for more than is there
		return h.wantConsequence(c)
	}},
	{"a list longer than its frame", func(h *hostile, c *rawConn) string {
		h.write(c, endlessList(h))
		return h.wantEnd(c)
	}},
	{"more tags than bytes", func(h *hostile, c *rawConn) string {
		// Metadata 9 is the first with tags in its header.
		h.write(c, framed(int16(kmsg.Metadata), 9, append([]byte{0xff, 0xff}, 0xff, 0xff, 0xff, 0xff, 0x0f)))
		return h.wantEnd(c)
	}},
}

// sized returns bytes behind the size that they are said to have.
func sized(size int32, b []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(size)), b...)
}

// framed returns a frame with a header without a client id, and what follows it.
func framed(key, version int16, rest []byte) []byte {
	b := binary.BigEndian.AppendUint16(nil, uint16(key))
	b = binary.BigEndian.AppendUint16(b, uint16(version))
	b = binary.BigEndian.AppendUint32(b, 7)
	b = append(b, rest...)
	return sized(int32(len(b)), b)
}

// noise returns up to n random bytes, some at least.
func (h *hostile) noise(n int) []byte {
	b := make([]byte, 16+h.draws.IntN(n))
	for i := range b {
		b[i] = byte(h.draws.Uint32())
	}
	return b
}

// changes are APIs by which noise could do what honest clients would notice: a
// delete that is well-formed is no attack on the protocol.
var changes = []kmsg.Key{kmsg.CreateTopics, kmsg.DeleteTopics, kmsg.DeleteRecords, kmsg.CreatePartitions, kmsg.AlterConfigs,
	kmsg.IncrementalAlterConfigs, kmsg.ApiVersions, kmsg.ElectLeaders, kmsg.AlterPartitionAssignments,
	kmsg.UpdateFeatures, kmsg.UnregisterBroker, kmsg.AddRaftVoter, kmsg.RemoveRaftVoter}

// served draws an API that changes nothing but by produced batches.
func (h *hostile) served() api.Served {
	all := slices.DeleteFunc(api.APIs(), func(s api.Served) bool { return slices.Contains(changes, kmsg.Key(s.Key)) })
	return all[h.draws.IntN(len(all))]
}

// harmless draws a request that any client may send.
func (h *hostile) harmless() kmsg.Request {
	switch h.draws.IntN(4) {
	case 0:
		q := kmsg.NewPtrMetadataRequest()
		q.Version = 1 + h.version(12)
		q.Topics = []kmsg.MetadataRequestTopic{{Topic: kmsg.StringPtr(topicName)}}
		return q
	case 1:
		q := kmsg.NewPtrListOffsetsRequest()
		q.Version, q.ReplicaID = 1+h.version(7), -1
		q.Topics = []kmsg.ListOffsetsRequestTopic{{Topic: topicName,
			Partitions: []kmsg.ListOffsetsRequestTopicPartition{{CurrentLeaderEpoch: -1, Timestamp: -1}}}}
		return q
	case 2:
		return h.fetch(100 * time.Millisecond)
	}
	q := kmsg.NewPtrInitProducerIDRequest()
	q.Version, q.TransactionTimeoutMillis = h.version(5), 60000
	return q
}

// fetch asks for everything from the start of a partition.
func (h *hostile) fetch(wait time.Duration) kmsg.Request {
	q := kmsg.NewPtrFetchRequest()
	q.Version, q.ReplicaID, q.SessionEpoch = 4+h.version(8), -1, -1
	q.MaxWaitMillis, q.MinBytes, q.MaxBytes = int32(wait.Milliseconds()), 1, math.MaxInt32
	p := kmsg.NewFetchRequestTopicPartition()
	p.Partition, p.CurrentLeaderEpoch, p.PartitionMaxBytes = h.draws.Int32N(h.r.options.Partitions), -1, math.MaxInt32
	q.Topics = []kmsg.FetchRequestTopic{{Topic: topicName, Partitions: []kmsg.FetchRequestTopicPartition{p}}}
	return q
}

// endlessList is a request whose list claims more than there are bytes.
func endlessList(h *hostile) []byte {
	nobody := []byte{0xff, 0xff} // no client id
	many := binary.BigEndian.AppendUint32(nil, uint32(pick(h.draws, math.MaxInt32, 1<<20, 1<<24)))
	switch h.draws.IntN(4) {
	case 0:
		return framed(int16(kmsg.Metadata), 1, slices.Concat(nobody, many, h.noise(4)[:3]))
	case 1: // no transactional id, acks=-1, timeout
		return framed(int16(kmsg.Produce), 7, slices.Concat(nobody, []byte{0xff, 0xff, 0xff, 0xff, 0, 0, 1, 0}, many))
	case 2: // replica -1, wait, min, max, isolation
		return framed(int16(kmsg.Fetch), 4, slices.Concat(nobody, []byte{0xff, 0xff, 0xff, 0xff}, make([]byte, 13), many))
	}
	return framed(int16(kmsg.ListOffsets), 1, slices.Concat(nobody, []byte{0xff, 0xff, 0xff, 0xff}, many))
}

// futureApiVersions wants the answer that every client can read (KIP-511).
func futureApiVersions(h *hostile, c *rawConn) string {
	h.write(c, framed(int16(kmsg.ApiVersions), 5+h.version(1000), slices.Concat([]byte{0xff, 0xff}, h.noise(40))))
	resp := kmsg.NewPtrApiVersionsResponse()
	c.correlation = 7
	return h.wantCode(c, resp, func() error { return wantError(resp.ErrorCode, kafka.ErrUnsupportedVersion) })
}

// namelessProgram tells a name that no program has. A broker that is older knows of no names.
func namelessProgram(h *hostile, c *rawConn) string {
	q := kmsg.NewPtrApiVersionsRequest()
	q.Version, q.ClientSoftwareName, q.ClientSoftwareVersion = 3, pick(h.draws, "", "-", "a b", "evil\n"), "1"
	h.write(c, c.frame(q))
	resp := kmsg.NewPtrApiVersionsResponse()
	resp.Version = 3
	return h.wantCode(c, resp, func() error {
		if resp.Version == 0 {
			return wantError(resp.ErrorCode, kafka.ErrUnsupportedVersion)
		}
		return wantError(resp.ErrorCode, kafka.ErrInvalidRequest)
	})
}

func wantError(code int16, want kafka.Error) error {
	if got := kafka.Error(code); got != want {
		return fmt.Errorf("was answered %s, want %s", got.Name(), want.Name())
	}
	return nil
}

// version draws a version below n.
func (h *hostile) version(n int16) int16 { return int16(h.draws.IntN(int(n))) }
