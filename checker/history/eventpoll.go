package history

import (
	"cmp"
	"fmt"
	"slices"
)

// A polledRead is one record of a poll, or with read.Offset NoOffset a position
// after it.
type polledRead struct {
	partition PartitionID
	read      Read
	position  Offset // or NoOffset
}

// completePoll takes in what a poll returned: a Poll for each partition it was
// about. Polls that failed are no evidence of anything.
func (d *eventDecoder) completePoll(c ClientID, o opened, outcome Outcome) error {
	if outcome != OK {
		return nil
	}
	if err := d.collectPolled(); err != nil {
		return err
	}
	byPartition := func(a, b polledRead) int { return cmp.Compare(a.partition, b.partition) }
	if !slices.IsSortedFunc(d.polled, byPartition) {
		slices.SortStableFunc(d.polled, byPartition)
	}
	for rest := d.polled; len(rest) > 0; {
		n := 1
		for n < len(rest) && rest[n].partition == rest[0].partition {
			n++
		}
		if err := d.polledFrom(c, o, rest[:n]); err != nil {
			return err
		}
		rest = rest[n:]
	}
	return nil
}

// collectPolled gathers the records and positions of the line, the positions last.
func (d *eventDecoder) collectPolled() error {
	d.polled = d.polled[:0]
	if d.line.has&fRecords != 0 {
		for i := range d.line.records {
			r := &d.line.records[i]
			p, err := d.place(r.topic, r.partition, r.offset)
			if err != nil {
				return err
			}
			read := Read{Offset: Offset(r.offset), Record: r.content.record, Digest: r.content.digest, Epoch: NoEpoch}
			if r.has&fEpoch != 0 && r.epoch >= 0 && r.epoch < 1<<31 {
				read.Epoch = int32(r.epoch)
			}
			if r.has&fRecord != 0 && len(d.byDigest) > 0 {
				return fmt.Errorf("record %d: the sends tell none, so records are known by their content", read.Record)
			}
			d.polled = append(d.polled, polledRead{p, read, NoOffset})
		}
	}
	if n := len(d.r.h.reads) + len(d.polled); n > d.limits.Records {
		return fmt.Errorf("more than %d records", d.limits.Records)
	}
	if d.line.has&fPositions != 0 {
		for _, at := range d.line.positions {
			p, err := d.place(at.topic, at.partition, at.offset)
			if err != nil {
				return err
			}
			d.polled = append(d.polled, polledRead{p, Read{Offset: NoOffset}, Offset(at.offset)})
		}
	}
	return nil
}

// place checks where a record or a position is.
func (d *eventDecoder) place(topic []byte, partition, offset int64) (PartitionID, error) {
	if len(topic) == 0 || len(topic) > maxText || partition < 0 || partition >= 1<<31 {
		return 0, fmt.Errorf("topic %.100q partition %d", topic, partition)
	}
	return d.r.Partition(d.name(topic), int32(partition)), checkOffsets(Offset(offset))
}

// polledFrom records what a poll returned of one partition: records, and perhaps a
// position behind them.
func (d *eventDecoder) polledFrom(c ClientID, o opened, got []polledRead) error {
	s := d.stream(c, got[0].partition)
	reads := make([]Read, 0, len(got))
	after := NoOffset
	for _, g := range got {
		switch {
		case g.position == NoOffset:
			reads = append(reads, g.read)
		case after != NoOffset:
			return fmt.Errorf("two positions in %v", d.r.h.Partitions[g.partition])
		default:
			after = g.position
		}
	}
	if after == NoOffset {
		after = reads[len(reads)-1].Offset + 1
	}
	before := s.next
	if before == NoOffset && len(reads) > 0 {
		before = reads[0].Offset
	}
	s.next = after
	if before == NoOffset {
		return nil // it only says where it stands
	}
	d.r.Polled(Poll{
		Client: c, Generation: s.generation, Partition: got[0].partition, Isolation: o.isolation, Final: s.readBack,
		Invoked: o.invoked, Before: before, After: after, End: NoOffset,
	}, reads)
	return nil
}
