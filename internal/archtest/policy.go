// Package archtest judges whether the code keeps to the architecture: who may
// import whom, what deterministic code may not contain, how long functions and
// files may be. The policy is the data in this file and in symbols.go; the rules
// read it.
//
// An offence is excused where it stands, by a comment on its line or on the line
// above that gives the reason:
//
//	for name := range names { //klamm:unordered sorted below
//
// or, for sizes, by an entry of Exceptions. The test prints every excuse, and
// complains about those that excuse nothing.
package archtest

// A Room is a package of this module with all below it, down to the next room.
type Room struct {
	Path string
	May  string // the rooms it may import, besides itself: paths separated by spaces
	Why  string // the sentence that an offender is told
}

// Rooms lists what may import what. Imports point down only: a room may import
// rooms listed before it, and of those the ones it names.
var Rooms = []Room{
	{"internal/assert", "", "assertions are a leaf"},
	{"internal/shrink", "", "it decides what to try next, and knows nothing of what is tried"},
	{"internal/moments", "", "it decides what to try next, and knows nothing of what is tried"},
	{"internal/casefile", "", "a case is a file; what it means is for who runs it to say"},
	{"internal/report", "", "a page is made of what it is given; where that comes from is for who looks on to say"},
	{"internal/coverage", "", "it counts names; what they are, and which may be expected, is for who makes runs to say"},
	{"internal/hunt", "", "it decides which schedule to try next, and knows nothing of what is tried"},
	{"internal/shards", "", "it shares out seeds and keeps results; what a run is, is for who makes it to say"},
	{"node/kafka", "", "the nouns are a leaf: everything speaks in them"},

	{"node/env", "internal/assert node/kafka",
		"env is the contract between node and world; it knows neither"},
	{"node/env/envtest", "internal/assert node/kafka node/env",
		"the checks judge any world, so they know none"},

	// Pure: what decides gets its inputs as arguments, time included.
	{"node/config", "internal/assert node/kafka", pure},
	{"node/record", "internal/assert node/kafka", pure},
	{"node/txn", "internal/assert node/kafka node/record", pure},
	{"node/replica", "internal/assert node/kafka", pure},
	{"node/meta", "internal/assert node/kafka node/config", pure},
	{"node/machine", "node/kafka", "what a state machine and who runs it say is a leaf"},
	{"node/assignor", "internal/assert node/kafka", pure},
	{"node/group", "internal/assert node/kafka node/config node/machine node/assignor", pure},

	{"node/commitlog", "internal/assert node/kafka node/env node/config node/record node/txn",
		"a log knows disks and batches, and nothing of replicas or requests"},
	{"node/quorum", "internal/assert node/kafka node/env node/config node/record node/commitlog node/meta",
		"the controllers agree on metadata; partitions and requests are the broker's"},
	{"node/controller", "internal/assert node/kafka node/env node/config node/meta node/quorum",
		"the controller waits for decisions of node/meta to be agreed on; partitions are the broker's"},
	{"node/broker", "internal/assert node/kafka node/env node/config node/record node/txn node/replica node/meta node/group node/commitlog node/quorum",
		"the broker carries decisions to disks and networks; the wire format is above it, in node/api"},
	{"node/coordinator", "internal/assert node/kafka node/env node/config node/record node/machine node/broker",
		"it runs any state machine on the partitions that this broker leads; what a machine decides, and who asks, is elsewhere"},
	{"node/client", "internal/assert node/kafka node/env node/config node/record node/assignor",
		"the client speaks with brokers over the wire alone; who leads a classic group assigns"},
	{"node/peer", "internal/assert node/kafka node/env node/config node/record node/meta node/quorum node/controller node/broker node/client",
		"nodes speak with nodes over the wire; what is said is decided elsewhere"},
	{"node/api", "internal/assert node/kafka node/env node/config node/record node/txn node/replica node/meta node/group node/commitlog node/quorum node/controller node/broker node/machine node/coordinator node/client node/peer",
		"handlers translate between the wire and the broker"},
	{"node/osenv", "internal/assert node/kafka node/env",
		"a world knows nothing of the node that lives in it"},
	{"node/osclient", "node/kafka node/env node/config node/record node/assignor node/client node/osenv",
		"the client for ordinary programs joins the client of tasks with the real world; nodes and simulators have no use for it"},
	{"node", "internal/assert node/kafka node/env node/config node/record node/txn node/replica node/meta node/group node/commitlog node/quorum node/controller node/broker node/machine node/coordinator node/client node/peer node/api",
		"node code runs in any world, so it imports none: take an env.World"},

	{"sim", "internal/assert node/kafka node/env",
		"the kernel schedules tasks of any code that takes an env.World"},
	{"netsim", "internal/assert node/kafka node/env sim", simulated},
	{"disksim", "internal/assert node/kafka node/env sim", simulated},
	{"sim/world", "internal/assert node/kafka node/env sim netsim disksim",
		"it only puts kernel, network and disks together"},

	{"checker", "", "a judge does not borrow the defendant's ruler: checker shares no code with node, not even constants"},

	{"scenarios", "internal/assert internal/report node/kafka node/env node/config node/record node/txn node/replica node/meta node/group node/commitlog node/quorum node/controller node/broker node/machine node/coordinator node/client node/peer node/api node sim netsim disksim sim/world checker",
		"scenarios run in virtual time: real worlds and command lines are out of their reach"},
	{"cmd", everything, "nothing imports a command"},
	{"internal", everything, "tools of this repository"},
}

