package scenarios

import (
	"slices"
	"testing"

	"github.com/klammlog/klamm/node/kafka"
)

// A leader is promised after the death of the last who was to lead, not of the first:
// who is elected may be dead, which nobody knows before the session ends
// (docs/bugs/0045.md). Nothing else puts it off.
func TestALeaderIsPromisedAfterTheLastDeath(t *testing.T) {
	const alive = kafka.Instant(-1)
	type look struct {
		at, died kafka.Instant
	}
	for name, c := range map[string]struct {
		looks []look
		want  kafka.Instant
	}{
		"the leader died":                           {[]look{{10, 9}, {20, 9}, {30, 9}}, 10},
		"and who is elected was dead before":        {[]look{{10, 9}, {20, 5}, {30, 5}}, 10},
		"and who is elected died since":             {[]look{{10, 9}, {20, 15}, {30, 15}}, 15},
		"and then one after the other":              {[]look{{10, 9}, {20, 15}, {30, 12}, {40, 31}}, 31},
		"and who is elected lives and does nothing": {[]look{{10, 9}, {20, alive}, {30, alive}}, 10},
		"the leader lives and leads no more":        {[]look{{10, alive}, {20, alive}}, 10},
	} {
		t.Run(name, func(t *testing.T) {
			a := present
			for _, l := range c.looks {
				a = a.next(l.at, true, l.died)
			}
			if a.since != c.looks[0].at || a.promised() != c.want {
				t.Errorf("since %d, promised from %d on, want %d", a.since, a.promised(), c.want)
			}
			if a = a.next(100, false, alive); a != present {
				t.Errorf("a leader is there, and it is %+v", a)
			}
		})
	}
}

// Brokers whose sessions last longer than the run's are fenced too late, and that is
// noticed.
func TestALeaderThatComesLateIsToldOf(t *testing.T) {
	for _, seed := range []uint64{5, 6, 2} {
		o, err := Run(Spec{Scenario: "last-replica-standing", Seed: seed, Set: []string{"broker.session.timeout.ms=5000"}}, Watch{})
		if err != nil {
			t.Fatal(err)
		}
		if slices.ContainsFunc(o.Violations, func(v Violation) bool { return v.Guarantee == leaderMoves }) {
			return
		}
	}
	t.Error("three runs with sessions that never end in time, and no judge complained")
}
