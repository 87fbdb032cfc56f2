package broker

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/klammlog/klamm/node/commitlog"
	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
)

// How long a broker waits before it asks the controllers again: for its
// registration, and while it waits to be let serve.
const (
	registerPause = 100 * time.Millisecond
	fencedPause   = 50 * time.Millisecond
)

// A life is what the controllers know of this process: it registers, follows the
// metadata up to its own registration, opens its logs, is let serve, and tells that
// it lives until it ends.
type life struct {
	incarnation meta.Incarnation
	cleanAfter  int64 // the life before that ended cleanly

	opened   bool  // every log was opened, or is known to be broken
	stopping bool  // leadership is to be handed over
	may      bool  // it has been
	over     error // another took its place, or the cluster refuses it
	changed  env.Cond
	news     bool // something the controllers do not know yet

	// Until then no controller finds this broker's session ended, reckoned from a beat up
	// to which it knows what was decided. word is what it was told last.
	surely kafka.Instant
	word   word
}

// A word is what the controllers give with the answer to a beat.
type word struct {
	until   kafka.Instant // no session is found ended
	decided kafka.Offset  // for who has applied this
}

// begin takes the last life's clean end away, before anything else is changed, and
// draws what names this one. Blocks.
func (b *Broker) begin(incarnation meta.Incarnation) error {
	b.life.changed = b.w.NewCond("broker/life")
	b.life.incarnation = incarnation
	if incarnation == (meta.Incarnation{}) {
		if _, err := io.ReadFull(b.w.Secret, b.life.incarnation[:]); err != nil {
			return err
		}
	}
	var err error
	b.life.cleanAfter, err = takeCleanEnd(b.first)
	return err
}

// live is the task of the broker's life, but for its heartbeats.
func (b *Broker) live() {
	for {
		if err := b.enroll(); err != nil {
			b.end(err)
			return
		}
		epoch := b.epoch
		b.tasks.Go("broker/heartbeat", func() { b.beatWhile(epoch) })
		if b.waitUntil(kafka.Never, func() bool { return b.registered() || b.epoch != epoch }) != nil || b.life.over != nil {
			return
		}
		if err := b.openAllLogs(); err != nil {
			b.end(err)
			return
		}
		// Until somebody has removed the registration this is the life.
		if b.waitUntil(kafka.Never, func() bool { return b.epoch == meta.NoEpoch }) != nil || b.life.over != nil {
			return
		}
		b.w.Probe("a broker whose registration was removed registered anew")
		b.life.cleanAfter = meta.NoEpoch
		if _, err := io.ReadFull(b.w.Secret, b.life.incarnation[:]); err != nil {
			b.end(err)
			return
		}
	}
}

// end notes why this broker is none of the cluster's.
func (b *Broker) end(err error) {
	if errors.Is(err, env.ErrCanceled) || b.closing {
		return
	}
	b.life.over = err
	b.w.Probe("a broker is not of the cluster")
	b.w.Log.Error("broker is not of the cluster", "broker", int(b.id), "err", err)
	b.life.changed.Broadcast()
	b.changed.Broadcast()
}

// enroll registers until a controller has done it, or refuses it for good.
// Blocks.
func (b *Broker) enroll() error {
	for {
		r := meta.Registration{
			ID: b.id, ClusterID: b.image.ClusterID(), Incarnation: b.life.incarnation, Endpoints: b.endpoints,
			Rack: config.BrokerRack.In(b.config), Volatile: config.LogFlush.In(b.config) == "os",
			CleanAfter: b.life.cleanAfter, MinLevel: 1, MaxLevel: meta.Level,
		}
		for _, d := range b.dirs {
			r.Directories = append(r.Directories, meta.DirectoryID(d.ID()))
		}
		epoch, err := b.controllers.Register(r, b.w.Now().Add(config.BrokerSessionTimeout.Duration(b.config)))
		if err == nil {
			b.epoch = epoch
			b.life.surely, b.life.word = 0, word{}
			b.changed.Broadcast()
			b.recheckRoles()
			return nil
		}
		if errors.Is(err, env.ErrCanceled) || b.closing || kafka.ErrorOf(err).Outcome() == kafka.Definite {
			return err
		}
		b.w.Log.Warn("broker is not registered yet", "broker", int(b.id), "err", err)
		if err := b.w.Sleep(registerPause); err != nil {
			return err
		}
	}
}

