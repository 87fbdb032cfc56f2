package client

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/klammlog/klamm/node/client/cluster"
	"github.com/klammlog/klamm/node/client/link"
	"github.com/klammlog/klamm/node/kafka"
)

// A GroupFilter says which groups to list: those in one of some states and of one of
// some types, by the names that brokers give them. None means all.
type GroupFilter struct{ States, Types []string }

// A ListedGroup is a group in a list. What an old broker does not tell is "".
type ListedGroup struct {
	ID           string
	ProtocolType string // "consumer", or what its members said; "" if only offsets were committed
	State        string // "Stable", "Empty", "PreparingRebalance", ...
	Type         string // "classic" or "consumer"
	Coordinator  kafka.NodeID
}

// ListGroups asks every broker which groups it coordinates, until each has answered
// or the deadline passes. Groups are sorted by name. With an error they are those of
// the brokers that did answer. Blocks.
func (c *Client) ListGroups(f GroupFilter, deadline kafka.Instant) ([]ListedGroup, error) {
	for round := 1; ; round++ {
		groups, err := c.listGroups(f, deadline)
		if err == nil || hopeless(err) {
			return groups, err
		}
		pause := c.backOff(round)
		if c.w.Now().Add(pause) >= deadline {
			return groups, err
		}
		if err := c.w.Sleep(pause); err != nil {
			return groups, err
		}
	}
}

// listGroups asks every broker once. Blocks.
func (c *Client) listGroups(f GroupFilter, deadline kafka.Instant) ([]ListedGroup, error) {
	a, err := c.Metadata([]string{}, deadline)
	if err != nil {
		return nil, fmt.Errorf("list groups: %w", err)
	}
	var out []ListedGroup
	var failed error
	for _, b := range a.Brokers {
		groups, err := c.groupsOf(b, f, deadline)
		if err != nil && (failed == nil || hopeless(err)) {
			failed = fmt.Errorf("list groups of broker %d: %w", b.ID, err)
		}
		out = append(out, groups...)
	}
	// A group that moved meanwhile may have been listed by both of its coordinators.
	slices.SortFunc(out, func(a, b ListedGroup) int { return cmp.Compare(a.ID, b.ID) })
	return slices.CompactFunc(out, func(a, b ListedGroup) bool { return a.ID == b.ID }), failed
}

func (c *Client) groupsOf(b cluster.Broker, f GroupFilter, deadline kafka.Instant) ([]ListedGroup, error) {
	req, o := kmsg.NewPtrListGroupsRequest(), link.Options{}
	req.StatesFilter, req.TypesFilter = f.States, f.Types
	switch {
	case len(f.Types) > 0:
		o.MinVersion = 5
	case len(f.States) > 0:
		o.MinVersion = 4
	}
	resp, err := c.links.get(b.Address).Do(req, o, min(deadline, c.w.Now().Add(c.c.RequestTimeout)))
	if err != nil {
		return nil, err
	}
	r := resp.(*kmsg.ListGroupsResponse)
	var out []ListedGroup
	for _, g := range r.Groups {
		out = append(out, ListedGroup{ID: g.Group, ProtocolType: g.ProtocolType, State: g.GroupState, Type: g.GroupType, Coordinator: b.ID})
	}
	return out, kafka.Error(r.ErrorCode).AsError()
}

// A Group is what its coordinator tells of a group.
type Group struct {
	ID           string
	Coordinator  cluster.Broker // id and address
	State        string         // "Stable", "Empty", "PreparingRebalance", ...
	Type         string         // "classic" or "consumer"
	ProtocolType string         // "consumer" if its members consume
	Assignor     string         // that assigned last; "" if the coordinator does not tell

	// Epoch and AssignmentEpoch are of the consumer protocol: how often the group, and
	// what it is assigned, has changed. A classic group tells none: -1.
	Epoch, AssignmentEpoch int32

	Members []GroupMember
	Err     error // kafka.ErrGroupIDNotFound: there is no such group
}

