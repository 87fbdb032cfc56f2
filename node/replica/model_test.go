package replica

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/klammlog/klamm/node/kafka"
)

// A world of one leader, its followers and a controller, in which requests and
// answers are lost or delayed for ever, images are late, and followers
// lose what they hold. It is judged by what is true and not by what the leader
// knows: whatever the controller has for an in-sync set, each of its members holds
// what is committed.
type world struct {
	t      *rapid.T
	leader *Leader
	now    kafka.Instant

	state    State // the controller's
	brokers  map[kafka.NodeID]*broker
	images   []State // that the leader has not seen
	requests []request
	flying   *Proposal // whose answer the leader waits for
	end      kafka.Offset
	least    int
}

type broker struct {
	epoch  int64
	held   kafka.Offset
	fenced bool
}

type request struct {
	p        Proposal
	answered bool // the leader does not wait for it any more
}

func TestWhatIsCommittedIsHeldByEveryMember(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		all := []kafka.NodeID{1, 2, 3, 4}
		w := &world{t: rt, brokers: map[kafka.NodeID]*broker{}, least: rapid.IntRange(1, 3).Draw(rt, "least")}
		for _, id := range all {
			w.brokers[id] = &broker{epoch: 1}
		}
		w.state = State{Replicas: all, ISR: slices.Clone(all)}
		w.leader = Lead(Beginning{Self: 1, Epoch: 7, State: w.state, Least: w.least}, 0)
		for range rapid.IntRange(1, 120).Draw(rt, "steps") {
			w.step()
			w.check()
		}
	})
}

func (w *world) follower() kafka.NodeID {
	return kafka.NodeID(rapid.IntRange(2, 4).Draw(w.t, "follower"))
}

func (w *world) step() {
	w.now += kafka.Instant(rapid.IntRange(0, 5).Draw(w.t, "seconds")) * kafka.Instant(time.Second)
	switch rapid.SampledFrom([]string{"append", "fetch", "fetch", "fetch", "propose", "propose", "deliver", "deliver", "lose", "image", "restart", "fence", "unfence"}).Draw(w.t, "step") {
	case "append":
		w.end += kafka.Offset(rapid.IntRange(1, 3).Draw(w.t, "n"))
		w.leader.Moved(Position{Held: w.end, Written: w.end, End: w.end}, w.now)
	case "fetch":
		id := w.follower()
		b := w.brokers[id]
		b.held = min(w.end, b.held+kafka.Offset(rapid.IntRange(0, 4).Draw(w.t, "n")))
		w.leader.Fetched(Fetch{ID: id, BrokerEpoch: b.epoch, LeaderEpoch: 7, Held: b.held}, w.now)
	case "propose":
		w.propose()
	case "deliver":
		w.deliver()
	case "lose":
		if w.flying != nil {
			w.leader.Unanswered(*w.flying, w.now)
			w.landed()
		}
	case "image":
		if len(w.images) > 0 {
			w.leader.Update(w.images[0], w.now)
			w.images = w.images[1:]
		}
	case "restart":
		w.restart(w.follower())
	case "fence":
		id := w.follower()
		w.brokers[id].fenced = true
		w.drop(id)
	case "unfence":
		w.brokers[w.follower()].fenced = false
	}
}

func (w *world) propose() {
	limits := Limits{Time: 10 * time.Second}
	p, ok := w.leader.Propose(limits, w.now, func(Member) bool { return rapid.Bool().Draw(w.t, "eligible") })
	if ok {
		w.flying = &p
		w.requests = append(w.requests, request{p: p})
	}
}

// landed says that the leader waits for no answer any more: what is on its way is
// late.
func (w *world) landed() {
	w.flying = nil
	for i := range w.requests {
		w.requests[i].answered = true
	}
}

// deliver carries one request out, which may have been on its way for ever.
func (w *world) deliver() {
	if len(w.requests) == 0 {
		return
	}
	i := rapid.IntRange(0, len(w.requests)-1).Draw(w.t, "request")
	r := w.requests[i]
	w.requests = slices.Delete(w.requests, i, i+1)
	code := w.alter(r.p)
	if r.answered {
		return
	}
	w.landed()
	if code == kafka.None {
		w.leader.Answered(r.p, 7, w.state, w.now)
		return
	}
	w.leader.Refused(r.p, code, 1000*time.Hour, w.now)
}

