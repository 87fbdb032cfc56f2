package replica

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/klammlog/klamm/node/kafka"
)

// TestScripts runs the golden scripts. Commands:
//
//	lead epoch=3 hw=0 end=10 [held=10] replicas=(1,2,3) isr=(1,2) pe=7 [least=1] [adding=(3)] [removing=(2)]
//	own end=12 [held=12] [written=12] [start=0]   the leader's log has got so far
//	fetch id=2 held=10 [be=1] [le=3] [start=0]
//	forget id=2 be=2                   its broker has a new life
//	propose [not=(3)] [max=5] [session=60]   not: whom the controller would not take
//	answer pe=8 isr=(1,2,3) [le=3]     to the last proposal
//	lost, refuse code=107 [patience=60]
//	update pe=9 isr=(1,2) [replicas=(1,2,3)] [adding=(3)] [removing=(2)]
//	least n=2, at now=30 (seconds), start [dead=(3)]
//	ask log=(1:0,3:10) last=2 from=12  what the leader tells a follower
//	truncate log=(1:0,2:10) end=12 epoch=1 at=8
//	range start=0 end=5 leader=7, learn hw=3 leader=9 held=5
func TestScripts(t *testing.T) {
	datadriven.Walk(t, "testdata/scripts", func(t *testing.T, path string) {
		s := &script{}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			s.t, s.d = t, d
			out := s.run()
			if s.leader != nil {
				if err := s.leader.Check(); err != nil {
					out += err.Error() + "\n"
				}
			}
			return out
		})
	})
}

type script struct {
	t      *testing.T
	d      *datadriven.TestData
	leader *Leader
	start  kafka.Offset
	last   Proposal
	now    kafka.Instant
}

func (s *script) arg(name string, otherwise int64) int64 {
	s.d.MaybeScanArgs(s.t, name, &otherwise)
	return otherwise
}

func (s *script) offset(name string, otherwise int64) kafka.Offset {
	return kafka.Offset(s.arg(name, otherwise))
}

func (s *script) ids(name string) (out []kafka.NodeID) {
	for _, text := range s.list(name) {
		n, err := strconv.Atoi(text)
		if err != nil {
			s.t.Fatal(err)
		}
		out = append(out, kafka.NodeID(n))
	}
	return out
}

func (s *script) list(name string) []string {
	for _, a := range s.d.CmdArgs {
		if a.Key == name {
			return a.Vals
		}
	}
	return nil
}

// log reads epochs and where they start.
func (s *script) log() (l epochs) {
	for _, text := range s.list("log") {
		var e epochStart
		if _, err := fmt.Sscanf(text, "%d:%d", &e.epoch, &e.start); err != nil {
			s.t.Fatal(err)
		}
		l = append(l, e)
	}
	return l
}

func (s *script) state() State {
	st := State{ISR: s.ids("isr"), Replicas: s.ids("replicas"), Epoch: int32(s.arg("pe", 0)), Adding: s.ids("adding"), Removing: s.ids("removing")}
	if st.Replicas == nil {
		st.Replicas = s.leader.State().Replicas
	}
	return st
}

func (s *script) own() Position {
	end := s.arg("end", 0)
	s.start = s.offset("start", int64(s.start))
	return Position{Start: s.start, Held: s.offset("held", end), Written: s.offset("written", end), End: kafka.Offset(end)}
}

func (s *script) run() string {
	switch s.d.Cmd {
	case "lead":
		s.start = 0
		s.leader = Lead(Beginning{Self: 1, Epoch: kafka.LeaderEpoch(s.arg("epoch", 0)), HighWatermark: s.offset("hw", 0),
			Own: s.own(), State: s.state(), Least: int(s.arg("least", 1))}, s.now)
	case "truncate":
		return fmt.Sprintln("end", TruncateTo(s.log(), s.offset("end", 0), Divergence{Epoch: kafka.LeaderEpoch(s.arg("epoch", 0)), End: s.offset("at", 0)}))
	case "cut":
		at, all := CutAll(s.offset("to", 0), s.offset("start", 0), s.offset("leader", -1))
		if all {
			return fmt.Sprintln("begin anew at", at)
		}
		return fmt.Sprintln("keep what is below", at)
	case "range":
		at, anew := OutOfRange(s.offset("start", 0), s.offset("end", 0), s.offset("leader", 0))
		if !anew {
			return "ask again\n"
		}
		return fmt.Sprintln("begin anew at", at)
	case "learn":
		return fmt.Sprintln("hw", Learned(s.offset("hw", 0), s.offset("leader", 0), s.offset("held", 0)))
	case "ask":
		d, diverges := s.leader.Diverges(s.log(), kafka.LeaderEpoch(s.arg("last", 0)), s.offset("from", 0))
		if !diverges {
			return "a beginning of the leader's\n"
		}
		return fmt.Sprintf("diverges: epoch %d ends at %d\n", d.Epoch, d.End)
	default:
		return s.change()
	}
	return s.show()
}

