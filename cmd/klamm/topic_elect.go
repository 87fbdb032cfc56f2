package main

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/klammlog/klamm/node/client"
	"github.com/klammlog/klamm/node/client/cluster"
	"github.com/klammlog/klamm/node/kafka"
)

// electionsJSON is what topic elect prints.
type electionsJSON struct {
	Kind       string         `json:"_kind"`
	Version    int            `json:"_version"`
	Partitions []electionJSON `json:"partitions"`
}

// electionJSON is one partition in it.
type electionJSON struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Status    string `json:"status"` // elected, not needed, failed, unknown
	Error     string `json:"error,omitempty"`
}

func newTopicElect() *cobra.Command {
	var r remote
	var partitions []int32
	var unclean bool
	cmd := &cobra.Command{
		Use:   "elect [TOPIC...]",
		Short: "Let the preferred replicas lead again",
		Long: `Elect the leaders of the partitions of topics, or of all: the preferred replica, which
is the first, if it is in sync.

--unclean elects any replica of partitions of which none in sync is there. What the
others had and it has not is lost, acknowledged or not.`,
		Example: `  klamm topic elect
  klamm topic elect orders
  klamm topic elect orders --partition 3 --unclean`,
		RunE: func(cmd *cobra.Command, names []string) error {
			if len(partitions) > 0 && len(names) != 1 {
				return usage(errors.New("--partition: want the name of one topic"))
			}
			if unclean && len(names) == 0 {
				return usage(errors.New("--unclean: want the name of a topic: it may lose records"))
			}
			kind := client.PreferredElection
			if unclean {
				kind = client.UncleanElection
			}
			return r.do(cmd, func(c *call) error {
				asked, err := c.partitions(names, partitions)
				if err != nil {
					return err
				}
				results, err := c.client.ElectLeaders(kind, asked, c.deadline)
				if err != nil {
					return err
				}
				return r.printElections(cmd.OutOrStdout(), results)
			})
		},
	}
	cmd.Flags().Int32SliceVarP(&partitions, "partition", "p", nil, "these partitions of the topic only")
	cmd.Flags().BoolVar(&unclean, "unclean", false, "elect replicas that are not in sync, where there are no others")
	r.flags(cmd)
	return cmd
}

// partitions returns those of topics, or nil for all there are. Blocks.
func (c *call) partitions(names []string, only []int32) ([]kafka.TopicPartition, error) {
	if len(names) == 0 {
		return nil, nil
	}
	t, err := c.topology(names...)
	if err != nil {
		return nil, err
	}
	asked := []kafka.TopicPartition{}
	t.each(func(tp kafka.TopicPartition, _ cluster.Partition) {
		if len(only) == 0 || slices.Contains(only, tp.Partition) {
			asked = append(asked, tp)
		}
	})
	for _, p := range only {
		if !slices.Contains(asked, kafka.TopicPartition{Topic: names[0], Partition: p}) {
			return nil, fmt.Errorf("%s: there is no partition %d", names[0], p)
		}
	}
	return asked, nil
}

// printElections prints what came of elections. It fails if one failed.
func (r *remote) printElections(out io.Writer, results []client.PartitionResult) error {
	slices.SortFunc(results, func(a, b client.PartitionResult) int { return compareTP(a.Partition, b.Partition) })
	j := electionsJSON{Kind: "klamm.elections", Version: 1, Partitions: []electionJSON{}}
	var failed error
	for _, p := range results {
		one := electionJSON{Topic: p.Partition.Topic, Partition: p.Partition.Partition, Status: "elected"}
		switch {
		case p.Err == nil:
		case errors.Is(p.Err, kafka.ErrElectionNotNeeded):
			one.Status = "not needed"
		default:
			one.Status, one.Error = fateOf(p.Err), p.Err.Error()
			if failed == nil {
				failed = p.Err
			}
		}
		j.Partitions = append(j.Partitions, one)
	}
	if r.output == "json" {
		if err := printJSON(out, j); err != nil || failed == nil {
			return err
		}
		return exitCode(exitFailed) // the object has told it
	}
	if len(j.Partitions) == 0 {
		fmt.Fprintln(out, "no partition needs an election")
	}
	for _, p := range j.Partitions {
		fmt.Fprintf(out, "%s %s-%d\n", p.Status, p.Topic, p.Partition)
	}
	return failed
}
