package meta

import (
	"errors"
	"slices"

	"github.com/klammlog/klamm/node/kafka"
)

// learn brings a broker's view of the metadata up to date.
func (b *process) learn(m *model) {
	old := b.views
	b.views = map[Replica]*view{}
	if known, ok := m.image.Broker(b.id); !b.running || !ok || known.Epoch != b.epoch {
		return
	}
	for _, t := range m.image.Topics() {
		for i, s := range t.Partitions {
			r := Replica{t.ID, int32(i)}
			if !slices.Contains(s.Replicas, b.id) {
				delete(b.logs, r) // a replica that was removed begins anew
				delete(b.synced, r)
				continue
			}
			v := &view{state: s, min: policyOn(m.image.BrokerSettings(EveryBroker), nil).of(t.Settings).minISR, began: len(b.logs[r])}
			if was := old[r]; was != nil && was.state.LeaderEpoch == s.LeaderEpoch {
				v.began, v.ends, v.epochs = was.began, was.ends, was.epochs
				if was.state.Epoch == s.Epoch {
					v.pending = was.pending
				}
			}
			if v.ends == nil {
				v.ends, v.epochs = map[kafka.NodeID]int{}, map[kafka.NodeID]int64{}
			}
			b.views[r] = v
		}
	}
}

// leads returns a broker's view of a partition if it believes that it leads it.
// That it may be wrong is the point. Only a life that the metadata speaks of leads.
func (b *process) leads(r Replica) *view {
	if v := b.views[r]; b.running && v != nil && v.state.Leader == b.id {
		return v
	}
	return nil
}

// work has those who believe that they lead a partition append to it, followers
// fetch, and high watermarks move.
func (m *model) work() {
	r, _, ok := m.some()
	if !ok {
		return
	}
	for _, b := range m.brokers {
		if b.leads(r) == nil {
			continue
		}
		if m.pick("append", 2) == 0 {
			m.records++
			b.logs[r] = append(slices.Clone(b.logs[r]), m.records)
		}
		for _, f := range m.brokers {
			if f != b && m.pick("fetch", 3) > 0 {
				m.fetch(r, f, b)
			}
		}
		if m.pick("commit", 3) > 0 {
			m.commit(r, b)
		}
	}
}

// fetch has a follower take over what its leader has, if both are of one leader
// epoch.
func (m *model) fetch(r Replica, f, leader *process) {
	known, v := f.views[r], leader.leads(r)
	if !f.running || known == nil || known.state.Leader != leader.id || v.state.LeaderEpoch != known.state.LeaderEpoch {
		return
	}
	theirs := leader.logs[r]
	same := common(theirs, f.logs[r])
	end := len(theirs)
	if end > same && m.pick("slow", 4) == 0 {
		end = same + m.pick("records", end-same)
	}
	f.logs[r] = slices.Clone(theirs[:end])
	f.synced[r] = min(f.synced[r], same)
	if m.pick("told", 4) > 0 {
		v.ends[f.id], v.epochs[f.id] = end, f.epoch
	}
}

func common(a, b []int32) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// commit has a leader move the high watermark as node/replica does: to the lowest
// end in the maximal in-sync set, while the in-sync set is large enough.
func (m *model) commit(r Replica, b *process) {
	v, p := b.leads(r), m.partition(r)
	if v.state.LeaderEpoch < p.since || len(v.state.ISR) < min(v.min, len(v.state.Replicas)) {
		return
	}
	high := len(b.logs[r])
	for _, id := range v.state.ISR {
		if id != b.id {
			high = min(high, v.ends[id])
		}
	}
	for id := range v.pending { //klamm:unordered the lowest is the same
		high = min(high, v.ends[id])
	}
	if known := common(p.committed, b.logs[r]); known < min(high, len(p.committed)) {
		m.Fatalf("%v: node %d in epoch %d commits %v, committed was %v", r, b.id, v.state.LeaderEpoch, b.logs[r][:high], p.committed)
	}
	if high > len(p.committed) {
		p.committed = slices.Clone(b.logs[r][:high])
	}
	if m.pick("sync", 3) == 0 {
		b.synced[r] = len(b.logs[r])
	}
}

func (m *model) partition(r Replica) *partition {
	if m.parts[r] == nil {
		m.parts[r] = &partition{}
	}
	return m.parts[r]
}

