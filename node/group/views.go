package group

import (
	"slices"

	"github.com/klammlog/klamm/node/kafka"
)

// A View is what observers see of one group: who is in it, and what is whose. It is
// a copy.
type View struct {
	ID       string
	Consumer bool // of KIP-848
	State    string
	Epoch    int32  // or generation
	Target   int32  // the epoch that the members' goals are of
	Protocol string // of a classic group: its assignor
	Members  []MemberView
}

// A MemberView is one member.
type MemberView struct {
	ID, Instance string
	Epoch        int32
	Reads        []string // topics, sorted; of a classic member unknown
	Assigned     []Assigned
	Revoking     []Assigned
	Goal         []Assigned // what it shall have
	Subscription []byte     // of a classic member, as it said under the group's protocol
	Assignment   []byte     // of a classic member, as the leader made it
	Unsynced     bool       // of a classic member: it has joined, and was not heard to ask for its assignment
}

// Assigned is a partition of a topic that is known by its id.
type Assigned struct {
	Topic     kafka.TopicID
	Partition int32
}

// Moves counts the records about members that took effect: what Views shows of
// stable groups changes with them only.
func (s *Shard) Moves() uint64 { return s.moves }

// Views returns what there is of groups with members, in no order that means
// anything. It changes nothing.
func (s *Shard) Views() []View {
	var out []View
	for id, g := range s.groups.all() {
		switch {
		case g.vacant():
		case g.consumer != nil:
			out = append(out, g.consumer.view(s, id))
		default:
			out = append(out, g.classic.view(id))
		}
	}
	return out
}

func (c *consumer) view(s *Shard, id string) View {
	v := View{ID: id, Consumer: true, State: c.state(), Epoch: c.epoch, Target: c.target}
	for _, m := range c.members.all() {
		v.Members = append(v.Members, MemberView{
			ID: m.id, Instance: m.instance, Epoch: m.epoch, Reads: slices.Clone(s.topicsOf(c, &m.enrolment)),
			Assigned: m.assigned.view(), Revoking: m.revoking.view(), Goal: m.goal.view(),
		})
	}
	return v
}

func (c *classic) view(id string) View {
	v := View{ID: id, State: c.state.String(), Epoch: int32(c.generation), Target: int32(c.generation), Protocol: c.protocol}
	for _, m := range c.members.all() {
		v.Members = append(v.Members, MemberView{
			ID: m.id, Instance: m.instance, Epoch: int32(c.generation),
			Subscription: slices.Clone(m.metadata(c.protocol)), Assignment: slices.Clone(m.assignment), Unsynced: m.unsynced,
		})
	}
	return v
}

func (p places) view() []Assigned {
	out := make([]Assigned, len(p))
	for i, at := range p {
		out[i] = Assigned{at.topic, at.partition}
	}
	return out
}
