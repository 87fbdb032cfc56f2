package client

import (
	"errors"
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/klammlog/klamm/node/client/cluster"
	"github.com/klammlog/klamm/node/client/link"
	"github.com/klammlog/klamm/node/kafka"
)

// An ElectionKind says who may be elected.
type ElectionKind int8

// The kinds of elections (KIP-460).
const (
	PreferredElection ElectionKind = iota // the first replica, if it is in sync
	UncleanElection                       // any replica, if none that is in sync is there: records may be lost
)

// A PartitionResult is what became of one partition of a request.
type PartitionResult struct {
	Partition kafka.TopicPartition
	Err       error // OutcomeOf tells whether it may have happened all the same
}

// ElectLeaders elects leaders; nil partitions are all there are, of which the
// answer leaves out those with nothing to do. A partition that needs no election
// has kafka.ErrElectionNotNeeded. Results are in the order of the partitions; the
// error is about the request as a whole. Blocks.
func (c *Client) ElectLeaders(kind ElectionKind, partitions []kafka.TopicPartition, deadline kafka.Instant) ([]PartitionResult, error) {
	o := link.Options{MinVersion: int16(kind)} // version 0 elects the preferred only
	resp, err := c.askControllerWith(func() kmsg.Request { return c.electionRequest(kind, partitions, deadline) }, o,
		func(r kmsg.Response) []int16 { return []int16{r.(*kmsg.ElectLeadersResponse).ErrorCode} }, deadline)
	if err != nil {
		return nil, fmt.Errorf("elect leaders: %w", err)
	}
	r := resp.(*kmsg.ElectLeadersResponse)
	if err := toldBy(r.ErrorCode, nil); err != nil {
		return nil, fmt.Errorf("elect leaders: %w", err)
	}
	var told []PartitionResult
	for _, t := range r.Topics {
		for _, p := range t.Partitions {
			told = append(told, partitionResult(t.Topic, p.Partition, p.ErrorCode, p.ErrorMessage))
		}
	}
	c.needUpdate()
	if partitions == nil {
		return told, nil
	}
	return asAsked(told, partitions), nil
}

func (c *Client) electionRequest(kind ElectionKind, partitions []kafka.TopicPartition, deadline kafka.Instant) kmsg.Request {
	req := kmsg.NewPtrElectLeadersRequest()
	req.TimeoutMillis, req.ElectionType = c.patience(deadline), int8(kind)
	byTopic(partitions, func(topic string) {
		t := kmsg.NewElectLeadersRequestTopic()
		t.Topic = topic
		req.Topics = append(req.Topics, t)
	}, func(topic, i int) {
		req.Topics[topic].Partitions = append(req.Topics[topic].Partitions, partitions[i].Partition)
	})
	return req
}

// A Reassignment is where a partition shall lie: the first replica is the
// preferred leader. nil Replicas cancel what is under way.
type Reassignment struct {
	Partition kafka.TopicPartition
	Replicas  []kafka.NodeID
}

// AlterPartitionReassignments begins to move partitions, or cancels (KIP-455).
// Results are in the order of the reassignments; the error is about the request
// as a whole. Blocks.
func (c *Client) AlterPartitionReassignments(want []Reassignment, deadline kafka.Instant) ([]PartitionResult, error) {
	resp, err := c.askController(func() kmsg.Request { return c.reassignmentRequest(want, deadline) },
		func(r kmsg.Response) []int16 {
			return []int16{r.(*kmsg.AlterPartitionAssignmentsResponse).ErrorCode}
		}, deadline)
	if err != nil {
		return nil, fmt.Errorf("reassign partitions: %w", err)
	}
	r := resp.(*kmsg.AlterPartitionAssignmentsResponse)
	if err := toldBy(r.ErrorCode, r.ErrorMessage); err != nil {
		return nil, fmt.Errorf("reassign partitions: %w", err)
	}
	var told []PartitionResult
	for _, t := range r.Topics {
		for _, p := range t.Partitions {
			told = append(told, partitionResult(t.Topic, p.Partition, p.ErrorCode, p.ErrorMessage))
		}
	}
	c.needUpdate()
	return asAsked(told, partitionsOf(want)), nil
}

