package api

import (
	"slices"

	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/peer"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// A handler is one row of the table: an API key, the versions of it that are
// served, and what serves them.
type handler struct {
	key       kmsg.Key
	min, max  int16 // accepted
	advertise int16 // the lowest version that ApiVersions tells
	on        side
	needs     permission
	counts    quota
	order     order

	// decides says that the active controller answers: see controlled.
	decides bool

	// plain says that a request of this kind takes no more memory once it is
	// decoded than its bytes: Produce is decoded by hand, and raft's messages are
	// kept as they came.
	plain bool

	flexibleFrom int16 // the first version with tagged fields

	// begin takes a request up in its turn and returns the rest of the work.
	// An error ends the connection. Blocks.
	begin func(*Server, *Call) (answer, error)
}

// A side says on which listeners an API stands.
type side uint8

const (
	ofBrokers     side = iota // those for clients, and for brokers among each other
	ofControllers             // those of controllers
	ofBoth
)

// serves reports whether an API stands on a listener of a side, which is not
// ofBoth.
func (s side) serves(listener side) bool { return s == ofBoth || s == listener }

// A permission is what a principal must be allowed to do.
type permission struct {
	operation operation
	on        resource
}

type operation uint8

const (
	anyone operation = iota // no permission is needed
	opRead
	opWrite
	opCreate
	opDelete
	opAlter
	opDescribe
	opDescribeConfigs
	opAlterConfigs
	opIdempotentWrite
	opClusterAction
)

type resource uint8

const (
	onNothing resource = iota
	onCluster
	onTopics  // those in the request, each by itself
	onConfigs // the cluster or a topic, as the request names them, each by itself
	onGroups  // those in the request, each by itself
)

// A quota says what a request counts against.
type quota uint8

const (
	countsRequest quota = iota // time only
	countsProduce              // bytes produced
	countsFetch                // bytes fetched
	countsChange               // changes of the cluster
)

// An order says what the next request of the same connection may do meanwhile.
type order uint8

const (
	// alone: earlier requests are answered before it begins, and it is answered
	// before a later one begins.
	alone order = iota

	// overlapping: begin takes effect in its turn, but the answer may wait while
	// later requests begin.
	overlapping
)

// table is every API that is served, by key. It is made by a function because
// ApiVersions reads it.
func table() []*handler { return slices.Concat(forClients(), forMembers(), forOperators(), forNodes()) }

// forClients returns what brokers are asked, and what programs ask controllers.
func forClients() []*handler {
	return []*handler{
		{key: kmsg.Produce, min: 3, max: 13, advertise: 0,
			needs: permission{opWrite, onTopics}, counts: countsProduce, order: overlapping, plain: true, begin: beginProduce},
		{key: kmsg.Fetch, min: 4, max: 18, advertise: 4,
			needs: permission{opRead, onTopics}, counts: countsFetch, order: overlapping, begin: beginFetch},
		{key: kmsg.ListOffsets, min: 1, max: 11, advertise: 1,
			needs: permission{opDescribe, onTopics}, begin: serve(listOffsets)},
		{key: kmsg.Metadata, min: 0, max: 13, advertise: 0,
			needs: permission{opDescribe, onTopics}, begin: serve(metadata)},
		{key: kmsg.FindCoordinator, min: 0, max: 6, advertise: 0,
			begin: serve(findCoordinator)},
		{key: kmsg.ApiVersions, min: 0, max: maxApiVersions, advertise: 0, on: ofBoth,
			begin: beginApiVersions},
		{key: kmsg.CreateTopics, min: 2, max: 7, advertise: 2, on: ofBoth,
			needs: permission{opCreate, onTopics}, counts: countsChange, decides: true, begin: controlled(createTopics, settleTopics)},
		{key: kmsg.DeleteTopics, min: 1, max: 6, advertise: 1, on: ofBoth,
			needs: permission{opDelete, onTopics}, counts: countsChange, decides: true, begin: controlled(deleteTopics, settleDeleted)},
		{key: kmsg.DeleteRecords, min: 0, max: 2, advertise: 0,
			needs: permission{opDelete, onTopics}, begin: serve(deleteRecords)},
		{key: kmsg.InitProducerID, min: 0, max: 5, advertise: 0,
			needs: permission{opIdempotentWrite, onCluster}, begin: serve(initProducerID)},
		{key: kmsg.OffsetForLeaderEpoch, min: 2, max: 4, advertise: 2,
			needs: permission{opDescribe, onTopics}, begin: serve(offsetForLeaderEpoch)},
		{key: kmsg.DescribeConfigs, min: 1, max: 4, advertise: 1,
			needs: permission{opDescribeConfigs, onConfigs}, begin: serve(describeConfigs)},
		{key: kmsg.AlterConfigs, min: 0, max: 2, advertise: 0, on: ofBoth,
			needs: permission{opAlterConfigs, onConfigs}, counts: countsChange, decides: true, begin: controlled(alterConfigs, nil)},
		{key: kmsg.DescribeLogDirs, min: 1, max: 4, advertise: 1,
			needs: permission{opDescribe, onCluster}, begin: serve(describeLogDirs)},
		{key: kmsg.CreatePartitions, min: 0, max: 3, advertise: 0, on: ofBoth,
			needs: permission{opAlter, onTopics}, counts: countsChange, decides: true, begin: controlled(createPartitions, settlePartitions)},
		{key: kmsg.IncrementalAlterConfigs, min: 0, max: 1, advertise: 0, on: ofBoth,
			needs: permission{opAlterConfigs, onConfigs}, counts: countsChange, decides: true, begin: controlled(incrementalAlterConfigs, nil)},
		{key: kmsg.DescribeCluster, min: 0, max: 2, advertise: 0, on: ofBoth,
			needs: permission{opDescribe, onCluster}, begin: serve(describeCluster)},
		{key: kmsg.DescribeProducers, min: 0, max: 0, advertise: 0,
			needs: permission{opRead, onTopics}, begin: serve(describeProducers)},
		{key: kmsg.ListConfigResources, min: 0, max: 1, advertise: 0,
			needs: permission{opDescribeConfigs, onCluster}, begin: serve(listConfigResources)},
		{key: kmsg.DescribeTopicPartitions, min: 0, max: 0, advertise: 0,
			needs: permission{opDescribe, onTopics}, begin: beginDescribeTopicPartitions},
	}
}

// forMembers returns what coordinators of groups are asked.
func forMembers() []*handler {
	return []*handler{
		{key: kmsg.OffsetCommit, min: 2, max: 10, advertise: 2,
			needs: permission{opRead, onGroups}, begin: serve(offsetCommit)},
		{key: kmsg.OffsetFetch, min: 1, max: 10, advertise: 1,
			needs: permission{opDescribe, onGroups}, begin: serve(offsetFetch)},
		{key: kmsg.JoinGroup, min: 0, max: 9, advertise: 0,
			needs: permission{opRead, onGroups}, begin: serve(joinGroup)},
		{key: kmsg.Heartbeat, min: 0, max: 4, advertise: 0,
			needs: permission{opRead, onGroups}, begin: serve(heartbeat)},
		{key: kmsg.LeaveGroup, min: 0, max: 5, advertise: 0,
			needs: permission{opRead, onGroups}, begin: serve(leaveGroup)},
		{key: kmsg.SyncGroup, min: 0, max: 5, advertise: 0,
			needs: permission{opRead, onGroups}, begin: serve(syncGroup)},
		{key: kmsg.DescribeGroups, min: 0, max: 6, advertise: 0,
			needs: permission{opDescribe, onGroups}, begin: serve(describeGroups)},
		{key: kmsg.ListGroups, min: 0, max: 5, advertise: 0,
			needs: permission{opDescribe, onCluster}, begin: serve(listGroups)},
		{key: kmsg.DeleteGroups, min: 0, max: 2, advertise: 0,
			needs: permission{opDelete, onGroups}, begin: serve(deleteGroups)},
		{key: kmsg.OffsetDelete, min: 0, max: 0, advertise: 0,
			needs: permission{opDelete, onGroups}, begin: serve(offsetDelete)},
		{key: kmsg.ConsumerGroupHeartbeat, min: 0, max: 1, advertise: 0,
			needs: permission{opRead, onGroups}, begin: serve(consumerGroupHeartbeat)},
		{key: kmsg.ConsumerGroupDescribe, min: 0, max: 1, advertise: 0,
			needs: permission{opDescribe, onGroups}, begin: serve(consumerGroupDescribe)},
	}
}

// forOperators returns what only they ask.
func forOperators() []*handler {
	return []*handler{
		{key: kmsg.ElectLeaders, min: 0, max: 2, advertise: 0, on: ofBoth,
			needs: permission{opAlter, onCluster}, counts: countsChange, decides: true, begin: controlled(electLeaders, nil)},
		{key: kmsg.AlterPartitionAssignments, min: 0, max: 1, advertise: 0, on: ofBoth,
			needs: permission{opAlter, onCluster}, counts: countsChange, decides: true, begin: controlled(alterPartitionReassignments, nil)},
		{key: kmsg.ListPartitionReassignments, min: 0, max: 0, advertise: 0, on: ofBoth,
			needs: permission{opDescribe, onCluster}, decides: true, begin: controlled(listPartitionReassignments, nil)},
		{key: kmsg.DescribeQuorum, min: 0, max: 2, advertise: 0, on: ofBoth,
			needs: permission{opDescribe, onCluster}, decides: true, begin: controlled(describeQuorum, nil)},
		{key: kmsg.UpdateFeatures, min: 0, max: 2, advertise: 0, on: ofBoth,
			needs: permission{opAlter, onCluster}, counts: countsChange, decides: true, begin: controlled(updateFeatures, nil)},
		{key: kmsg.UnregisterBroker, min: 0, max: 0, advertise: 0, on: ofBoth,
			needs: permission{opAlter, onCluster}, counts: countsChange, decides: true, begin: controlled(unregisterBroker, nil)},
		{key: kmsg.AddRaftVoter, min: 0, max: 1, advertise: 0, on: ofBoth,
			needs: permission{opAlter, onCluster}, counts: countsChange, decides: true, begin: controlled(addRaftVoter, nil)},
		{key: kmsg.RemoveRaftVoter, min: 0, max: 0, advertise: 0, on: ofBoth,
			needs: permission{opAlter, onCluster}, counts: countsChange, decides: true, begin: controlled(removeRaftVoter, nil)},
	}
}

// forNodes returns what brokers ask controllers, and nodes each other.
func forNodes() []*handler {
	return []*handler{
		{key: kmsg.BrokerRegistration, min: 2, max: 4, advertise: 2, on: ofControllers,
			needs: permission{opClusterAction, onCluster}, decides: true, begin: controlled(brokerRegistration, nil)},
		{key: kmsg.BrokerHeartbeat, min: 0, max: 1, advertise: 0, on: ofControllers,
			needs: permission{opClusterAction, onCluster}, decides: true, begin: controlled(brokerHeartbeat, nil)},
		{key: kmsg.AlterPartition, min: 2, max: 3, advertise: 2, on: ofControllers,
			needs: permission{opClusterAction, onCluster}, decides: true, begin: controlled(alterPartition, nil)},
		{key: kmsg.AllocateProducerIDs, min: 0, max: 0, advertise: 0, on: ofControllers,
			needs: permission{opClusterAction, onCluster}, decides: true, begin: controlled(allocateProducerIDs, nil)},
		{key: peer.RaftStepKey, on: ofControllers,
			needs: permission{opClusterAction, onCluster}, order: overlapping, plain: true, begin: beginRaftStep},
		{key: peer.ReadMetadataKey, on: ofControllers,
			needs: permission{opClusterAction, onCluster}, begin: serve(readMetadata)},
		{key: peer.ForwardKey, on: ofControllers,
			needs: permission{opClusterAction, onCluster}, counts: countsChange, begin: beginForward},
	}
}

// Keys in the table: Kafka's up to maxKey, and behind them those that klamm's nodes
// have for themselves.
const (
	maxKey       = 127
	firstPrivate = int16(peer.RaftStepKey)
	privateKeys  = 8
	slots        = maxKey + 1 + privateKeys
)

// slot returns the place of a key in the table, or -1.
func slot(key int16) int {
	switch {
	case key >= 0 && key <= maxKey:
		return int(key)
	case key >= firstPrivate && key < firstPrivate+privateKeys:
		return maxKey + 1 + int(key-firstPrivate)
	}
	return -1
}

// handlersByKey returns the table's rows at the places of their keys.
func handlersByKey() []*handler {
	rows := make([]*handler, slots)
	for _, h := range table() {
		r := h.request()
		for h.flexibleFrom = 0; h.flexibleFrom <= h.max; h.flexibleFrom++ {
			if r.SetVersion(h.flexibleFrom); r.IsFlexible() {
				break
			}
		}
		rows[slot(int16(h.key))] = h
	}
	return rows
}

// flexible reports whether a request of a version has tagged fields, and its
// header with it.
func (s *Server) flexible(key, version int16) bool {
	h := s.handler(key)
	return h != nil && version >= h.flexibleFrom && version <= h.max
}

// request returns an empty request.
func (h *handler) request() kmsg.Request { return peer.RequestForKey(int16(h.key)) }

func (s *Server) handler(key int16) *handler {
	if at := slot(key); at >= 0 {
		return s.handlers[at]
	}
	return nil
}

// An answer is what is left to do of a request: to wait, and to write.
type answer interface {
	// send writes the answer, or nothing if there is none. An error ends the
	// connection. Blocks.
	send(c *conn, call *Call) error

	// drop is called instead of send when the connection has ended.
	drop()
}

// serve makes a handler of a function that answers a decoded request. It runs
// when its turn to be answered has come.
func serve[R any, P interface {
	*R
	kmsg.Request
}](f func(*Server, *Call, P) kmsg.Response) func(*Server, *Call) (answer, error) {
	return func(s *Server, call *Call) (answer, error) {
		request := P(new(R))
		if err := s.decode(request, call); err != nil {
			return nil, err
		}
		return served(func() kmsg.Response { return f(s, call, request) }), nil
	}
}

// served is an answer that one function makes.
type served func() kmsg.Response

func (f served) drop() {}

func (f served) send(c *conn, call *Call) error {
	taken, err := c.takeForAnswer(c.s.answerSize(call))
	if err != nil {
		return err
	}
	defer c.giveForAnswer(taken)
	response := f()
	eachCode(response, c.s.counts.code)
	if throttled, ok := response.(kmsg.SetThrottleResponse); ok {
		throttled.SetThrottle(c.s.throttle())
	}
	response.SetVersion(call.Version)
	b := call.appendResponse(c.out[:0], response)
	if more := int64(len(b)) - taken; more > 0 {
		c.answers.charge(more)
		defer c.answers.discharge(more)
	}
	return c.write(b)
}

// answerSize estimates how large an answer will be before there is one.
func (s *Server) answerSize(call *Call) int64 {
	const item, partition = 16, 200 // bytes; for each byte of the request
	n := int64(1024 + item*len(call.body))
	switch kmsg.Key(call.Key) {
	case kmsg.Metadata, kmsg.DescribeLogDirs:
		for _, t := range s.image().Topics() {
			n += int64(partition * len(t.Partitions))
		}
	case kmsg.DescribeTopicPartitions:
		n += partition * maxPartitionsDescribed
	}
	return n
}

// decode reads a call's body, a large one while other tasks run. Blocks.
func (s *Server) decode(request kmsg.Request, call *Call) (err error) {
	if len(call.body) < offloadAbove {
		return decode(request, call.Version, call.body)
	}
	s.w.Offload(func() { err = decode(request, call.Version, call.body) })
	return err
}

// deadlineIn returns the instant that a request's timeout in milliseconds ends.
func (call *Call) deadlineIn(ms int32) kafka.Instant {
	return call.Arrived.Add(millis(ms))
}
