package quorum

import (
	"errors"
	"fmt"
	"slices"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/klammlog/klamm/internal/assert"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
)

// bootstrapTerm is the term of the entries that every first voter writes by
// itself: the voters, which all of them were told.
const bootstrapTerm = 1

// recover brings back the hard state, the snapshot and the log, and puts in
// order what a crash left between two of them. Blocks.
func (q *Quorum) recover() error {
	if err := q.store.make(); err != nil {
		return err
	}
	state, err := q.store.loadState()
	fresh := errors.Is(err, env.ErrNotExist)
	if err != nil && !fresh {
		return err
	}
	snap, err := q.store.loadSnapshot()
	if err != nil {
		return err
	}
	if q.log, err = openLog(q.w, q.o.Dir, q.o.SnapshotEvery); err != nil {
		return err
	}
	if fresh {
		if state, err = q.begin(snap); err != nil {
			return err
		}
	}
	q.state, q.hard, q.base = state, state, state.base
	if snap != nil {
		if err := q.resume(snap); err != nil {
			return err
		}
	}
	if err := q.store.tidy(); err != nil {
		return err
	}
	return q.load()
}

// begin makes a member of a disk that never had one: what its log begins with,
// then its state, which says that it exists. Blocks.
func (q *Quorum) begin(snap *snapshot) (hardState, error) {
	if snap != nil || q.log.last() > uint64(len(q.o.Voters)) {
		return hardState{}, fmt.Errorf("%s/%s is gone, and the metadata log ends at %d: this member has forgotten its votes", Path, stateName, q.log.last())
	}
	if err := q.log.reset(0); err != nil {
		return hardState{}, fmt.Errorf("metadata log: %w", err)
	}
	state := hardState{}
	if first := q.firstVoters(); first != nil {
		if err := q.log.append(bootstrap(first)); err != nil {
			return hardState{}, fmt.Errorf("metadata log: %w", err)
		}
		state = hardState{term: bootstrapTerm, commit: uint64(len(first)), base: first}
	}
	return state, q.store.saveState(state)
}

// firstVoters returns the voters that the quorum begins with, if this member is
// one of them.
func (q *Quorum) firstVoters() []kafka.NodeID {
	var ids []kafka.NodeID
	for _, v := range q.o.Voters {
		ids = append(ids, v.ID)
	}
	slices.Sort(ids)
	if !slices.Contains(ids, q.o.ID) {
		return nil
	}
	return slices.Compact(ids)
}

// bootstrap returns the entries that add the first voters, one by one.
func bootstrap(ids []kafka.NodeID) []entry {
	var entries []entry
	for i, id := range ids {
		cc := &pb.ConfChangeV2{Changes: []*pb.ConfChangeSingle{{Type: pb.ConfChangeAddNode.Enum(), NodeId: new(raftID(id))}}}
		entries = append(entries, entry{index: uint64(i) + 1, term: bootstrapTerm, kind: kindConfChange, data: marshal(cc)})
	}
	return entries
}

// resume takes a snapshot for what was applied, and sees to it that the log goes
// on behind it. A log that does not reach it, or has another entry there, is
// what a snapshot from the leader was about to replace. Blocks.
func (q *Quorum) resume(snap *snapshot) error {
	if q.log.first() > snap.index+1 {
		return fmt.Errorf("metadata log begins at entry %d, the newest snapshot ends at %d: the entries between are gone", q.log.first(), snap.index)
	}
	keep, err := q.follows(snap)
	if err != nil {
		return err
	}
	if !keep {
		q.w.Probe("a controller's log was to be replaced by a snapshot when it crashed")
		if err := q.log.reset(snap.index); err != nil {
			return fmt.Errorf("metadata log: %w", err)
		}
	}
	if err := q.install(snap); err != nil {
		return err
	}
	assert.NoError(q.storage.ApplySnapshot(snap.raft()))
	q.snapshot.index, q.snapshot.compacted = snap.index, q.log.first()-1
	return nil
}

// follows reports whether the log on the disk goes on behind a snapshot. Blocks.
func (q *Quorum) follows(snap *snapshot) (bool, error) {
	switch {
	case q.log.last() < snap.index:
		return false, nil
	case q.log.first() == snap.index+1:
		return true, nil
	}
	chunk, err := q.log.entry(snap.index)
	if err != nil {
		return false, fmt.Errorf("metadata log: %w", err)
	}
	return chunk.term == snap.term, nil
}

// load brings raft's copy of log and hard state into memory, and refuses what
// cannot be both. Blocks.
func (q *Quorum) load() error {
	entries, err := q.log.read(q.applied + 1)
	if err != nil {
		return fmt.Errorf("metadata log: %w", err)
	}
	last, term := q.applied, uint64(0)
	for _, e := range entries {
		if e.term < term {
			return fmt.Errorf("metadata log: entry %d of term %d follows one of term %d: %w", e.index, e.term, term, errMalformed)
		}
		last, term = e.index, e.term
		assert.NoError(q.storage.Append([]*pb.Entry{e.raft()}))
		q.snapshot.since += e.size()
	}
	if len(entries) > 0 {
		if err := q.heed(entries); err != nil {
			return fmt.Errorf("metadata log: %w", err)
		}
	}
	if q.state.commit > last {
		return fmt.Errorf("metadata log ends at entry %d, but %d were committed: entries are gone", last, q.state.commit)
	}
	if q.state.term < term {
		return fmt.Errorf("%s/%s is of term %d, the metadata log of term %d: it is not the newest", Path, stateName, q.state.term, term)
	}
	q.hard.commit = max(q.state.commit, q.applied)
	assert.NoError(q.storage.SetHardState(&pb.HardState{Term: new(q.hard.term), Vote: new(q.hard.vote), Commit: new(q.hard.commit)}))
	return nil
}