func partitionsOf(want []Reassignment) []kafka.TopicPartition {
	tps := make([]kafka.TopicPartition, len(want))
	for i, r := range want {
		tps[i] = r.Partition
	}
	return tps
}

func (c *Client) reassignmentRequest(want []Reassignment, deadline kafka.Instant) kmsg.Request {
	req := kmsg.NewPtrAlterPartitionAssignmentsRequest()
	req.TimeoutMillis = c.patience(deadline)
	byTopic(partitionsOf(want), func(topic string) {
		t := kmsg.NewAlterPartitionAssignmentsRequestTopic()
		t.Topic = topic
		req.Topics = append(req.Topics, t)
	}, func(topic, i int) {
		p := kmsg.NewAlterPartitionAssignmentsRequestTopicPartition()
		p.Partition, p.Replicas = want[i].Partition.Partition, nodeNumbers(want[i].Replicas)
		req.Topics[topic].Partitions = append(req.Topics[topic].Partitions, p)
	})
	return req
}

// A Moving is a partition that is on its way to other replicas.
type Moving struct {
	Partition                  kafka.TopicPartition
	Replicas, Adding, Removing []kafka.NodeID
}

// ListPartitionReassignments returns what is under way of some partitions, nil for
// all there are. Blocks.
func (c *Client) ListPartitionReassignments(partitions []kafka.TopicPartition, deadline kafka.Instant) ([]Moving, error) {
	resp, err := c.askController(func() kmsg.Request { return c.movingRequest(partitions, deadline) },
		func(r kmsg.Response) []int16 {
			return []int16{r.(*kmsg.ListPartitionReassignmentsResponse).ErrorCode}
		}, deadline)
	if err != nil {
		return nil, fmt.Errorf("list reassignments: %w", err)
	}
	r := resp.(*kmsg.ListPartitionReassignmentsResponse)
	if err := toldBy(r.ErrorCode, r.ErrorMessage); err != nil {
		return nil, fmt.Errorf("list reassignments: %w", err)
	}
	var moving []Moving
	for _, t := range r.Topics {
		for _, p := range t.Partitions {
			moving = append(moving, Moving{
				Partition: kafka.TopicPartition{Topic: t.Topic, Partition: p.Partition},
				Replicas:  nodeIDs(p.Replicas), Adding: nodeIDs(p.AddingReplicas), Removing: nodeIDs(p.RemovingReplicas),
			})
		}
	}
	return moving, nil
}

func (c *Client) movingRequest(partitions []kafka.TopicPartition, deadline kafka.Instant) kmsg.Request {
	req := kmsg.NewPtrListPartitionReassignmentsRequest()
	req.TimeoutMillis = c.patience(deadline)
	byTopic(partitions, func(topic string) {
		t := kmsg.NewListPartitionReassignmentsRequestTopic()
		t.Topic = topic
		req.Topics = append(req.Topics, t)
	}, func(topic, i int) {
		req.Topics[topic].Partitions = append(req.Topics[topic].Partitions, partitions[i].Partition)
	})
	return req
}

