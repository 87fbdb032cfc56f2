package history

import (
	"errors"
	"fmt"
)

// invoke takes in the beginning of an operation.
func (d *eventDecoder) invoke() error {
	k := d.key()
	if was, ok := d.open[k]; ok {
		return fmt.Errorf("%s %q has such a %s open since %d ns: a process that has several at once numbers them with op",
			"process", d.line.process, d.line.f, was.invoked)
	}
	o := opened{invoked: d.now}
	switch string(d.line.f) {
	case typeSend:
		i, err := d.invokeSend(k.client)
		if err != nil {
			return err
		}
		o.place = i
	case typePoll:
		if d.line.has&fIsolation != 0 {
			o.isolation = d.line.isolation
		}
	case typeList:
		l := ListOffsets{Client: k.client, Partition: d.partition(), Query: d.line.query}
		if (l.Query == ByTime) != (d.line.has&fAsked != 0) {
			return errors.New("asked is what a by-time query asks for, and no other")
		}
		if d.line.has&fIsolation != 0 {
			l.Isolation = d.line.isolation
		}
		if l.Query == ByTime {
			l.Asked = Timestamp(d.line.asked)
		}
		o.place = d.r.ListOffsets(l).i
	case typeBack:
		o.partition = d.partition()
		o.place = d.r.ReadBack(k.client, o.partition).i
		d.restart(k.client, o.partition, d.offset()).readBack = true
	default:
		var err error
		if o.place, o.group, err = d.invokeGroup(k); err != nil {
			return err
		}
	}
	d.open[k] = o
	return nil
}

// invokeSend returns the place of the new send.
func (d *eventDecoder) invokeSend(c ClientID) (int32, error) {
	e := &d.line
	s := Send{
		Client: c, Partition: NoPartition, Seq: d.seq[c], Key: e.content.keyDigest, Digest: e.content.digest,
		Tombstone: e.content.tombstone,
	}
	switch {
	case e.has&(fDigest|fValue|fValueBytes) == 0:
		return 0, errors.New("a send needs a value (perhaps null), value_base64, or a digest")
	case e.has&fAcks == 0 && d.sends.Acks == nil, e.has&fDelivery == 0 && d.sends.Delivery == nil:
		return 0, errors.New("a send, or the header for all sends, needs acks and delivery")
	}
	if s.Acks = e.acks; e.has&fAcks == 0 {
		s.Acks = *d.sends.Acks
	}
	if s.Delivery = e.delivery; e.has&fDelivery == 0 {
		s.Delivery = *d.sends.Delivery
	}
	if err := d.identify(&s); err != nil {
		return 0, err
	}
	if e.has&fPartition != 0 {
		s.Partition = d.partition()
	}
	d.seq[c]++
	h := d.r.Send(s)
	if s.Partition == NoPartition {
		d.homeless[h.i] = d.name(e.topic)
	}
	return h.i, nil
}

// identify gives a send its identity: the one it tells, or a number of our own for
// its content.
func (d *eventDecoder) identify(s *Send) error {
	if d.line.has&fRecord != 0 {
		s.Record = d.line.content.record
		if len(d.byDigest) > 0 {
			return errors.New("record: earlier sends tell none, so records are known by their content")
		}
		if _, ok := d.records[s.Record]; ok {
			return fmt.Errorf("record %d was sent before: each send needs another", s.Record)
		}
		d.records[s.Record] = struct{}{}
		return nil
	}
	if len(d.records) > 0 {
		return errors.New("no record: earlier sends tell theirs, so all must")
	}
	if _, ok := d.byDigest[s.Digest]; ok {
		return errors.New("a record of this content was sent before: make each send different, or tell records apart with record")
	}
	s.Record = RecordID(len(d.byDigest) + 1)
	d.byDigest[s.Digest] = s.Record
	return nil
}

// complete takes in the end of an operation.
func (d *eventDecoder) complete() error {
	k := d.key()
	o, ok := d.open[k]
	switch {
	case !ok:
		return fmt.Errorf("process %q has no such %s open", d.line.process, d.line.f)
	case d.now < o.invoked:
		return fmt.Errorf("ends at %d ns, and began at %d ns", d.now, o.invoked)
	}
	delete(d.open, k)
	outcome := OK
	switch string(d.line.typ) {
	case eventFail:
		outcome = Failed
	case eventInfo:
		outcome = Unknown
	}
	var why string
	if d.line.has&fError != 0 {
		why = intern(d.errors, d.line.err)
	}
	switch k.f {
	case 's':
		return d.completeSend(o, outcome, why)
	case 'p':
		return d.completePoll(k.client, o, outcome)
	case 'l':
		l := ListOffsetsHandle{d.r, o.place}.end(outcome, why)
		if outcome == OK {
			l.Offset, l.Timestamp = d.offset(), d.timestamp()
		}
	case opCommit, opFetch:
		d.completeGroup(k, o, outcome)
	default:
		b := ReadBackHandle{d.r, o.place}.end(outcome, why)
		if outcome == OK {
			b.LogStart, b.LogEnd = Offset(d.line.logStart), Offset(d.line.logEnd)
		}
		d.stream(k.client, o.partition).readBack = false
	}
	return nil
}

func (d *eventDecoder) completeSend(o opened, outcome Outcome, why string) error {
	topic, homeless := d.homeless[o.place]
	if outcome == OK {
		at := d.r.h.Sends[o.place].Partition
		switch told := d.line.has&fPartition != 0; {
		case homeless && !told:
			return errors.New("neither this nor the invocation told the partition")
		case homeless:
			delete(d.homeless, o.place)
			d.r.h.Sends[o.place].Partition = d.r.Partition(topic, int32(d.line.partition))
		case told && int64(d.r.h.Partitions[at].Index) != d.line.partition:
			return fmt.Errorf("partition %d, and the invocation told %d", d.line.partition, d.r.h.Partitions[at].Index)
		}
	}
	s := SendHandle{d.r, o.place}.end(outcome, why)
	if outcome == OK {
		s.Offset, s.Timestamp = d.offset(), d.timestamp()
	}
	return nil
}