const (
	pure = "pure packages decide and cannot wait: pass in what you need, time included, " +
		"and leave the waiting to node/broker"
	simulated = "networks and disks are simulated for any node, and know nothing of brokers"

	everything = "*" // what is listed before
)

// Externals lists which rooms may use which other modules. A path covers the
// packages below it.
var Externals = []struct{ Path, Rooms, Why string }{
	{"github.com/twmb/franz-go/pkg/kmsg", "node/api node/client node/peer scenarios internal", "the wire format ends in node/api: use the nouns of node/kafka; raw clients of scenarios speak it by themselves"},
	{"github.com/twmb/franz-go/pkg/kbin", "node/api node/client node/peer", "the wire format ends in node/api"},
	{"github.com/twmb/franz-go", "cmd internal", "a foreign client is for tests and tools: our own is node/client"},
	{"github.com/klauspost/compress", "node/record", "compression is part of the record format: ask node/record"},
	{"github.com/pierrec/lz4", "node/record", "compression is part of the record format: ask node/record"},
	{"go.etcd.io/raft", "node/quorum", "raft is the controllers' own affair"},
	{"google.golang.org/protobuf", "node/quorum", "raft's messages are encoded with it, and nothing else"},
	{"github.com/anishathalye/porcupine", "checker", "histories are judged in checker"},
	{"github.com/prometheus/client_golang", "cmd", "metrics leave the process in cmd"},
	{"github.com/spf13", "cmd", "command lines are cmd's"},
	{"go.yaml.in/yaml", "internal/casefile", "cases are the only files that people write as YAML"},
	{"golang.org/x/term", "cmd", "terminals are cmd's"},
	{"golang.org/x/sys", "node/osenv cmd internal", "system calls are node/osenv's"},
	{"golang.org/x/tools", "internal", "for the tools of this repository"},
}

// Deterministic code computes the same from the same seed, on every machine. It
// has no goroutines but tasks, and no clock, file, socket or random number but
// its World's.
var Deterministic = []string{"node", "sim", "netsim", "disksim", "checker", "scenarios"}

// Real code is where the real world begins.
var Real = []string{"node/osenv"}

// Ordered code shows nobody the order of a map: deterministic code, and what
// prints.
var Ordered = append([]string{"cmd"}, Deterministic...)

// The sizes above which code is two things under one name.
const (
	MaxFunction = 70  // lines
	MaxFile     = 600 // lines
)

// An Exception excuses all offences of one kind at one place. Entries leave the
// list; none enters without its reason. A comment where the offence stands is
// better, where one can excuse it.
type Exception struct {
	Rule  Rule
	Place string // path/file.go, or path/file.go:function
	Why   string
}

// Exceptions is what has not been mended yet.
var Exceptions = []Exception{
	{RecoverRule, "node/api/decode.go:guarded", "the guard around the decoder of requests"},
	{RecoverRule, "node/client/link/frames.go:readBody", "the guard around the decoder of answers"},
}
