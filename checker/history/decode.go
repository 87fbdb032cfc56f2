package history

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Limits bound what Decode takes from a stranger.
type Limits struct {
	Line    int // bytes of one line
	Ops     int // operations and marks
	Records int // records read, of all polls
}

// DefaultLimits take a run of some minutes: 16 MiB a line, 20 million operations,
// 100 million records.
var DefaultLimits = Limits{Line: 16 << 20, Ops: 20e6, Records: 100e6}

// maxText bounds names, errors and notes, in bytes.
const maxText = 4096

// A File is a history as it was written down, with what its writer said of it.
type File struct {
	History *History
	Demands json.RawMessage // what the run was promised: checker.Demands; nil if the header tells none
	Note    string          // whatever the writer wanted to say
	Sends   SendDefaults    // of the events form: what its header tells of all sends
	Groups  []Group         // of the events form
	CutOff  int             // the number of the last line if it was left out, for it has no end: its writer died; 0: none
}

// Decode reads the history of a File.
func Decode(r io.Reader, l Limits) (*History, error) {
	f, err := DecodeFile(r, l, SendDefaults{})
	if err != nil {
		return nil, err
	}
	return f.History, nil
}

// SendDefaults are what holds for the sends of an events form that do not tell it,
// if its header does not either. Nil: nothing, and then they are refused.
type SendDefaults struct {
	Acks     *Acks
	Delivery *Delivery
}

// DecodeFile reads either JSONL form. It refuses what no run can have told: operations
// completed before they were invoked, negative offsets, two sends of one record,
// numbers out of their order; whether the rest is possible is for judges to say.
// Errors name the line. A last line that is cut off is left out.
func DecodeFile(r io.Reader, l Limits, sends SendDefaults) (*File, error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, min(64<<10, l.Line)), l.Line)
	cutOff := false // this line has no end
	lines.Split(func(data []byte, atEOF bool) (int, []byte, error) {
		advance, line, err := bufio.ScanLines(data, atEOF)
		cutOff = line != nil && data[advance-1] != '\n'
		return advance, line, err
	})
	var f File
	var take func(line []byte) error
	var end func() *History
	n := 1
	for ; lines.Scan(); n++ {
		var err error
		switch {
		case n == 1:
			d := eventDecoder{limits: l, sends: sends}
			take, end, err = f.begin(lines.Bytes(), &d)
		case len(bytes.TrimSpace(lines.Bytes())) > 0:
			if cutOff && !json.Valid(lines.Bytes()) {
				f.CutOff = n
				continue
			}
			err = take(lines.Bytes())
		}
		if err != nil {
			return nil, fmt.Errorf("history line %d: %w", n, err)
		}
	}
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return nil, fmt.Errorf("history line %d: more than %d bytes", n, l.Line)
	case err != nil:
		return nil, fmt.Errorf("history after line %d: %w", n-1, err)
	case end == nil:
		return nil, errors.New("history: no header")
	}
	f.History = end()
	return &f, nil
}

// begin reads the header, and returns what reads the other lines: events, if they
// are such.
func (f *File) begin(line []byte, events *eventDecoder) (take func([]byte) error, end func() *History, err error) {
	var h headerLine
	if err := strict(line, &h); err != nil {
		return nil, nil, fmt.Errorf("the header: %w", err)
	}
	f.Demands, f.Note, f.Sends = h.Demands, h.Note, SendDefaults{h.Acks, h.Delivery}
	switch {
	case h.History == formatName && h.Version == eventsVersion:
		f.Groups = h.Groups
		return events.take, events.end, events.begin(&h)
	case h.History != formatName || h.Version != formatVersion:
		return nil, nil, fmt.Errorf("the header says %q version %d: want %q version %d (operations) or %d (events)",
			h.History, h.Version, formatName, formatVersion, eventsVersion)
	case h.Acks != nil || h.Delivery != nil || h.Groups != nil:
		return nil, nil, errors.New("the header tells acks or delivery, which every operation tells, or groups, of which this form has nothing")
	}
	d := &decoder{limits: events.limits, records: map[RecordID]OpID{}, now: Never}
	d.r = NewTranscriber(func() Instant { return d.now })
	return d.line, func() *History { return d.r.h }, nil
}

