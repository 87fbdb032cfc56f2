package quorum

import (
	"fmt"
	"slices"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/tracker"

	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
)

// A View is what an observer of the cluster sees of one member. It looks at the
// member, which goes on changing.
type View struct {
	ID          kafka.NodeID
	Term        uint64
	Vote        kafka.NodeID // in that term; meta.NoLeader for none
	Role        Role
	Leader      kafka.NodeID
	Committed   uint64
	Applied     uint64
	First, Last uint64 // of the log in memory; Last is First-1 where it is empty
	DurableTerm uint64
	DurableVote kafka.NodeID
	Chain       uint64 // hash of all entries up to Applied

	// Voters are those of the configuration that is in force as of Applied, by id;
	// Outgoing, while there are any, those of the one that is being left: then a
	// majority of both decides.
	Voters, Outgoing []kafka.NodeID

	Failed error

	Led     uint64  // election timeouts that it has led in this life, by its own clock
	Decided Decided // last
	Asked   uint64  // how many questions for the newest it has put
	Sure    Sure    // the last of them that was answered

	q *Quorum
}

// A Decided is a decision whose entry was proposed.
type Decided struct {
	Index, Term uint64
	Leads       bool // it led when it decided, as it believed
	Unseen      int  // entries with records before its own that were not in its image
}

// A Sure is an answer to a question for the newest: everything that was committed when
// it was put is below an index.
type Sure struct{ Number, Index uint64 }

// A sight is what observers want to know of a member, besides what it needs itself.
type sight struct {
	changes uint64
	ticks   uint64 // while it led
	decided Decided
	sure    Sure
}

// Changes counts elections, decisions and questions for the newest: an observer that
// finds it as it was need not look at View.
func (q *Quorum) Changes() uint64 { return q.sight.changes }

// seeDecided notes a decision whose entry will have an index.
func (q *Quorum) seeDecided(index uint64) {
	s := q.node.BasicStatus()
	d := Decided{Index: index, Term: s.GetTerm(), Leads: s.RaftState == raft.StateLeader}
	if q.applied+1 < index {
		before, _ := q.storage.Entries(q.applied+1, index, maxInFlightSize) // in memory: it never fails
		for _, e := range before {
			if e := entryOf(e); e.kind == kindRecords && len(e.data) > 0 {
				d.Unseen++
			}
		}
	}
	q.sight.decided = d
	q.sight.changes++
}

// A Role is a member's part.
type Role string

// The roles.
const (
	Follower  Role = "follower"
	Candidate Role = "candidate"
	Leader    Role = "leader"
)

// View returns what can be seen of this member. It does not block.
func (q *Quorum) View() View {
	s := q.node.BasicStatus()
	first, _ := q.storage.FirstIndex() // in memory: it never fails
	last, _ := q.storage.LastIndex()
	return View{ID: q.o.ID, Term: s.GetTerm(), Vote: nodeID(s.GetVote()), Role: roleOf(s.RaftState), Leader: nodeID(s.Lead),
		Committed: s.GetCommit(), Applied: q.applied, First: first, Last: last,
		DurableTerm: q.state.term, DurableVote: nodeID(q.state.vote), Chain: q.chain,
		Voters: nodesOf(q.conf.GetVoters()), Outgoing: nodesOf(q.conf.GetVotersOutgoing()), Failed: q.Failed(), q: q,
		Led: q.sight.ticks / electionTicks, Decided: q.sight.decided, Asked: q.reads.asked, Sure: q.sight.sure}
}

// nodesOf turns raft's names into ours, by id.
func nodesOf(ids []uint64) []kafka.NodeID {
	var nodes []kafka.NodeID
	for _, id := range ids {
		nodes = append(nodes, nodeID(id))
	}
	slices.Sort(nodes)
	return nodes
}

func roleOf(s raft.StateType) Role {
	switch s {
	case raft.StateLeader:
		return Leader
	case raft.StateFollower:
		return Follower
	}
	return Candidate
}

// TermAt returns the term of an entry that is durable here; false if it is not
// in the log.
func (v View) TermAt(index uint64) (uint64, bool) {
	t, err := v.q.storage.Term(index)
	return t, err == nil
}

// Knows reports whether the log that is durable here names the directory of a member:
// who comes with another one is refused from then on.
func (v View) Knows(id kafka.NodeID) bool {
	m, _ := v.q.members.find(id)
	return m.Directory != (meta.DirectoryID{})
}

