package scenarios

import (
	"math/rand/v2"
	"time"

	"github.com/klammlog/klamm/checker/history"
	"github.com/klammlog/klamm/netsim"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/sim"
)

// planePartition is the scenario of networks in which what brokers tell each other
// and what controllers tell brokers goes different ways, and one of the two is cut.
// Who does not hear the controllers goes on as before, fetches what it always
// fetched, and may long be somebody else to the others. Leaders die one after the
// other meanwhile, and who is back dies again.
var planePartition = &Scenario{
	Name:  "plane-partition",
	About: "brokers reach each other and not the controllers, or the controllers and not each other, while who leads next dies too, and who is back dies again",
	Cluster: func(c *Cluster, r *rand.Rand) {
		safeCluster(c, r)
		c.Controllers, c.Voters = 3, 3
		c.Session, c.LagMax = 2*time.Second, pick(r, 200*time.Millisecond, 400*time.Millisecond)
		c.Beat = c.Session / 5
		c.Rebalance = r.IntN(4) != 0
	},
	// What nobody may acknowledge for lack of others in sync stays unwritten, where
	// all ask for that.
	Shape:     func(o *Options, r *rand.Rand) { o.Strict = pick(r, 1, o.Producers) },
	Always:    []Family{"split", "crash"},
	Must:      []Family{"split", "crash"},
	Sometimes: []Family{"power-loss", "pause", "pause", "slow-node", "disk-slow", "latency", "task-stall", "client-crash"},
	AtLeast:   2,
	AtMost:    4,
	Aims: map[Family][]target{
		"crash":      {theHeirs, theHeirs, theReturned, theJoining, theJoining},
		"power-loss": {theHeirs, theJoining},
		"pause":      {theLeader, theController, aFollower, aFollower, aFollower},
	},
	TuneNet: cutPlane,
	TuneProcess: func(f *sim.Fault, r *rand.Rand) {
		switch f.Node {
		case theHeirs:
			longAway(f, r)
		case theJoining: // it waits for one, and there are few
			f.At = kafka.Instant(warmUp) + (f.At-kafka.Instant(warmUp))/4
			f.For = min(f.For, time.Duration(r.Int64N(int64(200*time.Millisecond))))
		case aFollower: // it leaves the in-sync set, and its session goes on
			f.For = 300*time.Millisecond + time.Duration(r.Int64N(int64(time.Second)))
		}
	},
	Guests:  []Family{replicaMoves},
	Reaches: []string{"a broker was fenced, for its session ended", truncationProbe},
}

// cutPlane parts some brokers from all controllers, or two brokers from each other.
func cutPlane(f *netsim.Fault, c cast, in netsim.Window, r *rand.Rand) {
	if f.Family != netsim.Split {
		return
	}
	var brokers, controllers []string
	for _, s := range c.options.seats() {
		if s.isVoter() {
			controllers = append(controllers, s.name)
		} else {
			brokers = append(brokers, s.name)
		}
	}
	brokers = shuffled(r, brokers)
	span := in.End.Sub(in.Start)
	f.At = in.Start.Add(time.Duration(r.Int64N(int64(span * 3 / 4))))
	f.For = 200*time.Millisecond + time.Duration(r.Int64N(int64(4*time.Second)))
	switch r.IntN(8) {
	case 0:
		f.A, f.B = brokers[:2:2], controllers
	case 1:
		f.A, f.B = brokers[:1:1], controllers
	case 2, 3: // for less than a session: it leads on
		f.A, f.B = []string{theWisher}, controllers
		f.For = c.options.Session/2 + time.Duration(r.Int64N(int64(c.options.Session)/2))
	case 4, 5: // it waits for one, and there are few
		f.A, f.B = []string{theJoining}, []string{theLeader}
		f.At = in.Start.Add(time.Duration(r.Int64N(int64(span / 4))))
	default:
		f.A, f.B = brokers[:1:1], brokers[1:2:2]
	}
}

// heirs is how many leaders of a partition die after the first.
const heirs = 1

// heirWait is how long it is waited for the next leader, and for something that it
// has written.
const heirWait = 5 * time.Second

// strikeHeirs strikes who leads a partition, and then who leads it next, as soon as
// that has written something of its own.
func (r *run) strikeHeirs(f Fault) {
	tp := r.partition(f.Process.N)
	b := r.leader(tp)
	if b == nil || b.running == nil {
		r.k.After(victimPause, func() {
			if !r.healed {
				r.strikeHeirs(f)
			}
		})
		return
	}
	s, _ := r.newestState(tp)
	r.strikeNode(f, b)
	r.strikeHeir(f, tp, s.LeaderEpoch, r.k.Now().Add(heirWait), heirs)
}

// strikeHeir waits for a leader of a later epoch. Who inherits is back sooner than who
// died first, as often as not.
func (r *run) strikeHeir(f Fault, tp kafka.TopicPartition, after kafka.LeaderEpoch, until kafka.Instant, left int) {
	if r.healed || r.k.Now() > until || left == 0 {
		return
	}
	if b, epoch := r.heir(tp, after); b != nil {
		one := f
		p := *f.Process
		p.For = time.Millisecond + time.Duration(r.k.Rand("faults/return").Int64N(int64(500*time.Millisecond)))
		one.Process = &p
		r.mark(history.Fault, b.seat.name, string(f.Family)+" strikes an heir")
		r.strikeNode(one, b)
		r.strikeHeir(f, tp, epoch, r.k.Now().Add(heirWait), left-1)
		return
	}
	r.k.After(aheadPause, func() { r.strikeHeir(f, tp, after, until, left) })
}

// heir returns who leads a partition in an epoch after one, if it has written
// something in that epoch.
func (r *run) heir(tp kafka.TopicPartition, after kafka.LeaderEpoch) (*brokerHost, kafka.LeaderEpoch) {
	b := r.leader(tp)
	if b == nil || !b.well() {
		return nil, 0
	}
	v, ok := b.running.Partition(tp)
	if !ok || !leads(v) || v.LeaderEpoch <= after || v.Held <= v.Began {
		return nil, 0
	}
	return b, v.LeaderEpoch
}

// Who is back dies again so often, each time within so much time of being back.
const (
	returns      = 3
	returnWithin = 400 * time.Millisecond
)

// strikeReturned strikes a node, and again whenever it is back.
func (r *run) strikeReturned(f Fault, b *brokerHost, left int) {
	if r.healed || left == 0 {
		return
	}
	one := f
	p := *f.Process
	draws := r.k.Rand("faults/return")
	p.For = time.Millisecond + time.Duration(draws.Int64N(int64(200*time.Millisecond)))
	one.Process = &p
	r.strikeNode(one, b)
	starts := b.starts
	var wait func()
	wait = func() {
		switch {
		case r.healed:
		case b.starts > starts && b.well():
			r.k.After(time.Duration(draws.Int64N(int64(returnWithin))), func() { r.strikeReturned(f, b, left-1) })
		default:
			r.k.After(20*time.Millisecond, wait)
		}
	}
	wait()
}