func (s *script) change() string {
	l, before := s.leader, ""
	switch s.d.Cmd {
	case "own":
		l.Moved(s.own(), s.now)
	case "fetch":
		counts, _ := l.Fetched(Fetch{ID: kafka.NodeID(s.arg("id", 0)), BrokerEpoch: s.arg("be", 1), Held: s.offset("held", 0),
			Start: s.offset("start", 0), LeaderEpoch: kafka.LeaderEpoch(s.arg("le", int64(l.epoch)))}, s.now)
		if !counts {
			before = "does not count\n"
		}
	case "forget":
		l.Forget(kafka.NodeID(s.arg("id", 0)), s.arg("be", 0))
	case "propose":
		before = s.propose()
	case "answer":
		l.Answered(s.last, kafka.LeaderEpoch(s.arg("le", int64(l.epoch))), s.state(), s.now)
	case "lost":
		l.Unanswered(s.last, s.now)
	case "refuse":
		l.Refused(s.last, kafka.Error(s.arg("code", 0)), time.Duration(s.arg("patience", 60))*time.Second, s.now)
	case "update":
		l.Update(s.state(), s.now)
	case "least":
		l.SetLeast(int(s.arg("n", 1)))
	case "at":
		s.now = kafka.Instant(s.arg("now", 0)) * kafka.Instant(time.Second)
		return ""
	case "start":
		dead := s.ids("dead")
		return fmt.Sprintln("low watermark", l.LowestLogStart(func(id kafka.NodeID) bool { return !has(dead, id) }))
	default:
		s.t.Fatalf("%s: unknown command %q", s.d.Pos, s.d.Cmd)
	}
	return before + s.show()
}

func (s *script) propose() string {
	limits := Limits{Time: 30 * time.Second, Messages: s.arg("max", 0), Session: time.Duration(s.arg("session", 0)) * time.Second}
	not := s.ids("not")
	eligible := func(m Member) bool { return !has(not, m.ID) }
	wants := s.leader.Wants(limits, s.now, eligible)
	p, ok := s.leader.Propose(limits, s.now, eligible)
	if wants != ok {
		s.t.Fatalf("%s: Wants says %t, Propose %t", s.d.Pos, wants, ok)
	}
	if !ok {
		return "nothing to ask for\n"
	}
	s.last = p
	var b strings.Builder
	fmt.Fprintf(&b, "asks, le=%d pe=%d:", p.LeaderEpoch, p.PartitionEpoch)
	for _, m := range p.ISR {
		fmt.Fprintf(&b, " %d", m.ID)
		if m.Epoch != NoEpoch {
			fmt.Fprintf(&b, "(be=%d)", m.Epoch)
		}
	}
	return b.String() + "\n"
}

func has(ids []kafka.NodeID, id kafka.NodeID) bool {
	for _, other := range ids {
		if other == id {
			return true
		}
	}
	return false
}

func (s *script) show() string {
	l := s.leader
	var b strings.Builder
	fmt.Fprintf(&b, "hw=%d isr=%v", l.HighWatermark(), l.State().ISR)
	if max := l.Maximal(); len(max) > len(l.State().ISR) {
		fmt.Fprintf(&b, " maximal=%v", max)
	}
	fmt.Fprintf(&b, " pe=%d own=%d/%d", l.State().Epoch, l.own.Held, l.own.End)
	for _, f := range l.Followers() {
		fmt.Fprintf(&b, " %d:%d", f.ID, f.Held)
	}
	if !l.Settled() {
		fmt.Fprintf(&b, " unsettled below %d", l.Began())
	}
	return b.String() + "\n"
}

// epochs is the simplest log that can be asked about epochs.
type epochs []epochStart

type epochStart struct {
	epoch kafka.LeaderEpoch
	start kafka.Offset
}

func (e epochs) Latest() kafka.LeaderEpoch {
	if len(e) == 0 {
		return kafka.NoLeaderEpoch
	}
	return e[len(e)-1].epoch
}

func (e epochs) EndOffsetFor(asked kafka.LeaderEpoch, end kafka.Offset) (kafka.LeaderEpoch, kafka.Offset) {
	if asked > e.Latest() {
		return kafka.NoLeaderEpoch, kafka.NoOffset
	}
	for i := len(e) - 1; i >= 0; i-- {
		if e[i].epoch <= asked {
			return e[i].epoch, end
		}
		end = e[i].start
	}
	return asked, end
}
