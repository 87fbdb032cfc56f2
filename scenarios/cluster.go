package scenarios

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/klammlog/klamm/node/config"
)

// A Cluster says which nodes a run has and how they replicate.
type Cluster struct {
	Brokers     int // 1: one on its own
	Controllers int // nodes that are controllers only; 0: brokers are the voters
	Spares      int // brokers that join later, besides
	Voters      int // of the controllers' quorum: so many of the brokers, or all Controllers
	Racks       int // that the brokers are in; 0: none is named
	Replicas    int // of each partition
	MinISR      int
	Loser       string // the only node that may lose what it acknowledged; "" where none may
	Unclean     bool   // unclean.leader.election.enable
	Rebalance   bool   // auto.leader.rebalance.enable

	SpareControllers int // that join later, beside Controllers

	LagMax   time.Duration // replica.lag.time.max.ms
	LagMost  int           // replica.lag.max.messages; 0: no limit
	Session  time.Duration // broker.session.timeout.ms
	Beat     time.Duration // broker.heartbeat.interval.ms
	Election time.Duration // controller.quorum.election.timeout.ms

	SnapshotBytes int // metadata.log.max.record.bytes.between.snapshots

	Near int // hosts that read from any replica; with them consumers read from the nearest

	Throttle int64 // bytes a second that a steward lets brokers copy of what is not in sync; 0: no limit
}

// alone is the cluster of one broker.
func alone() Cluster { return Cluster{Brokers: 1, Voters: 1, Replicas: 1, MinISR: 1} }

// clustered reports whether there is more than one node.
func (c Cluster) clustered() bool { return c.Brokers+c.Controllers > 1 }

// drawCluster draws a cluster of several nodes: times are short, for runs last
// seconds.
func drawCluster(r *rand.Rand) Cluster {
	c := Cluster{
		Brokers:   pick(r, 3, 3, 3, 5),
		Rebalance: r.IntN(2) == 0,
		Racks:     pick(r, 0, 0, 2, 3),
		LagMax:    pick(r, 500*time.Millisecond, time.Second, 3*time.Second),
		Session:   pick(r, 600*time.Millisecond, time.Second, 2*time.Second),
		Election:  pick(r, 100*time.Millisecond, 200*time.Millisecond, 500*time.Millisecond),
	}
	c.Beat = c.Session / 5
	c.SnapshotBytes = pick(r, 1000, 10_000, 20<<20)
	c.Voters = pick(r, 3, 3, c.Brokers)
	if r.IntN(3) == 0 {
		c.Controllers, c.Voters = 3, 3
	}
	c.Replicas = pick(r, 3, 3, 3, 3, 2, min(c.Brokers, 5), 1)
	c.MinISR = 1
	if c.Replicas > 2 {
		c.MinISR = pick(r, 2, 2, 2, 1, c.Replicas)
	} else if c.Replicas == 2 {
		c.MinISR = pick(r, 1, 2)
	}
	return c
}

func (c Cluster) String() string {
	out := fmt.Sprintf("brokers=%d spares=%d controllers=%d voters=%d racks=%d replicas=%d min.insync.replicas=%d loser=%s unclean=%t rebalance=%t lag.max=%s session=%s beat=%s election=%s snapshot.bytes=%d throttle=%d",
		c.Brokers, c.Spares, c.Controllers, c.Voters, c.Racks, c.Replicas, c.MinISR, c.Loser, c.Unclean, c.Rebalance, c.LagMax, c.Session, c.Beat, c.Election, c.SnapshotBytes, c.Throttle)
	if c.LagMost > 0 {
		out += fmt.Sprintf(" lag.max.messages=%d", c.LagMost)
	}
	if c.Near > 0 {
		out += fmt.Sprintf(" near=%d", c.Near)
	}
	if c.SpareControllers > 0 {
		out += fmt.Sprintf(" spare.controllers=%d", c.SpareControllers)
	}
	return out
}

// A role is what a node does in the cluster.
type role string

const (
	both        role = "broker,controller"
	brokerOnly  role = "broker"
	controlOnly role = "controller"
)

