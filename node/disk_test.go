package node

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// A badDisk fails the syncs and writes of its log files while it is told to.
type badDisk struct {
	env.FS
	sync, write error
}

func (d *badDisk) OpenFile(name string, flag env.Flag) (env.File, error) {
	f, err := d.FS.OpenFile(name, flag)
	if err != nil || !strings.HasSuffix(name, ".log") {
		return f, err
	}
	return &badFile{File: f, disk: d}, nil
}

type badFile struct {
	env.File
	disk *badDisk
}

func (f *badFile) SyncData() error {
	if f.disk.sync != nil {
		return fmt.Errorf("sync: %w", f.disk.sync)
	}
	return f.File.SyncData()
}

func (f *badFile) Sync() error {
	if f.disk.sync != nil {
		return fmt.Errorf("sync: %w", f.disk.sync)
	}
	return f.File.Sync()
}

func (f *badFile) WriteAt(p []byte, off int64) (int, error) {
	if f.disk.write != nil {
		return 0, fmt.Errorf("write: %w", f.disk.write)
	}
	return f.File.WriteAt(p, off)
}

// twoDisks starts a node with a topic on each of two disks and returns the second
// disk and the topic on it.
func twoDisks(t *testing.T) (m *machine, second *badDisk, good, bad string) {
	m = &machine{t: t, dirs: []string{t.TempDir(), t.TempDir()}}
	m.change = func(w *env.World) {
		second = &badDisk{FS: w.LogDirs[1].FS}
		w.LogDirs[1].FS = second
	}
	m.start()
	t.Cleanup(func() { m.kill() })
	m.create("one")
	m.create("two")
	good, bad = "one", "two"
	m.as(func() {
		if _, err := second.Stat("one-0"); err == nil {
			good, bad = bad, good
		}
	})
	return m, second, good, bad
}

func TestAFailedSyncTakesItsDirectoryOutAndNoOther(t *testing.T) {
	m, disk, good, bad := twoDisks(t)
	w := m.wire()
	w.wantProduced(bad, batchOf("before"), 0)
	fetch := m.wire()
	waiting := fetch.send(fetchRequest(bad, 1, 1, time.Hour), 11)
	m.until(func() bool { return m.node.Stats().Broker.FetchWaits == 1 })

	m.as(func() { disk.sync = env.ErrIO })
	if p := w.produce(bad, -1, batchOf("lost")); p.ErrorCode != int16(kafka.ErrStorageError) || p.BaseOffset != -1 {
		t.Errorf("an append that was not synced: %s at %d", kafka.Error(p.ErrorCode).Name(), p.BaseOffset)
	}
	r := kmsg.NewPtrFetchResponse()
	fetch.receive(r, 11, waiting)
	if code := kafka.Error(r.Topics[0].Partitions[0].ErrorCode); code != kafka.ErrStorageError {
		t.Errorf("a fetch that waited: %s", code.Name())
	}
	m.as(func() { disk.sync = nil }) // and still nothing is tried again
	if p := w.produce(bad, 1, batchOf("again")); p.ErrorCode != int16(kafka.ErrStorageError) {
		t.Errorf("after the failure: %s", kafka.Error(p.ErrorCode).Name())
	}
	w.wantProduced(good, batchOf("x"), 0)
	m.do(m.node.Check)
}

func TestAFullDiskRefusesAppendsUntilThereIsRoom(t *testing.T) {
	m, disk, good, bad := twoDisks(t)
	w := m.wire()
	w.wantProduced(bad, batchOf("before"), 0)
	m.as(func() { disk.write = env.ErrNoSpace })
	p := w.produce(bad, -1, batchOf("refused"))
	if code := kafka.Error(p.ErrorCode); code.Outcome() != kafka.Retriable {
		t.Errorf("on a full disk: %s, %s", code.Name(), code.Outcome())
	}
	r := kmsg.NewPtrFetchResponse()
	w.receive(r, 11, w.send(fetchRequest(bad, 0, 1, time.Hour), 11))
	if len(r.Topics[0].Partitions[0].RecordBatches) == 0 {
		t.Error("reads do not go on")
	}
	w.wantProduced(good, batchOf("x"), 0)
	m.as(func() { disk.write = nil })
	for {
		if p = w.produce(bad, -1, batchOf("after")); p.ErrorCode == 0 {
			break
		}
		if code := kafka.Error(p.ErrorCode); code.Outcome() != kafka.Retriable {
			t.Fatalf("after there is room: %s", code.Name())
		}
	}
	w.receive(r, 11, w.send(fetchRequest(bad, p.BaseOffset, 1, time.Hour), 11))
	if got := r.Topics[0].Partitions[0]; got.ErrorCode != 0 || got.HighWatermark != p.BaseOffset+1 {
		t.Errorf("after there is room: %+v", got)
	}
}

func TestOldSegmentsGo(t *testing.T) {
	m := run(t, config.Pair{Name: "log.retention.check.interval.ms", Value: "20"})
	m.create("orders", "internal.segment.bytes", "300", "retention.bytes", "600")
	w := m.wire()
	for i := range int64(50) {
		w.wantProduced("orders", batchOf("0123456789"), i)
	}
	m.until(func() bool { return m.node.Partitions()[0].LogStart > 30 })
	r := kmsg.NewPtrFetchResponse()
	w.receive(r, 11, w.send(fetchRequest("orders", 0, 1, time.Hour), 11))
	p := r.Topics[0].Partitions[0]
	if p.ErrorCode != int16(kafka.ErrOffsetOutOfRange) || p.LogStartOffset <= 30 || p.HighWatermark != 50 {
		t.Errorf("below the log start: %+v", p)
	}
}
