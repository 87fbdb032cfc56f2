package group

import (
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/machine"
)

// maxExpired bounds the offsets that expire in one batch: there is a largest batch.
const maxExpired = 1_000

// expiry is what the shard asks of itself: to forget what has expired in a group,
// and the group if nothing is left. Nobody waits for it.
type expiry struct{}

// checkRetention has every group looked at, once per offsets.retention.check.interval.ms.
func (s *Shard) checkRetention() {
	for _, g := range s.groups.all() {
		s.do(g, expiry{})
	}
	s.timers.arm(&s.expiry, s.at.Now.Add(max(s.settings.Limits().RetentionCheck, shortest)))
}

// chore forgets the offsets of a group whose retention is over (KIP-211), and the
// group when it has neither members nor offsets.
func (e expiry) chore(s *Shard, g *group) {
	records := s.expired(g)
	s.stats.Expired += uint64(len(records))
	if len(records) == 0 && g.offsets.len() == 0 && (g.recorded || g.consumer != nil) && g.vacant() {
		s.change(g, g.tombstones(), nil)
		return
	}
	if len(records) > 0 {
		s.append(g, records).then = again{e}
	}
}

// expired returns tombstones of what has expired. The retention of an offset runs
//
//   - from when the group lost its last member, in a group that had some, or from a
//     commit after that (Kafka does not look at the commit: who resets the offsets of
//     a group that has been empty for long has them expire at once);
//   - from its commit, of what its members do not read any more;
//   - from its commit, where nobody was ever a member;
//   - to the instant that was asked for with the commit, of very old clients.
func (s *Shard) expired(g *group) (records []machine.Record) {
	since, applies := g.retention()
	if !applies {
		return nil
	}
	retention := kafka.Timestamp(s.settings.Limits().Retention.Milliseconds())
	for topic, of := range g.offsets.all() {
		if g.subscribed(topic) {
			continue
		}
		for p, c := range of.all() {
			over := s.at.Wall-max(c.at, since) >= retention
			if c.expires != kafka.NoTimestamp {
				over = s.at.Wall >= c.expires
			}
			if over && len(records) < maxExpired {
				records = append(records, tombstone(offsetKey(g.id, topic, p)))
			}
		}
	}
	return records
}

// again is a chore that may have left something over. What was refused is left to
// the next time.
type again struct{ chore }

func (a again) committed(s *Shard, g *group)      { s.do(g, a.chore) }
func (again) refused(*Shard, *group, kafka.Error) {}
func (again) late(*Shard, *group)                 {}

// tombstones returns what takes the group out of the log, offsets apart.
func (g *group) tombstones() (out []machine.Record) {
	if g.recorded {
		out = append(out, tombstone(key{kind: classicKind, group: g.id}))
	}
	if g.consumer != nil {
		out = append(out, goneConsumer(g.id)...)
	}
	return out
}

// retention tells from when on the offsets of the group age; NoTimestamp: each from
// its commit. It reports false while they do not.
func (g *group) retention() (since kafka.Timestamp, applies bool) {
	switch {
	case g.consumer == nil:
		return g.classic.retention()
	case g.consumer.members.len() == 0:
		return g.consumer.since, true
	}
	return kafka.NoTimestamp, true
}

// TopicDeleted forgets the offsets that were committed for a topic that is no more.
// One that has its name since is another: what was committed for that one, by its
// id, stays. To be called when the deletion is seen to happen, not for topics that
// are unknown: the metadata of this node may be older than a commit.
func (s *Shard) TopicDeleted(at machine.Moment, name string, id kafka.TopicID) {
	s.at = at
	for _, g := range s.groups.all() {
		if g.offsets.has(name) {
			s.do(g, vanished{name, id})
		}
	}
}

// vanished is what the shard asks of itself: to forget the offsets of a topic.
type vanished struct {
	topic string
	id    kafka.TopicID
}

func (v vanished) chore(s *Shard, g *group) {
	of := g.offsets.get(v.topic)
	if of == nil {
		return
	}
	var records []machine.Record
	for p, c := range of.all() {
		if len(records) < maxExpired && (c.topic == v.id || c.topic == kafka.TopicID{}) {
			records = append(records, tombstone(offsetKey(g.id, v.topic, p)))
		}
	}
	if len(records) > 0 {
		s.append(g, records).then = again{v}
	}
}
