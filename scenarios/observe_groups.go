package scenarios

import (
	"fmt"
	"slices"
	"time"

	"github.com/klammlog/klamm/node/kafka"
)

// A groupObserver looks at what coordinators know of groups, which no member can see
// as a whole: who has what, in which epoch, and on the way to what.
type groupObserver struct {
	complain   func(guarantee, sentence string)
	partitions func(topic string) int32 // that the topic has, as far as anybody knows; 0: there is no such topic
	groups     map[string]*knownGroup
	awaited    map[membership]kafka.Instant // since when it was seen that a member has not asked for its assignment
	looks      int
}

// A groupView is a group as its coordinator has it.
type groupView struct {
	Name        string
	Coordinator kafka.LeaderEpoch // of the partition of __consumer_offsets
	Modern      bool              // of KIP-848
	State       string
	Epoch       int32 // or generation
	Target      int32
	Assignor    string // of a classic group
	Members     []groupMember
}

// A groupMember is one member of it. A classic one has, in a stable group, what it was
// assigned, and that is its goal too.
type groupMember struct {
	ID       string
	Instance string // of a static member
	Epoch    int32
	Reads    []string // topics; nil: not known
	Asks     []string // topics, sorted, that a classic member subscribed to when it joined
	Has      []kafka.TopicPartition
	Releases []kafka.TopicPartition // has, and is to revoke
	Goal     []kafka.TopicPartition
	Claims   []kafka.TopicPartition // what a classic member said that it owned when it joined
	Claimed  int32                  // in which generation it was given that
	Unsynced bool                   // a classic member has joined and not asked for its assignment
}

func (v groupView) String() string {
	out := fmt.Sprintf("it is %s in epoch %d, target %d", v.State, v.Epoch, v.Target)
	for i := range v.Members {
		m := &v.Members[i]
		out += fmt.Sprintf("; %s in epoch %d has %v, is to revoke %v, shall have %v", m.who(), m.Epoch, m.Has, m.Releases, m.Goal)
	}
	return out
}

// A knownGroup is what was seen of a group, by the newest of its coordinators.
type knownGroup struct {
	coordinator   kafka.LeaderEpoch
	modern        bool
	epoch, target int32
	members       map[string]int32 // their epochs
	owners        map[ownership]string
	claims        map[kafka.TopicPartition]claim // with which members of a classic group came
	claimedIn     int32                          // to which generation
}

// A claim is what a member of a classic group says that it owns. Of several that count
// equally nobody's does: by is "".
type claim struct {
	by         string
	generation int32 // in which it was given that
}

// A membership is a member in one generation.
type membership struct {
	group, member string
	generation    int32
}

// An ownership is a partition in an epoch of its owner.
type ownership struct {
	epoch     int32
	partition kafka.TopicPartition
}

func newGroupObserver(complain func(guarantee, sentence string), partitions func(string) int32) *groupObserver {
	return &groupObserver{complain: complain, partitions: partitions, groups: map[string]*knownGroup{}, awaited: map[membership]kafka.Instant{}}
}

// stableState is how Kafka calls a group of which everybody has what is his.
const stableState = "Stable"

// look looks at a group. What an overtaken coordinator says is of yesterday.
func (o *groupObserver) look(v groupView) {
	o.looks++
	k := o.groups[v.Name]
	if k == nil || k.modern != v.Modern { // an empty group of one protocol became one of the other
		before := k
		k = &knownGroup{coordinator: v.Coordinator, modern: v.Modern, members: map[string]int32{}, owners: map[ownership]string{}}
		if before != nil && v.Coordinator < before.coordinator {
			return
		}
		o.groups[v.Name] = k
	}
	if v.Coordinator < k.coordinator || !v.Modern && v.State != stableState {
		return // a classic group in a rebalance has what it had
	}
	k.coordinator = v.Coordinator
	o.checkForward(k, v)
	o.checkOwners(k, v)
	if v.Modern {
		o.checkStable(v)
	}
	if !v.Modern || v.Target == v.Epoch {
		o.checkGoals(v)
	}
	if !v.Modern && v.Assignor == "cooperative-sticky" {
		o.checkHandover(k, v)
	}
}

func (o *groupObserver) violated(guarantee string, v groupView, format string, args ...any) {
	o.complain(guarantee, fmt.Sprintf("group %s, epoch %d, %s: ", v.Name, v.Epoch, v.State)+fmt.Sprintf(format, args...))
}

