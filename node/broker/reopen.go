package broker

import (
	"errors"
	"slices"
	"time"

	"github.com/klammlog/klamm/node/commitlog"
	"github.com/klammlog/klamm/node/kafka"
)

// A log whose opening failed for a reason that may pass, say for lack of
// descriptors or of room, is opened again after a pause that doubles from try to try.
const (
	firstPause = time.Second
	lastPause  = time.Minute
)

// An unopened is a partition whose log is to be opened again.
type unopened struct {
	p     *Partition
	at    kafka.Instant
	pause time.Duration // that ends then
}

// tryLater has a partition's log opened again if that can help.
func (b *Broker) tryLater(p *Partition, pause time.Duration, err error) {
	if errors.Is(err, commitlog.ErrQuarantined) || !b.mayHold(p.name) {
		return
	}
	b.unopened = append(b.unopened, unopened{p: p, at: b.w.Now().Add(pause), pause: pause})
	b.changed.Broadcast()
}

// mayHold reports whether a log directory in service has a partition, or will have
// room for it sooner or later. What may lie in a directory that is missing is not
// begun anew elsewhere.
func (b *Broker) mayHold(tp kafka.TopicPartition) bool {
	if d, placed := b.places[tp]; placed {
		return d.Failed() == nil
	}
	if b.starting && b.missing != nil {
		return false
	}
	return slices.ContainsFunc(b.dirs, func(d *logDir) bool { return d.Failed() == nil })
}

// nextReopening returns when a log is to be opened again.
func (b *Broker) nextReopening() kafka.Instant {
	next := kafka.Never
	for _, u := range b.unopened {
		next = min(next, u.at)
	}
	return next
}

// reopenDue opens the logs whose time has come. Blocks.
func (b *Broker) reopenDue() {
	now := b.w.Now()
	var due []unopened
	b.unopened = slices.DeleteFunc(b.unopened, func(u unopened) bool {
		if u.at <= now {
			due = append(due, u)
		}
		return u.at <= now
	})
	for _, u := range due {
		if b.closing || u.p.gone() || u.p.log != nil {
			continue // nobody needs it any more
		}
		if err := b.reopen(u.p); err != nil {
			u.p.offline(err)
			u.p.replaceIfPossible()
			b.tryLater(u.p, min(2*u.pause, lastPause), err)
		}
	}
}

// reopen opens a partition's log and serves it. Blocks.
func (b *Broker) reopen(p *Partition) error {
	if failed := p.last; failed != nil { // it lets go of its files now
		p.last = nil
		if err := failed.Close(); err != nil {
			b.w.Log.Warn("log that failed was not closed cleanly", "partition", p.name.String(), "err", err)
		}
		if p.gone() || p.log != nil || b.closing {
			return nil // second look
		}
	}
	l, err := b.openLog(p)
	if err != nil {
		return err
	}
	b.w.Probe("a log was opened at another try")
	b.w.Log.Info("partition is online", "partition", p.name.String())
	p.attach(l)
	b.tellOffline()
	return nil
}
