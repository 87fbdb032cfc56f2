package history

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// all returns a history with an operation of every kind and outcome.
func all() *History {
	var now Instant
	r := NewRecorder(func() Instant { now += 1_500_000; return now })
	p1, c1, orders := r.Client("p1"), r.Client("c1"), r.Partition("orders", 2)
	send := func(s Send) SendHandle {
		s.Client, s.Partition, s.Record = p1, orders, r.NextRecord()
		s.Seq = int64(s.Record) - 1
		s.Digest = DigestOf([]byte("k"), AppendIdentity(nil, s.Record), nil)
		s.Key = KeyDigest([]byte("k"))
		return r.Send(s)
	}
	r.Mark(Mark{Kind: Phase, Target: "safety", Partition: NoPartition, Offset: NoOffset})
	a := send(Send{Acks: AcksAll, Delivery: Idempotent})
	b := send(Send{Acks: AcksLeader, Delivery: OneInFlight, Incarnation: 1})
	c := send(Send{Acks: AcksNone, Tombstone: true})
	send(Send{Acks: AcksAll, Delivery: Idempotent})
	poll := r.Poll(Poll{Client: c1, Generation: 3, Partition: orders, Isolation: ReadCommitted, Before: 0})
	a.Acked(0, 1_700_000_000_000)
	b.Failed("not enough replicas")
	c.Unknown("connection reset")
	r.Mark(Mark{Kind: PowerLoss, Target: "n2", Partition: NoPartition, Offset: NoOffset, Note: "torn at 512"})
	sends := r.History().Sends
	poll.Returned([]Read{{0, sends[0].Record, sends[0].Digest, 4}, {1, sends[2].Record, sends[2].Digest, NoEpoch}}, 2, 2)
	r.Poll(Poll{Client: c1, Generation: 3, Partition: orders, Before: 2}).Failed("timed out")
	r.Poll(Poll{Client: c1, Generation: 3, Partition: orders, Before: 2})
	for _, q := range []Query{Earliest, Latest} {
		r.ListOffsets(ListOffsets{Client: c1, Partition: orders, Query: q}).Answered(Offset(q)*2, NoTimestamp)
	}
	r.ListOffsets(ListOffsets{Client: c1, Partition: orders, Query: ByTime, Asked: 99}).Answered(NoOffset, NoTimestamp)
	r.ListOffsets(ListOffsets{Client: c1, Partition: orders, Query: ByTime, Asked: 99}).Failed("leader not available")
	r.Mark(Mark{Kind: PrefixMayGo, Partition: orders, Offset: 1})
	back := r.ReadBack(c1, orders)
	r.Polled(Poll{Client: c1, Generation: 4, Partition: orders, Final: true, Invoked: now, Before: 1, After: 2, End: NoOffset},
		[]Read{{1, sends[2].Record, sends[2].Digest, 4}})
	back.Done(1, 2)
	r.ReadBack(c1, r.Partition("orders", 3)).Failed("no leader")
	r.ReadBack(c1, orders)
	return r.History()
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

func encode(t testing.TB, h *History) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Encode(&b, h); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestEncodeWritesTheDocumentedForm(t *testing.T) {
	golden(t, "all.jsonl", encode(t, all()))
}

func TestEventsSayWhatHappened(t *testing.T) {
	h := all()
	var b strings.Builder
	for op := range h.Ops() {
		fmt.Fprintln(&b, h.Event(OpID(op)))
	}
	fmt.Fprintln(&b, h.ReadEvent(&h.Polls[0], 1))
	golden(t, "all.txt", []byte(b.String()))
}

func TestDecodeReadsWhatEncodeWrites(t *testing.T) {
	want := all()
	got, err := Decode(bytes.NewReader(encode(t, want)), DefaultLimits)
	if err != nil {
		t.Fatal(err)
	}
	// Records are stored in the order of completion by a recorder, and in that of
	// invocation by Decode: only what is told about a poll must be the same.
	for i := range want.Polls {
		if diff := cmp.Diff(want.Records(&want.Polls[i]), got.Records(&got.Polls[i])); diff != "" {
			t.Errorf("poll %d (-want +got):\n%s", i, diff)
		}
		want.Polls[i].first, got.Polls[i].first = 0, 0
	}
	want.reads, got.reads = nil, nil
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(History{}, Poll{}, opRef{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestDecodeRefuses(t *testing.T) {
	const header = `{"history":"klamm","version":1}` + "\n"
	send := func(change string) string {
		line := `{"op":0,"type":"send","client":"p","topic":"t","partition":0,"invoked_ns":5,"completed_ns":6,"outcome":"ok","seq":0,"record":1,"key":"0","digest":"0","acks":"all","delivery":"plain","offset":3}`
		from, to, _ := strings.Cut(change, "=>")
		if !strings.Contains(line, from) {
			t.Fatalf("%q is not in the line", from)
		}
		return header + strings.Replace(line, from, to, 1) + "\n"
	}
	if _, err := Decode(strings.NewReader(send("op=>op")), DefaultLimits); err != nil {
		t.Fatalf("the unchanged line: %v", err)
	}
	for name, text := range map[string]string{
		"nothing":                       "",
		"no header":                     `{"op":0}`,
		"another version":               `{"history":"klamm","version":3}`,
		"another format":                `{"history":"other","version":1}`,
		"a field it does not know":      send(`"seq"=>"sequence":1,"seq"`),
		"a type it does not know":       send(`"type":"send"=>"type":"receive"`),
		"numbers out of order":          send(`"op":0=>"op":1`),
		"no client":                     send(`"client":"p"=>"client":""`),
		"a negative partition":          send(`"partition":0=>"partition":-1`),
		"an end before the beginning":   send(`"completed_ns":6=>"completed_ns":4`),
		"an instant before the run":     send(`"invoked_ns":5=>"invoked_ns":-5`),
		"an acknowledgement at no time": send(`"completed_ns":6,=>`),
		"a pending send that ended":     send(`"outcome":"ok"=>"outcome":"pending"`),
		"an outcome it does not know":   send(`"outcome":"ok"=>"outcome":"maybe"`),
		"acks=2":                        send(`"acks":"all"=>"acks":2`),
		"a negative offset":             send(`"offset":3=>"offset":-3`),
		"the offset after all others":   send(`"offset":3=>"offset":9223372036854775807`),
		"a record without identity":     send(`"record":1=>"record":0`),
		"a digest that is none":         send(`"digest":"0"=>"digest":"xyz"`),
		"two objects on a line":         send(`"offset":3}=>"offset":3}{}`),
		"half a line":                   send(`"offset":3}=>"offset":`),
		"one record sent twice": send("op=>op") + strings.Replace(strings.TrimPrefix(send("op=>op"), header),
			`"op":0`, `"op":1`, 1),
		"a poll that failed with records": header + `{"op":0,"type":"poll","client":"c","topic":"t","partition":0,"invoked_ns":5,"completed_ns":6,"outcome":"failed","isolation":"read_committed","before":0,"after":1,"records":[{"offset":0,"record":1,"digest":"0"}]}`,
		"a read-back without an end":      header + `{"op":0,"type":"read-back","client":"c","topic":"t","partition":0,"invoked_ns":5,"completed_ns":6,"outcome":"ok","log_start":0}`,
		"a mark without a kind":           header + `{"op":0,"type":"mark","kind":"","at_ns":1}`,
		"a mark of half a partition":      header + `{"op":0,"type":"mark","kind":"crash","at_ns":1,"partition":3}`,
		"too long a name":                 header + `{"op":0,"type":"mark","kind":"crash","at_ns":1,"note":"` + strings.Repeat("x", maxText) + `"}`,
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			if _, err := Decode(strings.NewReader(text), DefaultLimits); err == nil {
				t.Errorf("accepted %s", text)
			}
		})
	}
}

func TestDecodeKeepsItsLimits(t *testing.T) {
	text := encode(t, all())
	h := all()
	for name, l := range map[string]Limits{
		"line":    {Line: 100, Ops: 1000, Records: 1000},
		"ops":     {Line: 1 << 16, Ops: h.Ops() - 1, Records: 1000},
		"records": {Line: 1 << 16, Ops: 1000, Records: len(h.Reads()) - 1},
	} {
		if _, err := Decode(bytes.NewReader(text), l); err == nil {
			t.Errorf("limit of %s: accepted more", name)
		}
	}
	if _, err := Decode(bytes.NewReader(text), Limits{1 << 16, h.Ops(), len(h.Reads())}); err != nil {
		t.Errorf("just within the limits: %v", err)
	}
}

// What Decode accepts, Encode writes so that it is accepted and written the same.
func FuzzDecode(f *testing.F) {
	f.Add(encode(f, all()))
	f.Add([]byte(`{"history":"klamm","version":1}` + "\n"))
	if events, err := os.ReadFile("testdata/events.jsonl"); err == nil {
		f.Add(events)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		h, err := Decode(bytes.NewReader(text), Limits{Line: 1 << 16, Ops: 1000, Records: 1000})
		if err != nil {
			return
		}
		once := encode(t, h)
		again, err := Decode(bytes.NewReader(once), DefaultLimits)
		if err != nil {
			t.Fatalf("own output refused: %v\n%s", err, once)
		}
		if twice := encode(t, again); !bytes.Equal(once, twice) {
			t.Errorf("written differently:\n%s\n%s", once, twice)
		}
		for op := range h.Ops() {
			_ = h.Event(OpID(op)).String()
		}
	})
}

func TestRecorderRefusesToCompleteTwice(t *testing.T) {
	r := NewRecorder(func() Instant { return 1 })
	s := r.Send(Send{Client: r.Client("p"), Partition: r.Partition("t", 0), Record: 1})
	s.Acked(0, 0)
	defer func() {
		if recover() == nil {
			t.Error("an acknowledged send failed afterwards")
		}
	}()
	s.Failed("late")
}

// A simulator's clock stands still while its tasks run: what happens one after
// the other must be told so.
func TestRecorderTellsApartWhatHappensAtOneInstant(t *testing.T) {
	r := NewRecorder(func() Instant { return 1000 })
	send := r.Send(Send{Client: r.Client("p"), Partition: r.Partition("t", 0), Record: 1})
	send.Acked(0, NoTimestamp)
	list := r.ListOffsets(ListOffsets{Client: r.Client("p"), Partition: r.Partition("t", 0), Query: Latest})
	list.Answered(0, NoTimestamp)
	h := r.History()
	s, l := h.Sends[0], h.ListOffsets[0]
	if !(s.Invoked < s.Completed && s.Completed < l.Invoked && l.Invoked < l.Completed) {
		t.Errorf("sent %d to %d ns, asked %d to %d ns", s.Invoked, s.Completed, l.Invoked, l.Completed)
	}
}

func TestDigestTellsRecordsApart(t *testing.T) {
	seen := map[Digest]string{}
	add := func(name string, d Digest) {
		t.Helper()
		if other, ok := seen[d]; ok {
			t.Errorf("%s and %s have one digest", name, other)
		}
		seen[d] = name
	}
	b := func(s string) []byte { return []byte(s) }
	add("null", DigestOf(nil, nil, nil))
	add("empty key", DigestOf(b(""), nil, nil))
	add("empty value", DigestOf(nil, b(""), nil))
	add("a b", DigestOf(b("a"), b("b"), nil))
	add("ab", DigestOf(b("ab"), b(""), nil))
	add("b a", DigestOf(b("b"), b("a"), nil))
	add("header", DigestOf(b("a"), b("b"), []Header{{"h", b("v")}}))
	add("header moved", DigestOf(b("a"), b("b"), []Header{{"hv", b("")}}))
	add("header null", DigestOf(b("a"), b("b"), []Header{{"hv", nil}}))
	add("two headers", DigestOf(b("a"), b("b"), []Header{{"x", b("1")}, {"y", b("2")}}))
	add("two headers swapped", DigestOf(b("a"), b("b"), []Header{{"y", b("2")}, {"x", b("1")}}))
	for n := range 40 {
		add(fmt.Sprint("zeros ", n+3), DigestOf(nil, make([]byte, n+3), nil))
		long := make([]byte, 50)
		long[n] = 1
		add(fmt.Sprint("bit ", n), DigestOf(nil, long, nil))
	}
}

// Histories are compared over years and machines: a digest must not change.
func TestDigestStaysTheSame(t *testing.T) {
	d := DigestOf([]byte("key"), []byte("a value of more than sixteen bytes"), []Header{{"h", []byte("v")}})
	golden(t, "digest.txt", fmt.Appendln(nil, d, KeyDigest([]byte("key"))))
}

func TestIdentityIsReadBackOnlyIfWritten(t *testing.T) {
	for _, id := range []RecordID{1, 2, 1 << 40, 1<<64 - 1} {
		b := append(AppendIdentity(nil, id), "payload"...)
		if got := IdentityOf(b); got != id {
			t.Errorf("identity %d read back as %d", id, got)
		}
		b[3] ^= 1
		if got := IdentityOf(b); got != NoRecord {
			t.Errorf("identity %d, damaged, read back as %d", id, got)
		}
	}
	if got := IdentityOf([]byte("short")); got != NoRecord {
		t.Errorf("five bytes have identity %d", got)
	}
}
