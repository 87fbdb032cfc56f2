package scenarios

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/klammlog/klamm/checker/delivery"
	"github.com/klammlog/klamm/node/client"
	"github.com/klammlog/klamm/node/kafka"
)

// A workGroup is some workers that share the topic, and what is known of them.
type workGroup struct {
	r       *run
	name    string
	mode    delivery.Mode
	history delivery.Group
	through []kafka.Offset // by partition: everything below is processed, or given up, for good
}

// A worker reads as a member of its group and puts what it has read into the sink.
// If its process dies it comes back as a new member.
type worker struct {
	machine
	g      *workGroup
	draws  *rand.Rand
	limit  int
	member *client.GroupConsumer
	done   bool
	doing  string
}

// newGroups adds the groups that the options ask for.
func (r *run) newGroups() {
	if !r.options.grouped() {
		return
	}
	r.sink = r.newSink()
	for i, mode := range r.options.Groups {
		g := &workGroup{r: r, name: fmt.Sprintf("g%d", i+1), mode: mode, through: make([]kafka.Offset, r.options.Partitions)}
		g.history = delivery.Group{Name: g.name, Mode: mode}
		r.groups = append(r.groups, g)
		for k := range r.options.Workers {
			name := fmt.Sprintf("w%d%c", i+1, 'a'+k)
			w := &worker{g: g, draws: r.k.Rand("workload/" + name), doing: "nothing yet"}
			w.limit = pick(w.draws, 1, 10, 100)
			w.machine = r.newMachine(name, w.main)
			r.workers = append(r.workers, w)
		}
	}
}

// crashSink draws when the output's machine dies.
func (r *run) crashSink() {
	draws := r.k.Rand("faults/sink")
	for range r.options.SinkCrashes {
		at := kafka.Instant(warmUp) + kafka.Instant(draws.Int64N(int64(r.options.Safety)))
		power, away := draws.IntN(2) == 0, time.Duration(draws.Int64N(int64(time.Second)))
		r.k.At(at, func() { r.sink.crash(power, away, 0) })
	}
}

// finished reports whether the group has been through everything there is.
func (g *workGroup) finished() bool {
	if g.r.admin.ends == nil {
		return false
	}
	for i, end := range g.r.admin.ends {
		if g.through[i] < kafka.Offset(end) && !g.r.givenUp(int32(i)) {
			return false
		}
	}
	return true
}

// pending says why a worker has not finished, or "".
func (w *worker) pending() string {
	if w.done || w.r.admin.ends == nil {
		return ""
	}
	for i, end := range w.r.admin.ends {
		if w.g.through[i] < kafka.Offset(end) && !w.r.givenUp(int32(i)) {
			return fmt.Sprintf("group %s is through %s-%d up to %d of %d; %s is %s", w.g.name, topicName, i, w.g.through[i], end, w.node.Name(), w.doing)
		}
	}
	return w.node.Name() + " is " + w.doing
}

// main is the life of one incarnation.
func (w *worker) main() {
	cl, err := client.New(w.world, w.r.clientConfig(w.node.Name()))
	if err != nil {
		panic(err)
	}
	for !w.g.finished() {
		w.doing = "a member"
		w.work(cl)
	}
	w.doing = "closing"
	cl.Close(kafka.Never)
	w.done = true
}

// name tells one membership from the others. A static member is the same whenever it
// comes back.
func (w *worker) name() string {
	if w.r.options.Static {
		return w.node.Name()
	}
	id, _ := w.member.Member()
	return fmt.Sprintf("%s/%d %s", w.node.Name(), w.incarnation, id)
}

