package quorum

import (
	"encoding/binary"

	"github.com/klammlog/klamm/node/kafka"
)

// maxState bounds the file of the hard state.
const maxState = 64 << 10

// A hardState is what a member must not forget: the term it is in, whom it voted
// for in it, and what it once knew to be committed, which the log must still
// have.
//
// What is known to be committed is written down only as far as it is durable here:
// a later commit may speak of entries that are about to replace others of the log.
// It need not be written down but before a change of the members.
type hardState struct {
	term, vote, commit uint64
	base               []kafka.NodeID // the voters that the quorum began with, if this is one of them
}

func (s hardState) encode() []byte {
	b := binary.BigEndian.AppendUint64(nil, s.term)
	b = binary.BigEndian.AppendUint64(b, s.vote)
	b = binary.BigEndian.AppendUint64(b, s.commit)
	return appendBase(b, s.base)
}

func decodeState(b []byte) (hardState, error) {
	r := &reader{b: b}
	s := hardState{term: r.uint64(), vote: r.uint64(), commit: r.uint64(), base: r.base()}
	return s, r.end()
}
