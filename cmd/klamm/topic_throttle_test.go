package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/klammlog/klamm/node/client"
	"github.com/klammlog/klamm/node/kafka"
)

// Whoever has a replica is throttled as a leader, whoever gets one as a follower.
func TestThrottleNamesWhatMoves(t *testing.T) {
	at := func(topic string, partition int32, from, to []kafka.NodeID) move {
		return move{kafka.TopicPartition{Topic: topic, Partition: partition}, from, to}
	}
	throttle := throttlingOf([]move{
		at("b", 0, []kafka.NodeID{1, 2}, []kafka.NodeID{2, 3}), at("a", 7, []kafka.NodeID{3}, []kafka.NodeID{5, 4}),
		at("b", 1, []kafka.NodeID{2, 1}, []kafka.NodeID{1, 2}),
	}, 5000)
	var got []string
	for _, changes := range [][]client.Alteration{throttle.set(), throttle.unset()} {
		for _, a := range changes {
			for _, c := range a.Changes {
				value := "-"
				if c.Value != nil {
					value = *c.Value
				}
				name := strings.ReplaceAll(c.Name, ".replication.throttled", "")
				got = append(got, a.Resource.Type.String()+" "+a.Resource.Name+": "+name+"="+value)
			}
		}
	}
	var want []string
	for _, rate := range []string{"5000", "-"} {
		for _, id := range []string{"1", "2", "3", "4", "5"} {
			want = append(want, "broker "+id+": leader.rate="+rate, "broker "+id+": follower.rate="+rate)
		}
		if rate == "-" {
			want = append(want, "topic a: leader.replicas=-", "topic a: follower.replicas=-", "topic b: leader.replicas=-", "topic b: follower.replicas=-")
			break
		}
		want = append(want, "topic a: leader.replicas=7:3", "topic a: follower.replicas=7:5,7:4",
			"topic b: leader.replicas=0:1,0:2,1:2,1:1", "topic b: follower.replicas=0:3")
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	var many []move
	for i := range int32(5000) {
		many = append(many, at("large", i, []kafka.NodeID{1}, []kafka.NodeID{2}))
	}
	if topic := throttlingOf(many, 1).topics[0]; topic.leading != "*" || topic.following != "*" {
		t.Errorf("a list that no setting takes: %.50s", topic.leading)
	}
}

func TestThrottleIsRemovedWhenTheMoveHasEnded(t *testing.T) {
	r := startRig(t, 3)
	r.do("topic", "create", "orders", "-p", "2", "-r", "1")
	// A broker tells of settings what it knows: it may hear of a change after who made it.
	throttled := func(when string, want int) {
		var text string
		for range 1000 {
			text = r.do("topic", "config", "orders")
			for _, id := range []string{"1", "2", "3"} {
				text += r.do("broker", "config", id)
			}
			if strings.Count(text, "throttled") == want {
				return
			}
		}
		t.Errorf("%s: want %d settings of throttles: %s", when, want, text)
	}
	if text := r.do("topic", "reassign", "orders", "--replicas", "1,2", "--throttle", "1000000"); strings.Count(text, "moved") != 2 {
		t.Error(text)
	}
	throttled("after the move", 0)
	r.do("topic", "config", "orders", "--set", "leader.replication.throttled.replicas=*", "--set", "follower.replication.throttled.replicas=0:1")
	r.do("broker", "config", "2", "--set", "follower.replication.throttled.rate=7")
	throttled("set by hand", 3)
	r.do("topic", "reassign", "--unthrottle")
	throttled("after --unthrottle", 0)
	for _, args := range [][]string{
		{"topic", "reassign", "orders", "-r", "1", "--throttle", "-1"}, {"topic", "reassign", "orders", "-r", "1", "--throttle", "9", "--no-wait"},
		{"topic", "reassign", "--list", "--throttle", "9"}, {"cluster", "balance", "--throttle", "-1"},
	} {
		if code, text := r.try("", args...); code != exitUsage {
			t.Errorf("%v: code %d: %s", args, code, text)
		}
	}
}