// work is one membership: it ends when everything is done, when the group is left for
// a while, or when the group wants this member no more.
func (w *worker) work(cl *client.Client) {
	config := client.DefaultConsumer()
	config.Reset, config.MaxWait = client.ResetEarliest, 50*time.Millisecond
	c := w.r.options.member(w.g.name, w.node.Name())
	c.OnAssigned = w.assigned
	if w.g.mode == delivery.WithOutput {
		c.From = w.whereOutputEnds
	}
	m, err := cl.NewGroupConsumer(c, config)
	if err != nil {
		panic(err)
	}
	w.member = m
	for !w.g.finished() {
		records, err := m.Poll(w.world.Now().Add(200*time.Millisecond), w.limit)
		var p *client.PartitionError
		switch {
		case errors.As(err, &p):
			w.r.refused(p.Partition.Partition, err)
			w.world.Sleep(10 * time.Millisecond)
		case err != nil:
			w.world.Probe("a worker's membership ended with an error")
			w.close(m)
			w.world.Sleep(100 * time.Millisecond)
			return
		}
		w.handle(m, records)
		if b := w.r.options.Bounces; b > 0 && !w.r.healed && w.draws.IntN(b) == 0 {
			w.world.Probe("a worker left its group, and joins it again")
			w.close(m)
			w.world.Sleep(time.Duration(w.draws.Int64N(int64(500 * time.Millisecond))))
			return
		}
	}
	w.close(m)
}

func (w *worker) close(m *client.GroupConsumer) {
	w.doing = "leaving"
	if err := m.Close(w.world.Now().Add(10 * time.Second)); err != nil {
		w.world.Log.Warn("a worker did not leave cleanly", "err", err)
	}
}

// assigned notes what the worker was given, and what it is told of it.
func (w *worker) assigned(tps []kafka.TopicPartition) {
	generation, now := w.member.Handed(), w.now()
	for _, tp := range tps {
		w.g.history.Holdings = append(w.g.history.Holdings, delivery.Holding{Member: w.name(), Generation: generation, Partition: tp.Partition, From: now})
	}
	found, err := w.member.Committed(tps, w.world.Now().Add(w.r.requestTimeout))
	if err != nil {
		return
	}
	for _, tp := range tps {
		if w.g.mode != delivery.WithOutput { // whoever committed it had processed it, or never will
			w.g.through[tp.Partition] = max(w.g.through[tp.Partition], found[tp].Offset)
		}
		w.g.history.Fetches = append(w.g.history.Fetches, delivery.Fetch{
			Member: w.name(), Partition: tp.Partition, Offset: delivery.Offset(found[tp].Offset), Invoked: now, Returned: w.now(),
		})
	}
}

func (w *worker) now() delivery.Instant { return delivery.Instant(w.r.k.Now()) }

// whereOutputEnds has the worker begin behind what is in the output.
func (w *worker) whereOutputEnds(tps []kafka.TopicPartition) ([]client.Place, error) {
	var out []client.Place
	for _, tp := range tps {
		high := w.r.sink.read(w.world, share{w.g.name, tp.Partition})
		out = append(out, client.Place{Partition: tp, From: client.At(kafka.Offset(high) + 1)})
	}
	return out, nil
}

// handle processes what a poll returned, in the order that the group's mode demands.
func (w *worker) handle(m *client.GroupConsumer, records []client.Record) {
	switch w.g.mode {
	case delivery.CommitFirst:
		w.commitThenProcess(m, records)
	case delivery.ProcessFirst:
		w.processThenCommit(m, records)
	case delivery.WithOutput:
		w.processIntoOutput(m, records)
	}
}

// commitTries bounds how often a commit of unknown outcome is made again.
const commitTries = 20

// commitThenProcess processes only what is committed for certain. What may not be
// is committed again; what is refused is read again, by whoever has the partition.
func (w *worker) commitThenProcess(m *client.GroupConsumer, records []client.Record) {
	if len(records) == 0 {
		return
	}
	w.doing = "committing"
	ends := endsOf(records)
	outcome := w.commit(m, ends)
	for try := 0; outcome == delivery.Unknown && try < commitTries; try++ {
		w.world.Sleep(20 * time.Millisecond)
		outcome = w.commit(m, ends)
	}
	if outcome != delivery.Done {
		w.goBack(m, records)
		return
	}
	w.advance(ends)
	w.doing = "processing"
	for _, p := range w.puts(records) {
		w.r.sink.put(w.world, p) // once: if that fails it is missed
	}
}

