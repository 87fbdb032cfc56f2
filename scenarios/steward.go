package scenarios

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/klammlog/klamm/node/client"
	"github.com/klammlog/klamm/node/kafka"
)

// replicaMoves is the family of stewards.
const replicaMoves Family = "replica-moves"

// A steward moves the replicas of the workload's topic from broker to broker, takes
// that back, and has leaders elected, while everything else goes on. He asks as often
// as he is not answered: what he asks for can be done twice.
type steward struct {
	machine
	draws *rand.Rand
	doing string
	done  bool
}

func (r *run) newSteward(name string) *steward {
	s := &steward{draws: r.k.Rand("workload/" + name)}
	s.machine = r.newMachine(name, s.main)
	return s
}

// inviteSteward draws how often he acts.
func (o *Options) inviteSteward(r *rand.Rand) { o.StewardActs = pick(r, 10, 25, 60) }

// unfinished says what he is at, or "".
func (s *steward) unfinished() string {
	if s.done {
		return ""
	}
	return s.node.Name() + " is " + s.doing
}

func (s *steward) main() {
	cl, err := client.New(s.world, s.r.clientConfig(s.node.Name()))
	if err != nil {
		panic(err)
	}
	if s.r.options.Spares > 0 {
		s.resize(cl)
	}
	s.throttle(cl)
	pause := 2 * s.r.options.Safety / time.Duration(s.r.options.StewardActs)
	for !s.r.healed {
		s.act(cl)
		s.world.Sleep(time.Duration(s.draws.Int64N(int64(pause))))
	}
	s.unthrottle(cl)
	s.doing = "waiting for the last replica to be moved"
	for {
		moving, err := cl.ListPartitionReassignments(nil, s.soon())
		if err == nil && len(moving) == 0 {
			break
		}
		if err == nil {
			s.doing = fmt.Sprintf("waiting for %s to be moved to %v", moving[0].Partition, moving[0].Replicas)
		}
		s.world.Sleep(100 * time.Millisecond)
	}
	cl.Close(kafka.Never)
	s.done = true
}

func (s *steward) soon() kafka.Instant { return s.world.Now().Add(s.r.requestTimeout) }

// act does something drawn. Blocks.
func (s *steward) act(cl *client.Client) {
	tp := s.r.partition(s.draws.Int64N(int64(s.r.options.Partitions)))
	switch s.draws.IntN(8) {
	case 0:
		s.doing = "cancelling a move"
		s.reassign(cl, client.Reassignment{Partition: tp})
	case 1:
		s.doing = "electing a preferred leader"
		s.took(cl.ElectLeaders(client.PreferredElection, []kafka.TopicPartition{tp}, s.soon()))
	case 2:
		s.doing = "electing all preferred leaders"
		s.took(cl.ElectLeaders(client.PreferredElection, nil, s.soon()))
	case 3:
		s.doing = "looking at the quorum"
		s.look(cl)
	default:
		s.doing = "moving a replica"
		s.reassign(cl, client.Reassignment{Partition: tp, Replicas: s.drawReplicas()})
	}
}

// members returns the brokers of the cluster.
func (s *steward) members() []kafka.NodeID {
	var ids []kafka.NodeID
	for _, b := range s.r.brokers {
		if !b.absent {
			ids = append(ids, kafka.NodeID(b.seat.id))
		}
	}
	return ids
}

// drawReplicas draws where a partition shall lie.
func (s *steward) drawReplicas() []kafka.NodeID {
	ids := s.members()
	s.draws.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
	return ids[:min(len(ids), s.r.options.Replicas)]
}

func (s *steward) reassign(cl *client.Client, want client.Reassignment) {
	s.took(cl.AlterPartitionReassignments([]client.Reassignment{want}, s.soon()))
}

// took counts what was done.
func (s *steward) took(results []client.PartitionResult, err error) {
	s.r.took(replicaMoves, err == nil && slices.ContainsFunc(results, func(p client.PartitionResult) bool { return p.Err == nil }))
}

// look asks who the controllers are: they tell of one leader, who votes.
func (s *steward) look(cl *client.Client) {
	q, err := cl.DescribeQuorum(s.soon())
	if err != nil {
		return
	}
	if !slices.ContainsFunc(q.Voters, func(v client.QuorumReplica) bool { return v.ID == q.Leader }) {
		s.r.observer.complain(describesTruly, fmt.Sprintf("%s at %s: the quorum of voters %v has the leader %d", s.node.Name(), s.r.k.Now(), q.Voters, q.Leader))
	}
}
