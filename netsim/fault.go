package netsim

import (
	"fmt"
	"time"

	"github.com/klammlog/klamm/node/kafka"
)

// A Family is a kind of fault. Their names are those of docs/FAULTS.md.
type Family uint8

// The families of network faults.
const (
	Latency      Family = iota // segments take Base longer, up to Jitter more, and Share of them up to Tail more
	Bandwidth                  // a link carries Rate bytes a second
	Buffer                     // connections take Size bytes, then their writers wait
	Loss                       // Share of transmissions is lost, and made again
	Partial                    // Share of writes is cut, Share of reads is short
	Split                      // A and B do not reach each other
	Isolate                    // each of A reaches nobody
	OneWay                     // nothing that A sends reaches B
	Bridge                     // A and B do not reach each other, both reach Via
	Clog                       // nothing that A[0] sends reaches B[0]
	Swizzle                    // A are cut off one by one, and let go in the order of B
	Reset                      // Share of the connections between A and B breaks at both ends
	HalfOpen                   // of Share of the connections between A and B, A's end is gone without a word
	Refuse                     // A refuse all dials
	AcceptStall                // A make connections and accept none
	SlowReceiver               // A read each socket at Rate bytes a second
	NameMoved                  // A change their addresses: connections are half-open, and dials wait for For
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

// A Fault is what happens to the network, where and when. It prints as one line,
// which ParseFault reads. Fields that its family does not use are zero.
type Fault struct {
	Family Family
	At     kafka.Instant // when it begins; an instant that has passed means now
	For    time.Duration // how long it lasts; 0: until Heal. Reset and HalfOpen take no time
	A, B   []string      // hosts; what they are to the family says its comment. Where they are optional, none means all
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
	lasts  bool
}

// need says which hosts a fault must name.
type need uint8

const (
	needNone need = iota
	needA
	needBoth
	needVia // both, and Via
)

// specs describes each family, in their order.
var specs = [families]spec{
	{"latency", "from", "to", needNone, base | jitter | share | tail, true},
	{"bandwidth", "from", "to", needNone, rate, true},
	{"buffer", "from", "to", needNone, size, true},
	{"loss", "from", "to", needNone, share, true},
	{"partial", "from", "to", needNone, share, true},
	{"split", "left", "right", needBoth, 0, true},
	{"isolate", "hosts", "", needA, 0, true},
	{"one-way", "from", "to", needBoth, 0, true},
	{"bridge", "left", "right", needVia, 0, true},
	{"clog", "from", "to", needBoth, 0, true},
	{"swizzle-clog", "order", "release", needBoth, 0, true},
	{"reset", "hosts", "peers", needNone, share, false},
	{"half-open", "gone", "peers", needA, share, false},
	{"refuse", "hosts", "", needA, 0, true},
	{"accept-stall", "hosts", "", needA, 0, true},
	{"slow-receiver", "hosts", "", needA, rate, true},
	{"name-moved", "hosts", "", needA, 0, true},
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
	case f.For < 0 || (f.For > 0 && !s.lasts):
		return fmt.Errorf("for %s", f.For)
	case f.Base < 0 || (f.Base > 0 && !used(base)):
		return fmt.Errorf("base %s", f.Base)
	case f.Jitter < 0 || (f.Jitter > 0 && !used(jitter)):
		return fmt.Errorf("jitter %s", f.Jitter)
	case f.Tail < 0 || (f.Tail > 0 && !used(tail)):
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

// Bounds of parameters: a terabyte a second, a gibibyte.
const (
	maxRate = 1_000_000_000_000
	maxSize = 1 << 30
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
