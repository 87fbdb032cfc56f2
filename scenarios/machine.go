package scenarios

import (
	"fmt"
	"time"

	"github.com/klammlog/klamm/checker/history"
	"github.com/klammlog/klamm/node/client"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/sim"
	"github.com/klammlog/klamm/sim/world"
)

// A machine is a client's host: a program that is started again when it dies.
type machine struct {
	r           *run
	node        *sim.Node
	world       *env.World
	id          history.ClientID
	incarnation int32
	sequence    map[int32]int64 // sends of this incarnation, by partition
	main        func()
}

// newMachine adds a client's host to the run. Its program starts with start.
func (r *run) newMachine(name string, main func()) machine {
	node := r.k.NewNode(name)
	return machine{
		r: r, node: node, world: world.New(r.network, node), id: r.history.Client(name),
		sequence: map[int32]int64{}, main: main,
	}
}

func (m *machine) start() { m.node.Go("main", m.main) }

// restart begins the program's next incarnation. Before the topic is there nothing
// has begun; topicReady starts it then.
func (m *machine) restart() {
	m.node.Restart()
	m.incarnation++
	m.sequence = map[int32]int64{}
	if m.r.admin.ready {
		m.start()
	}
}

func (m *machine) nextSeq(partition int32) int64 {
	m.sequence[partition]++
	return m.sequence[partition]
}

// clientConfig is how every client of a run reaches the cluster.
func (r *run) clientConfig(name string) client.Config {
	c := client.DefaultConfig(r.bootstrap...)
	c.ClientID = name
	c.RequestTimeout = r.requestTimeout
	c.DialTimeout = r.requestTimeout / 2
	if idle := r.options.ClientIdle; idle > 0 {
		c.MaxIdle = idle
	}
	if r.options.grouped() {
		c.MetadataMaxAge = 500 * time.Millisecond // topics come and grow
	}
	c.OnCorrupt = func(broker kafka.NodeID, of kafka.TopicPartition, err error) {
		r.observer.complain(servesSound, fmt.Sprintf("%s at %s: broker %d served of %s what is not sound: %v", name, r.k.Now(), broker, of, err))
	}
	return c
}
