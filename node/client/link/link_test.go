package link_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/klammlog/klamm/netsim"
	"github.com/klammlog/klamm/node/client/link"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/sim"
	"github.com/klammlog/klamm/sim/world"
)

const brokerPort = "broker:9092"

// A request is one that the scripted broker has read.
type request struct {
	key, version int16
	correlation  int32
}

// A session is the broker's end of one connection.
type session struct {
	t    *testing.T
	conn env.Conn
}

// read returns the next request, or false when the client is gone.
func (s session) read() (request, bool) {
	var head [4]byte
	if !s.fill(head[:]) {
		return request{}, false
	}
	body := make([]byte, binary.BigEndian.Uint32(head[:]))
	if !s.fill(body) {
		return request{}, false
	}
	b := kbin.Reader{Src: body}
	return request{b.Int16(), b.Int16(), b.Int32()}, true
}

func (s session) fill(p []byte) bool {
	for len(p) > 0 {
		n, err := s.conn.Read(p)
		if p = p[n:]; err != nil && len(p) > 0 {
			return false
		}
	}
	return true
}

// answer writes a response as the answer to the request with that correlation
// id.
func (s session) answer(correlation int32, resp kmsg.Response) {
	b := kbin.AppendInt32(nil, correlation)
	if resp.IsFlexible() && resp.Key() != 18 {
		b = append(b, 0)
	}
	s.raw(resp.AppendTo(b))
}

// raw writes a frame.
func (s session) raw(body []byte) {
	s.conn.Write(append(kbin.AppendInt32(nil, int32(len(body))), body...))
}

// negotiate answers the ApiVersions request every connection begins with.
func (s session) negotiate() {
	req, ok := s.read()
	if !ok || req.key != 18 {
		s.t.Errorf("connection begins with %+v", req)
		return
	}
	s.answer(req.correlation, versions(req.version))
}

func versions(version int16) *kmsg.ApiVersionsResponse {
	resp := kmsg.NewPtrApiVersionsResponse()
	resp.SetVersion(version)
	resp.ApiKeys = []kmsg.ApiVersionsResponseApiKey{
		{ApiKey: 0, MaxVersion: 9}, {ApiKey: 3, MaxVersion: 9}, {ApiKey: 18, MaxVersion: 4}, {ApiKey: 1, MinVersion: 90, MaxVersion: 91},
	}
	return resp
}

// play runs a client against brokers that serve their connections one after the
// other as the sessions say, each ended by its connection's close.
func play(t *testing.T, clientSide func(w *env.World, l *link.Link), sessions ...func(s session)) {
	t.Helper()
	for seed := range uint64(5) {
		k := sim.New(sim.Options{Seed: seed, HoldOneIn: 16, HoldMax: time.Millisecond})
		network := netsim.New(k, netsim.Options{})
		broker, client := k.NewNode("broker"), k.NewNode("client")
		bw, cw := world.New(network, broker), world.New(network, client)
		served := 0
		broker.Go("broker", func() {
			l, err := bw.Net.Listen(brokerPort)
			if err != nil {
				t.Error(err)
				return
			}
			for _, serve := range sessions {
				conn, err := l.Accept()
				if err != nil {
					t.Error(err)
					return
				}
				served++
				serve(session{t, conn})
				conn.Close()
			}
			l.Close()
		})
		finished := false
		client.Go("client", func() {
			cw.Sleep(time.Millisecond) // the broker listens
			c := link.DefaultConfig(brokerPort)
			c.RequestTimeout = time.Second
			l := link.New(cw, c)
			clientSide(cw, l)
			if err := l.Check(); err != nil {
				t.Error(err)
			}
			if err := l.Close(kafka.Never); err != nil {
				t.Errorf("close: %v", err)
			}
			finished = true
		})
		if end := k.Run(kafka.Instant(time.Hour), func() bool { return finished }); end != sim.Finished {
			t.Fatalf("seed %d: run ended %s; panics %v", seed, end, k.Panics())
		}
		if n := len(client.LiveTasks()); n > 1 {
			t.Errorf("seed %d: %d tasks left after Close", seed, n)
		}
		k.Close()
	}
}

func metadataRequest() kmsg.Request { return kmsg.NewPtrMetadataRequest() }

