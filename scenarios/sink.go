package scenarios

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"time"

	"github.com/klammlog/klamm/checker/delivery"
	"github.com/klammlog/klamm/disksim"
	"github.com/klammlog/klamm/internal/assert"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/sim"
	"github.com/klammlog/klamm/sim/world"
)

// A sink is where groups put what they have processed: a database of one file on a
// machine of its own, which may die. What it has answered for is synced.
type sink struct {
	r      *run
	node   *sim.Node
	world  *env.World
	disk   *disksim.Disk
	queue  []*put
	up     bool
	life   int // counts starts
	end    int64
	stores bool                         // it is storing something at this moment
	stored map[string][]delivery.Output // by group
	highs  map[share]delivery.Offset    // the highest offset processed, where the output keeps it

	resumed map[share]kafka.Instant // when the first record was stored after the heal
}

// A share is a partition as one group has it.
type share struct {
	group     string
	partition int32
}

// A put is what a worker wants stored.
type put struct {
	share
	by      string
	offsets []delivery.Offset // rising
	keeps   bool              // with the highest offset, and nothing that is not above it
	done    bool
	life    int
}

func (r *run) newSink() *sink {
	n := r.k.NewNode("sink")
	disk := disksim.New(r.k, diskOf("sink"), disksim.DrawOptions(r.k.Rand("options/sink")))
	return &sink{r: r, node: n, disk: disk, world: world.New(r.network, n, disk), resumed: map[share]kafka.Instant{}}
}

func (s *sink) start() { s.node.Go("main", s.main) }

// sinkPatience bounds how often the sink's death is put off until it stores something.
const sinkPatience = 10_000

// crash kills the sink's process, or its machine's power, in the middle of storing
// something if that comes soon, and brings it up again.
func (s *sink) crash(power bool, away time.Duration, tries int) {
	if s.r.healed || !s.node.Alive() {
		return
	}
	if !s.stores && tries < sinkPatience {
		s.r.k.After(100*time.Microsecond, func() { s.crash(power, away, tries+1) })
		return
	}
	s.world.Probe("the output's machine died")
	s.up, s.stores = false, false
	s.node.Crash()
	if power {
		s.disk.PowerLoss(s.r.profile())
	}
	s.r.k.After(away, func() {
		s.node.Restart()
		s.start()
	})
}

// sinkFile is the name of the database.
const sinkFile = "output"

// main recovers what is stored, then stores what it is given, in order.
func (s *sink) main() {
	fs := s.world.LogDirs[0].FS
	f, err := fs.OpenFile(sinkFile, env.Write|env.Create)
	assert.NoError(err)
	assert.NoError(fs.SyncDir("."))
	s.recover(f)
	s.queue, s.up = nil, true
	s.life++
	s.world.Log.Info("the output is open", "bytes", s.end)
	for {
		if len(s.queue) == 0 {
			s.world.Sleep(time.Millisecond)
			continue
		}
		p := s.queue[0]
		s.queue = s.queue[1:]
		s.stores = true
		s.store(f, p)
		s.stores, p.done = false, true
	}
}

// recover reads the file up to the first entry that is not whole, and cuts off what
// is behind it: nobody was told that it is stored.
func (s *sink) recover(f env.File) {
	s.stored, s.highs, s.end = map[string][]delivery.Output{}, map[share]delivery.Offset{}, 0
	size, err := f.Size()
	assert.NoError(err)
	b := make([]byte, size)
	for at := 0; at < len(b); {
		n, err := f.ReadAt(b[at:], int64(at))
		if at += n; errors.Is(err, io.EOF) {
			b = b[:at]
			break
		}
		assert.NoError(err)
	}
	for {
		p, kind, n := decodePut(b[s.end:])
		if n == 0 {
			break
		}
		s.take(p, kind)
		s.end += int64(n)
	}
	assert.NoError(f.Truncate(s.end))
	assert.NoError(f.Sync())
}

// What an entry of the file tells.
const (
	outputOnly byte = 1 + iota
	highOnly
	outputAndHigh
)

