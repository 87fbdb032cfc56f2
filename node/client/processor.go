package client

import (
	"errors"
	"fmt"

	"github.com/klammlog/klamm/node/kafka"
)

// A Processor reads as a member of a group, hands what it reads to a function, and
// commits in the order that its delivery demands. What each delivery costs when a
// process dies, or when the group goes on without it:
//
//	NewAtMostOnce   commits, then processes: records may be missed, none is processed twice
//	NewAtLeastOnce  processes, then commits: records may be processed twice, none is missed
//	NewExactlyOnce  the output keeps the highest offset with what came of it: neither
//
// The promises are about one group over all of its members and their lives. They
// hold if every member of the group is made the same way, and if nothing else
// commits for it.
type Processor struct {
	m       *GroupConsumer
	handle  func([]Record) (int, error)
	process func([]Record) error
	output  Output

	// behind is what is processed and not committed: offsets of the first record that
	// is not processed, by partition. Of partitions that the member has.
	behind map[kafka.TopicPartition]kafka.Offset
}

// An Output is where a program keeps what it makes of records, with the offset of
// the last record that is in it, by partition: a file, a database.
//
// That there is no effect twice is the output's part: Store changes both in one
// step, of which a crash leaves all or nothing, and leaves out what is not above the
// highest offset that it has by then. Two members may well store the same record:
// the earlier one may not have heard that its partition is another's.
type Output interface {
	// Highest returns the offsets of the last records, kafka.NoOffset where there are
	// none, in the order of the partitions. May block.
	Highest(of []kafka.TopicPartition) ([]kafka.Offset, error)

	// Store processes records, all of one partition in rising order. After an error it
	// is given them again, whether it has stored them or not. May block.
	Store(tp kafka.TopicPartition, records []Record) error
}

// NewAtMostOnce returns a Processor that processes only what is committed for
// certain. What process fails with is lost, and returned by Step. After a commit of
// unknown outcome the member joins its group as another (GroupConsumer.Rejoin) before
// it commits again: if that was done, what it covers is missed. Auto-commit is turned
// off.
func (c *Client) NewAtMostOnce(g GroupConfig, config ConsumerConfig, process func([]Record) error) (*Processor, error) {
	p := &Processor{process: process}
	p.handle = p.commitThenProcess
	g.AutoCommit = 0
	return p.join(c, g, config)
}

// NewAtLeastOnce returns a Processor that commits what was processed. What process
// fails with is returned by Step, and it is given the records again. A commit that
// fails is made good by the next, and at the latest when partitions are given back.
// Auto-commit is turned off.
func (c *Client) NewAtLeastOnce(g GroupConfig, config ConsumerConfig, process func([]Record) error) (*Processor, error) {
	p := &Processor{process: process, behind: map[kafka.TopicPartition]kafka.Offset{}}
	p.handle = p.processThenCommit
	g.AutoCommit = 0
	revoked, lost := g.OnRevoked, g.OnLost
	if lost == nil {
		lost = revoked
	}
	g.OnRevoked = func(tps []kafka.TopicPartition) {
		p.lastWord(tps)
		if revoked != nil {
			revoked(tps)
		}
	}
	g.OnLost = func(tps []kafka.TopicPartition) {
		p.release(tps)
		if lost != nil {
			lost(tps)
		}
	}
	return p.join(c, g, config)
}

// NewExactlyOnce returns a Processor that begins where the output ends, and by
// auto.offset.reset in a partition of which the output has nothing, whatever the
// group has committed. The group's offsets are for those who look on: auto-commit
// writes them down if it is on, behind the output. GroupConfig.From is the output's.
func (c *Client) NewExactlyOnce(g GroupConfig, config ConsumerConfig, output Output) (*Processor, error) {
	if g.From != nil {
		return nil, fmt.Errorf("group %s: an output and From both say where to begin", g.Group)
	}
	p := &Processor{output: output}
	p.handle = p.store
	g.From = p.behindOutput
	return p.join(c, g, config)
}

func (p *Processor) join(c *Client, g GroupConfig, config ConsumerConfig) (_ *Processor, err error) {
	p.m, err = c.NewGroupConsumer(g, config)
	return p, err
}

// Member returns the member of the group, for its assignment and its positions. It
// is not to be polled.
func (p *Processor) Member() *GroupConsumer { return p.m }

// Step polls once, for up to limit records, and processes what came. It returns how
// many records were processed: 0 if none came until the deadline, or if they are
// read again because a commit failed that may succeed later. Its errors are those of
// Poll, of what processes, and of commits that will not succeed. Blocks.
func (p *Processor) Step(deadline kafka.Instant, limit int) (int, error) {
	records, err := p.m.Poll(deadline, limit)
	if err != nil {
		return 0, err
	}
	return p.handle(records)
}

// Close leaves the group. At least once, what is processed is committed before.
// Blocks.
func (p *Processor) Close(deadline kafka.Instant) error { return p.m.Close(deadline) }

