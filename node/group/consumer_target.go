package group

import (
	"encoding/binary"
	"hash/fnv"
	"maps"
	"slices"

	"github.com/klammlog/klamm/node/assignor"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/machine"
)

// subscribe takes over what the member says of itself, and begins an epoch of the
// group if it reads something else, is new, or topics are not what they were.
func (b *beating) subscribe(s *Shard) {
	r, e := &b.r, &b.next.enrolment
	before := enrolment{}
	if b.was != nil {
		before = b.was.enrolment
	} else if b.instead != "" {
		before = b.next.enrolment
	}
	e.client, e.classic = r.Client, b.classic
	if r.Instance != "" {
		e.instance = r.Instance
	}
	if r.Rack != nil {
		e.rack = *r.Rack
	}
	if r.RebalanceTimeout >= 0 {
		e.rebalance = r.RebalanceTimeout
	}
	if r.Assignor != nil {
		e.assignor = *r.Assignor
	}
	if r.Regex != nil {
		e.regex = *r.Regex
	}
	if r.Topics != nil {
		e.topics = slices.Compact(slices.Sorted(slices.Values(r.Topics)))
	}
	fresh := b.was == nil && b.instead == ""
	if b.was == nil || string(e.encode()) != string(b.was.enrolment.encode()) {
		b.put(key{kind: consumerMemberKind, member: b.next.id}, e.encode())
	}
	if b.instead != "" {
		b.put(key{kind: targetMemberKind, member: b.next.id}, encodePlaces(b.next.goal))
	}
	// What a classic group had assigned need not be all there is: one that becomes a
	// group of KIP-848 is assigned anew, also by who comes in the place of a member.
	other := fresh || b.then != nil || e.regex != before.regex || !slices.Equal(e.topics, before.topics)
	if !other && b.c.seen == s.metadata {
		return
	}
	hash := s.topicsHash(b.c, &before, e)
	if other || hash != b.c.hash {
		b.epoch++
		b.put(key{kind: consumerEpochKind}, epochValue{epoch: b.epoch, hash: hash}.encode())
		return
	}
	b.c.seen = s.metadata
}

// put adds a record.
func (b *beating) put(k key, value []byte) {
	k.group = b.group
	b.records = append(b.records, machine.Record{Key: k.encode(), Value: value})
}