// alter has a leader ask for another in-sync set: without some, or with some that
// have reached what it committed. The answer may be lost.
func (m *model) alter() {
	r, s, ok := m.some()
	if !ok || s.Leader == NoLeader {
		return
	}
	b := m.brokers[s.Leader-1]
	v := b.leads(r)
	if v == nil || len(v.pending) > 0 {
		return // who has asked for more waits
	}
	a := Alter{Replica: r, LeaderEpoch: v.state.LeaderEpoch, Epoch: v.state.Epoch, ISR: []Member{{b.id, NoEpoch}}}
	added := map[kafka.NodeID]Member{}
	for _, id := range v.state.Replicas {
		switch member := (Member{id, NoEpoch}); {
		case id == b.id:
		case slices.Contains(v.state.ISR, id):
			if m.pick("stays", 4) > 0 {
				a.ISR = append(a.ISR, member)
			}
		case v.ends[id] >= max(v.began, m.high(b, r, v)) && v.epochs[id] > 0:
			member.Epoch = v.epochs[id]
			a.ISR, added[id] = append(a.ISR, member), member
		}
	}
	v.pending = added
	records, answers, err := m.image.AlterPartitions(Member{b.id, b.epoch}, []Alter{a}, nil)
	if errors.Is(err, kafka.ErrStaleBrokerEpoch) {
		return
	}
	m.asked = a.ids()
	m.decided(records, err)
	if m.pick("answer", 4) == 0 {
		return
	}
	if err := answers[0].Err; err == nil {
		v.state.ISR, v.state.Epoch, v.pending = answers[0].State.ISR, answers[0].State.Epoch, nil
	} else if errors.Is(err, kafka.ErrIneligibleReplica) {
		v.pending = nil
	}
}

// high is the least that a leader may have committed in its epoch.
func (m *model) high(b *process, r Replica, v *view) int {
	return common(m.partition(r).committed, b.logs[r])
}

// decided applies records here, and through their bytes to the copy, and judges.
func (m *model) decided(records []Record, err error) {
	if err != nil {
		m.Fatal(err)
	}
	before := map[Replica]PartitionState{}
	for _, t := range m.image.Topics() {
		for i, s := range t.Partitions {
			before[Replica{t.ID, int32(i)}] = s
		}
	}
	for _, r := range records {
		if err := m.image.Apply(r); err != nil {
			m.Fatalf("%v: %v", r, err)
		}
	}
	read, err := DecodeAll(EncodeAll(nil, records))
	if err != nil {
		m.Fatal(err)
	}
	for _, r := range read {
		if err := m.copied.Apply(r); err != nil {
			m.Fatal(err)
		}
	}
	if err := m.image.Check(); err != nil {
		m.Fatal(err)
	}
	if m.image.Digest() != m.copied.Digest() {
		checkEqual(m.T, m.image, m.copied)
		m.Fatal("the digests of equal images differ")
	}
	for _, t := range m.image.Topics() {
		for i, s := range t.Partitions {
			r := Replica{t.ID, int32(i)}
			old, was := before[r]
			m.judge(r, s, old, was, policyOn(nil, nil).of(t.Settings).unclean)
		}
	}
	m.unclean, m.asked = false, nil
}

// judge looks at a partition after a decision.
func (m *model) judge(r Replica, s, old PartitionState, was, unclean bool) {
	if s.Leader != NoLeader && !m.mayLead(s.Leader, r) {
		m.Fatalf("%v: %+v: the leader may not lead", r, s)
	}
	if was {
		m.judgeChange(r, &s, &old)
		if s.Leader != NoLeader && s.LeaderEpoch > old.LeaderEpoch {
			m.judgeElection(r, &s, &old, unclean || m.unclean)
		}
	}
	committed := m.partition(r).committed
	for _, id := range union(s.ISR, s.ELR) {
		b := m.brokers[id-1]
		if s.Leader == NoLeader && m.mayLead(id, r) {
			m.Fatalf("%v: %+v waits though %d may lead", r, s, id)
		}
		if !b.lost && common(b.logs[r], committed) < len(committed) {
			m.Fatalf("%v: %+v: node %d has %v, committed is %v", r, s, id, b.logs[r], committed)
		}
	}
}

func (m *model) mayLead(id kafka.NodeID, r Replica) bool {
	b, ok := m.image.Broker(id)
	return ok && b.MayLead(r)
}

func (m *model) judgeChange(r Replica, s, old *PartitionState) {
	switch {
	case s.equal(old):
		return
	case s.Epoch != old.Epoch+1 || s.LeaderEpoch < old.LeaderEpoch || s.Leader != old.Leader && s.LeaderEpoch == old.LeaderEpoch:
		m.Fatalf("%v: %+v after %+v: epochs", r, *s, *old)
	}
	for _, id := range without(s.ISR, union(old.ISR, old.ELR)) {
		if !m.mayLead(id, r) {
			m.Fatalf("%v: %+v after %+v: %d was added", r, *s, *old, id)
		}
	}
}

// judgeElection forgives the loss of committed records only where it may be. What
// leaders of earlier epochs commit after that counts for nothing.
func (m *model) judgeElection(r Replica, s, old *PartitionState, unclean bool) {
	p, b := m.partition(r), m.brokers[s.Leader-1]
	kept := common(b.logs[r], p.committed)
	switch clean := slices.Contains(union(union(old.ISR, old.ELR), m.asked), s.Leader); {
	case clean && (kept == len(p.committed) || b.lost): // if it has lost them it is gone, and nobody knows it yet
	case !clean && (unclean || len(old.LastELR) > 0 && old.LastELR[0] == s.Leader):
		p.committed, p.since = p.committed[:kept], s.LeaderEpoch
	default:
		m.Fatalf("%v: %+v after %+v: node %d has %v, committed is %v", r, *s, *old, b.id, b.logs[r], p.committed)
	}
}
