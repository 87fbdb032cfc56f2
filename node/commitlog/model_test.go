package commitlog

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
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

func drawOp(t *rapid.T, faults int) op {
	kinds := []opKind{opAppend, opAppend, opAppend, opBurst, opBurst, opRetry, opRead, opRead, opDelete, opTruncate, opRetain,
		opCheckpoint, opReopen, opSleep, opKill, opKill, opUnplug, opUnplug, opReset}
	for range faults {
		kinds = append(kinds, opFault, opHeal)
	}
	o := op{Kind: rapid.SampledFrom(kinds).Draw(t, "kind"), N: rapid.IntRange(0, 400).Draw(t, "n"),
		Share: rapid.IntRange(0, 100).Draw(t, "share")}
	if o.Kind == opReset && o.Share > 20 {
		o.Kind = opAppend // resets are rare
	}
	if o.Kind == opFault {
		kind := rapid.SampledFrom(modelFaults).Draw(t, "fault")
		o.Fault = fmt.Sprintf("%s disk=n/0 path=%s onein=%d n=%d", kind, rapid.SampledFrom([]string{"*", "*.log", "*manifest*", "*.index"}).Draw(t, "path"),
			1+o.N%4, o.N*100)
		if o.Share < 50 {
			o.Fault += " times=1"
		}
	}
	return o
}

// A written is a batch that was appended, and what became of it.
type written struct {
	base, end kafka.Offset
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
	counts   map[string]int
}

const noCut = kafka.Offset(1) << 60

func newModel(t testing.TB, seed uint64, cfg Config, buggify bool) *model {
	k := sim.New(sim.Options{Seed: seed, Buggify: buggify, HoldOneIn: 50, HoldMax: time.Millisecond})
	disk := disksim.New(k, "n/0", disksim.DrawOptions(k.Rand("options")))
	m := &model{rig: newRigOn(t, k, disk, cfg), cutTo: noCut, producer: kafkaProducer{id: 77}, counts: map[string]int{}, resetTo: noCut}
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
	r, err := m.log.Append(b, kafka.LeaderEpoch(1+len(m.batches)/20))
	if err != nil {
		return err
	}
	w := &written{base: r.Base, end: r.End, bytes: bytes.Clone(b), again: again}
	if r.Duplicate {
		return fmt.Errorf("new batch at %d is taken for a duplicate of %d", m.log.End(), r.Base)
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
		err := l.WaitHeld(w.end, kafka.Never)
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
		m.maxStart = l.LogStart()
		return err
	case opCheckpoint:
		return l.Checkpoint()
	case opReopen:
		return m.reopen()
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
	r, err := m.log.Append(bytes.Clone(w.again), m.log.Epochs().Latest())
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

func (m *model) reopen() error {
	err := m.log.Close()
	if err == nil {
		err = m.dir.Close()
	}
	if err != nil {
		return err
	}
	m.log, m.dir = nil, nil
	return m.recovered()
}

// recovered opens the log and compares all of it with the model.
func (m *model) recovered() error {
	if err := m.openErr(); err != nil {
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
		if m.log != nil && m.log.Held() >= 0 && o.Kind == opUnplug && m.cfg.Flush == FlushOS {
			for _, w := range m.batches {
				w.held = w.held && w.end <= m.log.Durable()
			}
		}
		m.node.Crash()
		if o.Kind == opUnplug {
			m.disk.PowerLoss(m.profile, 0)
		}
		m.disk.Heal()
		m.node.Restart()
		m.log, m.dir = nil, nil
		if again <= 0 {
			break
		}
		var err error
		m.node.Go("open", func() { err = m.recovered() })
		steps := 0
		m.k.Run(kafka.Never-1, func() bool { steps++; return steps > o.N || err != nil || m.log != nil })
		if err != nil {
			return fmt.Errorf("opened for the next crash: %w", err)
		}
	}
	var err error
	m.do(func() { err = m.recovered() })
	return err
}

// run carries out a history and returns what was wrong.
func (m *model) run(ops []op) error {
	if err := m.crash(op{Kind: opKill}); err != nil {
		return err
	}
	for i, o := range ops {
		if err := m.one(o); err != nil {
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
		}
		return err
	case opHeal:
		m.disk.Heal()
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
	if err == nil || !tolerable(err) {
		return err
	}
	if m.log == nil || m.dir.Failed() != nil {
		return m.crash(op{Kind: opKill})
	}
	return nil
}

var modelSeeds = flag.Uint64("model.seeds", 0, "run so many drawn histories instead of rapid's")

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

func testModel(t *testing.T, faults int) {
	rapid.Check(t, func(rt *rapid.T) {
		seed := rapid.Uint64().Draw(rt, "seed")
		cfg := modelConfig(rapid.IntRange(0, 100).Draw(rt, "config"))
		ops := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) op { return drawOp(rt, faults) }), 1, 60).Draw(rt, "ops")
		m := newModel(t, seed, cfg, seed%2 == 0)
		defer m.k.Close()
		if err := m.run(ops); err != nil {
			rt.Fatalf("%v", err)
		}
	})
}

// TestModelCrashes: no fault but crashes, at any moment, again and again.
func TestModelCrashes(t *testing.T) { testModel(t, 0) }

// TestModelFaults: with disk faults that destroy nothing by themselves.
func TestModelFaults(t *testing.T) { testModel(t, 2) }
