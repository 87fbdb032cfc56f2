package scenarios

import (
	"fmt"
	"time"

	"github.com/klammlog/klamm/node"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/sim"
)

// A Bound is a limit on what a node holds in memory, files and tasks: how much it
// holds, the most it may at any moment, and the most once every client has left
// and nothing is under way.
type Bound struct {
	Name  string
	About string

	used, limit, rest func(*footprint) int64
}

// A footprint is what a node holds at one moment, as it says itself and as the
// simulator sees it from outside.
type footprint struct {
	node.Usage
	tasks      int64 // that live
	diskFiles  int64 // that are open on the node's disk
	partitions int64
	others     int64 // nodes of the cluster
}

// Bounds returns every limit that runs are held to.
func Bounds() []Bound { return bounds }

func none(*footprint) int64 { return 0 }

var bounds = []Bound{
	{"connections", "at most max.connections",
		func(f *footprint) int64 { return f.API.Connections },
		func(f *footprint) int64 { return f.API.MaxConnections }, none},
	{"connections-of-one-host", "at most max.connections.per.ip, or what there was when it was lowered",
		func(f *footprint) int64 { return f.API.OfOneHost },
		func(f *footprint) int64 { return f.API.MaxOfOneHost }, none},
	{"request-bytes", "what requests were charged: less than queued.max.request.bytes and one request together",
		func(f *footprint) int64 { return f.API.RequestBytes },
		func(f *footprint) int64 { return f.API.MaxRequests + f.API.LargestRequest - 1 }, none},
	{"answer-bytes", "of answers that are being read or written: what the node allows itself for them all",
		func(f *footprint) int64 { return f.API.AnswerBytes },
		func(f *footprint) int64 { return f.API.MaxAnswers }, none},
	{"charged-bytes", "what requests and answers turned out to take besides: no more than was set aside for them",
		func(f *footprint) int64 { return f.API.Charged },
		func(f *footprint) int64 { return f.API.MaxRequests + f.API.MaxAnswers }, none},
	{"requests-not-admitted", "at most one for each connection waits for the budget of bytes",
		func(f *footprint) int64 { return f.API.Waiting },
		func(f *footprint) int64 { return f.API.Connections }, none},
	{"requests-in-flight", "of one connection: at most max.requests.in.flight.per.connection",
		func(f *footprint) int64 { return f.API.Unanswered },
		func(f *footprint) int64 { return f.API.MaxUnanswered }, none},
	{"read-ahead", "bytes that a connection reads ahead of its requests: at most 64 KiB",
		func(f *footprint) int64 { return f.API.AheadBytes },
		func(f *footprint) int64 { return f.API.MaxAhead }, none},
	{"pooled-bytes", "buffers that wait for the next request: at most 64 MiB",
		func(f *footprint) int64 { return f.API.PooledBytes },
		func(f *footprint) int64 { return f.API.MaxPooled },
		func(f *footprint) int64 { return f.API.MaxPooled }},
	{"waits", "places of requests in the lists of partitions: each belongs to a request that is charged for its bytes, or to an append of a coordinator",
		func(f *footprint) int64 { return f.Broker.Waits },
		func(f *footprint) int64 { return f.API.RequestBytes + f.Groups.Appends + f.Groups.Loads }, none},
	{"queued-bytes", "appended and not yet written: no more than the requests that brought them, what these grew by when compressed anew, what coordinators append, and one answer of each other broker",
		func(f *footprint) int64 { return f.Broker.QueuedBytes },
		func(f *footprint) int64 {
			return f.API.RequestBytes + f.API.GrownBytes + f.Groups.Bytes + f.others*replicaAnswer
		}, none},
	{"producers", "remembered by a partition: no more than producer ids were given out",
		func(f *footprint) int64 { return f.Broker.Producers },
		func(f *footprint) int64 { return f.Broker.ProducerIDs },
		func(f *footprint) int64 { return f.Broker.ProducerIDs }},
	{"log-files", "that logs keep open: at most 1000 for each log directory, or as many as are in use at once",
		func(f *footprint) int64 { return f.openFiles() }, fileLimit, fileLimit},
	{"write-buffers", "that wait for the next writer: at most 8 for each log directory",
		func(f *footprint) int64 { return f.buffers() }, bufferLimit, bufferLimit},
	{"open-files", "on the disk: what logs keep open, one for each task besides; when idle none besides",
		func(f *footprint) int64 { return f.diskFiles },
		func(f *footprint) int64 { return f.openFiles() + f.tasks },
		func(f *footprint) int64 { return f.openFiles() }},
	{"tasks", "two for each connection, eight for each log, one for each append under way, those of eight connections each way and two more for each other node, sixteen for the node; when idle those of the node",
		func(f *footprint) int64 { return f.tasks },
		func(f *footprint) int64 {
			return 16 + perOther*f.others + 2*(f.API.Connections+f.API.NodeConnections) + 8*(f.partitions+1) + f.Broker.Uncommitted
		},
		func(f *footprint) int64 { return idleTasks + int64(len(f.Dirs)) }},
}

