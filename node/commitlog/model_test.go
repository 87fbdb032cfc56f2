package commitlog

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/klammlog/klamm/disksim"
	"github.com/klammlog/klamm/disksim/media"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/sim"
	"pgregory.net/rapid"
)

// An op is one step of a drawn history. What it does not use is ignored.
type op struct {
	Kind  opKind
	N     int // how many, how large, where: whatever the kind makes of it
	Share int // of the log, in percent
	Fault string
}

type opKind string

const (
	opAppend     opKind = "append"
	opBurst      opKind = "burst" // several appends that nobody waits for
	opRetry      opKind = "retry" // the last batch of the idempotent producer once more
	opRead       opKind = "read"
	opDelete     opKind = "delete records"
	opTruncate   opKind = "truncate"
	opReset      opKind = "reset"
	opRetain     opKind = "retain"
	opCheckpoint opKind = "checkpoint"
	opReopen     opKind = "reopen"
	opSleep      opKind = "sleep"
	opFault      opKind = "fault"
	opHeal       opKind = "heal"
	opKill       opKind = "kill"   // N steps after it came to it, the process dies
	opUnplug     opKind = "unplug" // and so does the machine
)

var modelFaults = []disksim.FaultKind{
	disksim.FaultShortRead, disksim.FaultShortWrite, disksim.FaultWriteError, disksim.FaultMetaError, disksim.FaultSyncDirError,
	disksim.FaultSyncError, disksim.FaultSyncKeep, disksim.FaultSyncRevert, disksim.FaultSyncOthers,
	disksim.FaultSyncNoSpace, disksim.FaultShutdown, disksim.FaultFull, disksim.FaultReadOnly, disksim.FaultTooManyFiles,
}

// faultTime is how long a fault lasts.
const faultTime = 2 * time.Second

// drawOp draws an op; pick draws a number below n.
func drawOp(pick func(n int, label string) int, faults int) op {
	kinds := []opKind{opAppend, opAppend, opAppend, opBurst, opBurst, opRetry, opRead, opRead, opDelete, opTruncate, opRetain,
		opCheckpoint, opReopen, opSleep, opKill, opKill, opUnplug, opUnplug, opReset}
	for range faults {
		kinds = append(kinds, opFault, opHeal)
	}
	o := op{Kind: kinds[pick(len(kinds), "kind")], N: pick(400, "n"), Share: pick(101, "share")}
	if o.Kind == opReset && o.Share > 20 {
		o.Kind = opAppend // resets are rare
	}
	if o.Kind != opFault {
		return o
	}
	kind := modelFaults[pick(len(modelFaults), "fault")]
	path := []string{"*", "*.log", "*manifest*", "*.index"}[pick(4, "path")]
	switch {
	case pick(3, "full") == 0:
		o.Fault = fmt.Sprintf("%s disk=n/0 for=%s n=%d", disksim.FaultFull, faultTime, o.N*10)
	case o.Share < 50:
		o.Fault = fmt.Sprintf("%s disk=n/0 for=%s path=%s onein=%d times=1", kind, faultTime, path, 1+o.N%4)
	default:
		o.Fault = fmt.Sprintf("%s disk=n/0 for=%s path=%s onein=%d", kind, faultTime, path, 1+o.N%4)
	}
	return o
}

// A written is a batch that was appended, and what became of it.
type written struct {
	base, end kafka.Offset
	result    AppendResult
	bytes     []byte
	held      bool // it must be found as long as nobody deletes it
	refused   bool // it must never be found
	again     []byte
}

// model is the log as a slice in memory.
type model struct {
	*rig
	batches  []*written
	start    kafka.Offset // acknowledged
	maxStart kafka.Offset // asked for
	cutTo    kafka.Offset // a truncation under way may have cut to here
	producer kafkaProducer
	last     *written // of the producer
	resetTo  kafka.Offset
	profile  media.Profile
	appends  int
	faulty   bool // some fault may last
}

const noCut = kafka.Offset(1) << 60

func newModel(t testing.TB, seed uint64, cfg Config, buggify bool) *model {
	k := sim.New(sim.Options{Seed: seed, Buggify: buggify, HoldOneIn: 50, HoldMax: time.Millisecond})
	disk := disksim.New(k, "n/0", disksim.DrawOptions(k.Rand("options")))
	m := &model{rig: newRigOn(t, k, disk, cfg), cutTo: noCut, producer: kafkaProducer{id: 77}, resetTo: noCut}
	m.profile = media.Profile(k.Rand("profile").IntN(4))
	return m
}

