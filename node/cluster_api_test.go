package node_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/klammlog/klamm/node/client/link"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/peer"
	"github.com/klammlog/klamm/node/record"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Ports of a cluster's nodes.
const (
	clients     = 9092
	controllers = 9093
)

// ask has a node answer a request in a version.
func (c *cluster) ask(id, port int, q kmsg.Request, version int16) (answer kmsg.Response) {
	c.t.Helper()
	c.as(fmt.Sprintf("%s to node %d", peer.NameForKey(q.Key()), id), func(w *env.World) (err error) {
		l := link.New(w, link.DefaultConfig(fmt.Sprintf("n%d:%d", id, port)))
		answer, err = l.Do(q, link.Options{MinVersion: version, MaxVersion: version}, w.Now().Add(40*time.Second))
		return errors.Join(err, l.Close(w.Now().Add(time.Second)))
	})
	return answer
}

func wantError(t *testing.T, what string, code int16, want kafka.Error) {
	t.Helper()
	if kafka.Error(code) != want {
		t.Errorf("%s: %s, want %s", what, kafka.Error(code).Name(), want.Name())
	}
}

func newTopicRequest(name string, replicas ...int32) *kmsg.CreateTopicsRequest {
	q := kmsg.NewPtrCreateTopicsRequest()
	q.TimeoutMillis = 10_000
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = name, -1, -1
	a := kmsg.NewCreateTopicsRequestTopicReplicaAssignment()
	a.Replicas = replicas
	t.ReplicaAssignment = append(t.ReplicaAssignment, a)
	q.Topics = append(q.Topics, t)
	return q
}

func metadataOf(names ...string) *kmsg.MetadataRequest {
	q := kmsg.NewPtrMetadataRequest()
	for _, name := range names {
		t := kmsg.NewMetadataRequestTopic()
		t.Topic = kmsg.StringPtr(name)
		q.Topics = append(q.Topics, t)
	}
	return q
}

// Who asks a broker for what is the controllers' gets it done, and the same broker
// knows of it afterwards.
func TestAnyBrokerAnswersForTheController(t *testing.T) {
	c := newCluster(t, 2, "c", "c", "c", "b", "b", "b")
	c.start()
	for id := 4; id <= 6; id++ {
		name := fmt.Sprint("by", id)
		r := c.ask(id, clients, newTopicRequest(name, int32(id)), 7).(*kmsg.CreateTopicsResponse)
		wantError(t, "create", r.Topics[0].ErrorCode, kafka.None)
		m := c.ask(id, clients, metadataOf(name), 12).(*kmsg.MetadataResponse)
		wantError(t, "metadata", m.Topics[0].ErrorCode, kafka.None)
		if p := m.Topics[0].Partitions[0]; p.Leader != int32(id) || m.ControllerID != int32(id) || len(m.Brokers) != 3 {
			t.Errorf("node %d: leader %d, controller %d, %d brokers", id, p.Leader, m.ControllerID, len(m.Brokers))
		}
		again := c.ask(id, clients, newTopicRequest(name, int32(id)), 7).(*kmsg.CreateTopicsResponse)
		wantError(t, "create again", again.Topics[0].ErrorCode, kafka.ErrTopicAlreadyExists)
		q := kmsg.NewPtrDescribeQuorumRequest()
		q.Topics = []kmsg.DescribeQuorumRequestTopic{{Topic: "__cluster_metadata", Partitions: []kmsg.DescribeQuorumRequestTopicPartition{{}, {Partition: 1}}}}
		d := c.ask(id, clients, q, 2).(*kmsg.DescribeQuorumResponse)
		if p := d.Topics[0].Partitions[0]; p.LeaderID != int32(c.active().id) || len(p.CurrentVoters) != 3 || len(p.Observers) != 3 || len(d.Nodes) != 3 {
			t.Errorf("node %d: %+v", id, d)
		}
		wantError(t, "another partition", d.Topics[0].Partitions[1].ErrorCode, kafka.ErrUnknownTopicOrPartition)
		remove := kmsg.NewPtrDeleteTopicsRequest()
		remove.TimeoutMillis, remove.TopicNames = 10_000, []string{name}
		gone := c.ask(id, clients, remove, 5).(*kmsg.DeleteTopicsResponse)
		wantError(t, "delete", gone.Topics[0].ErrorCode, kafka.None)
		m = c.ask(id, clients, metadataOf(name), 12).(*kmsg.MetadataResponse)
		wantError(t, "metadata of what was deleted", m.Topics[0].ErrorCode, kafka.ErrUnknownTopicOrPartition)
	}
}

