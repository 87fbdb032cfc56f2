package scenarios

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/klammlog/klamm/disksim"
	"github.com/klammlog/klamm/netsim"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/sim"
)

// A Family is a kind of fault by its name in docs/FAULTS.md. Each run leaves some
// families out.
type Family string

// clientCrash is the family of clients that die and come back as new ones.
const clientCrash Family = "client-crash"

// processFamilies are the faults of processes, machines and clocks.
func processFamilies() []Family {
	out := []Family{clientCrash}
	for _, k := range sim.FaultKinds() {
		out = append(out, Family(k))
	}
	return out
}

// swarmed are those of them that a scenario of all faults has. A restart storm is none:
// one more to draw from would change which families all its seeds have, and a storm has a
// scenario of its own.
func swarmed() []Family {
	return slices.DeleteFunc(processFamilies(), func(f Family) bool { return f == Family(sim.FaultStorm) })
}

func networkFamilies() []Family {
	var out []Family
	for _, f := range netsim.Families() {
		out = append(out, Family(f.String()))
	}
	return out
}

// diskFamilies are the faults of the one disk of a partition's only replica that
// leave what was acknowledged intact: with one copy there is no budget for the
// others (ADR 3).
func diskFamilies() []Family {
	var out []Family
	for _, k := range disksim.FaultKinds() {
		if !k.Destroys() {
			out = append(out, Family(k))
		}
	}
	return out
}

// A Fault is one line of a schedule: of a process, of the network, or of a disk.
type Fault struct {
	Family  Family
	Process *sim.Fault
	Net     *netsim.Fault
	Disk    *disksim.Fault
}

func (f Fault) String() string {
	switch {
	case f.Net != nil:
		return f.Net.String()
	case f.Disk != nil:
		return f.Disk.String()
	case f.Family == clientCrash:
		return strings.Replace(f.Process.String(), string(sim.FaultCrash), string(clientCrash), 1)
	}
	return f.Process.String()
}

// at returns when the fault begins.
func (f Fault) at() kafka.Instant {
	switch {
	case f.Net != nil:
		return f.Net.At
	case f.Disk != nil:
		return f.Disk.At
	}
	return f.Process.At
}

// ParseFault reads a line of a schedule.
func ParseFault(line string) (Fault, error) {
	name, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
	family := Family(name)
	switch {
	case family == clientCrash:
		f, err := sim.ParseFault(string(sim.FaultCrash) + " " + rest)
		return Fault{Family: family, Process: &f}, err
	case slices.Contains(networkFamilies(), family):
		f, err := netsim.ParseFault(line)
		return Fault{Family: family, Net: &f}, err
	case slices.Contains(processFamilies(), family):
		f, err := sim.ParseFault(line)
		return Fault{Family: family, Process: &f}, err
	}
	f, err := disksim.ParseFault(line)
	if err != nil {
		return Fault{}, fmt.Errorf("fault %q: no family %q", line, name)
	}
	return Fault{Family: family, Disk: &f}, nil
}

// warmUp is the time before the first fault: topics are created in it.
const warmUp = 300 * time.Millisecond

// FaultsBegin is when the first fault of a run may strike.
const FaultsBegin = kafka.Instant(warmUp)

// drawSchedule draws every fault of a run, each family from a stream of its own, so
// that leaving one out leaves the others as they are.
func drawSchedule(o Options, seed uint64, cast cast) []Fault {
	window := netsim.Window{Start: kafka.Instant(warmUp), End: kafka.Instant(warmUp + o.Safety)}
	var out []Fault
	for _, family := range o.Families {
		if slices.ContainsFunc(guestFamilies, func(f AboutFault) bool { return f.Family == family }) {
			continue
		}
		r := sim.Stream(seed, "faults/"+string(family))
		n := 1 + r.IntN(3)
		if slices.Contains(cast.scenario.Must, family) {
			n += 2 // one may strike while the broker is down, or nothing is to be done
		}
		if cast.scenario.Once {
			n = 1
		}
		for range n {
			out = append(out, drawFault(family, r, cast, window))
		}
	}
	sortFaults(out)
	return out
}

// sortFaults puts faults in the order in which they begin.
func sortFaults(faults []Fault) {
	slices.SortStableFunc(faults, func(a, b Fault) int { return int(min(max(a.at()-b.at(), -1), 1)) })
}

