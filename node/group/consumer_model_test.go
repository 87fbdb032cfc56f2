package group

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/machine"
)

// A modernWorld is a world of one group of KIP-848. Its consumers do what clients do:
// they own what they were assigned until they have let go of it, say truly what they
// own, and own nothing when they join. Some speak the classic protocol, cooperatively,
// and change to the other and back, so that the group does. It is judged by this:
//
//   - each ticket has exactly one answer, and the shard's invariants hold: above all,
//     no partition is two members';
//   - what a consumer that is a member owns is what the coordinator has for it, to be
//     kept or to be revoked: so no two consumers own the same;
//   - a coordinator that replays the log knows all that this one knows;
//   - in the end, when nothing goes wrong any more, each partition has one owner, and
//     no owner has two more than another.
type modernWorld struct {
	*stage
	t       *rapid.T
	asked   map[machine.Ticket]*modern
	players []*modern
}

// A modern is a consumer of KIP-848.
type modern struct {
	instance string
	id       string
	epoch    int32
	owned    places
	wants    places
	waits    bool
	lost     bool // whether its last request was answered, and so says all
	topics   []string

	classic bool // speaks the classic protocol, cooperatively
	again   bool // is to join again
	joined  Generation
	syncs   bool // is to ask for its assignment
	leads   []JoinedMember
	asked   machine.Ticket
}

func TestModernGroupsKeepTheirPromises(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := &modernWorld{stage: newStage(), t: rt, asked: map[machine.Ticket]*modern{}}
		w.topics = catalog{{"orders", kafka.TopicID{1}, 5}, {"clicks", kafka.TopicID{2}, 2}}
		w.modern.MaxSize, w.limits.InitialDelay = 5, 0
		w.hold = true
		w.reload()
		for i := range 5 {
			p := &modern{topics: []string{"orders", "clicks"}, classic: rapid.Bool().Draw(rt, "classic")}
			if i < 2 {
				p.instance = fmt.Sprintf("static%d", i)
			}
			w.restart(p)
			w.players = append(w.players, p)
		}
		for range rapid.IntRange(1, 150).Draw(rt, "steps") {
			w.step()
			w.look()
		}
		w.end()
	})
}

// restart makes a consumer a new one, with a new member id.
func (w *modernWorld) restart(p *modern) {
	w.ids++
	*p = modern{id: fmt.Sprintf("m%d", w.ids), instance: p.instance, topics: p.topics, classic: p.classic}
	if p.classic {
		p.id = ""
	}
}

func (w *modernWorld) step() {
	p := rapid.SampledFrom(w.players).Draw(w.t, "player")
	switch rapid.SampledFrom([]string{"beat", "beat", "beat", "beat", "all", "all", "all", "all", "full", "adopt", "adopt", "leave", "away", "restart", "other", "other",
		"land", "land", "land", "land", "refuse", "time", "fail", "grow", "subscribe", "classic", "delete", "commit"}).Draw(w.t, "step") {
	case "beat":
		w.beat(p, false)
	case "all": // say something, and are heard
		for _, p := range w.players {
			w.beat(p, false)
			p.adopt()
		}
		w.until(w.now.Now.Add(time.Second))
		for len(w.flying) > 0 {
			w.land()
			w.settle()
		}
		w.judge()
	case "full":
		w.beat(p, true)
	case "adopt":
		p.adopt()
	case "leave":
		w.leave(p, LeaveEpoch)
	case "away":
		if p.instance != "" {
			w.leave(p, LeaveStaticEpoch)
		}
	case "restart":
		w.restart(p)
	case "other": // the protocol
		p.classic = !p.classic
		w.restart(p)
	case "land":
		if len(w.flying) > 0 {
			w.land()
		}
	case "refuse":
		if len(w.flying) > 0 {
			w.refuse(kafka.ErrNotEnoughReplicas)
		}
	case "time":
		w.until(w.now.Now.Add(time.Duration(rapid.IntRange(1, 20).Draw(w.t, "seconds")) * time.Second))
	case "fail":
		w.fail()
	case "grow":
		w.topics[rapid.IntRange(0, 1).Draw(w.t, "topic")].Partitions++
		w.shard.TopicsChanged(w.now)
	case "classic": // somebody of the other protocol, who joins and is not heard of again
		w.shard.Join(w.now, w.other(), joining("", 10*time.Second))
	case "delete":
		w.shard.DeleteGroup(w.now, w.other(), DeleteGroupRequest{"g"})
	case "commit":
		w.shard.CommitOffsets(w.now, w.other(), CommitRequest{Group: "g", Generation: Generation(p.epoch), Member: p.id, Version: 9, Retention: -1,
			Topics: []CommitTopic{{Name: "orders", Partitions: []CommitPartition{{}}}}})
	case "subscribe":
		p.topics = [][]string{{"orders"}, {"clicks"}, {"orders", "clicks"}}[rapid.IntRange(0, 2).Draw(w.t, "topics")]
		w.beat(p, true)
	}
	w.settle()
	w.judge()
}

