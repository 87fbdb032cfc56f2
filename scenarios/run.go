package scenarios

import (
	"fmt"
	"time"

	"github.com/klammlog/klamm/checker/delivery"
	"github.com/klammlog/klamm/checker/history"
	"github.com/klammlog/klamm/netsim"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/sim"
)

const topicName = "orders"

// livenessBound is how much virtual time everything has to finish once the faults
// have ended for good: more than any time-out of a client with retries.
const livenessBound = 4 * time.Minute

// maxSteps is how many steps a run may take, besides some for each send and each
// second: ten times as many as any that ends.
const maxSteps = 5_000_000

// A run is one simulation with everything in it.
type run struct {
	spec     Spec
	scenario *Scenario
	drawn    Options // from the seed: they decide what is demanded
	options  Options // with the settings given by hand
	settings settings
	schedule []Fault

	witness        *Witness // nil: nobody makes a report
	k              *sim.Kernel
	network        *netsim.Network
	nodes          []*brokerHost // brokers, then those that are controllers only
	brokers        []*brokerHost // of the nodes
	survivor       *brokerHost   // of faults that leave one broker
	fallen         int           // the others that were down when the faults ended
	issued         int64         // producer ids, as any node has known
	producers      []*producerClient
	consumers      []*consumerClient
	raws           []*rawProducer
	groups         []*workGroup
	workers        []*worker
	sink           *sink               // nil without groups
	grower         *grower             // nil if no topic grows
	remaining      [][]delivery.Offset // records that the topic holds in the end, by partition
	guests         []guest
	ministry       ministry
	admin          *adminClient
	leaders        *leaderWatch
	bootstrap      []string // where clients find brokers
	requestTimeout time.Duration

	history     *history.Recorder
	observer    observer
	undelivered []Violation       // of the promise to deliver
	stamps      []kafka.Timestamp // of the records acknowledged, in that order
	effects     map[Family]uint64 // of faults that the network and the disk do not count
	cutUntil    kafka.Instant     // how long a leader is cut off
	joins       []joining         // by partition, as last looked at
	healed      bool
	postponed   int // how often the heal was, for a fault that was missing
	phase       string
	healedAt    kafka.Instant
	lastAck     kafka.Instant
	assured     int           // sends acknowledged that may not be lost
	killedAt    kafka.Instant // when a node died last
	refusals    []refusal
	hurtAt      kafka.Instant // when the first disk of an unrestricted cluster was hurt; 0: none was
}

// Run makes one run. An error is the caller's mistake: no such scenario, a
// setting that does not exist, a fault of a script that cannot be.
func Run(spec Spec, watch Watch) (*Outcome, error) {
	r, err := newRun(spec, watch)
	if err != nil {
		return nil, err
	}
	defer r.k.Close()
	if watch.OnKernel != nil {
		watch.OnKernel(r.k)
	}
	o := r.play()
	o.Continuation, o.Then = spec.Continuation, spec.Then
	if watch.Cluster != nil {
		*watch.Cluster = r.clusterState()
	}
	return o, nil
}

func newRun(spec Spec, watch Watch) (*run, error) {
	s := Find(spec.Scenario)
	if s == nil {
		return nil, fmt.Errorf("no scenario %q", spec.Scenario)
	}
	set, err := parseSettings(spec.Set)
	if err != nil {
		return nil, err
	}
	r := &run{spec: spec, scenario: s, settings: set, drawn: draw(s, spec.Seed), effects: map[Family]uint64{}, witness: watch.Witness}
	if !s.FlushDrawn {
		r.drawn.Flush = "ack"
	}
	r.options = set.apply(r.drawn)
	r.k = sim.New(sim.Options{
		Seed: spec.Seed, HoldOneIn: r.options.HoldOneIn, HoldMax: r.options.HoldMax, PreemptOneIn: r.options.Preempt,
		Buggify: r.options.Buggify, Recorder: watch.Recorder, Sink: watch.sink(),
		Continuations: spec.Turns(), Stop: sim.Stop{At: spec.Until, Events: spec.UntilEvent},
	})
	r.witness.attends(r)
	r.assemble()
	r.witness.begins()
	if spec.Script != nil {
		if err := r.perform(spec.Script); err != nil {
			r.k.Close()
			return nil, err
		}
	}
	return r, nil
}

// assemble puts the universe together; nothing runs yet.
func (r *run) assemble() {
	o := r.options
	r.history = history.NewRecorder(func() history.Instant { return history.Instant(r.k.Now()) })
	network := netsim.DefaultOptions()
	if o.SlowLink {
		network.Link.Latency, network.Link.Jitter = 3*time.Millisecond, 4*time.Millisecond
	}
	network.Tap = r.witness.tap()
	r.network = netsim.New(r.k, network)
	r.requestTimeout = pick(r.k.Rand("options/clients"), 2*time.Second, 8*time.Second, 30*time.Second)
	r.newBrokers()
	c := cast{partitions: o.Partitions, clientClocks: o.ClientClocks, options: &r.options, scenario: r.scenario}
	for _, b := range r.nodes {
		c.nodes, c.disks = append(c.nodes, b.seat.name), append(c.disks, b.disk.Name())
	}
	for i := range o.Producers {
		sends := o.Sends / o.Producers
		if i < o.Sends%o.Producers {
			sends++
		}
		p := r.newProducer(fmt.Sprintf("p%d", i+1), sends)
		r.producers = append(r.producers, p)
		c.clients = append(c.clients, p.node.Name())
	}
	r.assureAcks()
	for i := range o.Consumers {
		p := r.newConsumer(fmt.Sprintf("c%d", i+1))
		r.consumers = append(r.consumers, p)
		c.clients = append(c.clients, p.node.Name())
	}
	for i := range o.Raws {
		p := r.newRaw(fmt.Sprintf("r%d", i+1))
		r.raws = append(r.raws, p)
		c.clients = append(c.clients, p.node.Name())
	}
	r.newGroups()
	for _, w := range r.workers {
		c.clients, c.workers = append(c.clients, w.node.Name()), append(c.workers, w.node.Name())
	}
	r.newGuests()
	r.admin = r.newAdmin("admin")
	r.schedule = drawSchedule(o, r.spec.Seed, c)
	r.letClocksDiffer()
	r.observer = observer{r: r}
	r.observer.cluster, r.observer.groups = r.newClusterWatch(), r.newGroupWatch()
	r.leaders = r.newLeaderWatch()
	r.refusals = make([]refusal, o.Partitions)
	r.joins = make([]joining, o.Partitions)
	r.remaining = make([][]delivery.Offset, o.Partitions)
}

