package scenarios

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/klammlog/klamm/checker/delivery"
	"github.com/klammlog/klamm/node/client"
	"github.com/klammlog/klamm/node/config"
)

// Grouping says which groups read the topic, and how their workers go about it.
type Grouping struct {
	Groups   []delivery.Mode // a group each
	Workers  int             // of each group
	Static   bool            // workers have instance ids
	Consumer bool            // groups speak the protocol of KIP-848: the coordinator assigns
	Assignor string          // partition.assignment.strategy, by name
	Bounces  int             // a worker leaves and joins again, one poll in so many; 0: never
	Mixed    bool            // every other group speaks the other protocol
	Migrates bool            // each membership speaks one of the protocols, as drawn
	Poison   int             // one record in so many fails to be processed, some times; 0: none
	Grows    bool            // topics grow, and come
	Pattern  bool            // members subscribe to a pattern instead of a topic
	Split    bool            // output and highest offset are written one after the other: a control

	MemberSession, MemberBeat, MaxPoll time.Duration
	InitialDelay                       time.Duration // group.initial.rebalance.delay.ms
	Coordinators                       int           // offsets.topic.num.partitions
	OffsetsSegment                     int64         // segment.bytes of __consumer_offsets, which is compacted; 0: Kafka's default
	SinkCrashes                        int           // times that the output's machine dies

	Onlookers int  // hosts that ask any broker what is committed
	Strangers int  // members of a classic group that are no clients of klamm's, and bad ones
	Bookmarks bool // something is committed by hand, and brokers look for what has expired
}

// grouped reports whether there are groups at all.
func (g Grouping) grouped() bool { return len(g.Groups) > 0 }

// drawGrouping draws groups whose times are short: runs last seconds.
func drawGrouping(r *rand.Rand) Grouping {
	g := Grouping{
		Workers:       1 + r.IntN(4),
		Static:        r.IntN(4) == 0,
		Assignor:      pick(r, "range", "roundrobin", "sticky", "cooperative-sticky", "cooperative-sticky"),
		Bounces:       pick(r, 0, 0, 30, 100),
		MemberSession: pick(r, 600*time.Millisecond, time.Second, 3*time.Second),
		MaxPoll:       pick(r, time.Second, 3*time.Second, 10*time.Second),
		InitialDelay:  pick(r, 0, 0, 200*time.Millisecond),
		Coordinators:  1 + r.IntN(4),
		SinkCrashes:   pick(r, 0, 1, 3),
	}
	g.MemberBeat = g.MemberSession / 5
	modes := []delivery.Mode{delivery.CommitFirst, delivery.ProcessFirst, delivery.WithOutput}
	for range 2 { // each of them gets everything, whatever the other does
		g.Groups = append(g.Groups, pick(r, modes...))
	}
	g.Consumer = r.IntN(3) == 0
	g.OffsetsSegment = pick[int64](r, 0, 512, 2<<10, 8<<10)
	return g
}

// inviteBystanders draws who is about the groups besides their workers.
func (g *Grouping) inviteBystanders(r *rand.Rand) {
	g.Onlookers, g.Strangers = pick(r, 0, 1, 1), pick(r, 0, 1)
	g.Bookmarks = g.Onlookers > 0 && r.IntN(2) == 0
}

// newBystanders adds the hosts that are about the groups besides their workers.
func (r *run) newBystanders() {
	if len(r.groups) == 0 {
		return
	}
	for i := range r.options.Onlookers {
		r.guests = append(r.guests, r.newOnlooker(fmt.Sprintf("onlooker%d", i+1)))
	}
	for i := range r.options.Strangers {
		if s := r.newStranger(fmt.Sprintf("stranger%d", i+1)); s != nil {
			r.guests = append(r.guests, s)
		}
	}
}

func (g Grouping) String() string {
	return fmt.Sprintf("groups=%v workers=%d static=%t consumer=%t mixed=%t migrates=%t poison.one.in=%d grows=%t pattern=%t assignor=%s bounce.one.in=%d session=%s heartbeat=%s max.poll=%s initial.delay=%s coordinators=%d offsets.segment.bytes=%d sink.crashes=%d split=%t onlookers=%d strangers=%d bookmarks=%t",
		g.Groups, g.Workers, g.Static, g.Consumer, g.Mixed, g.Migrates, g.Poison, g.Grows, g.Pattern, g.Assignor, g.Bounces, g.MemberSession, g.MemberBeat, g.MaxPoll, g.InitialDelay, g.Coordinators, g.OffsetsSegment, g.SinkCrashes, g.Split, g.Onlookers, g.Strangers, g.Bookmarks)
}

// pairs returns what brokers are configured with.
func (g Grouping) pairs() []config.Pair {
	if !g.grouped() {
		return nil
	}
	pairs := []config.Pair{
		{Name: "group.min.session.timeout.ms", Value: "100"},
		{Name: "group.consumer.session.timeout.ms", Value: strconv.FormatInt(g.MemberSession.Milliseconds(), 10)},
		{Name: "group.consumer.heartbeat.interval.ms", Value: strconv.FormatInt(g.MemberBeat.Milliseconds(), 10)},
		{Name: "group.initial.rebalance.delay.ms", Value: strconv.FormatInt(g.InitialDelay.Milliseconds(), 10)},
		{Name: "offsets.topic.num.partitions", Value: strconv.Itoa(g.Coordinators)},
		{Name: "offsets.load.buffer.size", Value: "4096"},
		{Name: "offsets.retention.check.interval.ms", Value: strconv.FormatInt(g.expiryCheck().Milliseconds(), 10)},
	}
	if g.OffsetsSegment > 0 {
		pairs = append(pairs, config.Pair{Name: "internal.offsets.topic.segment.bytes", Value: strconv.FormatInt(g.OffsetsSegment, 10)},
			config.Pair{Name: "log.cleaner.min.cleanable.ratio", Value: "0.01"})
	}
	return pairs
}

// expiryCheck returns how often brokers look for offsets that have expired, and for
// groups that have none. No group is forgotten during a run: generations of one that was
// begin anew with 1, as Kafka's, and what members tell does not say which they mean. So
// brokers look only where each group has committed something, and for good: offsets are
// kept for days.
func (g Grouping) expiryCheck() time.Duration {
	if g.Bookmarks {
		return time.Second
	}
	return 10 * time.Minute
}

// member returns how a worker's client is configured.
func (g Grouping) member(number int, group, worker string) client.GroupConfig {
	c := client.DefaultGroup(group, topicName)
	if g.Pattern {
		c.Topics, c.Pattern = nil, topicName+".*"
	}
	c.Session, c.Heartbeat, c.MaxPoll, c.AutoCommit = g.MemberSession, g.MemberBeat, g.MaxPoll, 0
	c.Assignors = []string{g.Assignor}
	if g.Consumer != (g.Mixed && number%2 == 1) {
		c.Protocol = client.ConsumerGroup
	}
	if g.Static {
		c.Instance = worker
	}
	return c
}

// inviteGroups has a small group read the topic. Nobody deletes records by hand then: a
// group that stands at the end of what is gone has no end to come to.
func (o *Options) inviteGroups(r *rand.Rand) {
	o.Grouping = drawGrouping(r)
	o.Groups, o.Workers = o.Groups[:1], 1+r.IntN(2)
	o.DeleteRecords = false
}

// keepEverything has the topic keep every record: what groups make of it is counted in
// the end.
func (o *Options) keepEverything() {
	o.RetentionBytes, o.Unclean, o.DeleteRecords = 0, false, false
	o.Keeping = defaultKeeping()
	o.Sends, o.Least = minSends/2, minSends
}
