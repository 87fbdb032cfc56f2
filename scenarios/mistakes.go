package scenarios

import (
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/klammlog/klamm/node/client"
	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/peer"
	"github.com/klammlog/klamm/sim"
)

// operatorMistakes is the family of acts that nobody means, and that are legal.
const operatorMistakes Family = "operator-mistakes"

// mistakes is the scenario of them.
var mistakes = &Scenario{
	Name:      "mistakes",
	About:     "somebody unregisters brokers that only seem dead, gives one another port, has the topic take less than before, has a node of another cluster come here, starts copies of machines, and puts files where they do not belong; clients close what they do not use",
	Cluster:   safeCluster,
	Always:    []Family{operatorMistakes},
	Must:      []Family{operatorMistakes},
	Sometimes: []Family{"pause", "isolate", "crash", "graceful-stop", "reset", "half-open", "latency", "client-crash"},
	OneOf:     []Family{"pause", "isolate"},
	AtLeast:   2,
	AtMost:    5,
	Shape: func(o *Options, r *rand.Rand) {
		o.ClientIdle = pick(r, 300*time.Millisecond, time.Second)
		o.MessageMax, o.Oversized = 0, 0 // it is what the mistaken turn
		o.Raws = 2
		o.Safety = max(o.Safety, 8*time.Second)
	},
	TuneProcess: func(f *sim.Fault, r *rand.Rand) {
		if f.Kind == sim.FaultPause { // mostly for longer than its session
			f.For = 500*time.Millisecond + time.Duration(r.Int64N(int64(4*time.Second)))
		}
	},
	Reaches: []string{"a broker whose registration was removed registered anew", "a node of another cluster knocked", "a node has moved",
		"an idle connection was closed by the client"},
}

// A bungler makes mistakes, one after the other, until the faults end, and one in any case.
type bungler struct {
	machine
	draws *rand.Rand
	erred bool
	done  bool
}

func (r *run) newBungler(name string) *bungler {
	b := &bungler{draws: r.k.Rand("workload/" + name)}
	b.machine = r.newMachine(name, b.main)
	return b
}

// unfinished says that he is still at it, or "".
func (b *bungler) unfinished() string {
	if b.done {
		return ""
	}
	return b.node.Name() + " is not through with mistakes"
}

func (b *bungler) main() {
	cl, err := client.New(b.world, b.r.clientConfig(b.node.Name()))
	if err != nil {
		panic(err)
	}
	const acts = 30
	for !b.r.healed || !b.erred {
		switch b.draws.IntN(8) {
		case 0:
			b.knock()
		case 1, 2, 3:
			b.turnLimit(cl)
		case 4:
			b.move()
		default:
			b.unregister(cl)
		}
		b.world.Sleep(time.Duration(b.draws.Int64N(int64(2 * b.r.options.Safety / acts))))
	}
	for !b.limit(cl, usualLimit) { // so that everybody can finish
		b.world.Sleep(100 * time.Millisecond)
	}
	cl.Close(kafka.Never)
	b.done = true
}

func (b *bungler) soon() kafka.Instant { return b.world.Now().Add(b.r.requestTimeout) }

// unregister has the cluster forget brokers that it takes for dead: who lives comes back
// by itself. Blocks.
func (b *bungler) unregister(cl *client.Client) {
	for id := range b.r.options.Brokers {
		err := cl.UnregisterBroker(kafka.NodeID(1+id), b.soon())
		b.took(err == nil)
	}
}

// knock has a controller of another cluster send its messages here. It is refused.
// Blocks.
func (b *bungler) knock() {
	var voters []*brokerHost
	for _, n := range b.r.nodes {
		if n.seat.isVoter() {
			voters = append(voters, n)
		}
	}
	c, err := b.dialTo(pick(b.draws, voters...).seat.controllers())
	if err != nil {
		return
	}
	resp, err := c.ask(&peer.RaftStep{ClusterID: "another", From: 1, Messages: [][]byte{{8, 3, 16, 1}}}, b.soon())
	_ = c.net.Close()
	if err != nil {
		return
	}
	code := kafka.Error(resp.(*peer.RaftStepped).ErrorCode)
	if code == kafka.None {
		b.r.observer.complain(badInputRefused, b.node.Name()+": messages of another cluster's controller were taken")
	}
	b.took(code == kafka.ErrInconsistentClusterID)
}

// took counts a mistake that was made.
func (b *bungler) took(made bool) {
	b.erred = b.erred || made
	b.r.took(operatorMistakes, made)
}

// least is the least that the topic may take. Any record fits, and what producers batch
// does not always: klamm's client splits it, others are refused.
func (b *bungler) least() int { return b.r.options.ValueMax + 200 }

// usualLimit is Kafka's default.
const usualLimit = 1<<20 + 12

// turnLimit has the topic take less than before, or more. What was appended before is
// known all the same. Blocks.
func (b *bungler) turnLimit(cl *client.Client) {
	b.took(b.limit(cl, pick(b.draws, b.least(), b.least(), usualLimit)))
}

// limit reports whether the topic takes so much now. Blocks.
func (b *bungler) limit(cl *client.Client, bytes int) bool {
	limit := strconv.Itoa(bytes)
	change := client.Alteration{Resource: client.TopicSettings(topicName), Changes: []config.Change{client.SetConfig("max.message.bytes", limit)}}
	results, err := cl.IncrementalAlterConfigs([]client.Alteration{change}, client.CarryOut, b.soon())
	return err == nil && results[0].Err == nil
}

// otherPort is where the broker is that somebody has given another port.
const otherPort = 9192

// move stops the last broker and starts it with another port, or with the first again.
// Clients find it through the others.
func (b *bungler) move() {
	last := b.r.brokers[len(b.r.brokers)-1]
	if last.running == nil || last.stopping {
		return
	}
	last.seat.port = otherPort + clientPort - last.seat.port
	b.took(last.stop(time.Duration(b.draws.Int64N(int64(500 * time.Millisecond)))))
}
