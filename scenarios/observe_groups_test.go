package scenarios

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klammlog/klamm/node/kafka"
)

// orders returns partitions of the topic orders, which has four.
func orders(partitions ...int32) (out []kafka.TopicPartition) {
	for _, p := range partitions {
		out = append(out, kafka.TopicPartition{Topic: topicName, Partition: p})
	}
	return out
}

// A restingGroup is a stable one of KIP-848: a has two partitions, b two.
func restingGroup() groupView {
	member := func(id string, has ...int32) groupMember {
		return groupMember{ID: id, Epoch: 7, Reads: []string{topicName}, Has: orders(has...), Goal: orders(has...)}
	}
	return groupView{Name: "g", Coordinator: 3, Modern: true, State: stableState, Epoch: 7, Target: 7,
		Members: []groupMember{member("a", 0, 1), member("b", 2, 3)}}
}

// rebalanced is the group on its way to another epoch, in which a gives 1 to b.
func rebalanced(v *groupView) {
	v.Epoch, v.Target, v.State = 8, 8, "Reconciling"
	a, b := &v.Members[0], &v.Members[1]
	a.Has, a.Releases, a.Goal = orders(0), orders(1), orders(0, 2)
	b.Goal = orders(1, 3)
}

func classicGroup(v *groupView) {
	v.Modern, v.Assignor = false, "range"
	for i := range v.Members {
		v.Members[i].Reads = nil
	}
}

// A cooperativeStatic group is one in which a static member came with what another
// claims of a generation long ago.
func cooperativeStatic(v *groupView) {
	classicGroup(v)
	v.Assignor = "cooperative-sticky"
	v.Members[0].Instance, v.Members[0].Claims, v.Members[0].Claimed = "i", orders(0, 1), 6
	v.Members[1].Claims, v.Members[1].Claimed = orders(1), 4
}

