package commitlog

import (
	"fmt"
	"testing"
	"time"

	"github.com/klammlog/klamm/node/kafka"
)

func TestPlanCleaning(t *testing.T) {
	// Four segments of 100 offsets and bytes; their records are of the times
	// 1000 to 4000.
	var ss []cleanable
	for i := range 4 {
		ts := kafka.Timestamp(1000 * (i + 1))
		ss = append(ss, cleanable{base: kafka.Offset(100 * i), end: kafka.Offset(100*i + 100), size: 100, largest: ts, opening: ts - 500})
	}
	for _, test := range []struct {
		name          string
		dirty, stable kafka.Offset
		rules         cleanRules
		now           kafka.Timestamp
		end           kafka.Offset
		due           bool
	}{
		{"nothing cleaned yet", 0, 500, cleanRules{minRatio: 0.5}, 9000, 400, true},
		{"half is dirty, more than half is asked", 200, 500, cleanRules{minRatio: 0.5}, 9000, 400, false},
		{"half is dirty", 200, 500, cleanRules{minRatio: 0.499}, 9000, 400, true},
		{"any dirt counts", 300, 500, cleanRules{minRatio: 0}, 9000, 400, true},
		{"nothing is dirty", 400, 500, cleanRules{minRatio: 0}, 9000, 400, false},
		{"a pass that ended inside a segment", 150, 500, cleanRules{minRatio: 0.7}, 9000, 400, true},
		{"an open transaction", 0, 250, cleanRules{minRatio: 0.5}, 9000, 200, true},
		{"an open transaction in the first segment", 0, 50, cleanRules{minRatio: 0}, 9000, 0, false},
		{"records too young", 0, 500, cleanRules{minRatio: 0.5, minLag: 7 * time.Second}, 9000, 200, true},
		{"all records too young", 0, 500, cleanRules{minRatio: 0, minLag: 9 * time.Second}, 9000, 0, false},
		{"old dirt, little of it", 300, 500, cleanRules{minRatio: 0.9, maxLag: 5 * time.Second}, 9000, 400, true},
		{"dirt exactly as old as it may be", 300, 500, cleanRules{minRatio: 0.9, maxLag: 5500 * time.Millisecond}, 9000, 400, false},
		{"ratio 1 is never passed", 0, 500, cleanRules{minRatio: 1}, 9000, 400, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := planCleaning(ss, test.dirty, test.stable, test.rules, test.now)
			if p.due != test.due || p.end != test.end {
				t.Errorf("due %t, end %d, want %t, %d: %+v", p.due, p.end, test.due, test.end, p)
			}
		})
	}
}

func TestGroupForCleaning(t *testing.T) {
	ss := []cleanable{{base: 0, end: 10, size: 40}, {base: 10, end: 20, size: 40}, {base: 20, end: 30, size: 90},
		{base: 30, end: 40, size: 5}, {base: 40, end: 1 << 33, size: 5}, {base: 1 << 33, end: 1<<33 + 1, size: 5},
		{base: 1<<33 + 1, end: 1<<33 + 2, size: 5}}
	got := ""
	for _, g := range groupForCleaning(ss, 1<<33+1, cleanRules{segmentBytes: 100}) {
		got += fmt.Sprint(len(g), " ")
	}
	if got != "2 2 1 1 " {
		t.Errorf("groups of %s", got)
	}
}