// named makes an answer that can be told from others.
func named(version int16, name string) kmsg.Response {
	resp := kmsg.NewPtrMetadataResponse()
	resp.SetVersion(version)
	resp.ClusterID = &name
	return resp
}

func clusterID(resp kmsg.Response) string {
	if resp == nil {
		return "no answer"
	}
	return *resp.(*kmsg.MetadataResponse).ClusterID
}

func want(t *testing.T, what string, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Errorf("%s: %v, want %v", what, err, target)
	}
}

func TestAnswersReachTheirRequestsInOrder(t *testing.T) {
	play(t, func(w *env.World, l *link.Link) {
		var calls []*link.Call
		for range 5 {
			calls = append(calls, l.Start(metadataRequest(), link.Options{}))
		}
		for i, call := range calls {
			resp, err := call.Wait(kafka.Never)
			if err != nil || clusterID(resp) != fmt.Sprint("answer ", i) {
				t.Errorf("call %d: %s, %v", i, clusterID(resp), err)
			}
		}
	}, func(s session) {
		s.negotiate()
		var reqs []request
		for range 5 { // all are there before the first is answered
			req, _ := s.read()
			reqs = append(reqs, req)
		}
		for i, req := range reqs {
			s.answer(req.correlation, named(req.version, fmt.Sprint("answer ", i)))
		}
		s.read()
	})
}

func TestALateAnswerIsNobodyElses(t *testing.T) {
	play(t, func(w *env.World, l *link.Link) {
		first := l.Start(metadataRequest(), link.Options{})
		_, err := first.Wait(w.Now().Add(100 * time.Millisecond))
		want(t, "given up", err, link.ErrNoAnswer)
		want(t, "given up", err, env.ErrDeadline)
		resp, err := l.Do(metadataRequest(), link.Options{}, kafka.Never)
		if err != nil || clusterID(resp) != "second" {
			t.Errorf("second request: %s, %v", clusterID(resp), err)
		}
	}, func(s session) {
		s.negotiate()
		first, _ := s.read()
		second, _ := s.read()
		s.answer(first.correlation, named(first.version, "first"))
		s.answer(second.correlation, named(second.version, "second"))
		s.read()
	})
}

func TestWhatDoesNotFitClosesTheConnection(t *testing.T) {
	for name, spoil := range map[string]func(s session, req request){
		"another correlation id": func(s session, req request) { s.answer(req.correlation+1, named(req.version, "x")) },
		"the one before":         func(s session, req request) { s.answer(req.correlation-1, named(req.version, "x")) },
		"a frame of nothing":     func(s session, req request) { s.raw(nil) },
		"a frame too large": func(s session, _ request) {
			s.conn.Write([]byte{0x7f, 0xff, 0xff, 0xff})
			s.conn.SetReadDeadline(kafka.Instant(500 * time.Millisecond)) // before the request timeout
			if _, err := s.conn.Read(make([]byte, 1)); errors.Is(err, env.ErrDeadline) {
				s.t.Error("the client waits for the rest of the frame")
			}
		},
		"a negative length": func(s session, _ request) { s.conn.Write([]byte{0xff, 0xff, 0xff, 0xff}) },
		"a body that does not decode": func(s session, req request) {
			s.raw(append(kbin.AppendInt32(nil, req.correlation), 0, 0xff, 0xff, 0xff, 0xff, 0x0f))
		},
		"the end":        func(s session, _ request) {},
		"half an answer": func(s session, req request) { s.conn.Write([]byte{0, 0, 0, 9, 0, 0}) },
	} {
		t.Run(name, func(t *testing.T) {
			play(t, func(w *env.World, l *link.Link) {
				written := l.Start(metadataRequest(), link.Options{})
				_, err := written.Wait(kafka.Never)
				want(t, "request", err, link.ErrNoAnswer)
				resp, err := l.Do(metadataRequest(), link.Options{}, kafka.Never)
				if err != nil || clusterID(resp) != "fine" {
					t.Errorf("on the next connection: %s, %v", clusterID(resp), err)
				}
			}, func(s session) {
				s.negotiate()
				req, _ := s.read()
				spoil(s, req)
			}, func(s session) {
				s.negotiate()
				req, _ := s.read()
				s.answer(req.correlation, named(req.version, "fine"))
				s.read()
			})
		})
	}
}

