package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// brokers is how many brokers a cluster has, and how many controllers.
const brokers = 3

// electionTimeout is the controllers', as it is by default.
const electionTimeout = time.Second

// A layout says what a cluster is made of.
type layout struct {
	session time.Duration // how long controllers hear nothing of a broker before others lead its partitions
	apart   bool          // controllers are processes of their own

	settings []string // of the brokers, besides those that every cluster here has
}

// A fleet is a cluster of processes on loopback. What is asked of any of them is
// asked of the node any.
type fleet struct {
	layout
	nodes []*node // the brokers, then the controllers if they are apart; node i has id i+1
	any   *node
}

// newFleet makes the nodes, and starts none.
func newFleet(klamm, dir string, l layout) (*fleet, error) {
	f := &fleet{layout: l, any: &node{klamm: klamm, dir: dir}}
	for i := range brokers {
		n, err := newNode(klamm, filepath.Join(dir, fmt.Sprint("node-", i+1)))
		if err != nil {
			return nil, err
		}
		n.args = []string{"--listen", n.address}
		f.nodes = append(f.nodes, n)
	}
	f.any.address = strings.Join([]string{f.nodes[0].address, f.nodes[1].address, f.nodes[2].address}, ",")
	voters, err := f.addControllers(dir)
	if err != nil {
		return nil, err
	}
	for i, n := range f.nodes {
		n.args = append(n.args, "--node-id", fmt.Sprint(i+1), "--voters", strings.Join(voters, ","),
			"--set", "default.replication.factor=3", "--set", "min.insync.replicas=2",
			"--set", fmt.Sprint("broker.session.timeout.ms=", l.session.Milliseconds()),
			"--set", fmt.Sprint("broker.heartbeat.interval.ms=", l.session.Milliseconds()*2/9),
			"--set", "replica.lag.time.max.ms=3000")
		for _, s := range l.settings {
			n.args = append(n.args, "--set", s)
		}
	}
	return f, nil
}

// addControllers has the brokers be controllers too, or adds nodes that are; it
// returns the voters.
func (f *fleet) addControllers(dir string) (voters []string, err error) {
	for i := range brokers {
		id := len(f.nodes) + 1
		if !f.apart {
			id = i + 1
		}
		c, err := newNode(f.any.klamm, filepath.Join(dir, fmt.Sprint("node-", id)))
		if err != nil {
			return nil, err
		}
		if f.apart {
			c.args = []string{"--roles", "controller"}
			f.nodes[i].args = append(f.nodes[i].args, "--roles", "broker")
			f.nodes = append(f.nodes, c)
		}
		n := f.nodes[id-1]
		n.args = append(n.args, "--controller-listen", c.address)
		voters = append(voters, fmt.Sprintf("%d@%s", id, c.address))
	}
	return voters, nil
}

// brokers returns the nodes that are brokers.
func (f *fleet) brokers() []*node { return f.nodes[:brokers] }

// id returns a node's number.
func (f *fleet) id(n *node) int { return slices.Index(f.nodes, n) + 1 }

// bound is how long partitions may be without a leader when a broker and the active
// controller die at once.
func (f *fleet) bound() time.Duration { return f.session + time.Second + 2*electionTimeout }

// start starts all nodes side by side: one alone has no controller.
func (f *fleet) start() error {
	errs := make([]error, len(f.nodes))
	var started sync.WaitGroup
	for i, n := range f.nodes {
		started.Go(func() { errs[i] = n.start() })
	}
	started.Wait()
	return errors.Join(errors.Join(errs...), f.heal())
}

func (f *fleet) end() {
	for _, n := range f.nodes {
		_ = n.end(kill) // it is over
	}
}

// healWithin is how long a cluster may take until every replica is in sync again.
const healWithin = 2 * time.Minute

// heal waits until the cluster is as it should be.
func (f *fleet) heal() error {
	out, err := exec.Command(f.any.klamm, "health", "--cluster", "--wait", healWithin.String(), "-b", f.any.address).CombinedOutput()
	if err != nil {
		return fmt.Errorf("the cluster is not well after %v: %w: %s", healWithin, err, out)
	}
	return nil
}

// state is what is needed of what klamm cluster prints.
type state struct {
	Brokers []struct {
		ID    int
		Leads int
	}
	Quorum struct{ Leader int }
}

func (f *fleet) state() (s state, err error) {
	cmd := exec.Command(f.any.klamm, "cluster", "-o", "json", "-b", f.any.address)
	out, err := cmd.Output()
	if err == nil {
		err = json.Unmarshal(out, &s)
	}
	if err != nil {
		return s, fmt.Errorf("klamm cluster: %w: %s", err, out)
	}
	return s, nil
}

// leader returns the node that leads most partitions, controller the one that
// leads the controllers.
func (f *fleet) leader() (*node, error) {
	s, err := f.state()
	if err != nil {
		return nil, err
	}
	most := s.Brokers[0]
	for _, b := range s.Brokers {
		if b.Leads > most.Leads {
			most = b
		}
	}
	return f.nodes[most.ID-1], nil
}

func (f *fleet) controller() (*node, error) {
	s, err := f.state()
	if err != nil {
		return nil, err
	}
	if s.Quorum.Leader < 1 {
		return nil, errors.New("the controllers have no leader")
	}
	return f.nodes[s.Quorum.Leader-1], nil
}