// append appends, and a task of its own waits for the result.
func (m *model) append(n int) error {
	var b []byte
	idempotent := n%3 == 0
	if idempotent {
		before := m.producer
		b = m.producer.batch(1 + n%5)
		defer func(again []byte) {
			if m.last == nil || !bytes.Equal(m.last.again, again) {
				m.producer = before
			}
		}(bytes.Clone(b))
	} else {
		b = batchOf(1+n%4, n, kafka.Timestamp(n), nil)
	}
	again := bytes.Clone(b)
	m.appends++
	r, err := m.log.Append(b, kafka.LeaderEpoch(1+m.appends/20))
	if err != nil {
		return err
	}
	w := &written{base: r.Base, end: r.End, result: r, bytes: bytes.Clone(b), again: again}
	if r.Duplicate {
		return fmt.Errorf("new batch at %d is taken for a duplicate of %d", m.log.End(), r.Base)
	}
	// Who waits for an append whose offsets were taken back may not know yet.
	for _, before := range m.batches {
		if before.end > w.base && !before.refused {
			if before.held {
				return fmt.Errorf("offset %d is given to %d to %d and was held: %d to %d", w.base, w.base, w.end, before.base, before.end)
			}
			before.refused = true
		}
	}
	m.batches = append(m.batches, w)
	if idempotent {
		m.last = w
	}
	m.await(m.log, w)
	return nil
}

func (m *model) await(l *Log, w *written) {
	m.node.Go("wait", func() {
		err := l.WaitHeld(w.result, kafka.Never)
		switch {
		case err == nil:
			w.held = true
		case errors.Is(err, ErrRefused):
			w.refused = true
			if m.last == w {
				m.producer, m.last = kafkaProducer{id: m.producer.id + 1}, nil
			}
		}
	})
}

// tolerable reports whether an error is one that faults explain.
func tolerable(err error) bool {
	return errors.Is(err, ErrOffline) || errors.Is(err, ErrRefused) || errors.Is(err, env.ErrNoSpace) ||
		errors.Is(err, env.ErrTooManyFiles) || errors.Is(err, env.ErrIO) || errors.Is(err, env.ErrReadOnly) || errors.Is(err, ErrUnknownOutcome)
}

// step carries out what one task does alone.
func (m *model) step(o op) error {
	l := m.log
	at := l.LogStart() + (l.Written()-l.LogStart())*kafka.Offset(o.Share)/100
	switch o.Kind {
	case opAppend:
		return m.append(o.N)
	case opBurst:
		for i := range 2 + o.N%6 {
			if err := m.append((o.N + 31*i) % 400); err != nil {
				return err
			}
		}
	case opRetry:
		return m.retry()
	case opRead:
		return m.read(at, 50+o.N*20)
	case opDelete:
		m.maxStart = max(m.maxStart, at)
		start, err := l.DeleteRecords(at)
		m.start = max(m.start, start)
		return err
	case opTruncate:
		return m.truncate(max(at, m.maxStart))
	case opReset:
		return m.reset(l.End() + kafka.Offset(o.N))
	case opRetain:
		m.maxStart = l.Written()
		err := l.Retain(l.w.Wall() + 1e9)
		m.start = max(m.start, l.LogStart())
		if err == nil {
			m.maxStart = l.LogStart()
		}
		return err
	case opCheckpoint:
		return l.Checkpoint()
	case opReopen:
		return m.reopen(o.Share)
	case opSleep:
		return m.w.Sleep(time.Duration(o.N) * 10 * time.Millisecond)
	}
	return nil
}

func (m *model) retry() error {
	w := m.last
	if w == nil || w.base < m.maxStart {
		return nil
	}
	r, err := m.log.Append(bytes.Clone(w.again), kafka.LeaderEpoch(1+m.appends/20))
	if err != nil {
		return err
	}
	if !r.Duplicate || r.Base != w.base || r.End != w.end {
		return fmt.Errorf("retry of %d to %d got %+v", w.base, w.end, r)
	}
	return nil
}

func (m *model) read(from kafka.Offset, maxBytes int) error {
	l := m.log
	start, end := l.LogStart(), l.Written()
	if from >= end {
		return nil
	}
	c, err := l.Read(from, maxBytes, end, TakeOversize)
	if err != nil {
		return err
	}
	defer c.Release()
	b := make([]byte, c.Len())
	if err := c.Copy(b); err != nil {
		return err
	}
	if l.LogStart() != start {
		return nil
	}
	return m.compare(b, from)
}

