package quorum

import (
	"errors"
	"testing"
	"time"

	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
	"github.com/klammlog/klamm/sim"
)

// KAFKA-12619. Planted bug: hw-exposed-at-epoch-start-off-by-one. What a new leader
// finds in its log from before its term may be committed: it decides when it has
// applied it, and not before.
func TestALeaderDecidesOnAllThatWasBeforeItsTerm(t *testing.T) {
	r := newRig(t, sim.Options{Seed: 7}, 3)
	r.startAll()
	old := r.elect()
	r.level()
	for _, m := range r.members {
		if m != old {
			r.cut[[2]kafka.NodeID{m.id, old.id}] = true // entries go out, and no answer comes back
		}
	}
	end := old.q.View().Last
	old.node.Go("change", func() { _ = old.q.Change(set("a", "1")) })
	r.run(5*time.Second, "the others have it", func() bool {
		for _, m := range r.members {
			if m.q.View().Last == end {
				return false
			}
		}
		return true
	})
	r.isolate(old, true)
	asked, decided, done := 0, 0, false
	r.run(20*time.Second, "another leader decides", func() bool {
		for _, m := range r.members {
			if m != old && m.q.View().Role == Leader && asked == decided {
				asked++
				m.node.Go("decide", func() {
					err := m.q.Change(func(image *meta.Image) ([]meta.Record, error) {
						if get(image, "a") != "1" {
							t.Error("a leader decided on an image without what was committed with its first entry")
						}
						return set("b", "1")(image)
					})
					if err == nil {
						done = true
					}
					_ = m.w.Sleep(time.Millisecond)
					decided++
				})
			}
		}
		return done
	})
}

// KAFKA-6082. Planted bug: zombie-controller-writes. What waited for its turn on a
// controller that lost its leadership is not carried out.
func TestADecisionOfAFormerLeaderIsNotCarriedOut(t *testing.T) {
	r := newRig(t, sim.Options{Seed: 8}, 3)
	r.startAll()
	old := r.elect()
	r.level()
	r.isolate(old, true)
	var errs []error
	for _, name := range []string{"first", "second", "third"} {
		old.node.Go(name, func() { errs = append(errs, old.q.Change(set(name, "1"))) })
	}
	r.other(old).change("next", "1")
	r.isolate(old, false)
	r.run(20*time.Second, "all are answered", func() bool { return len(errs) == 3 })
	r.elect()
	r.level()
	for _, err := range errs {
		if !errors.Is(err, kafka.ErrNotController) && kafka.ErrorOf(err).Outcome() != kafka.Unknown {
			t.Errorf("a change of a former leader: %v", err)
		}
	}
	for _, m := range r.members {
		for _, name := range []string{"first", "second", "third"} {
			if get(m.q.Image(), name) != "" {
				t.Errorf("controller %d: %s took place", m.id, name)
			}
		}
	}
}
