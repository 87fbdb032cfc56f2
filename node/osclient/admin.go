package osclient

import (
	"context"

	inner "github.com/klammlog/klamm/node/client"
	"github.com/klammlog/klamm/node/client/cluster"
	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/kafka"
)

// What is said of topics, brokers and settings, as klamm/node/client has it.
type (
	Topic            = cluster.Topic
	Cluster          = cluster.Answer
	NewTopic         = inner.NewTopic
	TopicResult      = inner.TopicResult
	Growth           = inner.Growth
	Deletion         = inner.Deletion
	Deleted          = inner.Deleted
	LogDir           = inner.LogDir
	Resource         = inner.Resource
	ResourceSettings = inner.ResourceSettings
	SettingsQuestion = inner.DescribeConfigs
	Alteration       = inner.Alteration
	AlterResult      = inner.AlterResult
	ConfigChange     = config.Change
	Mode             = inner.Mode
)

// Whether a request is carried out, or only checked.
const (
	CarryOut     = inner.CarryOut
	OnlyValidate = inner.OnlyValidate
)

// TopicSettings names a topic.
func TopicSettings(name string) Resource { return inner.TopicSettings(name) }

// BrokerSettings names a broker.
func BrokerSettings(id kafka.NodeID) Resource { return inner.BrokerSettings(id) }

// SetConfig returns the change that sets a setting.
func SetConfig(name, value string) ConfigChange { return inner.SetConfig(name, value) }

// DeleteConfig returns the change that lets a setting fall back to what it is
// without being set.
func DeleteConfig(name string) ConfigChange { return inner.DeleteConfig(name) }

// Results of the methods below are in the order of what was asked; the error is
// about the request as a whole. OutcomeOf tells what an error says about what was
// done.

// OutcomeOf tells whether something was done although it failed: not at all
// (kafka.Definite, kafka.Retriable), or perhaps (kafka.Unknown).
func OutcomeOf(err error) kafka.Outcome { return inner.OutcomeOf(err) }

// CreateTopics creates topics.
func (c *Client) CreateTopics(ctx context.Context, topics ...NewTopic) ([]TopicResult, error) {
	return ask(ctx, c, func() ([]TopicResult, error) { return c.inner.CreateTopics(topics, kafka.Never) })
}

// DeleteTopics deletes topics by name.
func (c *Client) DeleteTopics(ctx context.Context, names ...string) ([]TopicResult, error) {
	return ask(ctx, c, func() ([]TopicResult, error) { return c.inner.DeleteTopics(names, kafka.Never) })
}

// CreatePartitions adds partitions to topics.
func (c *Client) CreatePartitions(ctx context.Context, mode Mode, growths ...Growth) ([]TopicResult, error) {
	return ask(ctx, c, func() ([]TopicResult, error) { return c.inner.CreatePartitions(growths, mode, kafka.Never) })
}

// ListTopics returns all topics, sorted by name.
func (c *Client) ListTopics(ctx context.Context) ([]Topic, error) {
	return ask(ctx, c, func() ([]Topic, error) { return c.inner.ListTopics(kafka.Never) })
}

// DescribeTopics returns what the cluster knows of topics; Topic.Err tells of those
// that do not exist.
func (c *Client) DescribeTopics(ctx context.Context, names ...string) ([]Topic, error) {
	return ask(ctx, c, func() ([]Topic, error) { return c.inner.DescribeTopics(names, kafka.Never) })
}

// DeleteRecords deletes the records below offsets.
func (c *Client) DeleteRecords(ctx context.Context, deletions ...Deletion) ([]Deleted, error) {
	return ask(ctx, c, func() ([]Deleted, error) { return c.inner.DeleteRecords(deletions, kafka.Never) })
}

// DescribeCluster returns the brokers and the controller.
func (c *Client) DescribeCluster(ctx context.Context) (Cluster, error) {
	return ask(ctx, c, func() (Cluster, error) { return c.inner.DescribeCluster(kafka.Never) })
}

// DescribeLogDirs returns the log directories of one broker, with all partitions
// in them.
func (c *Client) DescribeLogDirs(ctx context.Context, broker kafka.NodeID) ([]LogDir, error) {
	return ask(ctx, c, func() ([]LogDir, error) { return c.inner.DescribeLogDirs(broker, kafka.Never) })
}

// DescribeConfigs asks for settings of topics and brokers.
func (c *Client) DescribeConfigs(ctx context.Context, q SettingsQuestion) ([]ResourceSettings, error) {
	return ask(ctx, c, func() ([]ResourceSettings, error) { return c.inner.DescribeConfigs(q, kafka.Never) })
}

// IncrementalAlterConfigs changes single settings.
func (c *Client) IncrementalAlterConfigs(ctx context.Context, mode Mode, alterations ...Alteration) ([]AlterResult, error) {
	return ask(ctx, c, func() ([]AlterResult, error) { return c.inner.IncrementalAlterConfigs(alterations, mode, kafka.Never) })
}

// Offsets asks the leaders which offsets the places stand for: the beginning of a
// partition (Earliest), its end (Latest), the first record of a time (AtTime), the
// one with the largest timestamp (Newest). The error is the first among the
// results.
func (c *Client) Offsets(ctx context.Context, places ...Place) ([]Found, error) {
	return ask(ctx, c, func() ([]Found, error) { return c.inner.Offsets(places, kafka.Never) })
}
