package main

import (
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/klammlog/klamm/node/client"
	"github.com/klammlog/klamm/node/client/cluster"
	"github.com/klammlog/klamm/node/kafka"
)

// clusterJSON is what cluster prints.
type clusterJSON struct {
	Kind       string              `json:"_kind"`
	Version    int                 `json:"_version"`
	ClusterID  string              `json:"cluster_id"`
	Controller kafka.NodeID        `json:"controller"` // whom brokers name; -1: nobody
	Brokers    []clusterBrokerJSON `json:"brokers"`
	Quorum     *quorumJSON         `json:"quorum"` // null if the brokers tell nothing of it
	Topics     int                 `json:"topics"`
	Partitions int                 `json:"partitions"`
	Leaderless int                 `json:"leaderless"`
	Under      []trouble           `json:"under_replicated"`
	Features   []featureJSON       `json:"features"`
}

// clusterBrokerJSON is one broker in it.
type clusterBrokerJSON struct {
	ID       kafka.NodeID `json:"id"`
	Address  string       `json:"address"`
	Rack     string       `json:"rack,omitempty"`
	Fenced   bool         `json:"fenced"`
	Leads    int          `json:"leads"`
	Replicas int          `json:"replicas"`
	InSync   int          `json:"in_sync"`
}

// quorumJSON is the state of the controllers in it.
type quorumJSON struct {
	Leader        kafka.NodeID        `json:"leader"`
	Epoch         int32               `json:"epoch"`
	HighWatermark int64               `json:"high_watermark"`
	Voters        []quorumReplicaJSON `json:"voters"`
	Observers     []quorumReplicaJSON `json:"observers"`
}

// quorumReplicaJSON is one replica of the metadata log.
type quorumReplicaJSON struct {
	ID      kafka.NodeID `json:"id"`
	Address string       `json:"address,omitempty"`
	End     int64        `json:"end_offset"` // -1: not known
	Lag     int64        `json:"lag"`        // -1: not known
}

// featureJSON is a feature in it.
type featureJSON struct {
	Name  string `json:"name"`
	Level int16  `json:"level"`
	Min   int16  `json:"min"`
	Max   int16  `json:"max"`
}

func newClusterCommand() *cobra.Command {
	var r remote
	cmd := &cobra.Command{
		Use:   "cluster",
		Short: "Show brokers, controllers and what is under-replicated; spread partitions over brokers",
		Long: `Show the brokers of a cluster, the controllers with how far their logs go, and every
partition that has no leader or not all of its replicas in sync.`,
		Example: `  klamm cluster
  klamm cluster -o json
  klamm cluster balance --yes`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return r.do(cmd, func(c *call) error {
				j, err := c.cluster()
				if err != nil {
					return err
				}
				return r.printCluster(cmd.OutOrStdout(), j)
			})
		},
	}
	r.flags(cmd)
	cmd.AddCommand(newClusterBalance(), newClusterVoters(), newClusterFeatures(), newClusterUnregister())
	return cmd
}

// cluster asks for all there is to tell. Blocks.
func (c *call) cluster() (clusterJSON, error) {
	t, err := c.topology()
	if err != nil {
		return clusterJSON{}, err
	}
	j := clusterJSON{Kind: "klamm.cluster", Version: 1, ClusterID: t.Cluster.ClusterID, Controller: t.Cluster.Controller,
		Brokers: brokersOf(t), Topics: len(t.Topics), Under: t.troubles(), Features: []featureJSON{}}
	t.each(func(kafka.TopicPartition, cluster.Partition) { j.Partitions++ })
	j.Leaderless = leaderless(j.Under)
	features, err := c.client.Features(c.deadline)
	if err != nil {
		return clusterJSON{}, err
	}
	for _, f := range features {
		j.Features = append(j.Features, featureJSON{f.Name, f.Level, f.Min, f.Max})
	}
	q, err := c.client.DescribeQuorum(c.deadline)
	if errors.Is(err, kafka.ErrUnsupportedVersion) {
		return j, nil // of another kind
	}
	if err != nil {
		return clusterJSON{}, err
	}
	j.Quorum = quorumOf(q)
	return j, nil
}

func brokersOf(t topology) []clusterBrokerJSON {
	out := make([]clusterBrokerJSON, len(t.Cluster.Brokers))
	for i, b := range t.Cluster.Brokers {
		out[i] = clusterBrokerJSON{ID: b.ID, Address: b.Address, Rack: b.Rack, Fenced: b.Fenced}
		t.each(func(_ kafka.TopicPartition, p cluster.Partition) {
			if p.Leader == b.ID {
				out[i].Leads++
			}
			out[i].Replicas += countOf(p.Replicas, b.ID)
			out[i].InSync += countOf(p.InSync, b.ID)
		})
	}
	return out
}