func TestBytesNobodyAskedForCloseTheConnection(t *testing.T) {
	closed := 0
	play(t, func(w *env.World, l *link.Link) {
		if _, err := l.Do(metadataRequest(), link.Options{}, kafka.Never); err != nil {
			t.Error(err)
		}
		w.Sleep(time.Second)
	}, func(s session) {
		s.negotiate()
		req, _ := s.read()
		s.answer(req.correlation, named(req.version, "asked"))
		s.answer(req.correlation+1, named(req.version, "not asked"))
		if _, ok := s.read(); !ok {
			closed++
		}
	})
	if closed != 5 {
		t.Errorf("the client closed %d of 5 connections", closed)
	}
}

// A request behind one that is lost must not overtake its retry.
func TestAQueuedRequestFailsWithTheConnection(t *testing.T) {
	play(t, func(w *env.World, l *link.Link) {
		large := kmsg.NewPtrProduceRequest()
		large.Topics = []kmsg.ProduceRequestTopic{{Topic: "t", Partitions: []kmsg.ProduceRequestTopicPartition{
			{Records: make([]byte, 4<<20)}, // more than the connection holds: its write waits
		}}}
		first := l.Start(large, link.Options{})
		second := l.Start(metadataRequest(), link.Options{})
		_, err := first.Wait(kafka.Never)
		want(t, "first request", err, link.ErrNoAnswer)
		_, err = second.Wait(kafka.Never)
		want(t, "second request", err, link.ErrNotSent)
	}, func(s session) {
		s.negotiate()
		s.conn.Read(make([]byte, 100))
	}, func(s session) {
		s.t.Error("the second request made a connection of its own")
	})
}

func TestASilentBrokerLosesTheConnection(t *testing.T) {
	play(t, func(w *env.World, l *link.Link) {
		began := w.Now()
		_, err := l.Do(metadataRequest(), link.Options{}, kafka.Never)
		want(t, "request", err, link.ErrNoAnswer)
		if took := w.Now().Sub(began); took < time.Second || took > 2*time.Second {
			t.Errorf("gave up after %v, the request timeout is one second", took)
		}
	}, func(s session) {
		s.negotiate()
		s.read()
		s.read()
	})
}

func TestAPatientRequestWaitsLonger(t *testing.T) {
	play(t, func(w *env.World, l *link.Link) {
		if _, err := l.Do(metadataRequest(), link.Options{Patience: 5 * time.Second}, kafka.Never); err != nil {
			t.Error(err)
		}
	}, func(s session) {
		s.negotiate()
		req, _ := s.read()
		s.conn.SetReadDeadline(kafka.Instant(4 * time.Second))
		s.read()
		s.answer(req.correlation, named(req.version, "slow"))
		s.conn.SetReadDeadline(kafka.Never)
		s.read()
	})
}

// KIP-219: the answer comes at once, and the next request waits.
func TestAThrottledClientHoldsBack(t *testing.T) {
	play(t, func(w *env.World, l *link.Link) {
		if _, err := l.Do(metadataRequest(), link.Options{}, kafka.Never); err != nil {
			t.Error(err)
		}
		answered := w.Now()
		_, err := l.Do(metadataRequest(), link.Options{}, w.Now().Add(100*time.Millisecond))
		want(t, "impatient request", err, link.ErrNotSent)
		if _, err := l.Do(metadataRequest(), link.Options{}, kafka.Never); err != nil {
			t.Error(err)
		}
		if took := w.Now().Sub(answered); took < 700*time.Millisecond || took > 900*time.Millisecond {
			t.Errorf("the next answer came after %v, the broker asked for 700ms of silence", took)
		}
	}, func(s session) {
		s.negotiate()
		req, _ := s.read()
		throttled := named(req.version, "throttled").(*kmsg.MetadataResponse)
		throttled.ThrottleMillis = 700
		s.answer(req.correlation, throttled)
		req, _ = s.read()
		s.answer(req.correlation, named(req.version, "later"))
		s.read()
	})
}

