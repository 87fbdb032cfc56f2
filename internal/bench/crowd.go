//go:build linux

package main

import (
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// greet sends the first request of every client and takes the answer.
func greet(w *wire) error {
	if _, err := w.Write(frame(kmsg.NewPtrApiVersionsRequest(), 0)); err != nil {
		return err
	}
	_, err := w.answer()
	return err
}

// fewConnections is what many are compared with.
const fewConnections = 50

// connections measures few and many connections that do the same.
func (p *plan) connections() error {
	t := newTable("connections", "node, requests/s", "node, CPU µs/request", "stick, requests/s", "stick, CPU µs/request", "node/stick CPU",
		"memory each, quiet, KiB", "memory each, busy, KiB")
	for _, n := range []int{min(fewConnections, p.crowd), p.crowd} {
		c := newContest(roleNode, roleStick)
		var quiet, busy figure
		for range p.rounds {
			for _, role := range []string{roleNode, roleStick} {
				got, err := p.crowdOnce(role, n)
				if err != nil {
					return fmt.Errorf("%s, %d connections: %w", role, n, err)
				}
				c.add(role, got.span)
				if role == roleNode {
					quiet.add(got.quiet)
					busy.add(got.busy)
				}
			}
		}
		const micro = 1e3
		t.row(fmt.Sprint(n), c.rate[roleNode].text(1), c.cost[roleNode].text(micro), c.rate[roleStick].text(1), c.cost[roleStick].text(micro),
			c.ratio(), quiet.text(1<<10), busy.text(1<<10))
	}
	t.print(p.out, "Many connections", "Each sends a request of one record of 1 KiB, waits for its acknowledgement (acks=all, log.flush=os), and sends the next, "+
		"to one of 10 partitions. Memory is what the node grew by (VmRSS), per connection: quiet, after its first answer; busy, at the end.")
	return nil
}

// A crowd is what came of so many connections.
type crowd struct {
	span        span
	quiet, busy float64 // bytes of memory for each connection
}

func (p *plan) crowdOnce(role string, n int) (c crowd, err error) {
	server, err := p.start(role, "log.flush=os")
	if err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, server.stop()) }()
	const partitions = 10
	if role == roleNode {
		if err := createTopic(server.address, "t", partitions); err != nil {
			return c, err
		}
	}
	before, err := server.memory()
	if err != nil {
		return c, err
	}
	l := newLoad(0, 1024)
	r := &replay{}
	begin := make(chan struct{})
	greeted := make(chan error, n)
	err = r.each(server.address, n, func(i int, w *wire) error {
		var err error
		if role == roleNode { // the stick knows two requests
			err = greet(w)
		}
		greeted <- err
		if err != nil {
			return err
		}
		<-begin
		for request := l.produceFrame("t", int32(i%partitions)); ; r.done.Add(1) {
			if _, err := w.Write(request); err != nil {
				return err
			}
			if err := w.produced(); err != nil {
				return err
			}
		}
	})
	for range r.wires {
		err = errors.Join(err, <-greeted)
	}
	after, asked := server.memory()
	close(begin)
	if err = errors.Join(err, asked); err == nil {
		c.span = p.measure(server, int64(n), r.done.Load)
	}
	end, asked := server.memory()
	c.quiet, c.busy = float64(after-before)/float64(n), float64(end-before)/float64(n)
	return c, errors.Join(err, asked, r.stop())
}

// idleness measures what a node costs that has nothing to do.
func (p *plan) idleness() error {
	stages := []string{"nothing", fmt.Sprintf("%d partitions", p.idle), fmt.Sprintf("%d partitions, %d connections", p.idle, p.idle),
		fmt.Sprintf("%d partitions, %d consumers waiting", p.idle, p.idle)}
	used, memory := make([]figure, len(stages)), make([]figure, len(stages))
	for range p.rounds {
		if err := p.idleOnce(used, memory); err != nil {
			return err
		}
	}
	t := newTable("the node has", "CPU, ms per second", "memory, MiB")
	for i, name := range stages {
		t.row(name, used[i].text(1e6), memory[i].text(1<<20))
	}
	t.print(p.out, "Idle", fmt.Sprintf("Processor time over %v each. A consumer that waits has a fetch under way that waits for 500 ms at a time.", p.window))
	return nil
}

func (p *plan) idleOnce(used, memory []figure) (err error) {
	server, err := p.start(roleNode, "log.flush=os")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.stop()) }()
	look := func(stage int) error {
		s := p.measureNow(server, func() int64 { return 0 })
		used[stage].add(float64(s.processor) / s.took.Seconds())
		bytes, err := server.memory()
		memory[stage].add(float64(bytes))
		return err
	}
	if err := look(0); err != nil {
		return err
	}
	if err := createTopic(server.address, "t", int32(p.idle)); err != nil {
		return err
	}
	if err := look(1); err != nil {
		return err
	}
	r := &replay{}
	wait := make(chan struct{})
	err = r.each(server.address, p.idle, func(i int, w *wire) error {
		if err := greet(w); err != nil {
			return err
		}
		<-wait
		for {
			if _, err := w.fetchAt("t", int32(i), 0); err != nil {
				return err
			}
		}
	})
	if err == nil {
		err = look(2)
	}
	close(wait)
	if err == nil {
		err = look(3)
	}
	return errors.Join(err, r.stop())
}