// NextProducerID returns how many producer ids this member knows to be given out: of a
// block that it has given out itself, before its broker does.
func (v View) NextProducerID() kafka.ProducerID { return v.q.image.NextProducerID() }

// Digest returns a hash of the image: equal images, equal digests.
func (v View) Digest() uint64 { return v.q.image.Digest() }

// Check returns the first invariant that does not hold.
func (q *Quorum) Check() error {
	s := q.node.BasicStatus()
	first, err := q.storage.FirstIndex()
	if err != nil {
		return err
	}
	last, err := q.storage.LastIndex()
	if err != nil {
		return err
	}
	switch {
	case q.applied > s.GetCommit() || q.applied > last || q.applied+1 < first:
		return fmt.Errorf("controller %d: applied %d, committed %d, log from %d to %d", q.o.ID, q.applied, s.GetCommit(), first, last)
	case q.snapshot.index > q.applied || q.snapshot.compacted > q.snapshot.index || first-1 > q.snapshot.index:
		return fmt.Errorf("controller %d: snapshot at %d, log compacted to %d, in memory from %d, applied %d",
			q.o.ID, q.snapshot.index, q.snapshot.compacted, first, q.applied)
	case q.state.term > s.GetTerm():
		return fmt.Errorf("controller %d: durable term %d, term %d", q.o.ID, q.state.term, s.GetTerm())
	}
	if !q.writing && q.broken == nil && last != q.log.last() {
		return fmt.Errorf("controller %d: the log ends at %d in memory, at %d on the disk", q.o.ID, last, q.log.last())
	}
	if c := q.changes.current; c != nil && c.index <= q.applied {
		return fmt.Errorf("controller %d: the decision of entry %d is under way, applied %d", q.o.ID, c.index, q.applied)
	}
	return q.image.Check()
}

// A Description is what DescribeQuorum tells (KIP-595, KIP-836).
type Description struct {
	Leader    kafka.NodeID
	Epoch     kafka.LeaderEpoch
	Committed kafka.Offset // the high watermark
	Voters    []Described
	Observers []Described
}

// A Described is one member of the quorum, or a node that reads its log.
type Described struct {
	Voter
	End      kafka.Offset    // of its log, as the leader knows; kafka.NoOffset if it does not
	LastSeen kafka.Timestamp // kafka.NoTimestamp if it was never seen
}

// Describe returns the quorum as this member sees it: only the leader knows how
// far the others are. Learners are among the observers.
func (q *Quorum) Describe() Description {
	s := q.node.BasicStatus()
	d := Description{Committed: kafka.Offset(s.GetCommit())}
	d.Leader, d.Epoch = q.Leader()
	ends := map[uint64]uint64{}
	if s.RaftState == raft.StateLeader {
		q.node.WithProgress(func(id uint64, _ raft.ProgressType, p tracker.Progress) { ends[id] = p.Match })
	}
	for _, id := range q.configured() {
		m := Described{Voter: q.Member(id), End: kafka.NoOffset, LastSeen: q.lastSeen(id)}
		if end, ok := ends[raftID(id)]; ok {
			m.End = kafka.Offset(end)
		}
		if q.votes(id) {
			d.Voters = append(d.Voters, m)
		} else {
			d.Observers = append(d.Observers, m)
		}
	}
	for _, o := range q.readers.seen {
		d.Observers = append(d.Observers, Described{Voter: Voter{ID: o.ID, Directory: o.Directory}, End: o.Offset, LastSeen: q.wallAt(o.At)})
	}
	return d
}

// votes reports whether a member has a vote, also in a configuration that is being
// left.
func (q *Quorum) votes(id kafka.NodeID) bool {
	return slices.Contains(q.conf.GetVoters(), raftID(id)) || slices.Contains(q.conf.GetVotersOutgoing(), raftID(id))
}

// lastSeen returns when a member was heard of.
func (q *Quorum) lastSeen(id kafka.NodeID) kafka.Timestamp {
	if id == q.o.ID {
		return q.w.Wall()
	}
	for _, h := range q.peers.heard {
		if h.id == id {
			return q.wallAt(h.at)
		}
	}
	return kafka.NoTimestamp
}

func (q *Quorum) wallAt(t kafka.Instant) kafka.Timestamp {
	return q.w.Wall() - kafka.Timestamp(q.w.Now().Sub(t).Milliseconds())
}
