package group

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/machine"
)

// A world of one group, consumers that do what they please, and a log that is slow,
// refuses, and changes its coordinator. It is judged by what consumers are told:
//
//   - each ticket has exactly one answer;
//   - in one generation a partition has one owner, whichever coordinator says so, and
//     generations in which somebody owns something go forward;
//   - who is not of the generation that is in force cannot commit;
//   - what is fetched is what the log has;
//   - a coordinator that replays the log knows what this one knows.
type world struct {
	*stage
	t       *rapid.T
	asked   map[machine.Ticket]any
	players []*player
	owners  map[Generation]map[string]string // partition to member or instance
	inForce Generation                       // the highest that somebody was told an assignment of
	life    int                              // how often the group was forgotten
	gone    int
	behind  bool       // the last record of the group was refused: the log is behind this coordinator
	told    Generation // by this coordinator
}

// A player is a consumer: what it believes to be.
type player struct {
	instance   string
	id         string
	generation Generation
	leads      []string // its members, if it leads
}

// asking is what a player asked, and what was in force then.
type asking struct {
	by         *player
	generation Generation
	inForce    Generation
	life       int
	id         string
}

func TestGroupsKeepTheirPromises(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := &world{stage: newStage(), t: rt, asked: map[machine.Ticket]any{}, owners: map[Generation]map[string]string{}}
		w.limits.InitialDelay = time.Duration(rapid.IntRange(0, 3).Draw(rt, "delay")) * time.Second
		w.limits.MaxSize = rapid.IntRange(2, 5).Draw(rt, "size")
		w.hold = true
		w.reload()
		for i := range 5 {
			p := &player{generation: NoGeneration}
			if i < 2 {
				p.instance = fmt.Sprintf("static%d", i)
			}
			w.players = append(w.players, p)
		}
		for range rapid.IntRange(1, 150).Draw(rt, "steps") {
			w.step()
			w.check()
		}
		w.compare()
		w.shard.Unload(kafka.ErrNotCoordinator)
		w.settle()
		w.judge()
		if len(w.asked) > 0 {
			rt.Fatalf("%d tickets without an answer: %v", len(w.asked), slices.Sorted(maps.Keys(w.asked)))
		}
	})
}

func (w *world) step() {
	p := rapid.SampledFrom(w.players).Draw(w.t, "player")
	switch rapid.SampledFrom([]string{"join", "join", "join", "sync", "sync", "sync", "heartbeat", "commit", "commit", "fetch",
		"leave", "land", "land", "land", "refuse", "time", "restart", "fail", "delete", "long"}).Draw(w.t, "step") {
	case "join":
		w.join(p)
	case "sync":
		w.sync(p)
	case "heartbeat":
		w.shard.Heartbeat(w.now, w.ask(p), HeartbeatRequest{"g", p.generation, p.id, p.instance})
	case "commit":
		w.shard.CommitOffsets(w.now, w.ask(p), CommitRequest{Group: "g", Generation: p.generation, Member: p.id, Instance: p.instance,
			Retention: -1, Version: 9, Topics: []CommitTopic{{Name: "orders", Partitions: []CommitPartition{{Offset: kafka.Offset(w.ticket)}}}}})
	case "fetch":
		w.shard.FetchOffsets(w.now, w.ask(p), FetchOffsetsRequest{Group: "g", Topics: []FetchTopic{{Name: "orders", Partitions: []int32{0}}}})
	case "leave":
		w.shard.Leave(w.now, w.ask(p), LeaveRequest{Group: "g", Version: 5, Members: []Leaver{{p.id, p.instance}}})
	case "land":
		if len(w.flying) > 0 {
			w.lands()
		}
	case "refuse":
		if len(w.flying) > 0 {
			w.behind = w.behind || isClassic(w.flying[0])
			w.refuse(kafka.ErrNotEnoughReplicas)
		}
	case "time":
		w.until(w.now.Now.Add(time.Duration(rapid.IntRange(1, 20).Draw(w.t, "seconds")) * time.Second))
	case "long":
		w.until(w.now.Now.Add(time.Duration(rapid.IntRange(1, 60).Draw(w.t, "minutes")) * time.Minute))
	case "restart": // of the consumer: a static one knows its instance id
		p.id, p.generation, p.leads = "", NoGeneration, nil
	case "fail":
		w.fail()
	case "delete":
		w.shard.DeleteGroup(w.now, w.ask(p), DeleteGroupRequest{"g"})
	}
	w.settle()
	if gone := w.deaths(); w.shard.Groups() == 0 || gone > w.gone { // its generations begin again, for other members
		w.gone = gone
		w.life++
		w.inForce, w.told = 0, 0
		clear(w.owners)
	}
	w.judge()
}

