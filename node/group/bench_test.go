package group

import (
	"testing"

	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/machine"
)

func BenchmarkClassicHeartbeat(b *testing.B) {
	st := newClassicCrowd(1_000)
	r := HeartbeatRequest{Group: "g", Generation: st.generation}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		r.Member = st.ids[i%len(st.ids)]
		i++
		st.now.Now++
		st.shard.Heartbeat(st.now, machine.Ticket(i), r)
		st.shard.Take()
	}
}

// A heartbeat allocates nothing.
func TestHeartbeatsAllocateNothing(t *testing.T) {
	st := newClassicCrowd(100)
	r := HeartbeatRequest{Group: "g", Generation: st.generation}
	i := 0
	got := testing.AllocsPerRun(1000, func() {
		r.Member = st.ids[i%len(st.ids)]
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

// A heartbeat of KIP-848 that changes nothing allocates nothing.
func TestModernHeartbeatsAllocateNothing(t *testing.T) {
	r := newModernCrowd(10)
	q := ConsumerHeartbeatRequest{Group: "g", Member: r.ids[3], Epoch: r.epochs[3], RebalanceTimeout: -1}
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