// beat sends a heartbeat, unless the last one has no answer yet.
func (w *modernWorld) beat(p *modern, full bool) {
	if p.waits {
		return
	}
	if p.classic {
		w.beatClassic(p)
		return
	}
	full = full || p.lost || p.epoch == 0
	p.waits, p.lost = true, false
	r := ConsumerHeartbeatRequest{Group: "g", Member: p.id, Instance: p.instance, Epoch: p.epoch, RebalanceTimeout: -1, Version: 1}
	if full {
		r.RebalanceTimeout, r.Topics = 30*time.Second, p.topics
	}
	if p.epoch == 0 {
		p.owned, p.wants = nil, nil
	} else if full || !slices.Equal(p.owned, p.wants) || rapid.Bool().Draw(w.t, "owned") {
		r.Owned = p.owned.topics()
	}
	t := w.next()
	w.asked[t] = p
	w.shard.ConsumerHeartbeat(w.now, t, r)
}

// other is the ticket of a request whose answer does not matter.
func (w *modernWorld) other() machine.Ticket {
	t := w.next()
	w.asked[t] = &modern{}
	return t
}

// leave has a consumer go; it does not wait for the answer.
func (w *modernWorld) leave(p *modern, epoch int32) {
	if p.waits {
		return
	}
	if p.classic {
		w.shard.Leave(w.now, w.other(), LeaveRequest{Group: "g", Version: 5, Members: []Leaver{{p.id, p.instance}}})
		w.restart(p)
		return
	}
	w.shard.ConsumerHeartbeat(w.now, w.other(), ConsumerHeartbeatRequest{Group: "g", Member: p.id, Instance: p.instance, Epoch: epoch, RebalanceTimeout: -1, Version: 1})
	w.restart(p)
}

// fail moves the coordinator.
func (w *modernWorld) fail() {
	w.shard.Unload(kafka.ErrNotCoordinator)
	w.answers = append(w.answers, w.shard.Take().Answers...)
	for range rapid.IntRange(0, len(w.flying)).Draw(w.t, "reached") {
		for _, r := range w.flying[0].Records {
			w.log = append(w.log, logged{r, w.now.Wall})
		}
		w.flying = w.flying[1:]
	}
	w.judge()
	w.reload()
}

