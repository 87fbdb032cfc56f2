// Package report writes one run of a simulation as one page of HTML that a reader who
// was not there understands: what broke, what led to it, and what everybody did.
//
// A page is self-contained: it needs no network and no other file, and has at most
// MaxBytes; what does not fit is left out, least telling first, and the page says so. It
// is a function of its Run: the same run gives the same bytes. Verdict, story and faults
// are readable without scripts.
//
// It knows nothing of brokers, and trusts no text: whatever a Run says is shown as text.
package report

import "net/url"

// An Instant is virtual time since the run began, in nanoseconds.
type Instant int64

// Never is the arrival of what did not arrive, and the end of what did not end.
const Never Instant = -1

// A Run is all that a page tells.
type Run struct {
	Scenario, Build string
	About           string // what the scenario is about
	Seed            uint64
	Verdict         string // held, violated, stuck, …
	Reason          string // of a verdict that is not held: a sentence
	Violations      []Violation
	Pending         []string // what never finished
	Chain           string
	End             Instant // when the run ended
	Broke           Instant // when the violation was there to be seen; Never: nowhere in particular
	Commands        []Command
	Options         []Option
	Faults          []Fault
	Shrunk          *Shrunk  // nil if it was not
	Picture         *Picture // nil if nobody draws what was judged
	Missing         []string // what the page would tell and could not, a sentence each

	Phases     []Phase
	Lanes      []Lane
	Partitions []string
	Bands      []Band
	Events     []Event
	Messages   []Message
	Operations []Operation
	Replicas   []Replica
	Groups     []Group
}

// A Picture is what a judge has drawn of what it judged: a file of its own, beside the
// page.
type Picture struct {
	Text string // what was judged, and why there is no file if there is none
	File string // its name; empty if there is none
}

// Link returns where the page finds the file.
func (p *Picture) Link() string { return "./" + url.PathEscape(p.File) }

// A Violation is one broken guarantee.
type Violation struct {
	Guarantee, About string
	Sentence         string
	Evidence         []Evidence
}

// An Evidence is an operation, or what somebody saw, that a violation rests on.
type Evidence struct {
	Text      string
	Operation int // its place among Operations; None
}

// None stands where there is no lane, partition, fault or operation.
const None = -1

// A Command is a line for a shell, and what it is for.
type Command struct{ What, Line string }

// An Option is a setting of the run. By hand is what was set, drawn what the seed drew.
type Option struct {
	Name, Value string
	Kind        OptionKind
}

// An OptionKind says where the value of an option comes from.
type OptionKind int

// The kinds, the most telling first.
const (
	ByHand OptionKind = iota
	Drawn
	Default
)

// A Fault is a line of the schedule, and what became of it.
type Fault struct {
	Line    string
	Strikes []Strike // none: it struck nobody
}

// A Strike is one time that a fault happened to somebody.
type Strike struct {
	At, Until Instant // Until is Never if it takes no time, or lasts until the heal
	On        string
}

// A Shrunk says what a run was before it was made smaller.
type Shrunk struct {
	Before, After Size
	Needed        []Needed // in the order of the faults that are left
	Complete      bool
}

// A Size is how large a run is.
type Size struct {
	Faults, Operations int
	Virtual            Instant
}

// A Needed is a fault that is left, and what the run comes to without it.
type Needed struct{ Fault, Without string }

// A Phase of a run begins.
type Phase struct {
	At   Instant
	Name string
}

// A LaneKind says what runs in a lane.
type LaneKind string

// The kinds of lanes, in the order in which they are drawn.
const (
	Network    LaneKind = "network" // of faults that concern no host in particular
	Controller LaneKind = "controller"
	Broker     LaneKind = "broker"
	Client     LaneKind = "client"
)

// A Lane is one process with its life.
type Lane struct {
	Name string
	Kind LaneKind
	ID   int // of a node; None
}

// A BandKind says what a band shows.
type BandKind string

// The kinds of bands.
const (
	Down  BandKind = "down" // there is no process
	Held  BandKind = "held" // it does not run, or slowly; its clock is wrong
	Cut   BandKind = "cut"  // of the network
	Disk  BandKind = "disk"
	Leads BandKind = "leads" // it is the active controller
)

// A Band is something that lasts in a lane.
type Band struct {
	Lane     int
	From, To Instant // To is Never: until the end
	Kind     BandKind
	Text     string
	Fault    int // its place among Faults; None
}

// An EventKind says what an event is.
type EventKind string

// The kinds of events, of which a story is made.
const (
	Log        EventKind = "log"
	Warning    EventKind = "warning"
	Failure    EventKind = "failure" // logged as an error
	Election   EventKind = "election"
	InSync     EventKind = "in-sync"
	Truncation EventKind = "truncation"
	Active     EventKind = "controller"
	Life       EventKind = "life" // a process dies, or begins
)

// An Event is something that happened in a lane at an instant.
type Event struct {
	At        Instant
	Lane      int // None: everywhere
	Kind      EventKind
	Partition int // None
	Text      string
}

// A Message is a request or an answer on its way.
type Message struct {
	From, To      int // lanes
	Sent, Arrived Instant
	Call          int // the same for a request and its answer
	Answer        bool
	Idle          bool // a heartbeat, or a fetch that found nothing
	Name          string
	Text          string
	Partitions    []int
}

// An Outcome is how an operation ended, as its client was told.
type Outcome string

// The outcomes.
const (
	OK      Outcome = "ok"
	Failed  Outcome = "failed"
	Unknown Outcome = "unknown"
	Pending Outcome = "pending"
)

// An Operation is what a client asked for and was told.
type Operation struct {
	Lane      int
	Partition int
	Kind      string // send, poll, list-offsets, read-back
	Invoked   Instant
	Completed Instant // Never
	Outcome   Outcome
	From, End int64 // offsets: those that it is about, End exclusive; -1 where there are none
	Records   int   // that a poll returned
	Text      string
}

// A Replica is a copy of a partition over time.
type Replica struct {
	Partition, Lane int
	States          []ReplicaState
}

// A ReplicaState holds until the next.
type ReplicaState struct {
	At             Instant
	Role           string // leader, follower, none, broken, gone
	Epoch          int32  // of the leader that it knows
	PartitionEpoch int32
	InSync         []int32 // node ids
	Start          int64
	HighWatermark  int64
	End            int64
	Durable        int64
	Epochs         []EpochStart // of the log
}

// An EpochStart is where the records of a leader epoch begin in a log.
type EpochStart struct {
	Epoch int32
	Start int64
}

// A Group is a group over time.
type Group struct {
	Name   string
	States []GroupState
}

// A GroupState holds until the next.
type GroupState struct {
	At      Instant
	State   string
	Epoch   int32
	Members []GroupMember
}

// A GroupMember is who is in a group, and what it has.
type GroupMember struct {
	Name  string
	Epoch int32
	Has   []string
	Goal  []string
}
