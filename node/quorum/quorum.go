// Package quorum makes the controllers agree on the cluster's metadata: it is
// go.etcd.io/raft on an env.World, with its log, votes and snapshots on a disk.
//
// It promises that a change that was answered is in the log of a majority of the
// voters, synced, and stays there; that all members apply the same records in
// the same order, so that their images are equal; that nothing is said to
// another member which rests on what this disk could forget; and that a member
// whose disk failed, or forgot, takes no further part. It decides nothing about
// the cluster: package meta does, and package controller asks it to.
//
// The one rule for callers: an image is as old as what was applied here. Whoever
// needs to know that it is the newest asks Barrier, or decides within Change.
//
// Inside, one task per member does everything that touches raft: it ticks,
// takes messages and decisions, makes durable what raft wants kept, and only
// then sends, applies and answers.
package quorum

import (
	"errors"
	"fmt"
	"time"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/klammlog/klamm/internal/assert"
	"github.com/klammlog/klamm/node/commitlog"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
)

// Options say who a member of the quorum is.
type Options struct {
	ID kafka.NodeID

	// Voters are those that the quorum begins with. A member that joins a
	// quorum later is not among them. They count when nothing is on the disk
	// yet; afterwards only their addresses do, until the quorum has learned
	// others.
	Voters []Voter

	// Dir is the first log directory: it keeps the metadata log, and FS, its
	// disk, the rest.
	Dir *commitlog.Dir
	FS  env.FS

	// ElectionTimeout is how long a leader may not be heard of, at least; at
	// most it is twice as long before somebody else stands for election
	// (controller.quorum.election.timeout.ms).
	ElectionTimeout time.Duration

	Transport Transport // nil for a quorum of one

	// SnapshotEvery is how many bytes of the log are written before a snapshot
	// makes the older ones superfluous; 0 means 20 MiB
	// (metadata.log.max.record.bytes.between.snapshots).
	SnapshotEvery int64

	// ClusterID names a new cluster; the first leader draws one if it is "".
	ClusterID string
}

// A Transport carries messages to the other members, which hand them to Step.
// Send takes them, never blocks, and may lose, delay and repeat them.
type Transport interface {
	Send(to kafka.NodeID, messages [][]byte)
}

const (
	defaultSnapshotEvery = 20 << 20

	// electionTicks is the election timeout in ticks, of which a leader shows
	// itself at each.
	electionTicks = 10

	maxEntry        = 16 << 20 // of one decision's records
	maxSend         = 1 << 20  // of entries in one message, if it has several
	maxInFlight     = 64       // messages with entries that a member has not answered
	maxInFlightSize = 8 << 20
	maxUncommitted  = 64 << 20
)

// MaxMessage is the size of the largest message that a Transport has to carry:
// that of a snapshot.
const MaxMessage = 80 << 20

// A Quorum is one member of the quorum.
//
// Invariants, which Check verifies:
//
//  1. what is applied is committed, and on this disk: applied <= committed <=
//     last index, first index <= applied + 1
//  2. raft's copy of the log in memory ends where the log on the disk ends,
//     unless entries are on their way there
//  3. the snapshot on the disk is not above what is applied, nor below the
//     first entry of the log
//  4. one decision at most is on its way
type Quorum struct {
	w  *env.World
	o  Options
	id uint64 // in raft

	log     *raftLog
	storage *raft.MemoryStorage
	node    *raft.RawNode
	state   hardState // as the disk has it
	hard    hardState // as raft last said
	dir     meta.DirectoryID
	store   store

	// What was applied, and follows from it.
	machine
	conf    *pb.ConfState
	members members
	told    []told // what entries that are not applied say of members
	base    []kafka.NodeID

	snapshot snapshots
	tick     ticker
	inbox    inbox
	peers    peers
	changes  changes
	reads    reads
	readers  observers
	sight    sight

	wake    env.Cond      // the task has something to do
	working bool          // it has not ended
	writing bool          // it waits for the disk,
	since   kafka.Instant // from then on
	closing bool

	resigning bool // it hands leadership over
	onFail    []func(error)
}

