package quorum

import (
	"encoding/base64"
	"fmt"
	"io"
	"slices"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"
	"google.golang.org/protobuf/proto"

	"github.com/klammlog/klamm/internal/assert"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
)

// A Membership looks at the quorum and says which change of its members shall be
// next; nil for none.
type Membership func() (*pb.ConfChangeV2, error)

// changeMembers proposes a change of the members.
func (q *Quorum) changeMembers(c *change) {
	cc, err := c.members()
	if err != nil || cc == nil {
		q.answerWhenSure(c, err)
		return
	}
	q.proposed(c, q.node.ProposeConfChange(cc))
}

// joint reports whether a change of voters is half made. Raft completes it.
func (q *Quorum) joint() bool { return len(q.conf.GetVotersOutgoing()) > 0 }

// lead does what the leader owes the quorum: to write down which directories and
// addresses the voters have, so that one that lost its disk is told from itself;
// then to begin the cluster; and to make voters of learners that have caught up.
func (q *Quorum) lead() {
	if q.changes.current != nil || q.node.HasReady() || q.joint() || !q.leads() {
		return
	}
	c := &change{settled: q.w.NewCond("quorum/lead"), begun: true}
	if told := q.unregistered(); len(told) > 0 {
		q.proposed(c, q.node.ProposeConfChange(oneChange(pb.ConfChangeUpdateNode, q.o.ID, told)))
		return
	}
	if q.image.Level() == 0 {
		q.propose(c, meta.Format(q.clusterID()))
		return
	}
	if id, ok := q.promotable(); ok {
		q.w.Probe("a learner of the quorum became a voter")
		q.proposed(c, q.node.ProposeConfChange(jointly(oneChange(pb.ConfChangeAddNode, id, nil))))
	}
}

func oneChange(t pb.ConfChangeType, id kafka.NodeID, told members) *pb.ConfChangeV2 {
	cc := &pb.ConfChangeV2{Changes: []*pb.ConfChangeSingle{{Type: t.Enum(), NodeId: new(raftID(id))}}}
	if len(told) > 0 {
		cc.Context = told.encode(nil)
	}
	return cc
}

// jointly has a change of voters pass through a configuration in which the old
// and the new majority have to agree (raft thesis, section 4.3).
func jointly(cc *pb.ConfChangeV2) *pb.ConfChangeV2 {
	cc.Transition = pb.ConfChangeTransitionJointImplicit.Enum()
	return cc
}

// unregistered returns the members whose directories the quorum does not know,
// but this one does.
func (q *Quorum) unregistered() members {
	var told members
	for _, id := range q.configured() {
		if v, _ := q.members.find(id); v.Directory != (meta.DirectoryID{}) {
			continue
		}
		v := q.Member(id)
		if id == q.o.ID {
			v.Directory = q.dir
		}
		if v.Directory != (meta.DirectoryID{}) {
			told = told.with(v)
		}
	}
	return told
}

// configured returns voters and learners, also those of a configuration that is
// being left, by id.
func (q *Quorum) configured() []kafka.NodeID { return idsOf(q.conf) }

