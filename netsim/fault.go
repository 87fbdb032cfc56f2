package netsim

import (
	"fmt"
	"time"

	"github.com/klammlog/klamm/node/kafka"
)

// A Family is a kind of fault. Their names are those of docs/FAULTS.md.
type Family uint8

// The families of network faults; About says what each does with its parameters.
const (
	Latency Family = iota
	Bandwidth
	Buffer
	Loss
	Partial
	Split
	Isolate
	OneWay
	Bridge
	Clog
	Swizzle
	Reset
	HalfOpen
	Refuse
	AcceptStall
	SlowReceiver
	NameMoved
	families
)

// Families returns all families.
func Families() []Family {
	all := make([]Family, families)
	for i := range all {
		all[i] = Family(i)
	}
	return all
}

func (f Family) String() string {
	if f >= families {
		return fmt.Sprintf("family(%d)", uint8(f))
	}
	return specs[f].name
}

// About says in a sentence what a family's faults do. Capital words are fields of
// Fault.
func (f Family) About() string { return specs[f].about }

// A Fault is what happens to the network, where and when. It prints as one line,
// which ParseFault reads. Fields that its family does not use are zero.
type Fault struct {
	Family Family
	At     kafka.Instant // when it begins; an instant that has passed means now
	For    time.Duration // how long it lasts; 0: until Heal. Reset and HalfOpen take no time
	A, B   []string      // hosts; About says what they are. Where a family can do without, none means all
	Via    string        // a host

	Base, Jitter, Tail time.Duration
	Share              Ratio
	Rate               int64 // bytes a second
	Size               int64 // bytes
}

// A field is a parameter a family can have besides hosts and times.
type field uint8

const (
	base field = 1 << iota
	jitter
	tail
	share
	rate
	size
)

// A spec is what a family's faults are made of, and what their parts are called
// in text.
type spec struct {
	name   string
	a, b   string // what the hosts are called; empty: there are none
	need   need
	fields field
	time   lasting
	about  string
}

// need says which hosts a fault must name.
type need uint8

const (
	needNone need = iota
	needA
	needBoth
	needVia // both, and Via
)

// lasting says whether a fault takes time.
type lasting uint8

const (
	atOnce lasting = iota
	lasts
)

// specs describes each family.
var specs = [families]spec{
	Latency: {"latency", "from", "to", needNone, base | jitter | share | tail, lasts,
		"segments from A to B take Base longer and a drawn time up to Jitter; Share of them take up to Tail on top"},
	Bandwidth: {"bandwidth", "from", "to", needNone, rate, lasts,
		"each link from A to B carries Rate bytes a second"},
	Buffer: {"buffer", "from", "to", needNone, size, lasts,
		"a connection has Size bytes under way from A to B at most, then its writer waits"},
	Loss: {"loss", "from", "to", needNone, share, lasts,
		"Share of transmissions from A to B are lost: the segment arrives one or more retransmission time-outs late"},
	Partial: {"partial", "from", "to", needNone, share, lasts,
		"of what goes from A to B, Share of segments is cut short and Share of reads returns less than there is"},
	Split: {"split", "left", "right", needBoth, 0, lasts,
		"bytes between A and B are held, both ways"},
	Isolate: {"isolate", "hosts", "", needA, 0, lasts,
		"bytes between each host of A and all others are held, both ways"},
	OneWay: {"one-way", "from", "to", needBoth, 0, lasts,
		"bytes from A to B are held; the other way they go, but are not acknowledged"},
	Bridge: {"bridge", "left", "right", needVia, 0, lasts,
		"bytes between A and B are held, both ways, and both reach Via"},
	Clog: {"clog", "from", "to", needBoth, 0, lasts,
		"bytes from A's one host to B's one host are held"},
	Swizzle: {"swizzle-clog", "order", "release", needBoth, 0, lasts,
		"the hosts of A are cut off one by one in that order, and let go one by one in the order of B"},
	Reset: {"reset", "hosts", "peers", needNone, share, atOnce,
		"of Share of the connections between A and B both ends break, and bytes in flight are lost"},
	HalfOpen: {"half-open", "gone", "peers", needA, share, atOnce,
		"of Share of the connections between A and B, A's end is gone without a word"},
	Refuse: {"refuse", "hosts", "", needA, 0, lasts,
		"the hosts of A refuse every dial"},
	AcceptStall: {"accept-stall", "hosts", "", needA, 0, lasts,
		"connections to the hosts of A are made, and none is accepted"},
	SlowReceiver: {"slow-receiver", "hosts", "", needA, rate, lasts,
		"programs on the hosts of A read each connection at Rate bytes a second"},
	NameMoved: {"name-moved", "hosts", "", needA, 0, lasts,
		"the hosts of A are at new addresses: their connections are half-open, and what is sent to their names waits until the fault ends"},
}

