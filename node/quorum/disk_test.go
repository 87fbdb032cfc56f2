package quorum

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/klammlog/klamm/disksim"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/sim"
)

// A member whose disk failed takes no part any more, and tells so.
func TestAFailedDiskEndsAMember(t *testing.T) {
	for seed, path := range []string{Path + "/*", MetadataPath + "/*"} {
		r := newRig(t, sim.Options{Seed: uint64(seed)}, 3)
		r.startAll()
		old := r.elect()
		r.level()
		term := old.q.View().Term
		old.disk.Inject(disksim.Fault{Kind: disksim.FaultSyncError, Disk: old.disk.Name(), Path: path})
		if path == MetadataPath+"/*" {
			old.do(20*time.Second, func() {
				if err := old.q.Change(set("a", "1")); kafka.ErrorOf(err).Outcome() != kafka.Unknown {
					t.Errorf("a change that the disk did not take: %v", err)
				}
			})
		} else {
			r.isolate(old, true)
			r.other(old)
			r.isolate(old, false)
		}
		r.run(20*time.Second, "it fails", func() bool { return old.failed != nil })
		if old.q.Failed() == nil || old.q.Active() {
			t.Errorf("%s: failed %v, active %v", path, old.q.Failed(), old.q.Active())
		}
		if v := old.q.View(); v.DurableTerm != term {
			t.Errorf("%s: term %d is said to be durable", path, v.DurableTerm)
		}
		r.other(old)
		old.do(time.Second, func() {
			for _, err := range []error{old.q.Change(set("b", "1")), old.q.Barrier(kafka.Never), old.q.WaitApplied(1000, kafka.Never)} {
				if err == nil {
					t.Errorf("%s: a failed member answers", path)
				}
			}
			if err := old.q.Close(r.k.Now().Add(time.Second)); err == nil {
				t.Log("it closed")
			}
		})
		r.k.Close()
	}
}

// What a member could not make durable before it ended is there when it comes back,
// in the page cache. It must not go on from there before that is durable: its vote is
// not gone after the power loss that follows (docs/bugs/0041.md).
func TestAStateThatWasNotMadeDurableIsNotReliedOn(t *testing.T) {
	for seed := range 3 {
		r := newRig(t, sim.Options{Seed: uint64(seed)}, 3)
		r.startAll()
		old := r.elect()
		r.level()
		m := r.members[(int(old.id)+1)%3]
		m.disk.Inject(disksim.Fault{Kind: disksim.FaultSyncDirError, Disk: m.disk.Name(), Path: Path, Times: 1})
		r.isolate(old, true)
		r.run(20*time.Second, "it fails", func() bool { return m.failed != nil })
		r.isolate(old, false)
		m.kill()
		m.restart()
		r.run(time.Second, "it is back", func() bool { return m.q != nil })
		r.level()
		term := m.q.View().DurableTerm
		m.forget()
		m.restart()
		r.run(time.Second, "it is back again", func() bool { return m.q != nil })
		if now := m.q.View().DurableTerm; now < term {
			t.Errorf("seed %d: it was in term %d, and is back in %d", seed, term, now)
		}
		r.k.Close()
	}
}

// A sync that fails for want of space has taken the directory out of service: that
// passes only when the process ends, and it is not waited for.
func TestASyncWithoutSpaceEndsAMember(t *testing.T) {
	r := newRig(t, sim.Options{Seed: 1}, 1)
	r.startAll()
	m := r.elect()
	m.disk.Inject(disksim.Fault{Kind: disksim.FaultSyncNoSpace, Disk: m.disk.Name(), Path: MetadataPath + "/*.log", Times: 1})
	m.do(20*time.Second, func() {
		if err := m.q.Change(set("a", "1")); kafka.ErrorOf(err).Outcome() != kafka.Unknown {
			t.Errorf("a change that the disk did not take: %v", err)
		}
	})
	r.run(20*time.Second, "it fails", func() bool { return m.failed != nil })
}

