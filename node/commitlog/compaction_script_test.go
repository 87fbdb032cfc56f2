package commitlog

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/record"
)

// TestCompactionScripts runs the golden scripts. Commands:
//
//	write [p=1] k=v ...    a batch; "k" alone is a tombstone, the key "none" is none;
//	                       odd producers are transactional
//	commit p=1, abort p=1  the end of a transaction
//	compact [end=N] [now=N] [keys=N]  from where the last pass ended;
//	                       delete.retention.ms is 100
//
// compact prints the log: offsets, what remains of each batch, and its horizon.
func TestCompactionScripts(t *testing.T) {
	datadriven.Walk(t, "testdata/compaction", func(t *testing.T, path string) {
		l, dirty := newCleanLog(), kafka.Offset(0)
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			id := int64(0)
			d.MaybeScanArgs(t, "p", &id)
			switch d.Cmd {
			case "write":
				l.add(t, kafka.ProducerID(id), record.None, scriptRecords(d)...)
			case "commit":
				l.finish(kafka.ProducerID(id), record.Commit)
			case "abort":
				l.finish(kafka.ProducerID(id), record.Abort)
			case "compact":
				p := pass{dirty: dirty, retention: 100, memory: 1 << 20}
				end, now, keys := int64(l.stable()), int64(0), 1000
				d.MaybeScanArgs(t, "end", &end)
				d.MaybeScanArgs(t, "now", &now)
				d.MaybeScanArgs(t, "keys", &keys)
				p.end, p.now, p.memory = kafka.Offset(end), kafka.Timestamp(now), keys*keyEntryBytes
				var stats cleanStats
				l.bytes, dirty, stats = l.clean(t, p)
				return fmt.Sprintf("%snext pass from %d, %+v\n", l.dump(), dirty, stats)
			default:
				t.Fatalf("%s: unknown command %q", d.Pos, d.Cmd)
			}
			return ""
		})
	})
}

func scriptRecords(d *datadriven.TestData) []record.Record {
	var rs []record.Record
	for _, arg := range d.CmdArgs {
		if arg.Key == "p" {
			continue
		}
		r := record.Record{Timestamp: 7}
		if arg.Key != "none" {
			r.Key = scriptBytes(arg.Key)
		}
		if len(arg.Vals) > 0 {
			r.Value = []byte(arg.Vals[0])
		}
		rs = append(rs, r)
	}
	return rs
}

// scriptBytes reads a key; "commit-key" is the very key of a commit marker.
func scriptBytes(s string) []byte {
	if s == "commit-key" {
		return []byte{0, 0, 0, 1}
	}
	return []byte(s)
}

func (l *cleanLog) dump() string {
	var out strings.Builder
	for b := range record.All(l.bytes) {
		fmt.Fprintf(&out, "[%d,%d]", b.BaseOffset(), b.LastOffset())
		if b.ProducerID() >= 0 {
			fmt.Fprintf(&out, " p=%d", b.ProducerID())
		}
		if b.BaseSequence() >= 0 {
			fmt.Fprintf(&out, " seq=%d", b.BaseSequence())
		}
		if h, set := b.DeleteHorizon(); set {
			fmt.Fprintf(&out, " horizon=%d", h)
		}
		for it := b.Records(1 << 20); it.Next(); {
			out.WriteString(" " + dumpRecord(b, it))
		}
		out.WriteByte('\n')
	}
	return out.String()
}

func dumpRecord(b record.Batch, it record.Iterator) string {
	switch {
	case b.Control():
		m, err := record.ParseControl(b)
		if err != nil {
			return err.Error()
		}
		return m.Type.String()
	case it.Value() == nil:
		return fmt.Sprintf("%d:%q", it.Offset(), it.Key())
	}
	return fmt.Sprintf("%d:%q=%s@%d", it.Offset(), it.Key(), it.Value(), it.Timestamp())
}