func TestNobodyListens(t *testing.T) {
	play(t, func(w *env.World, l *link.Link) {
		var last kafka.Instant
		for i := range 8 {
			_, err := l.Do(metadataRequest(), link.Options{}, kafka.Never)
			want(t, "request", err, link.ErrNotSent)
			want(t, "request", err, env.ErrRefused)
			gap := w.Now().Sub(last)
			if last = w.Now(); i > 6 && (gap < 800*time.Millisecond || gap > 1300*time.Millisecond) {
				t.Errorf("attempt %d after %v, want about the largest back-off", i, gap)
			}
		}
		_, err := l.Do(metadataRequest(), link.Options{}, w.Now().Add(10*time.Millisecond))
		want(t, "impatient request", err, link.ErrNotSent)
		want(t, "impatient request", err, env.ErrDeadline)
	})
}

func TestVersions(t *testing.T) {
	play(t, func(w *env.World, l *link.Link) {
		req := kmsg.NewPtrMetadataRequest()
		if _, err := l.Do(req, link.Options{}, kafka.Never); err != nil || req.Version != 9 {
			t.Errorf("metadata: version %d, %v", req.Version, err)
		}
		_, err := l.Do(metadataRequest(), link.Options{MinVersion: 10}, kafka.Never)
		want(t, "newer than the broker", err, kafka.ErrUnsupportedVersion)
		want(t, "newer than the broker", err, link.ErrNotSent)
		_, err = l.Do(kmsg.NewPtrFetchRequest(), link.Options{}, kafka.Never)
		want(t, "broker too new", err, kafka.ErrUnsupportedVersion)
		_, err = l.Do(kmsg.NewPtrJoinGroupRequest(), link.Options{}, kafka.Never)
		want(t, "key the broker lacks", err, kafka.ErrUnsupportedVersion)
	}, func(s session) {
		s.negotiate()
		req, _ := s.read()
		s.answer(req.correlation, named(req.version, "x"))
		s.read()
	})
}

// KIP-511: a broker that does not know our version answers as version 0 and says
// what it knows.
func TestAnOlderBrokerIsAskedAgain(t *testing.T) {
	play(t, func(w *env.World, l *link.Link) {
		if _, err := l.Do(metadataRequest(), link.Options{}, kafka.Never); err != nil {
			t.Error(err)
		}
	}, func(s session) {
		first, _ := s.read()
		refusal := kmsg.NewPtrApiVersionsResponse()
		refusal.ErrorCode = int16(kafka.ErrUnsupportedVersion)
		refusal.ApiKeys = []kmsg.ApiVersionsResponseApiKey{{ApiKey: 18, MaxVersion: 2}}
		s.answer(first.correlation, refusal)
		second, _ := s.read()
		if second.version != 2 {
			t.Errorf("asked again with version %d, want 2", second.version)
		}
		s.answer(second.correlation, versions(2))
		req, _ := s.read()
		s.answer(req.correlation, named(req.version, "x"))
		s.read()
	})
}

// Who asks more than a broker is sent is told so, and does not wait.
func TestAFullQueueIsToldAtOnce(t *testing.T) {
	play(t, func(w *env.World, l *link.Link) {
		most := link.DefaultConfig(brokerPort).MaxQueued
		var calls []*link.Call
		for range most + 1 {
			calls = append(calls, l.Start(metadataRequest(), link.Options{}))
		}
		now := w.Now()
		_, err := calls[most].Wait(kafka.Never)
		want(t, "one too many", err, link.ErrNotSent)
		if w.Now() != now {
			t.Error("it had to wait")
		}
		for _, c := range calls[:most] {
			if _, err := c.Wait(kafka.Never); err != nil {
				t.Error(err)
			}
		}
	}, func(s session) {
		s.negotiate()
		for {
			req, ok := s.read()
			if !ok {
				return
			}
			s.answer(req.correlation, named(req.version, "x"))
		}
	})
}

func TestUnansweredRequestsAreDoneWhenWritten(t *testing.T) {
	play(t, func(w *env.World, l *link.Link) {
		for range 3 {
			resp, err := l.Do(kmsg.NewPtrProduceRequest(), link.Options{Unanswered: true}, kafka.Never)
			if resp != nil || err != nil {
				t.Errorf("%v, %v", resp, err)
			}
		}
		if _, err := l.Do(metadataRequest(), link.Options{}, kafka.Never); err != nil {
			t.Error(err)
		}
	}, func(s session) {
		s.negotiate()
		for {
			req, ok := s.read()
			if !ok {
				return
			}
			if req.key == 3 {
				s.answer(req.correlation, named(req.version, "x"))
			}
		}
	})
}