func TestWithoutAControllerABrokerSaysSoInTime(t *testing.T) {
	c := newCluster(t, 3, "c", "c", "c", "b")
	c.start()
	c.hosts[0].crash()
	c.hosts[1].crash()
	before := c.k.Now()
	q := newTopicRequest("orders", 4)
	q.TimeoutMillis = 3000
	r := c.ask(4, clients, q, 7).(*kmsg.CreateTopicsResponse)
	if code := kafka.Error(r.Topics[0].ErrorCode); code != kafka.ErrNotController && code != kafka.ErrRequestTimedOut {
		t.Errorf("answered %s", code.Name())
	}
	if took := c.k.Now().Sub(before); took > 10*time.Second {
		t.Errorf("answered after %s", took)
	}
}

// produceRequest is a batch of one record.
func batchRequest(topic, value string) *kmsg.ProduceRequest {
	var b record.Builder
	b.Append(record.Record{Value: []byte(value)})
	batch, err := b.Build(record.Spec{}, nil)
	if err != nil {
		panic(err)
	}
	q := kmsg.NewPtrProduceRequest()
	q.Acks, q.TimeoutMillis = -1, 5000
	q.Topics = []kmsg.ProduceRequestTopic{{Topic: topic, Partitions: []kmsg.ProduceRequestTopicPartition{{Records: batch.Bytes()}}}}
	return q
}

func readRequest(id kafka.TopicID, topic, rack string) *kmsg.FetchRequest {
	q := kmsg.NewPtrFetchRequest()
	q.MaxBytes, q.MinBytes, q.MaxWaitMillis, q.Rack = 1<<20, 1, 200, rack
	p := kmsg.NewFetchRequestTopicPartition()
	p.PartitionMaxBytes, p.CurrentLeaderEpoch = 1<<20, -1
	q.Topics = []kmsg.FetchRequestTopic{{Topic: topic, TopicID: id, Partitions: []kmsg.FetchRequestTopicPartition{p}}}
	return q
}

// KIP-951: who asks the wrong broker is told who leads, and where that is.
func TestTheWrongBrokerTellsWhoLeads(t *testing.T) {
	c := newCluster(t, 4, "bc", "bc", "bc")
	c.start()
	id := kafka.TopicID(c.ask(1, clients, newTopicRequest("orders", 2, 3), 7).(*kmsg.CreateTopicsResponse).Topics[0].TopicID)
	c.inSync()
	for _, other := range []int{1, 3} { // a broker without a replica, and a follower
		p := c.ask(other, clients, batchRequest("orders", "x"), 11).(*kmsg.ProduceResponse)
		got := p.Topics[0].Partitions[0]
		wantError(t, "produce", got.ErrorCode, kafka.ErrNotLeaderOrFollower)
		if got.CurrentLeader.LeaderID != 2 || len(p.Brokers) != 1 || p.Brokers[0].NodeID != 2 || p.Brokers[0].Host != "n2" {
			t.Errorf("node %d: produce: %+v", other, p)
		}
		f := c.ask(other, clients, readRequest(id, "orders", ""), 17).(*kmsg.FetchResponse)
		read := f.Topics[0].Partitions[0]
		wantError(t, "fetch", read.ErrorCode, kafka.ErrNotLeaderOrFollower)
		if read.CurrentLeader.LeaderID != 2 || len(f.Brokers) != 1 || f.Brokers[0].Host != "n2" {
			t.Errorf("node %d: fetch: %+v", other, f)
		}
	}
}

