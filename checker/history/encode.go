package history

import (
	"bufio"
	"encoding/json"
	"io"
)

// Encode writes the operations form of h.
func Encode(w io.Writer, h *History) error {
	f := File{History: h}
	return f.Encode(w)
}

// Encode writes the operations form.
func (f *File) Encode(w io.Writer) error {
	h := f.History
	b := bufio.NewWriter(w)
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	if err := e.Encode(headerLine{History: formatName, Version: formatVersion, Demands: f.Demands, Note: f.Note}); err != nil {
		return err
	}
	for op := range h.ops {
		if err := e.Encode(h.line(OpID(op))); err != nil {
			return err
		}
	}
	return b.Flush()
}

// line returns what to write about an operation or mark.
func (h *History) line(op OpID) any {
	switch kind, i := h.Op(op); kind {
	case KindSend:
		return h.sendLine(&h.Sends[i])
	case KindPoll:
		return h.pollLine(&h.Polls[i])
	case KindListOffsets:
		l := &h.ListOffsets[i]
		return listLine{
			lineHead: lineHead{l.Op, typeList},
			callHead: h.call(l.Client, l.Partition, span{l.Invoked, l.Completed, l.Outcome, l.Error}),
			Query:    l.Query, Isolation: l.Isolation, Asked: asked(l),
			Offset: unless(l.Offset, NoOffset), Timestamp: unless(l.Timestamp, NoTimestamp),
		}
	case KindReadBack:
		b := &h.ReadBacks[i]
		return backLine{
			lineHead: lineHead{b.Op, typeBack},
			callHead: h.call(b.Client, b.Partition, span{b.Invoked, b.Completed, b.Outcome, b.Error}),
			LogStart: unless(b.LogStart, NoOffset), LogEnd: unless(b.LogEnd, NoOffset),
		}
	default:
		return h.markLine(&h.Marks[i])
	}
}

func asked(l *ListOffsets) *Timestamp {
	if l.Query != ByTime {
		return nil
	}
	return &l.Asked
}

// A span is how an operation began and ended.
type span struct {
	invoked, completed Instant
	outcome            Outcome
	err                string
}

func (h *History) call(c ClientID, p PartitionID, s span) callHead {
	return callHead{
		Client: h.Clients[c], Topic: h.Partitions[p].Topic, Partition: h.Partitions[p].Index,
		Invoked: s.invoked, Completed: unless(s.completed, Never), Outcome: s.outcome, Error: s.err,
	}
}

func (h *History) sendLine(s *Send) sendLine {
	return sendLine{
		lineHead:    lineHead{s.Op, typeSend},
		callHead:    h.call(s.Client, s.Partition, span{s.Invoked, s.Completed, s.Outcome, s.Error}),
		Incarnation: s.Incarnation, Seq: s.Seq, Record: s.Record, Key: s.Key, Digest: s.Digest,
		Acks: s.Acks, Delivery: s.Delivery, Tombstone: s.Tombstone,
		Offset: unless(s.Offset, NoOffset), Timestamp: unless(s.Timestamp, NoTimestamp),
	}
}

func (h *History) pollLine(p *Poll) pollLine {
	l := pollLine{
		lineHead:    lineHead{p.Op, typePoll},
		callHead:    h.call(p.Client, p.Partition, span{p.Invoked, p.Completed, p.Outcome, p.Error}),
		Incarnation: p.Incarnation, Generation: p.Generation, Isolation: p.Isolation, Final: p.Final,
		Before: p.Before, After: p.After, End: unless(p.End, NoOffset),
	}
	for _, r := range h.Records(p) {
		l.Records = append(l.Records, readLine{r.Offset, r.Record, r.Digest, unless(r.Epoch, NoEpoch)})
	}
	return l
}

func (h *History) markLine(m *Mark) markLine {
	l := markLine{
		lineHead: lineHead{m.Op, typeMark},
		Kind:     m.Kind, At: m.At, Target: m.Target, Offset: unless(m.Offset, NoOffset), Note: m.Note,
	}
	if m.Partition != NoPartition {
		p := h.Partitions[m.Partition]
		l.Topic, l.Partition = p.Topic, &p.Index
	}
	return l
}
