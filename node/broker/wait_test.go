package broker

import (
	"slices"
	"testing"

	"github.com/klammlog/klamm/node/commitlog"
	"github.com/klammlog/klamm/node/kafka"
	"pgregory.net/rapid"
)

// Marks against a sorted slice: whoever's end is passed is credited, once, in the
// order of the ends, and nobody else.
func TestMarksCreditThoseThatArePassed(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var list marks
		type entry struct {
			end kafka.Offset
			w   *wait
		}
		var model []entry
		for range rapid.IntRange(1, 40).Draw(rt, "steps") {
			at := kafka.Offset(rapid.IntRange(0, 20).Draw(rt, "at"))
			switch rapid.SampledFrom([]string{"add", "pass", "leave"}).Draw(rt, "step") {
			case "add":
				w := &wait{need: 1}
				w.grow(1)
				w.add(&list, commitlog.AppendResult{End: at})
				model = append(model, entry{at, w})
			case "pass":
				list.passed(at)
				model = slices.DeleteFunc(model, func(e entry) bool {
					if e.end <= at && !e.w.satisfied() {
						rt.Fatalf("end %d is not credited at %d", e.end, at)
					}
					return e.end <= at
				})
			case "leave":
				if len(model) > 0 {
					model[0].w.leave()
					model = model[1:]
				}
			}
			for _, e := range model {
				if e.w.satisfied() {
					rt.Fatalf("end %d is credited early", e.end)
				}
			}
			compareMarks(rt, &list, len(model))
		}
	})
}

// compareMarks wants n marks in order, linked both ways.
func compareMarks(rt *rapid.T, l *marks, n int) {
	var before *mark
	count := 0
	for m := l.first; m != nil; m = m.next {
		if m.prev != before || before != nil && before.at.End > m.at.End {
			rt.Fatal("marks are not linked in order")
		}
		before = m
		count++
	}
	if count != n || l.last != before {
		rt.Fatalf("%d marks, want %d", count, n)
	}
}

func TestAWaitIsDoneOnceAndOnlyWithAllItNeeds(t *testing.T) {
	done := 0
	w := &wait{need: 3, done: func() { done++ }}
	for i := range 5 {
		if want := i >= 3; w.satisfied() != want || done > 0 != want {
			t.Fatalf("after %d credits: satisfied %v, done %d times", i, w.satisfied(), done)
		}
		w.credit(1)
	}
	if done != 1 {
		t.Errorf("done %d times", done)
	}
}

func TestWhoIsDroppedWakesAndKnowsIt(t *testing.T) {
	var list marks
	w := &wait{need: 7}
	w.grow(2)
	w.add(&list, commitlog.AppendResult{End: 1})
	w.add(&list, commitlog.AppendResult{End: 2})
	list.drop()
	if !w.satisfied() || !w.lost || list.first != nil || list.last != nil {
		t.Errorf("wait %+v, list %+v", w, list)
	}
	w.leave() // of lists it is in no more
}

func TestWhoIsLostWakesAndNobodyElse(t *testing.T) {
	var list marks
	waits := []*wait{{need: 1}, {need: 1}, {need: 1}}
	for i, w := range waits {
		w.grow(1)
		w.add(&list, commitlog.AppendResult{End: kafka.Offset(i)})
	}
	list.dropLost(func(m *mark) bool { return m.at.End == 1 })
	for i, w := range waits {
		if gone := i == 1; w.satisfied() != gone || w.lost != gone {
			t.Errorf("wait %d: %+v", i, w)
		}
	}
	list.passed(5)
	for i, w := range waits {
		if !w.satisfied() || w.lost != (i == 1) {
			t.Errorf("wait %d: %+v", i, w)
		}
	}
	if list.first != nil || list.last != nil {
		t.Errorf("left: %+v", list)
	}
}

func TestPathsOfPartitionsReadBack(t *testing.T) {
	for path, want := range map[string]kafka.TopicPartition{
		"orders-2": {Topic: "orders", Partition: 2},
		"a-b-10":   {Topic: "a-b", Partition: 10},
		"--0":      {Topic: "-", Partition: 0},
	} {
		if got, ok := parsePath(path); !ok || got != want {
			t.Errorf("%s: %v %v", path, got, ok)
		}
	}
	for _, path := range []string{"orders", "-1", "orders-", "orders-x", "orders-02", "orders-99999999999", ".lock", "directory"} {
		if got, ok := parsePath(path); ok {
			t.Errorf("%s is taken for %v", path, got)
		}
	}
}
