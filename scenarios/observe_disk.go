package scenarios

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"slices"
	"strconv"
	"strings"

	"github.com/klammlog/klamm/disksim"
	"github.com/klammlog/klamm/node/broker"
	"github.com/klammlog/klamm/node/kafka"
)

// A diskReader reads the batches that lie on one machine's disks, as Kafka's format
// has them, without the machine noticing. It shares no code with what wrote them.
//
// With log.flush=ack, and of the metadata always, it sees the durable image: what the machine would have if it
// lost its power now, and nothing of the rest survived. With log.flush=os it sees
// what a process sees. Each log is read once: what is appended is read when it is
// looked at next, and what was cut off is forgotten.
type diskReader struct {
	disks    []*disksim.Disk
	durable  bool
	compacts bool                 // topics are compacted, not only the coordinators'
	copies   map[string]*diskCopy // by directory
	listed   map[string]listing
	of       map[string]kafka.TopicID // whose logs the copies are
	buf      []byte                   // what was read last

	snapshot kafka.Offset // up to where a snapshot of the metadata stands for its log
}

// A listing is where a log's segments are.
type listing struct {
	disk  *disksim.Disk
	bases []kafka.Offset
}

// A diskCopy is what was read of one log.
type diskCopy struct {
	logCopy
	stale bool // not read since the last refresh
}

func newDiskReader(flush string, disks ...*disksim.Disk) *diskReader {
	return &diskReader{disks: disks, durable: flush == "ack", copies: map[string]*diskCopy{}, of: map[string]kafka.TopicID{}}
}

// refresh lists the segments anew.
func (r *diskReader) refresh() {
	r.listed, r.snapshot = map[string]listing{}, 0
	for _, d := range r.disks {
		for _, name := range d.Files() {
			if rest, ok := strings.CutPrefix(name, "quorum/snapshot-"); ok {
				r.noteSnapshot(d, name, rest)
				continue
			}
			dir, file, _ := strings.Cut(name, "/")
			base, ok := strings.CutSuffix(file, ".log")
			if !ok {
				continue
			}
			n, err := strconv.ParseInt(base, 10, 64)
			if err != nil {
				continue
			}
			l := r.listed[dir]
			l.disk, l.bases = d, append(l.bases, kafka.Offset(n))
			r.listed[dir] = l
		}
	}
	for dir, c := range r.copies { //klamm:unordered each by itself
		if c.stale = true; len(r.listed[dir].bases) == 0 {
			delete(r.copies, dir)
		}
	}
}

// noteSnapshot looks at a durable file whose name says up to where it is a snapshot.
func (r *diskReader) noteSnapshot(d *disksim.Disk, name, rest string) {
	digits, _, _ := strings.Cut(rest, "-")
	at, err := strconv.ParseInt(digits, 10, 64)
	if size, lost := d.DurableSize(name); err == nil && lost == nil && size > 0 && !strings.HasSuffix(name, ".tmp") {
		r.snapshot = max(r.snapshot, kafka.Offset(at))
	}
}

// forget has everything read from the disk again when it is looked at next.
func (r *diskReader) forget() { clear(r.copies) }

// copyOf returns what lies in a log's directory, nil if there is no such log.
func (r *diskReader) copyOf(dir string) *logCopy {
	l, ok := r.listed[dir]
	if !ok {
		return nil
	}
	c := r.copies[dir]
	if c == nil {
		c = &diskCopy{stale: true}
		r.copies[dir] = c
	}
	if c.stale {
		r.read(c, dir, l)
		c.stale = false
	}
	return &c.logCopy
}

// logOf returns what lies in the log of one incarnation of a topic's partition: nil
// if the directory of its name is that of another, or of none.
func (r *diskReader) logOf(p place) *logCopy {
	dir := p.partition.String()
	l, ok := r.listed[dir]
	if !ok {
		return nil
	}
	if r.of[dir] != p.topic {
		delete(r.copies, dir)
		r.of[dir] = p.topic
	} else if c := r.copies[dir]; c != nil && !c.stale {
		return &c.logCopy
	}
	if identity := r.whole(l.disk, dir+"/partition"); !bytes.Contains(identity, p.topic[:]) {
		delete(r.copies, dir)
		return nil
	}
	return r.copyOf(dir)
}

// whole reads a small file. What it returns is good until the next read.
func (r *diskReader) whole(disk *disksim.Disk, name string) []byte {
	const most = 1024
	return r.load(disk, name, 0, most, r.durable)
}

// load reads up to n bytes of a file, into the buffer that it read into before.
func (r *diskReader) load(disk *disksim.Disk, name string, at int64, n int, durable bool) []byte {
	r.buf = slices.Grow(r.buf[:0], n)[:n]
	if durable {
		n, _ = disk.ReadDurable(name, r.buf, at) // without the file there is nothing to read
	} else {
		n, _ = disk.ReadVisible(name, r.buf, at)
	}
	return r.buf[:n]
}