// A seat is one node's place in the cluster: its name, its number, its role.
type seat struct {
	name string
	id   int
	role role
	rack string
	port int  // of a broker, for clients
	late bool // it joins when it is told to
}

// Ports of a node.
const (
	clientPort     = 9092
	controllerPort = 9093
)

func (s seat) clients() string     { return fmt.Sprintf("%s:%d", s.name, s.port) }
func (s seat) controllers() string { return fmt.Sprintf("%s:%d", s.name, controllerPort) }
func (s seat) isBroker() bool      { return s.role != controlOnly }
func (s seat) isVoter() bool       { return s.role != brokerOnly }

// firstController is the number of the first node that is a controller only.
const firstController = 101

// seats lists the nodes of the cluster: brokers n1, n2, …, then controllers that
// are nothing else, q1, q2, ….
func (c Cluster) seats() []seat {
	var out []seat
	for i := range c.Brokers + c.Spares {
		s := seat{name: fmt.Sprintf("n%d", i+1), id: i + 1, role: brokerOnly, port: clientPort, late: i >= c.Brokers}
		if c.Controllers == 0 && i < min(c.Voters, c.Brokers) {
			s.role = both
		}
		if c.Racks > 0 {
			s.rack = rackOf(i % c.Racks)
		}
		out = append(out, s)
	}
	for i := range c.Controllers + c.SpareControllers {
		out = append(out, seat{name: fmt.Sprintf("q%d", i+1), id: firstController + i, role: controlOnly, late: i >= c.Controllers})
	}
	return out
}

func rackOf(n int) string { return fmt.Sprintf("rack%d", 1+n) }

// pairs returns the settings that give a node its place. One on its own needs
// none: it is the only voter of its own quorum.
func (c Cluster) pairs(s seat) []config.Pair {
	out := []config.Pair{{Name: "node.id", Value: strconv.Itoa(s.id)}}
	add := func(name, value string) { out = append(out, config.Pair{Name: name, Value: value}) }
	if !c.clustered() {
		add("listeners", "PLAINTEXT://"+s.clients())
		return out
	}
	var listeners, voters []string
	if s.isBroker() {
		listeners = append(listeners, "PLAINTEXT://"+s.clients())
	}
	if s.isVoter() {
		listeners = append(listeners, "CONTROLLER://"+s.controllers())
	}
	for _, other := range c.seats() {
		if other.isVoter() && !other.late {
			voters = append(voters, fmt.Sprintf("%d@%s", other.id, other.controllers()))
		}
	}
	add("process.roles", string(s.role))
	add("listeners", strings.Join(listeners, ","))
	add("controller.quorum.voters", strings.Join(voters, ","))
	// Who lost its disk comes back by itself, but for where the steward says who votes.
	add("controller.quorum.auto.join.enable", strconv.FormatBool(c.SpareControllers == 0))
	if s.rack != "" {
		add("broker.rack", s.rack)
	}
	if c.Near > 0 {
		add("replica.selector.class", selector)
	}
	millis := func(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }
	add("replica.lag.time.max.ms", millis(c.LagMax))
	if c.LagMost > 0 {
		add("replica.lag.max.messages", strconv.Itoa(c.LagMost))
	}
	add("broker.session.timeout.ms", millis(c.Session))
	add("broker.heartbeat.interval.ms", millis(c.Beat))
	add("controller.quorum.election.timeout.ms", millis(c.Election))
	add("auto.leader.rebalance.enable", strconv.FormatBool(c.Rebalance))
	add("leader.imbalance.check.interval.seconds", "1")
	add("metadata.log.max.record.bytes.between.snapshots", strconv.Itoa(c.SnapshotBytes))
	// Of all topics, whoever creates them.
	if c.Throttle > 0 {
		add("replica.fetch.max.bytes", strconv.Itoa(throttledFetch)) // so that a replica is many fetches
	}
	add("min.insync.replicas", strconv.Itoa(c.MinISR))
	add("unclean.leader.election.enable", strconv.FormatBool(c.Unclean))
	return out
}
