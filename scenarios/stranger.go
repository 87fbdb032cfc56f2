package scenarios

import (
	"encoding/binary"
	"math/rand/v2"
	"time"

	"github.com/klammlog/klamm/node/client"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// A stranger is a member of a classic group whose client is not klamm's. It processes
// nothing, and comes and goes as bad clients do: it joins and never asks for what it is
// assigned, though something in it goes on sending heartbeats; or it falls silent with
// what it has, and comes back later with the claim that it has it still. The group is
// to go on without it.
type stranger struct {
	caller
	draws      *rand.Rand
	g          *workGroup
	at         int // the broker that it takes for the coordinator
	member     string
	generation int32
	owned      []kafka.TopicPartition // as it claims
	owns       int32                  // in which generation it was given that; -1: never
}

// newStranger returns one that visits a classic group; nil if there is none that stays
// classic.
func (r *run) newStranger(name string) *stranger {
	if r.options.Migrates {
		return nil
	}
	s := &stranger{caller: r.newCaller(strangerPatience), draws: r.k.Rand("workload/" + name), owns: -1}
	for _, g := range r.groups {
		if r.options.member(g.number, g.name, "").Protocol == client.ClassicGroup && (s.g == nil || s.draws.IntN(2) == 0) {
			s.g = g
		}
	}
	if s.g == nil {
		return nil
	}
	s.machine = r.newMachine(name, s.main)
	return s
}

// strangerPatience is longer than any rebalance takes, strangerStays how long after the
// faults it goes on with its heartbeats: long enough to be noticed. A coordinator that
// has read its log again does not know who has not asked, as Kafka's does not.
const (
	strangerPatience = 15 * time.Second
	strangerStays    = 45 * time.Second
)

// unfinished says nothing: whoever is left is for the coordinator to throw out.
func (s *stranger) unfinished() string { return "" }

func (s *stranger) main() {
	for s.rest(); !s.r.healed; s.rest() {
		s.member = ""
		leads, ok := s.join()
		switch {
		case !ok:
		case leads || s.draws.IntN(4) == 0:
			s.world.Probe("a member joined and did not ask for its assignment")
			s.idle()
		default:
			s.take(s.world.Now().Add(time.Second + time.Duration(s.draws.Int64N(int64(2*time.Second)))))
			s.world.Sleep(s.r.options.MemberSession) // by then it is thrown out, and does not know
		}
	}
	s.member = ""
	if _, ok := s.join(); ok {
		s.idle() // once more, where nothing else hinders the group
	}
	s.hangUpAll()
}

// idle sends heartbeats and does nothing else, until the group knows it no more. That
// the group rebalances it does not notice. Blocks.
func (s *stranger) idle() {
	for !s.r.healed || s.r.k.Now() < s.r.healedAt.Add(strangerStays) {
		switch s.beat(s.world.Now().Add(time.Second)) {
		case kafka.ErrUnknownMemberID, kafka.ErrIllegalGeneration:
			return
		}
	}
}

// take takes what it is assigned, as members do, until it falls silent: after a while,
// or when it is to assign. Blocks.
func (s *stranger) take(until kafka.Instant) {
	for s.synchronize() && s.beat(until) == kafka.ErrRebalanceInProgress {
		if leads, ok := s.join(); leads || !ok {
			return
		}
	}
}

// rest sleeps for a while before the next visit.
func (s *stranger) rest() {
	s.world.Sleep(time.Duration(s.draws.Int64N(int64(s.r.options.Safety) / 8)))
}

// coordinator asks who it takes for the coordinator; if that one is not, the next.
// code reads the error of an answer. It returns nil after some tries. Blocks.
func (s *stranger) coordinator(req kmsg.Request, code func(kmsg.Response) int16) (kmsg.Response, kafka.Error) {
	for range 10 * len(s.conns) {
		if resp := s.ask(s.at, req); resp != nil {
			switch c := kafka.Error(code(resp)); c {
			case kafka.ErrNotCoordinator, kafka.ErrCoordinatorNotAvailable, kafka.ErrCoordinatorLoadInProgress:
			default:
				return resp, c
			}
		}
		s.at = (s.at + 1) % len(s.conns)
		s.world.Sleep(20 * time.Millisecond)
	}
	return nil, kafka.ErrCoordinatorNotAvailable
}

// join joins, or joins anew, with what it claims to have. Blocks.
func (s *stranger) join() (leads, ok bool) {
	req := kmsg.NewPtrJoinGroupRequest()
	req.Version, req.Group, req.ProtocolType, req.MemberID = 3, s.g.name, "consumer", s.member
	req.SessionTimeoutMillis, req.RebalanceTimeoutMillis = int32(s.r.options.MemberSession.Milliseconds()), 1000
	req.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: s.r.options.Assignor, Metadata: s.subscription()}}
	resp, code := s.coordinator(req, func(r kmsg.Response) int16 { return r.(*kmsg.JoinGroupResponse).ErrorCode })
	if code != kafka.None {
		return false, false
	}
	if s.member == "" && len(s.owned) > 0 {
		s.world.Probe("a member came with what it had before it was thrown out")
	}
	r := resp.(*kmsg.JoinGroupResponse)
	s.member, s.generation = r.MemberID, r.Generation
	s.world.Log.Info("stranger has joined", "group", s.g.name, "generation", s.generation, "claims", len(s.owned), "of", s.owns)
	return r.LeaderID == r.MemberID, true
}

// subscription says what it reads, and what it claims to have.
func (s *stranger) subscription() []byte {
	m := kmsg.NewConsumerMemberMetadata()
	m.Version, m.Topics, m.Generation = 3, []string{topicName}, s.owns
	if len(s.owned) > 0 {
		own := kmsg.NewConsumerMemberMetadataOwnedPartition()
		own.Topic = topicName
		for _, tp := range s.owned {
			own.Partitions = append(own.Partitions, tp.Partition)
		}
		m.OwnedPartitions = append(m.OwnedPartitions, own)
	}
	if s.r.options.Assignor == "cooperative-sticky" {
		m.UserData = binary.BigEndian.AppendUint32(nil, uint32(s.owns))
	}
	return m.AppendTo(nil)
}

// synchronize takes over what it is assigned, and reports whether it was. Blocks.
func (s *stranger) synchronize() bool {
	req := kmsg.NewPtrSyncGroupRequest()
	req.Version, req.Group, req.Generation, req.MemberID = 2, s.g.name, s.generation, s.member
	resp, code := s.coordinator(req, func(r kmsg.Response) int16 { return r.(*kmsg.SyncGroupResponse).ErrorCode })
	if code != kafka.None {
		return false
	}
	s.owned, s.owns = nil, s.generation
	for _, tp := range assignmentIn(resp.(*kmsg.SyncGroupResponse).MemberAssignment) {
		if tp.Topic == topicName {
			s.owned = append(s.owned, tp)
		}
	}
	return true
}

// beat sends heartbeats for a while, and returns what ended that. Blocks.
func (s *stranger) beat(until kafka.Instant) kafka.Error {
	for s.world.Now() < until {
		s.world.Sleep(s.r.options.MemberBeat)
		req := kmsg.NewPtrHeartbeatRequest()
		req.Version, req.Group, req.Generation, req.MemberID = 2, s.g.name, s.generation, s.member
		_, code := s.coordinator(req, func(r kmsg.Response) int16 { return r.(*kmsg.HeartbeatResponse).ErrorCode })
		if code != kafka.None {
			return code
		}
	}
	return kafka.None
}
