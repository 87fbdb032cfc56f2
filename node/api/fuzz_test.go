package api

import (
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"testing"

	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/osenv"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// frames are a frame of every version of every API, with a client id.
func frames() [][]byte {
	var out [][]byte
	for _, h := range handlersByKey() {
		if h == nil {
			continue
		}
		for version := h.min; version <= h.max; version++ {
			q := h.request()
			q.SetVersion(version)
			out = append(out, kmsg.NewRequestFormatter(kmsg.FormatterClientID("fuzz")).AppendRequest(nil, q, 1))
		}
	}
	return out
}

// hostileFrames are frames that claim what is not there.
func hostileFrames() [][]byte {
	var out [][]byte
	all := hostile()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		c := all[name]
		if len(c.body) > 1<<12 {
			continue
		}
		q := kmsg.RequestForKey(int16(c.key))
		q.SetVersion(c.version)
		b := binary.BigEndian.AppendUint16(nil, uint16(c.key))
		b = binary.BigEndian.AppendUint16(b, uint16(c.version))
		b = append(b, 0, 0, 0, 1, 0xff, 0xff) // correlation id, no client id
		if q.IsFlexible() {
			b = append(b, 0)
		}
		b = append(b, c.body...)
		out = append(out, append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...))
	}
	return out
}

// FuzzHeaders: whatever a frame begins with, it is a header or an error.
func FuzzHeaders(f *testing.F) {
	s := &Server{handlers: handlersByKey()}
	for _, frame := range frames() {
		f.Add(frame[4:])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := parseHeader(b, s.flexible)
		if err == nil && len(h.clientID)+len(h.body)+minFrame > len(b) {
			t.Fatalf("a client id of %d bytes and a body of %d in a frame of %d", len(h.clientID), len(h.body), len(b))
		}
	})
}

// maxFuzzed is the largest frame that is taken.
const maxFuzzed = 1 << 20

// FuzzConnections: whatever comes by a connection, it is requests or the
// end of the connection; it takes memory in proportion to its size, all of which is
// given back.
//
// It goes the way of a connection's reader, up to where a broker is needed.
func FuzzConnections(f *testing.F) {
	for _, frame := range append(frames(), hostileFrames()...) {
		f.Add(frame)
	}
	host, err := osenv.New(osenv.Options{})
	if err != nil {
		f.Fatal(err)
	}
	defer host.Close()
	view, err := config.NewBroker([]config.Pair{{Name: "socket.request.max.bytes", Value: fmt.Sprint(maxFuzzed)}})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1<<16 {
			return
		}
		err := host.Do(context.Background(), func() error {
			readAll(t, host.World(), view, &listener{name: "PLAINTEXT", via: ofBrokers}, b)
			readAll(t, host.World(), view, &listener{name: "CONTROLLER", via: ofControllers}, b)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

// readAll reads what comes by a connection until it ends, or would.
func readAll(t *testing.T, w *env.World, view *config.View, l *listener, b []byte) {
	s := &Server{w: w, config: view, handlers: handlersByKey(),
		sessions: newSessions(w, view), nodeRequests: budget{w: w, limit: config.QueuedMaxRequestBytes.In(view)}, budget: budget{w: w, limit: config.QueuedMaxRequestBytes.In(view)}}
	c := s.newConn(&dripping{b: b}, l)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for {
		call, err := c.readCall()
		if err != nil {
			break
		}
		if call.Key == int16(kmsg.Produce) {
			_, err = decodeProduce(call.body, call.Version)
		} else {
			_, err = call.handler.begin(s, call)
		}
		call.frame.release()
		if err != nil {
			break
		}
	}
	runtime.ReadMemStats(&after)
	if s.budget.used != 0 || s.nodeRequests.used != 0 || c.held != 0 {
		t.Fatalf("%d bytes of the budget are not given back, %d are held", s.budget.used, c.held)
	}
	// The last frame may claim to be as large as a frame may be.
	most := 2*maxFuzzed + uint64(2*decodedTimes*len(b))
	if took := after.TotalAlloc - before.TotalAlloc; took > most {
		t.Fatalf("%d bytes took %d, at most %d", len(b), took, most)
	}
}
