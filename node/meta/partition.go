package meta

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"

	"github.com/klammlog/klamm/node/kafka"
)

// A PartitionState is what the cluster has decided about one partition. Its
// lists are never changed in place: states share them.
type PartitionState struct {
	Replicas []kafka.NodeID // the preferred leader first

	// Adding and Removing are not empty while replicas are being reassigned
	// (KIP-455). Both are among Replicas: the target is Replicas without
	// Removing. Who is in both was being added, and is not wanted any more.
	Adding, Removing []kafka.NodeID

	ISR         []kafka.NodeID
	Leader      kafka.NodeID
	LeaderEpoch kafka.LeaderEpoch
	Epoch       int32 // counts the changes of this state (KIP-497)

	// ELR are replicas that left the in-sync set while it was too small for the
	// high watermark to move: they hold every committed record (KIP-966). LastELR
	// is, while nobody leads, who led last, and then those that lost their place
	// in ISR or ELR because they may have lost records.
	ELR, LastELR []kafka.NodeID
}

// A Replica names a partition by its topic's id.
type Replica struct {
	Topic     kafka.TopicID
	Partition int32
}

func compareReplicas(a, b Replica) int {
	if c := bytes.Compare(a.Topic[:], b.Topic[:]); c != 0 {
		return c
	}
	return cmp.Compare(a.Partition, b.Partition)
}

// A PartitionRecord is one partition in a Partitions record.
type PartitionRecord struct {
	Topic     kafka.TopicID
	Partition int32
	PartitionState
}

func (r *PartitionRecord) replica() Replica { return Replica{r.Topic, r.Partition} }

// Partitions adds partitions or replaces what they were: many at once, for a
// broker's death changes all it has a part in. They are sorted by topic id and
// number.
type Partitions struct{ States []PartitionRecord }

// statesAtOnce bounds the partitions in one record.
const statesAtOnce = 2000

// partitionRecords sorts states and turns them into few records.
func partitionRecords(states []PartitionRecord) []Record {
	byReplica := func(a, b PartitionRecord) int { return compareReplicas(a.replica(), b.replica()) }
	if !slices.IsSortedFunc(states, byReplica) {
		slices.SortFunc(states, byReplica)
	}
	var out []Record
	for some := range slices.Chunk(states, statesAtOnce) {
		out = append(out, Partitions{States: some})
	}
	return out
}

// Which lists of a state are written: the others are as they mostly are.
const (
	flagISR       byte = 1 << iota // differs from Replicas
	flagReassign                   // Adding and Removing
	flagELR                        // ELR and LastELR
	flagAllLists  = flagISR | flagReassign | flagELR
	smallestState = 6 // number, flags, no replicas, leader and both epochs
)

func (s *PartitionState) flags() byte {
	return flag(!slices.Equal(s.ISR, s.Replicas), flagISR) |
		flag(len(s.Adding)+len(s.Removing) > 0, flagReassign) |
		flag(len(s.ELR)+len(s.LastELR) > 0, flagELR)
}

// put writes runs of partitions of one topic: about ten bytes for each that is
// well.
func (r Partitions) put(e *encoder) {
	for rest := r.States; len(rest) > 0; {
		n := 1
		for n < len(rest) && rest[n].Topic == rest[0].Topic {
			n++
		}
		e.raw(rest[0].Topic[:])
		e.uint32(uint32(n))
		for i := range rest[:n] {
			e.uint32(uint32(rest[i].Partition))
			e.state(&rest[i].PartitionState)
		}
		rest = rest[n:]
	}
}

func (e *encoder) state(s *PartitionState) {
	flags := s.flags()
	e.byte(flags)
	e.nodes(s.Replicas)
	if flags&flagISR != 0 {
		e.nodes(s.ISR)
	}
	if flags&flagReassign != 0 {
		e.nodes(s.Adding)
		e.nodes(s.Removing)
	}
	if flags&flagELR != 0 {
		e.nodes(s.ELR)
		e.nodes(s.LastELR)
	}
	e.uint32(uint32(s.Leader + 1))
	e.uint32(uint32(s.LeaderEpoch))
	e.uint32(uint32(s.Epoch))
}

func (d *decoder) partitions() Record {
	var r Partitions
	for len(d.b) > 0 {
		topic := d.topicID()
		n := d.shortCount(smallestState)
		if n == 0 || len(r.States) > 0 && bytes.Compare(r.States[len(r.States)-1].Topic[:], topic[:]) >= 0 {
			d.take(-1)
			return nil
		}
		first := len(r.States)
		r.States = slices.Grow(r.States, n)
		for range n {
			p := PartitionRecord{Topic: topic, Partition: d.natural(), PartitionState: d.state()}
			if at := len(r.States); at > first && r.States[at-1].Partition >= p.Partition {
				d.take(-1)
			}
			r.States = append(r.States, p)
		}
	}
	return r
}

