package commitlog

import (
	"time"

	"github.com/klammlog/klamm/node/kafka"
)

// A Throttle bounds how many bytes a second are read and written by work that
// nobody waits for. Logs that share one share its rate.
type Throttle struct {
	// Rate returns bytes a second. It is asked at each use.
	Rate func() int64

	free kafka.Instant // when what was spent is paid for
}

// throttlePoll is how often someone who has to rest looks whether there is still
// a reason to go on afterwards.
const throttlePoll = time.Second

// spend notes that bytes were read or written, and returns until when whoever
// did it has to rest.
func (t *Throttle) spend(now kafka.Instant, bytes int64) kafka.Instant {
	const second = int64(time.Second)
	rate := max(1, t.Rate())
	pause := bytes / rate * second
	if rest := bytes % rate; rest < 1<<30 { // otherwise it is less than a second's worth of a rate without bound
		pause += rest * second / rate
	}
	t.free = max(t.free, now).Add(time.Duration(pause))
	return t.free
}

// pay rests as long as the bytes that were just read or written demand, and fails
// if the log's end has come meanwhile. Without a throttle it does not rest. Nothing
// is held. Blocks.
func (l *Log) pay(t *Throttle, bytes int64) error {
	if t == nil {
		return nil
	}
	until := t.spend(l.w.Now(), bytes)
	for now := l.w.Now(); now < until; now = l.w.Now() {
		if err := l.w.Sleep(min(until.Sub(now), throttlePoll)); err != nil {
			return err
		}
		if err := l.usable(); err != nil {
			return err
		}
	}
	return nil
}
