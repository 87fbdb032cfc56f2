//go:build linux

package main

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// shares of the peak at which latency is measured, in percent.
var shares = []int{10, 50, 90}

// An epoch is when a measurement began; instants count from it, so that they are
// small enough to be atomic.
var epoch = time.Now()

func instant() int64 { return int64(time.Since(epoch)) }

// latency measures how long a client waits for its acknowledgement, and another for
// the records, when requests come at a steady rate whatever the answers do: a
// request that could not be sent in time is late from then on, not from when it was
// sent.
func (p *plan) latency() error {
	t := newTable("log.flush", "share of peak", "requests/s", "to ack p50, µs", "p99", "p99.9", "to consumer p50, µs", "p99", "p99.9", "read cold, MB/s")
	l := newLoad(10<<10, 1024)
	var peaks []string
	for _, flush := range []string{"os", "ack"} {
		peak, err := p.peak(flush, l)
		if err != nil {
			return fmt.Errorf("peak: %w", err)
		}
		peaks = append(peaks, fmt.Sprintf("%.0f requests/s with log.flush=%s", peak.median(), flush))
		for _, share := range shares {
			for _, cold := range []int{0, p.cold} {
				if cold > 0 && share != 50 {
					continue
				}
				if err := p.latencyRow(t, flush, l, share, peak.median(), cold); err != nil {
					return err
				}
			}
		}
	}
	t.print(p.out, "Latency", fmt.Sprintf("Open loop: requests of %d records of 1 KiB, each due at its time on one of %d connections; latency counts from when it was due. "+
		"A consumer waits on each partition. Peak, closed loop with %d requests under way on each connection and no consumers: %v. "+
		"Clients and node share the processors. Cold: another consumer reads a topic of %d MiB whose pages were dropped from the page cache (the node has no cache of its own); "+
		"MB/s is what the node read from the disk.", l.records, lanes, pipeline, peaks, p.cold>>20))
	return nil
}

// peak returns the requests a second that the node takes at most.
func (p *plan) peak(flush string, l load) (rate figure, err error) {
	for range p.rounds {
		s, _, err := p.produceOnce(roleNode, flush, l)
		if err != nil {
			return rate, err
		}
		rate.add(s.rate() / float64(l.records))
	}
	return rate, nil
}

// percentiles of one kind of latency, round by round.
type percentiles struct{ p50, p99, p999 figure }

func (q *percentiles) add(latencies []int64) {
	slices.Sort(latencies)
	at := func(share float64) float64 {
		return float64(latencies[min(int(share*float64(len(latencies))), len(latencies)-1)])
	}
	q.p50.add(at(0.5))
	q.p99.add(at(0.99))
	q.p999.add(at(0.999))
}

func (p *plan) latencyRow(t *table, flush string, l load, share int, peak float64, cold int) error {
	var acks, reads percentiles
	var disk figure
	rate := peak * float64(share) / 100
	for range p.rounds {
		m, err := p.latencyOnce(flush, l, rate, cold)
		if err != nil {
			return fmt.Errorf("at %d %% with log.flush=%s: %w", share, flush, err)
		}
		acks.add(m.acks)
		reads.add(m.reads)
		if cold > 0 {
			disk.add(m.cold)
		}
	}
	const micro = 1e3
	t.row(flush, fmt.Sprintf("%d %%", share), fmt.Sprintf("%.0f", rate), acks.p50.text(micro), acks.p99.text(micro), acks.p999.text(micro),
		reads.p50.text(micro), reads.p99.text(micro), reads.p999.text(micro), disk.text(1e6))
	return nil
}

// A latencies is what came of one measurement.
type latencies struct {
	acks, reads []int64 // nanoseconds
	cold        float64 // bytes a second read from the disk
}

func (p *plan) latencyOnce(flush string, l load, rate float64, cold int) (m latencies, err error) {
	server, err := p.start(roleNode, "log.flush="+flush)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, server.stop()) }()
	if err := createTopic(server.address, "t", lanes); err != nil {
		return m, err
	}
	var reader *coldReader
	if cold > 0 {
		if reader, err = p.startCold(server, l, cold); err != nil {
			return m, err
		}
	}
	o := newOpenLoop(rate, p.warm+p.window)
	err = o.run(server.address, l)
	if reader != nil {
		m.cold, err = reader.stop(err)
	}
	m.acks, m.reads = o.since(o.acked, p.warm), o.since(o.read, p.warm)
	return m, err
}

// An openLoop sends requests when they are due. Request k of a lane is due at
// first + k*every, and that is all that has to be known to tell how late its
// answer is.
type openLoop struct {
	lanes int
	every time.Duration // between two requests of one lane
	count int           // requests of each lane
	first []int64       // when the first request of each lane is due
	acked [][]int64     // latencies, by lane and request
	read  [][]int64
}

func newOpenLoop(rate float64, d time.Duration) *openLoop {
	o := &openLoop{lanes: lanes, every: time.Duration(float64(lanes) / rate * 1e9)}
	o.count = max(int(d/o.every), 2)
	for range o.lanes {
		o.acked = append(o.acked, make([]int64, o.count))
		o.read = append(o.read, make([]int64, o.count))
	}
	return o
}

func (o *openLoop) due(lane, k int) int64 { return o.first[lane] + int64(k)*int64(o.every) }