// A full disk stops a member, and it goes on when there is space.
func TestAFullDiskIsWaitedFor(t *testing.T) {
	r := newRig(t, sim.Options{Seed: 1}, 1)
	r.startAll()
	m := r.elect()
	m.disk.Inject(disksim.Fault{Kind: disksim.FaultFull, Disk: m.disk.Name(), Path: "*", For: 10 * time.Second})
	var errs []error
	first := -1
	for i := range 20 {
		m.do(5*time.Second, func() { errs = append(errs, m.q.Change(set(fmt.Sprint("k", i), strings.Repeat("x", 30000)))) })
		if first < 0 && errs[i] != nil {
			first = i
		}
	}
	if first < 0 || kafka.ErrorOf(errs[first]).Outcome() != kafka.Unknown {
		t.Fatalf("the changes that found the disk full: %v", errs)
	}
	m.do(20*time.Second, func() {
		if err := m.w.Sleep(12 * time.Second); err != nil {
			t.Error(err)
		}
	})
	m.change("after", "1")
	if get(m.q.Image(), fmt.Sprint("k", first)) == "" {
		t.Error("the change of unknown outcome did not take place: nothing stood in its way")
	}
	for i, err := range errs {
		present := get(m.q.Image(), fmt.Sprint("k", i)) != ""
		if kafka.ErrorOf(err).Outcome() != kafka.Unknown && present != (err == nil) {
			t.Errorf("change %d: %v, present %v", i+1, err, present)
		}
	}
	if m.failed != nil {
		t.Error(m.failed)
	}
}

// A stalled disk costs the leader its leadership, and nobody's memory.
func TestAStalledDiskCostsLeadership(t *testing.T) {
	r := newRig(t, sim.Options{Seed: 1}, 3)
	r.startAll()
	old := r.elect()
	r.level()
	old.disk.Inject(disksim.Fault{Kind: disksim.FaultStall, Disk: old.disk.Name(), Path: "*", For: 30 * time.Second})
	old.node.Go("change", func() { _ = old.q.Change(set("a", "1")) })
	r.other(old)
	r.pass(2 * electionTimeout)
	if id, _ := old.q.Leader(); old.q.Active() || id == old.id {
		t.Error("it believes that it is active")
	}
	if n := len(old.q.inbox.messages); n > maxInbox {
		t.Errorf("%d messages wait", n)
	}
	r.pass(40 * time.Second)
	r.level()
	if old.q.View().Role == Leader || !errors.Is(old.failed, nil) {
		t.Errorf("role %s, failed %v", old.q.View().Role, old.failed)
	}
}

// What does not fit into the inbox is dropped.
func TestTheInboxIsBounded(t *testing.T) {
	r := newRig(t, sim.Options{Seed: 1}, 3)
	var heartbeat []byte
	r.onSend = func(from, to kafka.NodeID, b []byte) { heartbeat = b }
	r.startAll()
	r.elect()
	r.level()
	m := messageIn(heartbeat)
	to, from := nodeID(m.GetTo()), nodeID(m.GetFrom())
	target := r.members[to]
	target.do(time.Second, func() {
		for range maxInbox + 10 {
			if err := target.q.Step(from, heartbeat); err != nil {
				t.Fatal(err)
			}
		}
		if n := len(target.q.inbox.messages); n != maxInbox {
			t.Errorf("%d messages wait", n)
		}
	})
	if !r.probed("a controller had no room for a message of raft") {
		t.Error("nothing was dropped")
	}
}

