package history

import (
	"encoding/base64"
	"encoding/json"
	"strconv"
	"unicode/utf8"
)

// An EventWriter writes the events form, for a program that runs. What it wrote is
// kept until Take: it does no I/O. Methods that begin an operation return nothing:
// op tells the operations apart that a process has open at once.
//
// The one rule: what is written before something is done is invoked before it, and
// what is written after it is completed after it; nothing else makes evidence of it.
type EventWriter struct {
	buf   []byte
	sends SendDefaults // as the header tells
}

// Begin writes the header. What is not known of the File is left out, and so is the
// history.
func (w *EventWriter) Begin(f File) error {
	w.sends = f.Sends
	line, err := json.Marshal(headerLine{History: formatName, Version: eventsVersion, Demands: f.Demands, Note: f.Note,
		Acks: f.Sends.Acks, Delivery: f.Sends.Delivery, Groups: f.Groups})
	w.buf = append(append(w.buf, line...), '\n')
	return err
}

// Take returns what was written since it was last called. The memory is the
// caller's; spare is used for what is written next.
func (w *EventWriter) Take(spare []byte) []byte {
	b := w.buf
	w.buf = spare[:0]
	return b
}

// Len returns how many bytes Take would return.
func (w *EventWriter) Len() int { return len(w.buf) }

// An EventID says whose event it is, and when.
type EventID struct {
	Process string
	Op      int64
	At      Instant
}

// Send writes that a send begins. Of s it tells what a caller of Recorder.Send
// fills in, but for Client, Incarnation and Seq; its partition is at, and key the
// bytes of its key.
func (w *EventWriter) Send(id EventID, at Partition, key []byte, s Send) {
	w.head(eventInvoke, typeSend, id)
	w.at(at)
	if key != nil {
		w.bytes("key", key)
	}
	w.number("record", uint64(s.Record))
	w.digest(s.Digest)
	if s.Tombstone {
		w.buf = append(w.buf, `,"tombstone":true`...)
	}
	if d := w.sends.Acks; d == nil || *d != s.Acks {
		w.acks(s.Acks)
	}
	if d := w.sends.Delivery; d == nil || *d != s.Delivery {
		w.text("delivery", s.Delivery.String())
	}
	w.end()
}

func (w *EventWriter) acks(a Acks) {
	w.buf = append(w.buf, `,"acks":`...)
	if a == AcksAll {
		w.buf = append(w.buf, `"all"`...)
	} else {
		w.buf = strconv.AppendInt(w.buf, int64(a), 10)
	}
}

// Acked writes that a send was acknowledged; the offset may be NoOffset.
func (w *EventWriter) Acked(id EventID, offset Offset, ts Timestamp) {
	w.head(eventOK, typeSend, id)
	w.found(offset, ts)
}

func (w *EventWriter) found(offset Offset, ts Timestamp) {
	if offset != NoOffset {
		w.number("offset", uint64(offset))
	}
	if ts != NoTimestamp {
		w.buf = strconv.AppendInt(append(w.buf, `,"timestamp":`...), int64(ts), 10)
	}
	w.end()
}

// Ended writes that an operation of some kind did not succeed: Failed, or Unknown.
func (w *EventWriter) Ended(id EventID, k Kind, o Outcome, why string) {
	typ := eventInfo
	if o == Failed {
		typ = eventFail
	}
	w.head(typ, [...]string{KindSend: typeSend, KindPoll: typePoll, KindListOffsets: typeList, KindReadBack: typeBack}[k], id)
	w.text("error", why[:min(len(why), maxText)])
	w.end()
}

// Poll writes that a poll begins.
func (w *EventWriter) Poll(id EventID) {
	w.head(eventInvoke, typePoll, id)
	w.end()
}

// A PolledRecord is one record of a poll.
type PolledRecord struct {
	Partition Partition
	Read
}

// Polled writes what a poll returned.
func (w *EventWriter) Polled(id EventID, records []PolledRecord) {
	w.head(eventOK, typePoll, id)
	w.buf = append(w.buf, `,"records":[`...)
	for i, r := range records {
		if i > 0 {
			w.buf = append(w.buf, ',')
		}
		w.buf = append(w.buf, `{"topic":`...)
		w.quote(r.Partition.Topic)
		w.number("partition", uint64(r.Partition.Index))
		w.number("offset", uint64(r.Offset))
		if r.Record != NoRecord {
			w.number("record", uint64(r.Record))
		}
		w.digest(r.Digest)
		if r.Epoch != NoEpoch {
			w.number("epoch", uint64(r.Epoch))
		}
		w.buf = append(w.buf, '}')
	}
	w.buf = append(w.buf, ']')
	w.end()
}

