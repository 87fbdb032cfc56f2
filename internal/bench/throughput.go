//go:build linux

package main

import (
	"errors"
	"fmt"
)

// floors are the costs of performance.md, in server nanoseconds a record: what a
// measuring stick took on another machine, by the size of the values.
var floors = map[string]map[int]string{
	"produce os":  {100: "66", 1024: "740"},
	"produce ack": {100: "180", 1024: "1333"},
	"fetch":       {100: "-", 1024: "200"},
}

// A contest is what several servers did with the same load, round by round.
type contest struct {
	rate, cost map[string]*figure
}

func newContest(roles ...string) *contest {
	c := &contest{map[string]*figure{}, map[string]*figure{}}
	for _, r := range roles {
		c.rate[r], c.cost[r] = &figure{}, &figure{}
	}
	return c
}

func (c *contest) add(role string, s span) {
	c.rate[role].add(s.rate())
	c.cost[role].add(s.cost())
}

// ratio says how many times the stick's processor time the node takes.
func (c *contest) ratio() string {
	var ratios figure
	for i, cost := range *c.cost[roleNode] {
		ratios.add(cost / (*c.cost[roleStick])[i])
	}
	return ratios.text(1)
}

const million = 1e6

var throughputColumns = []string{"values", "log.flush", "node, M records/s", "node, CPU ns/record", "stick, M records/s",
	"stick, CPU ns/record", "node/stick CPU", "floor elsewhere, ns"}

func (c *contest) row(t *table, l load, flush, floor string) {
	t.row(l.name(), flush, c.rate[roleNode].text(million), c.cost[roleNode].text(1),
		c.rate[roleStick].text(million), c.cost[roleStick].text(1), c.ratio(), floor)
}

// produce measures appending, and how long the node's baton is held meanwhile.
func (p *plan) produce() error {
	t := newTable(throughputColumns...)
	holds := newTable("values", "log.flush", "half are shorter than, µs", "99.9 % are shorter than, µs", "the longest, µs")
	for _, size := range p.sizes {
		for _, flush := range []string{"os", "ack"} {
			l := newLoad(p.batch, size)
			c := newContest(roleNode, roleStick)
			var p50, p999, longest figure
			for range p.rounds {
				for _, role := range []string{roleNode, roleStick} {
					s, v, err := p.produceOnce(role, flush, l)
					if err != nil {
						return fmt.Errorf("%s: %w", role, err)
					}
					c.add(role, s)
					if role == roleNode {
						p50.add(float64(v.HoldP50))
						p999.add(float64(v.HoldP999))
						longest.add(float64(v.HoldMax))
					}
				}
			}
			c.row(t, l, flush, floors["produce "+flush][size])
			const micro = 1e3
			holds.row(l.name(), flush, p50.text(micro), p999.text(micro), longest.text(micro))
		}
	}
	t.print(p.out, "Produce, replayed batches", fmt.Sprintf(
		"%d connections, each to its own partition, %d requests of one batch (about %d KiB) under way on each, acks=all.",
		lanes, pipeline, p.batch>>10))
	holds.print(p.out, "How long the baton is held", "Meanwhile; the node's start counts too. A hold includes what time the system gave to others.")
	return nil
}

func (p *plan) produceOnce(role, flush string, l load) (s span, v vitals, err error) {
	server, err := p.start(role, "log.flush="+flush)
	if err != nil {
		return s, v, err
	}
	defer func() { err = errors.Join(err, server.stop()) }()
	if role == roleNode {
		if err := createTopic(server.address, "t", lanes); err != nil {
			return s, v, err
		}
	}
	r, err := startProducing(server.address, "t", lanes, l)
	if err == nil {
		s = p.measure(server, 1, r.records(l))
	}
	if err := errors.Join(err, r.stop()); err != nil {
		return s, v, err
	}
	if role == roleNode {
		v, err = server.vitals()
	}
	return s, v, err
}

// records returns a count of the records of the requests answered.
func (r *replay) records(l load) func() int64 {
	return func() int64 { return r.done.Load() * int64(l.records) }
}

// fetch measures reading what is in the page cache.
func (p *plan) fetch() error {
	t := newTable(throughputColumns...)
	for _, size := range p.sizes {
		l := newLoad(p.batch, size)
		c := newContest(roleNode, roleStick)
		for range p.rounds {
			for _, role := range []string{roleNode, roleStick} {
				s, err := p.fetchOnce(role, l)
				if err != nil {
					return fmt.Errorf("%s: %w", role, err)
				}
				c.add(role, s)
			}
		}
		c.row(t, l, "os", floors["fetch"][size])
	}
	t.print(p.out, "Fetch, replayed", fmt.Sprintf("%d connections, each reads its own partition of %d MiB over and over, %d KiB at a time, one request under way.",
		lanes, p.filled()>>20, fetchMax>>10))
	return nil
}

// filled is how many bytes a partition gets that is read.
func (p *plan) filled() int { return clamp(p.cold/8, 1<<20, 64<<20) }

func (p *plan) fetchOnce(role string, l load) (s span, err error) {
	server, err := p.start(role, "log.flush=os")
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, server.stop()) }()
	if role == roleNode {
		if err := createTopic(server.address, "t", lanes); err != nil {
			return s, err
		}
	}
	records, err := fill(server.address, "t", lanes, l, p.filled())
	if err != nil {
		return s, err
	}
	r, err := startFetching(server.address, "t", lanes, l, records)
	if err == nil {
		s = p.measure(server, 1, r.done.Load)
	}
	return s, errors.Join(err, r.stop())
}
