package node

import (
	"fmt"
	"strings"
	"testing"

	"github.com/klammlog/klamm/node/env"
)

// A shyDisk does not open the files of one partition for the first few times.
type shyDisk struct {
	env.FS
	path  string
	times int
}

func (d *shyDisk) OpenFile(name string, flag env.Flag) (env.File, error) {
	if d.times > 0 && strings.HasPrefix(name, d.path) {
		d.times--
		return nil, fmt.Errorf("open %s: %w", name, env.ErrIO)
	}
	return d.FS.OpenFile(name, flag)
}

func TestALogThatDidNotOpenIsOpenedLater(t *testing.T) {
	m := run(t)
	m.create("one")
	m.create("two")
	w := m.wire()
	w.wantProduced("one", batchOf("x"), 0)
	w.wantProduced("two", batchOf("x"), 0)
	m.kill()
	m.change = func(w *env.World) { w.LogDirs[0].FS = &shyDisk{FS: w.LogDirs[0].FS, path: "two-0/manifest", times: 1} }
	m.start()
	var offline int
	m.as(func() { offline = m.node.Stats().Broker.Offline })
	if offline != 1 {
		t.Fatalf("%d partitions are offline, want the one whose log did not open", offline)
	}
	w = m.wire()
	w.wantProduced("one", batchOf("y"), 1)
	m.until(func() bool { return m.node.Stats().Broker.Leading == 2 })
	w.wantProduced("two", batchOf("y"), 1)
	m.as(func() {
		for _, v := range m.node.Partitions() {
			if v.LeaderEpoch == 0 {
				t.Errorf("%s is led in epoch %d, as before its recovery", v.Partition, v.LeaderEpoch)
			}
		}
	})
}