// What is no message of a member is refused, whoever sends it.
func TestStepRefusesWhatIsNoMessage(t *testing.T) {
	r := newRig(t, sim.Options{Seed: 1}, 3)
	var seen [][]byte
	r.onSend = func(_, _ kafka.NodeID, b []byte) { seen = append(seen, b) }
	r.startAll()
	r.elect()
	r.onSend = nil
	m := messageIn(seen[0])
	to, from := r.members[nodeID(m.GetTo())], nodeID(m.GetFrom())
	to.do(time.Second, func() {
		if err := to.q.Step(from, seen[0]); err != nil {
			t.Errorf("a message that came before: %v", err)
		}
		if err := to.q.Step(to.id, seen[0]); !errors.Is(err, kafka.ErrInvalidRequest) {
			t.Errorf("a message of another: %v", err)
		}
		for n := range 41 + 3 {
			if n == 41 {
				continue // an empty message is one from nobody
			}
			if err := to.q.Step(from, seen[0][:n]); err == nil {
				t.Errorf("%d bytes were taken", n)
			}
		}
		later := append([]byte{9}, seen[0][1:]...)
		if err := to.q.Step(from, later); !errors.Is(err, kafka.ErrUnsupportedVersion) {
			t.Errorf("a message of a later version: %v", err)
		}
	})
}

// A member whose disk is one of before has forgotten what it acknowledged. The leader that
// counts on it tells: it takes no part, and says why, rather than ending in a panic of raft.
func TestAMemberWithAnOldDiskSaysSo(t *testing.T) {
	r := newRig(t, sim.Options{Seed: 1}, 3)
	r.startAll()
	leader := r.elect()
	r.level()
	m := r.members[0]
	if m == leader {
		m = r.members[1]
	}
	before := m.disk.Image()
	leader.change("a", "1")
	leader.change("b", "1")
	r.level()
	m.kill()
	m.disk.Replace(before)
	m.restart()
	r.run(20*time.Second, "it fails", func() bool { return m.failed != nil })
	if !strings.Contains(m.failed.Error(), "has lost entries that were durable") {
		t.Errorf("it says: %v", m.failed)
	}
	leader.change("c", "1")
}

// A leader that contradicts what was committed is told of in a line, and its messages are
// not answered for ever (docs/bugs/0111.md).
func TestAMemberWhoseLeaderContradictsItSaysSo(t *testing.T) {
	r := newRig(t, sim.Options{Seed: 1}, 3)
	r.startAll()
	leader := r.elect()
	leader.change("a", "1")
	r.level()
	m := r.members[0]
	if m == leader {
		m = r.members[1]
	}
	now := m.q.node.BasicStatus()
	other, term := now.GetCommit(), now.GetTerm()
	app := &pb.Message{Type: pb.MsgApp.Enum(), From: new(leader.q.node.BasicStatus().ID), To: new(now.ID), Term: &term, Index: &other, LogTerm: new(term + 1)}
	m.q.inbox.messages = append(m.q.inbox.messages, app)
	r.run(20*time.Second, "it fails", func() bool { return m.failed != nil })
	if !strings.Contains(m.failed.Error(), "have lost what was durable") {
		t.Errorf("it says: %v", m.failed)
	}
	leader.change("b", "1")
}

// What silently forgets an entry that it acknowledged can make another majority without it:
// with a voter's old disk what was committed is lost, and no voter can tell (Alagappan et
// al., FAST'18). That is in no budget of the simulator (docs/FAULTS.md).
func TestAVoterThatSilentlyForgotLosesWhatWasCommitted(t *testing.T) {
	r := newRig(t, sim.Options{Seed: 1}, 3)
	r.startAll()
	r.elect()
	r.level()
	forgetful, other, away := r.members[0], r.members[1], r.members[2]
	before := forgetful.disk.Image()
	away.kill()
	leader := r.elect()
	leader.change("a", "1") // by forgetful and other
	forgetful.kill()
	forgetful.disk.Replace(before)
	other.kill()
	forgetful.restart()
	away.restart()
	leader = r.elect()
	leader.change("b", "1")
	if get(leader.q.Image(), "a") != "" {
		t.Error("it is still there: then a voter's old disk is survivable, and belongs in a budget")
	}
}
