package scenarios

import (
	"strings"
	"testing"

	"github.com/klammlog/klamm/node/api"
	"github.com/klammlog/klamm/node/broker"
	"github.com/klammlog/klamm/node/commitlog"
)

// busy is the footprint of a node at work, within every limit.
func busy() footprint {
	f := footprint{tasks: 20, diskFiles: 12, partitions: 2}
	f.API = api.Usage{Connections: 4, MaxConnections: 10, OfOneHost: 2, MaxOfOneHost: 5, RequestBytes: 1000, MaxRequests: 5000, AnswerBytes: 70, MaxAnswers: 90,
		Waiting: 1, PooledBytes: 100, MaxPooled: 200, Unanswered: 3, MaxUnanswered: 16, AheadBytes: 64, MaxAhead: 128}
	f.Broker = broker.Usage{Waits: 6, Uncommitted: 2, QueuedBytes: 300, Producers: 3, ProducerIDs: 1000}
	f.Dirs = []commitlog.Usage{{OpenFiles: 10, MaxOpen: 1000, IdleFiles: 5, Buffers: 1, MaxBuffers: 8}}
	return f
}

// beyond has one limit of a busy node exceeded after the other.
var beyond = map[string]func(*footprint){
	"connections":             func(f *footprint) { f.API.Connections = 11 },
	"connections-of-one-host": func(f *footprint) { f.API.OfOneHost = 6 },
	"request-bytes":           func(f *footprint) { f.API.RequestBytes = 5001 },
	"answer-bytes":            func(f *footprint) { f.API.AnswerBytes = 91 },
	"charged-bytes":           func(f *footprint) { f.API.Charged = 5091 },
	"requests-not-admitted":   func(f *footprint) { f.API.Waiting = 5 },
	"requests-in-flight":      func(f *footprint) { f.API.Unanswered = 17 },
	"read-ahead":              func(f *footprint) { f.API.AheadBytes = 129 },
	"pooled-bytes":            func(f *footprint) { f.API.PooledBytes = 201 },
	"waits":                   func(f *footprint) { f.Broker.Waits = 1001 },
	"queued-bytes":            func(f *footprint) { f.Broker.QueuedBytes = 1001 },
	"producers":               func(f *footprint) { f.Broker.Producers = 1001 },
	"log-files":               func(f *footprint) { f.Dirs[0].OpenFiles = 1001 },
	"write-buffers":           func(f *footprint) { f.Dirs[0].Buffers = 9 },
	"open-files":              func(f *footprint) { f.diskFiles = 31 },
	"tasks":                   func(f *footprint) { f.tasks = 51 },
}

func TestEveryBoundComplains(t *testing.T) {
	if f := busy(); f.excess() != "" {
		t.Fatal(f.excess())
	}
	for _, b := range Bounds() {
		exceed, ok := beyond[b.Name]
		if !ok || b.About == "" {
			t.Errorf("%s: no control, or nothing said about it", b.Name)
			continue
		}
		f := busy()
		exceed(&f)
		if got := f.excess(); !strings.HasPrefix(got, b.Name+": ") {
			t.Errorf("%s is exceeded, and the complaint is %q", b.Name, got)
		}
	}
}

// idle is the footprint of a node that everybody has left: buffers, files and
// producers are kept, within their limits.
func idle() footprint {
	f := busy()
	f.tasks, f.diskFiles = 12, 10
	f.API.Connections, f.API.OfOneHost, f.API.RequestBytes, f.API.Waiting, f.API.Unanswered, f.API.AheadBytes = 0, 0, 0, 0, 0, 0
	f.API.AnswerBytes = 0
	f.Broker.Waits, f.Broker.Uncommitted, f.Broker.QueuedBytes = 0, 0, 0
	return f
}

func TestWhatIsLeftBehindIsNoticed(t *testing.T) {
	if f := idle(); f.restless() != "" {
		t.Fatal(f.restless())
	}
	for name, leave := range map[string]func(*footprint){
		"connections":   func(f *footprint) { f.API.Connections = 1 },
		"request-bytes": func(f *footprint) { f.API.RequestBytes = 1 },
		"answer-bytes":  func(f *footprint) { f.API.AnswerBytes = 1 },
		"charged-bytes": func(f *footprint) { f.API.Charged = 1 },
		"waits":         func(f *footprint) { f.Broker.Waits = 1 },
		"queued-bytes":  func(f *footprint) { f.Broker.QueuedBytes = 1 },
		"open-files":    func(f *footprint) { f.diskFiles = 11 },
		"tasks":         func(f *footprint) { f.tasks = 13 },
	} {
		f := idle()
		leave(&f)
		if got := f.restless(); !strings.HasPrefix(got, name+": ") {
			t.Errorf("of %s something is left, and the complaint is %q", name, got)
		}
	}
}
