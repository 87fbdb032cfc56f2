package main

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/klammlog/klamm/checker/history"
	"github.com/klammlog/klamm/scenarios"
)

// A class is what a producer asked for.
type class struct {
	Acks     int8
	Delivery history.Delivery // with acks=all
}

// classes are all there are, the weakest first. Idempotence needs acks=all.
var classes = []class{{Acks: 0}, {Acks: 1}, {-1, history.OneInFlight}, {-1, history.Plain}, {-1, history.Idempotent}}

func (c class) acks() string {
	if c.Acks < 0 {
		return "all"
	}
	return fmt.Sprint(c.Acks)
}

// A fate is what became of the sends of a class, by its number, as whoever reads everything in
// the end finds it. It is counted, not judged: what was promised is not asked.
type fate struct {
	Sends int    `json:"sends"` // acknowledged; with acks=0 all that were not refused
	Lost  int    `json:"lost"`  // of them
	Twice int    `json:"twice"` // records at two offsets, acknowledged or not
	Lose  string `json:"lose,omitempty"`
	Dup   string `json:"dup,omitempty"` // the first of each, as a sentence
}

// tally counts what became of the sends of a run. Partitions that nobody could
// read back to their ends are left out, and what was removed on purpose.
func tally(o *scenarios.Outcome) ([]fate, error) {
	var b bytes.Buffer
	if err := o.WriteHistory(&b); err != nil {
		return nil, err
	}
	h, err := history.Decode(&b, history.DefaultLimits)
	if err != nil {
		return nil, err
	}
	at := make(map[history.PartitionID]map[history.RecordID]int)
	start := make(map[history.PartitionID]history.Offset)
	for _, r := range h.ReadBacks {
		if r.Outcome == history.OK {
			at[r.Partition], start[r.Partition] = make(map[history.RecordID]int), r.LogStart
		}
	}
	for i := range h.Polls {
		if p := &h.Polls[i]; p.Final && at[p.Partition] != nil {
			for _, r := range h.Records(p) {
				at[p.Partition][r.Record]++
			}
		}
	}
	fates := make([]fate, len(classes))
	for i := range h.Sends {
		s := &h.Sends[i]
		if found := at[s.Partition]; found != nil && !mayGo(s, start[s.Partition]) {
			countFate(&fates[classOf(s)], h, s, found[s.Record])
		}
	}
	return fates, nil
}

// mayGo reports whether a send's record may be below the start of its log, where
// retention and operators have removed it.
func mayGo(s *history.Send, start history.Offset) bool {
	return start > 0 && (s.Offset == history.NoOffset || s.Offset < start)
}

// classOf returns the number of a send's class. Of those that do not wait for all
// replicas there is one each.
func classOf(s *history.Send) int {
	switch {
	case s.Acks == history.AcksNone:
		return 0
	case s.Acks == history.AcksLeader:
		return 1
	}
	return slices.Index(classes, class{-1, s.Delivery})
}

func countFate(f *fate, h *history.History, s *history.Send, times int) {
	counts := s.Outcome == history.OK || s.Acks == history.AcksNone && s.Outcome == history.Unknown
	if counts {
		f.Sends++
	}
	if counts && times == 0 {
		if f.Lost++; f.Lose == "" {
			f.Lose = h.Event(s.Op).Text
		}
	}
	if times > 1 {
		if f.Twice++; f.Dup == "" {
			f.Dup = h.Event(s.Op).Text
		}
	}
}
