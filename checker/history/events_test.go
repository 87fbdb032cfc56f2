package history

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The sample has an event of every kind; docs/history.md refers to it.
func TestEventsAreRead(t *testing.T) {
	text, err := os.ReadFile("testdata/events.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	f, err := DecodeFile(bytes.NewReader(text), DefaultLimits, SendDefaults{})
	if err != nil {
		t.Fatal(err)
	}
	if string(f.Demands) != `{"retention":true}` || f.Note != "a sample of every event" {
		t.Errorf("demands %s, note %q", f.Demands, f.Note)
	}
	var b strings.Builder
	for op := range f.History.Ops() {
		fmt.Fprintln(&b, f.History.Event(OpID(op)))
	}
	for i := range f.History.Polls {
		for k := range f.History.Records(&f.History.Polls[i]) {
			fmt.Fprintln(&b, f.History.ReadEvent(&f.History.Polls[i], k))
		}
	}
	golden(t, "events.txt", []byte(b.String()))
}

// decodeEvents reads events behind a header.
func decodeEvents(t *testing.T, lines ...string) *History {
	t.Helper()
	h, err := Decode(strings.NewReader(eventsHeader+strings.Join(lines, "\n")), DefaultLimits)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

const eventsHeader = `{"history":"klamm","version":2,"acks":"all","delivery":"plain"}` + "\n"

// polled returns a poll of process c of the records at some offsets of t-0.
func polledAt(at int, more string, offsets ...int) string {
	var records []string
	for _, o := range offsets {
		records = append(records, fmt.Sprintf(`{"topic":"t","partition":0,"offset":%d,"value":"v%d"}`, o, o))
	}
	return fmt.Sprintf(`{"type":"invoke","f":"poll","process":"c","time_ns":%d}`+"\n"+
		`{"type":"ok","f":"poll","process":"c","time_ns":%d,"records":[%s]%s}`, at, at+1, strings.Join(records, ","), more)
}

func TestConsumersAreFollowed(t *testing.T) {
	const at10 = `,"positions":[{"topic":"t","partition":0,"offset":10}]`
	for _, c := range []struct {
		claim string
		lines []string
		want  string // of each poll: generation, before, after
	}{
		{"the first poll begins with its first record", []string{polledAt(1, "", 5, 6)}, "0:5-7"},
		{"the next begins where the last ended", []string{polledAt(1, "", 5), polledAt(3, "", 8)}, "0:5-6 0:6-9"},
		{"an assignment begins anew, where it says", []string{polledAt(1, "", 5),
			`{"type":"assign","process":"c","time_ns":2,"topic":"t","partition":0,"offset":2}`, polledAt(3, "", 3)}, "0:5-6 1:2-4"},
		{"or where its first record is", []string{polledAt(1, "", 5),
			`{"type":"assign","process":"c","time_ns":2,"topic":"t","partition":0}`, polledAt(3, "", 3)}, "0:5-6 1:3-4"},
		{"another process is another consumer", []string{polledAt(1, "", 5), strings.ReplaceAll(polledAt(3, "", 3), `"c"`, `"d"`)}, "0:5-6 0:3-4"},
		{"a position behind the last record counts", []string{polledAt(1, at10, 5)}, "0:5-10"},
		{"a position alone is a poll that passed offsets", []string{polledAt(1, "", 5), polledAt(3, at10)}, "0:5-6 0:6-10"},
		{"a position alone, of nobody known, says where it stands", []string{polledAt(1, at10), polledAt(3, "", 11)}, "0:10-12"},
		{"a poll of nothing says nothing", []string{polledAt(1, ""), polledAt(3, "", 11)}, "0:11-12"},
	} {
		var got []string
		for _, p := range decodeEvents(t, c.lines...).Polls {
			got = append(got, fmt.Sprintf("%d:%d-%d", p.Generation, p.Before, p.After))
		}
		if diff := cmp.Diff(c.want, strings.Join(got, " ")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.claim, diff)
		}
	}
}

// A producer that leaves the choice to its client learns the partition later, or
// never.
func TestSendsFindTheirPartition(t *testing.T) {
	send := func(op int, more string) string {
		return fmt.Sprintf(`{"type":"invoke","f":"send","process":"p","op":%d,"time_ns":1,"topic":"t","value":"v%d"%s}`, op, op, more)
	}
	h := decodeEvents(t,
		send(1, ""), send(2, `,"partition":4`), send(3, ""), send(4, ""),
		`{"type":"ok","f":"send","process":"p","op":1,"time_ns":2,"partition":3,"offset":7}`,
		`{"type":"info","f":"send","process":"p","op":3,"time_ns":2}`,
		strings.ReplaceAll(polledAt(5, "", 3), `"partition":0`, `"partition":2`))
	want := []string{"t-3", "t-4", "t-2", "t-0"} // told, told at once, read there, nobody knows
	for i, s := range h.Sends {
		if got := h.Partitions[s.Partition].String(); got != want[i] || s.Seq != int64(i) {
			t.Errorf("send %d: %s, number %d, want %s, %d", i+1, got, s.Seq, want[i], i)
		}
	}
}

// Records that carry no identity are known by their content.
func TestRecordsAreKnownByTheirContent(t *testing.T) {
	h := decodeEvents(t,
		`{"type":"invoke","f":"send","process":"p","op":1,"time_ns":1,"topic":"t","partition":0,"value":"v3"}`,
		polledAt(2, "", 3, 4))
	reads := h.Reads()
	if len(reads) != 2 || reads[0].Record != h.Sends[0].Record || reads[0].Digest != h.Sends[0].Digest || reads[1].Record != NoRecord {
		t.Errorf("sent %+v, read %+v", h.Sends[0], reads)
	}
}

func TestEventsAreRefused(t *testing.T) {
	const (
		send = `{"type":"invoke","f":"send","process":"p","time_ns":5,"topic":"t","partition":0,"value":"x"}`
		ok   = `{"type":"ok","f":"send","process":"p","time_ns":6,"offset":0}`
		poll = `{"type":"invoke","f":"poll","process":"p","time_ns":5}`
	)
	if _, err := Decode(strings.NewReader(eventsHeader+send+"\n"+ok), DefaultLimits); err != nil {
		t.Fatal(err)
	}
	other := func(line, change string) string {
		from, to, _ := strings.Cut(change, "=>")
		if !strings.Contains(line, from) {
			t.Fatalf("%q is not in %s", from, line)
		}
		return strings.Replace(line, from, to, 1)
	}
	for claim, c := range map[string]struct{ lines, want string }{
		"no type":                     {other(send, `"type":"invoke",=>`), "no type"},
		"a function it does not know": {other(send, `"f":"send"=>"f":"sned"`), `no event has type "invoke" and f "sned"`},
		"a field it does not know":    {other(send, `"value"=>"Value"`), `unknown field "Value"`},
		"a field twice":               {other(send, `"value":"x"=>"value":"x","value":"y"`), `field "value" twice`},
		"a field of another event":    {other(send, `"value":"x"=>"value":"x","offset":0`), "fields of other events: offset"},
		"a field is missing":          {other(send, `"topic":"t",=>`), "missing fields: topic"},
		"no content":                  {other(send, `,"value":"x"=>`), "a send needs a value"},
		"two contents":                {other(send, `"value":"x"=>"value":"x","value_base64":"eA=="`), "tell one"},
		"a digest and a value":        {other(send, `"value":"x"=>"value":"x","digest":"1"`), "stands for value"},
		"bytes that are no text":      {other(send, `"x"=>"`+"\xff"+`"`), "not UTF-8"},
		"a time before the clock":     {other(send, `:5=>:-5`), "time_ns -5"},
		"no whole number":             {other(send, `:5=>:5.5`), "whole number"},
		"a number too large":          {other(send, `:5=>:9223372036854775808`), "whole number"},
		"two objects":                 {send + "{}\n", "more than one value"},
		"half a line":                 {send[:40] + "\n", "byte"},
		"a process without a name":    {other(send, `"p"=>""`), "have names"},
		"a negative partition":        {other(send, `"partition":0=>"partition":-1`), "partition -1"},
		"an end before its beginning": {send + "\n" + other(ok, ":6=>:4"), "line 3: ends at 4 ns"},
		"an end without a beginning":  {ok, "no such send open"},
		"two at once without op":      {send + "\n" + other(send, `"x"=>"y"`), "numbers them with op"},
		"one content twice":           {send + "\n" + ok + "\n" + send, "was sent before"},
		"one identity twice":          {other(send, `"x"=>"x","record":1`) + "\n" + ok + "\n" + other(send, `"x"=>"y","record":1`), "record 1 was sent before"},
		"identities now and then":     {other(send, `"x"=>"x","record":1`) + "\n" + ok + "\n" + other(send, `"x"=>"y"`), "all must"},
		"the wrong partition":         {send + "\n" + other(ok, `"offset"=>"partition":1,"offset"`), "invocation told 0"},
		"no partition at all":         {other(send, `"partition":0,=>`) + "\n" + ok, "told the partition"},
		"an offset below zero":        {send + "\n" + other(ok, `"offset":0=>"offset":-1`), "offset -1"},
		"acks of two":                 {other(send, `"x"=>"x","acks":2`), `want "all", 0 or 1`},
		"a record without an offset":  {poll + "\n" + `{"type":"ok","f":"poll","process":"p","time_ns":6,"records":[{"topic":"t","partition":0,"value":"x"}]}`, "missing fields: offset"},
		"a lookup for no time":        {`{"type":"invoke","f":"list-offsets","process":"p","time_ns":5,"topic":"t","partition":0,"query":"by-time"}`, "asked is"},
		"a mark of half a partition":  {`{"type":"mark","kind":"crash","time_ns":5,"topic":"t"}`, "both or neither"},
	} {
		t.Run(claim, func(t *testing.T) {
			_, err := Decode(strings.NewReader(eventsHeader+c.lines), DefaultLimits)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one that says %q", err, c.want)
			}
		})
	}
}

