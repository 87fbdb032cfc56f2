package quorum

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/klammlog/klamm/internal/assert"
	"github.com/klammlog/klamm/node/commitlog"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
)

// run is the member's task: it alone touches raft, but for looking at its state.
func (q *Quorum) run() {
	err := q.loop()
	switch {
	case err == nil:
		err = env.ErrClosed
	case !errors.Is(err, env.ErrCanceled):
		q.w.Probe("a controller failed for good")
		q.w.Log.Error("controller failed: it takes no part until the process is started again", "err", err)
	}
	q.fail(err)
}

// fail ends the member's part for good.
func (q *Quorum) fail(err error) {
	q.broken, q.working = err, false
	q.endChanges()
	q.endReads()
	q.moved.Broadcast()
	if q.closing {
		return
	}
	for _, f := range q.onFail {
		f(err)
	}
}

// loop goes round until the member is closed (nil) or cannot go on.
func (q *Quorum) loop() error {
	for !q.closing {
		if err := q.takeMessages(); err != nil {
			return err
		}
		q.maybeTick()
		for q.node.HasReady() {
			if err := q.carryOut(q.node.Ready()); err != nil {
				return err
			}
		}
		if err := q.finishSnapshot(); err != nil {
			return err
		}
		if err := q.log.maybeCheckpoint(); err != nil {
			return err
		}
		q.maybeSnapshot()
		q.campaignIfAlone()
		q.handOver()
		q.lead()
		q.issueReads()
		q.takeChanges()
		if q.node.HasReady() || len(q.inbox.messages) > 0 || q.closing {
			continue
		}
		if err := q.wake.Wait(q.nextTick()); err != nil && !errors.Is(err, env.ErrDeadline) {
			return err
		}
	}
	return q.end()
}

// campaignIfAlone makes the only voter lead at once: there is nobody to wait for.
func (q *Quorum) campaignIfAlone() {
	s := q.node.BasicStatus()
	voters := q.conf.GetVoters()
	if len(voters) == 1 && voters[0] == q.id && len(q.conf.GetVotersOutgoing()) == 0 && s.RaftState == raft.StateFollower {
		_ = q.node.Campaign() // never fails: it is a message to itself
	}
}

// takeMessages hands raft what has come. What raft refuses is of no use to it. It
// fails if a leader counts on what this member does not have.
func (q *Quorum) takeMessages() error {
	messages := q.inbox.messages
	q.inbox = inbox{}
	for _, m := range messages {
		if m.GetType() == pb.MsgSnap && q.snapshot.index >= m.GetSnapshot().GetMetadata().GetIndex() {
			q.w.Probe("a controller was sent a snapshot that it has")
		}
		if err := errors.Join(q.forgot(m), q.contradicts(m)); err != nil {
			return err
		}
		_ = q.node.Step(m) // only fails for what comes from nobody it knows
		q.tick.heard(q, m)
	}
	return nil
}

// forgot says what a leader knows this member to hold, and it does not. A heartbeat
// carries what is committed and what the member has acknowledged, whichever is less;
// what was acknowledged was durable. Whose disk has lost it without a word takes no part
// any more: its vote may be lost as well, and raft would panic.
func (q *Quorum) forgot(m *pb.Message) error {
	last, err := q.storage.LastIndex()
	assert.NoError(err) // it is in memory
	if m.GetType() != pb.MsgHeartbeat || m.GetTerm() < q.node.BasicStatus().GetTerm() || m.GetCommit() <= last {
		return nil
	}
	q.w.Probe("a controller had lost entries that it had acknowledged")
	return fmt.Errorf("metadata log ends at entry %d, and controller %d, the leader of term %d, was told that it goes to %d at least: this disk has lost entries that were durable, give this node an empty one",
		last, nodeID(m.GetFrom()), m.GetTerm(), m.GetCommit())
}

// contradicts says in what a leader's log is not what was committed here: then most of
// the voters have lost it, and no leader can get on with this member, nor it with one.
// They would send each other the same messages without an end.
func (q *Quorum) contradicts(m *pb.Message) error {
	if m.GetType() != pb.MsgApp {
		return nil
	}
	if now := q.node.BasicStatus(); m.GetTerm() < now.GetTerm() || m.GetIndex() > now.GetCommit() {
		return nil
	}
	term, err := q.storage.Term(m.GetIndex())
	if err != nil || term == m.GetLogTerm() {
		return nil // what a snapshot stands for has no term any more
	}
	q.w.Probe("a controller had committed what its leader does not have")
	return fmt.Errorf("entry %d of the metadata log is of term %d and committed here, and controller %d, the leader of term %d, has one of term %d: the disks of most controllers have lost what was durable",
		m.GetIndex(), term, nodeID(m.GetFrom()), m.GetTerm(), m.GetLogTerm())
}

