package quorum

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/klammlog/klamm/internal/assert"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
)

// maxSnapshot bounds the image in a snapshot, and with it the largest message.
const maxSnapshot = 64 << 20

// A snapshot stands for all entries up to an index.
type snapshot struct {
	index, term uint64
	conf        *pb.ConfState
	data        []byte // as raft carries it

	// What data holds.
	chain   uint64
	base    []kafka.NodeID
	members members
	records []meta.Record
}

// newSnapshot encodes what a snapshot holds into its data.
func newSnapshot(s snapshot) *snapshot {
	s.data = binary.BigEndian.AppendUint64(nil, s.chain)
	s.data = appendBase(s.data, s.base)
	s.data = s.members.encode(s.data)
	s.data = meta.EncodeAll(s.data, s.records)
	return &s
}

// decode reads what the snapshot's data holds.
func (s *snapshot) decode() error {
	r := &reader{b: s.data}
	s.chain, s.base, s.members = r.uint64(), r.base(), r.members()
	if r.bad {
		return fmt.Errorf("snapshot at %d: %w", s.index, errMalformed)
	}
	var err error
	if s.records, err = meta.DecodeAll(r.b); err != nil {
		return fmt.Errorf("snapshot at %d: %w", s.index, err)
	}
	return nil
}

// raft returns the snapshot as raft wants it.
func (s *snapshot) raft() *pb.Snapshot {
	return &pb.Snapshot{Data: s.data, Metadata: &pb.SnapshotMetadata{ConfState: s.conf, Index: new(s.index), Term: new(s.term)}}
}

// snapshotOf reads a snapshot that came from the leader.
func snapshotOf(p *pb.Snapshot) (*snapshot, error) {
	m := p.GetMetadata()
	s := &snapshot{index: m.GetIndex(), term: m.GetTerm(), conf: m.GetConfState(), data: p.GetData()}
	if s.conf == nil || s.index == 0 || len(s.data) > maxSnapshot {
		return nil, fmt.Errorf("snapshot at %d, %d bytes: %w", s.index, len(s.data), errMalformed)
	}
	return s, s.decode()
}

func (s *snapshot) name() string {
	return fmt.Sprintf("%s%020d-%010d", snapshotPrefix, s.index, s.term)
}

// encode returns the body of the snapshot's file.
func (s *snapshot) encode() []byte {
	b := binary.BigEndian.AppendUint64(nil, s.index)
	b = binary.BigEndian.AppendUint64(b, s.term)
	b = appendBytes(b, marshal(s.conf))
	return appendBytes(b, s.data)
}

func decodeSnapshot(b []byte) (*snapshot, error) {
	r := &reader{b: b}
	s := &snapshot{index: r.uint64(), term: r.uint64(), conf: &pb.ConfState{}}
	conf := r.bytes()
	s.data = r.bytes()
	if err := r.end(); err != nil {
		return nil, err
	}
	if err := proto.Unmarshal(conf, s.conf); err != nil {
		return nil, err
	}
	return s, s.decode()
}

// snapshots is what a member knows of its snapshots.
type snapshots struct {
	index     uint64 // of the newest that is durable
	compacted uint64 // the log holds nothing up to here
	since     int64  // bytes of entries that were appended since
	wanted    wanted
	saving    *saving
}

// wanted says whether somebody waits for a newer snapshot.
type wanted bool

// sendable is raft's log in memory, without snapshots that nobody could take: a
// member drops one of which it is not a member, since it was added later.
type sendable struct {
	*raft.MemoryStorage
	q *Quorum
}

// Snapshot returns the newest snapshot to be sent, or has one made.
func (s sendable) Snapshot() (*pb.Snapshot, error) {
	snap, err := s.MemoryStorage.Snapshot()
	if err != nil {
		return nil, err
	}
	in := idsOf(snap.GetMetadata().GetConfState())
	for _, id := range s.q.configured() {
		if !slices.Contains(in, id) {
			s.q.snapshot.wanted = true
			s.q.w.Probe("a controller made a snapshot for a member that was added since the last")
			return nil, raft.ErrSnapshotTemporarilyUnavailable
		}
	}
	return snap, nil
}

// A saving is a snapshot on its way to the disk, which a task of its own writes,
// so that the member goes on meanwhile.
type saving struct {
	snap *snapshot
	done bool
	err  error
}

