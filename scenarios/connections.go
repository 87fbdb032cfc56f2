package scenarios

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/klammlog/klamm/node/kafka"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// manyConnections is the scenario of those who are served, and are many.
var manyConnections = &Scenario{
	Name:      "many-connections",
	About:     "hundreds of connections beside those of the honest clients: idle, waiting, and coming back all at once, under drawn limits",
	Always:    []Family{connectionStorm},
	Sometimes: []Family{"crash", "graceful-stop", "pause", "task-stall", "client-crash", "latency", "reset", "slow-receiver"},
	AtLeast:   1,
	AtMost:    4,
	Reaches:   []string{"a connection was one too many"},
}

// inviteCrowds draws how many connections come, and how many may.
func (o *Options) inviteCrowds(r *rand.Rand) {
	o.Crowds = 1 + r.IntN(3)
	o.CrowdSize = pick(r, 50, 150, 400)
	o.MaxIdle = pick(r, 0, 2*time.Second, 6*time.Second)
	// The limit by host keeps a crowd from taking what there is from the honest,
	// who have hosts of their own; that of all connections does not, and they come
	// again until there is room.
	o.MaxPerHost = int64(pick(r, 0, o.CrowdSize/2, o.CrowdSize))
	if r.IntN(2) == 0 {
		o.MaxConnections = int64(o.CrowdSize * o.Crowds * 3 / 4)
	}
}

// A crowd is a host with many connections. Each of its members has one, of which
// it asks little, and comes back when it ends; now and then all come back at once.
type crowd struct {
	machine
	draws   *rand.Rand
	running int           // members
	storm   kafka.Instant // when all come back next
	served  uint64        // answers
}

func (r *run) newCrowd(name string) *crowd {
	c := &crowd{draws: r.k.Rand("workload/" + name), running: r.options.CrowdSize}
	c.machine = r.newMachine(name, c.main)
	return c
}

// unfinished says how many members are still there, or "".
func (c *crowd) unfinished() string {
	if c.running == 0 {
		return ""
	}
	return fmt.Sprintf("%s has %d members left", c.node.Name(), c.running)
}

func (c *crowd) main() {
	for range c.r.options.CrowdSize {
		c.world.Go("member", func() {
			for !c.r.healed {
				c.visit()
			}
			c.running--
		})
	}
	for !c.r.healed {
		c.storm = c.world.Now().Add(time.Second + time.Duration(c.draws.Int64N(int64(4*time.Second))))
		c.world.Sleep(c.storm.Sub(c.world.Now()))
	}
}

// visit is the life of one connection. Blocks.
func (c *crowd) visit() {
	conn, err := c.dialRaw()
	if err != nil {
		c.world.Sleep(time.Duration(c.draws.Int64N(int64(time.Second))))
		return
	}
	until := c.storm
	for !c.r.healed && c.world.Now() < until {
		if !c.ask(conn) {
			break
		}
		// Most are idle most of the time.
		pause := pick(c.draws, 100*time.Millisecond, time.Second, 4*time.Second)
		c.world.Sleep(min(pause, max(until.Sub(c.world.Now()), 0)))
	}
	_ = conn.net.Close()
	c.world.Sleep(time.Duration(c.draws.Int64N(int64(50 * time.Millisecond))))
}

// ask makes one request and reports whether the connection is still good. Blocks.
func (c *crowd) ask(conn *rawConn) bool {
	req := c.request()
	answer, err := conn.ask(req, c.world.Now().Add(c.r.requestTimeout))
	if errors.Is(err, errNoAnswer) {
		c.r.observer.complain(answersInOrder, fmt.Sprintf("%s at %s: %v", c.node.Name(), c.r.k.Now(), err))
	}
	if err != nil {
		return false
	}
	if f, ok := answer.(*kmsg.FetchResponse); ok && len(f.Topics) == 0 {
		return false
	}
	c.served++
	c.r.took(connectionStorm, true)
	return true
}

// request draws what a member asks: what is cheap, or to wait for records that
// nobody will send.
func (c *crowd) request() kmsg.Request {
	if c.draws.IntN(3) == 0 {
		q := kmsg.NewPtrApiVersionsRequest()
		q.Version, q.ClientSoftwareName, q.ClientSoftwareVersion = 3, "crowd", "1"
		return q
	}
	if c.draws.IntN(2) == 0 {
		q := kmsg.NewPtrMetadataRequest()
		q.Version = 1
		q.Topics = []kmsg.MetadataRequestTopic{{Topic: kmsg.StringPtr(topicName)}}
		return q
	}
	q := kmsg.NewPtrFetchRequest()
	q.Version, q.ReplicaID, q.SessionEpoch = 11, -1, -1
	q.MaxWaitMillis, q.MinBytes, q.MaxBytes = int32(100+c.draws.IntN(1500)), 1<<20, 1000
	p := kmsg.NewFetchRequestTopicPartition()
	p.Partition, p.CurrentLeaderEpoch, p.PartitionMaxBytes = c.draws.Int32N(c.r.options.Partitions), -1, 1000
	q.Topics = []kmsg.FetchRequestTopic{{Topic: topicName, Partitions: []kmsg.FetchRequestTopicPartition{p}}}
	return q
}
