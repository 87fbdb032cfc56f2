package quorum

import (
	"fmt"
	"testing"
	"time"

	"github.com/klammlog/klamm/disksim/media"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
	"github.com/klammlog/klamm/sim"
)

func TestOneVoterLeadsAtOnceAndRemembers(t *testing.T) {
	r := newRig(t, sim.Options{Seed: 1}, 1)
	m := r.members[0]
	r.startAll()
	r.run(electionTimeout/2, "it leads", func() bool { return r.active() == m })
	cluster := m.q.Image().ClusterID()
	if cluster == "" {
		t.Fatal("the cluster has no name")
	}
	for i := range 5 {
		m.do(time.Second, func() {
			if err := m.q.Change(set(fmt.Sprint("k", i), fmt.Sprint(i))); err != nil {
				t.Error(err)
			}
			if got := get(m.q.Image(), fmt.Sprint("k", i)); got != fmt.Sprint(i) {
				t.Errorf("setting %d is %q after it was answered", i, got)
			}
		})
		m.unplug(media.Posix)
		m.restart()
		r.run(electionTimeout/2, "it leads again", func() bool { return r.active() == m })
		for j := range i + 1 {
			if got := get(m.q.Image(), fmt.Sprint("k", j)); got != fmt.Sprint(j) {
				t.Fatalf("setting %d is %q after power loss %d", j, got, i)
			}
		}
	}
	if got := m.q.Image().ClusterID(); got != cluster {
		t.Errorf("cluster %s became %s", cluster, got)
	}
	m.do(time.Second, func() {
		if err := m.q.Close(kafka.Never); err != nil {
			t.Error(err)
		}
	})
}

func TestOneVoterIsIdle(t *testing.T) {
	r := newRig(t, sim.Options{Seed: 1}, 1)
	r.startAll()
	r.elect()
	r.pass(3 * time.Second)
	before := r.k.Steps()
	r.pass(time.Hour)
	if n := r.k.Steps() - before; n > 0 {
		t.Errorf("%d steps in an idle hour", n)
	}
}

func TestADecisionThatFailsIsAnsweredWithItsError(t *testing.T) {
	r := newRig(t, sim.Options{Seed: 1}, 1)
	r.startAll()
	m := r.elect()
	at := m.q.Applied()
	m.do(time.Second, func() {
		err := m.q.Change(func(*meta.Image) ([]meta.Record, error) { return nil, kafka.ErrTopicAlreadyExists })
		if err != kafka.ErrTopicAlreadyExists {
			t.Error(err)
		}
		if err := m.q.Change(func(*meta.Image) ([]meta.Record, error) { return nil, nil }); err != nil {
			t.Error(err)
		}
	})
	if m.q.Applied() != at {
		t.Errorf("decisions without records moved the log from %d to %d", at, m.q.Applied())
	}
}
