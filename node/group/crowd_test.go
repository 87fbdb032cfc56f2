package group

import (
	"fmt"
	"testing"
	"time"

	"github.com/klammlog/klamm/internal/assert"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/machine"
)

// A crowd is a group whose members do what they are told at once. Its changes end when
// the group is stable again.
type crowd interface {
	join()  // one more
	leave() // the last one
	spent() cost
}

// A cost is what something took.
type cost struct{ requests, answers, told, records, logged int } // told and logged are bytes

// spent returns what it took since it was asked last.
func (st *stage) spent(requests *int) cost {
	c := cost{requests: *requests, answers: len(st.answers)}
	for _, a := range st.answers {
		c.told += sizeOf(a.Value)
	}
	for _, a := range st.appends {
		for _, r := range a.Records {
			c.records, c.logged = c.records+1, c.logged+len(r.Key)+len(r.Value)
		}
	}
	st.answers, st.appends, st.log, *requests = nil, nil, nil, 0
	return c
}

// sizeOf is about how many bytes an answer has on the wire.
func sizeOf(answer any) int {
	switch a := answer.(type) {
	case JoinResponse:
		n := 12 + len(a.ProtocolType) + len(a.Protocol) + len(a.Leader) + len(a.Member)
		for _, m := range a.Members {
			n += 6 + len(m.ID) + len(m.Instance) + len(m.Metadata)
		}
		return n
	case SyncResponse:
		return 10 + len(a.ProtocolType) + len(a.Protocol) + len(a.Assignment)
	case *ConsumerHeartbeatResponse:
		n := 16 + len(a.Member)
		for _, t := range a.Assigned {
			n += 18 + 4*len(t.Partitions)
		}
		return n
	}
	return 6 // a code
}

// A classicCrowd is a group of the classic protocol.
type classicCrowd struct {
	*stage
	ids        []string
	generation Generation
	requests   int
}

// newClassicCrowd has n members join at once.
func newClassicCrowd(n int) *classicCrowd {
	c := &classicCrowd{stage: newStage()}
	c.reload()
	for range n {
		c.invite()
	}
	for _, id := range c.ids {
		c.ask(func(t machine.Ticket) { c.shard.Join(c.now, t, joining(id, 20*time.Minute)) })
	}
	c.until(c.now.Now.Add(2 * c.limits.InitialDelay)) // once more after somebody has come
	c.sync()
	return c
}

// ask sends a request.
func (c *classicCrowd) ask(send func(machine.Ticket)) {
	c.requests++
	send(c.next())
	c.settle()
}

func joining(id string, session time.Duration) JoinRequest {
	return JoinRequest{Group: "g", Member: id, ProtocolType: "consumer", Session: session, RebalanceTimeout: time.Minute, Version: 9,
		Protocols: []Protocol{{"range", subscribing("orders")}}, Client: Client{ID: "orders-service-00000000-0000-0000-0000"}}
}

// invite has a new member be given its id.
func (c *classicCrowd) invite() {
	c.ask(func(t machine.Ticket) { c.shard.Join(c.now, t, joining("", 20*time.Minute)) })
	c.ids = append(c.ids, c.answers[len(c.answers)-1].Value.(JoinResponse).Member)
}

// sync has all members ask what they are assigned, the leader last.
func (c *classicCrowd) sync() {
	last := c.answers[len(c.answers)-1].Value.(JoinResponse)
	assert.That(last.Error == kafka.None && last.Generation == c.generation+1, "%+v", last)
	c.generation++
	lead := SyncRequest{Group: "g", Member: last.Leader, Generation: c.generation}
	for _, id := range c.ids {
		lead.Assignments = append(lead.Assignments, Assignment{id, []byte("0123456789abcdef")})
		if id != lead.Member {
			c.ask(func(t machine.Ticket) {
				c.shard.Sync(c.now, t, SyncRequest{Group: "g", Member: id, Generation: c.generation})
			})
		}
	}
	c.ask(func(t machine.Ticket) { c.shard.Sync(c.now, t, lead) })
}

