package scenarios

import (
	"slices"
)

// MayHave returns the families that seeds of the scenario may have, sorted by name.
func (s *Scenario) MayHave() []Family {
	out := slices.Concat(s.Always, s.Sometimes, s.OneOf, s.Guests, s.Extras, s.Destroying)
	if s.LoserOneIn > 0 {
		out = append(out, noticeable...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// families names those that a run has, sorted: of its schedule, and its guests.
func (r *run) families() []string {
	var out []string
	for _, f := range r.schedule {
		out = append(out, string(f.Family))
	}
	for _, f := range guestFamilies {
		if slices.Contains(r.options.Families, f.Family) {
			out = append(out, string(f.Family))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Effective returns the families that took effect in a run. Those that read or keep what
// others write, and do nothing that could be counted, took effect if it was read, or kept.
func (r Result) Effective() []string {
	var out []string
	for _, c := range r.Faults {
		if c.Times > 0 {
			out = append(out, c.Name)
		}
	}
	if r.has(groupsRead) && len(r.Deliveries) > 0 {
		out = append(out, string(groupsRead))
	}
	if r.has(topicCompaction) && r.reached(swapProbe) {
		out = append(out, string(topicCompaction))
	}
	return out
}

// swapProbe is what a log marks whose segments are compacted.
const swapProbe = "compaction swapped segments"

func (r Result) has(f Family) bool { return slices.Contains(r.Families, string(f)) }

func (r Result) reached(probe string) bool {
	for _, p := range r.Probes {
		if p.Name == probe {
			return p.Times > 0
		}
	}
	return false
}
