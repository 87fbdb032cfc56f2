package osclient

import (
	"context"

	inner "github.com/klammlog/klamm/node/client"
	"github.com/klammlog/klamm/node/kafka"
)

// What is said of groups, as klamm/node/client has it.
type (
	Group        = inner.Group
	GroupMember  = inner.GroupMember
	GroupFilter  = inner.GroupFilter
	ListedGroup  = inner.ListedGroup
	GroupResult  = inner.GroupResult
	OffsetResult = inner.OffsetResult
)

// ListGroups asks every broker which groups it coordinates, and returns them sorted by
// name. With an error they are those of the brokers that did answer.
func (c *Client) ListGroups(ctx context.Context, f GroupFilter) ([]ListedGroup, error) {
	return ask(ctx, c, func() ([]ListedGroup, error) { return c.inner.ListGroups(f, kafka.Never) })
}

// DescribeGroups asks the coordinators of groups about them, whichever protocol they
// have. The error is the first among the results.
func (c *Client) DescribeGroups(ctx context.Context, ids ...string) ([]Group, error) {
	return ask(ctx, c, func() ([]Group, error) { return c.inner.DescribeGroups(ids, kafka.Never) })
}

// DeleteGroups deletes groups that have no members, with their offsets. The error is
// the first among the results.
func (c *Client) DeleteGroups(ctx context.Context, ids ...string) ([]GroupResult, error) {
	return ask(ctx, c, func() ([]GroupResult, error) { return c.inner.DeleteGroups(ids, kafka.Never) })
}

// GroupOffsets returns what a group has committed, sorted: for the partitions that are
// asked for, -1 where there is nothing, or without any all there is.
func (c *Client) GroupOffsets(ctx context.Context, group string, of ...TopicPartition) ([]Commit, error) {
	return ask(ctx, c, func() ([]Commit, error) { return c.inner.GroupOffsets(group, of, kafka.Never) })
}

// AlterGroupOffsets commits offsets for a group that has no members. A group that does
// not exist begins to. The error is the first among the results.
func (c *Client) AlterGroupOffsets(ctx context.Context, group string, offsets ...Commit) ([]OffsetResult, error) {
	return ask(ctx, c, func() ([]OffsetResult, error) { return c.inner.AlterGroupOffsets(group, offsets, kafka.Never) })
}

// DeleteGroupOffsets has a group forget offsets, of topics that no member of it
// subscribes to. The error is the first among the results.
func (c *Client) DeleteGroupOffsets(ctx context.Context, group string, of ...TopicPartition) ([]OffsetResult, error) {
	return ask(ctx, c, func() ([]OffsetResult, error) { return c.inner.DeleteGroupOffsets(group, of, kafka.Never) })
}
