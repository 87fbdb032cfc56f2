package commitlog

import (
	"fmt"

	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/txn"
)

// Producers describes the idempotent producers that the log knows of, by growing
// id.
func (l *Log) Producers() []txn.Info { return l.producers.All() }

// maxBequest bounds what a leader tells a follower of producers, in bytes: some 30,000
// of them.
const maxBequest = 4 << 20

// Bequest returns what is known of producers' batches below an offset, for Inherit: nil
// if that is nothing, or too much to tell. It does not block.
func (l *Log) Bequest(at kafka.Offset) []byte {
	below := l.producers.Below(at)
	if below.Len() == 0 {
		return nil
	}
	b := below.Encode(nil)
	if len(b) > maxBequest {
		l.w.Log.Warn("too many producers to tell a follower of those before its log start", "partition", l.name, "producers", below.Len())
		return nil
	}
	return b
}

// Inherit has a log without any record take over what its leader knows of producers'
// batches below its start (Bequest), durably: they may send again what was deleted
// before this replica could see it, and it may be the one that leads then. In Kafka it is
// new to such a replica. A log that has records knows by itself, and stays as it is.
// Blocks.
func (l *Log) Inherit(bequest []byte) error {
	if err := l.usable(); err != nil {
		return err
	}
	p, err := txn.Decode(bequest)
	if err != nil {
		return fmt.Errorf("%s: %w", l.name, err)
	}
	leave, err := l.halt()
	if err != nil {
		return err
	}
	defer leave()
	if err := l.writableOr(); err != nil {
		return err
	}
	if p = p.Below(l.start); !l.bare() || p.Len() == 0 {
		return nil
	}
	if err := l.writeSnapshot(l.start, l.encodeSnapshot(l.start, p)); err != nil {
		return err
	}
	if l.bare() { // second look
		l.producers = p
	}
	return nil
}

// bare reports whether the log has no record, and no place for one yet.
func (l *Log) bare() bool { return len(l.segments()) == 0 && l.start == l.end }