// checkForward: epochs of groups, targets and members never go back.
func (o *groupObserver) checkForward(k *knownGroup, v groupView) {
	if v.Epoch < k.epoch || v.Target < k.target {
		o.violated(groupEpochsForward, v, "the target is of epoch %d, and the group was in epoch %d before, its target of %d", v.Target, k.epoch, k.target)
	}
	k.epoch, k.target = max(k.epoch, v.Epoch), max(k.target, v.Target)
	now := map[string]int32{}
	for _, m := range v.Members {
		if m.Epoch < 0 { // a static member that is away
			continue
		}
		if was, known := k.members[m.ID]; known && m.Epoch < was {
			o.violated(groupEpochsForward, v, "member %s is in epoch %d and was in %d", m.ID, m.Epoch, was)
		}
		if m.Epoch > v.Target {
			o.violated(groupEpochsForward, v, "member %s is in epoch %d, the target of %d", m.ID, m.Epoch, v.Target)
		}
		now[m.ID] = m.Epoch
	}
	k.members = now
}

// who is the name by which a member owns partitions: a static one keeps them when it
// comes back under another id.
func (m *groupMember) who() string {
	if m.Instance != "" {
		return "instance " + m.Instance
	}
	return m.ID
}

// checkOwners: a partition has one owner at a time, and one in each epoch.
func (o *groupObserver) checkOwners(k *knownGroup, v groupView) {
	now := map[kafka.TopicPartition]string{}
	for i := range v.Members {
		m := &v.Members[i]
		for _, tp := range slices.Concat(m.Has, m.Releases) {
			if other, taken := now[tp]; taken {
				o.violated(oneGroupOwner, v, "%s is %s's and %s's", tp, other, m.who())
			}
			now[tp] = m.who()
			at := ownership{m.Epoch, tp}
			if m.Epoch < 0 {
				continue
			}
			if other, known := k.owners[at]; known && other != m.who() {
				o.violated(oneGroupOwner, v, "%s is %s's in epoch %d, in which it was %s's", tp, m.who(), m.Epoch, other)
			}
			k.owners[at] = m.who()
		}
	}
}

// checkStable: in a stable group everybody has what is his, and nobody is to revoke
// anything.
func (o *groupObserver) checkStable(v groupView) {
	if v.State != stableState {
		return
	}
	if v.Epoch != v.Target {
		o.violated(stableRests, v, "it is stable, and its target of epoch %d", v.Target)
	}
	for i := range v.Members {
		m := &v.Members[i]
		if len(m.Releases) > 0 || !slices.Equal(m.Has, m.Goal) || m.Epoch != v.Target {
			o.violated(stableRests, v, "it is stable, and %s in epoch %d has %v, is to revoke %v and shall have %v", m.who(), m.Epoch, m.Has, m.Releases, m.Goal)
		}
	}
}

// checkGoals: what members shall have is there, is of topics that they read, is
// nobody else's, and is as much as the others'.
func (o *groupObserver) checkGoals(v groupView) {
	goals := map[kafka.TopicPartition]string{}
	for i := range v.Members {
		m := &v.Members[i]
		for _, tp := range m.Goal {
			n := o.partitions(tp.Topic)
			if other, taken := goals[tp]; taken {
				o.violated(assignmentLegal, v, "%s shall be %s's and %s's", tp, other, m.who())
			}
			if n > 0 && tp.Partition >= n || tp.Partition < 0 {
				o.violated(assignmentLegal, v, "%s shall have %s, and the topic has %d partitions", m.who(), tp, n)
			}
			if n > 0 && m.Reads != nil && !slices.Contains(m.Reads, tp.Topic) {
				o.violated(assignmentLegal, v, "%s shall have %s, and reads %v", m.who(), tp, m.Reads)
			}
			goals[tp] = m.who()
		}
	}
	if v.Modern || slices.Contains([]string{"range", "roundrobin", "sticky"}, v.Assignor) {
		if why := unfair(v); why != "" { // a cooperative group takes two rounds
			o.violated(assignmentFair, v, "%s", why)
		}
	}
}

// checkHandover: in a cooperative classic group nobody is given what its owner comes
// with: the owner gives it back first. What counts is what members said before they
// were assigned, which the first look at a generation shows: who comes in the place of
// a static member later says something else, and is given what is assigned.
func (o *groupObserver) checkHandover(k *knownGroup, v groupView) {
	if k.claims == nil || k.claimedIn != v.Epoch {
		k.claims, k.claimedIn = claimsOf(v), v.Epoch
	}
	for i := range v.Members {
		m := &v.Members[i]
		for _, tp := range m.Goal {
			if c := k.claims[tp]; c.by != "" && c.by != m.who() {
				o.violated(oneGroupOwner, v, "%s is given to %s, and %s came with it in generation %d", tp, m.who(), c.by, c.generation)
			}
		}
	}
}