type decoder struct {
	r       *Recorder
	limits  Limits
	records map[RecordID]OpID // the send of each
	now     Instant           // what the recorder is told
}

// strict decodes one JSON object with known fields and nothing after it.
func strict(line []byte, to any) error {
	j := json.NewDecoder(bytes.NewReader(line))
	j.DisallowUnknownFields()
	if err := j.Decode(to); err != nil {
		return err
	}
	if _, err := j.Token(); err != io.EOF {
		return errors.New("more than one value on the line")
	}
	return nil
}

func (d *decoder) line(line []byte) error {
	var head lineHead
	if err := json.Unmarshal(line, &head); err != nil {
		return err
	}
	if n := d.r.h.Ops(); int(head.Op) != n || n >= d.limits.Ops {
		return fmt.Errorf("op %d: want %d, and fewer than %d", head.Op, n, d.limits.Ops)
	}
	switch head.Type {
	case typeSend:
		return decodeAs(line, d.send)
	case typePoll:
		return decodeAs(line, d.poll)
	case typeList:
		return decodeAs(line, d.list)
	case typeBack:
		return decodeAs(line, d.back)
	case typeMark:
		return decodeAs(line, d.mark)
	}
	return fmt.Errorf("unknown type %q", head.Type)
}

func decodeAs[T any](line []byte, take func(*T) error) error {
	var x T
	if err := strict(line, &x); err != nil {
		return err
	}
	return take(&x)
}

func (d *decoder) send(x *sendLine) error {
	c, p, err := d.call(&x.callHead)
	if err != nil {
		return err
	}
	if before, ok := d.records[x.Record]; ok || x.Record == NoRecord {
		return fmt.Errorf("record %d: is 0, or was sent by operation %d already", x.Record, before)
	}
	if err := checkOffsets(or(x.Offset, 0)); err != nil {
		return err
	}
	d.records[x.Record] = x.Op
	d.now = x.Invoked
	h := d.r.Send(Send{
		Client: c, Incarnation: x.Incarnation, Partition: p, Seq: x.Seq, Record: x.Record, Key: x.Key, Digest: x.Digest,
		Acks: x.Acks, Delivery: x.Delivery, Tombstone: x.Tombstone,
	})
	d.complete(&x.callHead, func(o Outcome, err string) {
		s := h.end(o, err)
		s.Offset, s.Timestamp = or(x.Offset, NoOffset), or(x.Timestamp, NoTimestamp)
	})
	return nil
}

func (d *decoder) poll(x *pollLine) error {
	c, p, err := d.call(&x.callHead)
	if err != nil {
		return err
	}
	if err := checkOffsets(x.Before, x.After, or(x.End, 0)); err != nil {
		return err
	}
	if len(d.r.h.reads)+len(x.Records) > d.limits.Records {
		return fmt.Errorf("more than %d records", d.limits.Records)
	}
	if len(x.Records) > 0 && x.Outcome != OK {
		return fmt.Errorf("records of a poll that is %v", x.Outcome)
	}
	reads := make([]Read, len(x.Records))
	for i, r := range x.Records {
		if err := checkOffsets(r.Offset); err != nil {
			return err
		}
		reads[i] = Read{r.Offset, r.Record, r.Digest, or(r.Epoch, NoEpoch)}
	}
	d.now = x.Invoked
	h := d.r.Poll(Poll{
		Client: c, Incarnation: x.Incarnation, Generation: x.Generation, Partition: p,
		Isolation: x.Isolation, Final: x.Final, Before: x.Before,
	})
	poll := &d.r.h.Polls[h.i]
	d.complete(&x.callHead, func(o Outcome, err string) { h.end(o, err) })
	poll.After, poll.End = x.After, or(x.End, NoOffset)
	d.r.h.setReads(poll, reads)
	return nil
}