// gather has members hear of a rebalance, and join it.
func (c *classicCrowd) gather(ids []string) {
	for _, id := range ids {
		c.ask(func(t machine.Ticket) {
			c.shard.Heartbeat(c.now, t, HeartbeatRequest{Group: "g", Member: id, Generation: c.generation})
		})
		c.ask(func(t machine.Ticket) { c.shard.Join(c.now, t, joining(id, 20*time.Minute)) })
	}
	c.sync()
}

func (c *classicCrowd) join() {
	c.invite()
	last := len(c.ids) - 1
	c.ask(func(t machine.Ticket) { c.shard.Join(c.now, t, joining(c.ids[last], 20*time.Minute)) })
	c.gather(c.ids[:last])
}

func (c *classicCrowd) leave() {
	last := len(c.ids) - 1
	id := c.ids[last]
	c.ids = c.ids[:last]
	c.ask(func(t machine.Ticket) {
		c.shard.Leave(c.now, t, LeaveRequest{Group: "g", Members: []Leaver{{Member: id}}, Version: 3})
	})
	c.gather(c.ids)
}

func (c *classicCrowd) spent() cost { return c.stage.spent(&c.requests) }

// A modernCrowd is a group of KIP-848, with a topic of two partitions for each member.
type modernCrowd struct {
	*stage
	ids      []string
	epochs   []int32
	owned    [][]TopicPartitions
	requests int
}

// newModernCrowd has n members join at once: their heartbeats are there before the
// first append is committed.
func newModernCrowd(n int) *modernCrowd {
	c := &modernCrowd{stage: newStage()}
	c.topics = catalog{{"orders", kafka.TopicID{1}, int32(2 * n)}}
	c.reload()
	c.hold = true
	for range n {
		c.arrive()
	}
	c.hold = false
	c.read()
	c.reconcile()
	return c
}

// newModernQueue has n members join one after the other, each as soon as the one
// before has been answered.
func newModernQueue(n int) *modernCrowd {
	c := &modernCrowd{stage: newStage()}
	c.topics = catalog{{"orders", kafka.TopicID{1}, int32(2 * n)}}
	c.reload()
	for range n {
		c.arrive()
		c.read()
	}
	c.reconcile()
	return c
}

// arrive has one more member send its first heartbeat.
func (c *modernCrowd) arrive() {
	c.ids = append(c.ids, fmt.Sprintf("00000000-0000-0000-0000-%012d", len(c.ids)))
	c.epochs, c.owned = append(c.epochs, 0), append(c.owned, nil)
	c.beat(len(c.ids) - 1)
}

// beat sends a member's heartbeat.
func (c *modernCrowd) beat(i int) {
	q := ConsumerHeartbeatRequest{Group: "g", Member: c.ids[i], Epoch: c.epochs[i], RebalanceTimeout: -1, Version: 1}
	if q.Epoch == 0 {
		q.RebalanceTimeout, q.Topics = time.Minute, []string{"orders"}
	} else {
		q.Owned = c.owned[i]
	}
	c.requests++
	c.shard.ConsumerHeartbeat(c.now, machine.Ticket(i+1), q)
}

// read has members do what they are told.
func (c *modernCrowd) read() {
	seen := len(c.answers)
	for c.settle(); seen < len(c.answers); seen++ {
		a := c.answers[seen]
		v := a.Value.(*ConsumerHeartbeatResponse)
		i := int(a.Ticket) - 1
		assert.That(v.Error == kafka.None, "%+v", v)
		c.epochs[i] = v.Epoch
		if v.Assigned != nil {
			c.owned[i] = v.Assigned
		}
	}
}

// reconcile has all members send heartbeats until the group is stable.
func (c *modernCrowd) reconcile() {
	for range 8 {
		for i := range c.ids {
			c.beat(i)
			c.read()
		}
		if c.shard.groups.get("g").consumer.state() == "Stable" {
			return
		}
	}
	assert.That(false, "the group is %s", c.shard.groups.get("g").consumer.state())
}

func (c *modernCrowd) join() {
	c.arrive()
	c.read()
	c.reconcile()
}

func (c *modernCrowd) leave() {
	last := len(c.ids) - 1
	c.epochs[last] = LeaveEpoch
	c.beat(last)
	c.settle()
	c.ids, c.epochs, c.owned = c.ids[:last], c.epochs[:last], c.owned[:last]
	c.reconcile()
}