// maybeSnapshot begins to write a snapshot of the image if enough was written to
// the log since the last one.
func (q *Quorum) maybeSnapshot() {
	s := &q.snapshot
	if s.saving != nil || q.applied <= s.index {
		return
	}
	if s.since < q.o.SnapshotEvery && !bool(s.wanted) && !q.w.Buggify("take a snapshot now") {
		return
	}
	term, err := q.storage.Term(q.applied)
	assert.NoError(err) // it was not compacted: it is above the last snapshot
	snap := newSnapshot(snapshot{index: q.applied, term: term, conf: proto.Clone(q.conf).(*pb.ConfState),
		chain: q.chain, base: q.base, members: q.members, records: q.image.Dump()})
	s.since, s.wanted = 0, false
	if len(snap.data) > maxSnapshot {
		q.w.Log.Error("metadata is too large for a snapshot: its log keeps growing", "bytes", len(snap.data), "limit", maxSnapshot)
		return
	}
	save := &saving{snap: snap}
	s.saving = save
	q.w.Go("quorum/snapshot", func() {
		save.err = q.store.saveSnapshot(snap)
		save.done = true
		q.wake.Broadcast()
	})
}

// finishSnapshot forgets the entries that a snapshot stands for, once it is
// durable. Those since the snapshot before stay for members that are only a
// little behind. Blocks.
func (q *Quorum) finishSnapshot() error {
	s := &q.snapshot
	save := s.saving
	if save == nil || !save.done {
		return nil
	}
	s.saving = nil
	if full(save.err) {
		q.w.Probe("a controller had no space for a snapshot")
		return nil // as many bytes later it tries again
	}
	if save.err != nil {
		return save.err
	}
	if save.snap.index <= s.index {
		return nil // one from the leader has overtaken it
	}
	upTo := s.index
	s.index = save.snap.index
	_, err := q.storage.CreateSnapshot(save.snap.index, save.snap.conf, save.snap.data)
	assert.NoError(err)
	q.w.Probe("a controller wrote a snapshot of its image")
	return q.compact(upTo)
}

// compact forgets the entries up to an index for which a durable snapshot
// stands. Blocks.
func (q *Quorum) compact(upTo uint64) error {
	assert.That(upTo <= q.snapshot.index, "compaction to %d above the snapshot at %d", upTo, q.snapshot.index)
	if err := q.storage.Compact(upTo); err != nil && !errors.Is(err, raft.ErrCompacted) {
		return err
	}
	if err := q.log.compact(upTo); err != nil && !full(err) {
		return err // without space the next snapshot removes it
	}
	q.snapshot.compacted = max(q.snapshot.compacted, upTo)
	return q.store.tidy()
}

// longReset is long enough for a crash between a snapshot and what it stands for.
const longReset = 2 * time.Second

// receive makes a snapshot from the leader durable, and then takes it for the
// image and for everything in the log. Blocks.
func (q *Quorum) receive(p *pb.Snapshot) error {
	snap, err := snapshotOf(p)
	if err != nil {
		return err
	}
	q.w.Probe("a controller took a snapshot from the leader")
	for q.snapshot.saving != nil && !q.snapshot.saving.done {
		// Two snapshots are not written at once: the names of older ones are
		// removed after each.
		if err := q.wake.Wait(kafka.Never); err != nil {
			return err
		}
	}
	if save := q.snapshot.saving; save != nil && save.err != nil && !full(save.err) {
		return save.err
	}
	q.snapshot.saving = nil
	if err := q.despiteFull(func() error { return q.store.saveSnapshot(snap) }); err != nil {
		return err
	}
	if q.w.Buggify("a snapshot is durable long before it replaces the log") {
		if err := q.w.Sleep(longReset); err != nil {
			return err
		}
	}
	if err := q.despiteFull(func() error { return q.log.reset(snap.index) }); err != nil {
		return err
	}
	assert.NoError(q.storage.ApplySnapshot(snap.raft()))
	q.snapshot.index, q.snapshot.compacted, q.snapshot.since = snap.index, snap.index, 0
	if err := q.install(snap); err != nil {
		return err
	}
	return q.store.tidy()
}

// install takes a snapshot for the image and for the members.
func (q *Quorum) install(snap *snapshot) error {
	q.members, q.conf = snap.members, snap.conf
	if len(snap.base) > 0 {
		q.base = snap.base
	}
	return q.replace(snap)
}

// marshal encodes a message; that it cannot be is a bug.
func marshal(m proto.Message) []byte {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	assert.NoError(err)
	return b
}