// claimsOf returns whose claims count. Of two that come with the same it is the
// younger, and none of two of one generation.
func claimsOf(v groupView) map[kafka.TopicPartition]claim {
	claims := map[kafka.TopicPartition]claim{}
	for i := range v.Members {
		m := &v.Members[i]
		for _, tp := range m.Claims {
			switch before, taken := claims[tp]; {
			case !taken || m.Claimed > before.generation:
				claims[tp] = claim{m.who(), m.Claimed}
			case m.Claimed == before.generation:
				claims[tp] = claim{"", m.Claimed}
			}
		}
	}
	return claims
}

// A coordinating is a coordinator that answers, and the leadership that its broker has
// of the partition: NoLeaderEpoch if it does not lead.
type coordinating struct {
	broker        string
	partition     kafka.TopicPartition
	epoch, leader kafka.LeaderEpoch
}

// checkLed: who no longer leads has forgotten the groups, and who leads again has read
// them again.
func (o *groupObserver) checkLed(c coordinating) {
	if c.epoch == c.leader {
		return
	}
	leads := fmt.Sprintf("leads it in epoch %d", c.leader)
	if c.leader == kafka.NoLeaderEpoch {
		leads = "does not lead it any more"
	}
	o.complain(coordinatesLed, fmt.Sprintf("%s: %s coordinates its groups as the leader of epoch %d, and %s", c.partition, c.broker, c.epoch, leads))
}

// checkSynced: who has joined a classic group and does not ask for its assignment is
// not waited for longer than members may take (KAFKA-12890). Nothing hinders the
// coordinator.
func (o *groupObserver) checkSynced(v groupView, now kafka.Instant, bound time.Duration) {
	for i := range v.Members {
		m := &v.Members[i]
		at := membership{v.Name, m.ID, v.Epoch}
		since, seen := o.awaited[at]
		switch {
		case !m.Unsynced:
			delete(o.awaited, at)
		case !seen:
			o.awaited[at] = now
		case now.Sub(since) > bound:
			o.violated(groupProgress, v, "%s has joined and has not asked for its assignment, and is waited for since %s", m.ID, since)
		}
	}
}

// unfair says which members shall have more of a topic than others that read the
// same, or "". With several topics assignors may balance them together.
func unfair(v groupView) string {
	topics := map[string]bool{}
	for _, m := range v.Members {
		if first := &v.Members[0]; !slices.Equal(m.Reads, first.Reads) || !slices.Equal(m.Asks, first.Asks) {
			return ""
		}
		for _, tp := range m.Goal {
			topics[tp.Topic] = true
		}
	}
	if len(topics) != 1 {
		return ""
	}
	most := slices.MaxFunc(v.Members, func(a, b groupMember) int { return len(a.Goal) - len(b.Goal) })
	least := slices.MinFunc(v.Members, func(a, b groupMember) int { return len(a.Goal) - len(b.Goal) })
	if len(most.Goal) > len(least.Goal)+1 {
		return fmt.Sprintf("%s shall have %v, and %s %v", most.who(), most.Goal, least.who(), least.Goal)
	}
	return ""
}

// unsettled says what a group lacks that has had time to come to rest, or "": it is
// stable, has so many members, and each partition of a topic is one's.
func (o *groupObserver) unsettled(v groupView, members int, topics []string) string {
	if v.State != stableState || len(v.Members) != members {
		return fmt.Sprintf("it is %s with %d members of %d", v.State, len(v.Members), members)
	}
	if why := unfair(v); why != "" {
		return why
	}
	for _, topic := range topics {
		for p := range o.partitions(topic) {
			tp := kafka.TopicPartition{Topic: topic, Partition: p}
			if !slices.ContainsFunc(v.Members, func(m groupMember) bool { return slices.Contains(m.Has, tp) }) {
				return fmt.Sprintf("%s is nobody's", tp)
			}
		}
	}
	return ""
}

// Guarantees about groups that their observer judges.
const (
	oneGroupOwner      = "one-group-owner"
	groupEpochsForward = "group-epochs-forward"
	assignmentLegal    = "assignment-legal"
	assignmentFair     = "assignment-fair"
	stableRests        = "stable-group-rests"
	groupProgress      = "group-progress"
	coordinatesLed     = "coordinates-what-it-leads"
)

// groupGuarantees says in a sentence what each of them is.
var groupGuarantees = []Guarantee{
	{oneGroupOwner, "a partition has one owner in a group at a time, and one in each epoch or generation"},
	{groupEpochsForward, "epochs of groups, of their targets and members, and generations never go back, whoever coordinates"},
	{assignmentLegal, "a group's members shall have partitions that there are, of topics that they read, and each one member's only"},
	{assignmentFair, "members that read the same shall have as many partitions of a topic as the others, give or take one"},
	{stableRests, "in a stable group everybody has what is his, and nobody is to revoke anything"},
	{coordinatesLed, "a broker coordinates groups in the leader epoch in which it leads their partition, and in no other"},
	{groupProgress, "after the heal a group becomes stable with all its members, each partition is one's, and it reads to the end"},
}
