package config

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/klammlog/klamm/node/kafka"
)

// The settings that bound how fast replicas are copied that are not in sync (KIP-73).
var (
	LeaderThrottledRate = Int{define(&Setting{
		Name: "leader.replication.throttled.rate", Scope: Broker, Type: TypeLong, Default: "9223372036854775807", Dynamic: true,
		check: atLeast(0),
		Doc: "How many bytes a second a leader sends to followers, of the replicas that leader.replication.throttled.replicas " +
			"names and that are not in sync; a second's worth, or one batch, may go at once. 0 stops them.",
	})}

	FollowerThrottledRate = Int{define(&Setting{
		Name: "follower.replication.throttled.rate", Scope: Broker, Type: TypeLong, Default: "9223372036854775807", Dynamic: true,
		check: atLeast(0),
		Doc: "How many bytes a second a follower fetches, of the replicas that follower.replication.throttled.replicas names " +
			"and that lack what is committed; one fetch beyond that is on its way from each leader. 0 stops them.",
	})}

	LeaderThrottledReplicas = Replicas{define(&Setting{
		Name: "leader.replication.throttled.replicas", Scope: Topic, Type: TypeList, Default: "", Dynamic: true,
		check: replicaList,
		Doc:   "Of which partitions a leader throttles what it sends: PARTITION:BROKER with the broker that leads, several with commas; * is all.",
	})}

	FollowerThrottledReplicas = Replicas{define(&Setting{
		Name: "follower.replication.throttled.replicas", Scope: Topic, Type: TypeList, Default: "", Dynamic: true,
		check: replicaList,
		Doc:   "Of which partitions a follower throttles what it fetches: PARTITION:BROKER with the broker that follows, several with commas; * is all.",
	})}
)

// allReplicas stands for every replica of a topic.
const allReplicas = "*"

func replicaList(v Value) error {
	if v.Text == allReplicas {
		return nil
	}
	for _, item := range parseList(v.Text) {
		if _, _, err := parseReplica(item); err != nil {
			return err
		}
	}
	return nil
}

// parseReplica reads PARTITION:BROKER.
func parseReplica(item string) (partition int32, id kafka.NodeID, err error) {
	left, right, _ := strings.Cut(item, ":")
	p, err1 := parseNumber(left)
	b, err2 := parseNumber(right)
	if errors.Join(err1, err2) != nil {
		return 0, 0, fmt.Errorf("%s is not PARTITION:BROKER, and the whole is not *", shorten(item))
	}
	return p, kafka.NodeID(b), nil
}

func parseNumber(s string) (int32, error) {
	n, err := strconv.ParseUint(s, 10, 32)
	if err == nil && n > math.MaxInt32 {
		err = strconv.ErrRange
	}
	return int32(n), err
}

// Replicas is a setting that names replicas of a topic.
type Replicas struct{ *Setting }

// On returns the partitions whose replicas on a broker are named in a view.
func (s Replicas) On(v *View, id kafka.NodeID) PartitionSet {
	text := v.value(s.Setting).Text
	if text == allReplicas {
		return PartitionSet{all: true}
	}
	var set PartitionSet
	for _, item := range parseList(text) {
		if p, on, err := parseReplica(item); err == nil && on == id {
			set.some = append(set.some, p)
		}
	}
	slices.Sort(set.some)
	return set
}

// A PartitionSet is some partitions of a topic, or all, those to come included.
type PartitionSet struct {
	all  bool
	some []int32 // in order
}

// Has reports whether a partition is in the set.
func (s PartitionSet) Has(partition int32) bool {
	if s.all || len(s.some) == 0 {
		return s.all
	}
	_, found := slices.BinarySearch(s.some, partition)
	return found
}
