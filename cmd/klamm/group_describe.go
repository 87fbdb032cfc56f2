package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/klammlog/klamm/node/client"
	"github.com/klammlog/klamm/node/client/cluster"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
)

// groupJSON is what group describe prints.
type groupJSON struct {
	Kind            string               `json:"_kind"`
	Version         int                  `json:"_version"`
	Name            string               `json:"name"`
	State           string               `json:"state"`
	Type            string               `json:"type"`
	ProtocolType    string               `json:"protocol_type"`
	Assignor        string               `json:"assignor,omitempty"`
	Epoch           *int32               `json:"epoch"` // null of a classic group
	AssignmentEpoch *int32               `json:"assignment_epoch"`
	Coordinator     coordinatorJSON      `json:"coordinator"`
	Members         int                  `json:"members"`
	Lag             int64                `json:"lag"` // of the partitions of which it is known
	Partitions      []groupPartitionJSON `json:"partitions"`
}

// coordinatorJSON is the broker that coordinates it.
type coordinatorJSON struct {
	ID      kafka.NodeID `json:"id"`
	Address string       `json:"address"`
}

// groupPartitionJSON is how far a group is in one partition, and who reads it.
type groupPartitionJSON struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Committed *int64 `json:"committed"`  // null: nothing
	End       *int64 `json:"end_offset"` // null: nobody tells, or the topic is gone
	Lag       *int64 `json:"lag"`
	Member    string `json:"member,omitempty"`
	Instance  string `json:"instance,omitempty"`
	ClientID  string `json:"client_id,omitempty"`
	Host      string `json:"host,omitempty"`
}

func newGroupDescribe() *cobra.Command {
	var r remote
	cmd := &cobra.Command{
		Use:   "describe NAME",
		Short: "Show how a group is, how far it lags behind, and who reads what",
		Long: `Show a group's state and its coordinator, and of each partition that it reads, or has
committed something of: the offset committed, the end (the high watermark), the
difference, and which member it is assigned to.`,
		Args: groupName,
		RunE: func(cmd *cobra.Command, names []string) error {
			return r.do(cmd, func(c *call) error {
				j, err := c.describeGroup(names[0])
				if err != nil {
					return err
				}
				return r.printGroup(cmd.OutOrStdout(), j)
			})
		},
	}
	r.flags(cmd)
	return cmd
}

// describeGroup asks for all there is to tell of a group. Blocks.
func (c *call) describeGroup(name string) (groupJSON, error) {
	g, err := c.group(name)
	if err != nil {
		return groupJSON{}, err
	}
	committed, err := c.client.GroupOffsets(name, nil, c.deadline)
	if err != nil {
		return groupJSON{}, err
	}
	j := groupJSON{Kind: "klamm.group", Version: 1, Name: name, State: g.State, Type: g.Type, ProtocolType: g.ProtocolType, Assignor: g.Assignor,
		Epoch: epochOf(g.Epoch), AssignmentEpoch: epochOf(g.AssignmentEpoch), Members: len(g.Members),
		Coordinator: coordinatorJSON{g.Coordinator.ID, g.Coordinator.Address}, Partitions: []groupPartitionJSON{}}
	at := map[kafka.TopicPartition]int{}
	place := func(tp kafka.TopicPartition) *groupPartitionJSON {
		i, ok := at[tp]
		if !ok {
			i = len(j.Partitions)
			at[tp] = i
			j.Partitions = append(j.Partitions, groupPartitionJSON{Topic: tp.Topic, Partition: tp.Partition})
		}
		return &j.Partitions[i]
	}
	for _, o := range committed {
		place(o.Partition).Committed = known(o.Offset)
	}
	for _, m := range g.Members {
		for _, tp := range m.Assigned {
			p := place(tp)
			p.Member, p.Instance, p.ClientID, p.Host = m.ID, m.Instance, m.ClientID, m.Host
		}
	}
	slices.SortFunc(j.Partitions, func(a, b groupPartitionJSON) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	return j, c.addLag(&j)
}

// known is null for kafka.NoOffset.
func known(o kafka.Offset) *int64 {
	if o < 0 {
		return nil
	}
	at := int64(o)
	return &at
}

// addLag adds where the partitions end. Blocks.
func (c *call) addLag(j *groupJSON) error {
	var tps []kafka.TopicPartition
	for _, p := range j.Partitions {
		tps = append(tps, kafka.TopicPartition{Topic: p.Topic, Partition: p.Partition})
	}
	ends, err := c.found(tps, client.Latest())
	if err != nil {
		return err
	}
	for i := range j.Partitions {
		p := &j.Partitions[i]
		p.End = known(ends[tps[i]])
		if p.Lag = lagOf(p.Committed, p.End); p.Lag != nil {
			j.Lag += *p.Lag
		}
	}
	return nil
}

// lagOf is what is left to read, null if that is not known.
func lagOf(committed, end *int64) *int64 {
	if committed == nil || end == nil {
		return nil
	}
	lag := max(0, *end-*committed)
	return &lag
}

// found asks for an offset of each partition; kafka.NoOffset of those of topics that
// are gone, and of those that nobody leads. Blocks.
func (c *call) found(tps []kafka.TopicPartition, at client.Start) (map[kafka.TopicPartition]kafka.Offset, error) {
	out := map[kafka.TopicPartition]kafka.Offset{}
	topics, err := c.client.ListTopics(c.deadline)
	if err != nil {
		return nil, err
	}
	var asked []kafka.TopicPartition
	for _, tp := range tps {
		out[tp] = kafka.NoOffset
		for _, t := range topics {
			if t.Name == tp.Topic && slices.ContainsFunc(t.Partitions, func(p cluster.Partition) bool { return p.ID == tp.Partition && p.Leader >= 0 }) {
				asked = append(asked, tp)
			}
		}
	}
	answers, err := c.client.Offsets(placesAt(asked, at), c.deadline)
	for _, f := range answers {
		if f.Err == nil {
			out[f.Partition] = f.Offset
		}
	}
	if errors.Is(err, env.ErrCanceled) {
		return nil, err
	}
	return out, nil // what failed is not known
}

func (r *remote) printGroup(out io.Writer, j groupJSON) error {
	if r.output == "json" {
		return printJSON(out, j)
	}
	fmt.Fprintf(out, "group %s: %s, %s", j.Name, j.State, j.Type)
	if j.Assignor != "" {
		fmt.Fprintf(out, ", assignor %s", j.Assignor)
	}
	if j.Epoch != nil {
		fmt.Fprintf(out, ", epoch %d, assigned in epoch %d", *j.Epoch, *j.AssignmentEpoch)
	}
	fmt.Fprintf(out, "\nmembers %d, lag %d, coordinated by broker %d at %s\n", j.Members, j.Lag, j.Coordinator.ID, j.Coordinator.Address)
	if len(j.Partitions) == 0 {
		_, err := fmt.Fprintln(out, "\nit has committed nothing, and nothing is assigned")
		return err
	}
	fmt.Fprintln(out)
	lines := [][]string{{"TOPIC", "PARTITION", "COMMITTED", "END", "LAG", "MEMBER", "HOST", "CLIENT"}}
	for _, p := range j.Partitions {
		lines = append(lines, []string{p.Topic, strconv.Itoa(int(p.Partition)), offsetCell(p.Committed), offsetCell(p.End), offsetCell(p.Lag),
			orDash(p.Member), orDash(p.Host), orDash(p.ClientID)})
	}
	return writeColumns(out, lines)
}

// offsetsJSON is what group offsets prints.
type offsetsJSON struct {
	Kind    string             `json:"_kind"`
	Version int                `json:"_version"`
	Group   string             `json:"group"`
	Offsets []groupOffsetsJSON `json:"offsets"`
}

// groupOffsetsJSON is one committed offset in it.
type groupOffsetsJSON struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Committed int64  `json:"committed"`
	Start     *int64 `json:"start_offset"` // null: nobody tells, or the topic is gone
	End       *int64 `json:"end_offset"`
	Lag       *int64 `json:"lag"`
	Metadata  string `json:"metadata,omitempty"`
}

