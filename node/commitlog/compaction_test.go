package commitlog

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/record"
	"github.com/klammlog/klamm/node/txn"
)

// A cleanLog is a log in memory, as bytes, with what the test knows of it.
type cleanLog struct {
	bytes []byte
	end   kafka.Offset
	open  map[kafka.ProducerID]kafka.Offset // first offset of open transactions
	seq   map[kafka.ProducerID]kafka.Sequence
	ended map[kafka.Offset]record.ControlType // of transactional batches, by base
	since map[kafka.ProducerID][]kafka.Offset // their bases, while open
}

func newCleanLog() *cleanLog {
	return &cleanLog{open: map[kafka.ProducerID]kafka.Offset{}, seq: map[kafka.ProducerID]kafka.Sequence{},
		ended: map[kafka.Offset]record.ControlType{}, since: map[kafka.ProducerID][]kafka.Offset{}}
}

// add appends records of producer id, 0 for none, as one batch. Odd producers are
// transactional.
func (l *cleanLog) add(t fataler, id kafka.ProducerID, codec record.Codec, rs ...record.Record) {
	var w record.Builder
	for _, r := range rs {
		w.Append(r)
	}
	spec := record.Spec{BaseOffset: l.end, Compression: record.Compression{Codec: codec}}
	if id != 0 {
		spec.Producer = &record.Producer{ID: id, Sequence: l.seq[id]}
		l.seq[id] = l.seq[id].Add(int32(len(rs)))
		if id%2 == 1 {
			spec.Transactional = record.InTransaction
			l.since[id] = append(l.since[id], l.end)
			if _, open := l.open[id]; !open {
				l.open[id] = l.end
			}
		}
	}
	b, err := w.Build(spec, new(record.Codecs))
	if err != nil {
		t.Fatal(err)
	}
	l.bytes = append(l.bytes, b.Bytes()...)
	l.end += kafka.Offset(len(rs))
}

// finish ends a transaction.
func (l *cleanLog) finish(id kafka.ProducerID, how record.ControlType) {
	b := record.BuildControl(record.Producer{ID: id}, record.Marker{Type: how}, 0)
	b.Assign(l.end, 0)
	l.bytes = append(l.bytes, b.Bytes()...)
	l.end++
	for _, base := range l.since[id] {
		l.ended[base] = how
	}
	delete(l.open, id)
	delete(l.since, id)
}

// stable returns the last stable offset.
func (l *cleanLog) stable() kafka.Offset {
	stable := l.end
	for _, first := range l.open {
		stable = min(stable, first)
	}
	return stable
}

// producers returns what the log's producers state would say.
func (l *cleanLog) producers() []txn.Info {
	p := &txn.Producers{}
	for b := range record.All(l.bytes) {
		switch {
		case b.Control():
			p.RecordMarker(b.ProducerID(), b.ProducerEpoch(), b.BaseOffset(), 0)
		case b.ProducerID() >= 0:
			p.Record(txn.Batch{Producer: b.ProducerID(), First: b.BaseSequence(), Last: b.LastSequence(), Base: b.BaseOffset()})
		}
	}
	return p.All()
}

// A pass is one run of the pure part over a log.
type pass struct {
	dirty, end kafka.Offset
	now        kafka.Timestamp
	retention  kafka.Timestamp
	memory     int
}

type fataler interface{ Fatal(...any) }