// commitThenProcess takes only a commit that is known to be done for one: who may
// not have committed reads again, and nobody has processed.
func (p *Processor) commitThenProcess(records []Record) (int, error) {
	if len(records) == 0 {
		return 0, nil
	}
	if err := p.commit(endsOf(records)); err != nil {
		p.goBack(records)
		if OutcomeOf(err) == kafka.Unknown {
			p.m.Rejoin() // else it may come after the next one, and undo it
		}
		if err = p.excuse(err); err == nil {
			err = p.m.w.Sleep(p.m.client.backOff(1)) // the group may need a moment
		}
		return 0, err
	}
	return len(records), p.process(records)
}

// processThenCommit commits with what was processed now what is left from before.
func (p *Processor) processThenCommit(records []Record) (int, error) {
	if len(records) > 0 {
		if err := p.process(records); err != nil {
			p.goBack(records)
			return 0, err
		}
	}
	for _, end := range endsOf(records) {
		p.behind[end.Partition] = end.Offset
	}
	return len(records), p.excuse(p.catchUp(p.m.owned))
}

// catchUp commits what is behind of some partitions. Blocks.
func (p *Processor) catchUp(of []kafka.TopicPartition) error {
	var ends []Commit
	for _, tp := range of {
		if at, ok := p.behind[tp]; ok {
			ends = append(ends, Commit{Partition: tp, Offset: at})
		}
	}
	if err := p.commit(ends); err != nil {
		return err
	}
	p.release(of)
	return nil
}

// lastWord commits what is behind of partitions that are given back: if that fails
// another will process it again. Blocks.
func (p *Processor) lastWord(tps []kafka.TopicPartition) {
	if err := p.catchUp(tps); err != nil {
		p.m.w.Log.Warn("what was processed is not committed, and another processes it again", "group", p.m.c.Group, "err", err)
	}
	p.release(tps)
}

func (p *Processor) release(tps []kafka.TopicPartition) {
	for _, tp := range tps {
		delete(p.behind, tp)
	}
}

// behindOutput begins behind what the output has, without a regard to what is
// committed: that may be further, if the output has gone back.
func (p *Processor) behindOutput(of []kafka.TopicPartition) ([]Place, error) {
	highest, err := p.output.Highest(of)
	if err != nil {
		return nil, err
	}
	var out []Place
	for i, tp := range of {
		switch {
		case highest[i] != kafka.NoOffset:
			out = append(out, Place{Partition: tp, From: At(highest[i] + 1)})
		case p.m.reader.c.Reset == ResetNone:
			return nil, fmt.Errorf("%s: %w", tp, ErrNoOffset)
		default:
			out = append(out, Place{Partition: tp, From: p.m.reader.startOver()})
		}
	}
	return out, nil
}

// store gives the output the records of one partition after the other.
func (p *Processor) store(records []Record) (stored int, err error) {
	rest := records
	for len(rest) > 0 {
		tp := rest[0].At()
		mine, others := split(rest, tp)
		if err := p.output.Store(tp, mine); err != nil {
			p.goBack(rest)
			return stored, err
		}
		stored += len(mine)
		rest = others
	}
	return stored, nil
}

// split returns the records of a partition, and the others.
func split(records []Record, tp kafka.TopicPartition) (mine, others []Record) {
	for _, r := range records {
		if r.At() == tp {
			mine = append(mine, r)
		} else {
			others = append(others, r)
		}
	}
	return mine, others
}

func (p *Processor) commit(ends []Commit) error {
	return p.m.Commit(ends, p.m.w.Now().Add(p.m.client.c.RequestTimeout))
}

// excuse returns nil for an error of a commit after which the member goes on: the
// group rebalances or has gone on without it, of which Poll will hear, or the
// coordinator cannot be reached.
func (p *Processor) excuse(err error) error {
	switch {
	case err == nil:
		return nil
	case hopeless(err):
		return err
	case errors.Is(err, ErrFenced), errors.Is(err, kafka.ErrRebalanceInProgress), OutcomeOf(err) != kafka.Definite:
		p.m.w.Log.Info("offsets were not committed yet", "group", p.m.c.Group, "err", err)
		return nil
	}
	return err
}

// goBack has records read again. Partitions that the member lost meanwhile are
// another's matter.
func (p *Processor) goBack(records []Record) {
	for rest := records; len(rest) > 0; {
		first := rest[0]
		if err := p.m.reader.Seek(first.At(), At(first.Offset)); err != nil {
			p.m.w.Log.Info("records are not read again by this member", "group", p.m.c.Group, "err", err)
		}
		_, rest = split(rest, first.At())
	}
}

// endsOf returns the offsets behind records, by partition.
func endsOf(records []Record) []Commit {
	var out []Commit
	at := map[kafka.TopicPartition]int{}
	for _, r := range records {
		i, ok := at[r.At()]
		if !ok {
			i = len(out)
			at[r.At()] = i
			out = append(out, Commit{Partition: r.At()})
		}
		out[i].Offset = r.Offset + 1
	}
	return out
}