func TestCloseAndCancelEndWaits(t *testing.T) {
	play(t, func(w *env.World, l *link.Link) {
		var closed, canceled error
		a := w.Go("waits for close", func() { _, closed = l.Do(metadataRequest(), link.Options{}, kafka.Never) })
		b := w.Go("is canceled", func() { _, canceled = l.Do(metadataRequest(), link.Options{}, kafka.Never) })
		w.Sleep(100 * time.Millisecond)
		b.Cancel()
		w.Sleep(100 * time.Millisecond)
		if !b.Done() {
			t.Error("canceled task goes on")
		}
		want(t, "canceled", canceled, env.ErrCanceled)
		want(t, "canceled", canceled, link.ErrNoAnswer)
		if err := l.Close(kafka.Never); err != nil {
			t.Error(err)
		}
		w.Sleep(time.Millisecond)
		if !a.Done() {
			t.Error("task goes on after Close")
		}
		want(t, "closed", closed, link.ErrNoAnswer)
		_, err := l.Do(metadataRequest(), link.Options{}, kafka.Never)
		want(t, "after close", err, link.ErrNotSent)
	}, func(s session) {
		s.negotiate()
		io.Copy(io.Discard, reader{s.conn})
	})
}

type reader struct{ env.Conn }

func TestAnIdleConnectionIsClosedAndMadeAgain(t *testing.T) {
	hello := func(s session) {
		s.negotiate()
		req, _ := s.read()
		s.answer(req.correlation, named(req.version, "x"))
		if _, ok := s.read(); ok {
			t.Error("a second request on an idle connection")
		}
	}
	play(t, func(w *env.World, l *link.Link) {
		for range 2 {
			if _, err := l.Do(metadataRequest(), link.Options{}, kafka.Never); err != nil {
				t.Error(err)
			}
			w.Sleep(10 * time.Minute)
		}
	}, hello, hello)
}

// Connections on which nothing was heard since another of the same client went silent
// are made anew before they are used: here all that were there are dead.
func TestASilentConnectionHasOthersMadeAnew(t *testing.T) {
	k := sim.New(sim.Options{Seed: 1})
	defer k.Close()
	network := netsim.New(k, netsim.Options{})
	broker, client := k.NewNode("broker"), k.NewNode("client")
	bw, cw := world.New(network, broker), world.New(network, client)
	conns, dead := 0, 0
	broker.Go("broker", func() {
		l, _ := bw.Net.Listen(brokerPort)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conns++
			mine := conns
			bw.Go("session", func() {
				s := session{t, conn}
				s.negotiate()
				for {
					r, ok := s.read()
					if !ok {
						return
					}
					if mine > dead {
						s.answer(r.correlation, named(r.version, "c"))
					}
				}
			})
		}
	})
	finished := false
	client.Go("client", func() {
		cw.Sleep(time.Millisecond)
		c := link.DefaultConfig(brokerPort)
		c.RequestTimeout, c.Silence = time.Second, &link.Silence{}
		one, other := link.New(cw, c), link.New(cw, c)
		for _, l := range []*link.Link{one, other} {
			if _, err := l.Do(metadataRequest(), link.Options{}, kafka.Never); err != nil {
				t.Error(err)
			}
		}
		dead = 2
		_, err := one.Do(metadataRequest(), link.Options{}, kafka.Never)
		want(t, "a request on a dead connection", err, link.ErrNoAnswer)
		before := cw.Now()
		if _, err := other.Do(metadataRequest(), link.Options{}, kafka.Never); err != nil || cw.Now().Sub(before) > time.Second/2 {
			t.Errorf("after %v: %v", cw.Now().Sub(before), err)
		}
		if _, err := other.Do(metadataRequest(), link.Options{}, kafka.Never); err != nil || conns != 3 {
			t.Errorf("%d connections, %v", conns, err)
		}
		one.Close(kafka.Never)
		other.Close(kafka.Never)
		finished = true
	})
	if end := k.Run(kafka.Instant(time.Hour), func() bool { return finished }); end != sim.Finished {
		t.Fatalf("run ended %s; panics %v", end, k.Panics())
	}
}
