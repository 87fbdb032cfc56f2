package history

import "fmt"

// An Event is one operation or mark as evidence: where it is in the history, and
// what it says in one line.
type Event struct {
	Op        OpID    `json:"op"`
	Offset    Offset  `json:"offset"` // the record of a poll it is about, or NoOffset
	Invoked   Instant `json:"invoked_ns"`
	Completed Instant `json:"completed_ns"`
	Text      string  `json:"text"`
}

func (e Event) String() string {
	return fmt.Sprintf("[%d] %s", e.Op, e.Text)
}

// Event returns an operation or mark as evidence.
func (h *History) Event(op OpID) Event {
	switch kind, i := h.Op(op); kind {
	case KindSend:
		s := &h.Sends[i]
		return Event{op, s.Offset, s.Invoked, s.Completed, h.sendText(s)}
	case KindPoll:
		p := &h.Polls[i]
		return Event{op, NoOffset, p.Invoked, p.Completed, h.pollText(p)}
	case KindListOffsets:
		l := &h.ListOffsets[i]
		return Event{op, l.Offset, l.Invoked, l.Completed, h.listText(l)}
	case KindReadBack:
		b := &h.ReadBacks[i]
		return Event{op, NoOffset, b.Invoked, b.Completed, h.readBackText(b)}
	default:
		m := &h.Marks[i]
		return Event{op, m.Offset, m.At, m.At, h.markText(m)}
	}
}

// ReadEvent returns a poll as evidence, narrowed to the i-th of its records.
func (h *History) ReadEvent(p *Poll, i int) Event {
	r := h.Records(p)[i]
	return Event{p.Op, r.Offset, p.Invoked, p.Completed, fmt.Sprintf(
		"%s read record %d (digest %v) of %s at offset %d, in a poll from %v to %v",
		h.Clients[p.Client], r.Record, r.Digest, h.Partitions[p.Partition], r.Offset, p.Invoked, p.Completed)}
}

func (h *History) sendText(s *Send) string {
	text := fmt.Sprintf("%s sent record %d (#%d, %v, %v) to %s at %v", h.Clients[s.Client],
		s.Record, s.Seq, s.Acks, s.Delivery, h.Partitions[s.Partition], s.Invoked)
	if s.Outcome == OK {
		if s.Offset == NoOffset {
			return fmt.Sprintf("%s: acknowledged at %v without an offset", text, s.Completed)
		}
		return fmt.Sprintf("%s: acknowledged at %v with offset %d", text, s.Completed, s.Offset)
	}
	return text + ending(s.Outcome, s.Completed, s.Error)
}

func (h *History) pollText(p *Poll) string {
	text := fmt.Sprintf("%s polled %s from offset %d at %v", h.Clients[p.Client],
		h.Partitions[p.Partition], p.Before, p.Invoked)
	if p.Outcome == OK {
		return fmt.Sprintf("%s: %d records up to offset %d at %v", text, p.count, p.After, p.Completed)
	}
	return text + ending(p.Outcome, p.Completed, p.Error)
}

func (h *History) listText(l *ListOffsets) string {
	asked := l.Query.String() + " offset"
	if l.Query == ByTime {
		asked = fmt.Sprintf("first offset not older than %d", l.Asked)
	}
	text := fmt.Sprintf("%s asked for the %s of %s at %v", h.Clients[l.Client], asked, h.Partitions[l.Partition], l.Invoked)
	if l.Outcome == OK {
		if l.Offset == NoOffset {
			return fmt.Sprintf("%s: none, at %v", text, l.Completed)
		}
		return fmt.Sprintf("%s: %d, at %v", text, l.Offset, l.Completed)
	}
	return text + ending(l.Outcome, l.Completed, l.Error)
}

func (h *History) readBackText(b *ReadBack) string {
	text := fmt.Sprintf("%s read %s back from %v", h.Clients[b.Client], h.Partitions[b.Partition], b.Invoked)
	if b.Outcome == OK {
		return fmt.Sprintf("%s to %v: offsets %d up to %d", text, b.Completed, b.LogStart, b.LogEnd)
	}
	return text + ending(b.Outcome, b.Completed, b.Error)
}

func (h *History) markText(m *Mark) string {
	text := fmt.Sprintf("%s at %v", m.Kind, m.At)
	if m.Target != "" {
		text += " of " + m.Target
	}
	if m.Partition != NoPartition {
		text += " for " + h.Partitions[m.Partition].String()
	}
	if m.Offset != NoOffset {
		text += fmt.Sprintf(" below offset %d", m.Offset)
	}
	if m.Note != "" {
		text += ": " + m.Note
	}
	return text
}

// ending says how an operation ended that did not succeed.
func ending(o Outcome, at Instant, err string) string {
	switch o {
	case Pending:
		return ": no answer yet"
	case Failed:
		return fmt.Sprintf(": failed at %v: %s", at, err)
	default:
		return fmt.Sprintf(": outcome unknown at %v: %s", at, err)
	}
}

// Names of the enumerations, in texts and in the JSONL form.
var (
	deliveryNames  = []string{"plain", "one-in-flight", "idempotent"}
	isolationNames = []string{"read_uncommitted", "read_committed"}
	queryNames     = []string{"earliest", "latest", "by-time"}
	outcomeNames   = []string{"pending", "ok", "failed", "unknown"}
)

func (d Delivery) String() string  { return name(deliveryNames, int(d)) }
func (i Isolation) String() string { return name(isolationNames, int(i)) }
func (q Query) String() string     { return name(queryNames, int(q)) }
func (o Outcome) String() string   { return name(outcomeNames, int(o)) }

func (a Acks) String() string {
	switch a {
	case AcksAll:
		return "acks=all"
	default:
		return fmt.Sprintf("acks=%d", int8(a))
	}
}

func name(names []string, i int) string {
	if i < len(names) {
		return names[i]
	}
	return fmt.Sprintf("invalid(%d)", i)
}