// deaths returns how often the log says that the group is gone.
func (w *world) deaths() (n int) {
	for _, r := range w.log {
		if r.Key[1] == byte(classicKind) && r.Value == nil {
			n++
		}
	}
	return n
}

func (w *world) lands() {
	if isClassic(w.flying[0]) {
		w.behind = false
	}
	w.land()
}

func isClassic(a machine.Append) bool { return a.Records[0].Key[1] == byte(classicKind) }

func (w *world) ask(p *player) machine.Ticket {
	t := w.next()
	w.asked[t] = asking{by: p, generation: p.generation, inForce: w.inForce, life: w.life, id: p.id}
	return t
}

func (w *world) join(p *player) {
	names := []Protocol{{"range", subscribing("orders")}, {"sticky", subscribing("orders", "clicks")}}
	if rapid.Bool().Draw(w.t, "order") {
		slices.Reverse(names)
	}
	w.shard.Join(w.now, w.ask(p), JoinRequest{Group: "g", Member: p.id, Instance: p.instance, ProtocolType: "consumer", Protocols: names,
		Session: 10 * time.Second, RebalanceTimeout: 20 * time.Second, Version: int16(rapid.SampledFrom([]int{3, 5, 9}).Draw(w.t, "version"))})
}

// sync deals out six partitions, if the player leads.
func (w *world) sync(p *player) {
	r := SyncRequest{Group: "g", Generation: p.generation, Member: p.id, Instance: p.instance}
	for i, id := range p.leads {
		var mine []string
		for n := i; n < 6; n += len(p.leads) {
			mine = append(mine, fmt.Sprint(n))
		}
		r.Assignments = append(r.Assignments, Assignment{id, []byte(strings.Join(mine, ","))})
	}
	w.shard.Sync(w.now, w.ask(p), r)
}

// fail moves the coordinator: those who wait are answered, what was on its way may
// have reached the log or not.
func (w *world) fail() {
	w.shard.Unload(kafka.ErrNotCoordinator)
	e := w.shard.Take()
	w.answers = append(w.answers, e.Answers...)
	for range rapid.IntRange(0, len(w.flying)).Draw(w.t, "reached") {
		for _, r := range w.flying[0].Records {
			w.log = append(w.log, logged{r, w.now.Wall})
		}
		w.flying = w.flying[1:]
	}
	w.judge()
	w.reload()
	w.told, w.behind = 0, false
}

// judge looks at what was answered.
func (w *world) judge() {
	for _, a := range w.answers {
		asked, ok := w.asked[a.Ticket]
		if !ok {
			w.t.Fatalf("ticket %d has another answer: %+v", a.Ticket, a.Value)
		}
		delete(w.asked, a.Ticket)
		switch v := a.Value.(type) {
		case JoinResponse:
			w.joined(asked.(asking), v)
		case SyncResponse:
			if v.Error == kafka.None {
				w.assigned(asked.(asking), v)
			}
		case CommitResponse:
			w.committed(asked.(asking), a.Ticket, v)
		case FetchOffsetsResponse:
			w.fetched(v)
		}
	}
	w.answers = nil
}