func drawFault(family Family, r *rand.Rand, cast cast, in netsim.Window) Fault {
	if i := slices.Index(networkFamilies(), family); i >= 0 {
		f := cast.stage(r, in).Draw(netsim.Families()[i], r)
		if tune := cast.scenario.TuneNet; tune != nil {
			tune(&f, cast, in, r)
		}
		return Fault{Family: family, Net: &f}
	}
	if slices.Contains(processFamilies(), family) {
		kind, node := sim.FaultKind(family), ""
		switch {
		case family == clientCrash:
			kind, node = sim.FaultCrash, cast.clients[r.IntN(len(cast.clients))]
		case cast.clientClocks && slices.Contains(clockFamilies, family):
			node = pick(r, cast.victim(r), cast.clients[r.IntN(len(cast.clients))])
		default:
			node = cast.drawTarget(family, r)
		}
		f := sim.DrawFault(kind, node, in.End-in.Start, r)
		if f.At > 0 {
			f.At += in.Start
		}
		switch {
		case slices.Contains(ofAPartition, node) && kind != sim.FaultStorm:
			f.N = r.Int64N(int64(cast.partitions))
		case node == aRack:
			f.N = r.Int64N(int64(cast.options.Racks))
		}
		if tune := cast.scenario.TuneProcess; tune != nil {
			tune(&f, r)
		}
		return Fault{Family: family, Process: &f}
	}
	f := disksim.DrawFault(disksim.FaultKind(family), cast.victimDisk(family, r), in.End-in.Start, r)
	f.At += in.Start
	// A stall outlasts any client's patience; for the whole of a run it would
	// leave nothing to judge.
	f.For = min(f.For, in.End.Sub(in.Start)/2)
	cast.options.confine(&f, r)
	if cast.scenario.Tune != nil {
		cast.scenario.Tune(&f, r)
	}
	return Fault{Family: family, Disk: &f}
}

// A cast is the names of the hosts of a run.
type cast struct {
	nodes   []string // brokers, then controllers
	disks   []string // theirs
	clients []string // producers, then consumers, then workers of groups
	workers []string // of the clients

	partitions   int32
	clientClocks bool // faults of clocks concern clients too
	options      *Options
	scenario     *Scenario
}

// clockFamilies are the faults of clocks.
var clockFamilies = []Family{Family(sim.FaultSkew), Family(sim.FaultDrift), Family(sim.FaultJump), Family(sim.FaultFreeze)}

func (c cast) hosts() []string { return slices.Concat(c.nodes, c.clients) }

// victim draws a node. Where there is one only, nothing is drawn.
func (c cast) victim(r *rand.Rand) string { return oneOf(r, c.nodes) }

func (c cast) victimDisk(family Family, r *rand.Rand) string {
	if c.options.loses(family) {
		return diskOf(c.options.Loser)
	}
	if spared := c.options.spared(); spared != "" && endsProcess(family) {
		return oneOf(r, slices.DeleteFunc(slices.Clone(c.disks), func(d string) bool { return d == diskOf(spared) }))
	}
	return oneOf(r, c.disks)
}

func oneOf(r *rand.Rand, from []string) string {
	if len(from) == 1 {
		return from[0]
	}
	return pick(r, from...)
}

// stage draws where a fault of the network happens: between nodes only, or around
// one of them.
func (c cast) stage(r *rand.Rand, in netsim.Window) netsim.Stage {
	if len(c.nodes) > 2 && r.IntN(2) == 0 {
		return netsim.Stage{Hosts: c.nodes, Window: in}
	}
	return netsim.Stage{Hosts: c.hosts(), Center: c.victim(r), Window: in}
}

// An AboutFault tells of a family, and which scenarios may draw it.
type AboutFault struct {
	Family    Family
	About     string
	Scenarios []string
}

// Faults returns all families that can be drawn or tested.
func Faults() []AboutFault {
	out := []AboutFault{{Family: clientCrash, About: "a client's process dies, and comes back as a new client"}}
	for _, k := range sim.FaultKinds() {
		out = append(out, AboutFault{Family: Family(k), About: k.About()})
	}
	for _, f := range netsim.Families() {
		out = append(out, AboutFault{Family: Family(f.String()), About: f.About()})
	}
	for _, k := range disksim.FaultKinds() {
		out = append(out, AboutFault{Family: Family(k), About: k.About()})
	}
	out = append(out, guestFamilies...)
	for i := range out {
		for _, s := range registry {
			switch {
			case slices.Contains(slices.Concat(s.Always, s.Sometimes, s.OneOf, s.Guests), out[i].Family):
				out[i].Scenarios = append(out[i].Scenarios, s.Name)
			case slices.Contains(s.Extras, out[i].Family) && s.Destroying == nil:
				out[i].Scenarios = append(out[i].Scenarios, s.Name)
			case slices.Contains(slices.Concat(s.Destroying, s.Extras), out[i].Family):
				out[i].Scenarios = append(out[i].Scenarios, s.Name+" (unrestricted)")
			}
		}
	}
	return out
}
