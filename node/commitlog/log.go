// Package commitlog keeps one partition's records on a disk.
//
// It promises that what it calls held survives: a process crash with
// log.flush=os, a power loss with log.flush=ack; that offsets are given once, in
// the order of the appends; that a reader gets whole batches exactly as they
// were appended, or an error; and that after any crash it tells a torn tail,
// which nobody was promised, from rot, which is never cut off nor served. How
// the files do that is decided in docs/adr/0005-disk-format.md.
//
// It does not decide who may append, what is committed or who leads: a Log is a
// sequence of batches that its owner appends to, reads, and truncates.
//
// The one rule for callers: Append has not happened until Held passes it, and
// may turn out never to happen. WaitHeld and Lost tell.
//
// Inside, every change of the files is made by the task that has the log's
// turn. An append is queued without it and carried out by one writer task,
// which exists while there is something to write.
package commitlog

import (
	"fmt"
	"log/slog"

	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/txn"
)

// Options says which log to open.
type Options struct {
	// Path is the log's own directory, relative to the Dir's root: "orders-2".
	Path      string
	Partition kafka.TopicPartition
	TopicID   kafka.TopicID

	// Config is read at each use: its owner may change it between blocking
	// calls. It must not be nil.
	Config *Config

	// Throttle slows compaction down; nil does not.
	Throttle *Throttle
}

// A Log is one partition's log.
//
// Invariants, which Check verifies:
//
//  1. LogStart <= Durable <= Written <= End
//  2. segments are in order of their bases and do not overlap; only the last
//     one, the active, is not sealed or about to be
//  3. the queued batches reach from Written to End, in order
//
// Durable is exact in what it promises and late in what it knows: with
// log.flush=os it moves only when something is synced.
type Log struct {
	w    *env.World
	dir  *Dir
	o    Options
	name string // of the partition, for errors and traces

	manifest  *manifest
	known     []*segment // the segments, but for elder
	elder     totals     // of those that are not known yet
	epochs    Epochs
	producers *txn.Producers

	start   kafka.Offset // log start offset: nothing below is served
	durable kafka.Offset // everything below is synced
	written kafka.Offset // everything below is in the files
	end     kafka.Offset // the next offset to be given
	tail    tail         // where the next batch will be put

	turn   *env.Turn
	care   *env.Turn // of work behind the scenes; taken before turn
	queue  []queued
	queued int  // bytes
	era    *era // it changes when offsets are taken back

	takenBack uint64 // eras that have ended

	waiters    waiters
	advanced   []func()
	wrote      []func()
	hurt       []func(error)
	changed    env.Cond   // a background task of the log ended, or a segment is ready
	writing    bool       // the writer task exists
	keeping    bool       // the keeper task exists
	flushing   bool       // the flusher task exists
	preparing  int        // segments that are being made, or removed because they were not begun
	unprepared []*segment // of them, those that nobody has begun to make, in the order of their bases
	preparers  int        // tasks that make them
	abandoned  []*segment // not begun, and not removed yet
	chores     []chore
	opened     kafka.Timestamp
	since      kafka.Instant // when the oldest record without a sync was written
	recent     recent

	cutting bool  // a truncation is under way
	failed  error // nothing is appended any more; reads go on
	closed  bool
	ended   bool // Close or Delete is done: nothing is served

	rotten    bool         // compaction met what is corrupt, and leaves the log alone
	swaps     uint64       // segments were replaced by compacted ones so often
	lastPoint kafka.Offset // up to where the manifest knows the log to be durable
	stats     Stats
}

// Partition returns the partition whose log this is.
func (l *Log) Partition() kafka.TopicPartition { return l.o.Partition }

// TopicID returns the id of the topic's incarnation.
func (l *Log) TopicID() kafka.TopicID { return l.o.TopicID }

// Dir returns the log directory this log lies in.
func (l *Log) Dir() *Dir { return l.dir }

// LogStart returns the first offset that may be read.
func (l *Log) LogStart() kafka.Offset { return l.start }

// Durable returns the end of what is synced.
func (l *Log) Durable() kafka.Offset { return l.durable }

// Written returns the end of what is in the files and can be read.
func (l *Log) Written() kafka.Offset { return l.written }

// End returns the offset that the next record will have.
func (l *Log) End() kafka.Offset { return l.end }

// Held returns the end of what this machine holds in the sense of log.flush: what
// is synced, or what is written. It is what counts for the high watermark.
//
// It goes back when log.flush is changed from os to ack.
func (l *Log) Held() kafka.Offset {
	if l.o.Config.Flush == FlushAck {
		return l.durable
	}
	return l.written
}

// Size returns the bytes of all segments.
func (l *Log) Size() int64 {
	n := l.elder.size
	for _, s := range l.known {
		n += s.size
	}
	return n
}

// Epochs returns the leader epochs of the log and where each began. It is the
// log's own: callers look only.
func (l *Log) Epochs() *Epochs { return &l.epochs }

// OnAdvance has f called, as long as the log exists, after Held or LogStart has
// moved, after appends were refused, and after the log failed. f must not
// block.
func (l *Log) OnAdvance(f func()) { l.advanced = append(l.advanced, f) }

// OnWrite has f called, as long as the log exists, after Written has moved and
// before that is synced: whoever copies the log elsewhere does not wait for this
// disk. f must not block.
func (l *Log) OnWrite(f func()) { l.wrote = append(l.wrote, f) }

// OnDamage has f called, as long as the log exists, after a part of it was found not
// to be what was put there, which is an ErrCorrupt: it is not served any more. f must
// not block.
func (l *Log) OnDamage(f func(error)) { l.hurt = append(l.hurt, f) }

// announce tells everybody that something they may wait for has changed.
func (l *Log) announce() {
	l.waiters.wake(l)
	for _, f := range l.advanced {
		f()
	}
}

// active returns the segment that is written to, nil if there is none yet.
func (l *Log) active() *segment {
	if len(l.known) == 0 {
		return nil
	}
	return l.known[len(l.known)-1]
}

// usable tells why nothing may be appended, nil if it may.
func (l *Log) usable() error {
	switch {
	case l.closed:
		return fmt.Errorf("%s: %w", l.name, ErrClosed)
	case l.failed != nil:
		return l.failed
	case l.dir.failed != nil:
		return fmt.Errorf("%s: %w", l.name, l.dir.failed)
	}
	return nil
}

// fail ends the log's life as something that is written to.
func (l *Log) fail(err error) {
	if l.failed == nil {
		l.failed = fmt.Errorf("%s: %w", l.name, err)
		l.changed.Broadcast()
		l.waiters.all()
		l.announce()
	}
}

func (l *Log) trace(event string, attrs ...slog.Attr) {
	if l.w.Sight.Tracing() {
		l.w.Sight.Trace(event, append(attrs, slog.String("partition", l.name))...)
	}
}
