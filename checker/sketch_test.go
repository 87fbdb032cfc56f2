package checker

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/klammlog/klamm/checker/history"
)

// A sketch is a history under construction: plain values that tests change as
// they like before it is built.
type sketch struct {
	partitions int32
	sends      []history.Send
	polls      []polled
	lists      []history.ListOffsets
	backs      []history.ReadBack
	marks      []history.Mark
}

// A polled is a poll with its records.
type polled struct {
	history.Poll
	records []history.Read
}

// build records the sketch in the order of invocations. Clients are named c0, c1
// and so on; partitions p-0, p-1.
func (s *sketch) build() *history.History {
	var now history.Instant
	r := history.NewTranscriber(func() history.Instant { return now })
	for i := range s.partitions {
		r.Partition("p", i)
	}
	type step struct {
		at  history.Instant
		run func()
	}
	var steps []step
	add := func(at, end history.Instant, invoke func() (complete func())) {
		steps = append(steps, step{at, func() {
			now = at
			complete := invoke()
			now = end
			complete()
		}})
	}
	for _, m := range s.marks {
		steps = append(steps, step{m.At, func() { now = m.At; r.Mark(m) }})
	}
	for _, x := range s.sends {
		add(x.Invoked, x.Completed, func() func() { return s.buildSend(r, x) })
	}
	for _, x := range s.polls {
		add(x.Invoked, x.Completed, func() func() { return s.buildPoll(r, x) })
	}
	for _, x := range s.lists {
		s.client(r, x.Client)
		add(x.Invoked, x.Completed, func() func() {
			h := r.ListOffsets(x)
			return func() { h.Answered(x.Offset, history.NoTimestamp) }
		})
	}
	for _, x := range s.backs {
		s.client(r, x.Client)
		add(x.Invoked, x.Completed, func() func() {
			h := r.ReadBack(x.Client, x.Partition)
			return func() { h.Done(x.LogStart, x.LogEnd) }
		})
	}
	slices.SortStableFunc(steps, func(a, b step) int { return cmp.Compare(a.at, b.at) })
	for i := range steps {
		steps[i].run()
	}
	return r.History()
}

func (s *sketch) buildSend(r *history.Recorder, x history.Send) func() {
	s.client(r, x.Client)
	h := r.Send(x)
	return func() {
		switch x.Outcome {
		case history.OK:
			h.Acked(x.Offset, x.Timestamp)
		case history.Failed:
			h.Failed("invalid record")
		case history.Unknown:
			h.Unknown("timed out")
		}
	}
}

func (s *sketch) buildPoll(r *history.Recorder, x polled) func() {
	s.client(r, x.Client)
	if x.Outcome == history.OK {
		return func() { r.Polled(x.Poll, x.records) }
	}
	h := r.Poll(x.Poll)
	return func() {
		if x.Outcome != history.Pending {
			h.Failed("timed out")
		}
	}
}

// client makes sure that the client of that number exists.
func (s *sketch) client(r *history.Recorder, id history.ClientID) {
	for i := history.ClientID(0); i <= id; i++ {
		r.Client(fmt.Sprintf("c%d", i))
	}
}
