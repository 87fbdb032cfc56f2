package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/klammlog/klamm/node/commitlog"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/record"
)

// printText prints the report for people.
func (i *inspection) printText() error {
	var b strings.Builder
	if r := &i.report; r.Directory != "" {
		fmt.Fprintf(&b, "directory %s\n", r.Directory)
	}
	if i.report.InUse {
		b.WriteString("note: a node is using the directory; what it is just writing can look like damage\n")
	}
	i.printMetadata(&b)
	damageLines(&b, "", i.report.Damage)
	if _, err := i.out.Write([]byte(b.String())); err != nil {
		return err
	}
	for _, s := range i.report.Partitions {
		if err := i.printPartition(s); err != nil {
			return err
		}
	}
	verdict := "nothing is damaged"
	if n := i.report.Damaged; n > 0 {
		verdict = fmt.Sprintf("%d damaged", n)
	}
	_, err := fmt.Fprintln(i.out, verdict)
	return err
}

func (i *inspection) printPartition(s *commitlog.Survey) error {
	var b strings.Builder
	b.WriteString(s.Path)
	if s.TopicID != "" {
		fmt.Fprintf(&b, ": topic %s, id %s, partition %d", s.Topic, s.TopicID, s.Partition)
	}
	b.WriteByte('\n')
	if m := s.Manifest; m != nil {
		state := "not closed"
		if m.Clean {
			state = "closed"
		}
		fmt.Fprintf(&b, "  %s, log start %d, end %d, recovery point %d, %d facts, %d cuts, compacted to %d\n",
			state, m.Start, m.End, m.Durable, m.Facts, m.Cuts, m.Compact)
	}
	for _, e := range s.Epochs {
		fmt.Fprintf(&b, "  leader epoch %d from %d\n", e.Epoch, e.Start)
	}
	if _, err := i.out.Write([]byte(b.String())); err != nil {
		return err
	}
	if err := i.printSegments(s.Segments); err != nil {
		return err
	}
	b.Reset()
	for _, p := range s.Snapshots {
		fmt.Fprintf(&b, "  producers at %d: %d\n", p.Offset, p.Producers)
	}
	for _, name := range s.Leftovers {
		fmt.Fprintf(&b, "  leftover: %s\n", name)
	}
	for _, note := range s.Notes {
		fmt.Fprintf(&b, "  note: %s\n", note)
	}
	damageLines(&b, "  ", s.Damage)
	_, err := i.out.Write([]byte(b.String()))
	return err
}

func damageLines(b *strings.Builder, indent string, all []commitlog.Damage) {
	for _, d := range all {
		fmt.Fprintf(b, "%sDAMAGED: %s at %d: %s\n", indent, d.File, d.Position, d.What)
	}
}

func (i *inspection) printSegments(all []commitlog.SegmentSurvey) error {
	if len(all) == 0 {
		return nil
	}
	lines := [][]string{{"  BASE", "END", "STATE", "BYTES", "BATCHES", "RECORDS", "INDEX", "FIRST", "LARGEST TIMESTAMP"}}
	for _, s := range all {
		lines = append(lines, []string{"  " + strconv.FormatInt(int64(s.Base), 10), strconv.FormatInt(int64(s.End), 10), s.State,
			strconv.FormatInt(s.Bytes, 10), strconv.Itoa(s.Batches), strconv.FormatInt(s.Records, 10), strconv.Itoa(s.IndexEntries),
			timeCell(s.First), timeCell(s.MaxTimestamp)})
	}
	return writeColumns(i.out, lines)
}

func timeCell(ts kafka.Timestamp) string {
	if ts < 0 {
		return "-"
	}
	return time.UnixMilli(int64(ts)).UTC().Format("2006-01-02T15:04:05.000Z")
}

// batchJSON is what inspect --records prints of a batch, with the records that
// were asked for.
type batchJSON struct {
	Kind          string        `json:"_kind"`
	Version       int           `json:"_version"`
	File          string        `json:"file"`
	Position      int64         `json:"position"`
	Bytes         int           `json:"bytes"`
	Base          int64         `json:"base_offset"`
	End           int64         `json:"end_offset"`
	Epoch         int32         `json:"leader_epoch"`
	Codec         string        `json:"codec"`
	TimestampType string        `json:"timestamp_type"`
	MaxTimestamp  int64         `json:"max_timestamp"`
	Producer      int64         `json:"producer_id"`
	ProducerEpoch int16         `json:"producer_epoch"`
	Sequence      int32         `json:"base_sequence"`
	Transactional bool          `json:"transactional,omitempty"`
	Control       bool          `json:"control,omitempty"`
	Horizon       *int64        `json:"delete_horizon,omitempty"`
	Count         int32         `json:"count"`
	Records       []batchRecord `json:"records"`
	Error         string        `json:"error,omitempty"`
}

