package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/scenarios"
)

// printClusterState prints what a simulated cluster is at one instant, in tables.
func printClusterState(out io.Writer, s scenarios.ClusterState) error {
	fmt.Fprintf(out, "\n%s, event#%d, phase %s\n", s.At, s.Events, s.Phase)
	for _, f := range s.Faults {
		fmt.Fprintf(out, "  under way: %s\n", f)
	}
	for _, table := range [][][]string{nodeTable(s), partitionTable(s), groupTable(s)} {
		if len(table) < 2 {
			continue
		}
		fmt.Fprintln(out)
		if err := writeColumns(out, table); err != nil {
			return err
		}
	}
	fmt.Fprintln(out)
	for _, p := range s.Pending {
		fmt.Fprintf(out, "  pending: %s\n", p)
	}
	return nil
}

func nodeTable(s scenarios.ClusterState) [][]string {
	lines := [][]string{{"NODE", "STARTS", "TASKS", "CLOCK", "METADATA", "CONTROLLER", "TERM", "COMMITTED", "DOING"}}
	for _, n := range s.Nodes {
		role, term, committed, applied := "-", "-", "-", "-"
		if c := n.Controller; c != nil {
			role, term, committed = c.Role, fmt.Sprint(c.Term), fmt.Sprint(c.Committed)
			if c.Active {
				role = "active"
			}
		}
		if n.Applied >= 0 {
			applied = fmt.Sprint(n.Applied)
		}
		ahead := "right"
		if n.ClockAhead != 0 {
			ahead = fmt.Sprintf("%+dms", n.ClockAhead)
		}
		lines = append(lines, []string{n.Name, fmt.Sprint(n.Starts), fmt.Sprint(n.Tasks), ahead, applied, role, term, committed, n.Doing})
	}
	return lines
}

// partitionTable has a line for each replica, the leader's first.
func partitionTable(s scenarios.ClusterState) [][]string {
	lines := [][]string{{"PARTITION", "LEADER", "EPOCH", "IN-SYNC", "REPLICA", "ROLE", "EPOCH", "START", "HIGH", "DURABLE", "END", "NOTE"}}
	for _, p := range s.Partitions {
		head := []string{p.Partition, nodeOrNone(p.Leader), fmt.Sprint(p.LeaderEpoch), idList(p.InSync)}
		replicas := slices.Clone(p.Replicas)
		slices.SortStableFunc(replicas, func(a, b kafka.NodeID) int { return rankOf(b, p.Leader) - rankOf(a, p.Leader) })
		for _, id := range replicas {
			row := append(slices.Clone(head), fmt.Sprint(id))
			if i := slices.IndexFunc(p.Copies, func(c scenarios.CopyState) bool { return c.Node == id }); i < 0 {
				row = append(row, "-", "-", "-", "-", "-", "-", "not there")
			} else {
				c := p.Copies[i]
				row = append(row, c.Role, fmt.Sprint(c.LeaderEpoch), fmt.Sprint(c.LogStart), fmt.Sprint(c.HighWatermark),
					fmt.Sprint(c.Durable), fmt.Sprint(c.LogEnd), c.Broken)
			}
			lines = append(lines, row)
			head = []string{"", "", "", ""}
		}
	}
	return lines
}

// rankOf puts the leader before the others.
func rankOf(id, leader kafka.NodeID) int {
	if id == leader {
		return 1
	}
	return 0
}

func groupTable(s scenarios.ClusterState) [][]string {
	lines := [][]string{{"GROUP", "STATE", "EPOCH", "MEMBER", "EPOCH", "HAS", "SHALL HAVE"}}
	for _, g := range s.Groups {
		head := []string{g.Group, g.State, fmt.Sprint(g.Epoch)}
		if len(g.Members) == 0 {
			lines = append(lines, append(head, "-", "-", "-", "-"))
		}
		for _, m := range g.Members {
			goal := "the same"
			if m.Goal != nil {
				goal = strings.Join(m.Goal, ",")
			}
			lines = append(lines, append(slices.Clone(head), m.Member, fmt.Sprint(m.Epoch), strings.Join(m.Has, ","), goal))
			head = []string{"", "", ""}
		}
	}
	return lines
}

func nodeOrNone(id kafka.NodeID) string {
	if id < 0 {
		return "none"
	}
	return fmt.Sprint(id)
}

func idList(ids []kafka.NodeID) string {
	var words []string
	for _, id := range ids {
		words = append(words, fmt.Sprint(id))
	}
	return strings.Join(words, ",")
}
