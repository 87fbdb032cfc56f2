package api

import (
	"errors"

	"github.com/klammlog/klamm/node/broker"
	"github.com/klammlog/klamm/node/commitlog"
	"github.com/klammlog/klamm/node/kafka"
)

// parts is an answer that lies partly in memory and partly in files.
type parts struct {
	b      []byte
	pieces []piece
}

// A piece is bytes of b up to end, followed by a chunk.
type piece struct {
	end   int
	chunk commitlog.Chunk
}

// copyBelow is the size of chunks that are copied into the answer rather than
// sent from the file: a system call each way either way, but one write for all.
const copyBelow = 16 << 10

// encode appends the body of a fetch answer and notes where the records belong.
func (f *fetched) encode(e *encoder) *parts {
	out := &parts{}
	e.int32(0) // throttle time
	if e.version >= 7 {
		e.int16(int16(f.code))
		e.int32(0) // no session
	}
	topics := f.request.Topics
	if f.code != kafka.None {
		topics = nil
	}
	next := 0
	e.count(len(topics))
	for _, t := range topics {
		if e.version >= 13 {
			e.b = append(e.b, t.TopicID[:]...)
		} else {
			e.text(t.Topic)
		}
		e.count(len(t.Partitions))
		for range t.Partitions {
			f.encodeItem(e, out, &f.fetch.Items[next])
			next++
		}
		e.tags()
	}
	if e.flexible {
		e.nodes()
	}
	out.b = e.b
	return out
}

// encodeItem appends what was found in one partition.
func (f *fetched) encodeItem(e *encoder, out *parts, it *broker.FetchItem) {
	code := kafka.ErrorOf(it.Err)
	if e.version <= 5 && code == kafka.ErrStorageError {
		code = kafka.ErrNotLeaderOrFollower
	}
	e.int32(it.Partition)
	e.int16(int16(code))
	e.int64(int64(it.HighWatermark))
	e.int64(int64(it.HighWatermark)) // last stable offset: there are no transactions
	if e.version >= 5 {
		e.int64(int64(it.LogStart))
	}
	f.encodeAborted(e)
	if e.version >= 11 {
		e.int32(-1) // no other replica is preferred
	}
	n := it.Chunk.Len()
	if e.flexible {
		e.uvarint(uint64(n) + 1)
	} else {
		e.int32(int32(n)) // never null: librdkafka takes -1 for a malformed set
	}
	if n > 0 {
		out.pieces = append(out.pieces, piece{end: len(e.b), chunk: it.Chunk})
	}
	if e.flexible {
		e.fetchTags(it)
	}
}

// encodeAborted appends the aborted transactions: null for those who did not ask.
func (f *fetched) encodeAborted(e *encoder) {
	const readCommitted = 1
	switch {
	case f.request.IsolationLevel == readCommitted:
		e.count(0)
	case e.flexible:
		e.uvarint(0)
	default:
		e.int32(-1)
	}
}

// fetchTags appends a partition's tagged fields: where its log diverges from the
// reader's, and who leads it now.
func (e *encoder) fetchTags(it *broker.FetchItem) {
	told := e.version >= 16 && it.Leader >= 0 &&
		(errors.Is(it.Err, kafka.ErrNotLeaderOrFollower) || errors.Is(it.Err, kafka.ErrFencedLeaderEpoch))
	fields := uint64(0)
	if it.Diverging != nil {
		fields++
	}
	if told {
		fields++
	}
	e.uvarint(fields)
	if it.Diverging != nil {
		e.b = append(e.b, 0, 13) // number 0, of 13 bytes
		e.int32(int32(it.Diverging.Epoch))
		e.int64(int64(it.Diverging.End))
		e.tags()
	}
	if told {
		e.b = append(e.b, 1, 9) // number 1, of 9 bytes
		e.leader(it.Leader, it.CurrentEpoch)
	}
}

// sendParts writes an answer. Small chunks are copied between the bytes around
// them; larger ones go from the file to the socket. Blocks.
func (c *conn) sendParts(p *parts) error {
	var elsewhere int64
	for _, piece := range p.pieces {
		elsewhere += int64(piece.chunk.Len())
	}
	putSize(p.b, elsewhere)
	if len(p.pieces) == 0 {
		return c.write(p.b)
	}
	c.net.SetWriteDeadline(c.s.idleDeadline())
	var bufs, pooled [][]byte
	defer func() {
		for _, b := range pooled {
			c.s.pool.put(b)
		}
	}()
	at := 0
	for i := range p.pieces {
		piece := &p.pieces[i]
		bufs = append(bufs, p.b[at:piece.end])
		at = piece.end
		n := piece.chunk.Len()
		if n < copyBelow {
			b := c.s.pool.get(n)
			pooled = append(pooled, b)
			if err := piece.chunk.Copy(b); err != nil {
				return err
			}
			bufs = append(bufs, b)
			continue
		}
		if _, err := c.net.WriteBuffers(bufs); err != nil {
			return err
		}
		bufs = bufs[:0]
		file, from, n := piece.chunk.File()
		if _, err := c.net.SendFile(file, from, int64(n)); err != nil {
			return err
		}
	}
	bufs = append(bufs, p.b[at:])
	_, err := c.net.WriteBuffers(bufs)
	if cap(p.b) <= 64<<10 {
		c.out = p.b[:0]
	}
	return err
}