// take has an entry take effect.
func (s *sink) take(p *put, kind byte) {
	if kind != highOnly {
		for _, at := range p.offsets {
			s.stored[p.group] = append(s.stored[p.group], delivery.Output{Partition: p.partition, Offset: at, By: p.by})
		}
	}
	if kind != outputOnly {
		s.highs[p.share] = p.offsets[len(p.offsets)-1]
	}
}

// high returns the highest offset that is stored of a share.
func (s *sink) high(of share) delivery.Offset {
	if at, ok := s.highs[of]; ok {
		return at
	}
	return delivery.NoOffset
}

// store writes an entry and syncs it: the output and the highest offset are one
// write. It reports whether the put was accepted: who comes with nothing new, or
// with a gap, is not the one whose turn it is.
func (s *sink) store(f env.File, p *put) bool {
	kind := outputOnly
	if p.keeps {
		kind = outputAndHigh
		high := s.high(p.share)
		for len(p.offsets) > 0 && p.offsets[0] <= high {
			p.offsets = p.offsets[1:]
		}
		if len(p.offsets) == 0 {
			s.world.Probe("an output had what was processed already")
			return true
		}
	}
	if p.keeps && s.r.options.Split {
		return s.write(f, p, outputOnly) && s.write(f, p, highOnly)
	}
	return s.write(f, p, kind)
}

func (s *sink) write(f env.File, p *put, kind byte) bool {
	b := encodePut(p, kind)
	for at := 0; at < len(b); {
		n, err := f.WriteAt(b[at:], s.end+int64(at))
		assert.NoError(err)
		at += n
	}
	assert.NoError(f.Sync())
	s.end += int64(len(b))
	s.take(p, kind)
	if _, known := s.resumed[p.share]; s.r.healed && !known {
		s.resumed[p.share] = s.r.k.Now()
	}
	return true
}

// encodePut encodes an entry: its size and checksum, then what it tells.
func encodePut(p *put, kind byte) []byte {
	b := make([]byte, 8, 64+8*len(p.offsets))
	b = append(b, kind)
	b = binary.BigEndian.AppendUint32(b, uint32(p.partition))
	for _, text := range []string{p.group, p.by} {
		b = binary.BigEndian.AppendUint16(b, uint16(len(text)))
		b = append(b, text...)
	}
	for _, at := range p.offsets {
		b = binary.BigEndian.AppendUint64(b, uint64(at))
	}
	binary.BigEndian.PutUint32(b, uint32(len(b)))
	binary.BigEndian.PutUint32(b[4:], crc32.ChecksumIEEE(b[8:]))
	return b
}

// decodePut reads an entry and returns its size; 0 if there is no whole one.
func decodePut(b []byte) (p *put, kind byte, n int) {
	if len(b) < 17 {
		return nil, 0, 0
	}
	n = int(binary.BigEndian.Uint32(b))
	if n < 17 || n > len(b) || crc32.ChecksumIEEE(b[8:n]) != binary.BigEndian.Uint32(b[4:]) {
		return nil, 0, 0
	}
	kind = b[8]
	p = &put{share: share{partition: int32(binary.BigEndian.Uint32(b[9:]))}}
	rest := b[13:n]
	text := func() string {
		size := int(binary.BigEndian.Uint16(rest))
		out := string(rest[2 : 2+size])
		rest = rest[2+size:]
		return out
	}
	p.group, p.by = text(), text()
	for ; len(rest) >= 8; rest = rest[8:] {
		p.offsets = append(p.offsets, delivery.Offset(binary.BigEndian.Uint64(rest)))
	}
	return p, kind, n
}

// A stored says what became of a put.
type stored uint8

const (
	storedYes     stored = iota
	storedUnknown        // the sink died: it may be stored
)

// put stores what a worker has processed. Blocks.
func (s *sink) put(w *env.World, p *put) stored {
	for !s.up {
		w.Sleep(5 * time.Millisecond)
	}
	p.life = s.life
	s.queue = append(s.queue, p)
	for !p.done {
		if s.life != p.life || !s.up {
			return storedUnknown
		}
		w.Sleep(2 * time.Millisecond)
	}
	return storedYes
}

// read returns the highest offset of a share, once the sink is up. Blocks.
func (s *sink) read(w *env.World, of share) delivery.Offset {
	for !s.up || len(s.queue) > 0 {
		w.Sleep(2 * time.Millisecond)
	}
	return s.high(of)
}
