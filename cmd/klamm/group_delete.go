package main

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/klammlog/klamm/node/client"
	"github.com/klammlog/klamm/node/kafka"
)

// deletedJSON is what group delete prints of offsets.
type deletedJSON struct {
	Kind       string                 `json:"_kind"`
	Version    int                    `json:"_version"`
	Group      string                 `json:"group"`
	Partitions []deletedPartitionJSON `json:"partitions"`
}

// deletedPartitionJSON is one partition in it.
type deletedPartitionJSON struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Status    string `json:"status"` // deleted, failed, unknown
	Error     string `json:"error,omitempty"`
}

func newGroupDelete() *cobra.Command {
	var r remote
	var topics []string
	cmd := &cobra.Command{
		Use:   "delete NAME...",
		Short: "Delete groups without members, or what a group has committed of topics",
		Long: `Delete groups that have no members, with all that they have committed. With --topic the
group stays, and only what it has committed of these topics goes; it may have members
that do not read them. A group that has neither members nor offsets is gone.`,
		Example: `  klamm group delete billing audit
  klamm group delete billing --topic orders:0,2 --topic users`,
		Args: groupNames,
		RunE: func(cmd *cobra.Command, names []string) error {
			where, err := parsePartitions(topics)
			if err != nil {
				return usage(err)
			}
			if len(where) > 0 && len(names) > 1 {
				return usage(fmt.Errorf("%d groups and --topic: want one group", len(names)))
			}
			return r.do(cmd, func(c *call) error {
				if len(where) > 0 {
					return r.deleteOffsets(c, cmd.OutOrStdout(), names[0], where)
				}
				return r.deleteGroups(c, cmd.OutOrStdout(), names)
			})
		},
	}
	cmd.Flags().StringArrayVarP(&topics, "topic", "t", nil, "delete only offsets of this `TOPIC[:PARTITION,...]`; may be repeated")
	r.flags(cmd)
	return cmd
}

func (r *remote) deleteGroups(c *call, out io.Writer, names []string) error {
	results, _ := c.client.DeleteGroups(names, c.deadline) // each has its own error
	report := groupsJSON{Kind: "klamm.groups", Version: 1, Groups: []listedJSON{}}
	var failed error
	for _, g := range results {
		err := c.explainGroup(g.ID, g.Err)
		failed = errors.Join(failed, err)
		j := listedJSON{Name: g.ID}
		j.Status, j.Error = became("deleted", err)
		report.Groups = append(report.Groups, j)
	}
	if r.output == "json" {
		if err := printJSON(out, report); err != nil || failed == nil {
			return err
		}
		return exitCode(exitFailed) // the object has told it
	}
	for _, g := range report.Groups {
		if g.Error == "" {
			fmt.Fprintf(out, "deleted %s\n", g.Name)
		}
	}
	return failed
}

func (r *remote) deleteOffsets(c *call, out io.Writer, name string, where []wanted) error {
	if _, err := c.group(name); err != nil {
		return err
	}
	tps, err := c.committedOf(name, where)
	if err != nil {
		return err
	}
	results, failed := c.client.DeleteGroupOffsets(name, tps, c.deadline)
	report := deletedJSON{Kind: "klamm.deleted", Version: 1, Group: name}
	for _, d := range results {
		j := deletedPartitionJSON{Topic: d.Partition.Topic, Partition: d.Partition.Partition}
		j.Status, j.Error = became("deleted", c.explainGroup(name, d.Err))
		report.Partitions = append(report.Partitions, j)
	}
	if r.output == "json" {
		if err := printJSON(out, report); err != nil || failed == nil {
			return err
		}
		return exitCode(exitFailed) // the object has told it
	}
	for _, p := range report.Partitions {
		if p.Error == "" {
			fmt.Fprintf(out, "deleted the offset of %s-%d\n", p.Topic, p.Partition)
		}
	}
	return c.explainGroup(name, failed)
}

// committedOf returns the partitions that a group has committed something of. Blocks.
func (c *call) committedOf(name string, where []wanted) ([]kafka.TopicPartition, error) {
	committed, err := c.client.GroupOffsets(name, nil, c.deadline)
	if err != nil {
		return nil, err
	}
	var out []kafka.TopicPartition
	for _, w := range where {
		of := slices.Clone(w.partitions)
		for _, o := range committed {
			if o.Partition.Topic == w.topic && (w.partitions == nil || slices.Contains(w.partitions, o.Partition.Partition)) {
				out = append(out, o.Partition)
				of = slices.DeleteFunc(of, func(p int32) bool { return p == o.Partition.Partition })
			}
		}
		none := !slices.ContainsFunc(committed, func(o client.Commit) bool { return o.Partition.Topic == w.topic })
		switch {
		case none:
			return nil, fmt.Errorf("group %s has committed nothing of topic %s: 'klamm group offsets %s' tells what it has", name, w.topic, name)
		case len(of) > 0:
			return nil, fmt.Errorf("group %s has committed nothing of %s-%d: 'klamm group offsets %s' tells what it has", name, w.topic, of[0], name)
		}
	}
	return out, nil
}
