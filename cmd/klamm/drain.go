package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/klammlog/klamm/node/client/cluster"
	"github.com/klammlog/klamm/node/kafka"
)

// electionPatience is how long the controllers may take to elect leaders.
const electionPatience = 30 * time.Second

// drainJSON is what drain and undrain print.
type drainJSON struct {
	Kind    string       `json:"_kind"`
	Version int          `json:"_version"`
	Broker  kafka.NodeID `json:"broker"`
	Moved   int          `json:"moved"` // partitions that are led by others now
	Leads   int          `json:"leads"` // that the broker leads now
	Stuck   []trouble    `json:"stuck"` // that nobody else can lead
}

func newDrainCommand() *cobra.Command {
	var r remote
	cmd := &cobra.Command{
		Use:   "drain BROKER",
		Short: "Move the leaders off a broker, and wait until it leads nothing",
		Long: `Make other replicas in sync the preferred leaders of the partitions that a broker leads
or would lead again, elect them, and wait until the broker leads nothing. Its replicas
stay where they are. klamm undrain gives it its share of leaders back.

A partition that no other replica could lead stays: it is told, and the exit code is 1.
Topics that are created later may be led by the broker again.`,
		Example: `  klamm drain 2 && systemctl stop klamm`,
		Args:    oneArgument("the number of a broker"),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := brokerArgument(args[0])
			if err != nil {
				return err
			}
			return r.do(cmd, func(c *call) error { return r.drain(cmd, c, id) })
		},
	}
	r.flags(cmd)
	return cmd
}

func newUndrainCommand() *cobra.Command {
	var r remote
	cmd := &cobra.Command{
		Use:     "undrain BROKER",
		Short:   "Give a broker its share of leaders again",
		Example: `  klamm undrain 2`,
		Args:    oneArgument("the number of a broker"),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := brokerArgument(args[0])
			if err != nil {
				return err
			}
			return r.do(cmd, func(c *call) error { return r.undrain(cmd, c, id) })
		},
	}
	r.flags(cmd)
	return cmd
}

func brokerArgument(text string) (kafka.NodeID, error) {
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil || n < 0 {
		return 0, usage(fmt.Errorf("%q: want the number of a broker", text))
	}
	return kafka.NodeID(n), nil
}

// drain moves the leaders off. The moves of one round only put the replicas of a
// partition in another order; in the next somebody may have come in sync. Blocks.
func (r *remote) drain(cmd *cobra.Command, c *call, id kafka.NodeID) error {
	j := drainJSON{Kind: "klamm.drain", Version: 1, Broker: id}
	first := -1
	for {
		t, err := c.topology()
		if err != nil {
			return err
		}
		if _, ok := t.broker(id); !ok {
			return fmt.Errorf("there is no broker %d", id)
		}
		var moves []move
		moves, j.Leads, j.Stuck = planDrain(t, id)
		if first < 0 {
			first = j.Leads
		}
		if j.Moved = first - j.Leads; len(moves) == 0 && j.Leads == 0 {
			return r.printDrain(cmd.OutOrStdout(), j, "drained")
		}
		if c.w.Now() > c.deadline || len(moves) == 0 && j.Leads == len(j.Stuck) {
			return r.printDrain(cmd.OutOrStdout(), j, "not drained")
		}
		if err := c.reorder(moves); err != nil {
			return err
		}
		if err := c.w.Sleep(100 * time.Millisecond); err != nil {
			return err
		}
	}
}