// carryOut does what raft wants done, in the order that makes it safe: first all
// of it is made durable, then the others are told, then what is committed is
// applied, and answered. Blocks.
func (q *Quorum) carryOut(rd raft.Ready) error {
	q.writing, q.since = true, q.w.Now()
	err := q.persist(rd)
	q.writing = false
	if err != nil {
		return err
	}
	q.send(rd.Messages)
	q.takeReads(rd.ReadStates)
	for _, e := range rd.CommittedEntries {
		if err := q.commit(entryOf(e)); err != nil {
			return err
		}
	}
	q.node.Advance(rd)
	q.tick.follow(q)
	q.followLeader()
	q.answerReads()
	return nil
}

// persist makes durable what raft must not forget. Blocks.
func (q *Quorum) persist(rd raft.Ready) error {
	if !raft.IsEmptyHardState(rd.HardState) {
		q.hard = hardState{term: rd.GetTerm(), vote: rd.GetVote(), commit: rd.GetCommit()}
		if err := q.saveState(); err != nil {
			return err
		}
	}
	if !raft.IsEmptySnap(rd.Snapshot) {
		if err := q.receive(rd.Snapshot); err != nil {
			return err
		}
	}
	if len(rd.Entries) == 0 {
		return nil
	}
	entries := make([]entry, len(rd.Entries))
	for i, e := range rd.Entries {
		entries[i] = entryOf(e)
		q.snapshot.since += entries[i].size()
	}
	if err := q.appendEntries(entries); err != nil {
		return err
	}
	if err := q.heed(entries); err != nil {
		return err
	}
	return q.storage.Append(rd.Entries)
}

// appendEntries makes entries durable. Before a change of the members it writes down
// what is known to be committed, and with that the change before: a member that
// comes back takes those for the voters whom it knows to be committed, and raft
// allows it to be one change behind the others, not two (raft thesis, section 4.1:
// a leader decides on the next change when the last is committed, and says so with
// it). Blocks.
func (q *Quorum) appendEntries(entries []entry) error {
	for len(entries) > 0 {
		if entries[0].kind == kindConfChange {
			if err := q.saveCommit(min(q.hard.commit, entries[0].index-1)); err != nil {
				return err
			}
		}
		n := 1
		for n < len(entries) && entries[n].kind != kindConfChange {
			n++
		}
		if err := q.despiteFull(func() error { return q.log.append(entries[:n]) }); err != nil {
			return err
		}
		entries = entries[n:]
	}
	return nil
}

// saveCommit makes durable how far the log, which goes there, is committed. Blocks.
func (q *Quorum) saveCommit(commit uint64) error {
	if commit <= q.state.commit {
		return nil
	}
	next := q.state
	next.commit = commit
	if err := q.despiteFull(func() error { return q.store.saveState(next) }); err != nil {
		return err
	}
	q.state = next
	return nil
}

// saveState makes term and vote durable if they have changed. Blocks.
func (q *Quorum) saveState() error {
	if q.hard.term == q.state.term && q.hard.vote == q.state.vote {
		return nil
	}
	next := hardState{term: q.hard.term, vote: q.hard.vote, commit: max(q.state.commit, q.applied), base: q.base}
	if err := q.despiteFull(func() error { return q.store.saveState(next) }); err != nil {
		return err
	}
	q.state = next
	return nil
}

// spacePause is how long a full disk is given to become less so.
const spacePause = 250 * time.Millisecond

// despiteFull writes, however long the disk is full: meanwhile this member is as
// one that is stopped, and what is under way is of unknown outcome. Blocks.
func (q *Quorum) despiteFull(write func() error) error {
	for {
		err := write()
		if !full(err) {
			return err
		}
		q.w.Probe("the metadata log had no space")
		q.loseChange(kafka.ErrRequestTimedOut)
		q.refuseChanges(q.noSpace())
		if q.closing {
			return err
		}
		if err := q.w.Sleep(spacePause); err != nil {
			return err
		}
	}
}