// openAllLogs opens what the metadata says that this node has, once it says so of
// this life: what it does not know of belonged to topics that are gone. Blocks.
func (b *Broker) openAllLogs() error {
	if b.life.opened {
		return nil
	}
	b.noteMissing()
	if err := b.sweepDirs(); err != nil {
		return err
	}
	b.swept = true
	for _, t := range b.image.Topics() {
		b.changedTopic(t.ID)
	}
	b.changed.Broadcast()
	if err := b.waitReconciled(); err != nil {
		return err
	}
	b.life.opened, b.starting = true, false
	b.tellNews()
	b.changed.Broadcast()
	return nil
}

// noteMissing tells of the log directories that this node had and has not now.
func (b *Broker) noteMissing() {
	self, _ := b.image.Broker(b.id)
	for _, id := range self.Directories {
		if !slices.ContainsFunc(b.dirs, func(d *logDir) bool { return meta.DirectoryID(d.ID()) == id }) {
			b.w.Probe("a log directory of an earlier start is missing")
			b.missing = errors.Join(b.missing, fmt.Errorf("log directory %x is missing", id))
		}
	}
}

// beatWhile tells the controllers that the broker lives, as long as a registration
// lasts.
func (b *Broker) beatWhile(epoch int64) {
	for b.epoch == epoch && !b.life.may && b.life.over == nil {
		beat := b.beat(epoch)
		b.life.news = false
		interval, sent := config.BrokerHeartbeatInterval.Duration(b.config), b.w.Now()
		a, err := b.controllers.Heartbeat(beat, sent.Add(interval))
		switch {
		case errors.Is(err, env.ErrCanceled) || b.epoch != epoch:
			return
		case errors.Is(err, kafka.ErrStaleBrokerEpoch), errors.Is(err, kafka.ErrBrokerIDNotRegistered):
			if b.registrationLost(epoch, err) {
				return
			}
		case err != nil:
			b.w.Log.Warn("heartbeat was not answered", "broker", int(b.id), "err", err)
		case a.MayShutDown && beat.WantShutdown:
			b.life.may = true
			b.life.changed.Broadcast()
			return
		case !a.Fenced && !beat.WantShutdown:
			b.takeWord()
			b.life.word = word{sent.Add(sessionShare(config.BrokerSessionTimeout.Duration(b.config))), a.Decided}
		}
		if err != nil || a.Fenced || beat.WantShutdown {
			interval = min(interval, fencedPause)
		}
		if b.restBeat(b.w.Now().Add(interval)) != nil {
			return
		}
	}
}

// sessionShare is how much of a session a broker relies on: clocks do not run alike.
func sessionShare(session time.Duration) time.Duration { return session - session/16 }

// takeWord relies on what the controllers told last, if this node has applied all
// that was decided then: a broker that was fenced serves again with its next beat, before
// it knows that it leads nothing any more.
func (b *Broker) takeWord() {
	if b.source.Applied() >= b.life.word.decided {
		b.life.surely = max(b.life.surely, b.life.word.until)
	}
}

// surelyLeads reports whether nobody else can have been elected behind this leader's
// back and have committed records without it. When it last told that it lives its session
// had not ended, and it knows what was decided until then; whoever leads since leaves it
// in the in-sync set for a session (replica.Limits). A broker that has asked to end, or to
// be fenced, does not know.
func (b *Broker) surelyLeads() bool {
	b.takeWord()
	return !b.life.stopping && !b.ending() && b.w.Now() < b.life.surely
}

// restBeat waits until the next beat is due. Blocks.
func (b *Broker) restBeat(until kafka.Instant) error {
	for !b.life.news && b.w.Now() < until {
		if err := b.life.changed.Wait(until); err != nil && !errors.Is(err, env.ErrDeadline) {
			return err
		}
	}
	return nil
}

func (b *Broker) beat(epoch int64) meta.Beat {
	return meta.Beat{
		ID: b.id, Epoch: epoch, Applied: b.source.Applied(), WantFence: (!b.life.opened || b.ending()) && !b.life.stopping,
		WantShutdown: b.life.stopping, Offline: b.offline(),
	}
}