// Open brings back what this member knew, or begins anew on an empty disk, and
// starts its task. What is on the disk and damaged is refused. Blocks.
func Open(w *env.World, o Options) (*Quorum, error) {
	assert.That(o.ElectionTimeout >= electionTicks, "election timeout %s", o.ElectionTimeout)
	if o.SnapshotEvery == 0 {
		o.SnapshotEvery = defaultSnapshotEvery
	}
	q := &Quorum{w: w, o: o, id: raftID(o.ID), dir: meta.DirectoryID(o.Dir.ID()), machine: newMachine(w),
		storage: raft.NewMemoryStorage(), wake: w.NewCond("quorum/wake")}
	q.store = store{o.FS, Path, q.dir}
	if err := q.recover(); err != nil {
		err = fmt.Errorf("controller %d: %w", o.ID, err)
		if q.log != nil {
			err = errors.Join(err, q.log.log.Close())
		}
		return nil, err
	}
	node, err := raft.NewRawNode(&raft.Config{
		ID:                        q.id,
		ElectionTick:              electionTicks,
		HeartbeatTick:             1,
		Storage:                   sendable{q.storage, q},
		Applied:                   q.applied,
		MaxSizePerMsg:             maxSend,
		MaxCommittedSizePerReady:  maxInFlightSize,
		MaxUncommittedEntriesSize: maxUncommitted,
		MaxInflightMsgs:           maxInFlight,
		MaxInflightBytes:          maxInFlightSize,
		CheckQuorum:               true,
		PreVote:                   true,
		ReadOnlyOption:            raft.ReadOnlySafe,
		Logger:                    logger{w.Log.With("controller", int(o.ID))},
		DisableProposalForwarding: true,
		StepDownOnRemoval:         true,
	})
	assert.NoError(err) // the configuration is ours
	q.node = node
	q.tick = ticker{next: w.Now().Add(q.tenth()), seen: q.standing()}
	q.working = true
	w.Go("quorum", q.run)
	return q, nil
}

// Leader returns the active controller as far as this member knows,
// meta.NoLeader if it knows none, and the term as an epoch.
func (q *Quorum) Leader() (kafka.NodeID, kafka.LeaderEpoch) {
	s := q.node.BasicStatus()
	if q.broken != nil || s.Lead == q.id && q.stuck() {
		return meta.NoLeader, epochOf(s.GetTerm())
	}
	return nodeID(s.Lead), epochOf(s.GetTerm())
}

// stuck reports whether the task has been writing for so long that others have
// elected another leader.
func (q *Quorum) stuck() bool {
	return q.writing && q.w.Now() >= q.since.Add(2*q.o.ElectionTimeout)
}

// Active reports whether this member leads, as far as it knows, and has applied
// everything from before its term, and the cluster has begun.
func (q *Quorum) Active() bool {
	return q.broken == nil && q.leads() && !q.stuck() && q.image.Level() > 0
}

// leads reports whether this member leads and has applied what is from before
// its term.
func (q *Quorum) leads() bool {
	s := q.node.BasicStatus()
	if s.RaftState != raft.StateLeader {
		return false
	}
	term, err := q.storage.Term(q.applied)
	return err == nil && term == s.GetTerm()
}

// Failed returns why this member takes no part any more, nil if it does. A failed
// disk is final: the process has to end.
func (q *Quorum) Failed() error {
	if q.closing {
		return nil
	}
	return q.broken
}

// OnFail has f called when this member fails for good. f must not block.
func (q *Quorum) OnFail(f func(error)) { q.onFail = append(q.onFail, f) }

// Log returns the metadata log, for observers.
func (q *Quorum) Log() *commitlog.Log { return q.log.log }

// Close hands leadership over if this member has it and somebody can take it,
// waits for what is being written, and closes the log. Blocks.
func (q *Quorum) Close(deadline kafka.Instant) error {
	q.resign(deadline)
	q.closing = true
	q.wake.Broadcast()
	for q.working {
		if err := q.moved.Wait(deadline); err != nil {
			return fmt.Errorf("controller %d: closing: %w", q.o.ID, err)
		}
	}
	return q.log.log.Close()
}
