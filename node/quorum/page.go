package quorum

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
	"github.com/klammlog/klamm/node/record"
)

// A Page is what a member tells an observer: committed entries, or a piece of a
// snapshot, where entries are gone. What was committed stays, so any member may
// tell it.
type Page struct {
	Leader kafka.NodeID // as far as the member knows; meta.NoLeader
	Epoch  kafka.LeaderEpoch
	End    kafka.Offset // what the member has applied
	Voters []Voter

	Entries []PageEntry

	// Piece holds bytes of a snapshot from At on, of Total. SnapshotPiece of
	// their end asks for the next piece. Another Index or Sum than in the piece
	// before means that it is another snapshot.
	Index uint64
	Sum   uint32
	At    int64
	Total int64
	Piece []byte
}

// A PageEntry is one committed entry.
type PageEntry struct {
	Index, Term uint64
	Kind        uint8
	Data        []byte
}

// SnapshotPiece returns the offset to read from that asks for the newest
// snapshot's bytes from at on. Such offsets are negative.
func SnapshotPiece(at int64) kafka.Offset { return kafka.Offset(-1 - at) }

// AppendPage appends the page as DecodePage reads it.
func AppendPage(dst []byte, p Page) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(p.Leader))
	dst = binary.BigEndian.AppendUint32(dst, uint32(p.Epoch))
	dst = binary.BigEndian.AppendUint64(dst, uint64(p.End))
	dst = members(p.Voters).encode(dst)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(p.Entries)))
	for _, e := range p.Entries {
		dst = binary.BigEndian.AppendUint64(dst, e.Index)
		dst = binary.BigEndian.AppendUint64(dst, e.Term)
		dst = append(dst, e.Kind)
		dst = appendBytes(dst, e.Data)
	}
	dst = binary.BigEndian.AppendUint64(dst, p.Index)
	dst = binary.BigEndian.AppendUint32(dst, p.Sum)
	dst = binary.BigEndian.AppendUint64(dst, uint64(p.At))
	dst = binary.BigEndian.AppendUint64(dst, uint64(p.Total))
	return appendBytes(dst, p.Piece)
}

// DecodePage reads what AppendPage wrote; what the page holds aliases b.
func DecodePage(b []byte) (Page, error) {
	r := &reader{b: b}
	p := Page{Leader: kafka.NodeID(r.uint32()), Epoch: kafka.LeaderEpoch(r.uint32()), End: kafka.Offset(r.uint64()), Voters: r.members()}
	for range r.count(8 + 8 + 1 + 4) {
		p.Entries = append(p.Entries, PageEntry{Index: r.uint64(), Term: r.uint64(), Kind: r.uint8(), Data: r.bytes()})
	}
	p.Index, p.Sum, p.At, p.Total, p.Piece = r.uint64(), r.uint32(), int64(r.uint64()), int64(r.uint64()), r.bytes()
	if err := r.end(); err != nil {
		return Page{}, fmt.Errorf("page of metadata, %d bytes: %w", len(b), err)
	}
	return p, nil
}

// ReadCommitted returns committed metadata from an offset on, at least one entry
// even if that is larger than maxBytes; or, if those entries are gone, or the
// offset is a SnapshotPiece, a piece of the newest snapshot. With nothing there
// it waits, and returns an empty page when the deadline has passed. Blocks.
func (q *Quorum) ReadCommitted(from kafka.Offset, maxBytes int, deadline kafka.Instant) (Page, error) {
	for {
		if q.broken != nil {
			return Page{}, fmt.Errorf("controller %d: %w: %w", q.o.ID, q.broken, kafka.ErrNotController)
		}
		p, ok, err := q.page(from, maxBytes)
		if err != nil || ok || q.w.Now() >= deadline {
			return p, err
		}
		if err := q.moved.Wait(deadline); errors.Is(err, env.ErrCanceled) {
			return Page{}, fmt.Errorf("controller %d: %w: %w", q.o.ID, err, kafka.ErrRequestTimedOut)
		}
	}
}

// page returns what there is to tell, and whether it is anything.
func (q *Quorum) page(from kafka.Offset, maxBytes int) (Page, bool, error) {
	p := Page{End: q.Applied(), Voters: q.Voters()}
	p.Leader, p.Epoch = q.Leader()
	first, err := q.storage.FirstIndex()
	if err != nil {
		return p, false, err
	}
	if from < 0 || uint64(from)+1 < first {
		return q.piece(p, max(0, -1-int64(from)), maxBytes)
	}
	if from >= q.Applied() {
		return p, false, nil
	}
	entries, err := q.storage.Entries(uint64(from)+1, q.applied+1, uint64(max(maxBytes, 0)))
	if err != nil {
		return p, false, err
	}
	for _, e := range entries {
		o := entryOf(e)
		p.Entries = append(p.Entries, PageEntry{Index: o.index, Term: o.term, Kind: uint8(o.kind), Data: o.data})
	}
	return p, true, nil
}

// piece returns a piece of the newest snapshot.
func (q *Quorum) piece(p Page, at int64, maxBytes int) (Page, bool, error) {
	snap, err := q.storage.Snapshot()
	if err != nil {
		return p, false, err
	}
	data := append(binary.BigEndian.AppendUint64(nil, snap.GetMetadata().GetTerm()), snap.GetData()...)
	p.Index, p.Sum, p.Total = snap.GetMetadata().GetIndex(), record.Checksum(data), int64(len(data))
	p.At = min(at, p.Total)
	p.Piece = data[p.At:min(p.Total, p.At+int64(max(maxBytes, 1)))]
	return p, p.Index > 0, nil
}

// An observers' register tells who reads the metadata here.
type observers struct {
	seen []Observed
}

// Observed is a node that reads the metadata of this member.
type Observed struct {
	ID        kafka.NodeID
	Directory meta.DirectoryID
	Offset    kafka.Offset  // it asked from here last
	At        kafka.Instant // when
}

// maxObserved bounds the register.
const maxObserved = 10_000

// NoteObserver remembers who asked ReadCommitted, for Describe.
func (q *Quorum) NoteObserver(id kafka.NodeID, dir meta.DirectoryID, from kafka.Offset) {
	o := Observed{ID: id, Directory: dir, Offset: max(from, 0), At: q.w.Now()}
	for i, seen := range q.readers.seen {
		if seen.ID == id {
			q.readers.seen[i] = o
			return
		}
	}
	if len(q.readers.seen) < maxObserved {
		q.readers.seen = append(q.readers.seen, o)
	}
}
