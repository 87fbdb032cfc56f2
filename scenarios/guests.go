package scenarios

import (
	"fmt"
	"slices"

	"github.com/klammlog/klamm/sim"
)

// A guest is a host beside the honest clients: what it does is not in the history,
// and the honest must not notice.
type guest interface {
	start()
	// unfinished says why it has not left after the heal, or "".
	unfinished() string
}

// Families of faults that guests are. They are not scheduled: guests are at it
// from the moment the topic is there until the faults end.
const (
	malformedRequest Family = "malformed-request"
	connectionStorm  Family = "connection-storm"
	operatorActs     Family = "operator-acts"
	groupsRead       Family = "groups"
)

// guestFamilies tells of them.
var guestFamilies = []AboutFault{
	{Family: malformedRequest, About: "hosts send frames, requests and batches that are none, in pieces or never whole, and do not read what they are answered"},
	{Family: connectionStorm, About: "hosts open hundreds of connections, keep them idle or waiting, and come back all at once"},
	{Family: operatorActs, About: "operators create, delete, grow, cut, configure and describe topics and brokers, and do not always wait for the answer"},
	{Family: nearestReads, About: "consumers name a rack and are sent to followers in it; others ask any replica for what a leader has told them of"},
	{Family: groupsRead, About: "a group of consumers reads the topic beside everybody else, and what it delivers is judged"},
	{Family: topicCompaction, About: "the topic is compacted, by each replica for itself: what one has taken out another may show, and logs differ"},
	{Family: operatorMistakes, About: "somebody unregisters brokers that only seem dead, gives one another port, has a topic take less than before, and has a node of another cluster come here; or starts a copy of a broker's machine, appends to a log of a broker that is stopped, puts files of a deleted topic back, adds a log directory that cannot be used, and goes back from a later version"},
	{Family: replicaMoves, About: "an operator moves replicas between brokers, takes that back, and has leaders elected"},
}

// inviteGuests draws who comes besides, for families that the scenario always has
// or, one seed in four each, may have.
func (o *Options) inviteGuests(s *Scenario, seed uint64) {
	for _, f := range s.Guests {
		if sim.Stream(seed, "guests/"+string(f)).IntN(4) == 0 {
			o.Families = append(o.Families, f)
		}
	}
	if slices.Contains(o.Families, malformedRequest) {
		o.inviteHostiles(sim.Stream(seed, "options/hostile"))
	}
	if slices.Contains(o.Families, connectionStorm) {
		idle := o.MaxIdle
		o.inviteCrowds(sim.Stream(seed, "options/crowd"))
		if o.MaxIdle == 0 {
			o.MaxIdle = idle // hostile hosts wait for the end of what is idle
		}
	}
	if slices.Contains(o.Families, operatorActs) {
		o.inviteOperators(sim.Stream(seed, "options/operators"))
	}
	if slices.Contains(o.Families, nearestReads) {
		o.inviteNear(sim.Stream(seed, "options/nearest"))
	}
	if slices.Contains(o.Families, groupsRead) {
		o.inviteGroups(sim.Stream(seed, "options/groups"))
	}
	if slices.Contains(o.Families, topicCompaction) {
		o.inviteCompaction(sim.Stream(seed, "options/topic-compaction"))
	}
	if slices.Contains(o.Families, replicaMoves) {
		o.inviteSteward(sim.Stream(seed, "options/steward"))
	}
}

// newGuests adds the hosts that the options ask for.
func (r *run) newGuests() {
	for i := range r.options.Hostiles {
		r.guests = append(r.guests, r.newHostile(fmt.Sprintf("h%d", i+1)))
	}
	for i := range r.options.Crowds {
		r.guests = append(r.guests, r.newCrowd(fmt.Sprintf("m%d", i+1)))
	}
	r.newOperators()
	if r.options.StewardActs > 0 {
		r.guests = append(r.guests, r.newSteward("s1"))
	}
	if slices.Contains(r.options.Families, operatorMistakes) {
		r.guests = append(r.guests, r.newBungler("b1"))
		if r.k.Rand("options/fumbler").IntN(2) == 0 {
			r.guests = append(r.guests, r.newFumbler("b2"))
		}
	}
	for i := range r.options.Near {
		r.guests = append(r.guests, r.newNearReader(fmt.Sprintf("near%d", i+1)))
	}
	if r.options.Grows {
		r.grower = r.newGrower("grower")
		r.guests = append(r.guests, r.grower)
	}
	r.newBystanders()
	if r.options.Recreate {
		r.guests = append(r.guests, r.newRecreator("again"))
	}
}

// guestsGone reports whether every guest has left.
func (r *run) guestsGone() bool {
	for _, g := range r.guests {
		if g.unfinished() != "" {
			return false
		}
	}
	return true
}
