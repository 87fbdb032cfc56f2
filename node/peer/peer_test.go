package peer

import (
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/klammlog/klamm/netsim"
	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
	"github.com/klammlog/klamm/node/quorum"
	"github.com/klammlog/klamm/sim"
	"github.com/klammlog/klamm/sim/world"
	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// A scripted controller answers requests as a function says; nil ends the
// connection.
type scripted func(kmsg.Request) kmsg.Response

// serve is the task of a scripted node.
func (f scripted) serve(w *env.World, address string) {
	l, err := w.Net.Listen(address)
	if err != nil {
		panic(err)
	}
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		w.Go("conn", func() {
			defer conn.Close()
			for f.one(conn) {
			}
		})
	}
}

// one answers one request, and reports whether there may be more.
func (f scripted) one(conn env.Conn) bool {
	var head [4]byte
	if !fill(conn, head[:]) {
		return false
	}
	body := make([]byte, binary.BigEndian.Uint32(head[:]))
	if !fill(conn, body) {
		return false
	}
	b := kbin.Reader{Src: body}
	q := RequestForKey(b.Int16())
	q.SetVersion(b.Int16())
	correlation := b.Int32()
	b.NullableString()
	if q.IsFlexible() {
		kmsg.SkipTags(&b)
	}
	if err := q.ReadFrom(b.Src); err != nil {
		return false
	}
	var r kmsg.Response
	if q.Key() == int16(kmsg.ApiVersions) {
		r = offered()
	} else {
		r = f(q)
	}
	if r == nil {
		return false
	}
	r.SetVersion(q.GetVersion())
	out := kbin.AppendInt32(make([]byte, 4), correlation)
	if r.IsFlexible() && r.Key() != int16(kmsg.ApiVersions) {
		out = append(out, 0)
	}
	out = r.AppendTo(out)
	binary.BigEndian.PutUint32(out, uint32(len(out)-4))
	_, err := conn.Write(out)
	return err == nil
}

func offered() kmsg.Response {
	r := kmsg.NewPtrApiVersionsResponse()
	for _, key := range append(PrivateKeys(), kmsg.Fetch, kmsg.CreateTopics, kmsg.AlterPartition, kmsg.BrokerRegistration, kmsg.BrokerHeartbeat, kmsg.AllocateProducerIDs) {
		k := kmsg.NewApiVersionsResponseApiKey()
		k.ApiKey, k.MaxVersion = int16(key), RequestForKey(int16(key)).MaxVersion()
		r.ApiKeys = append(r.ApiKeys, k)
	}
	return r
}

func fill(conn env.Conn, p []byte) bool {
	for len(p) > 0 {
		n, err := conn.Read(p)
		if err != nil {
			return false
		}
		p = p[n:]
	}
	return true
}

// A talk is a node and the scripted controllers 1 to n.
type talk struct {
	t      *testing.T
	w      *env.World
	p      *Peers
	leader kafka.NodeID
}

func speak(t *testing.T, f func(x *talk), controllers ...scripted) {
	t.Helper()
	k := sim.New(sim.Options{Seed: 1})
	defer k.Close()
	network := netsim.New(k, netsim.DefaultOptions())
	var voters []config.Voter
	for i, c := range controllers {
		n := k.NewNode(fmt.Sprint("c", i+1))
		w, address := world.New(network, n), fmt.Sprintf("c%d:9093", i+1)
		voters = append(voters, config.Voter{ID: kafka.NodeID(i + 1), Address: address})
		if c != nil {
			n.Go("serve", func() { c.serve(w, address) })
		}
	}
	settings, err := config.NewBroker([]config.Pair{{Name: "node.id", Value: "9"}})
	if err != nil {
		t.Fatal(err)
	}
	n := k.NewNode("asker")
	x := &talk{t: t, w: world.New(network, n), leader: meta.NoLeader}
	finished := false
	n.Go("test", func() {
		x.p = New(x.w, Options{
			ID: 9, Config: settings, Image: meta.NewImage, Voters: func() []config.Voter { return voters },
			Where: func(id kafka.NodeID) string {
				if id < 1 || int(id) > len(voters) {
					return ""
				}
				return voters[id-1].Address
			},
			Leader: func() kafka.NodeID { return x.leader },
		})
		x.must(x.w.Sleep(time.Millisecond)) // the controllers listen
		f(x)
		x.must(x.p.Check())
		x.must(x.p.Close(kafka.Never))
		finished = true
	})
	if end := k.Run(kafka.Instant(time.Hour), func() bool { return finished }); end != sim.Finished {
		t.Fatalf("the run ended %s: %v", end, k.Panics())
	}
}

func (x *talk) must(err error) {
	x.t.Helper()
	if err != nil {
		x.t.Error(err)
	}
}

func (x *talk) in(d time.Duration) kafka.Instant { return x.w.Now().Add(d) }

func (x *talk) wants(what string, err error, want kafka.Error) {
	x.t.Helper()
	if kafka.ErrorOf(err) != want {
		x.t.Errorf("%s: %v, want %s", what, err, want.Name())
	}
}

// registers answers registrations with an error or an epoch, and counts them.
func registers(times *int, code kafka.Error, epoch int64) scripted {
	return func(kmsg.Request) kmsg.Response {
		*times++
		r := kmsg.NewPtrBrokerRegistrationResponse()
		r.ErrorCode, r.BrokerEpoch = int16(code), epoch
		return r
	}
}

func registration() meta.Registration {
	return meta.Registration{ID: 9, Endpoints: []meta.Endpoint{{Listener: "PLAINTEXT", Host: "h", Port: 1}}, Directories: []meta.DirectoryID{{1}}}
}

