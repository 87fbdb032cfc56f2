package main

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/klammlog/klamm/node/client"
	"github.com/klammlog/klamm/node/client/cluster"
	"github.com/klammlog/klamm/node/kafka"
)

// describeJSON is what topic describe prints.
type describeJSON struct {
	Kind       string          `json:"_kind"`
	Version    int             `json:"_version"`
	Name       string          `json:"name"`
	ID         string          `json:"id,omitempty"`
	Internal   bool            `json:"internal,omitempty"`
	Partitions []partitionJSON `json:"partitions"`
}

// partitionJSON is one partition in it. Start and end are null if the leader
// did not tell.
type partitionJSON struct {
	Partition int32          `json:"partition"`
	Leader    kafka.NodeID   `json:"leader"` // -1: none
	Epoch     int32          `json:"leader_epoch"`
	Replicas  []kafka.NodeID `json:"replicas"`
	InSync    []kafka.NodeID `json:"in_sync"`
	Eligible  []kafka.NodeID `json:"eligible,omitempty"`   // to lead, without being in sync
	LastKnown []kafka.NodeID `json:"last_known,omitempty"` // who was the last in sync
	Offline   []kafka.NodeID `json:"offline,omitempty"`
	Adding    []kafka.NodeID `json:"adding,omitempty"`
	Removing  []kafka.NodeID `json:"removing,omitempty"`
	Start     *int64         `json:"start_offset"`
	End       *int64         `json:"end_offset"`
}

func newTopicDescribe() *cobra.Command {
	var r remote
	cmd := &cobra.Command{
		Use:   "describe NAME",
		Short: "Show a topic's partitions: leaders, replicas, offsets",
		Long: `Show the partitions of a topic: who leads, who has replicas, who is in sync. ELR are the
replicas that are eligible to lead without being in sync (KIP-966), OFFLINE those that
are not there or cannot use their disk, MOVING those that are being added (+) and
removed (-).`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, names []string) error {
			return r.do(cmd, func(c *call) error {
				t, err := c.topic(names[0])
				if err != nil {
					return err
				}
				d := c.describe(t)
				if err := c.addMoving(&d); err != nil {
					return err
				}
				return r.printTopic(cmd.OutOrStdout(), d)
			})
		},
	}
	r.flags(cmd)
	return cmd
}

// topic returns what the cluster knows of a topic. Blocks.
func (c *call) topic(name string) (cluster.Topic, error) {
	topics, err := c.client.DescribeReplicas([]string{name}, c.deadline)
	if err != nil {
		return cluster.Topic{}, err
	}
	t := topics[0]
	switch {
	case t.Err == kafka.ErrUnknownTopicOrPartition:
		return t, advised{fmt.Sprintf("there is no topic %q: create it with 'klamm topic create %s'", name, name), t.Err}
	case t.Err != kafka.None && len(t.Partitions) == 0:
		return t, fmt.Errorf("topic %s: %w", name, t.Err)
	}
	return t, nil
}

// describe adds the offsets to what is known of a topic; a partition without a
// leader has none. Blocks.
func (c *call) describe(t cluster.Topic) describeJSON {
	d := describeJSON{Kind: "klamm.topic", Version: 1, Name: t.Name, ID: topicID(t.ID), Internal: t.Internal}
	var led []kafka.TopicPartition
	for _, p := range t.Partitions {
		if p.Leader != cluster.NoNode {
			led = append(led, kafka.TopicPartition{Topic: t.Name, Partition: p.ID})
		}
	}
	starts, ends := c.offsets(led, client.Earliest()), c.offsets(led, client.Latest())
	for _, p := range t.Partitions {
		d.Partitions = append(d.Partitions, partitionJSON{
			Partition: p.ID, Leader: p.Leader, Epoch: int32(p.Epoch), Replicas: p.Replicas, InSync: p.InSync,
			Eligible: p.Eligible, LastKnown: p.LastKnown, Offline: p.Offline,
			Start: starts[p.ID], End: ends[p.ID],
		})
	}
	return d
}

// addMoving adds which replicas are on their way; a broker that knows of no such
// tells none. Blocks.
func (c *call) addMoving(d *describeJSON) error {
	var asked []kafka.TopicPartition
	for _, p := range d.Partitions {
		asked = append(asked, kafka.TopicPartition{Topic: d.Name, Partition: p.Partition})
	}
	moving, err := c.client.ListPartitionReassignments(asked, c.deadline)
	if errors.Is(err, kafka.ErrUnsupportedVersion) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, m := range moving {
		for i := range d.Partitions {
			if p := &d.Partitions[i]; p.Partition == m.Partition.Partition && m.Partition.Topic == d.Name {
				p.Adding, p.Removing = m.Adding, m.Removing
			}
		}
	}
	return nil
}

// offsets returns an offset of each partition that tells one. Blocks.
func (c *call) offsets(tps []kafka.TopicPartition, at client.Start) map[int32]*int64 {
	var places []client.Place
	for _, tp := range tps {
		places = append(places, client.Place{Partition: tp, From: at})
	}
	found, _ := c.client.Offsets(places, c.deadline) // each has its own error
	out := make(map[int32]*int64)
	for _, f := range found {
		if f.Err == nil {
			o := int64(f.Offset)
			out[f.Partition.Partition] = &o
		}
	}
	return out
}

func (r *remote) printTopic(out io.Writer, d describeJSON) error {
	if r.output == "json" {
		return printJSON(out, d)
	}
	lines := [][]string{{"PARTITION", "LEADER", "EPOCH", "REPLICAS", "IN-SYNC", "ELR", "OFFLINE", "MOVING", "START", "END"}}
	for _, p := range d.Partitions {
		leader := strconv.Itoa(int(p.Leader))
		if p.Leader == cluster.NoNode {
			leader = "none"
		}
		lines = append(lines, []string{
			strconv.Itoa(int(p.Partition)), leader, strconv.Itoa(int(p.Epoch)),
			joinNodes(p.Replicas), nodesCell(p.InSync), nodesCell(p.Eligible), nodesCell(p.Offline), movingCell(p),
			offsetCell(p.Start), offsetCell(p.End),
		})
	}
	return writeColumns(out, lines)
}

func movingCell(p partitionJSON) string {
	var parts []string
	for _, id := range p.Adding {
		parts = append(parts, "+"+strconv.Itoa(int(id)))
	}
	for _, id := range p.Removing {
		parts = append(parts, "-"+strconv.Itoa(int(id)))
	}
	if len(parts) == 0 {
		return "-"
	}
	return strings.Join(parts, ",")
}

func joinNodes(ids []kafka.NodeID) string {
	var parts []string
	for _, id := range ids {
		parts = append(parts, strconv.Itoa(int(id)))
	}
	return strings.Join(parts, ",")
}

func offsetCell(o *int64) string {
	if o == nil {
		return "-"
	}
	return strconv.FormatInt(*o, 10)
}
