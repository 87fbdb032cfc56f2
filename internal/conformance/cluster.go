package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// brokers is how many nodes a cluster has; each is a controller too.
const brokers = 3

// sessionTimeout is how long the controllers hear nothing of a broker before others
// lead its partitions.
const sessionTimeout = 2 * time.Second

// A fleet is a cluster of processes on loopback. What is asked of any of them is
// asked of the node any.
type fleet struct {
	nodes []*node
	any   *node
}

// newFleet makes the nodes, and starts none.
func newFleet(klamm, dir string) (*fleet, error) {
	f := &fleet{any: &node{klamm: klamm, dir: dir}}
	var addresses, voters, controllers []string
	for i := range brokers {
		n, err := newNode(klamm, filepath.Join(dir, fmt.Sprint("node-", i+1)))
		if err != nil {
			return nil, err
		}
		c, err := newNode(klamm, "")
		if err != nil {
			return nil, err
		}
		f.nodes, addresses, controllers = append(f.nodes, n), append(addresses, n.address), append(controllers, c.address)
		voters = append(voters, fmt.Sprintf("%d@%s", i+1, c.address))
	}
	f.any.address = strings.Join(addresses, ",")
	for i, n := range f.nodes {
		n.args = []string{"--node-id", fmt.Sprint(i + 1), "--controller-listen", controllers[i], "--voters", strings.Join(voters, ","),
			"--set", "default.replication.factor=3", "--set", "min.insync.replicas=2",
			"--set", fmt.Sprint("broker.session.timeout.ms=", sessionTimeout.Milliseconds()),
			"--set", "broker.heartbeat.interval.ms=300", "--set", "replica.lag.time.max.ms=3000"}
	}
	return f, nil
}

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

// A pace tells producers how much of their records is due: as large a part of them
// as of what happens to the cluster has begun.
type pace struct{ begun, of atomic.Int64 }

func (p *pace) next()               { p.begun.Add(1) }
func (p *pace) end()                { p.begun.Store(p.of.Load()) }
func (p *pace) due(records int) int { return records * int(p.begun.Load()) / int(p.of.Load()) }

// A torment is what happens to a cluster.
type torment struct {
	fleet         *fleet
	kills, pauses int
	pace          *pace
	random        *rand.Rand
}

// steps is how many things happen: before the first and behind the last the cluster
// is left alone.
func (t *torment) steps() int64 { return int64(t.kills + t.pauses + brokers + 2) }

// run has it all happen: a rolling restart after half of the kills, the pauses
// between them.
func (t *torment) run() error {
	defer t.pace.end()
	t.pace.next()
	for i := range t.kills {
		if err := t.kill(i); err != nil {
			return fmt.Errorf("kill %d: %w", i+1, err)
		}
		if (i+1)*t.pauses/t.kills > i*t.pauses/t.kills {
			if err := t.pause(); err != nil {
				return fmt.Errorf("pause behind kill %d: %w", i+1, err)
			}
		}
		if i == t.kills/2 {
			if err := t.roll(); err != nil {
				return fmt.Errorf("rolling restart: %w", err)
			}
		}
	}
	return nil
}

// amid lets some of the records of the next step be on their way.
func (t *torment) amid() {
	t.pace.next()
	time.Sleep(time.Duration(10+t.random.IntN(150)) * time.Millisecond)
}

// kill kills a leader, or the controller, and starts it again: at once, or when
// others lead its partitions.
func (t *torment) kill(i int) error {
	victim, err := t.victim(i)
	if err != nil {
		return err
	}
	t.amid()
	if err := victim.end(kill); err != nil {
		return err
	}
	if t.random.IntN(2) == 0 {
		time.Sleep(sessionTimeout + sessionTimeout/2)
	}
	return errors.Join(victim.start(), t.fleet.heal())
}

// victim takes a leader of partitions and the controller in turns.
func (t *torment) victim(i int) (*node, error) {
	if i%2 == 1 {
		return t.fleet.controller()
	}
	return t.fleet.leader()
}

// pause stops a leader for longer than its session: it goes on as one that others
// have replaced.
func (t *torment) pause() error {
	victim, err := t.fleet.leader()
	if err != nil {
		return err
	}
	t.amid()
	if err := victim.process.Process.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	time.Sleep(sessionTimeout * 2)
	if err := victim.process.Process.Signal(syscall.SIGCONT); err != nil {
		return err
	}
	return t.fleet.heal()
}

// roll stops and starts one node after the other.
func (t *torment) roll() error {
	for _, n := range t.fleet.nodes {
		t.amid()
		if err := errors.Join(n.end(stop), n.start(), t.fleet.heal()); err != nil {
			return err
		}
	}
	return nil
}

// runCluster puts clients through it, all on one cluster at once.
func (o *options) runCluster(dir string) error {
	f, err := newFleet(o.klamm, dir)
	if err != nil {
		return err
	}
	defer f.end()
	if err := f.start(); err != nil {
		return f.blame(err)
	}
	t := &torment{fleet: f, kills: o.kills, pauses: o.pauses, pace: &pace{}, random: rand.New(rand.NewPCG(o.seed, 0))}
	t.pace.of.Store(t.steps())
	fmt.Printf("cluster: seed %d, %d kills, %d pauses, a rolling restart\n", o.seed, t.kills, t.pauses)
	ordeals, err := o.ordealsOn(f, dir)
	if err != nil {
		return f.blame(err)
	}
	errs := make([]error, len(ordeals)+1)
	var done sync.WaitGroup
	for i, c := range ordeals {
		done.Go(func() { errs[i] = c.produceAlong(t.pace) })
	}
	begun := time.Now()
	errs[len(ordeals)] = t.run()
	done.Wait()
	fmt.Printf("cluster: everything has happened after %.0f s\n", time.Since(begun).Seconds())
	if err := errors.Join(errs...); err != nil {
		return f.blame(err)
	}
	for _, c := range ordeals {
		if err := c.conclude(); err != nil {
			return f.blame(fmt.Errorf("%s: %w", c.name, err))
		}
	}
	return nil
}

// ordealsOn returns one for each client, with a topic each.
func (o *options) ordealsOn(f *fleet, dir string) ([]*ordeal, error) {
	var all []*ordeal
	for _, name := range o.clients {
		p, err := programNamed(name)
		if err != nil {
			return nil, err
		}
		c := &ordeal{program: p, tools: &o.tools, node: f.any, records: o.records, dir: dir}
		if _, err := c.newTopic("cluster", c.codecs[len(c.codecs)-1]); err != nil {
			return nil, fmt.Errorf("create the topic of %s: %w", name, err)
		}
		all = append(all, c)
	}
	return all, f.heal()
}

// blame adds the nodes' last words to an error.
func (f *fleet) blame(err error) error {
	for i, n := range f.nodes {
		err = fmt.Errorf("%w\nnode %d's last words:\n%s", err, i+1, n.lastWords())
	}
	return err
}
