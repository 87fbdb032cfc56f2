package node

import (
	"testing"
	"time"

	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// atRest reports whether a node holds nothing for clients any more.
func (m *machine) atRest() bool {
	u := m.node.Usage()
	return u.API.Connections == 0 && u.API.RequestBytes == 0 && u.API.Waiting == 0 && u.Broker.Waits == 0 && u.Broker.QueuedBytes == 0
}

func TestWhatRequestsWereChargedIsGivenBack(t *testing.T) {
	m := run(t)
	m.create("orders")
	w := m.wire()
	w.wantProduced("orders", batchOf("x"), 0)
	r := kmsg.NewPtrFetchResponse()
	w.receive(r, 11, w.send(fetchRequest("orders", 0, 1, time.Hour), 11))
	m.as(func() {
		if u := m.node.Usage().API; u.Connections != 1 || u.OfOneHost != 1 || u.AheadBytes == 0 || u.AheadBytes > u.MaxAhead {
			t.Errorf("%+v", u)
		}
	})
	if err := w.conn.Close(); err != nil {
		t.Fatal(err)
	}
	m.soon(m.atRest)
}

// A fetch that is answered because its time is over leaves the lists that it
// waited in.
func TestAFetchLeavesTheListsItWaitedIn(t *testing.T) {
	m := run(t)
	m.create("orders")
	w := m.wire()
	for range 3 {
		r := kmsg.NewPtrFetchResponse()
		w.receive(r, 11, w.send(fetchRequest("orders", 0, 1, time.Millisecond), 11))
	}
	m.soon(func() bool { return m.node.Usage().Broker.Waits == 0 })
}

// soon looks some hundred times, and fails if it never is so.
func (m *machine) soon(so func() bool) {
	m.t.Helper()
	tries, done := 0, false
	m.until(func() bool { tries++; done = so(); return done || tries == 2000 })
	if !done {
		m.as(func() { m.t.Errorf("still: %+v", m.node.Usage()) })
	}
}

// Whoever is told that an append did not end in time must not take it for one
// that did not happen (KAFKA-13574).
func TestAnAppendThatIsNotHeldInTimeIsOfUnknownOutcome(t *testing.T) {
	var disk *slowManifest
	m := &machine{t: t, dirs: []string{t.TempDir()}}
	m.change = func(w *env.World) {
		disk = &slowManifest{FS: w.LogDirs[0].FS, w: w}
		w.LogDirs[0].FS = disk
	}
	m.start()
	t.Cleanup(func() { m.stop() })
	m.create("orders")
	w := m.wire()
	w.wantProduced("orders", batchOf("x"), 0)
	m.as(func() { disk.wait = 1 })
	q := produceRequest("orders", -1, batchOf("y"))
	q.TimeoutMillis = 20
	r := kmsg.NewPtrProduceResponse()
	w.receive(r, 9, w.send(q, 9))
	if code := kafka.Error(r.Topics[0].Partitions[0].ErrorCode); code.Outcome() != kafka.Unknown {
		t.Errorf("%s, %s", code.Name(), code.Outcome())
	}
	m.as(func() { disk.wait = 0 })
	w.wantProduced("orders", batchOf("z"), 2)
}