func TestGroupObserverComplains(t *testing.T) {
	for name, c := range map[string]struct {
		want  string
		looks []func(*groupView)
	}{
		"of nothing in a group that rests":       {"", []func(*groupView){func(*groupView) {}}},
		"of nothing while partitions move":       {"", []func(*groupView){rebalanced}},
		"of nothing in a classic group":          {"", []func(*groupView){classicGroup}},
		"not of what a former coordinator knows": {"", []func(*groupView){func(*groupView) {}, func(v *groupView) { v.Coordinator, v.Epoch, v.Target = 2, 5, 5 }}},
		"not of a surplus member that idles": {"", []func(*groupView){func(v *groupView) {
			v.Members = append(v.Members, groupMember{ID: "c", Epoch: 7, Reads: []string{topicName}})
			v.Members[0].Has, v.Members[1].Has = orders(0), orders(1)
			v.Members[0].Goal, v.Members[1].Goal = orders(0), orders(1)
		}}},
		"not of a classic group in a rebalance": {"", []func(*groupView){classicGroup, func(v *groupView) {
			classicGroup(v)
			v.State, v.Epoch, v.Members[1].Has = "PreparingRebalance", 6, orders(0)
		}}},
		"not of a classic member that does not see the topic yet": {"", []func(*groupView){func(v *groupView) {
			classicGroup(v)
			v.Members[0].Asks, v.Members[0].Has, v.Members[0].Goal = []string{topicName}, orders(0, 1, 2, 3), orders(0, 1, 2, 3)
			v.Members[1].Has, v.Members[1].Goal = nil, nil
		}}},
		"of a classic member that sees it, and has nothing": {assignmentFair, []func(*groupView){func(v *groupView) {
			classicGroup(v)
			v.Members[0].Asks, v.Members[1].Asks = []string{topicName}, []string{topicName}
			v.Members[0].Has, v.Members[0].Goal = orders(0, 1, 2, 3), orders(0, 1, 2, 3)
			v.Members[1].Has, v.Members[1].Goal = nil, nil
		}}},
		"not of a static member under another id": {"", []func(*groupView){
			func(v *groupView) { v.Members[0].Instance = "i" },
			func(v *groupView) { v.Members[0].Instance, v.Members[0].ID = "i", "a2" },
		}},

		"of two owners at once": {oneGroupOwner, []func(*groupView){func(v *groupView) {
			v.State, v.Members[1].Has = "Reconciling", orders(1, 2, 3)
		}}},
		"of what is another's before it is let go": {oneGroupOwner, []func(*groupView){rebalanced, func(v *groupView) {
			rebalanced(v)
			v.Members[1].Has = orders(1, 3)
		}}},
		"of two owners in one epoch": {oneGroupOwner, []func(*groupView){func(*groupView) {}, func(v *groupView) {
			v.Members[0].ID = "c"
		}}},
		"of two owners in one generation": {oneGroupOwner, []func(*groupView){classicGroup, func(v *groupView) {
			classicGroup(v)
			v.Members[0].Has, v.Members[1].Has = v.Members[1].Has, v.Members[0].Has
		}}},
		"of a group's epoch that goes back": {groupEpochsForward, []func(*groupView){func(v *groupView) { v.Epoch, v.State = 8, "Assigning" }, func(v *groupView) {
			v.Coordinator = 4
		}}},
		"of a generation that goes back": {groupEpochsForward, []func(*groupView){classicGroup, func(v *groupView) {
			classicGroup(v)
			v.Coordinator, v.Epoch, v.Target = 4, 6, 6
			v.Members[0].Epoch, v.Members[1].Epoch = 6, 6
		}}},
		"of a member's epoch that goes back": {groupEpochsForward, []func(*groupView){func(*groupView) {}, func(v *groupView) {
			v.State, v.Members[0].Epoch = "Reconciling", 6
		}}},
		"of a member ahead of the target": {groupEpochsForward, []func(*groupView){func(v *groupView) {
			v.State, v.Members[0].Epoch = "Reconciling", 8
		}}},
		"of a partition that is two's goal": {assignmentLegal, []func(*groupView){func(v *groupView) {
			v.State, v.Members[0].Goal = "Reconciling", orders(0, 1, 2)
		}}},
		"of a partition that there is not": {assignmentLegal, []func(*groupView){func(v *groupView) {
			v.State, v.Members[0].Goal = "Reconciling", orders(0, 4)
		}}},
		"of a topic that its owner does not read": {assignmentLegal, []func(*groupView){func(v *groupView) {
			v.Members[0].Reads = []string{"payments"}
		}}},
		"of one that has more than its part": {assignmentFair, []func(*groupView){func(v *groupView) {
			v.State, v.Members[0].Goal, v.Members[1].Goal = "Reconciling", orders(0, 1, 2), orders(3)
		}}},
		"of a classic leader that takes it all": {assignmentFair, []func(*groupView){func(v *groupView) {
			classicGroup(v)
			v.Members[0].Has, v.Members[1].Has = orders(0, 1, 2, 3), nil
			v.Members[0].Goal, v.Members[1].Goal = orders(0, 1, 2, 3), nil
		}}},
		"of what is given away while its owner has it": {oneGroupOwner, []func(*groupView){func(v *groupView) {
			classicGroup(v)
			v.Assignor, v.Members[1].Claims, v.Members[1].Claimed = "cooperative-sticky", orders(1, 2), 6
			v.Members[0].Claims, v.Members[0].Claimed = orders(1), 4
		}}},
		"not of what was another's long ago": {"", []func(*groupView){func(v *groupView) {
			classicGroup(v)
			v.Assignor, v.Members[1].Claims, v.Members[1].Claimed = "cooperative-sticky", orders(1, 2), 4
			v.Members[0].Claims, v.Members[0].Claimed = orders(1), 6
		}}},
		"not of what two claim of one generation": {"", []func(*groupView){func(v *groupView) {
			classicGroup(v)
			v.Assignor, v.Members[1].Claims, v.Members[1].Claimed = "cooperative-sticky", orders(1), 6
			v.Members[0].Claims, v.Members[0].Claimed = orders(1), 6
		}}},
		"not of what was older when a static member had the younger claim": {"", []func(*groupView){cooperativeStatic, func(v *groupView) {
			cooperativeStatic(v)
			v.Members[0].ID, v.Members[0].Claims, v.Members[0].Claimed = "a2", nil, -1
		}}},
		"of what is given away after the place of a static owner was taken": {oneGroupOwner, []func(*groupView){cooperativeStatic, func(v *groupView) {
			cooperativeStatic(v)
			v.Members[0].ID, v.Members[0].Claims, v.Members[0].Claimed = "a2", nil, -1
			v.Members[0].Goal, v.Members[1].Goal = orders(0), orders(1, 2, 3)
		}}},
		"of what a static member came with to a later generation": {oneGroupOwner, []func(*groupView){cooperativeStatic, func(v *groupView) {
			cooperativeStatic(v)
			v.Epoch, v.Target, v.Members[0].Epoch, v.Members[1].Epoch = 8, 8, 8, 8
			v.Members[0].Claims, v.Members[0].Claimed = orders(0, 1, 2), 7
		}}},
		"of a stable group with something to revoke": {stableRests, []func(*groupView){func(v *groupView) {
			rebalanced(v)
			v.State = stableState
		}}},
		"of a stable member without what it shall have": {stableRests, []func(*groupView){func(v *groupView) {
			v.Members[0].Has = orders(0)
		}}},
		"of a stable group that is to be assigned anew": {stableRests, []func(*groupView){func(v *groupView) { v.Epoch = 8 }}},
	} {
		t.Run(name, func(t *testing.T) {
			var said []string
			o := newGroupObserver(func(guarantee, sentence string) { said = append(said, guarantee) }, func(topic string) int32 {
				if topic == topicName {
					return 4
				}
				return 0
			})
			for i, change := range c.looks {
				if len(said) > 0 {
					t.Fatalf("before look %d it said %v", i, said)
				}
				v := restingGroup()
				change(&v)
				o.look(v)
			}
			if c.want == "" && len(said) > 0 || c.want != "" && !slices.Contains(said, c.want) {
				t.Errorf("said %v, want %q", said, c.want)
			}
		})
	}
}

