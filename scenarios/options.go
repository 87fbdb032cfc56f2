package scenarios

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/klammlog/klamm/disksim"
	"github.com/klammlog/klamm/sim"
)

// Options are what a run draws from its seed before it begins: the size of the
// workload, the configuration of the system, and which fault families are in.
// They are printed with every result.
type Options struct {
	// Workload.
	Producers  int
	Strict     int // of them, so many ask for acks=all at least
	Plain      int // of them, so many ask for acks=all and try again, without idempotence; set by hand only
	Consumers  int
	Raws       int // producers of frames, without a client
	Hostiles   int // hosts that send what is no request
	Crowds     int // hosts with many connections
	CrowdSize  int // connections of each
	Partitions int32
	Sends      int // by all producers together
	Least      int // operations of all clients; producers send on until there were so many
	ValueMax   int // bytes
	Safety     time.Duration

	// Configuration of the topic and the broker, Kafka's names.
	Flush          string
	SegmentBytes   int64
	IndexInterval  int64
	RetentionBytes int64 // 0: everything is kept
	FlushMessages  int64 // with log.flush=os: sync after so many; 0 never
	MessageMax     int64 // max.message.bytes; 0: Kafka's default
	Keeping
	Habits
	ConnectionLimits
	Operators
	StewardActs int // that a steward does about; 0: there is none
	Cluster
	Grouping

	// Unrestricted: faults may destroy what was acknowledged, and only what can
	// still hold is demanded.
	Unrestricted bool

	// The schedule.
	Families  []Family
	Buggify   bool
	HoldOneIn uint64
	HoldMax   time.Duration
	Preempt   uint64 // time passes between two looks at a clock, once in so many; 0 never
	Profile   string // what the disk does when power is lost
	StaleTail bool   // what files grew by may hold what others freed
	SlowLink  bool
}

// minSends is how many sends a run makes at least, or operations of all kinds where
// fewer are sent: every run has at least 2,000 client operations.
const minSends = 2000

// draw draws the options of one run. Each group comes from the same stream in a
// fixed order: options are few, and none is conditional on another.
func draw(s *Scenario, seed uint64) Options {
	r := sim.Stream(seed, "options")
	o := Options{
		Producers:     2 + r.IntN(4),
		Consumers:     1 + r.IntN(3),
		Partitions:    1 + r.Int32N(4),
		Sends:         minSends + r.IntN(600),
		ValueMax:      20 + r.IntN(400),
		Safety:        time.Duration(4+r.IntN(9)) * time.Second,
		Flush:         pick(r, "ack", "ack", "ack", "os"),
		SegmentBytes:  int64(1<<10) << r.IntN(7),
		IndexInterval: int64(1 << (6 + r.IntN(7))),
		FlushMessages: int64(pick(r, 0, 0, 1, 7)),
		Buggify:       r.IntN(4) != 0,
		HoldOneIn:     pick[uint64](r, 0, 50, 400),
		HoldMax:       pick(r, 100*time.Microsecond, 5*time.Millisecond, 200*time.Millisecond),
		Profile:       pick(r, "posix", "posix", "posix", "posix", "posix", "ext4", "ext4", "ext4", "xfs", "prefix"),
		StaleTail:     r.IntN(4) == 0,
		Preempt:       pick[uint64](r, 0, 0, 100, 2000),
		SlowLink:      r.IntN(4) == 0,
	}
	o.Families = s.drawFamilies(r)
	if r := sim.Stream(seed, "options/retention"); r.IntN(4) == 0 {
		o.RetentionBytes = 1<<10 + r.Int64N(63<<10)
	}
	o.Raws = pick(sim.Stream(seed, "options/raw"), 0, 1, 1, 2)
	o.Keeping, o.Habits = defaultKeeping(), defaultHabits()
	if r := sim.Stream(seed, "options/message.max"); r.IntN(2) == 0 {
		// Any record fits, and any raw batch; what clients batch does not always.
		o.MessageMax = int64(o.ValueMax+200) * pick[int64](r, 4, 4, 8, 20)
		o.Oversized = pick(r, 0, 20, 50, 200)
	}
	o.Cluster = alone()
	if s.Cluster != nil {
		o.Cluster = drawCluster(sim.Stream(seed, "options/cluster"))
		s.Cluster(&o.Cluster, sim.Stream(seed, "options/cluster/"+s.Name))
	}
	if s.Grouping != nil {
		o.Grouping = drawGrouping(sim.Stream(seed, "options/groups"))
		s.Grouping(&o.Grouping, sim.Stream(seed, "options/groups/"+s.Name))
		o.inviteBystanders(sim.Stream(seed, "options/bystanders"))
		o.keepEverything()
	}
	if s.Shape != nil {
		s.Shape(&o, sim.Stream(seed, "options/"+s.Name))
	}
	o.inviteGuests(s, seed)
	o.Recreate = o.Recreate || !o.grouped() && !o.Unrestricted && sim.Stream(seed, "options/recreate").IntN(3) == 0
	o.drawLoser(s, sim.Stream(seed, "options/loser"))
	if o.clustered() && o.Loser == "" {
		o.Flush = "ack" // nobody may lose its page cache
	}
	if o.Unrestricted {
		o.Families = withDestroying(o.Families, s.Destroying, sim.Stream(seed, "options/destroying"))
	}
	o.drawExtras(s, seed)
	return o
}

