package client

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/klammlog/klamm/node/client/link"
	"github.com/klammlog/klamm/node/kafka"
)

// metadataTopic is the name by which the controllers' log is asked for (KIP-595).
const metadataTopic = "__cluster_metadata"

// A Quorum is the state of the controllers, as their leader tells it.
type Quorum struct {
	Leader        kafka.NodeID
	Epoch         kafka.LeaderEpoch
	HighWatermark kafka.Offset // of the metadata log
	Voters        []QuorumReplica
	Observers     []QuorumReplica // brokers that follow, and controllers that do not vote
	Controllers   []ControllerAddress
}

// A QuorumReplica is how far a replica of the metadata log is. What is not known
// is -1.
type QuorumReplica struct {
	ID           kafka.NodeID
	Directory    [16]byte // zero if the leader does not tell
	End          kafka.Offset
	LastFetch    kafka.Timestamp
	LastCaughtUp kafka.Timestamp
}

// A ControllerAddress is where a voter can be reached.
type ControllerAddress struct {
	ID      kafka.NodeID
	Address string // host:port of its first listener
}

// DescribeQuorum asks the leader of the controllers (KIP-836). Blocks.
func (c *Client) DescribeQuorum(deadline kafka.Instant) (Quorum, error) {
	resp, err := c.askController(quorumRequest, func(r kmsg.Response) []int16 {
		codes := []int16{r.(*kmsg.DescribeQuorumResponse).ErrorCode}
		for _, t := range r.(*kmsg.DescribeQuorumResponse).Topics {
			for _, p := range t.Partitions {
				codes = append(codes, p.ErrorCode)
			}
		}
		return codes
	}, deadline)
	if err != nil {
		return Quorum{}, fmt.Errorf("describe quorum: %w", err)
	}
	r := resp.(*kmsg.DescribeQuorumResponse)
	if err := toldBy(r.ErrorCode, r.ErrorMessage); err != nil {
		return Quorum{}, fmt.Errorf("describe quorum: %w", err)
	}
	if len(r.Topics) != 1 || len(r.Topics[0].Partitions) != 1 {
		return Quorum{}, fmt.Errorf("describe quorum: the broker tells nothing of it: %w", kafka.ErrUnknownServerError)
	}
	p := &r.Topics[0].Partitions[0]
	if err := toldBy(p.ErrorCode, p.ErrorMessage); err != nil {
		return Quorum{}, fmt.Errorf("describe quorum: %w", err)
	}
	q := Quorum{
		Leader: kafka.NodeID(p.LeaderID), Epoch: kafka.LeaderEpoch(p.LeaderEpoch), HighWatermark: kafka.Offset(p.HighWatermark),
		Voters: quorumReplicas(p.CurrentVoters), Observers: quorumReplicas(p.Observers),
	}
	for _, n := range r.Nodes {
		if len(n.Listeners) > 0 {
			q.Controllers = append(q.Controllers, ControllerAddress{
				kafka.NodeID(n.NodeID), address(n.Listeners[0].Host, int32(n.Listeners[0].Port))})
		}
	}
	return q, nil
}

func quorumRequest() kmsg.Request {
	req := kmsg.NewPtrDescribeQuorumRequest()
	t := kmsg.NewDescribeQuorumRequestTopic()
	t.Topic = metadataTopic
	t.Partitions = append(t.Partitions, kmsg.NewDescribeQuorumRequestTopicPartition())
	req.Topics = append(req.Topics, t)
	return req
}

func quorumReplicas(told []kmsg.DescribeQuorumResponseTopicPartitionReplicaState) []QuorumReplica {
	var out []QuorumReplica
	for _, r := range told {
		out = append(out, QuorumReplica{
			ID: kafka.NodeID(r.ReplicaID), Directory: r.ReplicaDirectoryID, End: kafka.Offset(r.LogEndOffset),
			LastFetch: kafka.Timestamp(r.LastFetchTimestamp), LastCaughtUp: kafka.Timestamp(r.LastCaughtUpTimestamp),
		})
	}
	return out
}

// A Voter is a controller that is to vote, or not to vote any more. Directory says
// which life of its disk; zero leaves that open.
type Voter struct {
	ID        kafka.NodeID
	Directory [16]byte
	Host      string // of its controller listener; for AddVoter only
	Port      uint16
	Listener  string // the listener's name, such as CONTROLLER
}

// AddVoter makes a controller that follows a voter (KIP-853). Blocks.
func (c *Client) AddVoter(v Voter, deadline kafka.Instant) error {
	resp, err := c.askController(func() kmsg.Request {
		req := kmsg.NewPtrAddRaftVoterRequest()
		req.TimeoutMillis = c.patience(deadline)
		req.VoterID, req.VoterDirectoryID = int32(v.ID), v.Directory
		l := kmsg.NewAddRaftVoterRequestListener()
		l.Name, l.Host, l.Port = v.Listener, v.Host, v.Port
		req.Listeners = append(req.Listeners, l)
		return req
	}, func(r kmsg.Response) []int16 { return []int16{r.(*kmsg.AddRaftVoterResponse).ErrorCode} }, deadline)
	if err == nil {
		r := resp.(*kmsg.AddRaftVoterResponse)
		err = toldBy(r.ErrorCode, r.ErrorMessage)
	}
	if err != nil {
		return fmt.Errorf("add voter %d: %w", v.ID, err)
	}
	return nil
}

