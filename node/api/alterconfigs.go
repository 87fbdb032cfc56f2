package api

import (
	"fmt"

	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// AlterConfigs (key 33): replaces all that is set on a topic or a group, or on a broker or on
// all brokers while they run: what the request does not name goes back to what it
// falls back to. 0 to 2.
//
// Each resource is changed as a whole or not at all, and in force before it is
// answered for. What a topic or a group does not take is INVALID_CONFIG, what a
// broker does not take INVALID_REQUEST, as in Kafka; so is a value that is null, and whatever
// stands there twice. All versions mean the same; v2 is flexible.

func alterConfigs(x *control, q *kmsg.AlterConfigsRequest) *kmsg.AlterConfigsResponse {
	r := kmsg.NewPtrAlterConfigsResponse()
	seen := census{}
	for _, one := range q.Resources {
		seen[configResource{one.ResourceType, one.ResourceName}]++
	}
	for _, one := range q.Resources {
		at := configResource{one.ResourceType, one.ResourceName}
		err := seen.checkOnce(at)
		var pairs []config.Pair
		if err == nil {
			pairs, err = replacement(at, one.Configs)
		}
		if err == nil {
			err = x.alter(at, intentOf(q.ValidateOnly), func(config.Scope) config.Edit { return config.Replacing(pairs) })
		}
		answer := kmsg.NewAlterConfigsResponseResource()
		answer.ResourceType, answer.ResourceName = one.ResourceType, one.ResourceName
		if err != nil {
			answer.ErrorCode, answer.ErrorMessage = kafka.Code(err), message(err)
		}
		r.Resources = append(r.Resources, answer)
	}
	return r
}

// replacement returns the settings of a request.
func replacement(at configResource, configs []kmsg.AlterConfigsRequestResourceConfig) ([]config.Pair, error) {
	var pairs []config.Pair
	for _, c := range configs {
		if c.Value == nil {
			return nil, fmt.Errorf("%s: %.249s: no value: %w", at, c.Name, kafka.ErrInvalidRequest)
		}
		pairs = append(pairs, config.Pair{Name: c.Name, Value: *c.Value})
	}
	return pairs, nil
}
