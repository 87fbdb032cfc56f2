package netsim

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// A Ratio is a probability without floats: Num in Den. The zero Ratio is never.
type Ratio struct{ Num, Den uint32 }

func (r Ratio) String() string { return fmt.Sprintf("%d/%d", r.Num, r.Den) }

// hits draws whether it happens this time. It draws nothing for never and always.
func (r Ratio) hits(stream *rand.Rand) bool {
	if r.Num == 0 {
		return false
	}
	return r.Num >= r.Den || stream.Uint32N(r.Den) < r.Num
}

// upTo draws a duration of at most d.
func upTo(stream *rand.Rand, d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return time.Duration(stream.Uint64N(uint64(d) + 1))
}

// between draws a duration of at least low and at most high.
func between(stream *rand.Rand, low, high time.Duration) time.Duration {
	return low + upTo(stream, high-low)
}

// A Link is how one direction between two hosts behaves without any fault.
type Link struct {
	Latency   time.Duration // every segment
	Jitter    time.Duration // up to this on top, drawn
	TailShare Ratio         // of segments
	Tail      time.Duration // that take up to this on top of it all
	Bandwidth int64         // bytes a second; 0: no limit
	Loss      Ratio         // of transmissions
}

// Options of a network. Sizes and times that are zero take their defaults;
// ratios that are zero are never.
type Options struct {
	Link     Link // between hosts
	Loopback Link // from a host to itself

	Buffer  int // bytes a writer may have under way per connection
	Window  int // bytes a connection keeps for its reader
	Backlog int // connections that wait for Accept

	Pieces     Ratio // of segments that are cut short
	ShortReads Ratio // of reads that return less than there is
	Yield      Ratio // of reads and writes that need not wait and let others run all the same

	RTO            time.Duration // first retransmission time-out; each loss doubles it
	MaxRTO         time.Duration // bounds the doubling, and how late held bytes resume
	ConnectTimeout time.Duration // after which a dial is ErrUnreachable
	GiveUpMin      time.Duration // bytes that are not acknowledged for a drawn time
	GiveUpMax      time.Duration // between these break their connection
	KeepAlive      time.Duration // after which an idle connection without its peer breaks

	Tap Tap // is told what connections carry; nil: nobody is
}

// DefaultOptions is a network in one data centre on an ordinary day.
func DefaultOptions() Options {
	return Options{
		Link: Link{
			Latency: 100 * time.Microsecond, Jitter: 100 * time.Microsecond,
			TailShare: Ratio{1, 200}, Tail: 20 * time.Millisecond,
		},
		Pieces: Ratio{1, 16}, ShortReads: Ratio{1, 16}, Yield: Ratio{1, 8},
	}.filled()
}

// filled replaces zero sizes and times by their defaults. Those of time-outs are
// Linux's, but for GiveUp (there a quarter of an hour) and ConnectTimeout (there
// two minutes), which no scenario would live to see.
func (o Options) filled() Options {
	setDefault(&o.Loopback.Latency, 5*time.Microsecond)
	setDefault(&o.Buffer, 256<<10)
	setDefault(&o.Window, 256<<10)
	setDefault(&o.Backlog, 128)
	setDefault(&o.RTO, 200*time.Millisecond)
	setDefault(&o.MaxRTO, 2*time.Second)
	setDefault(&o.ConnectTimeout, 20*time.Second)
	setDefault(&o.GiveUpMin, 30*time.Second)
	setDefault(&o.GiveUpMax, 2*time.Minute)
	setDefault(&o.KeepAlive, 150*time.Second)
	return o
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// DrawOptions draws the weather of a run: near or far hosts, wide or narrow
// links, tidy or shredded streams.
func DrawOptions(stream *rand.Rand) Options {
	o := DefaultOptions()
	latencies := []time.Duration{50 * time.Microsecond, 200 * time.Microsecond, time.Millisecond, 20 * time.Millisecond}
	o.Link.Latency = pick(stream, latencies)
	o.Link.Jitter = o.Link.Latency * pick(stream, []time.Duration{0, 1, 4})
	o.Link.TailShare = pick(stream, []Ratio{{}, {1, 1000}, {1, 50}})
	o.Link.Tail = pick(stream, []time.Duration{5 * time.Millisecond, 100 * time.Millisecond})
	o.Link.Bandwidth = pick(stream, []int64{0, 0, 100 << 20, 10 << 20})
	o.Link.Loss = pick(stream, []Ratio{{}, {}, {1, 1000}, {1, 100}})
	o.Buffer = pick(stream, []int{16 << 10, 256 << 10, 1 << 20})
	o.Window = pick(stream, []int{16 << 10, 256 << 10, 1 << 20})
	o.Pieces = pick(stream, []Ratio{{}, {1, 32}, {1, 3}})
	o.ShortReads = pick(stream, []Ratio{{}, {1, 32}, {1, 3}})
	o.Yield = pick(stream, []Ratio{{1, 32}, {1, 8}, {1, 2}})
	return o
}

func pick[T any](stream *rand.Rand, choices []T) T { return choices[stream.IntN(len(choices))] }
