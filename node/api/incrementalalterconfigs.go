package api

import (
	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// IncrementalAlterConfigs (key 44): sets or deletes single settings of a topic or
// a group, or of a broker or of all brokers while they run, or appends to and subtracts from
// those that are lists (KIP-339). 0 to 1.
//
// Each resource is changed as a whole or not at all, and in force before it is
// answered for. Errors are those of AlterConfigs; appending to what is not a list
// is INVALID_CONFIG for topics, too. Both versions mean the same; v1 is flexible.
//
// Deviations: what is appended to, where nothing is set, is the value in force and
// not Kafka's default. Deleting a setting that does not exist is refused.

func incrementalAlterConfigs(x *control, q *kmsg.IncrementalAlterConfigsRequest) *kmsg.IncrementalAlterConfigsResponse {
	r := kmsg.NewPtrIncrementalAlterConfigsResponse()
	seen := census{}
	for _, one := range q.Resources {
		seen[configResource{one.ResourceType, one.ResourceName}]++
	}
	for _, one := range q.Resources {
		at := configResource{one.ResourceType, one.ResourceName}
		err := seen.checkOnce(at)
		if err == nil {
			var changes []config.Change
			for _, c := range one.Configs {
				changes = append(changes, config.Change{Name: c.Name, Operation: config.Operation(c.Op), Value: c.Value})
			}
			err = x.alter(at, intentOf(q.ValidateOnly), func(scope config.Scope) config.Edit { return config.Changing(scope, changes) })
		}
		answer := kmsg.NewIncrementalAlterConfigsResponseResource()
		answer.ResourceType, answer.ResourceName = one.ResourceType, one.ResourceName
		if err != nil {
			answer.ErrorCode, answer.ErrorMessage = kafka.Code(err), message(err)
		}
		r.Resources = append(r.Resources, answer)
	}
	return r
}
