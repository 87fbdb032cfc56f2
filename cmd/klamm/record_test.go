package main

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/klammlog/klamm/checker"
	"github.com/klammlog/klamm/checker/history"
	"github.com/klammlog/klamm/node/config"
)

// A witness is where a history is written to. When so many acknowledgements are in
// it, something happens to the broker; the next thing only after that.
type witness struct {
	bytes.Buffer
	acked int
	due   []happening
}

type happening struct {
	at   int
	what func()
}

// Write implements io.Writer.
func (w *witness) Write(b []byte) (int, error) {
	w.acked += bytes.Count(b, []byte(`{"type":"ok","f":"send"`))
	for len(w.due) > 0 && w.acked >= w.due[0].at {
		w.due[0].what()
		w.due = w.due[1:]
	}
	return w.Buffer.Write(b)
}

// recorded runs klamm record against an address, and klamm check on what it wrote.
func recorded(t *testing.T, w *witness, address string, args ...string) (checkJSON, int) {
	t.Helper()
	var errs, out bytes.Buffer
	if code := execute(append([]string{"record", "t", "-b", address}, args...), streams{nil, w, &errs}); code != 0 {
		t.Fatalf("record: code %d: %s", code, &errs)
	}
	if len(w.due) > 0 {
		t.Fatalf("%d acknowledgements, and %d things never happened: %s", w.acked, len(w.due), &errs)
	}
	code := execute([]string{"check", "-", "-o", "json"}, streams{&w.Buffer, &out, &out})
	var j checkJSON
	if err := json.Unmarshal(out.Bytes(), &j); err != nil {
		t.Fatalf("%v: %s", err, &out)
	}
	return j, code
}

func TestRecordedRunsSurviveARestartAndAKill(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		claim string
		args  []string
		all   bool // everything is acknowledged in the end
	}{
		{"idempotent", nil, true},
		{"acks=1", []string{"--acks", "1", "--keys", "0"}, false},
	} {
		t.Run(c.claim, func(t *testing.T) {
			m := &mortal{t: t, dir: t.TempDir()}
			m.start()
			end := func(s syscall.Signal) func() {
				return func() { m.signal(s); m.awaitEnd(s); m.start() }
			}
			w := &witness{due: []happening{{500, end(syscall.SIGTERM)}, {1500, end(syscall.SIGKILL)}}}
			j, code := recorded(t, w, m.address, append(c.args, "--records", "4000", "--rate", "4000", "--partitions", "3", "--note", "x")...)
			if code != 0 || j.Verdict != checker.Held || j.Note != "x" {
				t.Fatalf("code %d, %s: %s\n%s", code, j.Verdict, j.Reason, &j.Report)
			}
			if n := j.Counts; n.Sends != 4000 || n.ReadBacks != 3 || n.Records < 3*n.Acked || c.all && n.Acked != 4000 || n.Acked < 2000 {
				t.Errorf("%+v", n)
			}
		})
	}
}

// What a broker loses is told: here with the topic, which somebody makes anew.
func TestRecordTellsWhatIsLost(t *testing.T) {
	t.Parallel()
	p, err := startProcess([]config.Pair{
		{Name: "listeners", Value: "PLAINTEXT://127.0.0.1:0"}, {Name: "log.dirs", Value: t.TempDir()}, {Name: "log.flush", Value: "os"},
	}, os.Stderr, "error")
	if err != nil {
		t.Fatal(err)
	}
	defer p.stop()
	var out bytes.Buffer
	do := func(args ...string) {
		if code := execute(append(args, "-b", p.address()), streams{nil, &out, &out}); code != 0 {
			t.Fatalf("%v: %s", args, &out)
		}
	}
	w := &witness{due: []happening{{300, func() { do("topic", "delete", "t"); do("topic", "create", "t", "-p", "2") }}}}
	j, code := recorded(t, w, p.address(), "--records", "1500", "--rate", "3000", "--partitions", "2")
	if v := j.Report.Verdict(checker.NoLostAck); code != exitViolated || v.Status != checker.Violated {
		t.Errorf("code %d, %s", code, &j.Report)
	}
}