const groupsHeader = `{"history":"klamm","version":2,"acks":"all","delivery":"plain","groups":[{"group":"g","delivery":"at-least-once","topics":["t"]}]}` + "\n"

// What members of groups tell is kept by group.
func TestGroupsAreTold(t *testing.T) {
	f, err := DecodeFile(strings.NewReader(groupsHeader+strings.Join([]string{
		`{"type":"assign","process":"m","time_ns":1,"group":"g","generation":4,"topic":"t","partition":1,"offset":7}`,
		`{"type":"invoke","f":"offset-fetch","process":"m","time_ns":2,"group":"g","topic":"t","partition":1}`,
		`{"type":"ok","f":"offset-fetch","process":"m","time_ns":3}`,
		`{"type":"processed","process":"m","time_ns":4,"group":"g","topic":"t","partition":1,"offsets":[7,9]}`,
		`{"type":"invoke","f":"offset-commit","process":"m","op":1,"time_ns":5,"group":"g","generation":4,"topic":"t","partition":1,"offset":10}`,
		`{"type":"invoke","f":"offset-commit","process":"m","op":2,"time_ns":5,"group":"g","generation":4,"topic":"t","partition":1,"offset":11}`,
		`{"type":"fail","f":"offset-commit","process":"m","op":1,"time_ns":6,"error":"ILLEGAL_GENERATION"}`,
		`{"type":"revoke","process":"m","time_ns":8,"group":"g","topic":"t","partition":1}`,
	}, "\n")+"\n"), DefaultLimits, SendDefaults{})
	if err != nil {
		t.Fatal(err)
	}
	want := []Group{{
		Name: "g", Mode: AtLeastOnce, Topics: []string{"t"},
		Holdings:  []Holding{{Generation: 4, From: 1, Until: 8}},
		Processed: []Processed{{Offset: 7, At: 4}, {Offset: 9, At: 4}},
		Commits: []GroupCommit{
			{Generation: 4, Offset: 10, Outcome: Failed, Invoked: 5, Completed: 6},
			{Generation: 4, Offset: 11, Invoked: 5, Completed: Never},
		},
		Fetches: []OffsetFetch{{Outcome: OK, Invoked: 2, Completed: 3, Offset: NoOffset}},
	}}
	if diff := cmp.Diff(want, f.Groups); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestEventsOfGroupsAreRefused(t *testing.T) {
	const (
		assign = `{"type":"assign","process":"m","time_ns":5,"group":"g","generation":4,"topic":"t","partition":0}`
		revoke = `{"type":"revoke","process":"m","time_ns":6,"group":"g","topic":"t","partition":0}`
		commit = `{"type":"invoke","f":"offset-commit","process":"m","time_ns":5,"group":"g","generation":4,"topic":"t","partition":0,"offset":1}`
	)
	for claim, c := range map[string]struct{ lines, want string }{
		"a group nobody named":           {strings.Replace(commit, `"g"`, `"h"`, 1), `group "h" is none`},
		"a generation below zero":        {strings.Replace(commit, `:4`, `:-4`, 1), "generation -4"},
		"an assignment of half a group":  {strings.Replace(assign, `"generation":4,`, ``, 1), "both, or neither"},
		"given back and never had":       {revoke, "does not hold"},
		"given back twice":               {assign + "\n" + revoke + "\n" + revoke, "line 4: process"},
		"given back before it was given": {assign + "\n" + strings.Replace(revoke, `:6`, `:4`, 1), "at 5 ns"},
		"processed without offsets":      {strings.Replace(revoke, "revoke", "processed", 1), "missing fields: offsets"},
		"an offset below zero":           {`{"type":"processed","process":"m","time_ns":6,"group":"g","topic":"t","partition":0,"offsets":[0,-1]}`, "offset -1"},
		"two commits at once without op": {commit + "\n" + commit, "numbers them with op"},
	} {
		t.Run(claim, func(t *testing.T) {
			_, err := Decode(strings.NewReader(groupsHeader+c.lines), DefaultLimits)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one that says %q", err, c.want)
			}
		})
	}
	twice := strings.Replace(groupsHeader, `]}]`, `]},{"group":"g","delivery":"exactly-once","topics":["t"]}]`, 1)
	if _, err := Decode(strings.NewReader(twice), DefaultLimits); err == nil || !strings.Contains(err.Error(), "names that differ") {
		t.Errorf("one group twice: %v", err)
	}
}

