package group

import (
	"fmt"
	"testing"
	"time"

	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/machine"
)

// crowd is a stable classic group of n members.
func crowd(n int) (*stage, []string) {
	st := newStage()
	st.limits.InitialDelay = 0
	st.reload()
	var ids []string
	for range n {
		st.shard.Join(st.now, st.next(), joining("", 20*time.Minute))
	}
	st.until(1)
	for _, a := range st.answers {
		ids = append(ids, a.Value.(JoinResponse).Member)
	}
	st.answers = nil
	syncAll(st, ids, 1)
	return st, ids
}

func joining(id string, session time.Duration) JoinRequest {
	return JoinRequest{Group: "g", Member: id, ProtocolType: "consumer", Session: session, RebalanceTimeout: time.Minute,
		Protocols: []Protocol{{"range", subscribing("orders")}}, Client: Client{ID: "c"}}
}

func syncAll(st *stage, ids []string, g Generation) {
	r := SyncRequest{Group: "g", Member: ids[0], Generation: g}
	for _, id := range ids {
		r.Assignments = append(r.Assignments, Assignment{id, []byte("0123456789abcdef")})
	}
	st.shard.Sync(st.now, st.next(), r)
	for _, id := range ids[1:] {
		st.shard.Sync(st.now, st.next(), SyncRequest{Group: "g", Member: id, Generation: g})
	}
	st.settle()
}

// rebalance has every member join anew, and be assigned.
func (st *stage) rebalance(ids []string, g Generation) {
	for _, id := range ids {
		st.shard.Join(st.now, st.next(), joining(id, 20*time.Minute))
	}
	st.settle()
	syncAll(st, ids, g)
}

// A rebalance answers each member twice, makes one append, and takes time in
// proportion to the members: look at ns/member.
func BenchmarkClassicRebalance(b *testing.B) {
	for _, n := range []int{100, 1_000, 10_000} {
		b.Run(fmt.Sprintf("members=%d", n), func(b *testing.B) {
			st, ids := crowd(n)
			st.answers, st.appends, st.log = nil, nil, nil
			g := Generation(1)
			for b.Loop() {
				g++
				st.rebalance(ids, g)
				if len(st.answers) != 2*n || len(st.appends) != 1 {
					b.Fatalf("%d answers, %d appends", len(st.answers), len(st.appends))
				}
				st.answers, st.appends, st.log = nil, nil, nil
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/member")
		})
	}
}

func BenchmarkClassicHeartbeat(b *testing.B) {
	st, ids := crowd(1_000)
	r := HeartbeatRequest{Group: "g", Generation: 1}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		r.Member = ids[i%len(ids)]
		i++
		st.now.Now++
		st.shard.Heartbeat(st.now, machine.Ticket(i), r)
		st.shard.Take()
	}
}

// A heartbeat allocates nothing.
func TestHeartbeatsAllocateNothing(t *testing.T) {
	st, ids := crowd(100)
	r := HeartbeatRequest{Group: "g", Generation: 1}
	i := 0
	got := testing.AllocsPerRun(1000, func() {
		r.Member = ids[i%len(ids)]
		i++
		st.now.Now++
		st.shard.Heartbeat(st.now, machine.Ticket(i), r)
		if e := st.shard.Take(); len(e.Answers) != 1 || e.Answers[0].Value != (HeartbeatResponse{kafka.None}) {
			t.Fatalf("%+v", e)
		}
	})
	if got != 0 {
		t.Errorf("%v allocations", got)
	}
}

// Everything of a rebalance is proportional to the members: answers, appends, and
// what is done for each of them.
func TestRebalancesAreLinear(t *testing.T) {
	per := func(n int) float64 {
		st, ids := crowd(n)
		g := Generation(1)
		return testing.AllocsPerRun(3, func() {
			g++
			st.answers, st.appends, st.log = nil, nil, nil
			st.rebalance(ids, g)
			if len(st.answers) != 2*n || len(st.appends) != 1 {
				t.Fatalf("%d answers, %d appends for %d members", len(st.answers), len(st.appends), n)
			}
		}) / float64(n)
	}
	if few, many := per(100), per(1_000); many > 1.5*few {
		t.Errorf("%v allocations for each of 100 members, %v for each of 1,000", few, many)
	}
}