func newGroupOffsets() *cobra.Command {
	var r remote
	cmd := &cobra.Command{
		Use:   "offsets NAME",
		Short: "Show what a group has committed, and where the partitions begin and end",
		Args:  groupName,
		RunE: func(cmd *cobra.Command, names []string) error {
			return r.do(cmd, func(c *call) error {
				j, err := c.groupOffsets(names[0])
				if err != nil {
					return err
				}
				return r.printOffsets(cmd.OutOrStdout(), j)
			})
		},
	}
	r.flags(cmd)
	return cmd
}

// groupOffsets asks what a group has committed. Blocks.
func (c *call) groupOffsets(name string) (offsetsJSON, error) {
	if _, err := c.group(name); err != nil {
		return offsetsJSON{}, err
	}
	committed, err := c.client.GroupOffsets(name, nil, c.deadline)
	if err != nil {
		return offsetsJSON{}, err
	}
	var tps []kafka.TopicPartition
	for _, o := range committed {
		tps = append(tps, o.Partition)
	}
	starts, err := c.found(tps, client.Earliest())
	if err != nil {
		return offsetsJSON{}, err
	}
	ends, err := c.found(tps, client.Latest())
	if err != nil {
		return offsetsJSON{}, err
	}
	j := offsetsJSON{Kind: "klamm.offsets", Version: 1, Group: name, Offsets: []groupOffsetsJSON{}}
	for _, o := range committed {
		one := groupOffsetsJSON{Topic: o.Partition.Topic, Partition: o.Partition.Partition, Committed: int64(o.Offset), Metadata: o.Metadata,
			Start: known(starts[o.Partition]), End: known(ends[o.Partition])}
		one.Lag = lagOf(&one.Committed, one.End)
		j.Offsets = append(j.Offsets, one)
	}
	return j, nil
}

func (r *remote) printOffsets(out io.Writer, j offsetsJSON) error {
	if r.output == "json" {
		return printJSON(out, j)
	}
	lines := [][]string{{"TOPIC", "PARTITION", "COMMITTED", "START", "END", "LAG", "METADATA"}}
	for _, o := range j.Offsets {
		lines = append(lines, []string{o.Topic, strconv.Itoa(int(o.Partition)), strconv.FormatInt(o.Committed, 10),
			offsetCell(o.Start), offsetCell(o.End), offsetCell(o.Lag), orDash(o.Metadata)})
	}
	return writeColumns(out, lines)
}
