package scenarios

import (
	"fmt"
	"slices"

	"github.com/klammlog/klamm/disksim"
	"github.com/klammlog/klamm/sim"
)

// rotFound are the probes of a node that takes a part of its logs for rotten. In a
// cluster it fetches such a replica anew, so that nothing else tells of it
// (docs/bugs/0021.md).
var rotFound = []string{
	"a part of a log was taken out because it is corrupt",
	"a read was refused because its batch is corrupt",
	"a partition was quarantined",
	"a partition file was corrupt and was written anew",
	"a manifest was corrupt and was written anew",
}

// judgeRot holds nodes whose disks kept what they were given to finding no rot.
func (r *run) judgeRot(res *Result) {
	if slices.ContainsFunc(r.nodes, (*brokerHost).diskDestroyed) {
		return
	}
	res.Judged = append(res.Judged, noRot)
	res.Violations = append(res.Violations, rotOf(r.k.Probes())...)
}

// rotOf returns what probes tell of rot.
func rotOf(probes []sim.Count) []Violation {
	var out []Violation
	for _, c := range probes {
		if c.Times > 0 && slices.Contains(rotFound, c.Name) {
			out = append(out, Violation{Guarantee: noRot,
				Sentence: fmt.Sprintf("every disk kept what it was given, and a node said %d times: %s", c.Times, c.Name)})
		}
	}
	return out
}

// diskDestroyed reports whether the host's disk did not keep, or does not show, what
// it was given.
func (b *brokerHost) diskDestroyed() bool {
	return slices.ContainsFunc(b.disk.Struck(), func(c disksim.Count) bool {
		return c.Kind.Destroys() || c.Kind == disksim.FaultSyncRevert
	})
}
