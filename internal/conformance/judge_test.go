package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/klammlog/klamm/checker"
	"github.com/klammlog/klamm/checker/history"
	"github.com/klammlog/klamm/internal/conformance/talk"
)

func TestRecordsAreRecognised(t *testing.T) {
	for _, s := range []style{binary, text} {
		for n := 1; n <= 3000; n++ {
			r, again := recordOf(n, s, 1_700_000_000_000), recordOf(n, s, 1_700_000_000_000)
			if got := numberOf(&r); got != n {
				t.Fatalf("record %d is taken for %d", n, got)
			}
			if d := difference(&r, &again); d != "" {
				t.Fatalf("record %d differs from itself: %s", n, d)
			}
		}
	}
}

func TestDifferencesAreSeen(t *testing.T) {
	want := recordOf(2, binary, 1000) // with headers
	for name, change := range map[string]func(*talk.Record){
		"key":          func(r *talk.Record) { r.Key = nil },
		"value":        func(r *talk.Record) { r.Value = append(r.Value, 0) },
		"timestamp":    func(r *talk.Record) { r.Timestamp++ },
		"header lost":  func(r *talk.Record) { r.Headers = r.Headers[1:] },
		"header value": func(r *talk.Record) { r.Headers[2].Value = nil }, // was empty
		"header order": func(r *talk.Record) { r.Headers[0], r.Headers[1] = r.Headers[1], r.Headers[0] },
	} {
		got := recordOf(2, binary, 1000)
		change(&got)
		if difference(&want, &got) == "" {
			t.Errorf("%s: not seen", name)
		}
	}
}

// told returns a topic of 9 records that went as it should: three in each partition,
// acknowledged and read back.
func told() *topic {
	const records = 9
	t := &topic{name: "t", codec: "none", style: binary, begin: 1_700_000_000_000, invoked: make([]int64, records+1), acks: make([]talk.Ack, records+1)}
	for p := range t.back {
		t.back[p] = interval{invoked: 1000, completed: 2000, end: records / partitions}
		t.final = append(t.final, talk.Poll{Topic: "t", Partition: int32(p), Invoked: 1100, Completed: 1900, After: records / partitions})
	}
	for n := 1; n <= records; n++ {
		offset := int64((n - 1) / partitions)
		t.acks[n] = talk.Ack{Number: n, Invoked: int64(10 * n), Completed: int64(10*n) + 500, Offset: offset, Timestamp: -1}
		p := &t.final[n%partitions]
		p.Records = append(p.Records, talk.Read{Offset: offset, Record: recordOf(n, binary, t.begin)})
	}
	return t
}

// appendAgain has a partition hold one of its records a second time, at its end.
func (t *topic) appendAgain(partition, i int) {
	p := &t.final[partition]
	r := p.Records[i]
	r.Offset = p.After
	p.Records = append(p.Records, r)
	p.After++
	t.back[partition].end++
}

// What goes wrong in a topic is in the history that klamm check gets, too.
func TestHistoriesShowWhatWentWrong(t *testing.T) {
	for _, c := range []struct {
		name       string
		idempotent idempotence
		change     func(*topic)
		broken     checker.Guarantee // "" for none
	}{
		{"nothing", idempotent, func(*topic) {}, ""},
		{"an acknowledged record is lost", idempotent, func(t *topic) {
			t.final[1].Records, t.final[1].After, t.back[1].end = t.final[1].Records[:2], 2, 2
		}, checker.NoLostAck},
		{"a record is there twice", idempotent, func(t *topic) { t.appendAgain(1, 2) }, checker.NoDuplicate},
		{"a record is there twice, without idempotence", oneInFlight, func(t *topic) { t.appendAgain(1, 2) }, ""},
		{"a record has other bytes", idempotent, func(t *topic) {
			t.final[2].Records[1].Value = append(t.final[2].Records[1].Value, 'x')
		}, checker.NoInvention},
	} {
		topic := told()
		c.change(topic)
		file := filepath.Join(t.TempDir(), "history.jsonl")
		o := &ordeal{program: &program{idempotent: c.idempotent}, records: 9}
		if err := o.writeHistory(topic, file); err != nil {
			t.Fatal(err)
		}
		report := judged(t, file)
		if c.broken == "" && report.Status() != checker.Held {
			t.Errorf("%s: %v", c.name, report)
		}
		if c.broken != "" && report.Verdict(c.broken).Status != checker.Violated {
			t.Errorf("%s: %s is not seen to be broken", c.name, c.broken)
		}
	}
}

func judged(t *testing.T, file string) *checker.Report {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	h, err := history.Decode(f, history.DefaultLimits)
	if err != nil {
		t.Fatal(err)
	}
	r := checker.Judge(h, checker.Demands{})
	return &r
}

// A batch that was written again leaves the order alone, two records that changed
// places do not.
func TestOrderIsThatOfFirstAppearance(t *testing.T) {
	again := told()
	again.appendAgain(1, 0)
	again.appendAgain(1, 1)
	if err := again.inOrder(); err != nil {
		t.Error(err)
	}
	swapped := told()
	r := swapped.final[1].Records
	r[0], r[1] = r[1], r[0]
	if err := swapped.inOrder(); err == nil {
		t.Error("records that changed places are not seen")
	}
}

func TestLookupsAreComparedWithAllRecords(t *testing.T) {
	topic := told()
	first := topic.timestamps(0)[0]
	for _, c := range []struct {
		asked, answer int64
		right         bool
	}{
		{first, 0, true}, {first - 5, 0, true}, {first + 1, 1, true}, {first + 1, 0, false}, {first + 1, 2, false}, {first + 1e6, -1, true}, {first + 1e6, 3, false},
	} {
		topic.lookups = []talk.Lookup{{Topic: "t", Asked: c.asked, Offset: c.answer}}
		if err := topic.lookedUp(); (err == nil) != c.right {
			t.Errorf("first record from %d on: answer %d: %v", c.asked-first, c.answer, err)
		}
	}
}

func TestLargePollsAreCutWithoutAGap(t *testing.T) {
	p := talk.Poll{Topic: "t", Before: 7, Records: make([]talk.Read, 2*pollPiece+1)}
	for i := range p.Records {
		p.Records[i].Offset = int64(10 + 2*i) // compacted
	}
	p.After = p.Records[2*pollPiece].Offset + 5
	next, records := p.Before, 0
	pieces := inPieces([]talk.Poll{p})
	for _, piece := range pieces {
		if piece.Before != next || len(piece.Records) > pollPiece || piece.Records[0].Offset < piece.Before {
			t.Fatalf("a piece of %d records from %d on, behind %d", len(piece.Records), piece.Before, next)
		}
		next, records = piece.After, records+len(piece.Records)
	}
	if next != p.After || records != len(p.Records) || len(pieces) != 3 {
		t.Errorf("%d pieces of %d records up to %d", len(pieces), records, next)
	}
}
