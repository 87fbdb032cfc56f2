// Package history holds what the clients of one run did and saw.
//
// A history is a list of operations, each with the instants at which it was
// invoked and completed, and of marks: the faults, phases and permissions of the
// run. It is evidence, so it keeps what it was told, however absurd; judging it
// is the work of package checker. An operation whose answer never came is
// Pending, one whose answer leaves open what happened is Unknown: neither is
// failed, for it may have taken effect, and may still.
//
// It does not know brokers and imports nothing of klamm. Its instants may come
// from virtual or from real time; those of one history must come from one clock.
package history

import (
	"fmt"
	"math"
	"strconv"
)

// An Instant is a point of the run's time, in nanoseconds since it began.
type Instant int64

// Never is the completion of an operation that was not completed.
const Never Instant = math.MaxInt64

// String writes seconds with three decimals, as reports show them: "3.201s".
func (t Instant) String() string {
	if t == Never {
		return "never"
	}
	ms := int64(t) / 1e6
	return fmt.Sprintf("%d.%03ds", ms/1000, ms%1000)
}

// An Offset is a record's place in its partition.
type Offset int64

// NoOffset stands where no offset is known: "none" in an answer to a lookup by
// time, "not told" in an acknowledgement.
const NoOffset Offset = -1

// Unbounded is an offset above all others.
const Unbounded Offset = math.MaxInt64

// A Timestamp is the wall-clock time of a record, in milliseconds.
type Timestamp int64

// NoTimestamp stands where no timestamp is known.
const NoTimestamp Timestamp = -1

// A RecordID names one logical send, whatever retries it took: no two sends of a
// history share one. Records carry it, so that a reader can tell which it read.
type RecordID uint64

// NoRecord is the identity of a record that carries none: it was not written by
// any client of the run, or it was damaged.
const NoRecord RecordID = 0

// NoEpoch stands where a record's leader epoch is not known.
const NoEpoch int32 = -1

// A Partition names one partition and prints as "orders-2".
type Partition struct {
	Topic string
	Index int32
}

func (p Partition) String() string { return p.Topic + "-" + strconv.Itoa(int(p.Index)) }

// ClientID, PartitionID and OpID are places in the tables of one History.
type (
	ClientID    int32
	PartitionID int32
	OpID        int32
)

// NoPartition stands in a mark that concerns none.
const NoPartition PartitionID = -1

// Acks is how many replicas a send asked to hold its record.
type Acks int8

// The three levels of Kafka.
const (
	AcksAll    Acks = -1
	AcksNone   Acks = 0
	AcksLeader Acks = 1
)

// Delivery is what a producer does to keep its records single and in order.
type Delivery uint8

const (
	Plain       Delivery = iota // nothing: retries may duplicate and reorder
	OneInFlight                 // a send waits for the answer to the one before it
	Idempotent                  // sequence numbers, checked by the leader
)

// Isolation is what a consumer asked to see.
type Isolation uint8

const (
	ReadUncommitted Isolation = iota
	ReadCommitted
)

// Query is what a ListOffsets asked for.
type Query uint8

const (
	Earliest Query = iota
	Latest
	ByTime // the first record not older than the timestamp asked for
)

// Outcome is how an operation ended, as its client was told.
type Outcome uint8

const (
	Pending Outcome = iota // it has not ended
	OK                     // a send: acknowledged
	Failed                 // definitely nothing happened
	Unknown                // it may have happened, or may still
)

// A Send is one record given to a producer.
type Send struct {
	Op          OpID
	Client      ClientID
	Incarnation int32 // of the client: a producer that restarts or gets a new producer id counts up
	Partition   PartitionID
	Seq         int64 // place among the sends of this client incarnation to this partition
	Record      RecordID
	Key         Digest // of the key alone, for compaction
	Digest      Digest // of key, value and headers
	Acks        Acks
	Delivery    Delivery
	Tombstone   bool // the value is null
	Outcome     Outcome
	Invoked     Instant
	Completed   Instant   // Never while Pending
	Offset      Offset    // as acknowledged; NoOffset if the answer told none
	Timestamp   Timestamp // as acknowledged; NoTimestamp if the answer told none
	Error       string
}

// A Read is one record as a consumer got it.
type Read struct {
	Offset Offset
	Record RecordID
	Digest Digest
	Epoch  int32 // leader epoch of its batch, or NoEpoch
}

// A Poll is one consumer's look at one partition. A poll that returns records of
// several partitions is several Polls of one interval.
//
// Every offset from Before up to After was asked for and passed: what is not
// among the records was, says the broker, not there for this consumer. A
// consumer that jumps (it seeks, is reset, is assigned the partition anew) counts
// its Generation up.
type Poll struct {
	Op          OpID
	Client      ClientID
	Incarnation int32
	Generation  int32
	Partition   PartitionID
	Isolation   Isolation
	Final       bool // part of a ReadBack
	Outcome     Outcome
	Invoked     Instant
	Completed   Instant
	Before      Offset // position when it was invoked
	After       Offset // position when it returned
	End         Offset // end of the log as the leader told it within the interval; NoOffset if it did not, or told it before, or a follower did
	Error       string

	first, count int32 // its records in History.reads
}

// A ListOffsets is one lookup of an offset.
type ListOffsets struct {
	Op        OpID
	Client    ClientID
	Partition PartitionID
	Query     Query
	Isolation Isolation
	Outcome   Outcome
	Asked     Timestamp // ByTime only
	Invoked   Instant
	Completed Instant
	Offset    Offset // NoOffset: there is none (ByTime)
	Timestamp Timestamp
	Error     string
}