// full reports whether a write did not happen for want of space, or of files
// that may be open. It may have happened in part if its directory is out of service
// for want of space: a sync that fails is not tried again.
func full(err error) bool {
	if errors.Is(err, commitlog.ErrOffline) {
		return false
	}
	return errors.Is(err, env.ErrNoSpace) || errors.Is(err, commitlog.ErrRefused)
}

// send hands messages to the transport, those to one member together.
func (q *Quorum) send(messages []*pb.Message) {
	for len(messages) > 0 {
		to := messages[0].GetTo()
		var frames [][]byte
		rest := messages[:0:0]
		for _, m := range messages {
			if m.GetTo() != to {
				rest = append(rest, m)
				continue
			}
			if m.GetType() == pb.MsgSnap {
				q.peers.sent(nodeID(to), q.w.Now().Add(q.snapshotPatience(len(m.GetSnapshot().GetData()))))
			}
			q.tick.sent(q, m)
			frames = append(frames, q.frame(m))
		}
		if q.o.Transport != nil {
			q.o.Transport.Send(nodeID(to), frames)
		}
		messages = rest
	}
}

func (q *Quorum) frame(m *pb.Message) []byte {
	f := frame{from: q.dir, base: fingerprint(q.base), address: q.Member(q.o.ID).Address, message: marshal(m)}
	if slices.Contains(ofLeaders, m.GetType()) {
		// A leader knows how far the member's log goes: a disk that is empty
		// instead must not be told of commits that it cannot have.
		f.to = q.directoryOf(nodeID(m.GetTo()))
	}
	return f.encode()
}

// commit applies a committed entry, and answers who waited for it.
func (q *Quorum) commit(e entry) error {
	if e.kind == kindConfChange {
		if err := q.applyConfChange(e); err != nil {
			return fmt.Errorf("metadata offset %d: %w", e.offset(), err)
		}
	}
	if err := q.apply(e); err != nil {
		return err
	}
	q.settleChanges(e)
	return nil
}

// followLeader wakes those who wait for another leader or term.
func (q *Quorum) followLeader() {
	if now := q.standing(); now != q.changes.standing {
		q.changes.standing = now
		q.sight.changes++
		q.loseLeadership()
		q.moved.Broadcast()
	}
}

// end writes down how far the log was known to be committed, so that the next
// life begins with the image that this one has. Blocks.
func (q *Quorum) end() error {
	if q.snapshot.saving != nil {
		for !q.snapshot.saving.done {
			if err := q.wake.Wait(kafka.Never); err != nil {
				return err
			}
		}
	}
	last := q.state
	last.commit = max(last.commit, q.applied)
	if last.commit == q.state.commit {
		return nil
	}
	if err := q.store.saveState(last); err != nil && !full(err) {
		return err
	}
	return nil
}

// snapshotPatience is how long a snapshot may be on its way.
func (q *Quorum) snapshotPatience(size int) time.Duration {
	return 5*q.o.ElectionTimeout + time.Duration(size)*time.Microsecond
}

// A sentSnapshot is one that may have been lost: raft sends nothing else to that
// member until it hears of it.
type sentSnapshot struct {
	to    kafka.NodeID
	until kafka.Instant
}

func (p *peers) sent(to kafka.NodeID, until kafka.Instant) {
	p.snapshots = append(p.snapshots, sentSnapshot{to, until})
}

// giveUpSnapshots tells raft to try again with members that ought to have a
// snapshot by now. If they do, that is found out.
func (q *Quorum) giveUpSnapshots() {
	keep := q.peers.snapshots[:0]
	for _, s := range q.peers.snapshots {
		if q.w.Now() < s.until {
			keep = append(keep, s)
			continue
		}
		q.node.ReportSnapshot(raftID(s.to), raft.SnapshotFailure)
	}
	q.peers.snapshots = keep
}

// applyConfChange carries a change of the members into raft and remembers what it
// says of them.
func (q *Quorum) applyConfChange(e entry) error {
	cc := &pb.ConfChangeV2{}
	if err := proto.Unmarshal(e.data, cc); err != nil {
		return fmt.Errorf("configuration change, %d bytes: %w", len(e.data), errMalformed)
	}
	told, err := decodeMembers(cc.GetContext())
	if err != nil {
		return err
	}
	led := q.node.BasicStatus().RaftState == raft.StateLeader
	q.conf = q.node.ApplyConfChange(cc)
	q.learn(told)
	q.sight.changes++
	if led && !slices.Contains(q.configured(), q.o.ID) {
		q.w.Probe("a leader of the quorum was removed from it")
	}
	return nil
}