// reading returns the names of the topics that a group reads when one member is not
// as it was: sorted.
func (s *Shard) reading(c *consumer, before, after *enrolment) []string {
	names, patterns := map[string]bool{}, map[string]bool{}
	count := func(e *enrolment, name string) int {
		if e != nil && slices.Contains(e.topics, name) {
			return 1
		}
		return 0
	}
	for name, n := range c.reads { //klamm:unordered into a map
		if n > count(before, name) {
			names[name] = true
		}
	}
	for pattern, n := range c.matches { //klamm:unordered into a map
		if before == nil || n > 1 || pattern != before.regex {
			patterns[pattern] = true
		}
	}
	if after != nil {
		for _, name := range after.topics {
			names[name] = true
		}
		if after.regex != "" {
			patterns[after.regex] = true
		}
	}
	for pattern := range patterns { //klamm:unordered into a map
		for _, name := range s.matching(c, pattern) {
			names[name] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// matching returns the topics whose names a pattern matches.
func (s *Shard) matching(c *consumer, pattern string) []string {
	if c.resolved == nil || c.resolvedAt != s.metadata {
		c.resolved, c.resolvedAt = map[string][]string{}, s.metadata
	}
	names, known := c.resolved[pattern]
	if !known {
		if re, err := compile(pattern); err == nil {
			s.settings.Topics.Names(func(name string) bool {
				if re.MatchString(name) {
					names = append(names, name)
				}
				return true
			})
		}
		slices.Sort(names)
		c.resolved[pattern] = names
	}
	return names
}

// topicsHash is of all that a target depends on besides the members. Kafka's is
// another function: it is compared with nothing but itself.
func (s *Shard) topicsHash(c *consumer, before, after *enrolment) int64 {
	h := fnv.New64a()
	for _, name := range s.reading(c, before, after) {
		t, there := s.settings.Topics.Topic(name)
		if !there {
			continue
		}
		var n [8]byte
		binary.BigEndian.PutUint32(n[:], uint32(t.Partitions))
		binary.BigEndian.PutUint32(n[4:], uint32(len(name)))
		h.Write(t.ID[:])
		h.Write(n[:])
		h.Write([]byte(name))
	}
	return int64(h.Sum64())
}

// maxBehind bounds how many epochs a target may be behind because others come.
const maxBehind = 1_000

// aim computes the target of the group's epoch, unless other heartbeats wait behind
// this one: they may change the group once more, and the last of them computes it for
// all. So a thousand members that come at once are assigned once, not a thousand
// times.
func (b *beating) aim(s *Shard) {
	if b.epoch == b.target || b.more && b.target > 0 && b.epoch-b.target < maxBehind {
		return
	}
	joined, out := b.everybody(), []assignor.Member{}
	topics := s.reading(b.c, b.before(), &b.next.enrolment)
	known, byID := []assignor.Topic{}, map[kafka.TopicID]string{}
	ids := map[string]kafka.TopicID{}
	for _, name := range topics {
		if t, there := s.settings.Topics.Topic(name); there {
			known = append(known, assignor.Topic{Name: name, Partitions: t.Partitions})
			ids[name], byID[t.ID] = t.ID, name
		}
	}
	for _, m := range joined {
		a := assignor.Member{ID: m.id, Instance: m.instance, Rack: m.rack, Topics: s.topicsOf(b.c, &m.enrolment)}
		for _, p := range m.goal {
			if name, there := byID[p.topic]; there {
				a.Owned = append(a.Owned, kafka.TopicPartition{Topic: name, Partition: p.partition})
			}
		}
		out = append(out, a)
	}
	for i, given := range s.preferred(joined)(out, known) {
		goal := make(places, 0, len(given))
		for _, tp := range given {
			goal = append(goal, place{ids[tp.Topic], tp.Partition})
		}
		slices.SortFunc(goal, place.compare)
		b.give(joined[i], goal)
	}
	b.target = b.epoch
	b.put(key{kind: targetEpochKind}, encodeTarget(b.target))
}

// give sets a member's target.
func (b *beating) give(m *consumerMember, goal places) {
	if slices.Equal(m.goal, goal) {
		return
	}
	b.put(key{kind: targetMemberKind, member: m.id}, encodePlaces(goal))
	if m == &b.next {
		b.next.goal = goal
	}
}

// before is who the member was, or whom it replaces.
func (b *beating) before() *enrolment {
	if b.was != nil {
		return &b.was.enrolment
	}
	if holder := b.c.members.get(b.instead); holder != nil {
		return &holder.enrolment
	}
	return nil
}

// everybody returns the members as they shall be.
func (b *beating) everybody() (out []*consumerMember) {
	found := false
	for id, m := range b.c.members.all() {
		if id == b.next.id || id == b.instead {
			m, found = &b.next, true
		}
		out = append(out, m)
	}
	if !found {
		out = append(out, &b.next)
	}
	return out
}

// topicsOf returns what a member reads, sorted.
func (s *Shard) topicsOf(c *consumer, e *enrolment) []string {
	if e.regex == "" {
		return e.topics
	}
	names := slices.Concat(e.topics, s.matching(c, e.regex))
	slices.Sort(names)
	return slices.Compact(names)
}

// preferred returns the assignor that most members want, and the broker's first one
// if nobody wants any or the wanted is not there.
func (s *Shard) preferred(joined []*consumerMember) assignor.Assignor {
	names := s.settings.Limits().Assignors
	return serverAssignors[s.preferredName(names, joined)]
}

func (s *Shard) preferredName(names []string, joined []*consumerMember) string {
	votes := map[string]int{}
	for _, m := range joined {
		votes[m.assignor]++
	}
	best := ""
	for _, name := range names {
		if votes[name] > 0 && (best == "" || votes[name] > votes[best]) {
			best = name
		}
	}
	if best == "" && len(names) > 0 {
		best = names[0]
	}
	if _, there := serverAssignors[best]; !there {
		return "uniform"
	}
	return best
}

// serverAssignors are those that the coordinator has.
var serverAssignors = map[string]assignor.Assignor{"uniform": assignor.Uniform, "range": assignor.Range}
