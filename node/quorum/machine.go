package quorum

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"

	"github.com/klammlog/klamm/internal/assert"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
)

// A machine is what the committed entries amount to: the image, on a voter as on
// a node that only reads the log.
type machine struct {
	image   *meta.Image
	applied uint64
	chain   uint64 // hash of the log up to applied: equal hashes, equal logs
	onApply []func([]meta.Record)
	moved   env.Cond // what was applied, the leader, the term or broken has changed
	broken  error    // why nothing will be applied any more
}

func newMachine(w *env.World) machine {
	return machine{image: meta.NewImage(), moved: w.NewCond("quorum/moved")}
}

// Image returns the metadata as of what was applied. The pointer stays the same;
// what it points to changes with each record and each snapshot.
func (m *machine) Image() *meta.Image { return m.image }

// OnApply has f called after records were applied, those of one decision at a
// time. After a snapshot took the image's place the records are those that make
// the new image, behind removals of topics and brokers that are no more. f must
// not block.
func (m *machine) OnApply(f func([]meta.Record)) { m.onApply = append(m.onApply, f) }

// Applied returns the metadata offset: the index of the last entry that was
// applied.
func (m *machine) Applied() kafka.Offset { return kafka.Offset(m.applied) }

// WaitApplied waits until what is below an offset was applied here. It fails
// with env.ErrDeadline or env.ErrCanceled, or if nothing is applied any more.
// Blocks.
func (m *machine) WaitApplied(at kafka.Offset, deadline kafka.Instant) error {
	for m.Applied() < at {
		if m.broken != nil {
			return fmt.Errorf("metadata offset %d: %w", at, m.broken)
		}
		if err := m.moved.Wait(deadline); err != nil {
			return fmt.Errorf("metadata offset %d, at %d: %w", at, m.applied, err)
		}
	}
	return nil
}

// apply carries the next committed entry into the image. An error means that
// this code cannot read what was committed, and must not go on.
func (m *machine) apply(e entry) error {
	assert.That(e.index == m.applied+1, "entry %d is applied after %d", e.index, m.applied)
	var records []meta.Record
	if e.kind == kindRecords && len(e.data) > 0 {
		var err error
		if records, err = meta.DecodeAll(e.data); err != nil {
			return fmt.Errorf("metadata offset %d: %w", e.offset(), err)
		}
	}
	for _, r := range records {
		if err := m.image.Apply(r); err != nil {
			return fmt.Errorf("metadata offset %d: %w", e.offset(), err)
		}
	}
	m.applied, m.chain = e.index, chained(m.chain, e)
	m.tell(records)
	return nil
}

// replace takes a snapshot for everything that was applied.
func (m *machine) replace(snap *snapshot) error {
	next := meta.NewImage()
	for _, r := range snap.records {
		if err := next.Apply(r); err != nil {
			return fmt.Errorf("snapshot at %d: %w", snap.index, err)
		}
	}
	var gone []meta.Record
	for _, t := range m.image.Topics() {
		if _, ok := next.TopicByID(t.ID); !ok {
			gone = append(gone, meta.RemoveTopic{ID: t.ID})
		}
	}
	for _, b := range m.image.Brokers() {
		if _, ok := next.Broker(b.ID); !ok {
			gone = append(gone, meta.RemoveBroker{ID: b.ID})
		}
	}
	*m.image = *next
	m.applied, m.chain = snap.index, snap.chain
	m.tell(append(gone, snap.records...))
	return nil
}

func (m *machine) tell(records []meta.Record) {
	if len(records) > 0 {
		for _, f := range m.onApply {
			f(records)
		}
	}
	m.moved.Broadcast()
}

// chained returns the hash of a log that goes on with one more entry.
func chained(chain uint64, e entry) uint64 {
	h := fnv.New64a()
	b := binary.BigEndian.AppendUint64(nil, chain)
	b = binary.BigEndian.AppendUint64(b, e.index)
	b = binary.BigEndian.AppendUint64(b, e.term)
	_, _ = h.Write(append(b, byte(e.kind)))
	_, _ = h.Write(e.data)
	return h.Sum64()
}