// play runs the phases and judges.
func (r *run) play() *Outcome {
	r.enter("safety")
	for _, b := range r.nodes {
		if !b.absent {
			b.start()
		}
	}
	r.admin.start()
	if r.sink != nil {
		r.sink.start()
		r.crashSink()
	}
	if r.options.clustered() {
		r.leaders.start()
	}
	for _, f := range r.schedule {
		r.k.At(f.at(), func() { r.strike(f) })
	}
	r.k.At(kafka.Instant(warmUp+r.options.Safety), r.heal)
	ending := r.k.Run(kafka.Instant(warmUp+r.options.Safety+r.patience()), r.stepped)
	if ending == sim.Finished && !r.circles() {
		ending = r.settle()
	}
	if ending == sim.Stopped {
		return &Outcome{Result: r.unjudged(), State: r.state(), history: r.history.History(), demands: r.demands()}
	}
	return r.judge(ending)
}

// settle waits for what has to come once everybody has finished: a cluster converges,
// a broker on its own comes to rest.
func (r *run) settle() sim.Ending {
	if r.options.clustered() {
		r.enter("convergence")
		ending := r.converge()
		if ending == sim.Finished && len(r.observer.violations) == 0 {
			r.observer.cluster.ended()
		}
		return ending
	}
	r.enter("rest")
	return r.rest()
}

// patience is how long a run may take once the faults have ended. In an
// unrestricted one each partition may have to be given up, one after the other.
func (r *run) patience() time.Duration {
	if r.drawn.Unrestricted {
		return livenessBound + time.Duration(r.options.Partitions)*giveUpAfter
	}
	return livenessBound
}

// stepped is asked between any two steps whether the run is over; observers look
// on from here.
func (r *run) stepped() bool {
	r.observer.step()
	r.witness.step()
	return r.admin.done || r.circles()
}

// circles reports whether the run takes steps without end: somebody tries again and
// again what cannot succeed.
func (r *run) circles() bool {
	o := &r.options
	return r.observer.steps >= maxSteps+2000*o.Sends+20_000*int(o.Safety/time.Second)
}

// topicReady begins the workload.
func (r *run) topicReady() {
	for _, p := range r.producers {
		if p.node.Alive() {
			p.start()
		}
	}
	for _, c := range r.consumers {
		if c.node.Alive() {
			c.start()
		}
	}
	for _, p := range r.raws {
		if p.node.Alive() {
			p.start()
		}
	}
	for _, w := range r.workers {
		if w.node.Alive() {
			w.start()
		}
	}
	for _, g := range r.guests {
		g.start()
	}
}

func (r *run) enter(phase string) {
	r.phase = phase
	r.history.Mark(history.Mark{Kind: history.Phase, Target: phase, Partition: history.NoPartition, Offset: history.NoOffset})
}

// heal ends every fault for good and begins the phase in which everything must
// finish.
func (r *run) heal() {
	if r.postpones() {
		return
	}
	r.checkSurvivor()
	r.healed, r.healedAt = true, r.k.Now()
	r.enter("liveness")
	r.network.Heal()
	for _, b := range r.nodes {
		b.disk.Heal()
	}
	r.k.Quiet()
	for _, b := range r.nodes {
		b.node.Heal()
		b.bringUp()
	}
	for _, m := range r.clients() {
		m.node.Heal()
		if !m.node.Alive() {
			m.restart()
		}
	}
}

func (r *run) clients() []*machine {
	var out []*machine
	for _, p := range r.producers {
		out = append(out, &p.machine)
	}
	for _, c := range r.consumers {
		out = append(out, &c.machine)
	}
	for _, p := range r.raws {
		out = append(out, &p.machine)
	}
	for _, w := range r.workers {
		out = append(out, &w.machine)
	}
	return out
}

// workloadDone reports whether every producer has finished.
func (r *run) workloadDone() bool {
	for _, p := range r.producers {
		if !p.finished() {
			return false
		}
	}
	for _, p := range r.raws {
		if !p.done {
			return false
		}
	}
	return r.guestsGone()
}

// pending says what has not finished, a sentence each.
func (r *run) pending() []string {
	var out []string
	for _, b := range r.nodes {
		if s := b.pending(); s != "" {
			out = append(out, s)
		}
	}
	for _, p := range r.producers {
		if s := p.pending(); s != "" {
			out = append(out, s)
		}
	}
	for _, p := range r.raws {
		if s := p.unfinished(); s != "" {
			out = append(out, s)
		}
	}
	for _, g := range r.guests {
		if s := g.unfinished(); s != "" {
			out = append(out, s)
		}
	}
	for _, c := range r.consumers {
		if s := c.pending(); s != "" {
			out = append(out, s)
		}
	}
	for _, w := range r.workers {
		if s := w.pending(); s != "" {
			out = append(out, s)
		}
	}
	if s := r.admin.pending(); s != "" {
		out = append(out, s)
	}
	return out
}