// alter is what the controller does.
func (w *world) alter(p Proposal) kafka.Error {
	var ids []kafka.NodeID
	for _, m := range p.ISR {
		ids = append(ids, m.ID)
	}
	if slices.Equal(ids, w.state.ISR) {
		return kafka.None
	}
	if p.PartitionEpoch != w.state.Epoch {
		return kafka.ErrInvalidUpdateVersion
	}
	for _, m := range p.ISR {
		if b := w.brokers[m.ID]; b.fenced || m.Epoch != NoEpoch && m.Epoch != b.epoch {
			return kafka.ErrIneligibleReplica
		}
	}
	w.decide(ids)
	return kafka.None
}

func (w *world) decide(isr []kafka.NodeID) {
	w.state.ISR, w.state.Epoch = isr, w.state.Epoch+1
	w.images = append(w.images, w.state)
}

// drop has the controller take a broker out.
func (w *world) drop(id kafka.NodeID) {
	if i := slices.Index(w.state.ISR, id); i >= 0 {
		w.decide(slices.Delete(slices.Clone(w.state.ISR), i, i+1))
	}
}

// restart loses what a broker held; it registers anew and is out of the set.
func (w *world) restart(id kafka.NodeID) {
	b := w.brokers[id]
	b.epoch, b.held = b.epoch+1, 0
	w.drop(id)
}

func (w *world) check() {
	if err := w.leader.Check(); err != nil {
		w.t.Fatal(err)
	}
	high := w.leader.HighWatermark()
	for _, id := range w.state.ISR {
		if id != 1 && w.brokers[id].held < high {
			w.t.Fatalf("high watermark %d; %d is in sync (%v) and holds %d", high, id, w.state.ISR, w.brokers[id].held)
		}
	}
	for _, id := range w.state.ISR {
		// What the leader has not heard of yet it may still count on.
		if len(w.images) == 0 && w.flying == nil && !slices.Contains(w.leader.Maximal(), id) {
			w.t.Fatalf("in-sync set %v, the leader acts on %v", w.state.ISR, w.leader.Maximal())
		}
	}
}

// Two logs that were written by any sequence of leaderships agree after the
// follower has asked and truncated often enough, and nothing is cut that both have.
func TestTruncationFindsWhereLogsPart(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		shared := rapid.IntRange(0, 6).Draw(rt, "shared")
		epoch, mine, theirs := kafka.LeaderEpoch(0), history{}, history{}
		for range shared {
			epoch += kafka.LeaderEpoch(rapid.IntRange(0, 2).Draw(rt, "epochs"))
			mine, theirs = append(mine, epoch), append(theirs, epoch)
		}
		// From here on no epoch is in both: one leader writes, and only one has it.
		last := epoch
		for range rapid.IntRange(0, 8).Draw(rt, "apart") {
			last++
			n := rapid.IntRange(1, 3).Draw(rt, "records")
			for range n {
				if last%2 == 0 {
					mine = append(mine, last)
				} else {
					theirs = append(theirs, last)
				}
			}
		}
		last += 1 // the leader's own epoch, in which it has written nothing
		end := kafka.Offset(len(theirs))
		l := Lead(Beginning{Self: 1, Epoch: last, Own: Position{Held: end, Written: end, End: end},
			State: State{Replicas: []kafka.NodeID{1, 2}, ISR: []kafka.NodeID{1}}, Least: 1}, 0)
		for rounds := 0; len(mine) > 0; rounds++ {
			if rounds > 20 {
				rt.Fatal("no end of truncating")
			}
			d, diverges := l.Diverges(theirs.epochs(), mine[len(mine)-1], kafka.Offset(len(mine)))
			if !diverges {
				break
			}
			to := TruncateTo(mine.epochs(), kafka.Offset(len(mine)), d)
			if to >= kafka.Offset(len(mine)) {
				rt.Fatalf("truncated from %d to %d", len(mine), to)
			}
			mine = mine[:to]
		}
		if len(mine) < shared || len(mine) > len(theirs) || !slices.Equal(mine, theirs[:len(mine)]) {
			rt.Fatalf("of %d shared records %v is left, the leader has %v", shared, mine, theirs)
		}
	})
}

// A history is the epoch of each record of a log.
type history []kafka.LeaderEpoch

func (h history) epochs() (e epochs) {
	for at, epoch := range h {
		if epoch != e.Latest() {
			e = append(e, epochStart{epoch, kafka.Offset(at)})
		}
	}
	return e
}
