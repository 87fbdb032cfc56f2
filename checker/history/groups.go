package history

import (
	"errors"
	"fmt"
)

// A Group is what a history of the events form tells of one group of consumers.
type Group struct {
	Name   string    `json:"group"`
	Mode   GroupMode `json:"delivery"`
	Topics []string  `json:"topics"`

	Holdings  []Holding     `json:"-"` // in the order of their lines, as the others
	Processed []Processed   `json:"-"`
	Commits   []GroupCommit `json:"-"`
	Fetches   []OffsetFetch `json:"-"`
}

// A GroupMode is what a group promises to what it writes.
type GroupMode uint8

const (
	AtMostOnce  GroupMode = iota // members commit, then process
	AtLeastOnce                  // members process, then commit
	ExactlyOnce                  // the output keeps the highest processed offset
)

// A Holding is that a member was given a partition.
type Holding struct {
	Client      ClientID // one membership
	Partition   PartitionID
	Generation  int32 // or member epoch
	From, Until Instant
}

// A Processed is that a record had its effect.
type Processed struct {
	Client    ClientID
	Partition PartitionID
	Offset    Offset
	At        Instant
}

// A GroupCommit is an attempt to commit an offset.
type GroupCommit struct {
	Client     ClientID
	Partition  PartitionID
	Generation int32
	Offset     Offset
	Outcome    Outcome
	Invoked    Instant
	Completed  Instant // Never while Pending
}

// An OffsetFetch is a question for the committed offset of a partition.
type OffsetFetch struct {
	Client    ClientID
	Partition PartitionID
	Outcome   Outcome
	Invoked   Instant
	Completed Instant // Never while Pending
	Offset    Offset  // NoOffset: nothing is committed
}

// A groupKey names a partition that a process has in a group.
type groupKey struct {
	group  int
	stream streamKey
}

// beginGroups takes in what the header tells of groups.
func (d *eventDecoder) beginGroups(groups []Group) error {
	d.groupAt, d.held = map[string]int{}, map[groupKey]int{}
	for i := range groups {
		g := &groups[i]
		if _, ok := d.groupAt[g.Name]; ok || g.Name == "" || len(g.Topics) == 0 {
			return fmt.Errorf("group %q: groups have names that differ, and topics", g.Name)
		}
		d.groupAt[g.Name] = i
	}
	d.groups = groups
	return nil
}

// group returns the group of the line and its place.
func (d *eventDecoder) group() (*Group, int, error) {
	i, ok := d.groupAt[string(d.line.group)]
	if !ok {
		return nil, 0, fmt.Errorf("group %.100q is none of those that the header tells", d.line.group)
	}
	return &d.groups[i], i, nil
}

func (d *eventDecoder) generation() (int32, error) {
	if g := d.line.generation; g < 0 || g >= 1<<31 {
		return 0, fmt.Errorf("generation %d", g)
	}
	return int32(d.line.generation), nil
}

// assignMember notes that a group gave a partition to one of its members.
func (d *eventDecoder) assignMember() error {
	if d.line.has&(fGroup|fGeneration) != fGroup|fGeneration {
		return errors.New("group and generation: both, or neither")
	}
	g, i, err := d.group()
	if err != nil {
		return err
	}
	generation, err := d.generation()
	if err != nil {
		return err
	}
	k := groupKey{i, streamKey{d.client(), d.partition()}}
	d.held[k] = len(g.Holdings)
	g.Holdings = append(g.Holdings, Holding{k.stream.client, k.stream.partition, generation, d.now, Never})
	d.groupOps++
	return nil
}

// revoke notes that a member has given back a partition.
func (d *eventDecoder) revoke() error {
	g, i, err := d.group()
	if err != nil {
		return err
	}
	k := groupKey{i, streamKey{d.client(), d.partition()}}
	at, ok := d.held[k]
	switch {
	case !ok:
		return fmt.Errorf("process %q does not hold the partition", d.line.process)
	case d.now < g.Holdings[at].From:
		return fmt.Errorf("it was given the partition at %d ns", g.Holdings[at].From)
	}
	g.Holdings[at].Until = d.now
	delete(d.held, k)
	return nil
}

// processed notes records that had their effect.
func (d *eventDecoder) processed() error {
	g, _, err := d.group()
	if err != nil {
		return err
	}
	if d.groupOps += len(d.line.offsets); d.groupOps > d.limits.Records {
		return fmt.Errorf("more than %d records processed, commits and assignments", d.limits.Records)
	}
	c, p := d.client(), d.partition()
	for _, at := range d.line.offsets {
		if err := checkOffsets(Offset(at)); err != nil {
			return err
		}
		g.Processed = append(g.Processed, Processed{c, p, Offset(at), d.now})
	}
	return nil
}

// invokeGroup takes in the beginning of an operation of a member, and returns its
// place.
func (d *eventDecoder) invokeGroup(k opKey) (int32, int, error) {
	g, i, err := d.group()
	if err != nil {
		return 0, 0, err
	}
	d.groupOps++
	if k.f == opFetch {
		g.Fetches = append(g.Fetches, OffsetFetch{Client: k.client, Partition: d.partition(), Invoked: d.now, Completed: Never, Offset: NoOffset})
		return int32(len(g.Fetches) - 1), i, nil
	}
	generation, err := d.generation()
	g.Commits = append(g.Commits, GroupCommit{
		Client: k.client, Partition: d.partition(), Generation: generation, Offset: d.offset(), Invoked: d.now, Completed: Never,
	})
	return int32(len(g.Commits) - 1), i, err
}

// completeGroup takes in its end.
func (d *eventDecoder) completeGroup(k opKey, o opened, outcome Outcome) {
	g := &d.groups[o.group]
	if k.f == opCommit {
		c := &g.Commits[o.place]
		c.Outcome, c.Completed = outcome, d.now
		return
	}
	f := &g.Fetches[o.place]
	if f.Outcome, f.Completed = outcome, d.now; outcome == OK {
		f.Offset = d.offset()
	}
}

var groupModeNames = []string{AtMostOnce: "at-most-once", AtLeastOnce: "at-least-once", ExactlyOnce: "exactly-once"}

func (m GroupMode) String() string { return groupModeNames[m] }

// MarshalText writes the name.
func (m GroupMode) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText reads the name.
func (m *GroupMode) UnmarshalText(b []byte) error { return parseName((*uint8)(m), b, groupModeNames) }
