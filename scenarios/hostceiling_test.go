package scenarios

import (
	"testing"

	"github.com/klammlog/klamm/node"
)

// TestHostCeiling lowers a limit below what a host has: that may stay, not grow, and
// what has left does not come back.
func TestHostCeiling(t *testing.T) {
	first, second := new(node.Node), new(node.Node)
	var c hostCeiling
	for i, step := range []struct {
		n      *node.Node
		limits []int64 // since the last look
		most   int64   // that is allowed at the look
		used   int64
	}{
		{first, []int64{30}, 30, 12},
		{first, []int64{30, 1000, 30}, 1000, 40},
		{first, []int64{30, 30}, 40, 38},
		{first, []int64{30}, 38, 10},
		{first, []int64{30}, 30, 30},
		{first, []int64{50}, 50, 45},
		{second, []int64{30}, 30, 0},
	} {
		for _, limit := range step.limits {
			c.follow(step.n, limit)
		}
		if c.most != step.most {
			t.Errorf("look %d: at most %d are allowed, want %d", i, c.most, step.most)
		}
		c.looked(step.used)
	}
}