// How a send was sent is told by itself, by the header, or by whoever reads.
func TestSendsNeedAcksAndDelivery(t *testing.T) {
	const send = `{"type":"invoke","f":"send","process":"p","time_ns":5,"topic":"t","partition":0,"value":"x"}`
	one, single := AcksLeader, OneInFlight
	read := func(header string, sends SendDefaults) (string, error) {
		f, err := DecodeFile(strings.NewReader(header+"\n"+send), DefaultLimits, sends)
		if err != nil {
			return "", err
		}
		return fmt.Sprint(f.History.Sends[0].Acks, " ", f.History.Sends[0].Delivery), nil
	}
	if _, err := read(`{"history":"klamm","version":2}`, SendDefaults{}); err == nil || !strings.Contains(err.Error(), "acks and delivery") {
		t.Errorf("nobody told: %v", err)
	}
	if got, err := read(`{"history":"klamm","version":2}`, SendDefaults{&one, &single}); err != nil || got != "acks=1 one-in-flight" {
		t.Errorf("the reader told: %s, %v", got, err)
	}
	if got, err := read(strings.TrimSpace(eventsHeader), SendDefaults{&one, &single}); err != nil || got != "acks=all plain" {
		t.Errorf("the header told too: %s, %v", got, err)
	}
}