// drawExtras adds families that the other draws know nothing of.
func (o *Options) drawExtras(s *Scenario, seed uint64) {
	for _, f := range s.Extras {
		may := !disksim.FaultKind(f).Destroys() || o.Unrestricted || o.Loser != ""
		if may && sim.Stream(seed, "extras/"+string(f)).IntN(4) == 0 {
			o.Families = append(o.Families, f)
		}
	}
}

// withDestroying adds up to three families of faults that destroy, and a crash
// where one shows its effect only then.
func withDestroying(families, destroying []Family, r *rand.Rand) []Family {
	rest := slices.Clone(destroying)
	r.Shuffle(len(rest), func(i, j int) { rest[i], rest[j] = rest[j], rest[i] })
	out := append(slices.Clone(families), rest[:1+r.IntN(min(3, len(rest)))]...)
	if !slices.Contains(out, "crash") && !slices.Contains(out, "power-loss") {
		out = append(out, pick(r, Family("crash"), Family("power-loss")))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func pick[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

// lines prints the options, one a line, in a fixed order.
func (o Options) lines() []string {
	var families []string
	for _, f := range o.Families {
		families = append(families, string(f))
	}
	return append(o.groupLines(), []string{
		fmt.Sprintf("producers=%d strict=%d plain=%d consumers=%d raws=%d partitions=%d sends=%d operations.min=%d value.max=%d safety=%s",
			o.Producers, o.Strict, o.Plain, o.Consumers, o.Raws, o.Partitions, o.Sends, o.Least, o.ValueMax, o.Safety),
		fmt.Sprintf("log.flush=%s segment.bytes=%d retention.bytes=%d index.interval.bytes=%d flush.messages=%d max.message.bytes=%d",
			o.Flush, o.SegmentBytes, o.RetentionBytes, o.IndexInterval, o.FlushMessages, o.MessageMax),
		o.Keeping.String(),
		fmt.Sprintf("hostiles=%d crowds=%d crowd.size=%d ", o.Hostiles, o.Crowds, o.CrowdSize) + o.ConnectionLimits.String(),
		o.Operators.String(),
		o.Cluster.String() + fmt.Sprintf(" steward.acts=%d", o.StewardActs),
		o.Habits.String() + fmt.Sprintf(" mode=%s", o.mode()),
		fmt.Sprintf("buggify=%t hold.one.in=%d hold.max=%s preempt.one.in=%d crash.profile=%s stale.tail=%t slow.link=%t",
			o.Buggify, o.HoldOneIn, o.HoldMax, o.Preempt, o.Profile, o.StaleTail, o.SlowLink),
		fmt.Sprintf("families=%v", families),
	}...)
}

// groupLines prints what is drawn of groups, if there are any.
func (o Options) groupLines() []string {
	if !o.grouped() {
		return nil
	}
	return []string{o.Grouping.String()}
}

// mode says which faults of the disk the run may have (docs/FAULTS.md).
func (o Options) mode() string {
	if o.Unrestricted {
		return "unrestricted"
	}
	return "survivable"
}
