package api

import (
	"slices"
	"strconv"

	"github.com/klammlog/klamm/node/kafka"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// ListConfigResources (key 74): what there is that has settings (KIP-1142). 0 to 1.
//
// v0 lists subscriptions to client metrics, of which there are none. v1 lists by
// type: topics, brokers, brokers' loggers, groups that have settings, and of client
// metrics none; no types mean all. A type that is none of these is UNSUPPORTED_VERSION of the
// whole answer.

var resourceTypes = []kmsg.ConfigResourceType{
	kmsg.ConfigResourceTypeTopic, kmsg.ConfigResourceTypeBroker, kmsg.ConfigResourceTypeBrokerLogger,
	kmsg.ConfigResourceTypeClientMetrics, kmsg.ConfigResourceTypeGroupConfig,
}

func listConfigResources(s *Server, call *Call, q *kmsg.ListConfigResourcesRequest) kmsg.Response {
	r := kmsg.NewPtrListConfigResourcesResponse()
	if call.Version == 0 {
		return r
	}
	for _, asked := range q.ResourceTypes {
		if !slices.Contains(resourceTypes, kmsg.ConfigResourceType(asked)) {
			r.ErrorCode = int16(kafka.ErrUnsupportedVersion)
			return r
		}
	}
	for _, kind := range resourceTypes {
		if len(q.ResourceTypes) > 0 && !slices.Contains(q.ResourceTypes, int8(kind)) {
			continue
		}
		for _, name := range s.resourcesOf(kind) {
			one := kmsg.NewListConfigResourcesResponseConfigResource()
			one.Name, one.Type = name, int8(kind)
			r.ConfigResources = append(r.ConfigResources, one)
		}
	}
	return r
}

// resourcesOf returns the names of the resources of a type.
func (s *Server) resourcesOf(kind kmsg.ConfigResourceType) (names []string) {
	switch kind {
	case kmsg.ConfigResourceTypeTopic:
		for _, t := range s.image().Topics() {
			names = append(names, t.Name)
		}
	case kmsg.ConfigResourceTypeBroker, kmsg.ConfigResourceTypeBrokerLogger:
		for _, b := range s.image().Brokers() {
			names = append(names, strconv.Itoa(int(b.ID)))
		}
	case kmsg.ConfigResourceTypeGroupConfig:
		for _, g := range s.image().Groups() {
			names = append(names, g.Group)
		}
	}
	return names
}
