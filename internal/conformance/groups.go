package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/klammlog/klamm/internal/conformance/talk"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// A party is a group that real clients share.
type party struct {
	name    string
	members []role
}

// A role is what a member of a group is: a client, and how it has partitions assigned.
// "consumer" leaves it to the coordinator (KIP-848).
type role struct{ client, strategy string }

// all returns members that have partitions assigned in the same way.
func all(strategy string, clients ...string) (out []role) {
	for _, c := range clients {
		out = append(out, role{c, strategy})
	}
	return out
}

var parties = []party{
	{"franz-cooperative", all("cooperative-sticky", "franz", "franz", "franz")},
	{"franz-consumer", all("consumer", "franz", "franz", "franz")},
	{"kafkajs", all("default", "kafkajs", "kafkajs")},
	{"python", all("default", "python", "python")},
	{"franz-klamm", all("cooperative-sticky", "franz", "klamm", "klamm")},
	{"franz-klamm-consumer", all("consumer", "franz", "klamm", "klamm")},
	{"mixed-range", all("range", "kafkajs", "python", "klamm")},
	{"mixed-roundrobin", all("roundrobin", "kafkajs", "python", "klamm")},
	// While its members come and go, these are of the classic protocol, of KIP-848, and
	// of both, and the group migrates each time.
	{"both-protocols", []role{{"franz", "consumer"}, {"franz", "cooperative-sticky"}, {"klamm", "cooperative-sticky"}}},
}

// memberCommand returns what starts a client as a member.
func memberCommand(t *tools, client string) []string {
	return map[string][]string{
		"franz":   {filepath.Join(t.programs, "franz")},
		"klamm":   {filepath.Join(t.programs, "klammclient")},
		"kafkajs": {"node", filepath.Join(t.kafkajs, "group.js")},
		"python":  {t.python, filepath.Join(t.programs, "group.py")},
	}[client]
}

// partiesNamed returns those of a list, or all.
func partiesNamed(list string) (out []party, err error) {
	if list == "all" {
		return parties, nil
	}
	for name := range strings.SplitSeq(list, ",") {
		at := slices.IndexFunc(parties, func(p party) bool { return p.name == name })
		if at < 0 {
			return nil, fmt.Errorf("no group %q", name)
		}
		out = append(out, parties[at])
	}
	return out, nil
}

// groupSettings have members that die be missed soon.
var groupSettings = []string{"group.min.session.timeout.ms=1000", "group.initial.rebalance.delay.ms=200", "offsets.topic.num.partitions=8",
	"group.consumer.session.timeout.ms=3000", "group.consumer.heartbeat.interval.ms=500"}

// A meeting is groups that read the same topics of one cluster.
type meeting struct {
	fleet   *fleet
	dir     string
	tools   *tools
	journal *journal
	ordeals []*ordeal // one for each topic: who produces it, and reads it back
	groups  []*gathering
	seed    uint64
}

// runGroups puts groups through it.
func (o *options) runGroups(dir string) error {
	chosen, err := partiesNamed(o.groups)
	if err != nil {
		return err
	}
	o.layout.settings = groupSettings
	return o.onFleet(dir, func(t *torment) error {
		m := &meeting{fleet: t.fleet, dir: dir, tools: &o.tools, seed: o.seed}
		defer m.end()
		if err := m.open(o, chosen); err != nil {
			return err
		}
		fmt.Printf("groups: seed %d, %d kills, %d pauses, a rolling restart, %d groups\n", o.seed, t.kills, t.pauses, len(m.groups))
		if err := m.run(t); err != nil {
			return err
		}
		t.tell()
		return m.judge()
	})
}

// topicsOfGroups is how many topics groups read.
const topicsOfGroups = 2

// open creates the topics, the journal, and the groups' first members.
func (m *meeting) open(o *options, chosen []party) error {
	p, err := programNamed("franz")
	if err != nil {
		return err
	}
	var names []string
	for i := range topicsOfGroups {
		c := &ordeal{program: p, tools: m.tools, node: m.fleet.any, records: o.records / topicsOfGroups, dir: m.dir}
		t, err := c.newTopic(fmt.Sprintf("groups-%d", i+1), "none")
		if err != nil {
			return err
		}
		names = append(names, t.name)
		m.ordeals = append(m.ordeals, c)
	}
	if m.journal, err = newJournal(filepath.Join(m.dir, "groups.jsonl"), chosen, names); err != nil {
		return err
	}
	for _, p := range chosen {
		g := newGathering(p, m, names)
		m.groups = append(m.groups, g)
		for i := range p.members {
			if err := g.join(i); err != nil {
				return err
			}
		}
	}
	return m.fleet.heal()
}

