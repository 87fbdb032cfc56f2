package commitlog

import (
	"fmt"
	"slices"
	"sort"

	"github.com/klammlog/klamm/internal/assert"
	"github.com/klammlog/klamm/node/kafka"
)

// An EpochStart is a leader epoch and the offset of its first record here.
type EpochStart struct {
	Epoch kafka.LeaderEpoch
	Start kafka.Offset
}

// Epochs knows which leader epoch wrote which part of the log, so that two
// replicas can find where their logs part (KIP-101, KIP-279). An epoch whose
// leader wrote nothing is not in it. It is pure. The zero value is empty.
//
// Invariant, which Check verifies: from entry to entry both epoch and start
// grow, and none is negative.
type Epochs struct {
	entries []EpochStart
}

// Assign notes that the record at start is of an epoch, and reports whether
// that was news. What contradicts it, entries of this or a later epoch that
// start later and entries at or after start, is forgotten: the records they
// spoke of are gone. Without an epoch, kafka.NoLeaderEpoch, it does nothing.
func (e *Epochs) Assign(epoch kafka.LeaderEpoch, start kafka.Offset) (changed bool) {
	if n := len(e.entries); n > 0 && e.entries[n-1].Epoch == epoch && e.entries[n-1].Start <= start {
		return false
	}
	if epoch < 0 {
		return false
	}
	assert.That(start >= 0, "epoch %d starts at %d", epoch, start)
	n := len(e.entries)
	for n > 0 && (e.entries[n-1].Epoch >= epoch || e.entries[n-1].Start >= start) {
		n--
	}
	e.entries = append(e.entries[:n], EpochStart{epoch, start})
	return true
}

// Latest returns the last epoch that wrote here, or kafka.NoLeaderEpoch.
func (e *Epochs) Latest() kafka.LeaderEpoch {
	if len(e.entries) == 0 {
		return kafka.NoLeaderEpoch
	}
	return e.entries[len(e.entries)-1].Epoch
}

// EndOffsetFor answers a replica that asks where an epoch ends (KIP-279): the
// largest epoch here that is not larger than the one asked for, and the offset
// at which it ended, which is the log's end for the latest. If the epoch is
// larger than all epochs here it answers kafka.NoLeaderEpoch and
// kafka.NoOffset: this replica cannot know. If it is smaller than all, the epoch
// itself and where the first one starts.
func (e *Epochs) EndOffsetFor(epoch kafka.LeaderEpoch, logEnd kafka.Offset) (kafka.LeaderEpoch, kafka.Offset) {
	latest := e.Latest()
	switch {
	case epoch < 0 || epoch > latest:
		return kafka.NoLeaderEpoch, kafka.NoOffset
	case epoch == latest:
		return epoch, logEnd
	}
	later := sort.Search(len(e.entries), func(i int) bool { return e.entries[i].Epoch > epoch })
	if later == 0 {
		return epoch, e.entries[0].Start
	}
	return e.entries[later-1].Epoch, e.entries[later].Start
}

// EpochAt returns the epoch that wrote the record at an offset, or
// kafka.NoLeaderEpoch if that was before the first.
func (e *Epochs) EpochAt(at kafka.Offset) kafka.LeaderEpoch {
	later := sort.Search(len(e.entries), func(i int) bool { return e.entries[i].Start > at })
	if later == 0 {
		return kafka.NoLeaderEpoch
	}
	return e.entries[later-1].Epoch
}

// TruncateEnd forgets epochs that start at end or later, and reports whether
// there were any.
func (e *Epochs) TruncateEnd(end kafka.Offset) (changed bool) {
	n := len(e.entries)
	for n > 0 && e.entries[n-1].Start >= end {
		n--
	}
	changed = n < len(e.entries)
	e.entries = e.entries[:n]
	return changed
}

// TruncateStart forgets what was before start, and reports whether anything
// was. The epoch that wrote the record at start now begins there.
func (e *Epochs) TruncateStart(start kafka.Offset) (changed bool) {
	later := sort.Search(len(e.entries), func(i int) bool { return e.entries[i].Start > start })
	if later == 0 || later == 1 && e.entries[0].Start == start {
		return false
	}
	e.entries = slices.Delete(e.entries, 0, later-1)
	e.entries[0].Start = start
	return true
}

// Clear forgets everything.
func (e *Epochs) Clear() { e.entries = nil }

// Entries returns all epochs in order. The slice is the caller's.
func (e *Epochs) Entries() []EpochStart { return slices.Clone(e.entries) }

// Check returns the first violation of the invariant.
func (e *Epochs) Check() error {
	for i, this := range e.entries {
		if this.Epoch < 0 || this.Start < 0 {
			return fmt.Errorf("epoch %d starts at %d", this.Epoch, this.Start)
		}
		if i == 0 {
			continue
		}
		if before := e.entries[i-1]; this.Epoch <= before.Epoch || this.Start <= before.Start {
			return fmt.Errorf("epoch %d at %d after epoch %d at %d", this.Epoch, this.Start, before.Epoch, before.Start)
		}
	}
	return nil
}

const (
	epochsVersion   = 1
	epochsHeader    = 2 + 4 // version, count
	epochsEntrySize = 4 + 8
)

// Encode appends the epochs to dst. Checksums are the caller's.
func (e *Epochs) Encode(dst []byte) []byte {
	dst = le.AppendUint16(dst, epochsVersion)
	dst = le.AppendUint32(dst, uint32(len(e.entries)))
	for _, entry := range e.entries {
		dst = le.AppendUint32(dst, uint32(entry.Epoch))
		dst = le.AppendUint64(dst, uint64(entry.Start))
	}
	return dst
}

// DecodeEpochs reads what Encode wrote, all of b.
func DecodeEpochs(b []byte) (*Epochs, error) {
	if len(b) < epochsHeader || le.Uint16(b) != epochsVersion {
		return nil, fmt.Errorf("leader epochs: header of %d bytes", len(b))
	}
	n, rest := le.Uint32(b[2:]), b[epochsHeader:]
	if uint64(n)*epochsEntrySize != uint64(len(rest)) {
		return nil, fmt.Errorf("leader epochs: %d entries in %d bytes", n, len(rest))
	}
	e := &Epochs{}
	for ; len(rest) > 0; rest = rest[epochsEntrySize:] {
		e.entries = append(e.entries, EpochStart{
			Epoch: kafka.LeaderEpoch(le.Uint32(rest)), Start: kafka.Offset(le.Uint64(rest[4:])),
		})
	}
	if err := e.Check(); err != nil {
		return nil, fmt.Errorf("leader epochs: %w", err)
	}
	return e, nil
}
