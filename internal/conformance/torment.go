package main

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

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
	watch         *watch
	told          map[string][]time.Duration // how long partitions that lost their leader had none, by why
}

// steps is how many things happen: before the first and behind the last the cluster
// is left alone.
func (t *torment) steps() int64 { return int64(t.kills + t.pauses + len(t.fleet.nodes) + 2) }

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

// suffer has something happen to a node, waits until the cluster is well again, and
// notes how long what the node led had no leader.
func (t *torment) suffer(what string, n *node, happen func() error) error {
	t.amid()
	t.watch.begin()
	if err := errors.Join(happen(), t.fleet.heal()); err != nil {
		return err
	}
	t.told[what] = append(t.told[what], t.watch.end(t.fleet.id(n)).lost...)
	return nil
}

// kill kills a leader, or the controller, and starts it again: at once, or when
// others lead its partitions.
func (t *torment) kill(i int) error {
	victim, err := t.victim(i)
	if err != nil {
		return err
	}
	controller, err := t.fleet.controller()
	if err != nil {
		return err
	}
	what := "killed brokers"
	if victim == controller {
		what = "killed active controllers"
	}
	return t.suffer(what, victim, func() error {
		if err := victim.end(kill); err != nil {
			return err
		}
		if t.random.IntN(2) == 0 {
			time.Sleep(t.fleet.session + t.fleet.session/2)
		}
		return victim.start()
	})
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
	return t.suffer("stopped for two sessions", victim, func() error {
		if err := victim.process.Process.Signal(syscall.SIGSTOP); err != nil {
			return err
		}
		time.Sleep(t.fleet.session * 2)
		return victim.process.Process.Signal(syscall.SIGCONT)
	})
}

// roll stops and starts one node after the other.
func (t *torment) roll() error {
	for _, n := range t.fleet.nodes {
		if err := t.suffer("restarted in turn", n, func() error { return errors.Join(n.end(stop), n.start()) }); err != nil {
			return err
		}
	}
	return nil
}

// tell tells how long partitions had no leader.
func (t *torment) tell() {
	for _, what := range slices.Sorted(maps.Keys(t.told)) {
		all := t.told[what]
		slices.Sort(all)
		fmt.Printf("%s: %d times a partition lost its leader, without one: %s\n", what, len(all), spread(all))
	}
	fmt.Printf("bound: %v, with the active controller %v\n", t.fleet.session+time.Second, t.fleet.bound())
}

// onFleet starts a cluster, has its leaders watched, and lets something be done with it
// that is prepared to torment it. What goes wrong is blamed on the nodes.
func (o *options) onFleet(dir string, do func(*torment) error) error {
	f, err := newFleet(o.klamm, dir, o.layout)
	if err != nil {
		return err
	}
	defer f.end()
	if err := f.start(); err != nil {
		return f.blame(err)
	}
	w, err := watchFleet(f, 10*time.Millisecond)
	if err != nil {
		return err
	}
	defer w.stop()
	t := &torment{fleet: f, kills: o.kills, pauses: o.pauses, pace: &pace{}, random: rand.New(rand.NewPCG(o.seed, 0)),
		watch: w, told: map[string][]time.Duration{}}
	t.pace.of.Store(t.steps())
	if err := do(t); err != nil {
		return f.blame(err)
	}
	return nil
}

// runCluster puts clients through it, all on one cluster at once.
func (o *options) runCluster(dir string) error {
	return o.onFleet(dir, func(t *torment) error { return o.clientsThrough(t, dir) })
}

// clientsThrough has every client produce while the cluster suffers, and read it all
// back.
func (o *options) clientsThrough(t *torment, dir string) error {
	fmt.Printf("cluster: seed %d, %d kills, %d pauses, a rolling restart\n", o.seed, t.kills, t.pauses)
	ordeals, err := o.ordealsOn(t.fleet, dir)
	if err != nil {
		return err
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
	t.tell()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	for _, c := range ordeals {
		if err := c.conclude(); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
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