// compare looks for batches that were read among those that were appended.
func (m *model) compare(b []byte, from kafka.Offset) error {
	for len(b) > 0 {
		h := parseHead(b, 0)
		w := m.find(h.base)
		if w == nil || w.refused || !bytes.Equal(w.bytes, b[:h.size]) {
			return fmt.Errorf("read at %d: batch %d to %d is not what was appended: %+v", from, h.base, h.end, w != nil)
		}
		b = b[h.size:]
	}
	return nil
}

func (m *model) find(base kafka.Offset) *written {
	for i := len(m.batches) - 1; i >= 0; i-- {
		if w := m.batches[i]; w.base == base && !w.refused {
			return w
		}
	}
	return nil
}

// truncate takes back, from the moment it begins, all promises above.
func (m *model) truncate(to kafka.Offset) error {
	m.cutTo = min(m.cutTo, to)
	if m.last != nil && m.last.end > to {
		m.producer, m.last = kafkaProducer{id: m.producer.id + 1}, nil
	}
	err := m.log.Truncate(to)
	if err != nil {
		return err
	}
	m.forget(m.log.End())
	m.cutTo = noCut
	return nil
}

func (m *model) reset(to kafka.Offset) error {
	m.cutTo, m.resetTo, m.maxStart = 0, to, to
	m.producer, m.last = kafkaProducer{id: m.producer.id + 1}, nil
	if err := m.log.Reset(to); err != nil {
		return err
	}
	m.start, m.batches, m.cutTo, m.resetTo = to, nil, noCut, noCut
	return nil
}

// forget drops batches that end above an offset.
func (m *model) forget(end kafka.Offset) {
	var left []*written
	for _, w := range m.batches {
		if w.end <= end {
			left = append(left, w)
		}
	}
	m.batches = left
}

func (m *model) reopen(share int) error {
	err := m.log.Close()
	if err == nil {
		err = m.dir.Close()
	}
	if err != nil {
		return err
	}
	l := m.log
	m.log, m.dir = nil, nil
	if !m.faulty {
		if err := m.explore(l); err != nil {
			return err
		}
	}
	if share%2 == 0 {
		return m.recovered()
	}
	// Without reading it, so that what comes next finds what a clean start knows.
	if err := m.openErr(); err != nil {
		return err
	}
	if n := m.log; n.LogStart() != l.LogStart() || n.End() != l.End() || n.Size() != l.Size() || n.Segments() != l.Segments() {
		return fmt.Errorf("%d to %d, %d bytes in %d segments became %d to %d, %d bytes in %d segments", l.LogStart(), l.End(), l.Size(), l.Segments(),
			n.LogStart(), n.End(), n.Size(), n.Segments())
	}
	return m.log.Check()
}

// explore looks at the files of a log that is not open: nothing but a crash has
// befallen them. If it was closed, l is what it was.
func (m *model) explore(l *Log) error {
	s, err := Explore(m.w.LogDirs[0].FS, rigPath)
	if errors.Is(err, env.ErrNotExist) {
		return nil // a crash before it was made
	}
	if err != nil {
		return err
	}
	unmade := s.Manifest == nil || s.Format != "klamm"
	if len(s.Damage) > 0 && !unmade {
		return fmt.Errorf("damage without a fault: %+v", *s)
	}
	if l == nil {
		return nil
	}
	var size int64
	for _, g := range s.Segments {
		size += g.Bytes
	}
	if unmade || !s.Manifest.Clean || len(s.Notes) > 0 || s.Manifest.Start != l.start || s.Manifest.End != l.end || size != l.Size() ||
		len(s.Segments) != l.Segments() {
		return fmt.Errorf("closed at %d to %d with %d segments: %+v, manifest %+v", l.start, l.end, l.Segments(), *s, s.Manifest)
	}
	return nil
}

// recovered opens the log and compares all of it with the model.
func (m *model) recovered() error {
	if err := m.openAtLast(); err != nil {
		return err
	}
	l := m.log
	if err := l.Check(); err != nil {
		return err
	}
	if l.LogStart() < m.start || (l.LogStart() > m.maxStart && l.LogStart() != m.resetTo) {
		return fmt.Errorf("log start %d, was %d and at most %d", l.LogStart(), m.start, m.maxStart)
	}
	if m.resetTo != noCut && l.LogStart() == m.resetTo {
		m.batches = nil
	}
	got, err := readAll(l, l.LogStart(), 5000)
	if err != nil {
		return err
	}
	return m.reconcile(got)
}

