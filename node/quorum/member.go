package quorum

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"slices"

	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
)

// A Voter is a member of the quorum, or one that is about to be: its node id,
// where its controller listener is, and the first log directory, which holds
// what it voted and acknowledged. A voter that comes with another directory has
// forgotten that, and is another one.
type Voter struct {
	ID        kafka.NodeID
	Address   string           // "host:port"
	Directory meta.DirectoryID // zero while it is not known
}

// maxVoters bounds what is read: nobody runs a quorum of more.
const maxVoters = 100

// raftID is a node's name in raft, where 0 means nobody.
func raftID(id kafka.NodeID) uint64 { return uint64(id) + 1 }

func nodeID(raft uint64) kafka.NodeID {
	if raft == 0 {
		return meta.NoLeader
	}
	return kafka.NodeID(raft - 1)
}

// members is what is known of voters and learners beside their part in raft's
// configuration, sorted by id. Its changes travel in the contexts of
// configuration changes.
type members []Voter

func (ms members) find(id kafka.NodeID) (Voter, bool) {
	i, ok := ms.search(id)
	if !ok {
		return Voter{ID: id}, false
	}
	return ms[i], true
}

func (ms members) search(id kafka.NodeID) (int, bool) {
	return slices.BinarySearchFunc(ms, id, func(v Voter, id kafka.NodeID) int { return cmp.Compare(v.ID, id) })
}

// with returns a copy in which v stands.
func (ms members) with(v Voter) members {
	ms = slices.Clone(ms)
	i, found := ms.search(v.ID)
	if !found {
		return slices.Insert(ms, i, v)
	}
	ms[i] = v
	return ms
}

// only returns a copy without those that keep refuses.
func (ms members) only(keep func(kafka.NodeID) bool) members {
	return slices.DeleteFunc(slices.Clone(ms), func(v Voter) bool { return !keep(v.ID) })
}

func (ms members) encode(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(ms)))
	for _, v := range ms {
		dst = binary.BigEndian.AppendUint32(dst, uint32(v.ID))
		dst = appendText(dst, v.Address)
		dst = append(dst, v.Directory[:]...)
	}
	return dst
}

func (r *reader) members() members {
	n := r.count(4 + 2 + 16)
	if n > maxVoters {
		r.bad = true
		return nil
	}
	var ms members
	for range n {
		v := Voter{ID: kafka.NodeID(r.uint32()), Address: r.text(), Directory: r.directory()}
		if v.ID < 0 || len(ms) > 0 && ms[len(ms)-1].ID >= v.ID {
			r.bad = true
			return nil
		}
		ms = append(ms, v)
	}
	return ms
}

// decodeMembers reads the context of a configuration change.
func decodeMembers(b []byte) (members, error) {
	if len(b) == 0 {
		return nil, nil
	}
	r := &reader{b: b}
	ms := r.members()
	if err := r.end(); err != nil {
		return nil, fmt.Errorf("context of a configuration change, %d bytes: %w", len(b), err)
	}
	return ms, nil
}

// fingerprint names a quorum by the voters it began with: two controllers that
// were told different ones, on empty disks, would begin two histories. 0 means
// that the sender joined later and does not know.
func fingerprint(base []kafka.NodeID) uint64 {
	if len(base) == 0 {
		return 0
	}
	h := fnv.New64a()
	for _, id := range base {
		_, _ = h.Write(binary.BigEndian.AppendUint32(nil, uint32(id)))
	}
	return max(h.Sum64(), 1)
}

func (r *reader) base() []kafka.NodeID {
	n := r.count(4)
	if n > maxVoters {
		r.bad = true
		return nil
	}
	var base []kafka.NodeID
	for range n {
		base = append(base, kafka.NodeID(r.uint32()))
	}
	return base
}

func appendBase(dst []byte, base []kafka.NodeID) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(base)))
	for _, id := range base {
		dst = binary.BigEndian.AppendUint32(dst, uint32(id))
	}
	return dst
}
