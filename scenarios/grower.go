package scenarios

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/klammlog/klamm/checker/delivery"
	"github.com/klammlog/klamm/node/client"
	"github.com/klammlog/klamm/node/kafka"
)

// A grower adds partitions to the workload's topic, creates others of its kind that
// grow too, and fills what it has made. Groups are to find all of it. Nobody else
// writes there. Its machine is spared by the faults.
type grower struct {
	machine
	draws  *rand.Rand
	topics []string         // of its own
	sizes  map[string]int32 // partitions by topic
	made   []grownPartition // and what is being made
	doing  string
	done   bool
}

// A grownPartition is one that was not there when the run began.
type grownPartition struct {
	tp     kafka.TopicPartition
	number int32        // among the partitions that groups are judged by
	end    kafka.Offset // once nothing more is written
}

// Bounds of what a grower makes.
const (
	grownTopics     = 2
	grownPartitions = 4 // of a topic, more than it began with
	grownRecords    = 20
)

func (r *run) newGrower(name string) *grower {
	g := &grower{draws: r.k.Rand("workload/" + name), sizes: map[string]int32{topicName: r.options.Partitions}, doing: "waiting for the topic"}
	g.machine = r.newMachine(name, g.main)
	return g
}

// numberOf returns the number by which groups are judged of a partition. Those that
// somebody else made are not judged.
func (r *run) numberOf(tp kafka.TopicPartition) (int32, bool) {
	if tp.Topic == topicName && tp.Partition < r.options.Partitions {
		return tp.Partition, true
	}
	if r.grower != nil {
		for _, p := range r.grower.made {
			if p.tp == tp {
				return p.number, true
			}
		}
	}
	return 0, false
}

// groupTopics are the topics that groups read.
func (r *run) groupTopics() []string {
	out := []string{topicName}
	if r.grower != nil && r.options.Pattern {
		out = append(out, r.grower.topics...)
	}
	return out
}

func (g *grower) unfinished() string {
	if g.done {
		return ""
	}
	return g.node.Name() + " is " + g.doing
}

func (g *grower) main() {
	cl, err := client.New(g.world, g.r.clientConfig(g.node.Name()))
	if err != nil {
		panic(err)
	}
	p, err := cl.NewProducer(client.DefaultProducer())
	if err != nil {
		panic(err)
	}
	for !g.r.healed {
		g.world.Sleep(time.Duration(g.draws.Int64N(int64(g.r.options.Safety) / 4)))
		topic := topicName
		if g.r.options.Pattern && g.draws.IntN(3) > 0 {
			topic = fmt.Sprintf("%s-%d", topicName, 1+g.draws.IntN(grownTopics))
		}
		g.grow(cl, p, topic)
	}
	g.doing = "closing its producer"
	p.Close(kafka.Never)
	for i := range g.made {
		g.readBack(cl, &g.made[i])
	}
	cl.Close(kafka.Never)
	g.done = true
}

func (g *grower) soon() kafka.Instant { return g.world.Now().Add(g.r.requestTimeout) }

// grow has a topic grow by a partition, or be created with one, and fills it. Blocks.
func (g *grower) grow(cl *client.Client, p *client.Producer, topic string) {
	size, there := g.sizes[topic]
	if there && size >= g.sizes[topicName]+grownPartitions || topic == topicName && size >= g.r.options.Partitions+grownPartitions {
		return
	}
	g.doing = fmt.Sprintf("having %s grow to %d partitions", topic, size+1)
	// Groups find it, and commit for it, before its maker is told that it is there.
	tp := kafka.TopicPartition{Topic: topic, Partition: size}
	g.made = append(g.made, grownPartition{tp: tp, number: g.r.options.Partitions + int32(len(g.made))})
	for !g.ask(cl, topic, size) {
		g.world.Sleep(50 * time.Millisecond)
	}
	if !there {
		g.topics = append(g.topics, topic)
	}
	g.sizes[topic] = size + 1
	g.doing = "filling " + tp.String()
	for i := range 1 + g.draws.IntN(grownRecords) {
		d, err := p.SendTo(tp.Partition, client.Record{Topic: topic, Value: fmt.Append(nil, "grown ", i)})
		if err != nil {
			continue // the buffer is full: fewer will do
		}
		_, _ = d.Wait(kafka.Never) // what is there in the end counts
	}
}

// ask makes a partition, and reports whether it is there. Blocks.
func (g *grower) ask(cl *client.Client, topic string, size int32) bool {
	var results []client.TopicResult
	var err error
	if size == 0 {
		made := client.NewTopic{Name: topic, Partitions: 1, Replicas: int16(g.r.options.Replicas), Configs: map[string]string{}}
		for _, p := range g.r.topicConfig() {
			made.Configs[p.Name] = p.Value
		}
		results, err = cl.CreateTopics([]client.NewTopic{made}, g.soon())
	} else {
		results, err = cl.CreatePartitions([]client.Growth{{Name: topic, Partitions: size + 1}}, client.CarryOut, g.soon())
	}
	if err == nil {
		err = results[0].Err
	}
	// An earlier attempt may have been carried out: then it is not larger than that.
	return err == nil || errors.Is(err, kafka.ErrTopicAlreadyExists) || errors.Is(err, kafka.ErrInvalidPartitions)
}

// readBack reads a partition from its start to its end. Blocks.
func (g *grower) readBack(cl *client.Client, p *grownPartition) {
	g.doing = "reading " + p.tp.String() + " back"
	for {
		found, err := cl.Offsets([]client.Place{{Partition: p.tp, From: client.Latest()}}, g.soon())
		if err == nil {
			p.end = found[0].Offset
			break
		}
		g.world.Sleep(50 * time.Millisecond)
	}
	consumer := cl.NewConsumer(client.DefaultConsumer())
	defer consumer.Close(kafka.Never)
	consumer.Assign(client.Place{Partition: p.tp, From: client.At(0)})
	for at := kafka.Offset(0); at < p.end; {
		records, err := consumer.Poll(g.world.Now().Add(time.Second), 1000)
		if err != nil {
			g.world.Sleep(50 * time.Millisecond)
		}
		for _, rec := range records {
			for int(p.number) >= len(g.r.remaining) {
				g.r.remaining = append(g.r.remaining, nil)
			}
			g.r.remaining[p.number] = append(g.r.remaining[p.number], delivery.Offset(rec.Offset))
			at = rec.Offset + 1
		}
	}
}
