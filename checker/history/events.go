package history

import (
	"errors"
	"fmt"
	"maps"
	"slices"
)

// The events form of a history is what programs write while they run: a line when
// an operation begins and a line when it ends, as in Jepsen. docs/history.md is its
// contract.
//
// An eventDecoder turns it into a History. It numbers sends and follows consumers,
// so that writers need not.
type eventDecoder struct {
	r      *Recorder
	limits Limits
	now    Instant // what the recorder is told
	line   eventLine
	sends  SendDefaults

	open    map[opKey]opened
	names   map[string]string
	errors  map[string]string
	seq     []int64 // by client: its next send
	streams map[streamKey]*stream

	records  map[RecordID]struct{} // of sends that tell identities
	byDigest map[Digest]RecordID   // of sends that tell none
	homeless map[int32]string      // sends that were not told their partition, and their topics
	polled   []polledRead          // of the line at hand

	groups   []Group
	groupAt  map[string]int   // by name
	held     map[groupKey]int // the holdings that were not given back
	groupOps int
}

// maxNames bounds processes and topics, partitions, and how many errors share their
// memory.
const maxNames = 100_000

// An opKey names an operation among those that have not ended.
type opKey struct {
	client ClientID
	f      byte // the first letter of its function, or what is below
	op     int64
}

// The operations of members, as an opKey has them.
const (
	opCommit byte = 'o'
	opFetch  byte = 'f'
)

// An opened operation began and has not ended.
type opened struct {
	invoked   Instant
	place     int32       // in the table of its function
	partition PartitionID // of a read-back
	isolation Isolation   // of a poll
	group     int         // of an operation of a member
}

// A stream is a consumer in a partition.
type stream struct {
	generation int32
	next       Offset // where the next poll begins, or NoOffset
	readBack   bool   // it is reading the partition back
}

// A streamKey names one.
type streamKey struct {
	client    ClientID
	partition PartitionID
}

// begin takes in the header.
func (d *eventDecoder) begin(h *headerLine) error {
	if h.Acks != nil {
		d.sends.Acks = h.Acks
	}
	if h.Delivery != nil {
		d.sends.Delivery = h.Delivery
	}
	d.open, d.streams = map[opKey]opened{}, map[streamKey]*stream{}
	d.names, d.errors = map[string]string{}, map[string]string{}
	d.records, d.byDigest, d.homeless = map[RecordID]struct{}{}, map[Digest]RecordID{}, map[int32]string{}
	d.r = NewTranscriber(func() Instant { return d.now })
	return d.beginGroups(h.Groups)
}

// take takes in a line.
func (d *eventDecoder) take(line []byte) error {
	if err := d.line.parse(line); err != nil {
		return err
	}
	e := &d.line
	if e.time < 0 || e.time == int64(Never) {
		return fmt.Errorf("time_ns %d: want nanoseconds from 0 up, of one clock for all processes", e.time)
	}
	if d.r.h.Ops()+len(d.open) >= d.limits.Ops || d.groupOps > d.limits.Records {
		return fmt.Errorf("more than %d operations", d.limits.Ops)
	}
	d.now = Instant(e.time)
	if err := d.checkNames(); err != nil {
		return err
	}
	switch string(e.typ) {
	case eventMark:
		return d.mark()
	case eventAssign:
		return d.assign()
	case eventInvoke:
		return d.invoke()
	case eventRevoke:
		return d.revoke()
	case eventProcessed:
		return d.processed()
	default:
		return d.complete()
	}
}

// checkNames refuses names that are empty or too long.
func (d *eventDecoder) checkNames() error {
	e := &d.line
	switch {
	case e.has&fProcess != 0 && len(e.process) == 0, e.has&fTopic != 0 && len(e.topic) == 0:
		return errors.New("processes and topics have names")
	case e.has&fProcess != 0 && len(e.process) > maxText, e.has&fTopic != 0 && len(e.topic) > maxText,
		e.has&fError != 0 && len(e.err) > maxText:
		return fmt.Errorf("a name or an error of more than %d bytes", maxText)
	case len(d.names) > maxNames, len(d.r.h.Partitions) > maxNames, len(d.streams) > 10*maxNames:
		return fmt.Errorf("more than %d processes and topics, or partitions, or ten times that of consumers of partitions", maxNames)
	case e.has&fPartition != 0 && (e.partition < 0 || e.partition > 1<<31-1):
		return fmt.Errorf("partition %d", e.partition)
	}
	for _, f := range []struct {
		f  field
		at int64
	}{{fOffset, e.offset}, {fLogStart, e.logStart}, {fLogEnd, e.logEnd}} {
		if e.has&f.f != 0 {
			if err := checkOffsets(Offset(f.at)); err != nil {
				return err
			}
		}
	}
	return nil
}

