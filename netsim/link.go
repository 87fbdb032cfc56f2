package netsim

import (
	"math/rand/v2"
	"time"

	"github.com/klammlog/klamm/node/kafka"
)

// A link is one direction between two hosts.
type link struct {
	net      *Network
	from, to *host
	base     Link

	stream *rand.Rand // what happens to segments
	app    *rand.Rand // how the programs at the ends are served: cuts, yields

	busy kafka.Instant // until then earlier bytes take the bandwidth

	// What the faults of the moment make of it; see reshape.
	shape    Link
	buffer   int
	segment  int // the most bytes that travel as one
	pieces   Ratio
	short    Ratio
	shapers  [families]*Applied // the last of each family that shapes this link
	blockers []*Applied
	blocked  uint64  // numbers the times it was blocked
	held     []*flow // flows whose first segment came up against a block
	owed     []*flow // flows of the other direction whose acknowledgements did
}

func newLink(n *Network, from, to *host) *link {
	name := "net/" + from.name + ">" + to.name
	l := &link{
		net: n, from: from, to: to, base: n.options.Link,
		stream: n.k.Rand(name), app: n.k.Rand(name + "/app"),
	}
	if from == to {
		l.base = n.options.Loopback
	}
	l.reshape()
	return l
}

// arrival sends size bytes now and returns when they arrive.
func (l *link) arrival(size int) kafka.Instant {
	at := l.net.k.Now()
	if l.shape.Bandwidth > 0 && size > 0 {
		l.busy = max(l.busy, at).Add(time.Duration(int64(size) * int64(time.Second) / l.shape.Bandwidth))
		at = l.busy
		l.shapers[Bandwidth].hit(size)
	}
	d := l.shape.Latency
	if l.shape.Jitter > 0 {
		d += upTo(l.stream, l.shape.Jitter)
	}
	if l.shape.TailShare.hits(l.stream) {
		d += upTo(l.stream, l.shape.Tail)
	}
	l.shapers[Latency].hit(size)
	return at.Add(d + l.lost(size))
}

// mostLosses bounds how often one segment is lost: TCP would give up as well, and
// a link that loses everything must not draw forever.
const mostLosses = 6

// lost draws how much later a segment arrives for being lost.
func (l *link) lost(size int) (late time.Duration) {
	rto := l.net.options.RTO
	for i := 0; i < mostLosses && l.shape.Loss.hits(l.stream); i++ {
		late += rto + upTo(l.stream, rto/4)
		rto = min(2*rto, l.net.options.MaxRTO)
		l.shapers[Loss].hit(size)
	}
	return late
}

// open reports whether bytes move.
func (l *link) open() bool { return len(l.blockers) == 0 }

// hold keeps a flow until the link opens.
func (l *link) hold(f *flow) {
	l.held = append(l.held, f)
	for _, a := range l.blockers {
		a.hit(f.queued)
	}
}

// resume lets everything go that a block has held: each flow when its sender's
// timer next fires.
func (l *link) resume() {
	held, owed := l.held, l.owed
	l.held, l.owed = nil, nil
	for _, f := range held {
		f.retry()
	}
	for _, f := range owed {
		f.owed = 0
		f.wakeWriter()
	}
}

// becomeBlocked breaks the connections over the link after the keep-alive time,
// unless it opens before.
func (l *link) becomeBlocked() {
	l.blocked++
	round, before := l.blocked, l.net.lastConn
	l.net.k.After(l.net.options.KeepAlive, func() {
		if l.open() || l.blocked != round {
			return
		}
		for _, c := range l.net.list() {
			if c.id <= before && c.joins(l.from, l.to) {
				c.client.timeOut()
				c.server.timeOut()
			}
		}
	})
}