func (w *modernWorld) judge() {
	for _, a := range w.answers {
		p, ok := w.asked[a.Ticket]
		if !ok {
			w.t.Fatalf("ticket %d has another answer: %+v", a.Ticket, a.Value)
		}
		delete(w.asked, a.Ticket)
		if p.classic && p.asked == a.Ticket {
			w.heardClassic(p, a.Value)
			continue
		}
		v, ok := a.Value.(*ConsumerHeartbeatResponse)
		if !ok || v.Member != p.id {
			continue // it has restarted since
		}
		p.waits = false
		switch v.Error {
		case kafka.None:
			if v.Epoch < p.epoch {
				w.t.Fatalf("%s was in epoch %d and is told %d", p.id, p.epoch, v.Epoch)
			}
			p.epoch = v.Epoch
			if v.Assigned != nil {
				p.wants = placesOf(v.Assigned)
			}
		case kafka.ErrFencedMemberEpoch, kafka.ErrUnknownMemberID, kafka.ErrFencedInstanceID, kafka.ErrUnreleasedInstanceID, kafka.ErrGroupIDNotFound:
			p.epoch, p.owned, p.wants = 0, nil, nil
		default:
			p.lost = true
		}
	}
	w.answers = nil
}

// look compares what consumers own with what the coordinator has for them. Whom it
// has removed is fenced: it will learn it.
func (w *modernWorld) look() {
	if err := w.shard.Check(); err != nil {
		w.t.Fatal(err)
	}
	g := w.shard.groups.get("g")
	if g == nil || g.consumer == nil {
		return
	}
	for _, p := range w.players {
		m := g.consumer.members.get(p.id)
		if m == nil || p.epoch == 0 || m.epoch == LeaveStaticEpoch {
			continue
		}
		if _, more := p.owned.split(m.assigned.with(m.revoking)); len(more) > 0 {
			w.t.Fatalf("%s owns %v, which the coordinator may give to others", p.id, more)
		}
	}
}

// end has everything go well, and looks at the result.
func (w *modernWorld) end() {
	w.hold = false
	for w.settle(); len(w.flying) > 0; w.settle() {
		w.land()
	}
	w.judge()
	w.compare()
	for range 60 {
		w.until(w.now.Now.Add(2 * time.Second))
		for _, p := range w.players {
			p.topics = []string{"orders", "clicks"}
			p.adopt()
			w.beat(p, true)
			w.settle()
			w.judge()
			w.look()
		}
	}
	w.compare()
	w.fair()
	w.shard.Unload(kafka.ErrNotCoordinator)
	w.settle()
	w.judge()
	if len(w.asked) > 0 {
		w.t.Fatalf("%d tickets without an answer", len(w.asked))
	}
}

func (w *modernWorld) fair() {
	owners, least, most := map[place]string{}, 1<<30, 0
	for _, p := range w.players {
		for _, q := range p.owned {
			if owners[q] != "" {
				w.t.Fatalf("partition %v is %s's and %s's", q, owners[q], p.id)
			}
			owners[q] = p.id
		}
		least, most = min(least, len(p.owned)), max(most, len(p.owned))
	}
	if want := int(w.topics[0].Partitions + w.topics[1].Partitions); len(owners) != want || most > least+1 {
		w.t.Fatalf("%d of %d partitions are owned, by consumers of %d to %d", len(owners), want, least, most)
	}
	if state := w.shard.groups.get("g").listed().State; state != "Stable" {
		w.t.Fatalf("the group is %s in the end", state)
	}
}

func (w *modernWorld) compare() {
	other := newStage()
	other.log, other.now, other.topics = w.log, w.now, w.topics
	other.reload()
	if d := cmp.Diff(modernState(w.shard), modernState(other.shard)); d != "" {
		w.t.Fatalf("what is replayed is not what is known (-known +replayed):\n%s", d)
	}
}

func modernState(s *Shard) string {
	var b strings.Builder
	for id, g := range s.groups.all() {
		c := g.consumer
		if c == nil {
			continue
		}
		fmt.Fprintf(&b, "%s epoch %d hash %d target %d since %d\n", id, c.epoch, c.hash, c.target, c.since)
		var lines []string
		for id, m := range c.members.all() {
			lines = append(lines, fmt.Sprintf("  %s %q %+v %v\n", id, m.enrolment.encode(), m.progress, m.goal))
		}
		slices.Sort(lines)
		b.WriteString(strings.Join(lines, ""))
	}
	return b.String()
}