func countOf(ids []kafka.NodeID, id kafka.NodeID) (n int) {
	for _, one := range ids {
		if one == id {
			n++
		}
	}
	return n
}

func quorumOf(q client.Quorum) *quorumJSON {
	addresses := map[kafka.NodeID]string{}
	for _, a := range q.Controllers {
		addresses[a.ID] = a.Address
	}
	replicas := func(told []client.QuorumReplica) []quorumReplicaJSON {
		out := []quorumReplicaJSON{}
		for _, r := range told {
			one := quorumReplicaJSON{ID: r.ID, Address: addresses[r.ID], End: int64(r.End), Lag: -1}
			if r.End >= 0 {
				one.Lag = max(0, int64(q.HighWatermark-r.End))
			}
			out = append(out, one)
		}
		return out
	}
	return &quorumJSON{Leader: q.Leader, Epoch: int32(q.Epoch), HighWatermark: int64(q.HighWatermark),
		Voters: replicas(q.Voters), Observers: replicas(q.Observers)}
}

func (r *remote) printCluster(out io.Writer, j clusterJSON) error {
	if r.output == "json" {
		return printJSON(out, j)
	}
	fmt.Fprintf(out, "cluster %s: %d brokers, %d topics, %d partitions\n\n", j.ClusterID, len(j.Brokers), j.Topics, j.Partitions)
	lines := [][]string{{"BROKER", "ADDRESS", "RACK", "STATE", "LEADS", "REPLICAS", "IN-SYNC"}}
	for _, b := range j.Brokers {
		state, rack := "in use", b.Rack
		if b.Fenced {
			state = "fenced"
		}
		if rack == "" {
			rack = "-"
		}
		lines = append(lines, []string{nodeCell(b.ID), b.Address, rack, state, strconv.Itoa(b.Leads), strconv.Itoa(b.Replicas), strconv.Itoa(b.InSync)})
	}
	err := writeColumns(out, lines)
	if j.Quorum != nil {
		fmt.Fprintf(out, "\ncontroller %s, epoch %d, metadata up to offset %d\n\n", nodeCell(j.Quorum.Leader), j.Quorum.Epoch, j.Quorum.HighWatermark)
		err = errors.Join(err, writeColumns(out, quorumLines(j.Quorum)))
	}
	return errors.Join(err, printTroubles(out, j))
}

func quorumLines(q *quorumJSON) [][]string {
	lines := [][]string{{"CONTROLLER", "ADDRESS", "PART", "END", "LAG"}}
	add := func(replicas []quorumReplicaJSON, part string) {
		for _, r := range replicas {
			address := r.Address
			if address == "" {
				address = "-"
			}
			told := part
			if r.ID == q.Leader {
				told = "leader"
			}
			lines = append(lines, []string{nodeCell(r.ID), address, told, knownCell(r.End), knownCell(r.Lag)})
		}
	}
	add(q.Voters, "voter")
	add(q.Observers, "observer")
	return lines
}

// troublesShown bounds how many partitions text shows; the count is of all.
const troublesShown = 20

func printTroubles(out io.Writer, j clusterJSON) error {
	if len(j.Under) == 0 {
		_, err := fmt.Fprintln(out, "\nevery partition has all of its replicas in sync")
		return err
	}
	fmt.Fprintf(out, "\n%d partitions are under-replicated, %d of them have no leader\n\n", len(j.Under), j.Leaderless)
	lines := [][]string{{"PARTITION", "LEADER", "REPLICAS", "IN-SYNC"}}
	for _, t := range j.Under[:min(len(j.Under), troublesShown)] {
		lines = append(lines, []string{fmt.Sprintf("%s-%d", t.Topic, t.Partition), nodeCell(t.Leader), joinNodes(t.Replicas), nodesCell(t.InSync)})
	}
	err := writeColumns(out, lines)
	if more := len(j.Under) - troublesShown; more > 0 {
		fmt.Fprintf(out, "… and %d more\n", more)
	}
	return err
}

func nodeCell(id kafka.NodeID) string {
	if id == cluster.NoNode {
		return "none"
	}
	return strconv.Itoa(int(id))
}

func knownCell(n int64) string {
	if n < 0 {
		return "-"
	}
	return strconv.FormatInt(n, 10)
}
