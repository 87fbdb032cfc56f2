package quorum

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/klammlog/klamm/node/commitlog"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
	"github.com/klammlog/klamm/node/record"
)

// ObserverOptions say how a node that is no controller follows the metadata.
type ObserverOptions struct {
	Dir *commitlog.Dir // the first log directory
	FS  env.FS         // its disk

	Remote Remote

	// SnapshotEvery is how many bytes of entries are followed before the image
	// is written to the disk, from where the next life begins; 0 means 20 MiB.
	SnapshotEvery int64
}

// A Remote reads metadata from any controller that is reached: what
// ReadCommitted returns there.
type Remote interface {
	ReadMetadata(from kafka.Offset, maxBytes int, deadline kafka.Instant) (Page, error)
}

// An Observer follows the metadata from afar: it has the image of everything that
// it was told is committed. What it knows survives on its own disk as it was at
// the last snapshot, which costs nothing but time if it is lost.
type Observer struct {
	w     *env.World
	o     ObserverOptions
	store store

	machine
	leader kafka.NodeID
	epoch  kafka.LeaderEpoch
	voters []Voter
	base   []kafka.NodeID

	saved   uint64 // index of the snapshot on the disk
	term    uint64 // of the last entry
	since   int64  // bytes that were followed since
	fetched fetched

	task    env.Task
	working bool
	closing bool
	onFail  []func(error)
}

// A fetched is a snapshot of which some pieces are here.
type fetched struct {
	index uint64
	sum   uint32
	total int64
	data  []byte
}

const (
	observeBytes = 1 << 20 // of one page
	observePause = 100 * time.Millisecond

	// observeWait is for one page, where nothing is new. It is short, as Kafka's
	// is: of a controller that lost its power nothing is heard, and until the next
	// one is asked this node does not know who leads its partitions.
	observeWait = 500 * time.Millisecond
)

// Observe brings back the image of the last snapshot, and starts the task that
// follows. A snapshot that is damaged is dropped: the controllers have it all.
// Blocks.
func Observe(w *env.World, o ObserverOptions) (*Observer, error) {
	if o.SnapshotEvery == 0 {
		o.SnapshotEvery = defaultSnapshotEvery
	}
	b := &Observer{w: w, o: o, store: store{o.FS, observerPath, meta.DirectoryID(o.Dir.ID())}, machine: newMachine(w), leader: meta.NoLeader}
	if err := b.recover(); err != nil {
		return nil, fmt.Errorf("metadata: %w", err)
	}
	b.working = true
	b.task = w.Go("metadata/observer", b.run)
	return b, nil
}

// recover begins with the image on the disk. Blocks.
func (b *Observer) recover() error {
	if err := b.store.make(); err != nil {
		return err
	}
	snap, err := b.store.loadSnapshot()
	if err == nil && snap != nil {
		err = b.take(snap)
		b.saved = b.applied
	}
	if errors.Is(err, errMalformed) {
		b.w.Probe("an observer dropped a damaged snapshot")
		b.w.Log.Warn("snapshot of the metadata is damaged: it is fetched again", "err", err)
		err = nil
	}
	if err != nil {
		return err
	}
	return b.store.tidy()
}

func (b *Observer) take(snap *snapshot) error {
	if err := b.replace(snap); err != nil {
		return err
	}
	b.base, b.voters, b.term = snap.base, snap.members, snap.term
	return nil
}

// Leader returns the active controller as this node was told last, meta.NoLeader
// if it does not know, and the term.
func (b *Observer) Leader() (kafka.NodeID, kafka.LeaderEpoch) { return b.leader, b.epoch }

// Voters returns the voters as this node was told last.
func (b *Observer) Voters() []Voter { return b.voters }

// Failed returns why nothing is followed any more, nil if it is.
func (b *Observer) Failed() error {
	if b.closing {
		return nil
	}
	return b.broken
}

// OnFail has f called when nothing can be followed any more: metadata that this
// version cannot read, or a failed disk. f must not block.
func (b *Observer) OnFail(f func(error)) { b.onFail = append(b.onFail, f) }

// Close ends the following. Blocks.
func (b *Observer) Close(deadline kafka.Instant) error {
	b.closing = true
	b.task.Cancel()
	for b.working {
		if err := b.moved.Wait(deadline); err != nil {
			return fmt.Errorf("metadata: closing: %w", err)
		}
	}
	return nil
}

