package checker

import "github.com/klammlog/klamm/checker/history"

// pending returns the first operations without an answer, and how many there are.
//
// After the faults of a run are healed for good, every operation must be
// answered; what is not is the evidence that something is stuck.
func pending(h *history.History) (kept []history.Event, total int) {
	eachPending(h, func(op history.OpID) {
		total++
		if len(kept) < KeptViolations {
			kept = append(kept, h.Event(op))
		}
	})
	return kept, total
}

// eachPending calls f for the operations without an answer: sends, polls,
// lookups, read-backs, each in recording order.
func eachPending(h *history.History, f func(history.OpID)) {
	for i := range h.Sends {
		if h.Sends[i].Outcome == history.Pending {
			f(h.Sends[i].Op)
		}
	}
	for i := range h.Polls {
		if h.Polls[i].Outcome == history.Pending {
			f(h.Polls[i].Op)
		}
	}
	for i := range h.ListOffsets {
		if h.ListOffsets[i].Outcome == history.Pending {
			f(h.ListOffsets[i].Op)
		}
	}
	for i := range h.ReadBacks {
		if h.ReadBacks[i].Outcome == history.Pending {
			f(h.ReadBacks[i].Op)
		}
	}
}