// read brings a copy up to date.
func (r *diskReader) read(c *diskCopy, dir string, l listing) {
	slices.Sort(l.bases)
	c.start = l.bases[0]
	c.batches = slices.DeleteFunc(c.batches, func(b batch) bool { return b.segment < c.start })
	for len(c.batches) > 0 && !r.stands(l, dir, &c.batches[len(c.batches)-1]) {
		c.batches = c.batches[:len(c.batches)-1]
	}
	segment, at := c.start, int64(0)
	if n := len(c.batches); n > 0 {
		last := &c.batches[n-1]
		segment, at = last.segment, last.position+int64(last.length)
	}
	for _, base := range l.bases {
		if base < segment {
			continue
		}
		if base > segment {
			at = 0
			if base < c.end() && len(r.bytes(l.disk, dir, base, 0, 1)) == 0 {
				continue // it was made to be written to, and never was
			}
			if base < c.end() && r.replaced(dir) {
				continue // what was compacted stands for it, and it is about to go
			}
			if base < c.end() {
				return // it was there before a cut, and is about to go
			}
		}
		r.readSegment(c, l.disk, dir, base, at)
	}
}

// replaced reports whether one segment of a log may have taken the place of several.
func (r *diskReader) replaced(dir string) bool {
	return r.compacts || strings.HasPrefix(dir, broker.OffsetsTopic+"-")
}

// readAtOnce is how much of a file is read at once, unless one batch is larger.
const readAtOnce = 64 << 10

// readSegment adds the batches of one file from a position on, until something is
// none.
func (r *diskReader) readSegment(c *diskCopy, disk *disksim.Disk, dir string, base kafka.Offset, at int64) {
	for n := readAtOnce; ; {
		buf := r.bytes(disk, dir, base, at, n)
		used, wanted := c.take(buf, base, at, dir)
		switch {
		case used > 0:
			at, n = at+used, readAtOnce
		case wanted > n && len(buf) == n:
			n = wanted
		default:
			return
		}
	}
}

// take adds the batches at the front of what was read at a position of a segment. It
// returns how many bytes they have, and the size of the next one if that was cut
// short. Controllers write an entry with the time at which each got it: only what
// follows a batch's head has to be the same.
func (c *diskCopy) take(buf []byte, segment kafka.Offset, at int64, dir string) (used int64, wanted int) {
	for {
		b, size, ok := parseBatch(buf[used:])
		if !ok || b.base < c.end() {
			return used, size
		}
		if dir == metadataDir {
			b.sum = uint64(crc32.Checksum(buf[used+batchHead:used+int64(size)], castagnoli))
		}
		b.segment, b.position = segment, at+used
		c.batches = append(c.batches, b)
		used += int64(size)
	}
}

// metadataDir is where the controllers' log lies.
var metadataDir = metadataPlace.partition.String()

// bytes reads from a segment. What it returns is good until the next read.
func (r *diskReader) bytes(disk *disksim.Disk, dir string, base kafka.Offset, at int64, n int) []byte {
	return r.load(disk, dir+"/"+segmentName(base), at, n, r.durable || dir == metadataDir)
}

// stands reports whether a batch is where it was found. A segment that has been renamed
// is in the durable image under its old name until the directory is synced, and is none
// of the log any more.
func (r *diskReader) stands(l listing, dir string, b *batch) bool {
	if _, there := slices.BinarySearch(l.bases, b.segment); !there {
		return false
	}
	now, _, ok := parseHead(r.bytes(l.disk, dir, b.segment, b.position, batchHead))
	now.segment, now.position, now.sum = b.segment, b.position, b.sum
	return ok && now == *b
}

func segmentName(base kafka.Offset) string {
	digits := strconv.FormatInt(int64(base), 10)
	return strings.Repeat("0", 20-len(digits)) + digits + ".log"
}

// batchHead is what a batch has before its records.
const batchHead = 61

// parseHead reads what precedes the records of a batch, and returns its size.
func parseHead(b []byte) (batch, int, bool) {
	if len(b) < batchHead || b[16] != 2 {
		return batch{}, 0, false
	}
	be := binary.BigEndian
	base := kafka.Offset(be.Uint64(b))
	size := int(int32(be.Uint32(b[8:]))) + 12
	if size < batchHead || base < 0 {
		return batch{}, 0, false
	}
	return batch{
		base: base, end: base + kafka.Offset(int32(be.Uint32(b[23:]))) + 1, epoch: kafka.LeaderEpoch(be.Uint32(b[12:])),
		check: be.Uint32(b[17:]), length: int32(size), sum: uint64(be.Uint32(b[17:])),
		producer: kafka.ProducerID(be.Uint64(b[43:])), producerEpoch: kafka.ProducerEpoch(be.Uint16(b[51:])),
	}, size, true
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// parseBatch reads a batch that is whole and has the checksum it should have. Of one
// that goes on behind b it returns the size.
func parseBatch(b []byte) (batch, int, bool) {
	head, size, ok := parseHead(b)
	if !ok || size > len(b) {
		return batch{}, size, false
	}
	return head, size, crc32.Checksum(b[21:size], castagnoli) == head.check
}