// since returns the latencies of the requests that were due after a while.
func (o *openLoop) since(all [][]int64, warm time.Duration) []int64 {
	from := min(int(warm/o.every), o.count-1)
	var out []int64
	for _, of := range all {
		out = append(out, of[from:]...)
	}
	return out
}

// run sends everything and waits for all acknowledgements and records.
func (o *openLoop) run(address string, l load) error {
	var senders, readers []*wire
	for range o.lanes {
		s, err := dial(address)
		if err != nil {
			return err
		}
		defer s.Close()
		r, err := dial(address)
		if err != nil {
			return err
		}
		defer r.Close()
		senders, readers = append(senders, s), append(readers, r)
	}
	begin := instant() + int64(10*time.Millisecond)
	for lane := range o.lanes {
		o.first = append(o.first, begin+int64(lane)*int64(o.every)/int64(o.lanes))
	}
	errs := make(chan error, 2*o.lanes+1)
	for lane := range o.lanes {
		go func() { errs <- o.takeAcks(lane, senders[lane]) }()
		go func() { errs <- o.takeRecords(lane, readers[lane], l) }()
	}
	go func() { errs <- o.send(senders, l) }()
	var err error
	late := time.After(time.Minute + time.Duration(o.count)*o.every)
	for range cap(errs) {
		select {
		case e := <-errs:
			err = errors.Join(err, e)
		case <-late:
			return errors.Join(err, errors.New("answers did not come"))
		}
	}
	return err
}

// send sends each request when it is due, or as soon after as the one thread that
// sends them all gets round to it.
func (o *openLoop) send(to []*wire, l load) error {
	runtime.LockOSThread() // a sleep of the thread is shorter than one of the scheduler can be
	defer runtime.UnlockOSThread()
	var frames [][]byte
	for lane := range to {
		frames = append(frames, l.produceFrame("t", int32(lane)))
	}
	for k := range o.count {
		for lane, w := range to {
			if wait := o.due(lane, k) - instant(); wait > 0 {
				t := unix.NsecToTimespec(wait)
				_ = unix.Nanosleep(&t, nil) // cut short, it is a little early
			}
			if _, err := w.Write(frames[lane]); err != nil {
				return err
			}
		}
	}
	return nil
}

func (o *openLoop) takeAcks(lane int, w *wire) error {
	for k := range o.count {
		if err := w.produced(); err != nil {
			return fmt.Errorf("ack %d of lane %d: %w", k, lane, err)
		}
		o.acked[lane][k] = instant() - o.due(lane, k)
	}
	return nil
}

func (o *openLoop) takeRecords(lane int, w *wire, l load) error {
	for k := 0; k < o.count; {
		got, err := w.fetchAt("t", int32(lane), int64(k*l.records))
		if err != nil {
			return fmt.Errorf("records of request %d of lane %d: %w", k, lane, err)
		}
		now := instant()
		for range len(got) / len(l.batch) {
			o.read[lane][k] = now - o.due(lane, k)
			k++
		}
	}
	return nil
}

// A coldReader reads a topic from the disk as fast as it gets it.
type coldReader struct {
	server  *server
	wire    *wire
	stopped atomic.Bool
	group   sync.WaitGroup
	err     error
	begun   time.Time
	had     int64 // bytes the server had read from disks
}

// startCold fills a topic, drops its pages, and reads it, over and over.
func (p *plan) startCold(s *server, l load, bytes int) (*coldReader, error) {
	if err := createTopic(s.address, "cold", 1); err != nil {
		return nil, err
	}
	big := newLoad(p.batch, l.size)
	records, err := fill(s.address, "cold", 1, big, bytes)
	if err != nil {
		return nil, err
	}
	w, err := dial(s.address)
	if err != nil {
		return nil, err
	}
	r := &coldReader{server: s, wire: w}
	if err := dropPages(filepath.Join(s.dir, "cold-0")); err != nil {
		return nil, err
	}
	if r.had, err = s.field("io", "read_bytes"); err != nil {
		return nil, err
	}
	r.begun = time.Now()
	r.group.Go(func() { r.err = unless(&r.stopped, r.read(big, records)) })
	return r, nil
}

func (r *coldReader) read(l load, records int64) error {
	for offset := int64(0); ; {
		got, err := r.wire.fetchAt("cold", 0, offset)
		if err != nil {
			return err
		}
		if offset += int64(len(got) / len(l.batch) * l.records); offset >= records {
			offset = 0
			if err := dropPages(filepath.Join(r.server.dir, "cold-0")); err != nil {
				return err
			}
		}
	}
}

// stop ends the reading and returns how many bytes a second came from the disk.
func (r *coldReader) stop(err error) (float64, error) {
	took := time.Since(r.begun)
	has, asked := r.server.field("io", "read_bytes")
	r.stopped.Store(true)
	r.wire.Close()
	r.group.Wait()
	return float64(has-r.had) / math.Max(took.Seconds(), 1e-9), errors.Join(err, asked, r.err)
}

// dropPages drops what the page cache has of a partition's files.
func dropPages(dir string) error {
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) == 0 {
		return fmt.Errorf("%s: no files: %w", dir, err)
	}
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		err = errors.Join(unix.Fdatasync(int(f.Fd())), unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED), f.Close())
		if err != nil {
			return err
		}
	}
	return nil
}
