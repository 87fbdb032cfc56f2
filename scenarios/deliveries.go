package scenarios

import (
	"fmt"
	"slices"
	"strings"

	"github.com/klammlog/klamm/checker/delivery"
	"github.com/klammlog/klamm/node/client"
)

// A Delivery is what one group made of the records that it was owed.
type Delivery struct {
	Group    string `json:"group"`
	Mode     string `json:"mode"`     // commit-first, process-first, with-output
	Protocol string `json:"protocol"` // classic, consumer
	Records  int    `json:"records"`  // that it was to process
	Missed   int    `json:"missed"`   // of them, never processed
	Repeated int    `json:"repeated"` // processed more than once
	Miss     string `json:"miss,omitempty"`
	Repeat   string `json:"repeat,omitempty"` // the first of each, as a sentence

	// How long after the heal the first record of each partition was processed that
	// had one to process then: rising. There is no telling records that were written
	// before from those written after, so what it took to write them is in it.
	ResumedNanos []int64 `json:"resumed_ns"`
}

// deliveries tells of each group what was counted.
func (r *run) deliveries(counts []delivery.Count) (out []Delivery) {
	for i, c := range counts {
		g := r.groups[i]
		d := Delivery{
			Group: c.Group, Mode: c.Mode.String(), Protocol: protocolName(r.options.member(g.number, g.name, "").Protocol),
			Records: c.Records, Missed: c.Missed, Repeated: c.Repeated, Miss: c.Miss, Repeat: c.Repeat, ResumedNanos: []int64{},
		}
		for of, at := range r.sink.resumed { //klamm:unordered sorted below
			if of.group == g.name {
				d.ResumedNanos = append(d.ResumedNanos, int64(at.Sub(r.healedAt)))
			}
		}
		slices.Sort(d.ResumedNanos)
		out = append(out, d)
	}
	return out
}

// Names of the protocols of groups, as run.group.protocol has them.
const (
	classicProtocol  = "classic"
	consumerProtocol = "consumer"
)

func protocolName(p client.GroupProtocol) string {
	if p == client.ConsumerGroup {
		return consumerProtocol
	}
	return classicProtocol
}

// parseModes reads the modes of groups, a group each, with commas between them.
func parseModes(s string) (out []delivery.Mode, err error) {
	for _, name := range strings.Split(s, ",") {
		at := slices.IndexFunc(delivery.Modes(), func(m delivery.Mode) bool { return m.String() == name })
		if at < 0 {
			return nil, fmt.Errorf("no mode %q; there are %v", name, delivery.Modes())
		}
		out = append(out, delivery.Modes()[at])
	}
	return out, nil
}

// A DeliverySummary is what the groups of one mode made of their records in the runs
// of a scenario.
type DeliverySummary struct {
	Mode     string `json:"mode"`
	Groups   int    `json:"groups"`
	Records  int    `json:"records"`
	Missed   int    `json:"missed"`
	Repeated int    `json:"repeated"`

	// Time from the heal to the first record that a group processed after it: the
	// median of the groups, and the longest; then the longest of any partition.
	ResumedNanos    int64 `json:"resumed_ns"`
	LongestNanos    int64 `json:"resumed_longest_ns"`
	EverywhereNanos int64 `json:"resumed_everywhere_ns"`
}

// SummaryOfDeliveries sums up what groups did in several runs, by mode.
func SummaryOfDeliveries(all []Delivery) (out []DeliverySummary) {
	for _, mode := range delivery.Modes() {
		s, resumed := DeliverySummary{Mode: mode.String()}, []int64{}
		for i := range all {
			d := &all[i]
			if d.Mode != s.Mode {
				continue
			}
			s.Groups, s.Records, s.Missed, s.Repeated = s.Groups+1, s.Records+d.Records, s.Missed+d.Missed, s.Repeated+d.Repeated
			if n := len(d.ResumedNanos); n > 0 {
				resumed = append(resumed, d.ResumedNanos[0])
				s.EverywhereNanos = max(s.EverywhereNanos, d.ResumedNanos[n-1])
			}
		}
		if n := len(resumed); n > 0 {
			slices.Sort(resumed)
			s.ResumedNanos, s.LongestNanos = resumed[n/2], resumed[n-1]
		}
		if s.Groups > 0 {
			out = append(out, s)
		}
	}
	return out
}