type batchRecord struct {
	Offset    int64        `json:"offset"`
	Timestamp int64        `json:"timestamp"`
	Key       *string      `json:"key"`
	KeyBytes  []byte       `json:"key_base64,omitempty"`
	Value     *string      `json:"value"`
	ValBytes  []byte       `json:"value_base64,omitempty"`
	Headers   []headerJSON `json:"headers,omitempty"`
}

// dump prints batches, up to the limit. What is damaged was told: the rest of a
// file behind it is left out. It is a task. Blocks.
func (i *inspection) dump() error {
	for _, s := range i.report.Partitions {
		for _, g := range s.Segments {
			name := g.File
			if i.place.file == "" {
				name = s.Path + "/" + g.File
			}
			var failed error
			_ = commitlog.EachBatch(i.fs, name, func(at int64, b record.Batch) bool {
				if b.EndOffset() <= kafka.Offset(i.f.from) {
					return true
				}
				if failed = i.printBatch(i.batch(name, at, b)); failed != nil {
					return false
				}
				return i.f.count == 0 || i.count < i.f.count
			})
			if failed != nil || i.f.count > 0 && i.count >= i.f.count {
				return failed
			}
		}
	}
	return nil
}

// unpackLimit bounds what a batch may become in memory.
const unpackLimit = 256 << 20

// batch describes a batch and its records from --from on.
func (i *inspection) batch(name string, at int64, b record.Batch) batchJSON {
	j := batchJSON{Kind: "klamm.batch", Version: 1, File: name, Position: at, Bytes: b.Size(), Base: int64(b.BaseOffset()),
		End: int64(b.EndOffset()), Epoch: int32(b.LeaderEpoch()), Codec: b.Compression().String(), TimestampType: "CreateTime",
		MaxTimestamp: int64(b.MaxTimestamp()), Producer: int64(b.ProducerID()), ProducerEpoch: int16(b.ProducerEpoch()),
		Sequence: int32(b.BaseSequence()), Transactional: b.Transactional(), Control: b.Control(), Count: b.Count(), Records: []batchRecord{}}
	if b.TimestampType() == record.LogAppendTime {
		j.TimestampType = "LogAppendTime"
	}
	if h, set := b.DeleteHorizon(); set {
		ms := int64(h)
		j.Horizon = &ms
	}
	it := b.Records(unpackLimit)
	for (i.f.count == 0 || i.count < i.f.count) && it.Next() {
		if it.Offset() < kafka.Offset(i.f.from) {
			continue
		}
		i.count++
		r := batchRecord{Offset: int64(it.Offset()), Timestamp: int64(it.Timestamp())}
		r.Key, r.KeyBytes = textOrBytes(it.Key())
		r.Value, r.ValBytes = textOrBytes(it.Value())
		for _, h := range it.Record().Headers {
			hj := headerJSON{Key: string(h.Key)}
			hj.Value, hj.ValBytes = textOrBytes(h.Value)
			r.Headers = append(r.Headers, hj)
		}
		j.Records = append(j.Records, r)
	}
	if err := it.Err(); err != nil {
		j.Error = err.Error()
	}
	return j
}

func (i *inspection) printBatch(j batchJSON) error {
	if i.f.output == "json" {
		return printJSON(i.out, j)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s at %d: offsets %d to %d, %d records, %d bytes, leader epoch %d, %s, %s %s", j.File, j.Position, j.Base, j.End,
		j.Count, j.Bytes, j.Epoch, j.Codec, j.TimestampType, timeCell(kafka.Timestamp(j.MaxTimestamp)))
	if j.Producer >= 0 {
		fmt.Fprintf(&b, ", producer %d epoch %d sequence %d", j.Producer, j.ProducerEpoch, j.Sequence)
	}
	for _, flag := range []struct {
		set  bool
		name string
	}{{j.Transactional, "transactional"}, {j.Control, "control"}} {
		if flag.set {
			b.WriteString(", " + flag.name)
		}
	}
	if j.Horizon != nil {
		fmt.Fprintf(&b, ", delete horizon %s", timeCell(kafka.Timestamp(*j.Horizon)))
	}
	b.WriteByte('\n')
	for _, r := range j.Records {
		fmt.Fprintf(&b, "  %d %s %s: %s", r.Offset, timeCell(kafka.Timestamp(r.Timestamp)), quoted(r.Key, r.KeyBytes), quoted(r.Value, r.ValBytes))
		for _, h := range r.Headers {
			fmt.Fprintf(&b, " %s=%s", h.Key, quoted(h.Value, h.ValBytes))
		}
		b.WriteByte('\n')
	}
	if j.Error != "" {
		fmt.Fprintf(&b, "  %s\n", j.Error)
	}
	_, err := i.out.Write([]byte(b.String()))
	return err
}

// quoted shows bytes, and that there are none.
func quoted(text *string, raw []byte) string {
	switch {
	case text != nil:
		return strconv.Quote(*text)
	case raw != nil:
		return strconv.Quote(string(raw))
	}
	return "null"
}
