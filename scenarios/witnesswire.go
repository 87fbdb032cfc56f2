package scenarios

import (
	"encoding/binary"
	"slices"

	"github.com/klammlog/klamm/internal/report"
	"github.com/klammlog/klamm/netsim"
	"github.com/klammlog/klamm/node/peer"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// A wire makes messages of the bytes that connections carry: a message is sent when its
// last byte is given to the network, and has arrived when that is at the other host.
type wire struct {
	w       *Witness
	streams map[streamKey]*stream
	calls   map[callKey]call
	last    int // call
}

type streamKey struct {
	conn uint64
	back bool
}

// A stream is one direction of a connection.
type stream struct {
	rest          []byte // of a frame that is not whole
	sent, arrived int64
	under         []underWay
	deaf          bool // it carries no frames, or none that can be told apart any more
}

// An underWay is a message whose last byte has not arrived.
type underWay struct {
	end     int64 // of it in the stream
	message int
}

// A callKey finds the request that an answer answers.
type callKey struct {
	conn        uint64
	correlation int32
}

type call struct {
	number       int
	key, version int16
	message      int
	idle         bool
}

// largestFrame is how large a message may be; what says that it is larger is none.
const largestFrame = 16 << 20

func (x *wire) stream(s netsim.Stream) *stream {
	key := streamKey{s.Conn, s.Back}
	if x.streams[key] == nil {
		x.streams[key] = &stream{deaf: !x.speaksKafka(s)}
	}
	return x.streams[key]
}

// speaksKafka reports whether a connection carries requests that somebody means. Hostile
// hosts send anything, and no decoder here has to bear that.
func (x *wire) speaksKafka(s netsim.Stream) bool {
	return !slices.ContainsFunc(x.w.r.guests, func(g guest) bool {
		h, ok := g.(*hostile)
		return ok && (h.node.Name() == s.From || h.node.Name() == s.To)
	})
}

// Sent implements netsim.Tap.
func (x *wire) Sent(s netsim.Stream, b []byte) {
	st := x.stream(s)
	st.sent += int64(len(b))
	if st.deaf {
		return
	}
	st.rest = append(st.rest, b...)
	for len(st.rest) >= 4 {
		n := int(int32(binary.BigEndian.Uint32(st.rest)))
		if n < 4 || n > largestFrame {
			st.deaf, st.rest = true, nil
			return
		}
		if len(st.rest) < 4+n {
			return
		}
		rest := len(st.rest) - 4 - n
		if at := x.frame(s, st.rest[4:4+n]); at != report.None {
			st.under = append(st.under, underWay{st.sent - int64(rest), at})
		}
		st.rest = append(st.rest[:0], st.rest[4+n:]...)
	}
}

// Arrived implements netsim.Tap.
func (x *wire) Arrived(s netsim.Stream, n int) {
	st := x.stream(s)
	st.arrived += int64(n)
	for len(st.under) > 0 && st.under[0].end <= st.arrived {
		x.w.told.Messages[st.under[0].message].Arrived = x.w.now()
		st.under = st.under[1:]
	}
}

// frame makes a message of a frame, and returns its number; none if it is not kept.
func (x *wire) frame(s netsim.Stream, b []byte) int {
	m := report.Message{From: x.w.laneOf(s.From), To: x.w.laneOf(s.To), Sent: x.w.now(), Arrived: report.Never, Answer: s.Back}
	if s.Back {
		x.answer(s, &m, b)
	} else {
		x.request(s, &m, b)
	}
	if len(x.w.told.Messages) >= keptMessages {
		x.w.forgotten.messages++
		return report.None
	}
	x.w.told.Messages = append(x.w.told.Messages, m)
	return len(x.w.told.Messages) - 1
}

func (w *Witness) laneOf(host string) int {
	if at, ok := w.lanes[host]; ok {
		return at
	}
	return w.client(host)
}

// request reads a request as far as it can be read.
func (x *wire) request(s netsim.Stream, m *report.Message, b []byte) {
	x.last++
	m.Call, m.Name = x.last, "no request"
	if len(b) < 8 {
		return
	}
	c := call{number: x.last, key: int16(binary.BigEndian.Uint16(b)), version: int16(binary.BigEndian.Uint16(b[2:])), message: len(x.w.told.Messages)}
	correlation := int32(binary.BigEndian.Uint32(b[4:]))
	m.Name = peer.NameForKey(c.key)
	if q := peer.RequestForKey(c.key); q != nil {
		q.SetVersion(c.version)
		if body, ok := requestBody(b, q.IsFlexible()); ok && q.ReadFrom(body) == nil {
			x.describe(m, q)
			c.idle = m.Idle
		}
	}
	x.calls[callKey{s.Conn, correlation}] = c
}

// requestBody returns what follows the header of a request.
func requestBody(b []byte, flexible bool) ([]byte, bool) {
	if len(b) < 10 {
		return nil, false
	}
	client := int(int16(binary.BigEndian.Uint16(b[8:])))
	b = b[10:]
	if client > 0 {
		if len(b) < client {
			return nil, false
		}
		b = b[client:]
	}
	return headerEnd(b, flexible)
}

// headerEnd skips the tags that end a flexible header. Nobody here sends any.
func headerEnd(b []byte, flexible bool) ([]byte, bool) {
	if !flexible {
		return b, true
	}
	if len(b) == 0 || b[0] != 0 {
		return nil, false
	}
	return b[1:], true
}

// answer reads an answer as far as it can be read.
func (x *wire) answer(s netsim.Stream, m *report.Message, b []byte) {
	key := callKey{s.Conn, int32(binary.BigEndian.Uint32(b))}
	c, ok := x.calls[key]
	m.Name = "no answer"
	if !ok {
		return
	}
	delete(x.calls, key)
	m.Call, m.Name = c.number, peer.NameForKey(c.key)
	q := peer.RequestForKey(c.key)
	if q == nil {
		return
	}
	a := q.ResponseKind()
	a.SetVersion(c.version)
	body, ok := headerEnd(b[4:], a.IsFlexible() && c.key != int16(kmsg.ApiVersions))
	if !ok || a.ReadFrom(body) != nil {
		return
	}
	x.describeAnswer(m, a, &c)
	if c.message < len(x.w.told.Messages) && x.w.told.Messages[c.message].Call == c.number {
		x.w.told.Messages[c.message].Idle = m.Idle && (c.idle || c.key == int16(kmsg.Fetch) || c.key == int16(peer.ReadMetadataKey))
	}
}