// KIP-392.
func TestConsumersReadInTheirRack(t *testing.T) {
	c := newCluster(t, 5, "bc", "bc", "bc")
	for _, h := range c.hosts {
		h.with("broker.rack", fmt.Sprint("r", h.id))
		h.with("replica.selector.class", "org.apache.kafka.common.replica.RackAwareReplicaSelector")
	}
	c.start()
	c.ask(1, clients, newTopicRequest("orders", 1, 2, 3), 7)
	p := c.ask(1, clients, batchRequest("orders", "x"), 11).(*kmsg.ProduceResponse)
	wantError(t, "produce", p.Topics[0].Partitions[0].ErrorCode, kafka.None)
	read := func(node int, rack string) kmsg.FetchResponseTopicPartition {
		return c.ask(node, clients, readRequest(kafka.TopicID{}, "orders", rack), 12).(*kmsg.FetchResponse).Topics[0].Partitions[0]
	}
	for rack, want := range map[string]int32{"": -1, "r1": -1, "r2": 2, "r3": 3, "r9": -1} {
		if got := read(1, rack); got.PreferredReadReplica != want || (want == -1) != (len(got.RecordBatches) > 0) {
			t.Errorf("rack %q: replica %d, %d bytes", rack, got.PreferredReadReplica, len(got.RecordBatches))
		}
	}
	c.until("the follower knows what is committed", func() bool {
		for _, v := range c.hosts[1].node.Partitions() {
			if v.HighWatermark == 1 {
				return true
			}
		}
		return false
	})
	if got := read(2, "r2"); got.ErrorCode != 0 || len(got.RecordBatches) == 0 || got.HighWatermark != 1 {
		t.Errorf("from the follower: %+v", got)
	}
	wantError(t, "a follower asked by who names no rack", read(2, "").ErrorCode, kafka.ErrNotLeaderOrFollower)
}

func TestListenersOfControllers(t *testing.T) {
	c := newCluster(t, 6, "bc", "bc", "bc")
	c.start()
	for of, want := range map[int8]kafka.Error{1: kafka.ErrMismatchedEndpointType, 2: kafka.None} {
		q := kmsg.NewPtrDescribeClusterRequest()
		q.EndpointType = of
		r := c.ask(2, controllers, q, 1).(*kmsg.DescribeClusterResponse)
		wantError(t, "describe cluster", r.ErrorCode, want)
		if want == kafka.None && (len(r.Brokers) != 3 || r.ControllerID != int32(c.active().id) || r.Brokers[2].Host != "n3" || r.Brokers[2].Port != controllers) {
			t.Errorf("%+v", r)
		}
	}
	foreign := c.ask(1, controllers, &peer.RaftStep{ClusterID: "another", From: 2}, 0).(*peer.RaftStepped)
	wantError(t, "raft of another cluster", foreign.ErrorCode, kafka.ErrInconsistentClusterID)
	metadata := c.ask(1, controllers, &peer.ReadMetadata{ClusterID: "another", ReplicaID: 7}, 0).(*peer.MetadataRead)
	wantError(t, "metadata of another cluster", metadata.ErrorCode, kafka.ErrInconsistentClusterID)
	beat := kmsg.NewPtrBrokerHeartbeatRequest()
	beat.BrokerID, beat.BrokerEpoch = 1, 0
	r := c.ask(c.active().id, controllers, beat, 1).(*kmsg.BrokerHeartbeatResponse)
	wantError(t, "a beat of an earlier life", r.ErrorCode, kafka.ErrStaleBrokerEpoch)
	for _, h := range c.hosts {
		want := kafka.ErrNotController
		if h == c.active() {
			want = kafka.ErrBrokerIDNotRegistered
		}
		q := kmsg.NewPtrUnregisterBrokerRequest()
		q.BrokerID = 9
		wantError(t, "unregister at a controller", c.ask(h.id, controllers, q, 0).(*kmsg.UnregisterBrokerResponse).ErrorCode, want)
		wantError(t, "unregister at a broker", c.ask(h.id, clients, q, 0).(*kmsg.UnregisterBrokerResponse).ErrorCode, kafka.ErrBrokerIDNotRegistered)
	}
}