// reconcile checks that what is there is the beginning of what was appended, and
// reaches as far as was promised.
func (m *model) reconcile(got [][]byte) error {
	l := m.log
	seen := map[*written]bool{}
	for _, b := range got {
		h := parseHead(b, 0)
		w := m.find(h.base)
		if w == nil {
			return fmt.Errorf("batch %d to %d was never appended", h.base, h.end)
		}
		if !bytes.Equal(w.bytes, b) {
			return fmt.Errorf("batch %d to %d is not what was appended", h.base, h.end)
		}
		seen[w] = true
	}
	var left []*written
	missing := kafka.NoOffset
	for _, w := range m.batches {
		switch {
		case w.refused || w.end <= l.LogStart():
		case seen[w] && missing >= 0:
			return fmt.Errorf("batch %d is there, %d before it is not", w.base, missing)
		case seen[w]:
			left = append(left, w)
			w.held = true // what was recovered must stay
		case w.held && w.end <= m.cutTo:
			return fmt.Errorf("batch %d to %d was held and is lost: log has %d to %d", w.base, w.end, l.LogStart(), l.End())
		default:
			missing = w.base
			if w == m.last {
				m.producer, m.last = kafkaProducer{id: m.producer.id + 1}, nil
			}
		}
	}
	m.batches, m.cutTo, m.resetTo, m.start = left, noCut, noCut, l.LogStart()
	m.maxStart = l.LogStart()
	return nil
}

// crash ends the process and perhaps the machine, and opens the log again, with
// further crashes while it is opened.
func (m *model) crash(o op) error {
	for again := o.N % 3; ; again-- {
		if *modelTrace && m.log != nil {
			m.show(-1, o, m.dir.Failed())
			for _, w := range m.batches {
				m.t.Log(w.base, w.end, w.held)
			}
		}
		if m.log != nil && m.cfg.Flush == FlushOS && (o.Kind == opUnplug || m.dir.Failed() != nil) {
			for _, w := range m.batches {
				w.held = w.held && w.end <= m.log.Durable()
			}
		}
		m.node.Crash()
		if o.Kind == opUnplug {
			m.disk.PowerLoss(m.profile, 0)
		}
		m.calm()
		m.node.Restart()
		m.log, m.dir = nil, nil
		var err error
		if m.do(func() { err = m.explore(nil) }); err != nil {
			return err
		}
		if again <= 0 {
			break
		}
		m.node.Go("open", func() { err = m.recovered() })
		steps := 0
		m.k.Run(kafka.Never-1, func() bool { steps++; return steps > o.N || err != nil || m.log != nil })
		if err != nil && !tolerable(err) {
			return fmt.Errorf("opened for the next crash: %w", err)
		}
	}
	var err error
	m.do(func() { err = m.recovered() })
	if err != nil && tolerable(err) && o.Kind != opUnplug {
		return m.crash(op{Kind: opUnplug}) // some faults end only when the machine restarts
	}
	return err
}

// show prints a step and what came of it.
func (m *model) show(i int, o op, err error) {
	m.t.Logf("%d %+v: %v", i, o, err)
	if l := m.log; l != nil {
		m.t.Logf("   start %d durable %d written %d end %d; failed: %v", l.start, l.durable, l.written, l.end, m.dir.failed)
		for _, s := range l.known {
			m.t.Logf("   segment %d to %d: %d bytes, %d durable, sealed %t settled %t entries %d", s.base, s.end, s.size, s.durable, s.sealed, s.settled, s.index.entries)
		}
	}
}

// calm waits until all faults have ended.
func (m *model) calm() {
	m.faulty = false
	m.k.Run(m.k.Now().Add(2*faultTime), func() bool { return false })
}

// run carries out a history and returns what was wrong.
func (m *model) run(ops []op) error {
	if err := m.crash(op{Kind: opKill}); err != nil {
		return err
	}
	for i, o := range ops {
		if *modelTrace {
			m.t.Logf("%d %+v", i, o)
		}
		err := m.one(o)
		if *modelTrace {
			m.show(i, o, err)
		}
		if err != nil {
			return fmt.Errorf("step %d, %s: %w", i, o.Kind, err)
		}
	}
	return m.crash(op{Kind: opKill})
}

