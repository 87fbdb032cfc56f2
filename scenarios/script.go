package scenarios

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/klammlog/klamm/node/kafka"
)

// A Script is a schedule of faults that somebody wrote: a line a fault, as Result.Drawn
// has them. A run with a script draws none from its seed; all else is drawn as without
// one, each from a stream of its own, so that the lines can be changed one by one.
type Script struct {
	Faults []string `json:"faults"`
}

// maxScript is how many faults a script may have.
const maxScript = 10_000

// parse reads the lines.
func (s *Script) parse() ([]Fault, error) {
	if len(s.Faults) > maxScript {
		return nil, fmt.Errorf("%d faults: want %d at most", len(s.Faults), maxScript)
	}
	out := make([]Fault, 0, len(s.Faults))
	for i, line := range s.Faults {
		f, err := ParseFault(line)
		if err != nil {
			return nil, fmt.Errorf("fault %d: %w", i+1, err)
		}
		out = append(out, f)
	}
	sortFaults(out)
	return out, nil
}

// FirstFault returns when the first fault of a script begins that does not last from the
// beginning on; FaultsBegin, if there is none.
func FirstFault(lines []string) (kafka.Instant, error) {
	faults, err := (&Script{Faults: lines}).parse()
	for _, f := range faults {
		if f.at() > 0 {
			return f.at(), err
		}
	}
	return FaultsBegin, err
}

// Sooner returns the faults of a script, each of which begins earlier by some time, but
// those that last from the beginning on.
func Sooner(lines []string, by time.Duration) ([]string, error) {
	faults, err := (&Script{Faults: lines}).parse()
	out := make([]string, 0, len(faults))
	for _, f := range faults {
		var at *kafka.Instant
		switch {
		case f.Net != nil:
			at = &f.Net.At
		case f.Disk != nil:
			at = &f.Disk.At
		default:
			at = &f.Process.At
		}
		if *at > 0 {
			*at -= kafka.Instant(by)
		}
		out = append(out, f.String())
	}
	return out, err
}

// CheckSpec returns what is wrong with a run that somebody describes, if anything.
func CheckSpec(s Spec) error {
	r, err := newRun(s, Watch{})
	if err == nil {
		r.k.Close()
	}
	return err
}

// Unmade returns what is known of a run that somebody describes before it is made: a result
// without a verdict.
func Unmade(s Spec) (Result, error) {
	r, err := newRun(s, Watch{})
	if err != nil {
		return Result{}, err
	}
	defer r.k.Close()
	return r.unjudged(), nil
}

// Budgeted reports whether what a run's faults may strike is within a budget: where some
// acknowledged record may be lost, where one node may lose what it has and no other, or
// where all depends on one fault. Faults of another run are not in it.
func Budgeted(s Spec) (bool, error) {
	r, err := newRun(s, Watch{})
	if err != nil {
		return false, err
	}
	defer r.k.Close()
	o := &r.drawn
	return o.Unrestricted || o.Loser != "" || o.Flush == "os" || r.scenario.Once || r.scenario.Case != nil, nil
}

// perform takes the schedule from a script. What the run is promised is what the
// scenario and the seed promise; faults of other families than the seed's may take more
// than that, and are in its promise then.
func (r *run) perform(s *Script) error {
	faults, err := s.parse()
	if err != nil {
		return err
	}
	for _, f := range faults {
		if err := r.knows(f); err != nil {
			return fmt.Errorf("fault %q: %w", f, err)
		}
		for _, o := range []*Options{&r.drawn, &r.options} {
			if !slices.Contains(o.Families, f.Family) {
				o.Families = append(slices.Clone(o.Families), f.Family)
			}
		}
	}
	r.schedule = faults
	return nil
}

// knows reports what is wrong with the names in a fault.
func (r *run) knows(f Fault) error {
	var names []string
	switch {
	case f.Disk != nil:
		if !slices.ContainsFunc(r.nodes, func(b *brokerHost) bool { return b.disk.Name() == f.Disk.Disk }) {
			return fmt.Errorf("no node has a disk %q", f.Disk.Disk)
		}
	case f.Net != nil:
		names = slices.Concat(f.Net.A, f.Net.B)
		if f.Net.Via != "" {
			names = append(names, f.Net.Via)
		}
	default:
		names = strings.Split(f.Process.Node, ",")
	}
	for _, name := range names {
		if !r.isHost(name) && !slices.Contains(targetWords, name) {
			return fmt.Errorf("no host is called %q", name)
		}
	}
	return nil
}

// targetWords are the words for whoever it is when a fault strikes.
var targetWords = []target{theLeader, aFollower, theController, everyNode, theBrokers, theOthers, inTurn, theAhead, theOtherNodes,
	theHeirs, theReturned, theJoining, theWisher, allButOne, allButOneInTurn, aRack}

func (r *run) isHost(name string) bool {
	return slices.Contains(r.network.Hosts(), name)
}