// planDrain puts a broker last among the replicas of what it leads or would lead,
// and others in sync first. stuck is what it leads and nobody else can.
func planDrain(t topology, id kafka.NodeID) (moves []move, leads int, stuck []trouble) {
	stuck = []trouble{}
	t.each(func(tp kafka.TopicPartition, p cluster.Partition) {
		if p.Leader == id {
			leads++
		}
		preferred := len(p.Replicas) > 0 && p.Replicas[0] == id
		if !preferred && p.Leader != id {
			return
		}
		inSync := func(other kafka.NodeID) bool { return other != id && slices.Contains(p.InSync, other) }
		if !slices.ContainsFunc(p.Replicas, inSync) {
			if p.Leader == id {
				stuck = append(stuck, trouble{tp.Topic, tp.Partition, p.Leader, p.Replicas, p.InSync})
			}
			return
		}
		to := slices.Clone(p.Replicas)
		slices.SortStableFunc(to, func(a, b kafka.NodeID) int { return drainRank(a, id, inSync) - drainRank(b, id, inSync) })
		moves = append(moves, move{tp, p.Replicas, to})
	})
	return moves, leads, stuck
}

func drainRank(one, drained kafka.NodeID, inSync func(kafka.NodeID) bool) int {
	switch {
	case one == drained:
		return 2
	case inSync(one):
		return 0
	}
	return 1
}

// reorder puts replicas in another order, and lets the first lead. Blocks.
func (c *call) reorder(moves []move) error {
	if len(moves) == 0 {
		return nil
	}
	if other := changes(slices.Clone(moves)); len(other) > 0 {
		results, err := c.client.AlterPartitionReassignments(reassignments(other), c.deadline)
		if err != nil {
			return err
		}
		for _, r := range results {
			if r.Err != nil {
				return r.Err
			}
		}
	}
	err := c.letPreferredLead(moves)
	if errors.Is(err, kafka.ErrPreferredLeaderNotAvailable) {
		return nil // it fell behind meanwhile: the next round looks again
	}
	return err
}

// undrain makes a broker the preferred leader of its share. Blocks.
func (r *remote) undrain(cmd *cobra.Command, c *call, id kafka.NodeID) error {
	t, err := c.topology()
	if err != nil {
		return err
	}
	b, ok := t.broker(id)
	if !ok {
		return fmt.Errorf("there is no broker %d", id)
	}
	if b.Fenced {
		return fmt.Errorf("broker %d is fenced: it is not running, or has not caught up yet", id)
	}
	plan := newBalancer(t, nil)
	plan.spreadLeaders()
	moves := slices.DeleteFunc(plan.plan(), func(m move) bool { return m.To[0] != id })
	if err := c.reorder(moves); err != nil {
		return err
	}
	j := drainJSON{Kind: "klamm.drain", Version: 1, Broker: id, Moved: len(moves), Stuck: []trouble{}}
	for {
		if t, err = c.topology(); err != nil {
			return err
		}
		if j.Leads = leads(t, id); j.Leads >= len(moves) || c.w.Now() > c.deadline {
			return r.printDrain(cmd.OutOrStdout(), j, "undrained")
		}
		if err := c.w.Sleep(100 * time.Millisecond); err != nil {
			return err
		}
	}
}

func leads(t topology, id kafka.NodeID) (n int) {
	t.each(func(_ kafka.TopicPartition, p cluster.Partition) {
		if p.Leader == id {
			n++
		}
	})
	return n
}

func (r *remote) printDrain(out io.Writer, j drainJSON, status string) error {
	failed := status == "not drained"
	if r.output == "json" {
		if err := printJSON(out, j); err != nil || !failed {
			return err
		}
		return exitCode(exitFailed) // the object has told it
	}
	if failed {
		return fmt.Errorf("broker %d still leads %d partitions, %d of which no other replica in sync could lead%s",
			j.Broker, j.Leads, len(j.Stuck), firstOf(j.Stuck))
	}
	_, err := fmt.Fprintf(out, "%s broker %d: %d leaders moved, it leads %d\n", status, j.Broker, j.Moved, j.Leads)
	return err
}

func firstOf(stuck []trouble) string {
	if len(stuck) == 0 {
		return ""
	}
	return fmt.Sprintf(", such as %s-%d", stuck[0].Topic, stuck[0].Partition)
}