func TestTheActiveControllerIsFoundAmongOthers(t *testing.T) {
	var one, two int
	speak(t, func(x *talk) {
		x.leader = 1 // as it was
		epoch, err := x.p.Register(registration(), x.in(10*time.Second))
		if x.must(err); epoch != 7 || one == 0 || two != 1 {
			t.Errorf("epoch %d, asked %d and %d times", epoch, one, two)
		}
	}, registers(&one, kafka.ErrNotController, -1), registers(&two, kafka.None, 7), nil)
}

func TestARefusalOfTheActiveControllerIsItsAnswer(t *testing.T) {
	var times int
	speak(t, func(x *talk) {
		_, err := x.p.Register(registration(), x.in(10*time.Second))
		x.wants("register", err, kafka.ErrDuplicateBrokerRegistration)
		if times != 1 {
			t.Errorf("asked %d times", times)
		}
	}, registers(&times, kafka.ErrDuplicateBrokerRegistration, -1))
}

func TestWhatNobodyTookUpDidNotHappen(t *testing.T) {
	speak(t, func(x *talk) {
		begun := x.w.Now()
		_, err := x.p.Forward(&Forward{APIKey: 19}, x.in(3*time.Second))
		x.wants("forward", err, kafka.ErrNotController)
		if took := x.w.Now().Sub(begun); took > 4*time.Second {
			t.Errorf("looked for a controller for %s", took)
		}
	}, nil, nil)
}

func TestWhatMayHaveHappenedIsNotForwardedAgain(t *testing.T) {
	times := 0
	speak(t, func(x *talk) {
		_, err := x.p.Forward(&Forward{APIKey: 19}, x.in(10*time.Second))
		x.wants("forward", err, kafka.ErrRequestTimedOut)
		if times != 1 {
			t.Errorf("forwarded %d times", times)
		}
	}, func(kmsg.Request) kmsg.Response { times++; return nil })
}

func TestAForwardedRequestComesBackWithItsAnswer(t *testing.T) {
	speak(t, func(x *talk) {
		a, err := x.p.Forward(&Forward{APIKey: 19, APIVersion: 7, Body: []byte("q")}, x.in(10*time.Second))
		if x.must(err); a != nil && (a.Offset != 12 || string(a.Body) != "q") {
			t.Errorf("%+v", a)
		}
	}, func(q kmsg.Request) kmsg.Response { return &Forwarded{Offset: 12, Body: q.(*Forward).Body} })
}

func TestABeatThatIsNotAnsweredIsSentAgain(t *testing.T) {
	times := 0
	speak(t, func(x *talk) {
		a, err := x.p.Heartbeat(meta.Beat{ID: 9, Epoch: 3}, x.in(10*time.Second))
		if x.must(err); times != 2 || !a.CaughtUp {
			t.Errorf("%d beats, answer %+v", times, a)
		}
	}, func(q kmsg.Request) kmsg.Response {
		if times++; times == 1 {
			return nil
		}
		return BeatResponse(meta.BeatAnswer{CaughtUp: true}, nil)
	})
}

func TestMessagesOfRaftArriveInOrder(t *testing.T) {
	var got []byte
	speak(t, func(x *talk) {
		for i := range byte(100) {
			x.p.Send(1, [][]byte{{i}})
			if i%10 == 0 {
				x.must(x.w.Sleep(time.Millisecond))
			}
		}
		x.must(x.w.Sleep(time.Second))
		if len(got) != 100 {
			t.Fatalf("%d messages arrived", len(got))
		}
		for i, b := range got {
			if int(b) != i {
				t.Fatalf("message %d is %d", i, b)
			}
		}
	}, func(q kmsg.Request) kmsg.Response {
		step := q.(*RaftStep)
		for _, m := range step.Messages {
			got = append(got, m...)
		}
		if step.From != 9 {
			t.Errorf("from %d", step.From)
		}
		return &RaftStepped{}
	})
}

func TestSendingToAControllerThatIsSilentTakesBoundedMemoryAndNoTime(t *testing.T) {
	speak(t, func(x *talk) {
		begun := x.w.Now()
		for range 3 * maxQueuedMessages {
			x.p.Send(1, [][]byte{make([]byte, 100)})
			x.p.Send(2, [][]byte{make([]byte, 100<<10)})
			x.p.Send(3, [][]byte{{1}}) // nobody is there
			x.must(x.p.Check())
		}
		if x.w.Now() != begun {
			t.Error("Send waited")
		}
		x.must(x.w.Sleep(time.Second))
	}, func(kmsg.Request) kmsg.Response { return nil }, func(kmsg.Request) kmsg.Response { return nil })
}

func TestMetadataIsReadFromTheNextControllerIfTheActiveOneIsSilent(t *testing.T) {
	page := quorum.Page{Leader: 2, Epoch: 3, End: 5}
	speak(t, func(x *talk) {
		x.leader = 1
		if _, err := x.p.ReadMetadata(0, 1000, x.in(time.Second)); err == nil {
			t.Error("a silent controller told something")
		}
		var got quorum.Page
		var err error
		for range 2 { // not the one that was silent, whoever is said to lead
			if got, err = x.p.ReadMetadata(4, 1000, x.in(time.Second)); err == nil {
				break
			}
		}
		if x.must(err); got.End != 5 || got.Leader != 2 {
			t.Errorf("%+v", got)
		}
	}, func(kmsg.Request) kmsg.Response { return nil }, func(q kmsg.Request) kmsg.Response {
		if m := q.(*ReadMetadata); m.From != 4 || m.ReplicaID != 9 {
			t.Errorf("%+v", m)
		}
		return &MetadataRead{Page: quorum.AppendPage(nil, page)}
	})
}
