package quorum

import (
	"encoding/hex"
	"fmt"
	"slices"

	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
)

// An inbox holds messages until the task has time for them. What does not fit is
// dropped: raft sends it again.
type inbox struct {
	messages []*pb.Message
	bytes    int
}

const (
	maxInbox      = 4096
	maxInboxBytes = 2 * MaxMessage
)

// A frame is what travels: raft's message, and who is meant, by directories.
// They are zero where they are not known.
type frame struct {
	from, to meta.DirectoryID
	base     uint64 // fingerprint of the voters that the quorum began with
	address  string // of the sender, as it knows it: who joins knows no others than it was told
	message  []byte
}

const frameVersion = 2

func (f frame) encode() []byte {
	b := make([]byte, 0, 1+16+16+8+2+len(f.address)+len(f.message))
	b = append(b, frameVersion)
	b = append(b, f.from[:]...)
	b = append(b, f.to[:]...)
	for shift := 56; shift >= 0; shift -= 8 {
		b = append(b, byte(f.base>>shift))
	}
	b = appendText(b, f.address)
	return append(b, f.message...)
}

func decodeFrame(b []byte) (frame, error) {
	r := &reader{b: b}
	if v := r.uint8(); v != frameVersion {
		return frame{}, fmt.Errorf("raft message of version %d, this code knows %d: %w", v, frameVersion, kafka.ErrUnsupportedVersion)
	}
	f := frame{from: r.directory(), to: r.directory(), base: r.uint64(), address: r.text()}
	if r.bad || len(b) > MaxMessage {
		return frame{}, fmt.Errorf("raft message of %d bytes: %w: %w", len(b), errMalformed, kafka.ErrInvalidRequest)
	}
	f.message = r.b
	return f, nil
}

// taken lists the messages that members send each other. Raft knows others, by
// which a member speaks to itself, and proposals, which are decided upon where
// they are made.
var taken = []pb.MessageType{
	pb.MsgApp, pb.MsgAppResp, pb.MsgVote, pb.MsgVoteResp, pb.MsgPreVote, pb.MsgPreVoteResp, pb.MsgSnap,
	pb.MsgHeartbeat, pb.MsgHeartbeatResp, pb.MsgTimeoutNow, pb.MsgReadIndex, pb.MsgReadIndexResp,
}

// Step takes a message that a Transport brought. It fails with INVALID_REQUEST or
// UNSUPPORTED_VERSION if it is none, or comes from somebody who is not who the
// quorum knows; one that finds no room is dropped without an error. It does not
// block.
func (q *Quorum) Step(from kafka.NodeID, message []byte) error {
	if q.broken != nil || q.closing {
		return nil
	}
	f, err := decodeFrame(message)
	if err != nil {
		return err
	}
	m := &pb.Message{}
	if err := proto.Unmarshal(f.message, m); err != nil {
		return fmt.Errorf("raft message of controller %d, %d bytes: %w: %w", from, len(f.message), errMalformed, kafka.ErrInvalidRequest)
	}
	if m.GetFrom() != raftID(from) || m.GetTo() != q.id || !slices.Contains(taken, m.GetType()) {
		return fmt.Errorf("raft message %s of controller %d, from %d to %d: %w", m.GetType(), from, nodeID(m.GetFrom()), nodeID(m.GetTo()), kafka.ErrInvalidRequest)
	}
	if err := q.admit(from, f, m.GetType()); err != nil {
		return err
	}
	if m.GetType() == pb.MsgSnap {
		if _, err := snapshotOf(m.GetSnapshot()); err != nil {
			return fmt.Errorf("controller %d: %w: %w", from, err, kafka.ErrInvalidRequest)
		}
	}
	q.inbox.put(q, m, len(message))
	return nil
}

func (b *inbox) put(q *Quorum, m *pb.Message, size int) {
	if len(b.messages) >= maxInbox || b.bytes+size > maxInboxBytes || q.w.Buggify("the inbox of a controller is full") {
		q.w.Probe("a controller had no room for a message of raft")
		return
	}
	b.messages = append(b.messages, m)
	b.bytes += size
	q.wake.Broadcast()
}