// clean runs a pass and returns the log's new bytes and where the next one
// begins.
func (l *cleanLog) clean(t fataler, p pass) ([]byte, kafka.Offset, cleanStats) {
	ends := newOutcomes(p.dirty)
	for b, err := range record.All(l.bytes) {
		if err == nil {
			err = ends.readMarker(b)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	keys := newLastOffsets(p.dirty, p.memory)
	for b := range record.All(l.bytes) {
		if b.BaseOffset() >= p.end {
			break
		}
		room, err := keys.readKeys(b, ends, new(record.Codecs))
		if err != nil {
			t.Fatal(err)
		}
		if !room {
			break
		}
	}
	c := newCleaner(keys, ends, l.producers())
	c.now, c.retention = p.now, p.retention
	var out []byte
	for b := range record.All(l.bytes) {
		var err error
		if out, err = c.cleanBatch(out, b); err != nil {
			t.Fatal(err)
		}
	}
	return out, keys.end, c.stats
}

// A seen is a record as a consumer sees it.
type seen struct {
	Offset     kafka.Offset
	Key, Value string
	Tombstone  bool
}

// consume reads committed records, and marks what of them is a tombstone.
func consume(t fataler, b []byte, ended map[kafka.Offset]record.ControlType) []seen {
	var out []seen
	end := kafka.Offset(0)
	for batch, err := range record.All(b) {
		if err == nil {
			err = batch.CheckCRC()
		}
		if err != nil {
			t.Fatal(err)
		}
		if batch.BaseOffset() < end {
			t.Fatal(fmt.Sprintf("batch %v after offset %d", batch, end))
		}
		end = batch.EndOffset()
		if how, known := ended[batch.BaseOffset()]; batch.Control() || batch.Transactional() && (!known || how == record.Abort) {
			continue
		}
		it := batch.Records(maxUnpacked)
		for it.Next() {
			out = append(out, seen{it.Offset(), string(it.Key()), string(it.Value()), it.Value() == nil})
		}
		if it.Err() != nil {
			t.Fatal(it.Err())
		}
	}
	return out
}

// latest folds records into the table that they amount to.
func latest(rs []seen) map[string]seen {
	table := map[string]seen{}
	for _, r := range rs {
		table[r.Key] = r
		if r.Tombstone {
			delete(table, r.Key)
		}
	}
	return table
}

// TestCompactionKeepsTheTable writes, compacts with little and much memory, and
// writes on, with transactions that commit, abort and stay open. What a consumer
// makes of the log does not change, and nothing appears that was not written.
func TestCompactionKeepsTheTable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := newCleanLog()
		dirty, now := kafka.Offset(0), kafka.Timestamp(0)
		t.Repeat(map[string]func(*rapid.T){
			"write":  func(t *rapid.T) { l.writeSome(t) },
			"write2": func(t *rapid.T) { l.writeSome(t) },
			"finish": func(t *rapid.T) {
				id := kafka.ProducerID(rapid.SampledFrom([]int64{1, 3}).Draw(t, "producer"))
				l.finish(id, record.ControlType(rapid.IntRange(0, 1).Draw(t, "commit")))
			},
			"compact": func(t *rapid.T) {
				before := consume(t, l.bytes, l.ended)
				p := pass{dirty: dirty, now: now, retention: 10, memory: keyEntryBytes * rapid.IntRange(1, 8).Draw(t, "keys")}
				p.end = kafka.Offset(rapid.Int64Range(int64(min(dirty, l.stable())), int64(l.stable())).Draw(t, "end"))
				out, next, _ := l.clean(t, p)
				after := consume(t, out, l.ended)
				if diff := cmp.Diff(latest(before), latest(after)); diff != "" {
					t.Fatal(diff)
				}
				checkSubset(t, before, after)
				checkCleaned(t, after, before, next)
				l.bytes, dirty = out, max(dirty, next)
				if diff := cmp.Diff(l.seq, l.nextSequences()); diff != "" {
					t.Fatal(diff)
				}
				now += kafka.Timestamp(rapid.IntRange(0, 7).Draw(t, "passed"))
			},
		})
	})
}

// nextSequences returns each producer's next sequence, by its last batch in the
// log.
func (l *cleanLog) nextSequences() map[kafka.ProducerID]kafka.Sequence {
	out := map[kafka.ProducerID]kafka.Sequence{}
	for b := range record.All(l.bytes) {
		if b.ProducerID() >= 0 && !b.Control() {
			out[b.ProducerID()] = b.LastSequence().Add(1)
		}
	}
	return out
}

func (l *cleanLog) writeSome(t *rapid.T) {
	id := kafka.ProducerID(rapid.IntRange(0, 3).Draw(t, "producer"))
	codec := rapid.SampledFrom([]record.Codec{record.None, record.Zstd}).Draw(t, "codec")
	var rs []record.Record
	for i := range rapid.IntRange(1, 4).Draw(t, "records") {
		r := record.Record{Timestamp: kafka.Timestamp(l.end), Key: fmt.Appendf(nil, "k%d", rapid.IntRange(0, 4).Draw(t, "key"))}
		if rapid.IntRange(0, 3).Draw(t, "tombstone") > 0 {
			r.Value = fmt.Appendf(nil, "v%d", int(l.end)+i)
		}
		rs = append(rs, r)
	}
	l.add(t, id, codec, rs...)
}

// checkSubset: what a consumer sees now it saw before, at the same offsets and in
// the same order.
func checkSubset(t fataler, before, after []seen) {
	for _, r := range after {
		if !slices.Contains(before, r) {
			t.Fatal(fmt.Sprintf("%+v appeared", r))
		}
	}
}

// checkCleaned: below the end of the pass no key is there twice, or the pass did
// nothing.
func checkCleaned(t fataler, after, before []seen, end kafka.Offset) {
	keys := map[string]kafka.Offset{}
	for _, r := range after {
		if r.Offset >= end {
			return
		}
		if at, twice := keys[r.Key]; twice {
			t.Fatal(fmt.Sprintf("key %q at %d and %d, pass ended at %d", r.Key, at, r.Offset, end))
		}
		keys[r.Key] = r.Offset
	}
}
