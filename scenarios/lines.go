package scenarios

import (
	"log/slog"
	"slices"

	"github.com/klammlog/klamm/checker/history"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/sim"
)

// Lines returns what clients did, and what befell the run, as lines like those that nodes
// trace: an operation when it began, with how it ended. Their order is that of time.
func (o *Outcome) Lines() []sim.Line {
	h := o.history
	var out []sim.Line
	add := func(op history.OpID, client string, p history.PartitionID) {
		e := h.Event(op)
		l := sim.Line{At: kafka.Instant(e.Invoked), Node: client, Event: e.Text}
		if client != "" {
			l.Attrs = append(l.Attrs, slog.String("client", client))
		}
		if p != history.NoPartition {
			l.Attrs = append(l.Attrs, slog.String("partition", h.Partitions[p].String()))
		}
		out = append(out, l)
	}
	for op := range history.OpID(h.Ops()) {
		switch kind, i := h.Op(op); kind {
		case history.KindSend:
			add(op, h.Clients[h.Sends[i].Client], h.Sends[i].Partition)
		case history.KindPoll:
			add(op, h.Clients[h.Polls[i].Client], h.Polls[i].Partition)
		case history.KindListOffsets:
			add(op, h.Clients[h.ListOffsets[i].Client], h.ListOffsets[i].Partition)
		case history.KindReadBack:
			add(op, h.Clients[h.ReadBacks[i].Client], h.ReadBacks[i].Partition)
		case history.KindMark:
			add(op, "", h.Marks[i].Partition)
		}
	}
	slices.SortStableFunc(out, func(a, b sim.Line) int { return int(min(max(a.At-b.At, -1), 1)) })
	return out
}
