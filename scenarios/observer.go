package scenarios

import (
	"errors"
	"fmt"
	"time"

	"github.com/klammlog/klamm/checker"
	"github.com/klammlog/klamm/checker/history"
	"github.com/klammlog/klamm/node/broker"
	"github.com/klammlog/klamm/node/client"
	"github.com/klammlog/klamm/node/commitlog"
	"github.com/klammlog/klamm/node/kafka"
)

// An observer looks at what the broker is, rather than at what clients are told:
// every few steps while it runs, at every crash, and after every recovery.
type observer struct {
	r          *run
	cluster    *clusterWatch // nil where there is one node only
	groups     *groupWatch   // nil without groups
	steps      int
	violations []Violation
	unproven   map[kafka.TopicPartition]kafka.Offset // what consumers were given while there was nobody to compare with
	aging      map[kafka.TopicPartition]*aging       // where age decides how long records stay
	latest     kafka.Timestamp                       // that a broker's wall clock ever showed
	next       int                                   // node to be looked at
	recoveries int
	looks      int
}

// An aging is what was acknowledged of a partition and is not known to be gone.
type aging struct {
	start   kafka.Offset // of the log at the last look
	records []stamped
}

// A stamped is a record that was acknowledged.
type stamped struct {
	offset kafka.Offset
	time   kafka.Timestamp
}

// A place is one partition of one incarnation of a topic.
type place struct {
	topic     kafka.TopicID
	partition kafka.TopicPartition
}

// everySteps is how many steps lie between two looks at everything about one node,
// in turn: a look costs about as much as a few hundred steps.
const everySteps = 512

func (o *observer) step() {
	if o.r.drawn.RetentionTime > 0 {
		o.latest = max(o.latest, o.r.wallTime())
	}
	if o.r.turnsHostLimit() {
		o.followHostLimits()
	}
	if o.cluster != nil {
		o.cluster.stepped()
	}
	if o.groups != nil {
		o.groups.stepped()
	}
	if o.steps++; o.steps%everySteps == 0 {
		o.look(o.r.nodes[o.next])
		if o.cluster != nil {
			o.cluster.changed(kafka.NodeID(o.r.nodes[o.next].seat.id))
		}
		o.next = (o.next + 1) % len(o.r.nodes)
	}
}

// look checks everything about a node, if it runs.
func (o *observer) look(b *brokerHost) {
	n := b.running
	if n == nil || len(o.violations) > 0 {
		return
	}
	o.looks++
	if err := n.Check(); err != nil {
		o.complain(stateChecks, err.Error())
	}
	if o.groups != nil && b.seat.isBroker() {
		o.groups.looked(b)
	}
	partitions := n.Partitions()
	f := b.footprint(n, len(partitions))
	if excess := f.excess(); excess != "" {
		o.complain(bounded, fmt.Sprintf("%s at %s: %s", b.seat.name, o.r.k.Now(), excess))
	}
	if o.r.turnsHostLimit() {
		b.ofOneHost.looked(f.API.OfOneHost)
	}
	for _, v := range partitions {
		if v.Broken != nil {
			continue
		}
		if v.LogStart < 0 || v.LogStart > v.HighWatermark || v.HighWatermark > v.LogEnd {
			o.complain(offsetsDense, fmt.Sprintf("%s: log start %d, high watermark %d, log end %d at %s",
				v.Partition, v.LogStart, v.HighWatermark, v.LogEnd, o.r.k.Now()))
		}
		// A follower's log begins where its leader's does, whatever it has of it.
		if least := o.r.drawn.RetentionBytes; v.LogStart > 0 && v.Role == broker.Leading && v.Partition.Topic == topicName && v.Size < least && o.r.drawn.RetentionTime == 0 && !o.r.drawn.compacts() && !o.r.drawn.DeleteRecords &&
			!o.r.drawn.Unrestricted && !o.r.pageCacheLost() {
			o.complain(retentionKeeps, fmt.Sprintf("%s: log start %d, and only %d bytes are left of %d that retention.bytes keeps, at %s",
				v.Partition, v.LogStart, v.Size, least, o.r.k.Now()))
		}
		o.checkAges(v)
		o.prove(b, v)
		if o.keeps() && !b.forgot() {
			b.remember(v)
		}
	}
}

// acked notes a record that retention.ms keeps for a while.
func (o *observer) acked(partition int32, result client.Result) {
	if d := o.r.drawn; d.RetentionTime == 0 || d.RetentionBytes > 0 || d.DeleteRecords || d.Unrestricted ||
		result.Offset == kafka.NoOffset || result.Timestamp == kafka.NoTimestamp {
		return
	}
	if o.aging == nil {
		o.aging = map[kafka.TopicPartition]*aging{}
	}
	tp := kafka.TopicPartition{Topic: topicName, Partition: partition}
	if o.aging[tp] == nil {
		o.aging[tp] = &aging{}
	}
	o.aging[tp].records = append(o.aging[tp].records, stamped{result.Offset, result.Timestamp})
}