// perOther is how many tasks a node has for each other: two for each of eight
// connections that the other made, one for each that it made itself, one that sends
// what is raft's, and one that fetches.
const perOther = 2*8 + 8 + 2

// replicaAnswer is replica.fetch.response.max.bytes.
const replicaAnswer = 10 << 20

// idleTasks are those of an idle node that is alone: the supervisor's, one that
// accepts, three of the controller, six of the broker. A log directory may have one
// that removes old files.
const idleTasks = 11

func (f *footprint) openFiles() (n int64) {
	for _, d := range f.Dirs {
		n += d.OpenFiles
	}
	return n
}

func (f *footprint) buffers() (n int64) {
	for _, d := range f.Dirs {
		n += d.Buffers
	}
	return n
}

func fileLimit(f *footprint) (n int64) {
	for _, d := range f.Dirs {
		n += max(d.MaxOpen, d.OpenFiles-d.IdleFiles)
	}
	return n
}

func bufferLimit(f *footprint) (n int64) {
	for _, d := range f.Dirs {
		n += d.MaxBuffers
	}
	return n
}

// issuedIDs returns how many producer ids any node has known to be given out: some know
// of a block later than others, and who starts again does not know at once.
func (r *run) issuedIDs() int64 {
	for _, b := range r.nodes {
		if b.running != nil {
			r.noteIssued(b.running)
		}
	}
	return r.issued
}

// noteIssued takes in how many producer ids a node knows to be given out, its controller
// before its broker.
func (r *run) noteIssued(n *node.Node) {
	r.issued = max(r.issued, int64(n.Image().NextProducerID()))
	if v, ok := n.Quorum(); ok {
		r.issued = max(r.issued, int64(v.NextProducerID()))
	}
}

// footprint measures a running node.
func (b *brokerHost) footprint(n *node.Node, partitions int) footprint {
	usage := n.Usage()
	b.r.issued = max(b.r.issued, usage.Broker.ProducerIDs)
	usage.Broker.ProducerIDs = b.r.issuedIDs()
	usage.API.MaxOfOneHost = max(usage.API.MaxOfOneHost, b.ofOneHost.most)
	return footprint{
		Usage: usage, tasks: int64(len(b.node.LiveTasks())), diskFiles: int64(b.disk.Open()), partitions: int64(partitions),
		others: int64(len(b.r.nodes) - 1),
	}
}

// excess says which limit a footprint exceeds, or "".
func (f *footprint) excess() string {
	for _, b := range bounds {
		if used, limit := b.used(f), b.limit(f); used > limit {
			return fmt.Sprintf("%s: %d, at most %d", b.Name, used, limit)
		}
	}
	return ""
}

// restless says what an idle node still holds, or "".
func (f *footprint) restless() string {
	for _, b := range bounds {
		if used, rest := b.used(f), b.rest(f); used > rest {
			return fmt.Sprintf("%s: %d, at most %d at rest", b.Name, used, rest)
		}
	}
	return ""
}

// restBound is how much virtual time the broker has to get rid of everybody once
// the clients are gone. A connection whose other end went without a word breaks
// when its keep-alive time is over.
const restBound = 6 * time.Minute

// restless says which node is not at rest, and what it still holds; or "".
func (r *run) restless() string {
	for _, b := range r.brokers {
		if b.running == nil {
			return b.seat.name + " is down"
		}
		f := b.footprint(b.running, 0)
		if why := f.restless(); why != "" {
			return fmt.Sprintf("%s holds %s", b.seat.name, why)
		}
	}
	return ""
}

// rest waits until the broker holds nothing any more for clients that have all
// left, and complains if it never does.
func (r *run) rest() sim.Ending {
	looked := kafka.Instant(-1)
	why := ""
	ending := r.k.Run(r.k.Now().Add(restBound), func() bool {
		r.observer.step()
		// Between two events nothing changes but by tasks that run now: look
		// when time has gone on.
		if r.k.Now() > looked {
			looked = r.k.Now()
			why = r.restless()
			return why == ""
		}
		return false
	})
	if ending != sim.Stopped && r.drawn.Unrestricted && r.allDown() != nil {
		return sim.Finished // it has lost what it needs to start, and says so
	}
	if ending == sim.TimeUp || ending == sim.Idle {
		r.observer.complain(returnsToRest, fmt.Sprintf("%s after the last client left, at %s: %s", restBound, r.k.Now(), why))
		return sim.Finished
	}
	return ending
}
