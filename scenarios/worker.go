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
	number  int // from 0
	name    string
	mode    delivery.Mode
	history delivery.Group
	through map[int32]kafka.Offset            // by partition: everything below is processed, or given up, for good
	failed  map[share]map[delivery.Offset]int // poisonous records, and how often they failed
	rests   bool                              // has been seen stable, with all its workers, when it was through
}

// A worker reads as a member of its group and puts what it has read into the sink.
// If its process dies it comes back as a new member.
type worker struct {
	machine
	g      *workGroup
	draws  *rand.Rand
	limit  int
	reads  *client.Processor
	member *client.GroupConsumer
	told   map[kafka.TopicPartition]kafka.Offset // as committed, when they were assigned
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
		g := &workGroup{r: r, number: i, name: fmt.Sprintf("g%d", i+1), mode: mode, through: map[int32]kafka.Offset{}, failed: map[share]map[delivery.Offset]int{}}
		g.history = delivery.Group{Name: g.name, Mode: mode}
		r.groups = append(r.groups, g)
		for k := range r.options.Workers {
			name := fmt.Sprintf("w%d%c", i+1, 'a'+k)
			w := &worker{g: g, draws: r.k.Rand("workload/" + name), doing: "nothing yet", told: map[kafka.TopicPartition]kafka.Offset{}}
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
	return g.r.admin.ends != nil && (g.r.grower == nil || g.r.grower.done) && g.lacking() == ""
}

// lacking says where the group has not been through, or "".
func (g *workGroup) lacking() string {
	for i, end := range g.r.admin.ends {
		if g.through[int32(i)] < kafka.Offset(end) && !g.r.givenUp(int32(i)) {
			return fmt.Sprintf("%s-%d up to %d of %d", topicName, i, g.through[int32(i)], end)
		}
	}
	if g.r.grower == nil {
		return ""
	}
	for _, p := range g.r.grower.made {
		if at := g.through[p.number]; at < p.end {
			return fmt.Sprintf("%s up to %d of %d", p.tp, at, p.end)
		}
	}
	return ""
}

// over reports whether the group has been through everything and has come to rest:
// everybody stays for that.
func (g *workGroup) over() bool {
	if !g.rests && g.finished() {
		g.rests = g.restless() == ""
	}
	return g.rests
}

// restless says what the group lacks to be stable, or "".
func (g *workGroup) restless() string {
	w := g.r.observer.groups
	v, there := w.newest(g.name)
	if !there {
		return "it has no members"
	}
	return w.unsettled(v, g.r.options.Workers, g.r.groupTopics())
}

// pending says why a worker has not finished, or "".
func (w *worker) pending() string {
	if w.done || w.r.admin.ends == nil {
		return ""
	}
	if lacking := w.g.lacking(); lacking != "" {
		v, _ := w.r.observer.groups.newest(w.g.name)
		return fmt.Sprintf("group %s is through %s; %s is %s; %s", w.g.name, lacking, w.node.Name(), w.doing, v)
	}
	if !w.g.rests {
		return fmt.Sprintf("group %s is through, and not stable: %s; %s is %s", w.g.name, w.g.restless(), w.node.Name(), w.doing)
	}
	return w.node.Name() + " is " + w.doing
}

// main is the life of one incarnation.
func (w *worker) main() {
	cl, err := client.New(w.world, w.r.clientConfig(w.node.Name()))
	if err != nil {
		panic(err)
	}
	for !w.g.over() {
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
	c := w.r.options.member(w.g.number, w.g.name, w.node.Name())
	if w.r.options.Migrates {
		c.Protocol = pick(w.draws, client.ClassicGroup, client.ConsumerGroup)
	}
	c.OnAssigned, c.OnCommit = w.assigned, w.committing
	p, err := w.processor(cl, c, config)
	if err != nil {
		panic(err)
	}
	w.reads, w.member = p, p.Member()
	for !w.g.over() {
		w.doing = "reading"
		n, err := p.Step(w.world.Now().Add(200*time.Millisecond), w.limit)
		var trouble *client.PartitionError
		switch {
		case errors.As(err, &trouble):
			if tp := trouble.Partition; tp.Topic == topicName && tp.Partition < w.r.options.Partitions {
				w.r.refused(tp.Partition, err)
			}
			w.world.Sleep(10 * time.Millisecond)
		case err != nil:
			w.world.Probe("a worker's membership ended with an error")
			w.close()
			w.world.Sleep(100 * time.Millisecond)
			return
		}
		if w.g.mode == delivery.WithOutput && n > 0 && w.draws.IntN(3) == 0 {
			w.showPlace()
		}
		if b := w.r.options.Bounces; b > 0 && !w.r.healed && w.draws.IntN(b) == 0 {
			w.world.Probe("a worker left its group, and joins it again")
			w.close()
			w.world.Sleep(time.Duration(w.draws.Int64N(int64(500 * time.Millisecond))))
			return
		}
	}
	w.close()
}

// showPlace commits how far the output has come, for those who look on: what fails the next
// makes good. The output says where to begin, and that may be below what was committed: where
// retention has deleted what is between, and nothing behind it was put yet. Until it is
// behind that nothing is committed, for committed offsets go forward.
func (w *worker) showPlace() {
	var ends []client.Commit
	for _, tp := range w.member.Assignment() {
		told, known := w.told[tp]
		if at, err := w.member.Reader().Position(tp); err == nil && known && at >= told {
			ends = append(ends, client.Commit{Partition: tp, Offset: at})
		}
	}
	_ = w.member.Commit(ends, w.world.Now().Add(w.r.requestTimeout))
}

// processor returns a member that goes about it as the group's mode demands.
func (w *worker) processor(cl *client.Client, c client.GroupConfig, config client.ConsumerConfig) (*client.Processor, error) {
	switch w.g.mode {
	case delivery.CommitFirst:
		return cl.NewAtMostOnce(c, config, w.processOnce)
	case delivery.ProcessFirst:
		return cl.NewAtLeastOnce(c, config, w.processForSure)
	}
	return cl.NewExactlyOnce(c, config, w)
}

func (w *worker) close() {
	w.doing = "leaving"
	if err := w.reads.Close(w.world.Now().Add(10 * time.Second)); err != nil {
		w.world.Log.Warn("a worker did not leave cleanly", "err", err)
	}
}

// assigned notes what the worker was given, and what it is told of it.
func (w *worker) assigned(tps []kafka.TopicPartition) {
	generation, now := w.member.Handed(), w.now()
	tps = slices.DeleteFunc(tps, func(tp kafka.TopicPartition) bool { _, ok := w.r.numberOf(tp); return !ok })
	if len(tps) == 0 {
		return
	}
	for _, tp := range tps {
		number, _ := w.r.numberOf(tp)
		w.g.history.Holdings = append(w.g.history.Holdings, delivery.Holding{Member: w.name(), Generation: generation, Partition: number, From: now})
	}
	for _, tp := range tps {
		delete(w.told, tp)
	}
	found, err := w.member.Committed(tps, w.world.Now().Add(w.r.requestTimeout))
	if err != nil {
		return
	}
	for _, tp := range tps {
		number, _ := w.r.numberOf(tp)
		w.told[tp] = found[tp].Offset
		if w.g.mode != delivery.WithOutput { // whoever committed it had processed it, or never will
			w.advance(tp, found[tp].Offset)
		}
		w.g.history.Fetches = append(w.g.history.Fetches, delivery.Fetch{
			Member: w.name(), Partition: number, Offset: delivery.Offset(found[tp].Offset), Invoked: now, Returned: w.now(),
		})
	}
}

func (w *worker) now() delivery.Instant { return delivery.Instant(w.r.k.Now()) }

// processOnce puts what may be lost: if that fails it is missed.
func (w *worker) processOnce(records []client.Record) error {
	w.doing = "processing"
	for _, p := range w.puts(records) {
		if err := w.poisoned(p); err != nil {
			return err
		}
		w.r.sink.put(w.world, p)
	}
	return nil
}

// processForSure puts again what may not be stored.
func (w *worker) processForSure(records []client.Record) error {
	w.doing = "processing"
	for _, p := range w.puts(records) {
		if err := w.poisoned(p); err != nil {
			return err
		}
		w.insist(p)
	}
	return nil
}

// Highest tells what the output has: a worker is an Output of the sink's.
func (w *worker) Highest(tps []kafka.TopicPartition) ([]kafka.Offset, error) {
	out := make([]kafka.Offset, len(tps))
	for i, tp := range tps {
		out[i] = kafka.NoOffset
		if number, ok := w.r.numberOf(tp); ok {
			out[i] = kafka.Offset(w.r.sink.read(w.world, share{w.g.name, number}))
		}
	}
	return out, nil
}

// Store has the output keep the highest offset with what it stores.
func (w *worker) Store(tp kafka.TopicPartition, records []client.Record) error {
	w.doing = "processing"
	for _, p := range w.puts(records) {
		if err := w.poisoned(p); err != nil {
			return err
		}
		p.keeps = true
		w.insist(p)
		w.advance(tp, kafka.Offset(p.offsets[len(p.offsets)-1])+1)
	}
	return nil
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

// puts groups records by partition.
func (w *worker) puts(records []client.Record) []*put {
	var out []*put
	for _, rec := range records {
		number, ok := w.r.numberOf(rec.At())
		if !ok {
			continue
		}
		i := slices.IndexFunc(out, func(p *put) bool { return p.partition == number })
		if i < 0 {
			i = len(out)
			out = append(out, &put{share: share{w.g.name, number}, by: w.name()})
		}
		out[i].offsets = append(out[i].offsets, delivery.Offset(rec.Offset))
	}
	return out
}

func (w *worker) advance(tp kafka.TopicPartition, through kafka.Offset) {
	if number, ok := w.r.numberOf(tp); ok {
		w.g.through[number] = max(w.g.through[number], through)
	}
}

// committing notes a commit, and what comes of it.
func (w *worker) committing(ends []client.Commit) func(error) {
	w.doing = "committing"
	_, generation := w.member.Member()
	name, invoked := w.name(), w.now()
	ends = slices.DeleteFunc(slices.Clone(ends), func(c client.Commit) bool { _, ok := w.r.numberOf(c.Partition); return !ok })
	first := len(w.g.history.Commits)
	for _, c := range ends {
		number, _ := w.r.numberOf(c.Partition)
		w.g.history.Commits = append(w.g.history.Commits, delivery.Commit{
			Member: name, Generation: generation, Partition: number, Offset: delivery.Offset(c.Offset), Invoked: invoked, Returned: invoked,
		})
	}
	return func(err error) {
		outcome := delivery.Unknown
		switch {
		case err == nil:
			outcome = delivery.Done
		case client.OutcomeOf(err) != kafka.Unknown:
			outcome = delivery.Refused
			w.world.Probe("a commit was refused")
		}
		for i, c := range ends {
			noted := &w.g.history.Commits[first+i]
			noted.Outcome, noted.Returned = outcome, w.now()
			if outcome == delivery.Done && w.g.mode != delivery.WithOutput {
				w.advance(c.Partition, c.Offset)
			}
		}
	}
}

// errPoison is what a record fails with that cannot be processed.
var errPoison = errors.New("the record is poison")

// poisonTries bounds how often a record fails: then somebody has seen to it.
const poisonTries = 3

// poisoned fails for records that kill who processes them, a few times each; every
// other time by its hand, then with its process.
func (w *worker) poisoned(p *put) error {
	if w.r.options.Poison == 0 {
		return nil
	}
	for _, at := range p.offsets {
		if int(at)%w.r.options.Poison != 0 {
			continue
		}
		tries := w.g.failed[p.share]
		if tries == nil {
			tries = map[delivery.Offset]int{}
			w.g.failed[p.share] = tries
		}
		if tries[at]++; tries[at] > poisonTries {
			continue
		}
		w.world.Probe("a record could not be processed")
		if !w.r.healed && w.draws.IntN(2) == 0 {
			w.r.k.After(0, w.die)
			w.world.Sleep(time.Second)
		}
		return errPoison
	}
	return nil
}

// die ends the worker's process, which somebody starts again.
func (w *worker) die() {
	w.node.Crash()
	w.r.k.After(100*time.Millisecond, func() {
		if !w.node.Alive() {
			w.restart()
		}
	})
}
