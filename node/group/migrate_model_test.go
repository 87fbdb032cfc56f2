package group

import (
	"time"

	"github.com/klammlog/klamm/node/assignor"
	"github.com/klammlog/klamm/node/kafka"
)

// beatClassic has a consumer of the classic protocol do what comes next: join, ask for
// its assignment, or tell that it lives.
func (w *modernWorld) beatClassic(p *modern) {
	t := w.next()
	w.asked[t], p.asked, p.waits = p, t, true
	switch {
	case p.syncs:
		w.shard.Sync(w.now, t, SyncRequest{Group: "g", Generation: p.joined, Member: p.id, Instance: p.instance, Assignments: w.assignments(p)})
	case p.again || p.epoch == 0:
		p.again = false
		w.shard.Join(w.now, t, JoinRequest{
			Group: "g", Member: p.id, Instance: p.instance, ProtocolType: consumerType, Session: 45 * time.Second, RebalanceTimeout: 30 * time.Second, Version: 9,
			Protocols: []Protocol{{"cooperative-sticky", owning(w.shard.namesOf(p.owned), p.topics...)}}, Client: Client{ID: "c"},
		})
	default:
		w.shard.Heartbeat(w.now, t, HeartbeatRequest{Group: "g", Generation: Generation(p.epoch), Member: p.id, Instance: p.instance})
	}
}

// assignments are what a leader gives.
func (w *modernWorld) assignments(p *modern) (out []Assignment) {
	var members []assignor.Member
	for _, m := range p.leads {
		said, _ := decodeWish(m.Metadata)
		one := assignor.Member{ID: m.ID, Instance: m.Instance, Topics: said.topics, Generation: assignor.NoGeneration}
		for _, t := range said.owned {
			for _, n := range t.partitions {
				one.Owned = append(one.Owned, kafka.TopicPartition{Topic: t.topic, Partition: n})
			}
		}
		members = append(members, one)
	}
	var topics []assignor.Topic
	for _, t := range w.topics {
		topics = append(topics, assignor.Topic{Name: t.Name, Partitions: t.Partitions})
	}
	for i, given := range assignor.CooperativeSticky(members, topics) {
		var named []namedPartitions
		for _, tp := range given {
			named = append(named, namedPartitions{tp.Topic, []int32{tp.Partition}})
		}
		out = append(out, Assignment{members[i].ID, encodeGiven(1, named)})
	}
	return out
}

// heardClassic has a consumer of the classic protocol hear an answer.
func (w *modernWorld) heardClassic(p *modern, v any) {
	p.waits = false
	code := kafka.None
	switch v := v.(type) {
	case JoinResponse:
		code = v.Error
		if code == kafka.None || code == kafka.ErrMemberIDRequired {
			p.id = v.Member
		}
		if code == kafka.None {
			p.joined, p.syncs, p.leads = v.Generation, true, v.Members
		}
	case SyncResponse:
		code, p.syncs = v.Error, false
		if code == kafka.None {
			given, err := decodeGiven(v.Assignment)
			if err != nil {
				w.t.Fatal(err)
			}
			p.epoch, p.wants = int32(p.joined), w.shard.placesNamed(given)
			kept, gone := p.owned.split(p.wants)
			p.owned, p.again = kept, len(gone) > 0
		}
	case HeartbeatResponse:
		code = v.Error
	}
	switch code {
	case kafka.None, kafka.ErrMemberIDRequired:
	case kafka.ErrUnknownMemberID, kafka.ErrFencedInstanceID, kafka.ErrIllegalGeneration:
		if code != kafka.ErrIllegalGeneration {
			p.id = ""
		}
		p.epoch, p.owned, p.wants, p.again, p.syncs = 0, nil, nil, false, false
	default:
		p.again = true
	}
}

// adopt has a consumer own what it was given. One that is about to join has said what it
// owns.
func (p *modern) adopt() {
	if !p.classic || !p.waits && !p.syncs && !p.again {
		p.owned = p.wants
	}
}
