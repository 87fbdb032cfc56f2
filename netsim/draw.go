package netsim

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/klammlog/klamm/internal/assert"
	"github.com/klammlog/klamm/node/kafka"
)

// A Window is a span of time; End is exclusive.
type Window struct{ Start, End kafka.Instant }

// Draw draws a fault of a family that begins within the window and ends by its
// end. It wants two hosts at least, and three for a bridge. What it draws depends
// on nothing but its arguments, and it uses no floats.
func Draw(family Family, stream *rand.Rand, hosts []string, in Window) Fault {
	return Stage{Hosts: hosts, Window: in}.Draw(family, stream)
}

// A Stage is where drawn faults happen.
type Stage struct {
	Hosts  []string
	Window Window

	// Center is the host that the others talk to, if there is one: faults are
	// then drawn so that they touch it. A link between two clients carries
	// nothing that a fault could hit.
	Center string
}

// Draw is the function Draw, with regard to the stage's center.
func (s Stage) Draw(family Family, stream *rand.Rand) Fault {
	assert.That(len(s.Hosts) >= 2 && (family != Bridge || len(s.Hosts) >= 3), "%s among hosts %v", family, s.Hosts)
	assert.That(s.Window.End > s.Window.Start, "a window of no time at %s", s.Window.Start)
	d := drawing{stream: stream, hosts: shuffled(stream, s.Hosts)}
	if s.Center != "" {
		d.seat(s.Center, family)
	}
	f := Fault{Family: family}
	f.At, f.For = d.times(s.Window)
	if specs[family].time == atOnce {
		f.For = 0
	}
	d.places(&f)
	d.strength(&f)
	assert.NoError(f.Check())
	return f
}

// A drawing makes one fault.
type drawing struct {
	stream *rand.Rand
	hosts  []string // in drawn order
}

func shuffled(stream *rand.Rand, hosts []string) []string {
	out := slices.Clone(hosts)
	stream.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

// seat moves the center to where places will put it on the one side of the fault or
// the other.
func (d *drawing) seat(center string, family Family) {
	to := 0
	switch family {
	case Refuse, AcceptStall: // which only those suffer who listen
	case Bridge: // whose first host is the one that everybody reaches
		to = 1
	default:
		to = d.stream.IntN(2)
	}
	at := slices.Index(d.hosts, center)
	assert.That(at >= 0, "center %s is not among hosts %v", center, d.hosts)
	d.hosts[at], d.hosts[to] = d.hosts[to], d.hosts[at]
}

// times draws a beginning, and how long it lasts: short times are as likely as
// long ones, for it is time-outs that decide which of them matter.
func (d *drawing) times(in Window) (kafka.Instant, time.Duration) {
	span := in.End.Sub(in.Start)
	at := in.Start.Add(time.Duration(d.stream.Uint64N(uint64(span))))
	rest := in.End.Sub(at)
	longest := rest >> d.stream.UintN(10)
	return at, max(upTo(d.stream, longest), 1)
}

// some draws at least one and at most most of the hosts.
func (d *drawing) some(most int) []string { return d.hosts[:1+d.stream.IntN(most)] }

func (d *drawing) places(f *Fault) {
	all := len(d.hosts)
	switch f.Family {
	case Latency, Bandwidth, Buffer, Loss, Partial, Reset:
		d.maybeAnywhere(f)
	case Split, OneWay:
		f.A = d.some(all - 1)
		f.B = d.hosts[len(f.A):]
	case HalfOpen:
		f.A = d.some(all - 1)
	case Bridge:
		f.Via = d.hosts[0]
		cut := 2 + d.stream.IntN(all-2)
		f.A, f.B = d.hosts[1:cut], d.hosts[cut:]
	case Clog:
		f.A, f.B = d.hosts[:1], d.hosts[1:2]
	case Swizzle:
		f.A = d.some(all)
		f.B = shuffled(d.stream, f.A)
		f.For = max(f.For, time.Duration(2*len(f.A)))
	default: // those that name one list of hosts
		f.A = d.some(max(all/2, 1))
	}
}

// maybeAnywhere draws whether a fault is everywhere, at what one host sends, what
// one is sent, or at one link.
func (d *drawing) maybeAnywhere(f *Fault) {
	draw := d.stream.Uint64N(4)
	if draw&1 != 0 {
		f.A = d.hosts[:1]
	}
	if draw&2 != 0 {
		f.B = d.hosts[1:2]
	}
}

// strength draws a family's parameters, over orders of magnitude.
func (d *drawing) strength(f *Fault) {
	switch f.Family {
	case Latency:
		f.Base = between(d.stream, time.Millisecond, 10*time.Millisecond<<d.stream.UintN(8))
		f.Jitter = upTo(d.stream, f.Base)
		f.Share = pick(d.stream, []Ratio{{0, 1}, {1, 100}, {1, 10}})
		f.Tail = upTo(d.stream, 5*time.Second)
	case Bandwidth:
		f.Rate = 10_000 << d.stream.UintN(11)
	case SlowReceiver:
		f.Rate = 1000 << d.stream.UintN(11)
	case Buffer:
		f.Size = 1 << d.stream.UintN(17)
	case Loss, Partial:
		f.Share = pick(d.stream, []Ratio{{1, 1000}, {1, 100}, {1, 10}, {1, 3}})
	case Reset, HalfOpen:
		f.Share = pick(d.stream, []Ratio{{1, 10}, {1, 2}, {1, 1}})
	}
}
