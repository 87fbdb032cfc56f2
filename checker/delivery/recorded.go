package delivery

import (
	"fmt"
	"slices"

	"github.com/klammlog/klamm/checker/history"
)

// Recorded returns what a history of the events form tells of groups. What each is
// owed is what was read back in the end of its topics; where it cannot be told,
// since a partition was not read back, missing says so.
func Recorded(f *history.File) (out *History, missing []string) {
	h := f.History
	out = &History{Names: make([]string, len(h.Partitions)), Records: make([][]Offset, len(h.Partitions))}
	read := make([]bool, len(h.Partitions))
	for i := range h.ReadBacks {
		b := &h.ReadBacks[i]
		read[b.Partition] = read[b.Partition] || b.Outcome == history.OK
	}
	for i := range h.Polls {
		if p := &h.Polls[i]; p.Final {
			for _, r := range h.Records(p) {
				out.Records[p.Partition] = append(out.Records[p.Partition], Offset(r.Offset))
			}
		}
	}
	for i := range h.Partitions {
		out.Names[i] = h.Partitions[i].String()
		slices.Sort(out.Records[i])
		out.Records[i] = slices.Compact(out.Records[i])
	}
	for i := range f.Groups {
		g := recorded(h, &f.Groups[i])
		for _, topic := range f.Groups[i].Topics {
			if !slices.ContainsFunc(h.Partitions, func(p history.Partition) bool { return p.Topic == topic }) {
				missing = append(missing, fmt.Sprintf("group %s: nothing is told of topic %s", g.Name, topic))
			}
		}
		for _, p := range g.Partitions {
			if !read[p] {
				missing = append(missing, fmt.Sprintf("group %s: %s was not read back", g.Name, out.Names[p]))
			}
		}
		out.Groups = append(out.Groups, g)
	}
	return out, missing
}

// recorded returns one group.
func recorded(h *history.History, from *history.Group) Group {
	g := Group{Name: from.Name, Partitions: []int32{}}
	g.Mode = [...]Mode{history.AtMostOnce: CommitFirst, history.AtLeastOnce: ProcessFirst, history.ExactlyOnce: WithOutput}[from.Mode]
	for i, p := range h.Partitions {
		if slices.Contains(from.Topics, p.Topic) {
			g.Partitions = append(g.Partitions, int32(i))
		}
	}
	for _, p := range from.Processed {
		g.Outputs = append(g.Outputs, Output{int32(p.Partition), Offset(p.Offset), h.Clients[p.Client]})
	}
	for _, x := range from.Holdings {
		out := Holding{h.Clients[x.Client], x.Generation, int32(x.Partition), Instant(x.From), Instant(x.Until)}
		if x.Until == history.Never {
			out.Until = 0
		}
		g.Holdings = append(g.Holdings, out)
	}
	for _, c := range from.Commits {
		out := Commit{h.Clients[c.Client], c.Generation, int32(c.Partition), Offset(c.Offset), Instant(c.Invoked), Instant(c.Completed), Unknown}
		switch c.Outcome {
		case history.OK:
			out.Outcome = Done
		case history.Failed:
			out.Outcome = Refused
		}
		g.Commits = append(g.Commits, out)
	}
	for _, f := range from.Fetches {
		if f.Outcome == history.OK {
			g.Fetches = append(g.Fetches, Fetch{h.Clients[f.Client], int32(f.Partition), Offset(f.Offset), Instant(f.Invoked), Instant(f.Completed)})
		}
	}
	return g
}
