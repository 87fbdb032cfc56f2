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

func newTopicCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "topic",
		Short: "Create, list, describe, configure, move and delete topics",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newTopicCreate(), newTopicList(), newTopicDescribe(), newTopicConfig(), newTopicDelete(), newTopicReassign(), newTopicElect())
	return cmd
}

// topicsJSON is what the topic commands print about several topics.
type topicsJSON struct {
	Kind    string      `json:"_kind"`
	Version int         `json:"_version"`
	Topics  []topicJSON `json:"topics"`
}

// topicJSON is one topic in it. Fields that nothing is known of are left out.
type topicJSON struct {
	Name       string `json:"name"`
	ID         string `json:"id,omitempty"`
	Partitions int32  `json:"partitions,omitempty"`
	Replicas   int    `json:"replicas,omitempty"`
	Internal   bool   `json:"internal,omitempty"`
	Status     string `json:"status,omitempty"` // created, deleted, exists, failed, unknown
	Error      string `json:"error,omitempty"`
}

func topicID(id kafka.TopicID) string {
	if (id == kafka.TopicID{}) {
		return ""
	}
	return id.String()
}

func newTopicCreate() *cobra.Command {
	var r remote
	var t client.NewTopic
	var replicas int16
	var settings []string
	var ifNotExists bool
	cmd := &cobra.Command{
		Use:   "create NAME...",
		Short: "Create topics",
		Example: `  klamm topic create orders --partitions 6
  klamm topic create users --config cleanup.policy=compact --if-not-exists`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, names []string) error {
			var err error
			if t.Configs, err = parsePairs(settings); err != nil {
				return usage(err)
			}
			t.Replicas = replicas
			var topics []client.NewTopic
			for _, name := range names {
				one := t
				one.Name = name
				topics = append(topics, one)
			}
			return r.do(cmd, func(c *call) error {
				results, err := c.client.CreateTopics(topics, c.deadline)
				if err != nil {
					return err
				}
				exists := "failed"
				if ifNotExists {
					exists = "exists"
				}
				return r.printResults(cmd.OutOrStdout(), results, "created", exists)
			})
		},
	}
	cmd.Flags().Int32VarP(&t.Partitions, "partitions", "p", -1, "how many partitions; -1: what the cluster is set to")
	cmd.Flags().Int16VarP(&replicas, "replicas", "r", -1, "how many replicas of each; -1: what the cluster is set to")
	cmd.Flags().StringArrayVarP(&settings, "config", "c", nil, "a setting of the topic, `NAME=VALUE`; may be repeated")
	cmd.Flags().BoolVar(&ifNotExists, "if-not-exists", false, "succeed if a topic of that name exists")
	r.flags(cmd)
	return cmd
}

func newTopicDelete() *cobra.Command {
	var r remote
	cmd := &cobra.Command{
		Use:   "delete NAME...",
		Short: "Delete topics with everything in them",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, names []string) error {
			return r.do(cmd, func(c *call) error {
				results, err := c.client.DeleteTopics(names, c.deadline)
				if err != nil {
					return err
				}
				return r.printResults(cmd.OutOrStdout(), results, "deleted", "failed")
			})
		},
	}
	r.flags(cmd)
	return cmd
}

// printResults prints what became of each topic; exists is the status of those
// that existed already. It fails if one failed.
func (r *remote) printResults(out io.Writer, results []client.TopicResult, done, exists string) error {
	report := topicsJSON{Kind: "klamm.topics", Version: 1}
	var failed error
	for _, t := range results {
		j := topicJSON{Name: t.Name, ID: topicID(t.ID), Partitions: max(t.Partitions, 0), Status: done}
		switch {
		case t.Err == nil:
		case errors.Is(t.Err, kafka.ErrTopicAlreadyExists) && exists == "exists":
			j.Status = exists
		case client.OutcomeOf(t.Err) == kafka.Unknown:
			j.Status, j.Error = "unknown", t.Err.Error()
		default:
			j.Status, j.Error = "failed", t.Err.Error()
		}
		if j.Error != "" && failed == nil {
			failed = t.Err
		}
		report.Topics = append(report.Topics, j)
	}
	if r.output == "json" {
		if err := printJSON(out, report); err != nil || failed == nil {
			return err
		}
		return exitCode(exitFailed) // the object has told it
	}
	for _, t := range report.Topics {
		if t.Error == "" {
			fmt.Fprintf(out, "%s %s\n", t.Status, t.Name)
		}
	}
	return failed
}

func newTopicList() *cobra.Command {
	var r remote
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List topics",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return r.do(cmd, func(c *call) error {
				topics, err := c.client.ListTopics(c.deadline)
				if err != nil {
					return err
				}
				return r.printTopics(cmd.OutOrStdout(), topics)
			})
		},
	}
	r.flags(cmd)
	return cmd
}

func (r *remote) printTopics(out io.Writer, topics []cluster.Topic) error {
	report := topicsJSON{Kind: "klamm.topics", Version: 1, Topics: []topicJSON{}}
	lines := [][]string{{"NAME", "PARTITIONS", "REPLICAS"}}
	for _, t := range topics {
		j := topicJSON{Name: t.Name, ID: topicID(t.ID), Partitions: int32(len(t.Partitions)), Internal: t.Internal}
		if len(t.Partitions) > 0 {
			j.Replicas = len(t.Partitions[0].Replicas)
		}
		report.Topics = append(report.Topics, j)
		lines = append(lines, []string{j.Name, strconv.Itoa(int(j.Partitions)), strconv.Itoa(j.Replicas)})
	}
	if r.output == "json" {
		return printJSON(out, report)
	}
	return writeColumns(out, lines)
}

// parsePairs reads NAME=VALUE.
func parsePairs(args []string) (map[string]string, error) {
	pairs := make(map[string]string)
	for _, arg := range args {
		name, value, ok := strings.Cut(arg, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("%q: want NAME=VALUE", arg)
		}
		pairs[name] = value
	}
	return pairs, nil
}