func (d *decoder) list(x *listLine) error {
	c, p, err := d.call(&x.callHead)
	if err != nil {
		return err
	}
	if err := checkOffsets(or(x.Offset, 0)); err != nil {
		return err
	}
	d.now = x.Invoked
	h := d.r.ListOffsets(ListOffsets{Client: c, Partition: p, Query: x.Query, Isolation: x.Isolation, Asked: or(x.Asked, 0)})
	d.complete(&x.callHead, func(o Outcome, err string) {
		l := h.end(o, err)
		l.Offset, l.Timestamp = or(x.Offset, NoOffset), or(x.Timestamp, NoTimestamp)
	})
	return nil
}

func (d *decoder) back(x *backLine) error {
	c, p, err := d.call(&x.callHead)
	if err != nil {
		return err
	}
	if err := checkOffsets(or(x.LogStart, 0), or(x.LogEnd, 0)); err != nil {
		return err
	}
	if x.Outcome == OK && (x.LogStart == nil || x.LogEnd == nil) {
		return errors.New("a read-back that is ok needs log_start and log_end")
	}
	d.now = x.Invoked
	h := d.r.ReadBack(c, p)
	d.complete(&x.callHead, func(o Outcome, err string) {
		b := h.end(o, err)
		b.LogStart, b.LogEnd = or(x.LogStart, NoOffset), or(x.LogEnd, NoOffset)
	})
	return nil
}

func (d *decoder) mark(x *markLine) error {
	if len(x.Kind)+len(x.Target)+len(x.Topic)+len(x.Note) > maxText {
		return fmt.Errorf("more than %d bytes of text", maxText)
	}
	if x.Kind == "" || x.At < 0 || (x.Partition == nil) != (x.Topic == "") {
		return errors.New("a mark needs a kind, at_ns from 0 up, and topic and partition both or neither")
	}
	if err := checkOffsets(or(x.Offset, 0)); err != nil {
		return err
	}
	m := Mark{Kind: x.Kind, Target: x.Target, Partition: NoPartition, Offset: or(x.Offset, NoOffset), Note: x.Note}
	if x.Partition != nil {
		if *x.Partition < 0 {
			return fmt.Errorf("partition %d", *x.Partition)
		}
		m.Partition = d.r.Partition(x.Topic, *x.Partition)
	}
	d.now = x.At
	d.r.Mark(m)
	return nil
}

// call checks what all operations have in common.
func (d *decoder) call(x *callHead) (ClientID, PartitionID, error) {
	switch {
	case x.Client == "" || x.Topic == "" || x.Partition < 0:
		return 0, 0, errors.New("an operation needs a client, a topic and a partition from 0 up")
	case len(x.Client)+len(x.Topic)+len(x.Error) > maxText:
		return 0, 0, fmt.Errorf("more than %d bytes of text", maxText)
	case (x.Completed == nil) != (x.Outcome == Pending):
		return 0, 0, fmt.Errorf("outcome %v: an operation has completed_ns unless it is pending", x.Outcome)
	case x.Invoked < 0 || or(x.Completed, Never) < x.Invoked || or(x.Completed, 0) == Never:
		return 0, 0, fmt.Errorf("invoked at %d ns, completed at %d ns", x.Invoked, or(x.Completed, Never))
	}
	return d.r.Client(x.Client), d.r.Partition(x.Topic, x.Partition), nil
}

// complete completes an operation unless it is pending.
func (d *decoder) complete(x *callHead, end func(o Outcome, err string)) {
	if x.Outcome != Pending {
		d.now = *x.Completed
		end(x.Outcome, x.Error)
	}
}

// checkOffsets refuses offsets that are negative, or that have none after them.
func checkOffsets(offsets ...Offset) error {
	for _, o := range offsets {
		if o < 0 || o == Unbounded {
			return fmt.Errorf("offset %d", o)
		}
	}
	return nil
}