// run follows until it is closed or cannot go on.
func (b *Observer) run() {
	err := b.follow()
	if b.broken = err; b.closing {
		b.broken = env.ErrClosed
	}
	b.working = false
	b.moved.Broadcast()
	if b.closing || errors.Is(err, env.ErrCanceled) {
		return
	}
	b.w.Probe("an observer of the metadata failed for good")
	b.w.Log.Error("metadata is not followed any more", "err", err)
	for _, f := range b.onFail {
		f(err)
	}
}

func (b *Observer) follow() error {
	for !b.closing {
		p, err := b.o.Remote.ReadMetadata(b.next(), observeBytes, b.w.Now().Add(observeWait))
		if err != nil {
			if err := b.w.Sleep(observePause); err != nil {
				return err
			}
			continue
		}
		if err := b.turn(p); err != nil {
			return err
		}
		if err := b.maybeSave(); err != nil {
			return err
		}
	}
	return env.ErrClosed
}

// next returns what to ask for.
func (b *Observer) next() kafka.Offset {
	if b.fetched.total > 0 {
		return SnapshotPiece(int64(len(b.fetched.data)))
	}
	return b.Applied()
}

// turn takes what a controller told.
func (b *Observer) turn(p Page) error {
	if p.Epoch >= b.epoch { // another controller may know less
		b.leader, b.epoch, b.voters = p.Leader, p.Epoch, p.Voters
		b.moved.Broadcast()
	}
	if p.Index > b.applied {
		return b.piece(p)
	}
	b.fetched = fetched{}
	for _, e := range p.Entries {
		if e.Index <= b.applied {
			continue
		}
		if e.Index != b.applied+1 {
			return nil // it is not what was asked for: ask again
		}
		next := entry{index: e.Index, term: e.Term, kind: entryKind(e.Kind), data: e.Data}
		if err := b.apply(next); err != nil {
			return err
		}
		b.term = e.Term
		b.since += next.size()
	}
	return nil
}

// piece takes a piece of a snapshot, and the snapshot when it is whole.
func (b *Observer) piece(p Page) error {
	f := &b.fetched
	if f.index != p.Index || f.sum != p.Sum || f.total != p.Total {
		*f = fetched{index: p.Index, sum: p.Sum, total: p.Total}
	}
	if p.At != int64(len(f.data)) || p.Total > maxSnapshot+8 || p.At+int64(len(p.Piece)) > p.Total {
		*f = fetched{}
		return nil // ask again, from the beginning
	}
	if b.w.Buggify("a piece of the metadata is damaged on its way") {
		p.Piece = env.Damaged(p.Piece, 0)
	}
	f.data = append(f.data, p.Piece...)
	if int64(len(f.data)) < f.total {
		return nil
	}
	whole := *f
	*f = fetched{}
	if len(whole.data) < 8 || record.Checksum(whole.data) != whole.sum {
		b.w.Probe("an observer got a snapshot that is not whole")
		return nil
	}
	snap := &snapshot{index: whole.index, term: binary.BigEndian.Uint64(whole.data), conf: &pb.ConfState{}, data: whole.data[8:]}
	if err := snap.decode(); err != nil {
		return err
	}
	b.w.Probe("an observer of the metadata began with a snapshot")
	b.since = b.o.SnapshotEvery // it is worth keeping
	return b.take(snap)
}

// maybeSave writes the image down if enough was followed since it last was.
// Blocks.
func (b *Observer) maybeSave() error {
	if b.applied == b.saved || b.since < b.o.SnapshotEvery && !b.w.Buggify("take a snapshot now") {
		return nil
	}
	snap := newSnapshot(snapshot{index: b.applied, term: b.term, conf: &pb.ConfState{}, chain: b.chain, base: b.base,
		members: b.voters, records: b.image.Dump()})
	b.since = 0
	if len(snap.data) > maxSnapshot {
		return nil
	}
	err := b.store.saveSnapshot(snap)
	if err == nil {
		err = b.store.tidy()
	}
	if errors.Is(err, env.ErrNoSpace) {
		b.w.Probe("an observer had no space for a snapshot")
		return nil
	}
	b.saved = snap.index
	return err
}
