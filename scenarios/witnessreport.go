package scenarios

import (
	"fmt"
	"slices"
	"strings"

	"github.com/klammlog/klamm/checker/history"
	"github.com/klammlog/klamm/internal/report"
	"github.com/klammlog/klamm/node/kafka"
)

// Report returns what a report tells of the run that the witness has seen, and that came
// to o. Who made the run, and the commands for it, are for the caller to add.
func (w *Witness) Report(o *Outcome) report.Run {
	out := &w.told
	w.schedule()
	w.healed(w.r.healedAt)
	out.Scenario, out.About, out.Seed = o.Scenario, w.r.scenario.About, o.Seed
	out.Verdict, out.Reason, out.Pending = string(o.Verdict), o.Reason, o.Pending
	out.Chain, out.End = o.Chain.String(), report.Instant(o.VirtualNanos)
	out.Options = w.options()
	byOp := w.operations(o.history)
	w.violations(o, byOp)
	w.moment(o)
	if n := w.forgotten.messages; n > 0 {
		out.Missing = append(out.Missing, fmt.Sprintf("the last %d messages: of one run %d are kept", n, keptMessages))
	}
	if n := w.forgotten.lines; n > 0 {
		out.Missing = append(out.Missing, fmt.Sprintf("%d lines of logs: of one run %d are kept, and errors", n, keptLines))
	}
	if n := w.forgotten.states - keptStates; n > 0 {
		out.Missing = append(out.Missing, fmt.Sprintf("the last %d changes of replicas and groups: of one run %d are kept", n, keptStates))
	}
	return *out
}

// violations takes over what was broken, with the operations that show it.
func (w *Witness) violations(o *Outcome, byOp map[history.OpID]int) {
	for _, v := range o.Violations {
		told := report.Violation{Guarantee: v.Guarantee, Sentence: v.Sentence}
		if i := slices.IndexFunc(Guarantees(), func(g Guarantee) bool { return g.Name == v.Guarantee }); i >= 0 {
			told.About = Guarantees()[i].Promise
		}
		for _, text := range v.Events {
			e := report.Evidence{Text: text, Operation: report.None}
			if op, ok := o.shown[text]; ok {
				if at, ok := byOp[op]; ok {
					e.Operation = at
				}
			}
			told.Evidence = append(told.Evidence, e)
		}
		w.told.Violations = append(w.told.Violations, told)
	}
}

// moment finds out when what was broken was there to be seen: when an observer
// complained, or the last of the operations that show it was answered.
func (w *Witness) moment(o *Outcome) {
	w.told.Broke = report.Never
	if len(o.Violations) == 0 {
		return
	}
	for _, e := range w.told.Violations[0].Evidence {
		if e.Operation != report.None {
			w.told.Broke = max(w.told.Broke, w.told.Operations[e.Operation].Completed)
		}
	}
	if w.told.Broke == report.Never && w.broke != kafka.Never {
		w.told.Broke = report.Instant(w.broke)
	}
}

// operations takes over what clients did, and returns where each operation is.
func (w *Witness) operations(h *history.History) map[history.OpID]int {
	at := map[history.OpID]int{}
	for id := range history.OpID(h.Ops()) {
		kind, i := h.Op(id)
		e := h.Event(id)
		op := report.Operation{Invoked: report.Instant(e.Invoked), Completed: report.Never, From: -1, End: -1, Text: e.Text}
		if e.Completed != history.Never {
			op.Completed = report.Instant(e.Completed)
		}
		switch kind {
		case history.KindSend:
			s := &h.Sends[i]
			op.Kind, op.Outcome = "send", outcomeOf(s.Outcome)
			w.place(&op, h, s.Client, s.Partition)
			if s.Offset != history.NoOffset {
				op.From, op.End = int64(s.Offset), int64(s.Offset)+1
			}
		case history.KindPoll:
			p := &h.Polls[i]
			op.Kind, op.Outcome = "poll", outcomeOf(p.Outcome)
			w.place(&op, h, p.Client, p.Partition)
			op.From, op.End, op.Records = int64(p.Before), int64(p.After), len(h.Records(p))
		case history.KindListOffsets:
			l := &h.ListOffsets[i]
			op.Kind, op.Outcome = "list-offsets", outcomeOf(l.Outcome)
			w.place(&op, h, l.Client, l.Partition)
		case history.KindReadBack:
			b := &h.ReadBacks[i]
			op.Kind, op.Outcome = "read-back", outcomeOf(b.Outcome)
			w.place(&op, h, b.Client, b.Partition)
			op.From, op.End = int64(b.LogStart), int64(b.LogEnd)
		case history.KindMark:
			if m := &h.Marks[i]; m.Kind == history.Phase {
				w.told.Phases = append(w.told.Phases, report.Phase{At: report.Instant(m.At), Name: m.Target})
			}
			continue
		}
		at[id] = len(w.told.Operations)
		w.told.Operations = append(w.told.Operations, op)
	}
	return at
}

func (w *Witness) place(op *report.Operation, h *history.History, c history.ClientID, p history.PartitionID) {
	op.Lane = w.client(h.Clients[c])
	of := h.Partitions[p]
	op.Partition = w.partition(kafka.TopicPartition{Topic: of.Topic, Partition: of.Index})
}

func outcomeOf(o history.Outcome) report.Outcome {
	switch o {
	case history.OK:
		return report.OK
	case history.Failed:
		return report.Failed
	case history.Unknown:
		return report.Unknown
	}
	return report.Pending
}

// options lists the options of the run, and where each value comes from.
func (w *Witness) options() []report.Option {
	plain := map[string]string{}
	base := Options{Flush: "ack", Keeping: defaultKeeping(), Habits: defaultHabits(), Cluster: alone()}
	for _, o := range pairsOf(base.lines()) {
		plain[o.Name] = o.Value
	}
	var out []report.Option
	for _, s := range w.r.spec.Set {
		name, value, _ := strings.Cut(s, "=")
		out = append(out, report.Option{Name: name, Value: value, Kind: report.ByHand})
	}
	for _, o := range pairsOf(w.r.options.lines()) {
		o.Kind = report.Drawn
		if value, ok := plain[o.Name]; ok && value == o.Value {
			o.Kind = report.Default
		}
		out = append(out, o)
	}
	slices.SortStableFunc(out, func(a, b report.Option) int { return int(a.Kind) - int(b.Kind) })
	return out
}

// pairsOf takes lines of name=value apart. A value in brackets may have spaces.
func pairsOf(lines []string) (out []report.Option) {
	for _, line := range lines {
		for line != "" {
			name, rest, ok := strings.Cut(line, "=")
			if !ok {
				break
			}
			end := strings.IndexByte(rest, ' ')
			if strings.HasPrefix(rest, "[") {
				if close := strings.IndexByte(rest, ']'); close >= 0 {
					end = close + 1
				}
			}
			if end < 0 || end > len(rest) {
				end = len(rest)
			}
			out = append(out, report.Option{Name: strings.TrimSpace(name), Value: rest[:end]})
			line = strings.TrimSpace(rest[end:])
		}
	}
	return out
}