func (m *model) one(o op) error {
	switch o.Kind {
	case opKill, opUnplug:
		steps := 0
		m.k.Run(m.k.Now().Add(time.Second), func() bool { steps++; return steps > o.N })
		return m.crash(o)
	case opFault:
		f, err := disksim.ParseFault(o.Fault)
		if err == nil {
			f.Apply(m.disk)
			m.faulty = true
		}
		return err
	case opHeal:
		m.calm()
		return nil
	}
	if m.log == nil {
		return m.crash(op{Kind: opKill})
	}
	var err error
	m.do(func() {
		if err = m.step(o); err == nil && m.log != nil {
			err = m.log.Check()
		}
	})
	if errors.Is(err, ErrCorrupt) && m.dir.Failed() != nil {
		err = ErrOffline // after a failed sync the cache may show anything
	}
	if err == nil || !tolerable(err) {
		return err
	}
	if m.log == nil || m.log.ended || m.log.failed != nil {
		return m.crash(op{Kind: opKill})
	}
	return nil
}

func modelConfig(n int) Config {
	c := smallConfig()
	c.SegmentBytes = int64(600 << (n % 4))
	c.IndexInterval = int64(1 << (n % 11))
	c.RetentionBytes = 8000
	c.ProducerExpiry = 0
	if n%5 == 0 {
		c.Flush = FlushOS
		c.FlushMessages = int64(n % 7)
	}
	return c
}

// TestModelSmall: short histories, which rapid makes shorter when they fail.
func TestModelSmall(t *testing.T) {
	for name, faults := range map[string]int{"crashes": 0, "faults": 2} {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) {
				seed := rapid.Uint64().Draw(rt, "seed")
				cfg := modelConfig(rapid.IntRange(0, 100).Draw(rt, "config"))
				one := rapid.Custom(func(rt *rapid.T) op {
					return drawOp(func(n int, label string) int { return rapid.IntRange(0, n-1).Draw(rt, label) }, faults)
				})
				ops := rapid.SliceOfN(one, 1, 60).Draw(rt, "ops")
				m := newModel(t, seed, cfg, seed%2 == 0)
				defer m.k.Close()
				if err := m.run(ops); err != nil {
					rt.Fatalf("%v", err)
				}
			})
		})
	}
}

var (
	modelFrom  = flag.Int("model.from", 0, "the first of the long histories")
	modelTrace = flag.Bool("model.trace", false, "print every step")
	modelCount = flag.Int("model.count", 0, "how many long histories; 0: few")
)

// mustProbe are the rare situations that the long histories have to reach.
var mustProbe = []string{
	"a batch was recognised as a duplicate",
	"a manifest was read when it was needed",
	"a full disk cut an append off",
	"a log was opened after an unclean end",
	"a truncation dropped what was queued",
	"append waited for the next segment",
	"recovery cut a torn tail",
	"recovery removed a segment that came back",
	"retention deleted a segment",
	"sync failed and took the directory out of service",
	"the disk was full and appends were refused",
	"the manifest was rewritten",
}

// TestModelLong: long histories, crashes alone and with faults that destroy
// nothing by themselves, until together they have been everywhere.
func TestModelLong(t *testing.T) {
	count := *modelCount
	if count == 0 {
		if count = 150; testing.Short() {
			count = 30
		}
	}
	reached := map[string]uint64{}
	for i := *modelFrom; i < *modelFrom+count; i++ {
		m := newModel(t, uint64(i), modelConfig(i), i%2 == 0)
		stream := rand.New(rand.NewPCG(uint64(i), 1))
		ops := make([]op, 80+stream.IntN(80))
		for k := range ops {
			ops[k] = drawOp(func(n int, _ string) int { return stream.IntN(n) }, i%3)
		}
		if err := m.run(ops); err != nil {
			t.Errorf("-model.from=%d -model.count=1: %v", i, err)
		}
		for _, c := range m.k.Probes() {
			reached[c.Name] += c.Times
		}
		m.k.Close()
	}
	for _, name := range slices.Sorted(maps.Keys(reached)) {
		t.Logf("%7d %s", reached[name], name)
	}
	for _, name := range mustProbe {
		if reached[name] == 0 && count >= 150 {
			t.Errorf("never reached: %s", name)
		}
	}
}
