package history

import (
	"errors"
	"fmt"
	"math/bits"
	"strings"
)

// A field is a field of an event, as a bit: a line has each at most once, and each
// kind of line has its own.
type field uint64

const (
	fType field = 1 << iota
	fFunction
	fProcess
	fOp
	fTime
	fTopic
	fPartition
	fKey
	fKeyBytes
	fValue
	fValueBytes
	fHeaders
	fRecord
	fDigest
	fTombstone
	fAcks
	fDelivery
	fIsolation
	fQuery
	fAsked
	fOffset
	fTimestamp
	fError
	fRecords
	fPositions
	fLogStart
	fLogEnd
	fKind
	fTarget
	fNote
	fEpoch
	fGroup
	fGeneration
	fOffsets
)

// fieldNames are the names of the fields, in the order of their bits.
var fieldNames = []string{"type", "f", "process", "op", "time_ns", "topic", "partition", "key", "key_base64", "value",
	"value_base64", "headers", "record", "digest", "tombstone", "acks", "delivery", "isolation", "query", "asked", "offset",
	"timestamp", "error", "records", "positions", "log_start", "log_end", "kind", "target", "note", "epoch", "group",
	"generation", "offsets"}

// fieldOf returns the field of a name, or 0. Names are few and short: looking through
// those of a length beats hashing.
func fieldOf(name []byte) field {
	if len(name) >= len(fieldsOfLength) {
		return 0
	}
	for _, f := range fieldsOfLength[len(name)] {
		if f.name == string(name) {
			return f.field
		}
	}
	return 0
}

type namedField struct {
	name  string
	field field
}

// fieldsOfLength are the fields by the length of their names.
var fieldsOfLength = func() (by [16][]namedField) {
	for i, name := range fieldNames {
		by[len(name)] = append(by[len(name)], namedField{name, 1 << i})
	}
	return by
}()

func (f field) String() string {
	var names []string
	for ; f != 0; f &= f - 1 {
		names = append(names, fieldNames[bits.TrailingZeros64(uint64(f))])
	}
	return strings.Join(names, ", ")
}

const (
	fContent = fKey | fKeyBytes | fValue | fValueBytes | fHeaders | fRecord | fDigest | fTombstone
	fAlways  = fType | fFunction | fProcess | fOp | fTime
)

// The types and functions of events.
const (
	eventInvoke = "invoke"
	eventOK     = "ok"
	eventFail   = "fail"
	eventInfo   = "info"
	eventAssign = "assign"
	eventMark   = "mark"

	eventRevoke    = "revoke"
	eventProcessed = "processed"
)

// A shape is the fields that an event must have, and those that it may.
type shape struct{ must, may field }

// shapes are the events there are, by type and function. Those that end an operation
// without success have the same for every function.
var shapes = map[string]map[string]shape{
	eventInvoke: {
		typeSend: {fAlways&^fOp | fTopic, fOp | fPartition | fContent | fAcks | fDelivery},
		typePoll: {fAlways &^ fOp, fOp | fIsolation},
		typeList: {fAlways&^fOp | fTopic | fPartition | fQuery, fOp | fAsked | fIsolation},
		typeBack: {fAlways&^fOp | fTopic | fPartition, fOp | fOffset},

		typeCommit: {fAlways&^fOp | fGroup | fGeneration | fTopic | fPartition | fOffset, fOp},
		typeFetch:  {fAlways&^fOp | fGroup | fTopic | fPartition, fOp},
	},
	eventOK: {
		typeSend: {fAlways &^ fOp, fOp | fPartition | fOffset | fTimestamp},
		typePoll: {fAlways &^ fOp, fOp | fRecords | fPositions},
		typeList: {fAlways &^ fOp, fOp | fOffset | fTimestamp},
		typeBack: {fAlways&^fOp | fLogStart | fLogEnd, fOp},

		typeCommit: {fAlways &^ fOp, fOp},
		typeFetch:  {fAlways &^ fOp, fOp | fOffset},
	},
	eventFail:   shapesOfEnd,
	eventInfo:   shapesOfEnd,
	eventAssign: {"": {fType | fProcess | fTime | fTopic | fPartition, fOffset | fGroup | fGeneration}},
	eventMark:   {"": {fType | fTime | fKind, fTarget | fTopic | fPartition | fOffset | fNote}},

	eventRevoke:    {"": {fType | fProcess | fTime | fGroup | fTopic | fPartition, 0}},
	eventProcessed: {"": {fType | fProcess | fTime | fGroup | fTopic | fPartition | fOffsets, 0}},
}

var (
	shapeOfEnd  = shape{fAlways &^ fOp, fOp | fError}
	shapesOfEnd = map[string]shape{
		typeSend: shapeOfEnd, typePoll: shapeOfEnd, typeList: shapeOfEnd, typeBack: shapeOfEnd, typeCommit: shapeOfEnd, typeFetch: shapeOfEnd,
	}
)

// An eventLine is one line, as it was read. What is not in has is of an earlier
// line.
type eventLine struct {
	has field
	fields
	content   content
	records   []readLineOf
	positions []position
	offsets   []int64 // processed
}

// fields are those of a line that are not lists.
type fields struct {
	typ, f, process, topic, kind, target, note, err []byte
	group                                           []byte
	generation                                      int64
	op                                              int64
	time                                            int64
	partition                                       int64
	acks                                            Acks
	delivery                                        Delivery
	isolation                                       Isolation
	query                                           Query
	asked, timestamp                                int64
	offset, logStart, logEnd                        int64
}

// A readLineOf is one record of a poll.
type readLineOf struct {
	has       field
	topic     []byte
	partition int64
	offset    int64
	epoch     int64
	content   content
}