// checkAges looks at what has gone since the last look: all of it must have been
// old, by what the broker's clock ever showed.
func (o *observer) checkAges(v broker.View) {
	a := o.aging[v.Partition]
	if a == nil || v.LogStart <= a.start {
		return
	}
	a.start = v.LogStart
	kept := a.records[:0]
	for _, s := range a.records {
		switch age := time.Duration(o.latest-s.time) * time.Millisecond; {
		case s.offset >= v.LogStart:
			kept = append(kept, s)
		case age <= o.r.drawn.RetentionTime && o.keeps():
			o.complain(retentionKeeps, fmt.Sprintf("%s: log start %d, and the record at offset %d with timestamp %d is gone, %s old, before %s at %s",
				v.Partition, v.LogStart, s.offset, s.time, age, o.r.drawn.RetentionTime, o.r.k.Now()))
		}
	}
	a.records = kept
}

// keeps reports whether the run was promised that what a log held stays, but for what
// a node's own disk forgot.
func (o *observer) keeps() bool { return !o.r.drawn.Unrestricted && !o.r.drawn.Unclean }

// read looks at what a consumer has just got of a partition, up to an offset:
// nothing above the high watermark is ever served. While no broker leads the
// partition, the next leader has to know of it: a log that was opened again has no
// high watermark to speak of until its broker was told that it leads.
func (o *observer) read(partition int, end history.Offset) {
	tp := kafka.TopicPartition{Topic: topicName, Partition: int32(partition)}
	if o.cluster != nil {
		o.cluster.consumed(tp, kafka.Offset(end))
		return
	}
	if len(o.violations) > 0 || !o.keeps() || o.r.nodes[0].forgot() {
		return
	}
	if n := o.r.brokers[0].running; n != nil {
		if v, ok := n.Partition(tp); ok && leads(v) {
			o.compare(v, kafka.Offset(end))
			return
		}
	}
	if o.unproven == nil {
		o.unproven = map[kafka.TopicPartition]kafka.Offset{}
	}
	o.unproven[tp] = max(o.unproven[tp], kafka.Offset(end))
}

// leads reports whether a partition's high watermark is what consumers go by.
func leads(v broker.View) bool { return v.Broken == nil && v.Role == broker.Leading }

// prove compares a leader with what consumers were given before it led.
func (o *observer) prove(b *brokerHost, v broker.View) {
	if end, ok := o.unproven[v.Partition]; ok && leads(v) && o.keeps() && !b.forgot() {
		delete(o.unproven, v.Partition)
		o.compare(v, end)
	}
}

func (o *observer) compare(v broker.View, end kafka.Offset) {
	if end > v.HighWatermark {
		o.complain(string(checker.ReadCommittedOnly), fmt.Sprintf("%s: a consumer was given records up to offset %d, and the high watermark is %d at %s",
			v.Partition, end, v.HighWatermark, o.r.k.Now()))
	}
}

// remember notes what a log claims to hold for good. A replica can know of a high
// watermark beyond what it holds itself, if it is not in the in-sync set.
func (b *brokerHost) remember(v broker.View) {
	if b.held == nil {
		b.held = map[place]kafka.Offset{}
	}
	claimed := v.HighWatermark
	if b.r.options.clustered() && b.r.drawn.Flush == "ack" {
		claimed = min(claimed, v.Durable)
	}
	at := place{v.Topic, v.Partition}
	b.held[at] = max(b.held[at], claimed)
}

// stopped looks a last time at a node that is about to die, or has ended.
func (o *observer) stopped(b *brokerHost) {
	o.look(b)
	if o.cluster != nil && len(o.violations) == 0 {
		o.cluster.all()
	}
}

// started looks at a node that has just recovered: whatever any of its former
// lives claimed to hold must be there.
func (o *observer) started(b *brokerHost) {
	o.recoveries++
	if len(o.violations) > 0 || !o.keeps() || b.forgot() {
		return
	}
	for _, v := range b.running.Partitions() {
		if o.r.options.clustered() && !o.r.counts(b, v.Partition) {
			continue // its replica was removed, perhaps, and is another now
		}
		held := b.held[place{v.Topic, v.Partition}]
		switch {
		case v.Broken != nil && !errors.Is(v.Broken, commitlog.ErrQuarantined):
			// The disk failed a call, and the supervisor starts the broker again.
		case v.Broken != nil && held > 0:
			o.complain(recoversAcked, fmt.Sprintf("%s of %s: held up to offset %d before, and is out of service at %s: %v",
				v.Partition, b.seat.name, held, o.r.k.Now(), v.Broken))
		case v.Broken == nil && v.LogEnd < held:
			o.complain(recoversAcked, fmt.Sprintf("%s of %s: held up to offset %d before, and ends at %d after recovery at %s",
				v.Partition, b.seat.name, held, v.LogEnd, o.r.k.Now()))
		}
	}
	o.look(b)
}

// complain records a violation. The observer has seen enough then; the run goes on,
// so that the judges can say what clients saw of it.
func (o *observer) complain(guarantee, sentence string) {
	o.violations = append(o.violations, Violation{Guarantee: guarantee, Sentence: sentence})
}
