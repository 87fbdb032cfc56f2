package quorum

import (
	"encoding/binary"
	"fmt"

	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
)

const stateName = Path + "/state"

// maxState bounds the file of the hard state.
const maxState = 64 << 10

// A hardState is what a member must not forget: the term it is in, whom it voted
// for in it, and what it once knew to be committed, which the log must still
// have.
//
// What is known to be committed is written down only as far as it was applied,
// and so was durable here: a later commit may speak of entries that are about to
// replace others of the log.
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

// save makes the hard state durable. Blocks.
func (s hardState) save(fs env.FS, dir meta.DirectoryID) error {
	if err := writeFile(fs, stateName, seal(kindState, dir, s.encode())); err != nil {
		return fmt.Errorf("%s: %w", stateName, err)
	}
	return nil
}

// loadState reads the hard state, env.ErrNotExist if none was ever written.
// Blocks.
func loadState(fs env.FS, dir meta.DirectoryID) (hardState, error) {
	b, err := readFile(fs, stateName, maxState)
	if err == nil {
		b, err = unseal(kindState, dir, b)
	}
	var s hardState
	if err == nil {
		s, err = decodeState(b)
	}
	if err != nil {
		return hardState{}, fmt.Errorf("%s: %w", stateName, err)
	}
	return s, nil
}