// ending reports whether the directory that the node cannot do without is out of
// service, so that the node ends. What it counted as held is there when it comes back:
// it gives up what it leads, and not its seats, as it would for logs of which it may
// need another copy.
func (b *Broker) ending() bool { return b.first.Dir.Failed() != nil }

// registrationLost looks at what a controller says that does not know this life. It
// reports whether the life is over.
func (b *Broker) registrationLost(epoch int64, err error) bool {
	self, ok := b.image.Broker(b.id)
	switch {
	case ok && self.Epoch > epoch:
		b.w.Probe("another process took a broker's place")
		b.epoch = meta.NoEpoch
		b.recheckRoles()
		b.end(fmt.Errorf("node.id=%d: another process has registered with it: %w", b.id, err))
	case errors.Is(err, kafka.ErrBrokerIDNotRegistered) && (!ok || self.Epoch < epoch):
		b.epoch = meta.NoEpoch
		b.recheckRoles()
		b.changed.Broadcast()
	default:
		return false // the metadata will tell
	}
	return true
}

// tellNews has the next beat be sent at once.
func (b *Broker) tellNews() {
	b.life.news = true
	b.life.changed.Broadcast()
}

// tellOffline is tellNews of a log that cannot be used.
func (b *Broker) tellOffline() {
	if b.life.opened {
		b.tellNews()
	}
}

// offline lists the partitions whose logs cannot be used, or are not whole while
// others have what is missing.
func (b *Broker) offline() []meta.Replica {
	if !b.life.opened {
		return nil
	}
	var out []meta.Replica
	for _, p := range b.all() {
		if p.broken != nil && kafka.ErrorOf(p.broken) == kafka.ErrStorageError && !b.ending() || p.rotten != nil && p.elsewhere() {
			out = append(out, p.id)
		}
	}
	return out
}

// AwaitServing waits until the broker is registered, has opened its logs and is let
// serve. It fails with what the cluster refuses it for, or env.ErrDeadline. Blocks.
func (b *Broker) AwaitServing(deadline kafka.Instant) error {
	err := b.waitUntil(deadline, func() bool { return b.life.over != nil || b.serves() })
	if err == nil && b.life.over != nil {
		return b.life.over
	}
	return err
}

// serves reports whether the broker is registered, has opened its logs, and is
// neither fenced nor superseded, as far as it knows.
func (b *Broker) serves() bool {
	return b.life.opened && b.registered() && b.image.Alive(b.id)
}

// Failed returns why the broker is none of the cluster's any more, nil if it is:
// another process has registered under its number, or the cluster refuses it.
func (b *Broker) Failed() error { return b.life.over }

// HandOver asks the controllers to take from this broker what it leads, and waits
// until they have, or until the deadline. It goes on serving meanwhile. Blocks.
func (b *Broker) HandOver(deadline kafka.Instant) error {
	if b.life.may || !b.serves() || !config.ControlledShutdown.In(b.config) || !b.hasAlive() {
		return nil
	}
	b.life.stopping = true
	b.tellNews()
	for !b.life.may && b.life.over == nil {
		if err := b.life.changed.Wait(deadline); err != nil {
			b.w.Probe("leadership was not handed over in time")
			return fmt.Errorf("broker %d: leadership is not handed over: %w", b.id, err)
		}
	}
	return nil
}

// hasAlive reports whether another broker lives.
func (b *Broker) hasAlive() bool {
	return slices.ContainsFunc(b.image.Brokers(), func(other meta.Broker) bool { return other.ID != b.id && !other.Fenced })
}

// leaveClean says that this life has ended cleanly: everything that it counted as
// held is on its disks. A life that has opened nothing leaves what it found. Blocks.
func (b *Broker) leaveClean() error {
	epoch := b.epoch
	if !b.swept {
		epoch = b.life.cleanAfter
	} else if !b.life.opened {
		return nil // some logs have not even been recovered
	}
	if epoch == meta.NoEpoch || b.ending() {
		return nil
	}
	return leaveCleanEnd(b.first, epoch)
}

// quarantined reports whether a log's files are not what they were.
func quarantined(err error) bool { return errors.Is(err, commitlog.ErrQuarantined) }