// name returns b as a string, the same for the same bytes.
func (d *eventDecoder) name(b []byte) string { return intern(d.names, b) }

func intern(names map[string]string, b []byte) string {
	s, ok := names[string(b)]
	if !ok {
		s = string(b)
		if len(names) <= maxNames {
			names[s] = s
		}
	}
	return s
}

func (d *eventDecoder) client() ClientID {
	id := d.r.Client(d.name(d.line.process))
	for int(id) >= len(d.seq) {
		d.seq = append(d.seq, 0)
	}
	return id
}

func (d *eventDecoder) partition() PartitionID {
	return d.r.Partition(d.name(d.line.topic), int32(d.line.partition))
}

func (d *eventDecoder) key() opKey {
	k := opKey{client: d.client(), f: d.line.f[0]}
	switch string(d.line.f) {
	case typeBack:
		k.f = 'b' // read-back
	case typeFetch:
		k.f = opFetch
	}
	if d.line.has&fOp != 0 {
		k.op = d.line.op
	}
	return k
}

// offset returns the line's offset, or NoOffset.
func (d *eventDecoder) offset() Offset {
	if d.line.has&fOffset == 0 {
		return NoOffset
	}
	return Offset(d.line.offset)
}

func (d *eventDecoder) timestamp() Timestamp {
	if d.line.has&fTimestamp == 0 {
		return NoTimestamp
	}
	return Timestamp(d.line.timestamp)
}

func (d *eventDecoder) mark() error {
	e := &d.line
	m := Mark{Kind: MarkKind(e.kind), Partition: NoPartition, Offset: d.offset()}
	if e.has&fTarget != 0 {
		m.Target = string(e.target)
	}
	if e.has&fNote != 0 {
		m.Note = string(e.note)
	}
	if len(m.Kind) == 0 || len(m.Kind)+len(m.Target)+len(m.Note) > maxText || (e.has&fTopic == 0) != (e.has&fPartition == 0) {
		return fmt.Errorf("a mark needs a kind, topic and partition both or neither, and no more than %d bytes of text", maxText)
	}
	if e.has&fTopic != 0 {
		m.Partition = d.partition()
	}
	d.r.Mark(m)
	return nil
}

// assign begins a new generation of a consumer in a partition.
func (d *eventDecoder) assign() error {
	d.restart(d.client(), d.partition(), d.offset())
	if d.line.has&(fGroup|fGeneration) != 0 {
		return d.assignMember()
	}
	return nil
}

// stream returns what is known of a consumer in a partition.
func (d *eventDecoder) stream(c ClientID, p PartitionID) *stream {
	k := streamKey{c, p}
	s := d.streams[k]
	if s == nil {
		s = &stream{next: NoOffset}
		d.streams[k] = s
	}
	return s
}

func (d *eventDecoder) restart(c ClientID, p PartitionID, at Offset) *stream {
	s := d.stream(c, p)
	s.generation++
	s.next = at
	return s
}

// end returns the history, with what could only be known at the end.
func (d *eventDecoder) end() *History {
	h := d.r.h
	if len(d.byDigest) > 0 {
		for i := range h.reads {
			h.reads[i].Record = d.byDigest[h.reads[i].Digest]
		}
	}
	d.houseSends()
	return h
}

// houseSends gives the sends whose partition nobody told, for they were never
// acknowledged, one: where their record was read, or else any of their topic.
func (d *eventDecoder) houseSends() {
	if len(d.homeless) == 0 {
		return
	}
	h := d.r.h
	byRecord := make(map[RecordID]int32, len(d.homeless))
	for send := range d.homeless { //klamm:unordered into a map
		byRecord[h.Sends[send].Record] = send
	}
	for i := range h.Polls {
		p := &h.Polls[i]
		for _, r := range h.Records(p) {
			if s, ok := byRecord[r.Record]; ok && d.homeless[s] == h.Partitions[p.Partition].Topic {
				h.Sends[s].Partition = p.Partition
				delete(byRecord, r.Record)
			}
		}
	}
	for _, send := range slices.Sorted(maps.Keys(d.homeless)) {
		if s := &h.Sends[send]; s.Partition == NoPartition {
			s.Partition = d.r.Partition(d.homeless[send], 0)
		}
	}
}
