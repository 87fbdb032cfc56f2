package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/klammlog/klamm/node/client"
	"github.com/klammlog/klamm/node/kafka"
)

func newGroupCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "group",
		Short: "List, describe, configure, move and delete groups of consumers",
		Example: `  klamm group list
  klamm group describe billing
  klamm group reset billing --topic orders --by-duration 1h --execute
  klamm consume orders --group billing`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newGroupList(), newGroupDescribe(), newGroupMembers(), newGroupOffsets(), newGroupReset(), newGroupConfig(), newGroupDelete())
	return cmd
}

// groupsJSON is what group list prints, and group delete of groups.
type groupsJSON struct {
	Kind    string       `json:"_kind"`
	Version int          `json:"_version"`
	Groups  []listedJSON `json:"groups"`
}

// listedJSON is one group in it. Fields that nothing is known of are left out.
type listedJSON struct {
	Name         string        `json:"name"`
	Type         string        `json:"type,omitempty"`
	ProtocolType string        `json:"protocol_type,omitempty"`
	State        string        `json:"state,omitempty"`
	Coordinator  *kafka.NodeID `json:"coordinator,omitempty"`
	Status       string        `json:"status,omitempty"` // deleted, failed, unknown
	Error        string        `json:"error,omitempty"`
}

func newGroupList() *cobra.Command {
	var r remote
	var filter client.GroupFilter
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List groups",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := errors.Join(among("--state", filter.States, groupStates), among("--type", filter.Types, groupTypes)); err != nil {
				return usage(err)
			}
			return r.do(cmd, func(c *call) error {
				groups, err := c.client.ListGroups(filter, c.deadline)
				if err != nil {
					return err
				}
				return r.printGroups(cmd.OutOrStdout(), groups)
			})
		},
	}
	cmd.Flags().StringSliceVar(&filter.States, "state", nil, "only groups in such a state: "+strings.Join(groupStates, ", "))
	cmd.Flags().StringSliceVar(&filter.Types, "type", nil, "only groups of such a type: "+strings.Join(groupTypes, ", "))
	r.flags(cmd)
	return cmd
}

// What groups can be, in the words of brokers, which do not mind the case.
var (
	groupStates = []string{"Stable", "Empty", "PreparingRebalance", "CompletingRebalance", "Assigning", "Reconciling", "Dead"}
	groupTypes  = []string{"classic", "consumer"}
)

// among returns an error unless all names are among those that there are.
func among(flag string, names, all []string) error {
	for _, name := range names {
		if !slices.ContainsFunc(all, func(a string) bool { return strings.EqualFold(a, name) }) {
			return fmt.Errorf("%s %q: want %s", flag, name, strings.Join(all, ", "))
		}
	}
	return nil
}

func (r *remote) printGroups(out io.Writer, groups []client.ListedGroup) error {
	report := groupsJSON{Kind: "klamm.groups", Version: 1, Groups: []listedJSON{}}
	lines := [][]string{{"NAME", "TYPE", "STATE", "COORDINATOR"}}
	for _, g := range groups {
		report.Groups = append(report.Groups, listedJSON{Name: g.ID, Type: g.Type, ProtocolType: g.ProtocolType, State: g.State, Coordinator: &g.Coordinator})
		lines = append(lines, []string{g.ID, orDash(g.Type), orDash(g.State), nodeCell(g.Coordinator)})
	}
	if r.output == "json" {
		return printJSON(out, report)
	}
	return writeColumns(out, lines)
}

// orDash shows what is not there as -.
func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// groupName wants one name of a group.
func groupName(_ *cobra.Command, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("%d arguments: want the name of a group", len(args))
	}
	return groupNames(nil, args)
}

// groupNames wants names of groups.
func groupNames(_ *cobra.Command, args []string) error {
	if len(args) == 0 {
		return errors.New("0 arguments: want names of groups")
	}
	for _, name := range args {
		if name == "" {
			return errors.New("a group has a name that is not empty")
		}
	}
	return nil
}

// group returns what is known of a group. Blocks.
func (c *call) group(name string) (client.Group, error) {
	groups, err := c.client.DescribeGroups([]string{name}, c.deadline)
	return groups[0], c.explainGroup(name, err)
}