// Assign writes that a process goes on at an offset of a partition; NoOffset: it
// does not know where.
func (w *EventWriter) Assign(id EventID, at Partition, offset Offset) {
	w.buf = append(w.buf, `{"type":"assign","process":`...)
	w.quote(id.Process)
	w.number("time_ns", uint64(id.At))
	w.at(at)
	if offset != NoOffset {
		w.number("offset", uint64(offset))
	}
	w.end()
}

// ListOffsets writes that a lookup begins; asked is for ByTime.
func (w *EventWriter) ListOffsets(id EventID, at Partition, q Query, asked Timestamp) {
	w.head(eventInvoke, typeList, id)
	w.at(at)
	w.text("query", q.String())
	if q == ByTime {
		w.buf = strconv.AppendInt(append(w.buf, `,"asked":`...), int64(asked), 10)
	}
	w.end()
}

// Answered writes what a lookup found; NoOffset: nothing.
func (w *EventWriter) Answered(id EventID, offset Offset, ts Timestamp) {
	w.head(eventOK, typeList, id)
	w.found(offset, ts)
}

// ReadBack writes that a partition is about to be read as a whole, from an offset
// on.
func (w *EventWriter) ReadBack(id EventID, at Partition, from Offset) {
	w.head(eventInvoke, typeBack, id)
	w.at(at)
	w.number("offset", uint64(from))
	w.end()
}

// Back writes that it was, and between which offsets the log was found to be.
func (w *EventWriter) Back(id EventID, start, end Offset) {
	w.head(eventOK, typeBack, id)
	w.number("log_start", uint64(start))
	w.number("log_end", uint64(end))
	w.end()
}

// Mark writes that something happened to the run.
func (w *EventWriter) Mark(at Instant, kind MarkKind, partition *Partition, offset Offset, note string) {
	w.buf = append(w.buf, `{"type":"mark","kind":`...)
	w.quote(string(kind))
	w.number("time_ns", uint64(at))
	if partition != nil {
		w.at(*partition)
	}
	if offset != NoOffset {
		w.number("offset", uint64(offset))
	}
	if note != "" {
		w.text("note", note)
	}
	w.end()
}

func (w *EventWriter) head(typ, f string, id EventID) {
	w.buf = append(w.buf, `{"type":"`...)
	w.buf = append(w.buf, typ...)
	w.buf = append(w.buf, `","f":"`...)
	w.buf = append(w.buf, f...)
	w.buf = append(w.buf, `","process":`...)
	w.quote(id.Process)
	if id.Op != 0 {
		w.number("op", uint64(id.Op))
	}
	w.number("time_ns", uint64(id.At))
}

func (w *EventWriter) at(p Partition) {
	w.text("topic", p.Topic)
	w.number("partition", uint64(p.Index))
}

func (w *EventWriter) end() { w.buf = append(w.buf, '}', '\n') }

func (w *EventWriter) number(name string, n uint64) {
	w.name(name)
	w.buf = strconv.AppendUint(w.buf, n, 10)
}

func (w *EventWriter) digest(d Digest) {
	w.buf = append(w.buf, `,"digest":"`...)
	w.buf = append(strconv.AppendUint(w.buf, uint64(d), 16), '"')
}

func (w *EventWriter) text(name, s string) {
	w.name(name)
	w.quote(s)
}

// bytes writes text as it is and other bytes in base64.
func (w *EventWriter) bytes(name string, b []byte) {
	if utf8.Valid(b) {
		w.text(name, string(b))
		return
	}
	w.name(name + "_base64")
	w.buf = append(w.buf, '"')
	w.buf = append(base64.StdEncoding.AppendEncode(w.buf, b), '"')
}

func (w *EventWriter) name(name string) {
	w.buf = append(w.buf, ',', '"')
	w.buf = append(append(w.buf, name...), '"', ':')
}

// quote writes a string.
func (w *EventWriter) quote(s string) {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			quoted, err := json.Marshal(s)
			if err == nil {
				w.buf = append(w.buf, quoted...)
			}
			return
		}
	}
	w.buf = append(append(append(w.buf, '"'), s...), '"')
}