// goBack has the member read again what it could not commit.
func (w *worker) goBack(m *client.GroupConsumer, records []client.Record) {
	for _, rec := range slices.Backward(records) {
		tp := kafka.TopicPartition{Topic: topicName, Partition: rec.Partition}
		_ = m.Reader().Seek(tp, client.At(rec.Offset)) // it may have been taken away
	}
}

// processThenCommit puts again what may not be stored, then commits. A commit that
// fails is made good by the next.
func (w *worker) processThenCommit(m *client.GroupConsumer, records []client.Record) {
	w.doing = "processing"
	for _, p := range w.puts(records) {
		w.insist(p)
	}
	w.commitPosition(m)
}

// insist puts until it is stored for certain, and so perhaps twice. Blocks.
func (w *worker) insist(p *put) {
	for {
		one := *p
		if w.r.sink.put(w.world, &one) == storedYes {
			return
		}
	}
}

// commitPosition commits where the member stands, if that is further than the group
// is known to be.
func (w *worker) commitPosition(m *client.GroupConsumer) {
	var ends []client.Commit
	for _, tp := range m.Assignment() {
		if at, err := m.Reader().Position(tp); err == nil && at > w.g.through[tp.Partition] {
			ends = append(ends, client.Commit{Partition: tp, Offset: at})
		}
	}
	w.doing = "committing"
	if len(ends) > 0 && w.commit(m, ends) == delivery.Done {
		w.advance(ends)
	}
}

// processIntoOutput has the output keep the highest offset with what it stores. The
// group's offsets are for those who look on.
func (w *worker) processIntoOutput(m *client.GroupConsumer, records []client.Record) {
	w.doing = "processing"
	for _, p := range w.puts(records) {
		p.keeps = true
		w.insist(p)
		at := kafka.Offset(p.offsets[len(p.offsets)-1]) + 1
		w.g.through[p.partition] = max(w.g.through[p.partition], at)
	}
	if len(records) > 0 && w.draws.IntN(3) == 0 {
		w.doing = "committing"
		w.commit(m, endsOf(records))
	}
}

// puts groups records by partition.
func (w *worker) puts(records []client.Record) []*put {
	var out []*put
	for _, rec := range records {
		i := slices.IndexFunc(out, func(p *put) bool { return p.partition == rec.Partition })
		if i < 0 {
			i = len(out)
			out = append(out, &put{share: share{w.g.name, rec.Partition}, by: w.name()})
		}
		out[i].offsets = append(out[i].offsets, delivery.Offset(rec.Offset))
	}
	return out
}

// endsOf returns the offsets behind records, by partition.
func endsOf(records []client.Record) []client.Commit {
	var out []client.Commit
	for _, rec := range records {
		tp := kafka.TopicPartition{Topic: topicName, Partition: rec.Partition}
		i := slices.IndexFunc(out, func(c client.Commit) bool { return c.Partition == tp })
		if i < 0 {
			i = len(out)
			out = append(out, client.Commit{Partition: tp})
		}
		out[i].Offset = rec.Offset + 1
	}
	return out
}

func (w *worker) advance(ends []client.Commit) {
	for _, c := range ends {
		w.g.through[c.Partition.Partition] = max(w.g.through[c.Partition.Partition], c.Offset)
	}
}

// commit commits, and notes what came of it.
func (w *worker) commit(m *client.GroupConsumer, ends []client.Commit) delivery.Outcome {
	_, generation := m.Member()
	name, invoked := w.name(), w.now()
	first := len(w.g.history.Commits)
	for _, c := range ends {
		w.g.history.Commits = append(w.g.history.Commits, delivery.Commit{
			Member: name, Generation: generation, Partition: c.Partition.Partition, Offset: delivery.Offset(c.Offset), Invoked: invoked, Returned: invoked,
		})
	}
	err := m.Commit(ends, w.world.Now().Add(w.r.requestTimeout))
	outcome := delivery.Unknown
	switch {
	case err == nil:
		outcome = delivery.Done
	case client.OutcomeOf(err) != kafka.Unknown:
		outcome = delivery.Refused
		w.world.Probe("a commit was refused")
	}
	for i := range ends {
		c := &w.g.history.Commits[first+i]
		c.Outcome, c.Returned = outcome, w.now()
	}
	return outcome
}
