package scenarios

import (
	"testing"
	"time"

	"github.com/klammlog/klamm/node/kafka"
)

// What a throttle allows passes, and what it does not is told: a flow that is a little
// too fast for long, and one that is much too fast for a moment.
func TestThrottleMeterTellsWhatIsTooFast(t *testing.T) {
	for name, c := range map[string]struct {
		every time.Duration
		bytes int64
		from  int // the first piece that is too much; 0: none
	}{
		"at the rate":                     {100 * time.Millisecond, 100, 0},
		"slower":                          {time.Second, 900, 0},
		"a burst now and then":            {2 * time.Second, 2000, 0},
		"a tenth faster, for a minute":    {100 * time.Millisecond, 110, 500},
		"everything as fast as it can be": {time.Millisecond, 500, 11},
	} {
		m := throttleMeter{rate: 1000, burst: 2000}
		first := 0
		for i := range 600 {
			if over := m.add(kafka.Instant(i)*kafka.Instant(c.every), c.bytes); over != "" && first == 0 {
				first = i + 1
			}
		}
		if (first == 0) != (c.from == 0) || first > c.from {
			t.Errorf("%s: piece %d is the first that is too much, want %d", name, first, c.from)
		}
	}
}
