package scenarios

import (
	"slices"
	"strings"
	"testing"

	"github.com/klammlog/klamm/internal/report"
)

// Being watched leaves a run as it is, whatever its outcome, and what was seen holds
// together.
func TestAWitnessLeavesARunAsItIs(t *testing.T) {
	for _, spec := range []Spec{
		{Scenario: "power-loss", Seed: 2, Set: []string{"log.flush=os"}},
		{Scenario: "coordinator-failover", Seed: 1, Set: []string{"run.sends=100", "run.safety=4s"}},
		{Scenario: "hostile-client", Seed: 1, Set: []string{"run.sends=100", "run.safety=2s"}},
	} {
		plain, err := Run(spec, Watch{})
		if err != nil {
			t.Fatal(err)
		}
		w := NewWitness()
		seen, err := Run(spec, Watch{Witness: w})
		if err != nil {
			t.Fatal(err)
		}
		if plain.Chain != seen.Chain || plain.Verdict != seen.Verdict {
			t.Errorf("%s %d: chain %s, verdict %s; watched: %s, %s", spec.Scenario, spec.Seed, plain.Chain, plain.Verdict, seen.Chain, seen.Verdict)
		}
		checkSeen(t, spec, w.Report(seen))
	}
}

// checkSeen checks that what was seen is there, and in order.
func checkSeen(t *testing.T, spec Spec, r report.Run) {
	t.Helper()
	byTime := func(m report.Message) report.Instant { return m.Sent }
	if len(r.Messages) == 0 || !slices.IsSortedFunc(r.Messages, func(a, b report.Message) int { return int(byTime(a) - byTime(b)) }) {
		t.Errorf("%s: %d messages, or they are not in order", spec.Scenario, len(r.Messages))
	}
	arrived, answered := 0, 0
	for _, m := range r.Messages {
		if m.Arrived != report.Never {
			arrived++
			if m.Arrived < m.Sent {
				t.Fatalf("%s: a message arrived at %d that was sent at %d", spec.Scenario, m.Arrived, m.Sent)
			}
		}
		if m.Answer && m.Call != 0 {
			answered++
		}
	}
	if arrived < len(r.Messages)/2 || answered < len(r.Messages)/4 {
		t.Errorf("%s: of %d messages %d arrived, and %d are answers to something", spec.Scenario, len(r.Messages), arrived, answered)
	}
	if len(r.Operations) == 0 || len(r.Replicas) == 0 || len(r.Bands) == 0 || len(r.Faults) == 0 && spec.Scenario != "hostile-client" {
		t.Errorf("%s: %d operations, %d replicas, %d faults, %d bands", spec.Scenario, len(r.Operations), len(r.Replicas), len(r.Faults), len(r.Bands))
	}
	for _, b := range r.Bands {
		if b.Kind != report.Down {
			continue
		}
		for _, v := range r.Replicas {
			// Who is down leads nothing.
			i := slices.IndexFunc(v.States, func(s report.ReplicaState) bool { return s.At > b.From })
			if i < 0 {
				i = len(v.States)
			}
			if v.Lane == b.Lane && i > 0 && v.States[i-1].Role == "leader" {
				t.Errorf("%s: %s is down at %s and leads", spec.Scenario, r.Lanes[b.Lane].Name, b.From)
			}
		}
	}
	for _, v := range r.Replicas {
		for i, s := range v.States {
			if i > 0 && s.At <= v.States[i-1].At {
				t.Fatalf("%s: states of a replica are not in order", spec.Scenario)
			}
		}
	}
	if r.Verdict == string(Violated) && (r.Broke == report.Never || len(r.Violations) == 0) {
		t.Errorf("%s: it is violated, and nobody knows when: %v", spec.Scenario, r.Violations)
	}
	if spec.Scenario != "coordinator-failover" {
		return
	}
	said := func(name, text string) bool {
		return slices.ContainsFunc(r.Messages, func(m report.Message) bool { return m.Name == name && strings.Contains(m.Text, text) })
	}
	if len(r.Groups) == 0 || !said("Raft", "heartbeat") || !said("Raft", "append") || said("Raft", "message") || !said("OffsetFetch", "committed offset") ||
		!said("Fetch (replica)", "orders-0 from") || !said("Fetch", "high watermark") || !said("Produce", "at offset") || !said("OffsetCommit", "committed") {
		t.Errorf("%s: %d groups were seen, and not every kind of message was read", spec.Scenario, len(r.Groups))
	}
}

// What a node that is stopped in order holds is what it held, though its logs are closed
// and cannot be asked: a story of what was lost begins there.
func TestAWitnessKnowsWhatAStoppedNodeHolds(t *testing.T) {
	w := NewWitness()
	spec := Spec{Scenario: "leader-crash", Seed: 7, Set: []string{"run.sends=20", "run.safety=4s", "run.raws=0"}, Script: &Script{Faults: []string{"graceful-stop node=n1 at=3s for=500ms n=0"}}}
	o, err := Run(spec, Watch{Witness: w})
	if err != nil || o.Verdict == Violated {
		t.Fatalf("%v, %v", o.Headline(), err)
	}
	r, held := w.Report(o), false
	for _, v := range r.Replicas {
		for i := 1; i < len(v.States); i++ {
			was, is := v.States[i-1], v.States[i]
			if is.Role != "down" {
				continue
			}
			held = held || is.End > 0
			if is.End != was.End || is.HighWatermark != was.HighWatermark || is.Durable != was.Durable {
				t.Errorf("%s holds %d of %s, %d committed, and %d, %d when it is down", r.Lanes[v.Lane].Name, was.End, r.Partitions[v.Partition], was.HighWatermark, is.End, is.HighWatermark)
			}
		}
	}
	if !held {
		t.Error("no node that is down holds anything")
	}
}
