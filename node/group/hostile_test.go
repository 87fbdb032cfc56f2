package group

import (
	"strings"
	"testing"
	"time"

	"github.com/klammlog/klamm/node/kafka"
)

// Whatever clients call themselves, what is written down of it can be read again.
func TestNamesOfAnyLength(t *testing.T) {
	long := strings.Repeat("x", 1<<16)
	for name, change := range map[string]func(*JoinRequest){
		"group":       func(r *JoinRequest) { r.Group = long },
		"member":      func(r *JoinRequest) { r.Member = long },
		"instance":    func(r *JoinRequest) { r.Instance = long },
		"type":        func(r *JoinRequest) { r.ProtocolType = long },
		"protocol":    func(r *JoinRequest) { r.Protocols[0].Name = long },
		"no name":     func(r *JoinRequest) { r.Protocols[0].Name = "" },
		"client":      func(r *JoinRequest) { r.Client = Client{long, long} },
		"said twice":  func(r *JoinRequest) { r.Protocols = append(r.Protocols, r.Protocols[0]) },
		"metadata":    func(r *JoinRequest) { r.Protocols[0].Metadata = []byte(long) },
		"no metadata": func(r *JoinRequest) { r.Protocols[0].Metadata = nil },
		"no protocol": func(r *JoinRequest) { r.Protocols = nil },
	} {
		t.Run(name, func(t *testing.T) {
			st := newStage()
			st.limits.InitialDelay = 0
			st.limits.MaxMetadata = 1 << 20
			st.reload()
			r := joining("", 20*time.Minute)
			change(&r)
			st.shard.Join(st.now, 1, r)
			st.until(1)
			if len(st.answers) != 1 {
				t.Fatalf("%d answers", len(st.answers))
			}
			joined := st.answers[0].Value.(JoinResponse)
			if joined.Error == kafka.None {
				st.shard.Sync(st.now, 2, SyncRequest{Group: r.Group, Member: joined.Member, Generation: 1, Assignments: []Assignment{{joined.Member, []byte(long)}}})
				st.shard.CommitOffsets(st.now, 3, CommitRequest{Group: r.Group, Member: joined.Member, Generation: 1, Retention: -1,
					Topics: []CommitTopic{{Name: "t", Partitions: []CommitPartition{{Metadata: long}, {Partition: 1}}}}})
				st.settle()
				if v := st.answers[1].Value.(SyncResponse); v.Error != kafka.None || len(v.Assignment) != len(long) {
					t.Errorf("sync: %v", v.Error)
				}
			}
			st.reload()
			if err := st.shard.Check(); err != nil {
				t.Error(err)
			}
		})
	}
	st := newStage()
	st.reload()
	st.topics = catalog{{"orders", kafka.TopicID{1}, 1}}
	st.shard.ConsumerHeartbeat(st.now, 1, ConsumerHeartbeatRequest{Group: "g", Member: long, RebalanceTimeout: time.Minute, Topics: []string{"orders"}})
	st.shard.ConsumerHeartbeat(st.now, 2, ConsumerHeartbeatRequest{Group: "g", Member: "m", RebalanceTimeout: time.Minute, Topics: []string{long}, Rack: &long, Client: Client{long, long}})
	st.settle()
	st.reload()
	if st.answers[0].Value.(*ConsumerHeartbeatResponse).Error != kafka.ErrInvalidRequest || st.answers[1].Value.(*ConsumerHeartbeatResponse).Error != kafka.None || st.shard.Groups() != 1 {
		t.Errorf("%+v", st.answers)
	}
}

// A static member that is away and whose rebalance time-out is nothing does not have
// the coordinator wait for it for ever at once.
func TestNoTimeout(t *testing.T) {
	st := newStage()
	st.limits.InitialDelay, st.limits.RetentionCheck = 0, 0
	st.reload()
	r := joining("", 20*time.Minute)
	r.Version, r.Client.ID, r.Instance, r.RebalanceTimeout = 3, "c", "i", -time.Hour
	st.shard.Join(st.now, 1, r)
	st.until(0)
	joined := st.answers[0].Value.(JoinResponse)
	st.shard.Sync(st.now, 2, SyncRequest{Group: "g", Member: joined.Member, Generation: 1})
	r.Instance = ""
	st.shard.Join(st.now, 3, r)
	st.settle()
	for _, a := range st.answers {
		if a.Ticket == 3 {
			st.shard.Leave(st.now, 4, LeaveRequest{Group: "g", Version: 5, Members: []Leaver{{Member: a.Value.(JoinResponse).Member}}})
		}
	}
	st.until(kafka.Instant(10 * time.Second))
	if state := st.shard.groups.get("g").classic.state; state != preparing {
		t.Errorf("the group is %v", state)
	}
	st.until(kafka.Instant(time.Hour))
	if n := st.shard.Groups(); n != 0 {
		t.Errorf("%d groups", n)
	}
}