func (d *decoder) state() PartitionState {
	flags := d.flags(flagAllLists)
	s := PartitionState{Replicas: d.nodes()}
	s.ISR = s.Replicas
	if flags&flagISR != 0 {
		s.ISR = d.nodes()
	}
	if flags&flagReassign != 0 {
		s.Adding, s.Removing = d.nodes(), d.nodes()
	}
	if flags&flagELR != 0 {
		s.ELR, s.LastELR = d.nodes(), d.nodes()
	}
	s.Leader = kafka.NodeID(d.natural()) - 1
	s.LeaderEpoch, s.Epoch = kafka.LeaderEpoch(d.natural()), d.natural()
	if s.flags() != flags {
		d.take(-1)
	}
	return s
}

// applyPartitions looks at all of them before it changes the first.
func (m *Image) applyPartitions(r Partitions) error {
	var next int32 // the number that a new partition of the same topic has
	for i := range r.States {
		p := &r.States[i]
		t, ok := m.byID[p.Topic]
		if !ok {
			return fmt.Errorf("partition %d of unknown topic %s: %w", p.Partition, p.Topic, ErrMalformed)
		}
		if i == 0 || r.States[i-1].Topic != p.Topic {
			next = int32(len(t.Partitions))
		}
		if err := m.checkPartition(t, p, next); err != nil {
			return fmt.Errorf("%s-%d: %w: %w", t.Name, p.Partition, err, ErrMalformed)
		}
		if p.Partition == next {
			next++
		}
	}
	for i := range r.States {
		p := &r.States[i]
		t := m.byID[p.Topic]
		if int(p.Partition) == len(t.Partitions) {
			t.Partitions = append(t.Partitions, p.PartitionState)
		} else {
			t.Partitions[p.Partition] = p.PartitionState
		}
	}
	return nil
}

// checkPartition tells why a partition cannot become what the record says; next
// is the number that a new one has.
func (m *Image) checkPartition(t *Topic, p *PartitionRecord, next int32) error {
	if err := p.check(); err != nil {
		return err
	}
	switch {
	case p.Partition < 0 || p.Partition > next:
		return fmt.Errorf("the topic has %d partitions", next)
	case p.Partition == next:
		return nil
	}
	old := &t.Partitions[p.Partition]
	if p.LeaderEpoch < old.LeaderEpoch || p.Epoch <= old.Epoch {
		return fmt.Errorf("leader epoch %d after %d, partition epoch %d after %d", p.LeaderEpoch, old.LeaderEpoch, p.Epoch, old.Epoch)
	}
	if p.LeaderEpoch == old.LeaderEpoch && p.Leader != old.Leader {
		return fmt.Errorf("leader %d after %d in leader epoch %d", p.Leader, old.Leader, p.LeaderEpoch)
	}
	return nil
}

// check returns the first broken invariant of a state.
func (s *PartitionState) check() error {
	if err := s.checkLists(); err != nil {
		return err
	}
	if s.Leader != NoLeader && !slices.Contains(s.ISR, s.Leader) {
		return fmt.Errorf("leader %d is not in the in-sync set %v", s.Leader, s.ISR)
	}
	for _, id := range s.ELR {
		if slices.Contains(s.ISR, id) {
			return fmt.Errorf("eligible leader replica %d is in the in-sync set %v", id, s.ISR)
		}
	}
	if s.LeaderEpoch < 0 || s.Epoch < 0 {
		return fmt.Errorf("leader epoch %d, partition epoch %d", s.LeaderEpoch, s.Epoch)
	}
	return nil
}

// checkLists tells which list has somebody twice, or who is no replica.
func (s *PartitionState) checkLists() error {
	for i, id := range s.Replicas {
		if id < 0 || slices.Contains(s.Replicas[:i], id) {
			return fmt.Errorf("replica %d is negative or stands twice in %v", id, s.Replicas)
		}
	}
	for _, l := range [...]struct {
		what string
		ids  []kafka.NodeID
	}{{"in-sync set", s.ISR}, {"eligible leader replicas", s.ELR}, {"last eligible leader replicas", s.LastELR},
		{"adding", s.Adding}, {"removing", s.Removing}} {
		for i, id := range l.ids {
			if !slices.Contains(s.Replicas, id) || slices.Contains(l.ids[:i], id) {
				return fmt.Errorf("%s %v of replicas %v: %d is none or stands twice", l.what, l.ids, s.Replicas, id)
			}
		}
	}
	return nil
}