func TestReplicasMoveAndLeadersAreElected(t *testing.T) {
	c := newCluster(t, 7, "bc", "bc", "bc")
	c.start()
	c.ask(1, clients, newTopicRequest("orders", 1, 2), 7)
	move := kmsg.NewPtrAlterPartitionAssignmentsRequest()
	move.TimeoutMillis = 5000
	move.Topics = []kmsg.AlterPartitionAssignmentsRequestTopic{
		{Topic: "nowhere", Partitions: []kmsg.AlterPartitionAssignmentsRequestTopicPartition{{Replicas: []int32{1}}}},
		{Topic: "orders", Partitions: []kmsg.AlterPartitionAssignmentsRequestTopicPartition{{Replicas: []int32{3, 2}}, {Partition: 1, Replicas: []int32{1}}}},
	}
	m := c.ask(2, clients, move, 1).(*kmsg.AlterPartitionAssignmentsResponse)
	wantError(t, "a topic that there is not", m.Topics[0].Partitions[0].ErrorCode, kafka.ErrUnknownTopicOrPartition)
	wantError(t, "a move", m.Topics[1].Partitions[0].ErrorCode, kafka.None)
	wantError(t, "a partition that there is not", m.Topics[1].Partitions[1].ErrorCode, kafka.ErrUnknownTopicOrPartition)
	c.until("the replicas have moved", func() bool {
		r := c.hosts[0].node.Image().Topics()[0].Partitions[0]
		return len(r.ISR) == 2 && len(r.Replicas) == 2 && r.Replicas[0] == 3
	})
	list := kmsg.NewPtrListPartitionReassignmentsRequest()
	if under := c.ask(3, clients, list, 0).(*kmsg.ListPartitionReassignmentsResponse); under.ErrorCode != 0 || len(under.Topics) != 0 {
		t.Errorf("moving still: %+v", under)
	}
	elect := kmsg.NewPtrElectLeadersRequest()
	elect.TimeoutMillis = 5000
	elect.Topics = []kmsg.ElectLeadersRequestTopic{{Topic: "nowhere", Partitions: []int32{0}}, {Topic: "orders", Partitions: []int32{0}}}
	for version := int16(0); version <= 2; version++ {
		e := c.ask(1, clients, elect, version).(*kmsg.ElectLeadersResponse)
		wantError(t, "no such topic", e.Topics[0].Partitions[0].ErrorCode, kafka.ErrUnknownTopicOrPartition)
		if code := kafka.Error(e.Topics[1].Partitions[0].ErrorCode); code != kafka.None && code != kafka.ErrElectionNotNeeded {
			t.Errorf("version %d: %s", version, code.Name())
		}
	}
	elect.Topics = nil
	if e := c.ask(1, clients, elect, 2).(*kmsg.ElectLeadersResponse); e.ErrorCode != 0 || len(e.Topics) != 0 {
		t.Errorf("where all is well: %+v", e)
	}
	if got := c.ask(1, clients, metadataOf("orders"), 12).(*kmsg.MetadataResponse).Topics[0].Partitions[0].Leader; got != 3 {
		t.Errorf("node %d leads, want 3", got)
	}
}

func quorumRequest() *kmsg.DescribeQuorumRequest {
	q := kmsg.NewPtrDescribeQuorumRequest()
	q.Topics = []kmsg.DescribeQuorumRequestTopic{{Topic: "__cluster_metadata", Partitions: []kmsg.DescribeQuorumRequestTopicPartition{{}}}}
	return q
}