func (w *world) joined(a asking, v JoinResponse) {
	p := a.by
	switch v.Error {
	case kafka.ErrMemberIDRequired:
		p.id = v.Member
	case kafka.ErrUnknownMemberID, kafka.ErrFencedInstanceID:
		p.id, p.generation, p.leads = "", NoGeneration, nil
	case kafka.None:
		if v.Generation < w.told {
			w.t.Fatalf("generation %d after generation %d", v.Generation, w.told)
		}
		w.told = v.Generation
		p.id, p.generation, p.leads = v.Member, v.Generation, nil
		if v.SkipAssignment {
			return
		}
		for _, m := range v.Members {
			p.leads = append(p.leads, m.ID)
		}
	}
}

func (w *world) assigned(a asking, v SyncResponse) {
	if a.generation < w.inForce {
		w.t.Fatalf("an assignment of generation %d after one of generation %d", a.generation, w.inForce)
	}
	w.inForce = a.generation
	owners := w.owners[a.generation]
	if owners == nil {
		owners = map[string]string{}
		w.owners[a.generation] = owners
	}
	who := a.id
	if a.by.instance != "" {
		who = a.by.instance
	}
	for _, partition := range strings.Split(string(v.Assignment), ",") {
		if partition == "" {
			continue
		}
		if owner, ok := owners[partition]; ok && owner != who {
			w.t.Fatalf("partition %s of generation %d belongs to %s and to %s", partition, a.generation, owner, who)
		}
		owners[partition] = who
	}
}

func (w *world) committed(a asking, t machine.Ticket, v CommitResponse) {
	if v.Error != kafka.None || v.Topics[0].Partitions[0].Error != kafka.None {
		return
	}
	if a.generation != NoGeneration && a.generation < a.inForce && a.life == w.life {
		w.t.Fatalf("generation %d commits though generation %d has assignments", a.generation, a.inForce)
	}
	for _, r := range w.log {
		if c, err := decodeOffset(r.Value); err == nil && r.Key[1] == byte(offsetKind) && c.offset == kafka.Offset(t) {
			return
		}
	}
	w.t.Fatalf("offset %d is said to be committed and is not in the log", t)
}

func (w *world) fetched(v FetchOffsetsResponse) {
	want := kafka.NoOffset
	for _, r := range w.log {
		if r.Key[1] != byte(offsetKind) {
			continue
		}
		want = kafka.NoOffset
		if c, err := decodeOffset(r.Value); r.Value != nil && err == nil {
			want = c.offset
		}
	}
	if v.Error == kafka.None && v.Topics[0].Partitions[0].Offset != want {
		w.t.Fatalf("offset %d is fetched, the log has %d", v.Topics[0].Partitions[0].Offset, want)
	}
}

func (w *world) check() {
	if err := w.shard.Check(); err != nil {
		w.t.Fatal(err)
	}
}

// compare has the log replayed. What is not in the log yet, a rebalance under way, is
// not compared.
func (w *world) compare() {
	for len(w.flying) > 0 {
		w.lands()
		w.settle()
		w.judge()
		w.check()
	}
	other := newStage()
	other.log, other.now = w.log, w.now
	other.reload()
	group := w.shard.groups.get("g")
	settled := group != nil && group.recorded && (group.classic.state == stable || group.classic.state == empty) && !w.behind
	if d := cmp.Diff(hard(w.shard, settled), hard(other.shard, settled)); d != "" {
		w.t.Fatalf("what is replayed is not what is known (-known +replayed):\n%s", d)
	}
}

// hard prints what the log should know.
func hard(s *Shard, settled bool) []string {
	var out []string
	for id, g := range s.groups.all() {
		c := &g.classic
		if settled {
			out = append(out, fmt.Sprintf("%s %s %+v", id, c.state, c.recorded()))
		}
		for _, topic := range g.everyOffset() {
			out = append(out, fmt.Sprintf("%s %+v", id, topic))
		}
	}
	slices.Sort(out)
	return out
}
