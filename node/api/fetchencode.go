package api

import (
	"errors"

	"github.com/klammlog/klamm/node/broker"
	"github.com/klammlog/klamm/node/commitlog"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
	"github.com/klammlog/klamm/node/peer"
)

// parts is an answer that lies partly in memory and partly in files.
type parts struct {
	b      []byte
	pieces []piece
	copied bool // nothing is sent from files
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
	e.int32(e.throttle)
	if e.version >= 7 {
		f.s.counts.code(int16(f.code))
		e.int16(int16(f.code))
		e.int32(f.id)
	}
	e.count(f.topics())
	for rest := f.items; len(rest) > 0; {
		t := f.fetch.Items[rest[0]]
		if e.version >= 13 {
			e.b = append(e.b, t.TopicID[:]...)
		} else {
			e.text(t.Topic)
		}
		n := f.ofOneTopic(rest)
		e.count(n)
		for _, i := range rest[:n] {
			f.encodeItem(e, out, &f.fetch.Items[i])
		}
		e.tags()
		rest = rest[n:]
	}
	if e.flexible {
		e.nodes()
	}
	out.b = e.b
	return out
}

// ofOneTopic returns how many of the items belong to the same topic, from the first
// on.
func (f *fetched) ofOneTopic(items []int32) int {
	first := &f.fetch.Items[items[0]]
	for n, i := range items {
		if it := &f.fetch.Items[i]; it.Topic != first.Topic || it.TopicID != first.TopicID {
			return n
		}
	}
	return len(items)
}

// topics returns how many topics are answered for. One counts again where another
// stands between its partitions.
func (f *fetched) topics() int {
	n := 0
	for rest := f.items; len(rest) > 0; n++ {
		rest = rest[f.ofOneTopic(rest):]
	}
	return n
}

// encodeItem appends what was found in one partition.
func (f *fetched) encodeItem(e *encoder, out *parts, it *broker.FetchItem) {
	code := kafka.ErrorOf(it.Err)
	if e.version <= 5 && code == kafka.ErrStorageError {
		code = kafka.ErrNotLeaderOrFollower
	}
	e.int32(it.Partition)
	f.s.counts.code(int16(code))
	e.int16(int16(code))
	e.int64(int64(it.HighWatermark))
	e.int64(int64(it.HighWatermark)) // last stable offset: there are no transactions
	if e.version >= 5 {
		e.int64(int64(it.LogStart))
	}
	f.encodeAborted(e)
	if e.version >= 11 {
		e.int32(int32(it.Preferred))
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
	switch {
	case f.committed:
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
	var leader meta.PartitionState
	told := false
	if e.version >= 16 && (errors.Is(it.Err, kafka.ErrNotLeaderOrFollower) || errors.Is(it.Err, kafka.ErrFencedLeaderEpoch)) {
		leader, told = e.currentLeader(it.Topic, it.TopicID, it.Partition)
	}
	fields := uint64(0)
	if it.Diverging != nil {
		fields++
	}
	if told {
		fields++
	}
	if it.Bequest != nil {
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
		e.leader(leader.Leader, leader.LeaderEpoch)
	}
	if it.Bequest != nil {
		e.uvarint(peer.PrivateTag)
		e.uvarint(uint64(len(it.Bequest)))
		e.b = append(e.b, it.Bequest...)
	}
}

// memory returns what an answer takes in memory, about.
func (f *fetched) memory() int64 {
	const item = 128
	small, largest := 0, 0
	for i := range f.fetch.Items {
		n := f.fetch.Items[i].Chunk.Len()
		if n < copyBelow || f.fetch.Follower != nil {
			small, largest = small+n, max(largest, n)
		}
		small += len(f.fetch.Items[i].Bequest)
	}
	return int64(item*len(f.fetch.Items) + min(small, copyAtOnce+largest))
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
	c.sending.begin(c.s.w)
	defer c.sending.end()
	g := gathered{c: c, all: p.copied}
	defer g.free()
	at := 0
	for i := range p.pieces {
		piece := &p.pieces[i]
		g.add(p.b[at:piece.end])
		at = piece.end
		if err := g.chunk(&piece.chunk); err != nil {
			return err
		}
	}
	g.add(p.b[at:])
	err := g.flush()
	c.keep(p.b)
	return err
}

// A gathered is what is about to be written in one go.
type gathered struct {
	c      *conn
	bufs   [][]byte
	copied [][]byte // of bufs, from the pool
	bytes  int      // in copied
	all    bool     // chunks are copied, large ones too
}

// copyAtOnce bounds what is copied before it is written.
const copyAtOnce = 1 << 20

func (g *gathered) add(b []byte) { g.bufs = append(g.bufs, b) }

// chunk adds a small chunk's bytes, or writes what was gathered and then a large
// chunk. Blocks.
func (g *gathered) chunk(chunk *commitlog.Chunk) error {
	n := chunk.Len()
	if n >= copyBelow && !g.all {
		if err := g.flush(); err != nil {
			return err
		}
		return g.c.sendFile(chunk)
	}
	b := g.c.s.pool.get(n)
	g.copied = append(g.copied, b)
	if err := chunk.Copy(b); err != nil {
		return err
	}
	g.add(b)
	if g.bytes += n; g.bytes >= copyAtOnce {
		return g.flush()
	}
	return nil
}

// flush writes what was gathered. Blocks.
func (g *gathered) flush() error {
	g.c.net.SetWriteDeadline(g.c.s.idleDeadline())
	n, err := g.c.net.WriteBuffers(g.bufs)
	g.c.s.stats.SentBytes += uint64(n)
	g.free()
	return err
}

// free gives the copies back.
func (g *gathered) free() {
	for _, b := range g.copied {
		g.c.s.pool.put(b)
	}
	g.bufs, g.copied, g.bytes = g.bufs[:0], g.copied[:0], 0
}

// sendFile writes a chunk from its file, as write does with memory. Blocks.
func (c *conn) sendFile(chunk *commitlog.Chunk) error {
	file, from, n := chunk.File()
	for rest := int64(n); rest > 0; {
		some := min(rest, writeAtOnce)
		c.net.SetWriteDeadline(c.s.idleDeadline())
		if _, err := c.net.SendFile(file, from, some); err != nil {
			return err
		}
		c.s.stats.SentBytes += uint64(some)
		from, rest = from+some, rest-some
	}
	return nil
}