// KIP-853.
func TestVotersLeaveAndJoin(t *testing.T) {
	c := newCluster(t, 8, "c", "c", "c", "b")
	c.start()
	voters := func() []kmsg.DescribeQuorumResponseTopicPartitionReplicaState {
		return c.ask(4, clients, quorumRequest(), 2).(*kmsg.DescribeQuorumResponse).Topics[0].Partitions[0].CurrentVoters
	}
	before := voters()
	if len(before) != 3 || before[2].ReplicaID != 3 {
		t.Fatalf("%+v", before)
	}
	remove := kmsg.NewPtrRemoveRaftVoterRequest()
	remove.VoterID = 3
	wantError(t, "another directory", c.ask(4, clients, remove, 0).(*kmsg.RemoveRaftVoterResponse).ErrorCode, kafka.ErrVoterNotFound)
	remove.VoterDirectoryID, remove.ClusterID = before[2].ReplicaDirectoryID, kmsg.StringPtr("another")
	wantError(t, "another cluster", c.ask(4, clients, remove, 0).(*kmsg.RemoveRaftVoterResponse).ErrorCode, kafka.ErrInconsistentClusterID)
	remove.ClusterID = nil
	wantError(t, "leave", c.ask(4, clients, remove, 0).(*kmsg.RemoveRaftVoterResponse).ErrorCode, kafka.None)
	if left := voters(); len(left) != 2 {
		t.Errorf("%+v are left", left)
	}
	add := kmsg.NewPtrAddRaftVoterRequest()
	add.TimeoutMillis, add.VoterID, add.VoterDirectoryID = 20_000, 3, before[2].ReplicaDirectoryID
	wantError(t, "without a listener", c.ask(4, clients, add, 0).(*kmsg.AddRaftVoterResponse).ErrorCode, kafka.ErrInvalidRequest)
	add.Listeners = []kmsg.AddRaftVoterRequestListener{{Name: "CONTROLLER", Host: "n3", Port: controllers}}
	wantError(t, "join", c.ask(4, clients, add, 1).(*kmsg.AddRaftVoterResponse).ErrorCode, kafka.None)
	wantError(t, "join again", c.ask(4, clients, add, 1).(*kmsg.AddRaftVoterResponse).ErrorCode, kafka.ErrDuplicateVoter)
	if now := voters(); len(now) != 3 || now[2].ReplicaDirectoryID != before[2].ReplicaDirectoryID {
		t.Errorf("voters are %+v", now)
	}
}

func TestFeaturesAreToldAndChanged(t *testing.T) {
	c := newCluster(t, 9, "c", "c", "c", "b")
	c.start()
	level := func() int16 {
		q := kmsg.NewPtrApiVersionsRequest()
		q.ClientSoftwareName, q.ClientSoftwareVersion = "x", "1"
		r := c.ask(4, clients, q, 3).(*kmsg.ApiVersionsResponse)
		for _, f := range r.FinalizedFeatures {
			if f.Name == "eligible.leader.replicas.version" {
				return f.MaxVersionLevel
			}
		}
		return 0
	}
	was := level()
	update := func(version, level int16, how int8) int16 {
		q := kmsg.NewPtrUpdateFeaturesRequest()
		q.TimeoutMillis = 5000
		f := kmsg.NewUpdateFeaturesRequestFeatureUpdate()
		f.Feature, f.MaxVersionLevel, f.UpgradeType, f.AllowDowngrade = "eligible.leader.replicas.version", level, how, how > 1
		q.FeatureUpdates = append(q.FeatureUpdates, f)
		r := c.ask(4, clients, q, version).(*kmsg.UpdateFeaturesResponse)
		if len(r.Results) != 0 {
			return r.Results[0].ErrorCode
		}
		return r.ErrorCode
	}
	wantError(t, "a level that there is not", update(2, 9, 1), kafka.ErrInvalidUpdateVersion)
	for version := int16(0); version <= 2; version++ {
		wantError(t, "off", update(version, 0, 2), kafka.None)
		if got := level(); got != 0 {
			t.Errorf("version %d: level %d", version, got)
		}
		wantError(t, "on", update(version, 1, 1), kafka.None)
		wantError(t, "off without being asked for a downgrade", update(version, 0, 1), kafka.ErrInvalidUpdateVersion)
	}
	if got := level(); got != 1 || was != 1 {
		t.Errorf("level %d, at first %d", got, was)
	}
}