// A ReadBack is the reading of a whole partition after everything else, by
// Polls marked Final of the same client and partition within its interval. It is
// OK when the reader arrived at the end of the log.
type ReadBack struct {
	Op        OpID
	Client    ClientID
	Partition PartitionID
	Outcome   Outcome
	Invoked   Instant
	Completed Instant
	LogStart  Offset // as asked within the interval
	LogEnd    Offset // as asked within the interval, exclusive
	Error     string
}

// MarkKind says what a Mark is about.
type MarkKind string

// Marks that judges heed, and marks that only reports show.
const (
	LogBegins      MarkKind = "log-begins"       // heeded: the partition held Offset unrecorded records before the run
	PrefixMayGo    MarkKind = "prefix-may-go"    // heeded: records below Offset may be removed (retention, DeleteRecords)
	TopicDeleted   MarkKind = "topic-deleted"    // heeded: of the partition; its offsets start anew
	Crash          MarkKind = "crash"            // Target: a node
	PowerLoss      MarkKind = "power-loss"       // Target: a node
	Restart        MarkKind = "restart"          // Target: a node
	Election       MarkKind = "election"         // heeded, if they are marked: of the partition; Target: the new leader
	UncleanLeader  MarkKind = "unclean-election" // likewise, and Offset is where the logs part; it comes when nobody acts as an older leader
	Phase          MarkKind = "phase"            // Target: its name
	Fault          MarkKind = "fault"            // Note: the fault as it prints
	FaultEnds      MarkKind = "fault-ends"       // Note: the fault as it prints
	ClientRestarts MarkKind = "client-restart"   // Target: a client
)

// A Mark is something that happened to the run rather than in a client.
type Mark struct {
	Op        OpID
	Kind      MarkKind
	At        Instant
	Target    string
	Partition PartitionID // or NoPartition
	Offset    Offset      // or NoOffset
	Note      string
}

// A Kind tells which table of a History an operation is in.
type Kind uint8

const (
	KindSend Kind = iota
	KindPoll
	KindListOffsets
	KindReadBack
	KindMark
)

type opRef struct {
	kind  Kind
	index int32
}

// A History is the record of one run. The slices are in recording order and are
// read-only to everyone but a Recorder.
type History struct {
	Clients     []string
	Partitions  []Partition
	Sends       []Send
	Polls       []Poll
	ListOffsets []ListOffsets
	ReadBacks   []ReadBack
	Marks       []Mark

	ops   []opRef
	reads []Read // of all polls, one after the other
}

// Ops returns the number of operations and marks.
func (h *History) Ops() int { return len(h.ops) }

// Operations returns the number of operations of clients: all but marks.
func (h *History) Operations() int { return len(h.ops) - len(h.Marks) }

// Op returns the table and the place in it of an operation.
func (h *History) Op(id OpID) (Kind, int) {
	r := h.ops[id]
	return r.kind, int(r.index)
}

// Reads returns the records of all polls; FirstRead tells which are whose.
func (h *History) Reads() []Read { return h.reads }

// Records returns what the poll returned, in the order it did.
func (h *History) Records(p *Poll) []Read {
	return h.reads[p.first : p.first+p.count : p.first+p.count]
}

// FirstRead returns the place of the poll's first record in Reads.
func (h *History) FirstRead(p *Poll) int { return int(p.first) }

// addOp gives the next operation its number.
func (h *History) addOp(kind Kind, index int) OpID {
	h.ops = append(h.ops, opRef{kind, int32(index)})
	return OpID(len(h.ops) - 1)
}

// setReads stores the records of a poll.
func (h *History) setReads(p *Poll, reads []Read) {
	p.first, p.count = int32(len(h.reads)), int32(len(reads))
	h.reads = append(h.reads, reads...)
}

// Until returns the history as it was known at an instant: what was completed later is
// pending if it is a send, and left out if it is not. Operations have other numbers.
func (h *History) Until(t Instant) *History {
	out := &History{Clients: h.Clients, Partitions: h.Partitions}
	for _, ref := range h.ops {
		out.copyUntil(h, ref, t)
	}
	return out
}

// copyUntil takes over one operation.
func (h *History) copyUntil(from *History, ref opRef, t Instant) {
	switch ref.kind {
	case KindSend:
		s := from.Sends[ref.index]
		if s.Invoked > t {
			return
		}
		if s.Completed > t {
			s.Outcome, s.Completed, s.Offset, s.Timestamp, s.Error = Pending, Never, NoOffset, NoTimestamp, ""
		}
		s.Op = h.addOp(KindSend, len(h.Sends))
		h.Sends = append(h.Sends, s)
	case KindPoll:
		if p := from.Polls[ref.index]; p.Completed <= t {
			records := from.Records(&p)
			p.Op = h.addOp(KindPoll, len(h.Polls))
			h.setReads(&p, records)
			h.Polls = append(h.Polls, p)
		}
	case KindListOffsets:
		if l := from.ListOffsets[ref.index]; l.Completed <= t {
			l.Op = h.addOp(KindListOffsets, len(h.ListOffsets))
			h.ListOffsets = append(h.ListOffsets, l)
		}
	case KindReadBack:
		if b := from.ReadBacks[ref.index]; b.Completed <= t {
			b.Op = h.addOp(KindReadBack, len(h.ReadBacks))
			h.ReadBacks = append(h.ReadBacks, b)
		}
	case KindMark:
		if m := from.Marks[ref.index]; m.At <= t {
			m.Op = h.addOp(KindMark, len(h.Marks))
			h.Marks = append(h.Marks, m)
		}
	}
}