// explainGroup says what to do about what a coordinator refuses.
func (c *call) explainGroup(name string, err error) error {
	switch {
	case errors.Is(err, kafka.ErrGroupIDNotFound):
		return advised{fmt.Sprintf("there is no group %q: 'klamm group list' tells which there are", name), err}
	case errors.Is(err, kafka.ErrNonEmptyGroup):
		return advised{fmt.Sprintf("group %s has members: stop them first ('klamm group members %s' tells who they are)", name, name), err}
	case errors.Is(err, kafka.ErrGroupSubscribedToTopic):
		return advised{fmt.Sprintf("group %s has members that read the topic: stop them first ('klamm group members %s' tells who they are)", name, name), err}
	}
	return err
}

// membersJSON is what group members prints.
type membersJSON struct {
	Kind    string       `json:"_kind"`
	Version int          `json:"_version"`
	Group   string       `json:"group"`
	Members []memberJSON `json:"members"`
}

// memberJSON is one member in it.
type memberJSON struct {
	ID       string           `json:"id"`
	Instance string           `json:"instance,omitempty"`
	ClientID string           `json:"client_id"`
	Host     string           `json:"host"`
	Rack     string           `json:"rack,omitempty"`
	Protocol string           `json:"protocol"`
	Epoch    *int32           `json:"epoch"` // null in a classic group
	Topics   []string         `json:"subscribed"`
	Pattern  string           `json:"pattern,omitempty"`
	Assigned []partitionsJSON `json:"assigned"`
	Target   []partitionsJSON `json:"target,omitempty"` // if it is not what is assigned
}

// partitionsJSON are partitions of a topic.
type partitionsJSON struct {
	Topic      string  `json:"topic"`
	Partitions []int32 `json:"partitions"`
}

func newGroupMembers() *cobra.Command {
	var r remote
	cmd := &cobra.Command{
		Use:   "members NAME",
		Short: "Show a group's members and what they are assigned",
		Long: `Show who is in a group, from where, and which partitions each member has. Of the
consumer protocol WANTED is what a member shall have, as long as that is not what it has.`,
		Args: groupName,
		RunE: func(cmd *cobra.Command, names []string) error {
			return r.do(cmd, func(c *call) error {
				g, err := c.group(names[0])
				if err != nil {
					return err
				}
				return r.printMembers(cmd.OutOrStdout(), g)
			})
		},
	}
	r.flags(cmd)
	return cmd
}

func (r *remote) printMembers(out io.Writer, g client.Group) error {
	report := membersJSON{Kind: "klamm.members", Version: 1, Group: g.ID, Members: []memberJSON{}}
	lines := [][]string{{"MEMBER", "INSTANCE", "CLIENT", "HOST", "PROTOCOL", "EPOCH", "ASSIGNED", "WANTED"}}
	for _, m := range g.Members {
		j := memberJSON{ID: m.ID, Instance: m.Instance, ClientID: m.ClientID, Host: m.Host, Rack: m.Rack, Protocol: m.Protocol,
			Epoch: epochOf(m.Epoch), Topics: append([]string{}, m.Topics...), Pattern: m.Pattern, Assigned: topicsOf(m.Assigned)}
		wanted := "-"
		if g.Type == "consumer" && partitionsText(m.Assigned) != partitionsText(m.Target) {
			j.Target, wanted = topicsOf(m.Target), partitionsText(m.Target)
		}
		report.Members = append(report.Members, j)
		lines = append(lines, []string{m.ID, orDash(m.Instance), orDash(m.ClientID), orDash(m.Host), m.Protocol, knownCell(int64(m.Epoch)), partitionsText(m.Assigned), wanted})
	}
	if r.output == "json" {
		return printJSON(out, report)
	}
	return writeColumns(out, lines)
}

func epochOf(epoch int32) *int32 {
	if epoch < 0 {
		return nil
	}
	return &epoch
}

// topicsOf groups sorted partitions by topic.
func topicsOf(tps []kafka.TopicPartition) []partitionsJSON {
	out := []partitionsJSON{}
	for _, tp := range tps {
		if n := len(out); n == 0 || out[n-1].Topic != tp.Topic {
			out = append(out, partitionsJSON{Topic: tp.Topic})
		}
		last := &out[len(out)-1]
		last.Partitions = append(last.Partitions, tp.Partition)
	}
	return out
}

// partitionsText is orders:0,2 users:1; - for none.
func partitionsText(tps []kafka.TopicPartition) string {
	var topics []string
	for _, t := range topicsOf(tps) {
		var numbers []string
		for _, p := range t.Partitions {
			numbers = append(numbers, strconv.Itoa(int(p)))
		}
		topics = append(topics, t.Topic+":"+strings.Join(numbers, ","))
	}
	return orDash(strings.Join(topics, " "))
}
