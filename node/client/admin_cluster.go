package client

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/klammlog/klamm/node/client/cluster"
	"github.com/klammlog/klamm/node/client/link"
	"github.com/klammlog/klamm/node/kafka"
)

// DescribeCluster returns the cluster's id, its controller and its brokers, those
// that are fenced too if the broker knows how to tell them. Blocks.
func (c *Client) DescribeCluster(deadline kafka.Instant) (cluster.Answer, error) {
	resp, err := c.ask(clusterRequest, link.Options{}, deadline)
	if err != nil {
		return cluster.Answer{}, fmt.Errorf("describe cluster: %w", err)
	}
	return clusterIn(resp.(*kmsg.DescribeClusterResponse))
}

func clusterRequest() kmsg.Request {
	req := kmsg.NewPtrDescribeClusterRequest()
	req.IncludeFencedBrokers = true
	return req
}

func clusterIn(r *kmsg.DescribeClusterResponse) (cluster.Answer, error) {
	if err := toldBy(r.ErrorCode, r.ErrorMessage); err != nil {
		return cluster.Answer{}, fmt.Errorf("describe cluster: %w", err)
	}
	a := cluster.Answer{ClusterID: r.ClusterID, Controller: kafka.NodeID(r.ControllerID)}
	for _, b := range r.Brokers {
		known := cluster.Broker{ID: kafka.NodeID(b.NodeID), Address: address(b.Host, b.Port), Fenced: b.IsFenced}
		if b.Rack != nil {
			known.Rack = *b.Rack
		}
		a.Brokers = append(a.Brokers, known)
	}
	return a, nil
}

// Responder returns which broker the first bootstrap address leads to, and what
// that one knows of the cluster; cluster.NoNode if it is none of the brokers it
// knows. Blocks.
func (c *Client) Responder(deadline kafka.Instant) (kafka.NodeID, cluster.Answer, error) {
	to := c.links.get(c.c.Bootstrap[0])
	resp, err := to.Do(clusterRequest(), link.Options{}, deadline)
	if err != nil {
		return cluster.NoNode, cluster.Answer{}, fmt.Errorf("describe cluster: %w", err)
	}
	known, err := clusterIn(resp.(*kmsg.DescribeClusterResponse))
	if err != nil || len(known.Brokers) == 0 {
		return cluster.NoNode, known, err
	}
	// A broker describes the settings of no broker but itself.
	q := DescribeConfigs{Names: []string{"node.id"}}
	for _, b := range known.Brokers {
		q.Resources = append(q.Resources, BrokerSettings(b.ID))
	}
	if resp, err = to.Do(q.request(q.Resources), link.Options{}, deadline); err != nil {
		return cluster.NoNode, known, fmt.Errorf("describe settings: %w", err)
	}
	for i, r := range q.Resources {
		if describedIn(resp.(*kmsg.DescribeConfigsResponse), r).Err == nil {
			return known.Brokers[i].ID, known, nil
		}
	}
	return cluster.NoNode, known, nil
}

// A LogDir is one log directory of a broker.
type LogDir struct {
	Path        string
	Err         error // why it is out of service
	Partitions  []PartitionSize
	Free, Total int64 // bytes of its disk; -1 if the broker does not tell
}

// A PartitionSize is how large a partition is in a log directory.
type PartitionSize struct {
	Partition kafka.TopicPartition
	Size      int64 // bytes
}

// DescribeLogDirs returns the log directories of one broker, with all partitions in
// them. Blocks.
func (c *Client) DescribeLogDirs(id kafka.NodeID, deadline kafka.Instant) ([]LogDir, error) {
	resp, err := c.askBroker(id, func() kmsg.Request { return kmsg.NewPtrDescribeLogDirsRequest() }, deadline)
	if err != nil {
		return nil, fmt.Errorf("describe log directories of broker %d: %w", id, err)
	}
	r := resp.(*kmsg.DescribeLogDirsResponse)
	if err := toldBy(r.ErrorCode, nil); err != nil {
		return nil, fmt.Errorf("describe log directories of broker %d: %w", id, err)
	}
	var out []LogDir
	for _, d := range r.Dirs {
		dir := LogDir{Path: d.Dir, Err: toldBy(d.ErrorCode, nil), Free: d.UsableBytes, Total: d.TotalBytes}
		for _, t := range d.Topics {
			for _, p := range t.Partitions {
				dir.Partitions = append(dir.Partitions, PartitionSize{kafka.TopicPartition{Topic: t.Topic, Partition: p.Partition}, p.Size})
			}
		}
		out = append(out, dir)
	}
	return out, nil
}