// run has everything happen at once: records are produced, the cluster suffers, and
// members come and go. Then groups have to come to the end.
func (m *meeting) run(t *torment) error {
	errs := make([]error, len(m.ordeals)+len(m.groups)+1)
	var producing, coming, asking sync.WaitGroup
	for i, c := range m.ordeals {
		producing.Go(func() { errs[i] = c.produceBeside(t.pace) })
	}
	over := make(chan struct{})
	for i, g := range m.groups {
		random := rand.New(rand.NewPCG(m.seed, uint64(i+1)))
		coming.Go(func() { errs[len(m.ordeals)+i] = g.comeAndGo(random, over) })
	}
	ctx, stop := context.WithCancel(context.Background())
	asking.Go(func() { errs[len(errs)-1] = m.askForOffsets(ctx) })
	begun := time.Now()
	err := t.run()
	producing.Wait()
	close(over)
	coming.Wait()
	fmt.Printf("groups: everything has happened after %.0f s\n", time.Since(begun).Seconds())
	if err == nil && errors.Join(errs[:len(errs)-1]...) == nil {
		err = m.arrive()
	}
	stop()
	asking.Wait()
	for _, g := range m.groups {
		err = errors.Join(err, g.part())
	}
	return errors.Join(append(errs, err)...)
}

// end ends the members that are left: some clients wait for ever for brokers that are
// gone.
func (m *meeting) end() {
	for _, g := range m.groups {
		for _, guest := range g.guests {
			if guest != nil {
				guest.cancel()
				<-guest.over
			}
		}
	}
}

// arriveWithin is how long groups may take, when everything is well again, until they
// have processed everything.
const arriveWithin = 2 * time.Minute

// arrive waits until every group has processed every record.
func (m *meeting) arrive() error {
	ends := map[partition]int64{}
	for _, c := range m.ordeals {
		for p := range int32(partitions) {
			_, end, err := c.node.bounds(c.topics[0].name, p)
			if err != nil {
				return err
			}
			ends[partition{c.topics[0].name, p}] = end
		}
	}
	begun := time.Now()
	for _, g := range m.groups {
		for missing := g.missing(ends); missing != ""; missing = g.missing(ends) {
			if err := g.failed(); err != nil {
				return err
			}
			if time.Since(begun) > arriveWithin {
				return fmt.Errorf("group %s: after %v %s", g.name, arriveWithin, missing)
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	fmt.Printf("groups: all have processed everything %v later\n", rounded(time.Since(begun)))
	return nil
}

// askForOffsets asks over and over what groups have committed.
func (m *meeting) askForOffsets(ctx context.Context) error {
	return m.fleet.any.askFor(patience, func(_ context.Context, c *kgo.Client) error {
		admin := kadm.NewClient(c)
		for op := 1; ; {
			for _, g := range m.groups {
				asked := talk.Now()
				within, done := context.WithTimeout(context.Background(), 10*time.Second)
				found, err := admin.FetchOffsets(within, g.name)
				done()
				if err == nil { // or else it says nothing
					op = m.journal.fetched(g, op, asked, found)
				}
			}
			select {
			case <-time.After(200 * time.Millisecond):
			case <-ctx.Done():
				return nil
			}
		}
	})
}

// judge reads everything back, and has the history judged.
func (m *meeting) judge() error {
	var errs []error
	for _, c := range m.ordeals {
		err := c.readBack()
		if err == nil {
			err = errors.Join(c.topics[0].allAcked(), c.topics[0].sameAsSent(), c.topics[0].inOrder())
		}
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	for i, c := range m.ordeals {
		m.journal.topic(c, i)
	}
	for _, g := range m.groups {
		fmt.Println(g)
	}
	return m.journal.check(m.fleet.any.klamm)
}