// ofLeaders lists what only a leader sends. Who is one was elected by voters who
// knew it, and may be known anew to a member that was away.
var ofLeaders = []pb.MessageType{pb.MsgApp, pb.MsgSnap, pb.MsgHeartbeat, pb.MsgTimeoutNow}

// admit refuses who is not the member that the quorum knows by that id, where it
// matters: votes, acknowledgements, and who asks for votes.
func (q *Quorum) admit(from kafka.NodeID, f frame, t pb.MessageType) error {
	mine := fingerprint(q.base)
	if f.base != 0 && mine != 0 && f.base != mine {
		return q.refuse(from, "was told to begin with other voters than this one was: %v", q.base)
	}
	if f.to != (meta.DirectoryID{}) && f.to != q.dir {
		q.w.Probe("a controller that lost its disk was told so")
		return q.refuse(from, "knows controller %d by directory %s; this is %s, which has forgotten its votes: remove the voter and add it again",
			q.o.ID, hex.EncodeToString(f.to[:]), hex.EncodeToString(q.dir[:]))
	}
	q.peers.hear(from, f.address, q.w.Now())
	if slices.Contains(ofLeaders, t) {
		return nil
	}
	known := q.identities(from)
	if v, ok := q.peers.seen.find(from); ok && len(known) == 0 {
		known = []meta.DirectoryID{v.Directory}
	}
	if len(known) > 0 && !slices.Contains(known, f.from) {
		q.w.Probe("a controller that lost its disk was refused")
		return q.refuse(from, "comes with directory %s, the quorum knows it by %s: it lost its disk, remove the voter and add it again",
			hex.EncodeToString(f.from[:]), hex.EncodeToString(known[0][:]))
	}
	q.peers.see(from, f.from)
	return nil
}

// refuse logs a reason once, and returns it each time.
func (q *Quorum) refuse(from kafka.NodeID, format string, args ...any) error {
	why := fmt.Sprintf(format, args...)
	if q.peers.complained != why {
		q.peers.complained = why
		q.w.Log.Error("controller is refused", "controller", int(from), "why", why)
	}
	return fmt.Errorf("controller %d %s: %w", from, why, kafka.ErrInvalidRequest)
}

// peers is what this member has seen of the others in this life.
type peers struct {
	seen       members // by directories
	heard      []heard
	complained string
	snapshots  []sentSnapshot
}

// A heard member sent its last message then.
type heard struct {
	id      kafka.NodeID
	at      kafka.Instant
	address string // that it said it has; "" if it never did
}

func (p *peers) hear(id kafka.NodeID, address string, now kafka.Instant) {
	i := slices.IndexFunc(p.heard, func(h heard) bool { return h.id == id })
	if i < 0 {
		p.heard = append(p.heard, heard{id: id})
		i = len(p.heard) - 1
	}
	p.heard[i].at = now
	if address != "" {
		p.heard[i].address = address
	}
}

func (p *peers) see(id kafka.NodeID, dir meta.DirectoryID) {
	if v, ok := p.seen.find(id); !ok || v.Directory != dir {
		p.seen = p.seen.with(Voter{ID: id, Directory: dir})
	}
}

// identities returns the directories that may stand for a member: the one that
// the quorum has agreed on, and those that entries of this member's log speak of,
// which it does not know to be committed: a voter is given another directory only
// after it was removed.
func (q *Quorum) identities(id kafka.NodeID) []meta.DirectoryID {
	var known []meta.DirectoryID
	if v, _ := q.members.find(id); v.Directory != (meta.DirectoryID{}) {
		known = append(known, v.Directory)
	}
	for _, t := range q.told {
		if v, _ := t.members.find(id); t.index > q.applied && v.Directory != (meta.DirectoryID{}) {
			known = append(known, v.Directory)
		}
	}
	return known
}

// directoryOf returns the directory of a member as far as it is known: the one
// that was agreed on, else the one that it was seen with; zero if neither.
func (q *Quorum) directoryOf(id kafka.NodeID) meta.DirectoryID {
	if v, _ := q.members.find(id); v.Directory != (meta.DirectoryID{}) {
		return v.Directory
	}
	v, _ := q.peers.seen.find(id)
	return v.Directory
}
