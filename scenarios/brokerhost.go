package scenarios

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/klammlog/klamm/checker/history"
	"github.com/klammlog/klamm/disksim"
	"github.com/klammlog/klamm/internal/assert"
	"github.com/klammlog/klamm/node"
	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/sim"
	"github.com/klammlog/klamm/sim/world"
)

// A brokerHost is a node's machine with its supervisor: what dies is started
// again, as systemd or an orchestrator would. Controllers have one too.
type brokerHost struct {
	r       *run
	seat    seat
	node    *sim.Node
	world   *env.World
	disk    *disksim.Disk
	address string // where clients find it

	running   *node.Node             // nil while it starts, stops, or is down
	held      map[place]kafka.Offset // what each log claimed to hold, the furthest ever
	starts    int
	losses    int // of power
	lastExit  error
	refusals  int  // to start, in a row
	hurtsSeen int  // damages of the disk that were looked at
	votesHurt bool // one of them was of what a voter must not forget
	scrubs    scrubbed
	ofOneHost hostCeiling
	stopping  bool
	absent    bool // it has not joined the cluster yet, or has left it
	stormy    *stormy
	tool      func(env.FS) // that is run once before the broker starts next
}

// restartPause is how long the supervisor waits before it starts a broker again
// that ended by itself.
const restartPause = 500 * time.Millisecond

// newBrokers adds every node of the cluster.
func (r *run) newBrokers() {
	for _, s := range r.options.seats() {
		b := r.newBroker(s)
		r.nodes = append(r.nodes, b)
		if s.isBroker() {
			r.brokers = append(r.brokers, b)
		}
		if s.isBroker() && !s.late {
			r.bootstrap = append(r.bootstrap, b.address)
		}
	}
}

func (r *run) newBroker(s seat) *brokerHost {
	n := r.k.NewNode(s.name)
	disk := disksim.New(r.k, diskOf(s.name), disksim.DrawOptions(r.k.Rand("options/disk")))
	return &brokerHost{r: r, seat: s, node: n, disk: disk, world: world.New(r.network, n, disk), address: s.clients(), absent: s.late}
}

// diskOf names the disk of a node.
func diskOf(node string) string { return node + "/0" }

// nodeNamed returns the node of that name, or nil.
func (r *run) nodeNamed(name string) *brokerHost {
	for _, b := range r.nodes {
		if b.seat.name == name {
			return b
		}
	}
	return nil
}

// config returns the broker's settings: the options, and over them what was set
// by hand.
func (b *brokerHost) config() []config.Pair {
	pairs := append(b.r.options.Cluster.pairs(b.seat), []config.Pair{
		{Name: "log.flush", Value: b.r.options.Flush},
		{Name: "auto.create.topics.enable", Value: "false"},
		{Name: "log.retention.check.interval.ms", Value: strconv.FormatInt(b.r.options.CheckInterval.Milliseconds(), 10)},
		{Name: "log.scrub.interval.ms", Value: strconv.FormatInt(b.r.options.scrubInterval().Milliseconds(), 10)},
		{Name: "log.cleaner.backoff.ms", Value: strconv.FormatInt(b.r.options.CheckInterval.Milliseconds(), 10)},
	}...)
	pairs = append(pairs, b.r.options.ConnectionLimits.pairs()...)
	pairs = append(pairs, b.r.options.Grouping.pairs()...)
	return append(pairs, b.r.settings.broker...)
}

// topicConfig returns the topic's settings, likewise.
func (r *run) topicConfig() []config.Pair {
	o := r.options
	pairs := []config.Pair{
		{Name: "internal.segment.bytes", Value: strconv.FormatInt(o.SegmentBytes, 10)},
		{Name: "index.interval.bytes", Value: strconv.FormatInt(o.IndexInterval, 10)},
	}
	if o.RetentionBytes > 0 {
		pairs = append(pairs, config.Pair{Name: "retention.bytes", Value: strconv.FormatInt(o.RetentionBytes, 10)})
	}
	if o.MessageMax > 0 {
		pairs = append(pairs, config.Pair{Name: "max.message.bytes", Value: strconv.FormatInt(o.MessageMax, 10)})
	}
	if o.FlushMessages > 0 && o.Flush == "os" {
		pairs = append(pairs, config.Pair{Name: "flush.messages", Value: strconv.FormatInt(o.FlushMessages, 10)})
	}
	pairs = append(pairs, o.Keeping.pairs()...)
	return append(pairs, r.settings.topic...)
}

// start runs the broker's process.
func (b *brokerHost) start() {
	b.starts++
	b.node.Go("main", b.main)
	b.stormy.started(b)
}