// A position is where a consumer stands in a partition after a poll.
type position struct {
	has               field
	topic             []byte
	partition, offset int64
}

// parse reads a line. Its texts are good until the line's memory is used again.
func (e *eventLine) parse(line []byte) error {
	s := scanner{b: line}
	e.has = 0
	e.content.reset()
	s.object(func(name []byte) { e.value(&s, e.mark(&s, &e.has, name)) })
	s.end()
	if s.err == nil {
		s.err = e.check()
	}
	if s.err == nil && e.has&fContent != 0 {
		s.err = e.content.finish(e.has)
	}
	return s.err
}

// mark returns the field of that name and notes it as seen.
func (e *eventLine) mark(s *scanner, has *field, name []byte) field {
	f := fieldOf(name)
	if f == 0 {
		s.fail("unknown field %q", name)
	}
	if *has&f != 0 {
		s.fail("field %q twice", name)
	}
	*has |= f
	return f
}

// value reads the value of a field of the line.
func (e *eventLine) value(s *scanner, f field) {
	switch f {
	case fType:
		e.typ = s.text()
	case fFunction:
		e.f = s.text()
	case fProcess:
		e.process = s.text()
	case fOp:
		e.op = s.whole()
	case fTime:
		e.time = s.whole()
	case fTopic:
		e.topic = s.text()
	case fPartition:
		e.partition = s.whole()
	case fOffset:
		e.offset = s.whole()
	case fTimestamp:
		e.timestamp = s.whole()
	case fRecords:
		e.readRecords(s)
	case fPositions:
		e.readPositions(s)
	default:
		e.rareValue(s, f)
	}
}

// rareValue reads the others.
func (e *eventLine) rareValue(s *scanner, f field) {
	switch f {
	case fAcks:
		e.acks = s.acks()
	case fDelivery:
		s.named((*uint8)(&e.delivery), deliveryNames)
	case fIsolation:
		s.named((*uint8)(&e.isolation), isolationNames)
	case fQuery:
		s.named((*uint8)(&e.query), queryNames)
	case fAsked:
		e.asked = s.whole()
	case fError:
		e.err = s.text()
	case fLogStart:
		e.logStart = s.whole()
	case fLogEnd:
		e.logEnd = s.whole()
	case fKind:
		e.kind = s.text()
	case fTarget:
		e.target = s.text()
	case fNote:
		e.note = s.text()
	case fGroup:
		e.group = s.text()
	case fGeneration:
		e.generation = s.whole()
	case fOffsets:
		e.offsets = e.offsets[:0]
		s.array(func() { e.offsets = append(e.offsets, s.whole()) })
	default:
		e.content.take(s, f)
	}
}

func (s *scanner) named(to *uint8, names []string) {
	if text := s.text(); s.err == nil {
		if err := parseName(to, text, names); err != nil {
			s.fail("%v", err)
		}
	}
}

// acks reads "all", 0 or 1.
func (s *scanner) acks() Acks {
	from := s.at
	if s.take('"') {
		s.at--
		if text := s.text(); string(text) == "all" {
			return AcksAll
		}
	} else if n := s.whole(); n == 0 || n == 1 {
		return Acks(n)
	}
	s.at = from
	s.fail(`acks: want "all", 0 or 1`)
	return 0
}

func (e *eventLine) readRecords(s *scanner) {
	e.records = e.records[:0]
	s.array(func() {
		r := readLineOf{}
		s.object(func(name []byte) {
			switch f := e.mark(s, &r.has, name); f {
			case fTopic:
				r.topic = s.text()
			case fPartition:
				r.partition = s.whole()
			case fOffset:
				r.offset = s.whole()
			case fEpoch:
				r.epoch = s.whole()
			default:
				r.content.take(s, f)
			}
		})
		const must = fTopic | fPartition | fOffset
		if missing, extra := must&^r.has, r.has&^(must|fEpoch|fContent&^fTombstone); s.err == nil && missing|extra != 0 {
			s.fail("a record: missing fields: %v; fields of something else: %v", missing, extra)
		}
		if s.err == nil {
			s.err = r.content.finish(r.has)
		}
		e.records = append(e.records, r)
	})
}

func (e *eventLine) readPositions(s *scanner) {
	e.positions = e.positions[:0]
	s.array(func() {
		p := position{}
		s.object(func(name []byte) {
			switch f := e.mark(s, &p.has, name); f {
			case fTopic:
				p.topic = s.text()
			case fPartition:
				p.partition = s.whole()
			case fOffset:
				p.offset = s.whole()
			default:
				s.fail("a position has a topic, a partition and an offset, and no %v", f)
			}
		})
		if missing := (fTopic | fPartition | fOffset) &^ p.has; missing != 0 {
			s.fail("a position: missing fields: %v", missing)
		}
		e.positions = append(e.positions, p)
	})
}

// check refuses fields that are missing, and those of other events.
func (e *eventLine) check() error {
	if e.has&fType == 0 {
		return errors.New("no type")
	}
	if e.has&fFunction == 0 {
		e.f = nil
	}
	want, ok := shapes[string(e.typ)][string(e.f)]
	switch missing, extra := want.must&^e.has, e.has&^(want.must|want.may); {
	case !ok:
		return fmt.Errorf("no event has type %q and f %q", e.typ, e.f)
	case missing != 0:
		return fmt.Errorf("%s %s: missing fields: %v", e.typ, e.f, missing)
	case extra != 0:
		return fmt.Errorf("%s %s: fields of other events: %v", e.typ, e.f, extra)
	}
	return nil
}
