package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/kafka"
)

// A rig is a cluster in this process, and the command line.
type rig struct {
	*testing.T
	nodes *fleet
}

func startRig(t *testing.T, brokers int) *rig {
	t.Helper()
	pairs, err := fleetPairs(brokers, t.TempDir(), "127.0.0.1:0", []config.Pair{{Name: "broker.heartbeat.interval.ms", Value: "50"}})
	if err != nil {
		t.Fatal(err)
	}
	nodes, err := startFleet(pairs, os.Stderr, "error")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nodes.stop() })
	return &rig{t, nodes}
}

// try runs a command and returns its exit code and all it said.
func (r *rig) try(input string, args ...string) (int, string) {
	var out, errs bytes.Buffer
	code := execute(append(args, "-b", r.nodes.bootstrap()), streams{strings.NewReader(input), &out, &errs})
	return code, out.String() + errs.String()
}

// do runs a command that must succeed.
func (r *rig) do(args ...string) string {
	r.Helper()
	code, text := r.try("", args...)
	if code != 0 {
		r.Fatalf("%v: code %d: %s", args, code, text)
	}
	return text
}

// ask runs a command that prints JSON.
func ask[T any](r *rig, args ...string) (v T) {
	r.Helper()
	text := r.do(append(args, "-o", "json")...)
	if err := json.NewDecoder(strings.NewReader(text)).Decode(&v); err != nil {
		r.Fatalf("%v: %v: %s", args, err, text)
	}
	return v
}

func (r *rig) broker(id kafka.NodeID) clusterBrokerJSON {
	r.Helper()
	for _, b := range ask[clusterJSON](r, "cluster").Brokers {
		if b.ID == id {
			return b
		}
	}
	r.Fatalf("no broker %d", id)
	return clusterBrokerJSON{}
}

// What an administrator does with a cluster, one thing after the other, and nothing
// of what was written is lost on the way.
func TestAnAdministratorsDay(t *testing.T) {
	r := startRig(t, 4)
	r.do("topic", "create", "orders", "-p", "8", "-r", "2")
	if code, text := r.try(strings.Repeat("x\n", 100), "produce", "orders", "--partitioner", "round-robin"); code != 0 {
		t.Fatal(text)
	}
	if j := ask[drainJSON](r, "drain", "2"); j.Moved != 2 || j.Leads != 0 {
		t.Errorf("drained: %+v", j)
	}
	if j := ask[drainJSON](r, "undrain", "2"); j.Moved != 2 || j.Leads != 2 {
		t.Errorf("undrained: %+v", j)
	}
	planned := ask[planJSON](r, "cluster", "balance", "--without", "4")
	// Who begins is drawn, and a broker may get one replica more or less than another.
	if b := r.broker(4); planned.Status != "planned" || len(planned.Partitions) < b.Replicas || b.Replicas < 3 || b.Replicas > 5 {
		t.Errorf("%+v, and broker 4 has %d replicas", planned, b.Replicas)
	}
	r.do("cluster", "balance", "--without", "4", "--yes")
	if b := r.broker(4); b.Replicas != 0 || b.Leads != 0 {
		t.Errorf("broker 4 is to be empty: %+v", b)
	}
	r.do("cluster", "balance", "--yes")
	for id := range kafka.NodeID(4) {
		if b := r.broker(id + 1); b.Replicas != 4 || b.Leads != 2 {
			t.Errorf("balanced: %+v", b)
		}
	}
	r.do("topic", "reassign", "orders", "--replicas", "3,1,2")
	r.do("topic", "elect", "orders")
	for _, p := range ask[describeJSON](r, "topic", "describe", "orders").Partitions {
		if want := []kafka.NodeID{3, 1, 2}[p.Partition%3]; len(p.Replicas) != 3 || p.Leader != want || p.Replicas[0] != want {
			t.Errorf("partition %d: %+v, want leader %d", p.Partition, p, want)
		}
	}
	if text := r.do("topic", "reassign", "--list"); strings.Contains(text, "orders") {
		t.Error(text)
	}
	r.do("health")
	r.do("health", "--cluster", "--wait", "10s")
	if n := strings.Count(r.do("consume", "orders", "-e"), "x\n"); n != 100 {
		t.Errorf("%d records, want 100", n)
	}
}

// A controller joins a cluster that works, votes, and leaves.
func TestVotersComeAndGo(t *testing.T) {
	r := startRig(t, 3)
	before := ask[clusterJSON](r, "cluster")
	var voters []string
	for _, v := range before.Quorum.Voters {
		voters = append(voters, fmt.Sprintf("%d@%s", v.ID, v.Address))
	}
	at, err := freeAddresses(1)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir() + "/4"
	var out bytes.Buffer
	if code := execute([]string{"format", "--data-dir", dir, "--node-id", "4", "--cluster-id", before.ClusterID, "-o", "json"},
		streams{nil, &out, &out}); code != 0 {
		t.Fatal(out.String())
	}
	var made formatJSON
	if err := json.Unmarshal(out.Bytes(), &made); err != nil {
		t.Fatal(err)
	}
	if code, text := r.try("", "cluster", "voters", "add", "4", "--address", at[0]); code != exitFailed || !strings.Contains(text, "--directory") {
		t.Errorf("without a directory: code %d: %s", code, text)
	}
	started := make(chan *process, 1)
	go func() {
		p, err := startProcess([]config.Pair{
			{Name: "node.id", Value: "4"}, {Name: "log.dirs", Value: dir}, {Name: "controller.quorum.voters", Value: strings.Join(voters, ",")},
			{Name: "listeners", Value: "PLAINTEXT://127.0.0.1:0,CONTROLLER://" + at[0]},
		}, os.Stderr, "error")
		if err != nil {
			t.Error(err)
		}
		started <- p
	}()
	r.do("cluster", "voters", "add", "4", "--address", at[0], "--directory", made.Directories[0].ID)
	p := <-started
	if p == nil {
		return
	}
	defer p.stop()
	if j := ask[clusterJSON](r, "cluster"); len(j.Quorum.Voters) != 4 {
		t.Errorf("%+v", j.Quorum)
	}
	r.do("cluster", "voters", "remove", "4")
	if j := ask[clusterJSON](r, "cluster"); len(j.Quorum.Voters) != 3 {
		t.Errorf("%+v", j.Quorum)
	}
}