// A rush is n members of KIP-848 that come at once, to a topic with two partitions for
// each.
type rush struct {
	*stage
	epochs []int32
	owned  [][]TopicPartitions
	beats  int
}

func newRush(n int) *rush {
	r := &rush{stage: newStage(), epochs: make([]int32, n), owned: make([][]TopicPartitions, n)}
	r.topics = catalog{{"orders", kafka.TopicID{1}, int32(2 * n)}}
	r.reload()
	r.hold = true
	for i := range n {
		r.beat(i)
	}
	r.hold = false
	r.read()
	return r
}

// beat sends a member's heartbeat.
func (r *rush) beat(i int) {
	r.beats++
	q := ConsumerHeartbeatRequest{Group: "g", Member: fmt.Sprint("m", i), Epoch: r.epochs[i], RebalanceTimeout: -1, Version: 1}
	if q.Epoch == 0 {
		q.RebalanceTimeout, q.Topics = time.Minute, []string{"orders"}
	} else {
		q.Owned = r.owned[i]
	}
	r.shard.ConsumerHeartbeat(r.now, machine.Ticket(i+1), q)
}

// read has members do what they are told at once.
func (r *rush) read() {
	r.settle()
	for _, a := range r.answers {
		v := a.Value.(*ConsumerHeartbeatResponse)
		i := int(a.Ticket) - 1
		r.epochs[i] = v.Epoch
		if v.Assigned != nil {
			r.owned[i] = v.Assigned
		}
	}
	r.answers = nil
}

// reconcile has all members send heartbeats until the group is stable.
func (r *rush) reconcile(fail func(string, ...any)) {
	for range 6 {
		for i := range r.epochs {
			r.beat(i)
		}
		r.read()
		if r.shard.groups.get("g").consumer.state() == "Stable" {
			return
		}
	}
	fail("the group is %s", r.shard.groups.get("g").consumer.state())
}

// Members that come at once are all assigned within a few heartbeats each, and with
// as many appends: look at ns/member and at messages/member.
func BenchmarkModernRush(b *testing.B) {
	for _, n := range []int{100, 1_000} {
		b.Run(fmt.Sprintf("members=%d", n), func(b *testing.B) {
			beats, appends := 0, 0
			for b.Loop() {
				r := newRush(n)
				r.reconcile(b.Fatalf)
				beats, appends = r.beats, len(r.appends)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/member")
			b.ReportMetric(float64(beats)/float64(n), "beats/member")
			b.ReportMetric(float64(appends)/float64(n), "appends/member")
		})
	}
}

// A thousand members cost each of them no more than a hundred cost.
func TestRushesAreLinear(t *testing.T) {
	per := func(n int) (beats, appends, allocations float64) {
		allocations = testing.AllocsPerRun(1, func() {
			r := newRush(n)
			r.reconcile(t.Fatalf)
			beats, appends = float64(r.beats)/float64(n), float64(len(r.appends))/float64(n)
		})
		return beats, appends, allocations / float64(n)
	}
	fewBeats, fewAppends, few := per(100)
	beats, appends, many := per(1_000)
	if beats > 1.5*fewBeats || appends > 1.5*fewAppends || many > 1.5*few {
		t.Errorf("of 100 members each sends %v heartbeats, for %v appends with %v allocations; of 1,000: %v, %v, %v",
			fewBeats, fewAppends, few, beats, appends, many)
	}
}

// A heartbeat of KIP-848 that changes nothing allocates nothing.
func TestModernHeartbeatsAllocateNothing(t *testing.T) {
	r := newRush(10)
	r.reconcile(t.Fatalf)
	q := ConsumerHeartbeatRequest{Group: "g", Member: "m3", Epoch: r.epochs[3], RebalanceTimeout: -1}
	got := testing.AllocsPerRun(1000, func() {
		r.now.Now++
		r.shard.ConsumerHeartbeat(r.now, 1, q)
		e := r.shard.Take()
		if v, ok := e.Answers[0].Value.(*ConsumerHeartbeatResponse); !ok || v.Error != kafka.None || v.Assigned != nil || len(e.Appends) > 0 {
			t.Fatalf("%+v", e)
		}
	})
	if got != 0 {
		t.Errorf("%v allocations", got)
	}
}