func idsOf(conf *pb.ConfState) []kafka.NodeID {
	var ids []kafka.NodeID
	for _, list := range [][]uint64{conf.GetVoters(), conf.GetVotersOutgoing(), conf.GetLearners(), conf.GetLearnersNext()} {
		for _, id := range list {
			ids = append(ids, nodeID(id))
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// Member returns what this member knows of another, or of itself: the directory
// that the quorum has agreed on, else the one that was seen; the address that
// its own options say, since that is where an operator moves a voter to, else the
// one that the voter was added with, else the one that it says it has.
func (q *Quorum) Member(id kafka.NodeID) Voter {
	v, _ := q.members.find(id)
	v.Directory = q.directoryOf(id)
	for _, o := range q.o.Voters {
		if o.ID == id && o.Address != "" {
			v.Address = o.Address
		}
	}
	for _, h := range q.peers.heard {
		if h.id == id && v.Address == "" {
			v.Address = h.address
		}
	}
	return v
}

// Voters returns the voters as this member knows them, by id.
func (q *Quorum) Voters() []Voter {
	var voters []Voter
	for _, id := range q.configured() {
		if slices.Contains(q.conf.GetVoters(), raftID(id)) {
			voters = append(voters, q.Member(id))
		}
	}
	return voters
}

// Voter returns a member that has a vote, also if it is about to lose it.
func (q *Quorum) Voter(id kafka.NodeID) (Voter, bool) { return q.Member(id), q.votes(id) }

// learn remembers what a change of the members says of them, and forgets those
// that are none any more.
func (q *Quorum) learn(told members) {
	for _, v := range told {
		q.members = q.members.with(v)
	}
	ids := q.configured()
	q.members = q.members.only(func(id kafka.NodeID) bool { return slices.Contains(ids, id) })
}

// clusterID returns the name of a cluster that begins.
func (q *Quorum) clusterID() string {
	if q.o.ClusterID != "" {
		return q.o.ClusterID
	}
	var b [16]byte
	_, err := io.ReadFull(q.w.Secret, b[:])
	assert.NoError(err) // the world's randomness does not end
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// caughtUp is how many entries a learner may be behind to become a voter.
const caughtUp = 100

// promotable finds a learner that has caught up.
func (q *Quorum) promotable() (kafka.NodeID, bool) {
	if len(q.conf.GetLearners()) == 0 {
		return 0, false
	}
	found := uint64(0)
	q.node.WithProgress(func(id uint64, kind raft.ProgressType, p tracker.Progress) {
		if kind == raft.ProgressTypeLearner && found == 0 && p.RecentActive && p.Match > 0 && p.Match+caughtUp >= q.applied {
			found = id
		}
	})
	return nodeID(found), found != 0
}

// AddVoter adds a member: first as one that only learns, until it has caught up,
// then as a voter. One that is known by another directory has lost its disk, and
// is removed first. It returns when it is a voter. It fails with NOT_CONTROLLER
// where this member does not lead, with INVALID_REQUEST, and with
// REQUEST_TIMED_OUT when the deadline passes: the change goes on. Blocks.
func (q *Quorum) AddVoter(v Voter, deadline kafka.Instant) error {
	if v.ID < 0 || v.Address == "" || len(v.Address) > maxText || v.Directory == (meta.DirectoryID{}) {
		return fmt.Errorf("voter %d at %q: %w", v.ID, v.Address, kafka.ErrInvalidRequest)
	}
	for {
		done := false
		next := func() (cc *pb.ConfChangeV2, err error) {
			cc, done, err = q.nextToAdd(v)
			return cc, err
		}
		if err := q.changeMembership(next, deadline); err != nil || done {
			return err
		}
		if err := q.moved.Wait(deadline); err != nil {
			return fmt.Errorf("voter %d has not caught up: %w: %w", v.ID, err, kafka.ErrRequestTimedOut)
		}
	}
}

// nextToAdd returns the next change on the way to a voter, or that it is one.
func (q *Quorum) nextToAdd(v Voter) (cc *pb.ConfChangeV2, done bool, err error) {
	known, _ := q.members.find(v.ID)
	ids := q.configured()
	switch {
	case slices.Contains(ids, v.ID) && known.Directory != v.Directory:
		if len(ids) == 1 {
			return nil, false, fmt.Errorf("voter %d is the only one: %w", v.ID, kafka.ErrInvalidRequest)
		}
		return q.removal(v.ID), false, nil
	case slices.Contains(q.conf.GetVoters(), raftID(v.ID)):
		return nil, true, nil
	case slices.Contains(ids, v.ID):
		return nil, false, nil // lead will promote it
	case len(ids) >= maxVoters:
		return nil, false, fmt.Errorf("voter %d: %d members already: %w", v.ID, len(ids), kafka.ErrInvalidRequest)
	}
	return oneChange(pb.ConfChangeAddLearnerNode, v.ID, members{v}), false, nil
}

// RemoveVoter removes a member, a voter or one that was to become one. It returns
// when the member counts no more and can be stopped. If it is the leader it steps
// down. It fails with NOT_CONTROLLER where this member does not lead, with
// INVALID_REQUEST for the last voter, and with REQUEST_TIMED_OUT. Blocks.
func (q *Quorum) RemoveVoter(id kafka.NodeID, deadline kafka.Instant) error {
	err := q.changeMembership(func() (*pb.ConfChangeV2, error) {
		switch ids := q.configured(); {
		case !slices.Contains(ids, id):
			return nil, nil
		case len(q.conf.GetVoters()) == 1 && q.conf.GetVoters()[0] == raftID(id):
			return nil, fmt.Errorf("voter %d is the only one: %w", id, kafka.ErrInvalidRequest)
		}
		return q.removal(id), nil
	}, deadline)
	if err != nil {
		return err
	}
	for slices.Contains(q.configured(), id) { // its vote is needed until the change is complete
		if q.broken != nil {
			return fmt.Errorf("voter %d: %w: %w", id, q.broken, kafka.ErrRequestTimedOut)
		}
		if err := q.moved.Wait(deadline); err != nil {
			return fmt.Errorf("voter %d still counts: %w: %w", id, err, kafka.ErrRequestTimedOut)
		}
	}
	return nil
}

func (q *Quorum) removal(id kafka.NodeID) *pb.ConfChangeV2 {
	return jointly(oneChange(pb.ConfChangeRemoveNode, id, nil))
}

// changeMembership waits for one change of the members. Blocks.
func (q *Quorum) changeMembership(next Membership, deadline kafka.Instant) error {
	return q.change(&change{members: next, settled: q.w.NewCond("quorum/members")}, deadline)
}

// resign hands leadership to the voter that has most of the log, and waits a
// little until it has taken it. Blocks.
func (q *Quorum) resign(deadline kafka.Instant) {
	if q.broken != nil || q.alone() || q.node.BasicStatus().RaftState != raft.StateLeader {
		return
	}
	q.resigning = true
	q.wake.Broadcast()
	patience := min(deadline, q.w.Now().Add(q.o.ElectionTimeout))
	for q.broken == nil && q.resigning && q.node.BasicStatus().RaftState == raft.StateLeader {
		if q.moved.Wait(patience) != nil {
			return
		}
	}
	q.w.Probe("a controller handed leadership over")
}

// handOver has raft make a leader of the voter that has most of the log. Without
// one nobody waits for it.
func (q *Quorum) handOver() {
	if !q.resigning || q.node.BasicStatus().RaftState != raft.StateLeader {
		return
	}
	best, match := uint64(0), uint64(0)
	q.node.WithProgress(func(id uint64, kind raft.ProgressType, p tracker.Progress) {
		if id != q.id && kind == raft.ProgressTypePeer && p.RecentActive && p.Match > match {
			best, match = id, p.Match
		}
	})
	if best == 0 {
		q.resigning = false
		q.moved.Broadcast()
		return
	}
	q.node.TransferLeader(best) // again and again is the same as once
}

// told is what an entry says of members.
type told struct {
	index   uint64
	members members
}

// heed notes what entries say of members before they are applied. A member that
// came back knows less to be committed than it once did; it must not take a voter
// that lost its disk meanwhile for the one in its own log.
func (q *Quorum) heed(entries []entry) error {
	q.told = slices.DeleteFunc(q.told, func(t told) bool { return t.index >= entries[0].index || t.index <= q.applied })
	for _, e := range entries {
		if e.kind != kindConfChange {
			continue
		}
		cc := &pb.ConfChangeV2{}
		if err := proto.Unmarshal(e.data, cc); err != nil {
			return fmt.Errorf("entry %d: configuration change: %w", e.index, errMalformed)
		}
		ms, err := decodeMembers(cc.GetContext())
		if err != nil {
			return fmt.Errorf("entry %d: %w", e.index, err)
		}
		if len(ms) > 0 {
			q.told = append(q.told, told{e.index, ms})
		}
	}
	return nil
}