// RemoveVoter takes a controller out of the voters (KIP-853). Blocks.
func (c *Client) RemoveVoter(v Voter, deadline kafka.Instant) error {
	resp, err := c.askController(func() kmsg.Request {
		req := kmsg.NewPtrRemoveRaftVoterRequest()
		req.VoterID, req.VoterDirectoryID = int32(v.ID), v.Directory
		return req
	}, func(r kmsg.Response) []int16 { return []int16{r.(*kmsg.RemoveRaftVoterResponse).ErrorCode} }, deadline)
	if err == nil {
		r := resp.(*kmsg.RemoveRaftVoterResponse)
		err = toldBy(r.ErrorCode, r.ErrorMessage)
	}
	if err != nil {
		return fmt.Errorf("remove voter %d: %w", v.ID, err)
	}
	return nil
}

// A Feature is what a broker supports of a feature, and the level the cluster is
// at.
type Feature struct {
	Name     string
	Min, Max int16 // that the broker supports
	Level    int16 // in force; 0: none
}

// Features returns the features of the broker that answers, in its order (KIP-584).
// Blocks.
func (c *Client) Features(deadline kafka.Instant) ([]Feature, error) {
	resp, err := c.ask(func() kmsg.Request {
		req := kmsg.NewPtrApiVersionsRequest()
		req.ClientSoftwareName, req.ClientSoftwareVersion = "klamm", "1"
		return req
	}, link.Options{MinVersion: 3}, deadline)
	if err != nil {
		return nil, fmt.Errorf("features: %w", err)
	}
	r := resp.(*kmsg.ApiVersionsResponse)
	if err := toldBy(r.ErrorCode, nil); err != nil {
		return nil, fmt.Errorf("features: %w", err)
	}
	var out []Feature
	for _, s := range r.SupportedFeatures {
		f := Feature{Name: s.Name, Min: s.MinVersion, Max: s.MaxVersion}
		for _, in := range r.FinalizedFeatures {
			if in.Name == s.Name {
				f.Level = in.MaxVersionLevel
			}
		}
		out = append(out, f)
	}
	return out, nil
}

// A FeatureUpdate is the level a feature shall have.
type FeatureUpdate struct {
	Name      string
	Level     int16
	Downgrade Downgrade
}

// A Downgrade says whether a level may go down.
type Downgrade int8

// What an update may do (KIP-584).
const (
	UpgradeOnly     Downgrade = 1
	SafeDowngrade   Downgrade = 2 // without loss
	UnsafeDowngrade Downgrade = 3
)

// UpdateFeatures changes levels, all or none. Blocks.
func (c *Client) UpdateFeatures(updates []FeatureUpdate, mode Mode, deadline kafka.Instant) error {
	resp, err := c.askControllerWith(func() kmsg.Request {
		req := kmsg.NewPtrUpdateFeaturesRequest()
		req.TimeoutMillis, req.ValidateOnly = c.patience(deadline), mode == OnlyValidate
		for _, u := range updates {
			f := kmsg.NewUpdateFeaturesRequestFeatureUpdate()
			f.Feature, f.MaxVersionLevel, f.UpgradeType = u.Name, u.Level, int8(max(u.Downgrade, UpgradeOnly))
			req.FeatureUpdates = append(req.FeatureUpdates, f)
		}
		return req
	}, link.Options{MinVersion: 1}, func(r kmsg.Response) []int16 {
		return []int16{r.(*kmsg.UpdateFeaturesResponse).ErrorCode}
	}, deadline)
	if err != nil {
		return fmt.Errorf("update features: %w", err)
	}
	r := resp.(*kmsg.UpdateFeaturesResponse)
	err = toldBy(r.ErrorCode, r.ErrorMessage)
	for _, f := range r.Results {
		if err == nil && f.ErrorCode != 0 {
			err = fmt.Errorf("%s: %w", f.Feature, toldBy(f.ErrorCode, f.ErrorMessage))
		}
	}
	if err != nil {
		return fmt.Errorf("update features: %w", err)
	}
	return nil
}

// UnregisterBroker removes what the controllers know of a broker that is gone for
// good. Blocks.
func (c *Client) UnregisterBroker(id kafka.NodeID, deadline kafka.Instant) error {
	resp, err := c.askController(func() kmsg.Request {
		req := kmsg.NewPtrUnregisterBrokerRequest()
		req.BrokerID = int32(id)
		return req
	}, func(r kmsg.Response) []int16 { return []int16{r.(*kmsg.UnregisterBrokerResponse).ErrorCode} }, deadline)
	if err == nil {
		r := resp.(*kmsg.UnregisterBrokerResponse)
		err = toldBy(r.ErrorCode, r.ErrorMessage)
	}
	if err != nil {
		return fmt.Errorf("unregister broker %d: %w", id, err)
	}
	return nil
}