func TestGroupObserverComplainsOfFormerCoordinators(t *testing.T) {
	for name, c := range map[string]struct {
		epoch, leader kafka.LeaderEpoch
		said          string
	}{
		"not of a leader": {3, 3, ""},
		"of one that does not lead": {3, kafka.NoLeaderEpoch,
			coordinatesLed + ": orders-0: n2 coordinates its groups as the leader of epoch 3, and does not lead it any more"},
		"of one that knows of an earlier reign": {3, 5,
			coordinatesLed + ": orders-0: n2 coordinates its groups as the leader of epoch 3, and leads it in epoch 5"},
	} {
		t.Run(name, func(t *testing.T) {
			var said []string
			o := newGroupObserver(func(guarantee, sentence string) { said = append(said, guarantee+": "+sentence) }, nil)
			o.checkLed(coordinating{"n2", orders(0)[0], c.epoch, c.leader})
			if got := strings.Join(said, "; "); got != c.said {
				t.Errorf("said %q, want %q", got, c.said)
			}
		})
	}
}

func TestGroupObserverComplainsOfWhoIsWaitedFor(t *testing.T) {
	const bound = 20 * time.Second
	for name, c := range map[string]struct {
		change func(second *groupView) // what differs from the first look
		after  time.Duration
		bad    bool
	}{
		"not of who may take as long":         {func(*groupView) {}, bound, false},
		"of who never asks":                   {func(*groupView) {}, bound + 1, true},
		"not of who has asked":                {func(v *groupView) { v.Members[0].Unsynced = false }, bound + 1, false},
		"not of who is in another generation": {func(v *groupView) { v.Epoch++ }, bound + 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			var said []string
			o := newGroupObserver(func(guarantee, _ string) { said = append(said, guarantee) }, nil)
			v := restingGroup()
			classicGroup(&v)
			v.Members[0].Unsynced = true
			o.checkSynced(v, 5, bound)
			c.change(&v)
			o.checkSynced(v, kafka.Instant(5).Add(c.after), bound)
			if got := slices.Contains(said, groupProgress); got != c.bad {
				t.Errorf("said %v", said)
			}
		})
	}
}