// main is the life of one process: it ends when the broker cannot go on, and the
// supervisor starts the next one.
func (b *brokerHost) main() {
	if tool := b.tool; tool != nil {
		b.tool = nil
		tool(b.world.LogDirs[0].FS)
	}
	settings, err := config.NewBroker(b.config())
	assert.NoError(err)
	n, err := node.Start(b.world, node.Config{Settings: settings})
	if err != nil {
		b.world.Log.Error("the broker did not start", "err", err)
		b.exit(err)
		b.refuses()
		return
	}
	b.running, b.refusals = n, 0
	b.r.observer.started(b)
	for n.Failed() == nil && !b.stopping {
		b.world.Sleep(watchPause)
	}
	if !b.stopping {
		b.exit(n.Failed())
	}
}

// watchPause is how often the supervisor looks whether the broker can go on.
const watchPause = 100 * time.Millisecond

// exit ends the process, once the running task is off the stack, and starts it
// again after a pause.
func (b *brokerHost) exit(why error) {
	b.lastExit = why
	k := b.r.k
	incarnation := b.node.Incarnation()
	k.After(0, func() {
		if b.node.Alive() && b.node.Incarnation() == incarnation {
			b.down()
			k.After(restartPause, b.bringUp)
		}
	})
}

// down kills the process.
func (b *brokerHost) down() {
	b.r.observer.stopped(b)
	b.r.killedAt = b.r.k.Now()
	b.running, b.stopping = nil, false
	b.node.Crash()
}

// bringUp starts the broker again if it is down.
func (b *brokerHost) bringUp() {
	if b.node.Alive() || b.absent {
		return
	}
	b.r.network.MachineUp(b.node.Name())
	b.r.mark(history.Restart, b.node.Name(), "")
	b.node.Restart()
	b.start()
}

// crash kills the process and reports whether there was one.
func (b *brokerHost) crash() bool {
	if !b.node.Alive() || b.absent {
		return false
	}
	b.r.mark(history.Crash, b.node.Name(), "")
	b.down()
	return true
}

// losePower cuts the machine's power: its connections are gone without a word, and
// of what was not synced a legal subset survives.
func (b *brokerHost) losePower() bool {
	if b.absent {
		return false
	}
	b.r.mark(history.PowerLoss, b.node.Name(), "")
	b.r.network.MachineDown(b.node.Name())
	wasAlive := b.node.Alive()
	if wasAlive {
		b.down()
	}
	pending := b.disk.Pending()
	b.disk.PowerLoss(b.r.profile())
	if w := b.r.observer.cluster; w != nil {
		w.lostPower(b)
	}
	b.losses++
	return wasAlive || pending > 0
}

// lostPageCache reports whether the machine has lost what was written and not synced.
func (b *brokerHost) lostPageCache() bool {
	return b.losses > 0 || b.struck(func(k disksim.FaultKind) bool { return losesPageCache(Family(k)) })
}

// forgot reports whether the machine may have lost something that it held.
func (b *brokerHost) forgot() bool {
	return b.r.drawn.Flush == "os" && b.lostPageCache() || b.struck(disksim.FaultKind.Destroys)
}

func (b *brokerHost) struck(by func(disksim.FaultKind) bool) bool {
	return slices.ContainsFunc(b.disk.Struck(), func(c disksim.Count) bool { return by(c.Kind) })
}

// stop asks the broker to end cleanly, kills it if it does not, and starts it
// again after a while.
func (b *brokerHost) stop(away time.Duration) bool {
	if b.running == nil || b.stopping {
		return false
	}
	b.stopping = true
	n, incarnation := b.running, b.node.Incarnation()
	b.node.Go("stop", func() {
		b.lastExit = n.Stop(b.world.Now().Add(stopPatience))
		b.running = nil
		b.exit(b.lastExit)
	})
	b.r.k.After(stopPatience+away, func() {
		if b.node.Alive() && b.node.Incarnation() == incarnation && b.stopping {
			b.down()
		}
		b.bringUp()
	})
	return true
}

// stopPatience is how long a clean stop may take before the process is killed.
const stopPatience = 5 * time.Second

// pending says why the broker is not well after the heal, or "".
func (b *brokerHost) pending() string {
	switch {
	case b.running != nil, b.absent:
		return ""
	case b.lastExit != nil:
		return fmt.Sprintf("%s is down: it ended with: %v", b.node.Name(), b.lastExit)
	}
	return fmt.Sprintf("%s has not started (%d starts)", b.node.Name(), b.starts)
}

// state prints the node as it is; if it does not run, pending says so.
func (b *brokerHost) state() []string {
	if b.running == nil {
		return nil
	}
	out := []string{fmt.Sprintf("%s runs (%d starts, %d tasks)", b.node.Name(), b.starts, len(b.node.LiveTasks()))}
	for _, v := range b.running.Partitions() {
		out = append(out, fmt.Sprintf("%s %s of %s in leader epoch %d, in sync %v, log start %d, high watermark %d, durable %d, log end %d",
			b.seat.name, v.Role, v.Partition, v.LeaderEpoch, v.ISR, v.LogStart, v.HighWatermark, v.Durable, v.LogEnd))
	}
	return out
}
