package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"

	"github.com/klammlog/klamm/checker/history"
	"github.com/klammlog/klamm/internal/conformance/talk"
	"github.com/twmb/franz-go/pkg/kadm"
)

// A journal is the history of a meeting, in the events form, as it is written.
type journal struct {
	file   string
	topics []string

	mu  sync.Mutex
	out *bufio.Writer
	w   history.EventWriter
	f   *os.File
}

// newJournal begins a history of groups that read topics.
func newJournal(file string, groups []party, topics []string) (*journal, error) {
	f, err := os.Create(file)
	if err != nil {
		return nil, err
	}
	j := &journal{file: file, topics: topics, f: f, out: bufio.NewWriter(f)}
	head := history.File{Demands: json.RawMessage(`{"leaders":true}`)}
	acks, delivery := history.AcksAll, history.Idempotent
	head.Sends = history.SendDefaults{Acks: &acks, Delivery: &delivery}
	for _, g := range groups {
		head.Groups = append(head.Groups, history.Group{Name: g.name, Mode: history.AtLeastOnce, Topics: topics})
	}
	if err := j.w.Begin(head); err != nil {
		return nil, err
	}
	return j, j.flush()
}

// flush writes what the writer has.
func (j *journal) flush() error {
	_, err := j.out.Write(j.w.Take(nil))
	return err
}

// line writes a line that a member told.
func (j *journal) line(text string) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	_, err := j.out.WriteString(text + "\n")
	return err
}

// fetched writes what a group has committed, in operations from op on; it returns the
// next.
func (j *journal) fetched(g *gathering, op int, asked int64, found kadm.OffsetResponses) int {
	told := talk.Now()
	for _, topic := range j.topics {
		for p := range int32(partitions) {
			e := talk.Event{Type: "invoke", F: "offset-fetch", Process: "watcher", Op: op, Time: asked, Group: g.name, Topic: topic, Partition: &p}
			at, ok := found.Lookup(topic, p)
			if ok && at.Err != nil {
				continue
			}
			end := talk.Event{Type: "ok", F: e.F, Process: e.Process, Op: op, Time: told}
			if ok && at.At >= 0 {
				end.Offset = &at.At
			}
			_ = j.line(e.String()) // close tells
			_ = j.line(end.String())
			op++
		}
	}
	return op
}

// topic writes what was sent to a topic and what it held in the end. Records of the
// i-th have numbers of their own.
func (j *journal) topic(o *ordeal, i int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	t := o.topics[0]
	number := func(n int) history.RecordID { return history.RecordID(n + i*o.records) }
	producer, reader := fmt.Sprint("producer-", i+1), fmt.Sprint("reader-", i+1)
	for n := 1; n < len(t.acks); n++ {
		a, r := &t.acks[n], recordOf(n, t.style, t.begin)
		at := history.Partition{Topic: t.name, Index: int32(n % partitions)}
		j.w.Send(history.EventID{Process: producer, Op: int64(n), At: history.Instant(a.Invoked)}, at, r.Key, history.Send{
			Record: number(n), Digest: digest(&r), Acks: history.AcksAll, Delivery: history.Idempotent, Tombstone: r.Value == nil,
		})
		j.w.Acked(history.EventID{Process: producer, Op: int64(n), At: history.Instant(a.Completed)}, history.Offset(a.Offset), history.NoTimestamp)
	}
	id := func(op int, at int64) history.EventID {
		return history.EventID{Process: reader, Op: int64(op), At: history.Instant(at)}
	}
	for p, b := range t.back {
		j.w.ReadBack(id(p+1, b.invoked), history.Partition{Topic: t.name, Index: int32(p)}, history.Offset(b.begin))
	}
	for k, poll := range inPieces(t.final) {
		j.w.Poll(id(k+1, poll.Invoked))
		records := make([]history.PolledRecord, len(poll.Records))
		for i := range poll.Records {
			r := &poll.Records[i]
			records[i] = history.PolledRecord{Partition: history.Partition{Topic: poll.Topic, Index: poll.Partition}, Read: history.Read{
				Offset: history.Offset(r.Offset), Record: number(numberOf(&r.Record)), Digest: digest(&r.Record), Epoch: history.NoEpoch,
			}}
		}
		j.w.Polled(id(k+1, poll.Completed), records)
	}
	for p, b := range t.back {
		j.w.Back(id(p+1, b.completed), history.Offset(b.begin), history.Offset(b.end))
	}
}

// verdict is what is needed of what klamm check prints.
type verdict struct {
	Verdict, Reason string
	Operations      int
	Groups          struct {
		Repeated int
		Verdicts []struct {
			Guarantee, Status string
			Checked           int
		} `json:"group_verdicts"`
	}
}

// check ends the history and has it judged.
func (j *journal) check(klamm string) error {
	if err := errors.Join(j.flush(), j.out.Flush(), j.f.Close()); err != nil {
		return err
	}
	said, failed := exec.Command(klamm, "check", "-o", "json", j.file).Output()
	var v verdict
	if err := json.Unmarshal(said, &v); err != nil {
		return fmt.Errorf("klamm check: %w: %s", errors.Join(failed, err), said)
	}
	for _, g := range v.Groups.Verdicts {
		fmt.Printf("%s: %s, %d checked\n", g.Guarantee, g.Status, g.Checked)
	}
	if failed != nil {
		text, _ := exec.Command(klamm, "check", j.file).CombinedOutput() // it fails again
		return fmt.Errorf("klamm check: %w: %s\n%s", failed, v.Reason, text)
	}
	fmt.Printf("klamm check: %s, %d operations, %d records processed again\n", v.Verdict, v.Operations, v.Groups.Repeated)
	return nil
}