// A topic that held records before is judged from there on.
func TestRecordBeginsWhereTheTopicEnds(t *testing.T) {
	t.Parallel()
	p, err := startProcess([]config.Pair{
		{Name: "listeners", Value: "PLAINTEXT://127.0.0.1:0"}, {Name: "log.dirs", Value: t.TempDir()}, {Name: "log.flush", Value: "os"},
	}, os.Stderr, "error")
	if err != nil {
		t.Fatal(err)
	}
	defer p.stop()
	for _, args := range [][]string{{"--partitions", "2"}, {"--acks", "0", "--keys", "0"}, {"-z", "zstd", "--consumers", "0"}} {
		j, code := recorded(t, &witness{}, p.address(), append(args, "--records", "300", "--rate", "0", "--value-size", "40")...)
		want, acked := 0, 300
		if args[0] == "--acks" {
			want = exitInconclusive // or held: there is nothing to lose
		}
		if code != 0 && code != want || j.Counts.Acked != acked || len(j.Skipped) > 0 {
			t.Errorf("%v: code %d, %s", args, code, &j.Report)
		}
	}
}

func TestRecordRefuses(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"--producers 0", "--producers 0"},
		{"--value-size 5", "--value-size 5: want 32"},
		{"--acks 3", `--acks "3": want 0, 1 or all`},
		{"--flush now", `flush "now"`},
		{"--out /no/such/folder/x", "no such file or directory"},
		{"-b localhost", "want HOST:PORT"},
	} {
		var out bytes.Buffer
		code := execute(append([]string{"record", "t"}, strings.Fields(c.args)...), streams{nil, &out, &out})
		if code != exitUsage || !strings.Contains(out.String(), c.want) {
			t.Errorf("%s: code %d: %s", c.args, code, &out)
		}
	}
}

// What may go is found out from the topic, and changed by flags.
func TestRecordFindsOutWhatIsPromised(t *testing.T) {
	t.Parallel()
	p := throwAway(t)
	defer p.stop()
	for i, c := range []struct {
		claim    string
		settings []string
		args     []string
		want     checker.Demands
	}{
		{"nothing may go", nil, nil, checker.Demands{}},
		{"a compacted topic", []string{"cleanup.policy=compact"}, nil, checker.Demands{Compaction: true}},
		{"retention by size", []string{"retention.bytes=1000000"}, nil, checker.Demands{Retention: true}},
		{"retention by time", []string{"retention.ms=60000"}, nil, checker.Demands{Retention: true}},
		{"retention that is far off", []string{"retention.ms=99999999999"}, nil, checker.Demands{}},
		{"flags win", []string{"cleanup.policy=compact"}, []string{"--compacted=false", "--leaders"}, checker.Demands{Leaders: true}},
	} {
		topic := "topic-" + string(rune('a'+i))
		create := []string{"topic", "create", topic, "-b", p.address()}
		for _, s := range c.settings {
			create = append(create, "-c", s)
		}
		var out, errs bytes.Buffer
		if code := execute(create, streams{nil, &out, &errs}); code != 0 {
			t.Fatalf("%s: %s", c.claim, &errs)
		}
		out.Reset()
		code := execute(append([]string{"record", topic, "-b", p.address(), "--records", "20", "--rate", "0", "--consumers", "0"}, c.args...),
			streams{nil, &out, &errs})
		f, err := history.DecodeFile(&out, history.DefaultLimits, history.SendDefaults{})
		if code != 0 || err != nil {
			t.Fatalf("%s: code %d, %v: %s", c.claim, code, err, &errs)
		}
		if got, err := readDemands(f.Demands); err != nil || got != c.want {
			t.Errorf("%s: %+v, %v", c.claim, got, err)
		}
	}
}

// Brokers that are not klamm's are asked and judged as any.
func TestRecordWorksWithForeignBrokers(t *testing.T) {
	t.Parallel()
	foreign, err := kfake.NewCluster(kfake.NumBrokers(3), kfake.SeedTopics(4, "t"))
	if err != nil {
		t.Fatal(err)
	}
	defer foreign.Close()
	j, code := recorded(t, &witness{}, strings.Join(foreign.ListenAddrs(), ","), "--records", "2000", "--rate", "0")
	if code != 0 || j.Counts.Acked != 2000 || j.Partitions != 4 || !j.Demands.Leaders {
		t.Errorf("code %d, demands %+v, %s", code, j.Demands, &j.Report)
	}
}
