package main

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/klammlog/klamm/internal/conformance/talk"
)

// A gathering is the members of one group, and what the group has processed.
type gathering struct {
	party
	meeting *meeting
	topics  []string
	guests  []*guest // nil where there is none now

	mu        sync.Mutex
	processed map[partition]map[int64]bool
	times     int // records that were processed, over and over
	counts    map[string]int
}

// A guest is a client program as a member.
type guest struct {
	*running
	over chan error // what became of it
}

func newGathering(p party, m *meeting, topics []string) *gathering {
	return &gathering{party: p, meeting: m, topics: topics, guests: make([]*guest, len(p.members)),
		processed: map[partition]map[int64]bool{}, counts: map[string]int{}}
}

// join starts the member of a place. Each that is started has a name of its own.
func (g *gathering) join(i int) error {
	is := g.members[i]
	name := fmt.Sprintf("%s/%s-%d", g.name, is.client, g.count("joined"))
	args := append([]string{"group", g.meeting.fleet.any.address, g.name, is.strategy, name}, g.topics...)
	r, err := start(memberCommand(g.meeting.tools, is.client), args, func(line string, _ func() string) error { return g.take(line) })
	if err != nil {
		return err
	}
	r.what = name
	m := &guest{running: r, over: make(chan error, 1)}
	go func() { m.over <- m.await(nil) }()
	g.guests[i] = m
	return nil
}

// take takes what a member tells. The last line of one that is killed may be half a
// line: then it says nothing.
func (g *gathering) take(line string) error {
	e, err := talk.ParseEvent(line)
	if err != nil {
		g.count("half a line")
		return nil
	}
	if err := g.meeting.journal.line(line); err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	switch e.Type {
	case "assign":
		g.counts["assigned"]++
	case "processed":
		at := partition{e.Topic, *e.Partition}
		if g.processed[at] == nil {
			g.processed[at] = map[int64]bool{}
		}
		for _, o := range e.Offsets {
			g.processed[at][o] = true
		}
		g.times += len(e.Offsets)
	}
	return nil
}

// count counts something, and returns how often it was.
func (g *gathering) count(what string) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.counts[what]++
	return g.counts[what]
}

// missing says what the group has not processed, or "".
func (g *gathering) missing(ends map[partition]int64) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	for at, end := range ends {
		if n := int64(len(g.processed[at])); n < end {
			return fmt.Sprintf("%d of %d records of %s-%d are processed", n, end, at.topic, at.number)
		}
	}
	return ""
}

// failed returns why a member has ended that was to go on.
func (g *gathering) failed() error {
	for _, m := range g.guests {
		if m != nil && len(m.over) > 0 {
			err := <-m.over
			m.over <- err
			return fmt.Errorf("%s ended: %w", m.what, err)
		}
	}
	return nil
}

// kill kills a member.
func (g *gathering) kill(i int) error {
	m := g.guests[i]
	if err := g.failed(); err != nil {
		return err
	}
	g.guests[i] = nil
	g.count("killed")
	if err := m.cmd.Process.Kill(); err != nil {
		return err
	}
	<-m.over // it was killed: that is no failure
	return nil
}

// leaveWithin is how long a member may take to leave its group, whatever happens to
// the cluster.
const leaveWithin = time.Minute

// leave has a member leave, and waits until it has.
func (g *gathering) leave(i int) error {
	m := g.guests[i]
	if err := g.failed(); err != nil {
		return err
	}
	g.guests[i] = nil
	g.count("left")
	if err := m.closer.Close(); err != nil {
		return err
	}
	select {
	case err := <-m.over:
		return err
	case <-time.After(leaveWithin):
		m.cancel()
		return fmt.Errorf("%s has not left within %v: %w", m.what, leaveWithin, <-m.over)
	}
}

// comeAndGo has a member die or leave, and another come in its place a while later,
// over and over.
func (g *gathering) comeAndGo(random *rand.Rand, over <-chan struct{}) error {
	pause := func(least, most time.Duration) bool {
		select {
		case <-time.After(least + time.Duration(random.Int64N(int64(most-least)))):
			return true
		case <-over:
			return false
		}
	}
	for pause(time.Second, 6*time.Second) {
		i := random.IntN(len(g.members))
		end := g.kill
		if random.IntN(2) == 0 {
			end = g.leave
		}
		if err := end(i); err != nil {
			return err
		}
		pause(0, 3*time.Second)
		if err := g.join(i); err != nil {
			return err
		}
	}
	return nil
}

// part has all members leave.
func (g *gathering) part() error {
	for i, m := range g.guests {
		if m == nil {
			continue
		}
		if err := g.leave(i); err != nil {
			return err
		}
	}
	return nil
}

func (g *gathering) String() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	distinct := 0
	for _, at := range slices.Collect(maps.Values(g.processed)) {
		distinct += len(at)
	}
	var roles []string
	for _, is := range g.members {
		roles = append(roles, is.client+" "+is.strategy)
	}
	return fmt.Sprintf("%s: %s: %d records processed, %d again; %d members joined, %d were killed, %d left; %d times a partition was assigned",
		g.name, strings.Join(roles, ", "), distinct, g.times-distinct, g.counts["joined"], g.counts["killed"], g.counts["left"], g.counts["assigned"])
}