// A GroupMember is one member of a group.
type GroupMember struct {
	ID, Instance   string // Instance is "" for a member that is not static
	ClientID, Host string
	Rack           string // "" if it tells none
	Epoch          int32  // of the consumer protocol; -1 in a classic group
	Protocol       string // that it speaks: "classic" or "consumer"

	// What it wants, has, and shall have; all of them empty while a classic group
	// rebalances, Target in every classic group. A topic that is gone stands there by
	// its id.
	Topics           []string
	Pattern          string
	Assigned, Target []kafka.TopicPartition
}

// DescribeGroups asks the coordinators of groups about them, whichever protocol
// they have. Results are in the order of the ids; the error is the first among them.
// Blocks.
func (c *Client) DescribeGroups(ids []string, deadline kafka.Instant) ([]Group, error) {
	out := make([]Group, len(ids))
	var failed error
	for i, id := range ids {
		at := &coordinator{c: c, group: id}
		g, err := at.describeConsumer(deadline)
		if errors.Is(err, kafka.ErrUnsupportedVersion) || errors.Is(err, kafka.ErrGroupIDNotFound) {
			g, err = at.describeClassic(deadline)
		}
		g.ID, g.Coordinator, g.Err = id, cluster.Broker{ID: at.id, Address: at.address}, err
		if out[i] = g; failed == nil {
			failed = err
		}
	}
	return out, failed
}

// describeConsumer asks about a group of the consumer protocol. Blocks.
func (g *coordinator) describeConsumer(deadline kafka.Instant) (Group, error) {
	resp, err := g.ask(groupCall{
		build: func() kmsg.Request {
			q := kmsg.NewPtrConsumerGroupDescribeRequest()
			q.Groups = []string{g.group}
			return q
		},
		code: func(r kmsg.Response) kafka.Error {
			return onlyCode(r.(*kmsg.ConsumerGroupDescribeResponse).Groups, func(a kmsg.ConsumerGroupDescribeResponseGroup) int16 { return a.ErrorCode })
		},
		links: g.c.links,
	}, deadline)
	if err != nil {
		return Group{}, fmt.Errorf("describe group %s: %w", g.group, err)
	}
	r := resp.(*kmsg.ConsumerGroupDescribeResponse)
	if len(r.Groups) != 1 {
		return Group{}, fmt.Errorf("describe group %s: %d answers: %w", g.group, len(r.Groups), kafka.ErrUnknownServerError)
	}
	a := r.Groups[0]
	if err := toldBy(a.ErrorCode, a.ErrorMessage); err != nil {
		return Group{}, fmt.Errorf("describe group %s: %w", g.group, err)
	}
	out := Group{State: a.State, Type: "consumer", ProtocolType: "consumer", Assignor: a.AssignorName, Epoch: a.Epoch, AssignmentEpoch: a.AssignmentEpoch}
	for _, m := range a.Members {
		out.Members = append(out.Members, consumerMember(m))
	}
	return out, nil
}

func consumerMember(m kmsg.ConsumerGroupDescribeResponseGroupMember) GroupMember {
	out := GroupMember{
		ID: m.MemberID, Instance: text(m.InstanceID), ClientID: m.ClientID, Host: m.ClientHost, Rack: text(m.RackID),
		Epoch: m.MemberEpoch, Protocol: "consumer", Topics: m.SubscribedTopics, Pattern: text(m.SubscribedTopicRegex),
		Assigned: namedPartitions(m.Assignment), Target: namedPartitions(m.TargetAssignment),
	}
	if m.MemberType == 0 {
		out.Protocol = "classic" // of a group that moves from one protocol to the other
	}
	return out
}

func namedPartitions(a kmsg.Assignment) (out []kafka.TopicPartition) {
	for _, t := range a.TopicPartitions {
		name := t.Topic
		if name == "" {
			name = kafka.TopicID(t.TopicID).String()
		}
		for _, p := range t.Partitions {
			out = append(out, kafka.TopicPartition{Topic: name, Partition: p})
		}
	}
	slices.SortFunc(out, comparePartitions)
	return out
}

