package quorum

import (
	"fmt"
	"math"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/klammlog/klamm/internal/assert"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/record"
)

// MetadataPath is the metadata log's directory in the first log directory.
const MetadataPath = "__cluster_metadata-0"

// An entryKind says what an entry of the log holds. The numbers are on disks.
type entryKind uint8

const (
	kindRecords    entryKind = 0 // metadata records; none where a leader began its term
	kindConfChange entryKind = 1 // a raftpb.ConfChangeV2
)

// An entry is one entry of raft's log. Raft counts from 1, offsets count from 0:
// entry i is the record of offset i-1, and the offset behind it, i, is also what
// is called the metadata offset of whoever has applied it.
//
// On disk each entry is a batch of its own, whose leader epoch is the term. In a
// larger batch an entry that is committed could lie beside one that is not, and
// would be gone for a moment while that one is replaced.
type entry struct {
	index, term uint64
	kind        entryKind
	data        []byte
}

func (e entry) offset() kafka.Offset { return kafka.Offset(e.index) - 1 }

// epochOf returns a term as Kafka counts them.
func epochOf(term uint64) kafka.LeaderEpoch {
	assert.That(term <= math.MaxInt32, "term %d is too large for a leader epoch", term)
	return kafka.LeaderEpoch(term)
}

// entryOf turns raft's entry into ours.
func entryOf(e *pb.Entry) entry {
	out := entry{index: e.GetIndex(), term: e.GetTerm(), data: e.GetData()}
	switch e.GetType() {
	case pb.EntryNormal:
	case pb.EntryConfChangeV2:
		out.kind = kindConfChange
	default:
		assert.That(false, "entry %d of type %d", e.GetIndex(), e.GetType())
	}
	return out
}

func (e entry) raft() *pb.Entry {
	kind := pb.EntryNormal
	if e.kind == kindConfChange {
		kind = pb.EntryConfChangeV2
	}
	return &pb.Entry{Index: new(e.index), Term: new(e.term), Type: kind.Enum(), Data: e.data}
}

// appendBatch appends the batch that holds an entry.
func (e entry) appendBatch(dst []byte, b *record.Builder, now kafka.Timestamp) ([]byte, error) {
	b.Reset()
	b.Append(record.Record{Timestamp: now, Value: append([]byte{byte(e.kind)}, e.data...)})
	batch, err := b.Build(record.Spec{BaseOffset: e.offset(), LeaderEpoch: epochOf(e.term)}, nil)
	if err != nil {
		return nil, fmt.Errorf("entry %d: %w", e.index, err)
	}
	return append(dst, batch.Bytes()...), nil
}

// entryIn reads the entry that a batch holds. Its data is the caller's.
func entryIn(b record.Batch) (entry, error) {
	if err := b.CheckCRC(); err != nil {
		return entry{}, err
	}
	records := b.Records(maxEntry + 1<<10)
	if !records.Next() {
		return entry{}, fmt.Errorf("offset %d: no entry in its batch: %w", b.BaseOffset(), errMalformed)
	}
	value := records.Record().Value
	if len(value) == 0 || entryKind(value[0]) > kindConfChange || b.EndOffset() != b.BaseOffset()+1 {
		return entry{}, fmt.Errorf("offset %d: %d bytes are no entry: %w", b.BaseOffset(), len(value), errMalformed)
	}
	e := entry{index: uint64(b.EndOffset()), term: uint64(b.LeaderEpoch()), kind: entryKind(value[0])}
	e.data = append(e.data, value[1:]...)
	return e, nil
}

// size returns about how many bytes of the log an entry takes.
func (e entry) size() int64 { return int64(record.HeaderSize + 8 + len(e.data)) }