// Check returns what is wrong with a fault, if anything.
func (f Fault) Check() error {
	if f.Family >= families {
		return fmt.Errorf("fault: no %s", f.Family)
	}
	if err := f.checkHosts(); err != nil {
		return fmt.Errorf("fault %s: %w", f.Family, err)
	}
	if err := f.checkFields(); err != nil {
		return fmt.Errorf("fault %s: %w", f.Family, err)
	}
	return nil
}

func (f Fault) checkHosts() error {
	s := specs[f.Family]
	for _, name := range append(append([]string{}, f.A...), f.B...) {
		if !validName(name) {
			return fmt.Errorf("host name %q", name)
		}
	}
	switch {
	case s.need >= needA && len(f.A) == 0:
		return fmt.Errorf("%s names no host", s.a)
	case s.need >= needBoth && len(f.B) == 0:
		return fmt.Errorf("%s names no host", s.b)
	case s.b == "" && len(f.B) > 0:
		return fmt.Errorf("second list of hosts %v: it has one", f.B)
	case s.need == needVia && !validName(f.Via):
		return fmt.Errorf("via %q: want a host", f.Via)
	case s.need != needVia && f.Via != "":
		return fmt.Errorf("via %s: it has none", f.Via)
	case f.Family == Clog && (len(f.A) != 1 || len(f.B) != 1):
		return fmt.Errorf("from %v to %v: want one link", f.A, f.B)
	case f.Family == Swizzle && !sameHosts(f.A, f.B):
		return fmt.Errorf("release %v is not an order of %v", f.B, f.A)
	case f.Family == Swizzle && f.For == 0:
		return fmt.Errorf("for 0: it is spread over a time")
	}
	return nil
}

func (f Fault) checkFields() error {
	s := specs[f.Family]
	used := func(x field) bool { return s.fields&x != 0 }
	switch {
	case f.At < 0 || f.At == kafka.Never:
		return fmt.Errorf("at %d", int64(f.At))
	case f.For < 0 || (f.For > 0 && s.time == atOnce):
		return fmt.Errorf("for %s", f.For)
	case f.Base < 0 || f.Base > maxDelay || (f.Base > 0 && !used(base)):
		return fmt.Errorf("base %s", f.Base)
	case f.Jitter < 0 || f.Jitter > maxDelay || (f.Jitter > 0 && !used(jitter)):
		return fmt.Errorf("jitter %s", f.Jitter)
	case f.Tail < 0 || f.Tail > maxDelay || (f.Tail > 0 && !used(tail)):
		return fmt.Errorf("tail %s", f.Tail)
	case used(share) && (f.Share.Den == 0 || f.Share.Num > f.Share.Den):
		return fmt.Errorf("share %s: want at most 1", f.Share)
	case !used(share) && f.Share != Ratio{}:
		return fmt.Errorf("share %s: it has none", f.Share)
	case used(rate) != (f.Rate > 0) || f.Rate < 0 || f.Rate > maxRate:
		return fmt.Errorf("rate %d bytes a second", f.Rate)
	case used(size) != (f.Size > 0) || f.Size < 0 || f.Size > maxSize:
		return fmt.Errorf("size %d bytes", f.Size)
	}
	return nil
}

// Bounds of parameters.
const (
	maxDelay = 24 * time.Hour
	maxRate  = 1_000_000_000_000 // a terabyte a second
	maxSize  = 1 << 30
)

// sameHosts reports whether b is a without repetition in some order.
func sameHosts(a, b []string) bool {
	if len(a) != len(b) {
		return false
	}
	for i, x := range a {
		if contains(a[:i], x) || !contains(b, x) {
			return false
		}
	}
	return true
}

func contains(hosts []string, name string) bool {
	for _, h := range hosts {
		if h == name {
			return true
		}
	}
	return false
}

// among reports whether a list that may be left out to mean everybody names a
// host.
func among(hosts []string, name string) bool { return len(hosts) == 0 || contains(hosts, name) }