func (c *modernCrowd) spent() cost { return c.stage.spent(&c.requests) }

// crowds are the ways in which groups of both protocols come to be.
var crowds = []struct {
	name string
	most int // members that are worth waiting for
	come func(n int) crowd
}{
	{"classic", 10_000, func(n int) crowd { return newClassicCrowd(n) }},
	{"consumer", 1_000, func(n int) crowd { return newModernCrowd(n) }},
}

// Time, messages and bytes that it takes until a group is stable, when all members
// join at once, when one more joins and when one leaves: look at what it is for each
// member, which does not grow with their number.
func BenchmarkGroup(b *testing.B) {
	for _, c := range crowds {
		for _, n := range []int{10, 100, 1_000, 10_000} {
			if n > c.most {
				continue
			}
			b.Run(fmt.Sprintf("%s/all-join/members=%d", c.name, n), func(b *testing.B) {
				var took cost
				for b.Loop() {
					took = c.come(n).spent()
				}
				took.report(b, n)
			})
			b.Run(fmt.Sprintf("%s/one-joins/members=%d", c.name, n), func(b *testing.B) {
				benchmarkChange(b, n, c.come(n), crowd.join, crowd.leave)
			})
			b.Run(fmt.Sprintf("%s/one-leaves/members=%d", c.name, n), func(b *testing.B) {
				g := c.come(n)
				g.join()
				benchmarkChange(b, n, g, crowd.leave, crowd.join)
			})
		}
	}
}

// Members of KIP-848 that come one after the other are assigned anew each time: this
// is as many times what one costs that joins.
func BenchmarkModernQueue(b *testing.B) {
	for _, n := range []int{10, 100, 1_000} {
		b.Run(fmt.Sprintf("members=%d", n), func(b *testing.B) {
			var took cost
			for b.Loop() {
				took = newModernQueue(n).spent()
			}
			took.report(b, n)
		})
	}
}

// benchmarkChange times a change, and not what undoes it.
func benchmarkChange(b *testing.B, n int, g crowd, change, undo func(crowd)) {
	g.spent()
	var took cost
	for b.Loop() {
		change(g)
		b.StopTimer()
		took = g.spent()
		undo(g)
		g.spent()
		b.StartTimer()
	}
	took.report(b, n)
}

// report tells of a cost for each of n members.
func (c cost) report(b *testing.B, n int) {
	per := func(of float64, unit string) { b.ReportMetric(of/float64(n), unit+"/member") }
	per(float64(b.Elapsed().Nanoseconds())/float64(b.N), "ns")
	per(float64(c.requests), "requests")
	per(float64(c.told), "told-B")
	per(float64(c.records), "records")
	per(float64(c.logged), "logged-B")
}

// A thousand members cost each of them no more than a hundred do, in requests,
// answers, records, bytes and allocations: when they come, when one more does, and
// when one goes.
func TestGroupsAreLinear(t *testing.T) {
	for _, c := range crowds {
		for _, change := range []struct {
			name string
			do   func(n int) func() cost
		}{
			{"all join", func(n int) func() cost { return func() cost { return c.come(n).spent() } }},
			{"one joins, one leaves", func(n int) func() cost {
				g := c.come(n)
				g.spent()
				return func() cost { g.join(); g.leave(); return g.spent() }
			}},
		} {
			few, many := perMember(100, change.do(100)), perMember(1_000, change.do(1_000))
			for i, what := range []string{"requests", "answers", "bytes of answers", "records", "bytes of records", "allocations"} {
				if many[i] > 1.3*few[i] {
					t.Errorf("%s, %s: %.1f %s for each of 100 members, %.1f for each of 1,000", c.name, change.name, few[i], what, many[i])
				}
			}
		}
	}
}

func perMember(n int, do func() cost) []float64 {
	var c cost
	allocations := testing.AllocsPerRun(1, func() { c = do() })
	out := []float64{float64(c.requests), float64(c.answers), float64(c.told), float64(c.records), float64(c.logged), allocations}
	for i := range out {
		out[i] /= float64(n)
	}
	return out
}