// What an EventWriter writes is read as it was told.
func TestEventWriterWritesWhatIsRead(t *testing.T) {
	var w EventWriter
	all, plain := AcksAll, Plain // the second send is of both kinds, the first of neither
	if err := w.Begin(File{Demands: []byte(`{"leaders":true}`), Sends: SendDefaults{&all, &plain}}); err != nil {
		t.Fatal(err)
	}
	at := Partition{"a \"topic\"", 2}
	id := func(op int64, ns Instant) EventID { return EventID{"p ä", op, ns} }
	sent := Send{Record: 9, Digest: 77, Key: KeyDigest([]byte{0xff}), Acks: AcksLeader, Delivery: OneInFlight, Tombstone: true}
	w.Send(id(1, 10), at, []byte{0xff}, sent)
	w.Send(id(2, 11), at, nil, Send{Record: 10, Digest: 78, Key: KeyDigest(nil), Acks: AcksAll})
	w.Acked(id(1, 12), 5, 1000)
	w.Ended(id(2, 13), KindSend, Unknown, "who knows")
	w.Assign(id(0, 14), at, 5)
	w.Poll(id(0, 15))
	w.Polled(id(0, 16), []PolledRecord{{at, Read{5, 9, 77, 3}}, {at, Read{6, NoRecord, 1, NoEpoch}}})
	w.ListOffsets(id(0, 17), at, ByTime, 999)
	w.Answered(id(0, 18), NoOffset, NoTimestamp)
	w.Mark(19, LogBegins, &at, 5, "")
	w.ReadBack(id(0, 20), at, 5)
	w.Back(id(0, 21), 5, 7)
	text := w.Take(nil)
	if n := bytes.Count(text, []byte(`"acks"`)); n != 2 { // the header's, and the first send's
		t.Errorf("acks are told %d times in\n%s", n, text)
	}
	f, err := DecodeFile(bytes.NewReader(text), DefaultLimits, SendDefaults{})
	if err != nil {
		t.Fatal(err)
	}
	h := f.History
	first := sent
	first.Seq, first.Outcome, first.Invoked, first.Completed, first.Offset, first.Timestamp = 0, OK, 10, 12, 5, 1000
	if diff := cmp.Diff(first, h.Sends[0]); diff != "" {
		t.Errorf("the send (-want +got):\n%s", diff)
	}
	if s := h.Sends[1]; s.Outcome != Unknown || s.Error != "who knows" || s.Seq != 1 || s.Acks != AcksAll || s.Delivery != Plain {
		t.Errorf("the other send: %+v", s)
	}
	p := h.Polls[0]
	if p.Before != 5 || p.After != 7 || p.Generation != 1 || p.Final {
		t.Errorf("the poll: %+v", p)
	}
	if diff := cmp.Diff([]Read{{5, 9, 77, 3}, {6, NoRecord, 1, NoEpoch}}, h.Records(&p)); diff != "" {
		t.Errorf("its records (-want +got):\n%s", diff)
	}
	if l, b, m := h.ListOffsets[0], h.ReadBacks[0], h.Marks[0]; l.Offset != NoOffset || l.Asked != 999 || b.LogEnd != 7 || m.Offset != 5 {
		t.Errorf("lookup %+v, read-back %+v, mark %+v", l, b, m)
	}
}

// Who writes a history may be killed while it writes.
func TestALineThatIsCutOffIsLeftOut(t *testing.T) {
	const send = `{"type":"invoke","f":"send","process":"p","time_ns":5,"topic":"t","partition":0,"value":"x"}`
	for _, c := range []struct {
		claim, lines string
		sends        int
		cutOff       int
		refused      bool
	}{
		{"a line without an end", send + "\n" + send[:50], 1, 3, false},
		{"a whole line without an end", send, 1, 0, false},
		{"a cut line that is not the last", send[:50] + "\n" + send, 0, 0, true},
		{"a whole line that is wrong", strings.Replace(send, "topic", "topik", 1), 0, 0, true},
	} {
		f, err := DecodeFile(strings.NewReader(eventsHeader+c.lines), DefaultLimits, SendDefaults{})
		if (err != nil) != c.refused {
			t.Errorf("%s: %v", c.claim, err)
		}
		if err == nil && (len(f.History.Sends) != c.sends || f.CutOff != c.cutOff) {
			t.Errorf("%s: %d sends, cut off in line %d", c.claim, len(f.History.Sends), f.CutOff)
		}
	}
}