// DescribeReplicas is DescribeTopics with who is eligible to lead (KIP-966). A
// broker that does not know of such answers as to DescribeTopics. Blocks.
func (c *Client) DescribeReplicas(names []string, deadline kafka.Instant) ([]cluster.Topic, error) {
	out := make([]cluster.Topic, len(names))
	for i, name := range names {
		out[i] = cluster.Topic{Name: name, Err: kafka.ErrUnknownTopicOrPartition}
	}
	var from *kmsg.DescribeTopicPartitionsRequestCursor
	for {
		resp, err := c.ask(func() kmsg.Request { return replicasRequest(names, from) }, link.Options{}, deadline)
		if errors.Is(err, kafka.ErrUnsupportedVersion) {
			return c.DescribeTopics(names, deadline)
		}
		if err != nil {
			return nil, fmt.Errorf("describe topics: %w", err)
		}
		r := resp.(*kmsg.DescribeTopicPartitionsResponse)
		for i := range r.Topics {
			addReplicas(out, &r.Topics[i])
		}
		if r.NextCursor == nil {
			return out, nil
		}
		from = &kmsg.DescribeTopicPartitionsRequestCursor{Topic: r.NextCursor.Topic, Partition: r.NextCursor.Partition}
	}
}

func replicasRequest(names []string, from *kmsg.DescribeTopicPartitionsRequestCursor) kmsg.Request {
	req := kmsg.NewPtrDescribeTopicPartitionsRequest()
	req.Cursor = from
	for _, name := range names {
		t := kmsg.NewDescribeTopicPartitionsRequestTopic()
		t.Topic = name
		req.Topics = append(req.Topics, t)
	}
	return req
}

// addReplicas adds what one answer says of a topic; a topic may be spread over
// several.
func addReplicas(out []cluster.Topic, t *kmsg.DescribeTopicPartitionsResponseTopic) {
	for i := range out {
		if t.Topic == nil || out[i].Name != *t.Topic {
			continue
		}
		o := &out[i]
		o.ID, o.Internal, o.Err = t.TopicID, t.IsInternal, kafka.Error(t.ErrorCode)
		for _, p := range t.Partitions {
			o.Partitions = append(o.Partitions, cluster.Partition{
				ID: p.Partition, Leader: kafka.NodeID(p.LeaderID), Epoch: kafka.LeaderEpoch(p.LeaderEpoch),
				Replicas: nodeIDs(p.Replicas), InSync: nodeIDs(p.ISR), Offline: nodeIDs(p.OfflineReplicas),
				Eligible: nodeIDs(p.EligibleLeaderReplicas), LastKnown: nodeIDs(p.LastKnownELR),
				Err: kafka.Error(p.ErrorCode),
			})
		}
	}
}

// byTopic calls topic once for each topic of the partitions, in the order in which
// they first appear, and then partition, with the numbers of the topic and of the
// partition, for each of them.
func byTopic(partitions []kafka.TopicPartition, topic func(name string), partition func(topic, i int)) {
	at := make(map[string]int)
	for i, tp := range partitions {
		n, ok := at[tp.Topic]
		if !ok {
			n = len(at)
			at[tp.Topic] = n
			topic(tp.Topic)
		}
		partition(n, i)
	}
}

func partitionResult(topic string, partition int32, code int16, message *string) PartitionResult {
	r := PartitionResult{Partition: kafka.TopicPartition{Topic: topic, Partition: partition}}
	r.Err = toldBy(code, message)
	if r.Err != nil && !strings.Contains(r.Err.Error(), r.Partition.String()) {
		r.Err = fmt.Errorf("%s: %w", r.Partition, r.Err)
	}
	return r
}

// asAsked returns the results in the order of what was asked. What the broker did
// not mention may have happened.
func asAsked(told []PartitionResult, asked []kafka.TopicPartition) []PartitionResult {
	byPartition := make(map[kafka.TopicPartition]PartitionResult)
	for _, r := range told {
		byPartition[r.Partition] = r
	}
	out := make([]PartitionResult, len(asked))
	for i, tp := range asked {
		r, ok := byPartition[tp]
		if !ok {
			r = partitionResult(tp.Topic, tp.Partition, int16(kafka.ErrUnknownServerError), nil)
		}
		out[i] = r
	}
	return out
}

func nodeNumbers(ids []kafka.NodeID) []int32 {
	if ids == nil {
		return nil
	}
	out := make([]int32, len(ids))
	for i, id := range ids {
		out[i] = int32(id)
	}
	return out
}
