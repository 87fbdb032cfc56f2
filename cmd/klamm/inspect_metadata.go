package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/klammlog/klamm/node/commitlog"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
	"github.com/klammlog/klamm/node/quorum"
)

// metadataJSON is what inspect prints of the controllers' log and snapshots.
type metadataJSON struct {
	State     *voteJSON      `json:"state"` // null: the node is no controller
	Snapshots []snapshotJSON `json:"snapshots"`
	Entries   int            `json:"entries"`
	Start     int64          `json:"start_offset"` // of the first entry, -1 without any
	End       int64          `json:"end_offset"`
}

// voteJSON is the hard state of a controller.
type voteJSON struct {
	Term      uint64         `json:"term"`
	Vote      kafka.NodeID   `json:"vote"` // -1: none
	Committed int64          `json:"committed"`
	Began     []kafka.NodeID `json:"began_with"`
}

// snapshotJSON is one snapshot of the image.
type snapshotJSON struct {
	File     string         `json:"file"`
	Offset   int64          `json:"offset"`
	Term     uint64         `json:"term"`
	Bytes    int            `json:"bytes"`
	Records  int            `json:"records"`
	Voters   []kafka.NodeID `json:"voters"`
	Learners []kafka.NodeID `json:"learners"`
}

// entryJSON is what inspect --metadata prints of an entry, and of a snapshot's
// records.
type entryJSON struct {
	Kind      string   `json:"_kind"`
	Version   int      `json:"_version"`
	Snapshot  string   `json:"snapshot,omitempty"`
	Offset    int64    `json:"offset"`
	Term      uint64   `json:"term"`
	Timestamp int64    `json:"timestamp"`
	Bytes     int      `json:"bytes"`
	Records   []string `json:"records"`
	Members   string   `json:"members,omitempty"`
}

// metadata looks at the controllers' files, if there are any. Blocks.
func (i *inspection) metadata() error {
	q, err := quorum.Inspect(i.fs, ".")
	if errors.Is(err, env.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	j := &metadataJSON{Snapshots: []snapshotJSON{}, Start: -1, End: -1}
	if s := q.State; s != nil {
		j.State = &voteJSON{s.Term, s.Vote, int64(s.Committed), s.Began}
	}
	for _, s := range q.Snapshots {
		j.Snapshots = append(j.Snapshots, snapshotJSON{s.Name, int64(s.Offset), s.Term, s.Bytes, len(s.Records), orNone(s.Voters), orNone(s.Learners)})
	}
	for _, what := range q.Damage {
		i.report.Damage = append(i.report.Damage, commitlog.Damage{File: quorum.Path, What: what})
	}
	err = q.Entries(func(e quorum.EntryView) bool {
		if j.Entries++; j.Start < 0 {
			j.Start = int64(e.Offset)
		}
		j.End = int64(e.Offset) + 1
		return true
	})
	if err != nil && !errors.Is(err, env.ErrNotExist) {
		i.report.Damage = append(i.report.Damage, commitlog.Damage{File: quorum.MetadataPath, What: err.Error()})
	}
	i.report.Metadata = j
	i.quorum = q
	return nil
}

func orNone(ids []kafka.NodeID) []kafka.NodeID {
	if ids == nil {
		return []kafka.NodeID{}
	}
	return ids
}

// printMetadata prints the controllers' files for people.
func (i *inspection) printMetadata(b *strings.Builder) {
	m := i.report.Metadata
	if m == nil {
		return
	}
	if s := m.State; s != nil {
		vote := "nobody"
		if s.Vote != meta.NoLeader {
			vote = fmt.Sprint(s.Vote)
		}
		fmt.Fprintf(b, "controller: term %d, voted for %s, committed %d\n", s.Term, vote, s.Committed)
	}
	fmt.Fprintf(b, "metadata: %d entries, from offset %d to %d\n", m.Entries, m.Start, m.End)
	for _, s := range m.Snapshots {
		fmt.Fprintf(b, "  snapshot %s: below offset %d, term %d, %d bytes, %d records, voters %s\n",
			s.File, s.Offset, s.Term, s.Bytes, s.Records, nodesCell(s.Voters))
	}
}

// dumpMetadata prints the records of snapshots and entries, within the limits. It is
// a task. Blocks.
func (i *inspection) dumpMetadata() error {
	if i.quorum == nil {
		return nil
	}
	for _, s := range i.quorum.Snapshots {
		err := i.printEntry(entryJSON{Snapshot: s.Name, Offset: int64(s.Offset), Term: s.Term, Timestamp: -1, Bytes: s.Bytes, Records: namesOf(s.Records)})
		if err != nil {
			return err
		}
	}
	var failed error
	left := i.f.count
	err := i.quorum.Entries(func(e quorum.EntryView) bool {
		if int64(e.Offset) < i.f.from {
			return true
		}
		failed = i.printEntry(entryJSON{Offset: int64(e.Offset), Term: e.Term, Timestamp: int64(e.Written), Bytes: e.Bytes,
			Records: namesOf(e.Records), Members: e.Members})
		left--
		return failed == nil && left != 0
	})
	if errors.Is(err, env.ErrNotExist) || len(i.report.Damage) > 0 {
		err = nil // it was told
	}
	return errors.Join(failed, err)
}

// namesOf returns records as text.
func namesOf(records []meta.Record) []string {
	out := []string{}
	for _, r := range records {
		out = append(out, strings.TrimPrefix(fmt.Sprintf("%T%+v", r, r), "meta."))
	}
	return out
}

func (i *inspection) printEntry(e entryJSON) error {
	e.Kind, e.Version = "klamm.entry", 1
	if i.f.output == "json" {
		return printJSON(i.out, e)
	}
	var b strings.Builder
	switch {
	case e.Snapshot != "":
		fmt.Fprintf(&b, "snapshot %s\n", e.Snapshot)
	case e.Members != "":
		fmt.Fprintf(&b, "offset %d term %d: %s\n", e.Offset, e.Term, e.Members)
	case len(e.Records) == 0:
		fmt.Fprintf(&b, "offset %d term %d: the term begins\n", e.Offset, e.Term)
	default:
		fmt.Fprintf(&b, "offset %d term %d\n", e.Offset, e.Term)
	}
	for _, r := range e.Records {
		fmt.Fprintf(&b, "  %s\n", r)
	}
	_, err := i.out.Write([]byte(b.String()))
	return err
}