// describeClassic asks about a classic group. Blocks.
func (g *coordinator) describeClassic(deadline kafka.Instant) (Group, error) {
	resp, err := g.ask(groupCall{
		build: func() kmsg.Request {
			q := kmsg.NewPtrDescribeGroupsRequest()
			q.Groups = []string{g.group}
			return q
		},
		code: func(r kmsg.Response) kafka.Error {
			return onlyCode(r.(*kmsg.DescribeGroupsResponse).Groups, func(a kmsg.DescribeGroupsResponseGroup) int16 { return a.ErrorCode })
		},
		links: g.c.links,
	}, deadline)
	if err != nil {
		return Group{}, fmt.Errorf("describe group %s: %w", g.group, err)
	}
	r := resp.(*kmsg.DescribeGroupsResponse)
	if len(r.Groups) != 1 {
		return Group{}, fmt.Errorf("describe group %s: %d answers: %w", g.group, len(r.Groups), kafka.ErrUnknownServerError)
	}
	a := r.Groups[0]
	if a.State == "Dead" && a.ErrorCode == 0 {
		a.ErrorCode = int16(kafka.ErrGroupIDNotFound) // what old versions mean by it
	}
	if err := toldBy(a.ErrorCode, a.ErrorMessage); err != nil {
		return Group{}, fmt.Errorf("describe group %s: %w", g.group, err)
	}
	out := Group{State: a.State, Type: "classic", ProtocolType: a.ProtocolType, Assignor: a.Protocol, Epoch: -1, AssignmentEpoch: -1}
	for _, m := range a.Members {
		out.Members = append(out.Members, classicMember(a, m))
	}
	return out, nil
}

// classicMember reads what a member has told its leader, and was told. Members of
// other kinds than consumers speak a language of their own.
func classicMember(g kmsg.DescribeGroupsResponseGroup, m kmsg.DescribeGroupsResponseGroupMember) GroupMember {
	out := GroupMember{ID: m.MemberID, Instance: text(m.InstanceID), ClientID: m.ClientID, Host: m.ClientHost, Epoch: -1, Protocol: "classic"}
	if g.ProtocolType != "consumer" {
		return out
	}
	if s, err := decodeSubscription(g.Protocol, m.ProtocolMetadata); err == nil {
		out.Topics, out.Rack = s.topics, s.rack
	}
	if mine, err := decodeAssignment(m.MemberAssignment); err == nil {
		out.Assigned = mine
	}
	return out
}

// A GroupResult is what became of one group of a request.
type GroupResult struct {
	ID  string
	Err error // OutcomeOf tells whether it may have happened all the same
}

// DeleteGroups deletes groups that have no members, with their offsets. Results are
// in the order of the ids; the error is the first among them. Blocks.
func (c *Client) DeleteGroups(ids []string, deadline kafka.Instant) ([]GroupResult, error) {
	out := make([]GroupResult, len(ids))
	var failed error
	for i, id := range ids {
		at := &coordinator{c: c, group: id}
		out[i] = GroupResult{ID: id, Err: at.delete(deadline)}
		if failed == nil {
			failed = out[i].Err
		}
	}
	return out, failed
}

func (g *coordinator) delete(deadline kafka.Instant) error {
	resp, err := g.ask(groupCall{
		build: func() kmsg.Request {
			q := kmsg.NewPtrDeleteGroupsRequest()
			q.Groups = []string{g.group}
			return q
		},
		code: func(r kmsg.Response) kafka.Error {
			return onlyCode(r.(*kmsg.DeleteGroupsResponse).Groups, func(a kmsg.DeleteGroupsResponseGroup) int16 { return a.ErrorCode })
		},
		links: g.c.links, once: true,
	}, deadline)
	if err != nil {
		return fmt.Errorf("delete group %s: %w", g.group, err)
	}
	for _, a := range resp.(*kmsg.DeleteGroupsResponse).Groups {
		if a.Group == g.group {
			if err := toldBy(a.ErrorCode, a.ErrorMessage); err != nil {
				return fmt.Errorf("delete group %s: %w", g.group, err)
			}
			return nil
		}
	}
	return fmt.Errorf("delete group %s: not answered: %w", g.group, kafka.ErrUnknownServerError)
}

// onlyCode returns the code of an answer about one group.
func onlyCode[T any](groups []T, code func(T) int16) kafka.Error {
	if len(groups) != 1 {
		return kafka.None // the caller will see
	}
	return kafka.Error(code(groups[0]))
}
