package api

import (
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/peer"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Metrics are counts since the start, and what is held now.
type Metrics struct {
	Stats    Stats
	Usage    Usage
	Requests []RequestCount // of every API that is served, by key
	Errors   []ErrorCount   // of the codes that were told, by code
}

// A RequestCount is how many requests of an API were taken up.
type RequestCount struct {
	API   string
	Count uint64
}

// An ErrorCount is how often a code was told: once for each topic, partition or
// other item of an answer.
type ErrorCount struct {
	Code  kafka.Error
	Count uint64
}

// counts counts requests by key and errors by code.
type counts struct {
	requests [slots]uint64
	errors   [maxCode]uint64 // the first of them is of code -1
}

// maxCode is more codes than there are. What is beyond counts as the last.
const maxCode = 160

func (c *counts) request(key int16) { c.requests[slot(key)]++ }

func (c *counts) code(code int16) {
	if code != int16(kafka.None) {
		c.errors[max(0, min(int(code)+1, maxCode-1))]++
	}
}

// Metrics returns the metrics.
func (s *Server) Metrics() Metrics {
	m := Metrics{Stats: s.Stats(), Usage: s.Usage()}
	for _, h := range s.handlers {
		if h != nil {
			m.Requests = append(m.Requests, RequestCount{nameOf(h.key), s.counts.requests[slot(int16(h.key))]})
		}
	}
	for i, n := range s.counts.errors {
		if n > 0 {
			m.Errors = append(m.Errors, ErrorCount{kafka.Error(i - 1), n})
		}
	}
	return m
}

// eachCode hands the error codes of an answer to f.
func eachCode(response kmsg.Response, f func(int16)) {
	eachOwnCode(response, f)
	eachAdminCode(response, f)
	eachGroupCode(response, f)
	switch r := response.(type) {
	case *kmsg.MetadataResponse:
		each(r.Topics, func(t *kmsg.MetadataResponseTopic) { f(t.ErrorCode) })
	case *kmsg.ListOffsetsResponse:
		each(r.Topics, func(t *kmsg.ListOffsetsResponseTopic) {
			each(t.Partitions, func(p *kmsg.ListOffsetsResponseTopicPartition) { f(p.ErrorCode) })
		})
	case *kmsg.DeleteRecordsResponse:
		each(r.Topics, func(t *kmsg.DeleteRecordsResponseTopic) {
			each(t.Partitions, func(p *kmsg.DeleteRecordsResponseTopicPartition) { f(p.ErrorCode) })
		})
	case *kmsg.OffsetForLeaderEpochResponse:
		each(r.Topics, func(t *kmsg.OffsetForLeaderEpochResponseTopic) {
			each(t.Partitions, func(p *kmsg.OffsetForLeaderEpochResponseTopicPartition) { f(p.ErrorCode) })
		})
	case *kmsg.DescribeProducersResponse:
		each(r.Topics, func(t *kmsg.DescribeProducersResponseTopic) {
			each(t.Partitions, func(p *kmsg.DescribeProducersResponseTopicPartition) { f(p.ErrorCode) })
		})
	}
}

// eachOwnCode does that for answers that have one for themselves and none for
// parts.
func eachOwnCode(response kmsg.Response, f func(int16)) {
	switch r := response.(type) {
	case *kmsg.ApiVersionsResponse:
		f(r.ErrorCode)
	case *kmsg.InitProducerIDResponse:
		f(r.ErrorCode)
	case *kmsg.DescribeClusterResponse:
		f(r.ErrorCode)
	case *kmsg.ListConfigResourcesResponse:
		f(r.ErrorCode)
	case *kmsg.BrokerRegistrationResponse:
		f(r.ErrorCode)
	case *kmsg.BrokerHeartbeatResponse:
		f(r.ErrorCode)
	case *kmsg.AllocateProducerIDsResponse:
		f(r.ErrorCode)
	case *kmsg.ListPartitionReassignmentsResponse:
		f(r.ErrorCode)
	case *kmsg.UpdateFeaturesResponse:
		f(r.ErrorCode)
	case *kmsg.UnregisterBrokerResponse:
		f(r.ErrorCode)
	case *kmsg.AddRaftVoterResponse:
		f(r.ErrorCode)
	case *kmsg.RemoveRaftVoterResponse:
		f(r.ErrorCode)
	case *peer.RaftStepped:
		f(r.ErrorCode)
	case *peer.MetadataRead:
		f(r.ErrorCode)
	case *peer.Forwarded:
		f(r.ErrorCode)
	}
}

// eachAdminCode does that for answers to who changes, or describes, what there is.
func eachAdminCode(response kmsg.Response, f func(int16)) {
	switch r := response.(type) {
	case *kmsg.FindCoordinatorResponse:
		if len(r.Coordinators) == 0 {
			f(r.ErrorCode)
		}
		each(r.Coordinators, func(c *kmsg.FindCoordinatorResponseCoordinator) { f(c.ErrorCode) })
	case *kmsg.AlterPartitionResponse:
		f(r.ErrorCode)
		each(r.Topics, func(t *kmsg.AlterPartitionResponseTopic) {
			each(t.Partitions, func(p *kmsg.AlterPartitionResponseTopicPartition) { f(p.ErrorCode) })
		})
	case *kmsg.ElectLeadersResponse:
		f(r.ErrorCode)
		each(r.Topics, func(t *kmsg.ElectLeadersResponseTopic) {
			each(t.Partitions, func(p *kmsg.ElectLeadersResponseTopicPartition) { f(p.ErrorCode) })
		})
	case *kmsg.AlterPartitionAssignmentsResponse:
		f(r.ErrorCode)
		each(r.Topics, func(t *kmsg.AlterPartitionAssignmentsResponseTopic) {
			each(t.Partitions, func(p *kmsg.AlterPartitionAssignmentsResponseTopicPartition) { f(p.ErrorCode) })
		})
	case *kmsg.DescribeQuorumResponse:
		f(r.ErrorCode)
		each(r.Topics, func(t *kmsg.DescribeQuorumResponseTopic) {
			each(t.Partitions, func(p *kmsg.DescribeQuorumResponseTopicPartition) { f(p.ErrorCode) })
		})
	case *kmsg.CreateTopicsResponse:
		each(r.Topics, func(t *kmsg.CreateTopicsResponseTopic) { f(t.ErrorCode) })
	case *kmsg.DeleteTopicsResponse:
		each(r.Topics, func(t *kmsg.DeleteTopicsResponseTopic) { f(t.ErrorCode) })
	case *kmsg.CreatePartitionsResponse:
		each(r.Topics, func(t *kmsg.CreatePartitionsResponseTopic) { f(t.ErrorCode) })
	case *kmsg.DescribeTopicPartitionsResponse:
		each(r.Topics, func(t *kmsg.DescribeTopicPartitionsResponseTopic) { f(t.ErrorCode) })
	case *kmsg.DescribeLogDirsResponse:
		each(r.Dirs, func(d *kmsg.DescribeLogDirsResponseDir) { f(d.ErrorCode) })
	case *kmsg.DescribeConfigsResponse:
		each(r.Resources, func(c *kmsg.DescribeConfigsResponseResource) { f(c.ErrorCode) })
	case *kmsg.AlterConfigsResponse:
		each(r.Resources, func(c *kmsg.AlterConfigsResponseResource) { f(c.ErrorCode) })
	case *kmsg.IncrementalAlterConfigsResponse:
		each(r.Resources, func(c *kmsg.IncrementalAlterConfigsResponseResource) { f(c.ErrorCode) })
	}
}

func each[T any](items []T, f func(*T)) {
	for i := range items {
		f(&items[i])
	}
}
