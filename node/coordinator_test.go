package node

import (
	"strings"
	"testing"
	"time"

	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// found is what one coordinator's part of an answer says, whatever the version.
type found struct {
	code    int16
	message *string
	node    int32
	host    string
	port    int32
}

// find asks for coordinators.
func find(w *wire, version int16, kind int8, keys ...string) (out []found) {
	q := kmsg.NewPtrFindCoordinatorRequest()
	q.CoordinatorKey, q.CoordinatorKeys, q.CoordinatorType = keys[0], keys, kind
	r := kmsg.NewPtrFindCoordinatorResponse()
	w.ask(q, version, r)
	if version < 4 {
		return []found{{r.ErrorCode, r.ErrorMessage, r.NodeID, r.Host, r.Port}}
	}
	for _, c := range r.Coordinators {
		out = append(out, found{c.ErrorCode, c.ErrorMessage, c.NodeID, c.Host, c.Port})
	}
	return out
}

// Who asks first has __consumer_offsets created, and learns in every version who
// coordinates; the topic is compacted, as large as configured, and takes the brokers
// that there are.
func TestCoordinatorsOfGroupsAreFound(t *testing.T) {
	m := run(t, config.Pair{Name: "offsets.topic.num.partitions", Value: "7"})
	w := m.wire()
	for began := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		f := find(w, 3, 0, "workers")[0]
		if f.code == 0 {
			break
		}
		wantCode(t, "a coordinator", f.code, kafka.ErrCoordinatorNotAvailable)
		if time.Since(began) > 30*time.Second {
			t.Fatalf("not there yet: %v", *f.message)
		}
	}
	for version := int16(0); version <= 6; version++ {
		for _, f := range find(w, version, 0, "workers", "drivers") {
			wantCode(t, "a coordinator", f.code, kafka.None)
			if f.node != 1 || f.host != "127.0.0.1" || int(f.port) != m.port {
				t.Errorf("version %d: %+v", version, f)
			}
		}
	}
	m.as(func() {
		topic, ok := m.node.Image().Topic("__consumer_offsets")
		if !ok || len(topic.Partitions) != 7 || len(topic.Partitions[0].Replicas) != 1 {
			t.Errorf("the topic: %v %+v", ok, topic)
		}
		if v := m.node.broker.SettingsOf(topic); !config.CleanupPolicy.Has(v, "compact") || config.SegmentBytes.In(v) != 104857600 {
			t.Errorf("settings: %+v", topic.Settings)
		}
	})
}

// There are neither transactions nor share groups, which is said at once.
func TestOnlyGroupsHaveCoordinators(t *testing.T) {
	w := run(t).wire()
	for version := int16(1); version <= 6; version++ {
		for kind, want := range map[int8]kafka.Error{1: kafka.ErrUnsupportedVersion, 2: kafka.ErrUnsupportedVersion, 3: kafka.ErrInvalidRequest} {
			for _, f := range find(w, version, kind, "x", "y") {
				wantCode(t, "a coordinator", f.code, want)
				if f.message == nil || !strings.Contains(*f.message, "coordinator") {
					t.Errorf("version %d: message %v", version, f.message)
				}
			}
		}
		for _, f := range find(w, version, 0, "") {
			wantCode(t, "of no group", f.code, kafka.ErrInvalidGroupID)
		}
	}
}
