package client

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/kafka"
)

// An Alteration is changes of the settings of one resource, which are made all or
// none.
type Alteration struct {
	Resource Resource
	Changes  []config.Change
}

// SetConfig returns the change that sets a setting.
func SetConfig(name, value string) config.Change {
	return config.Change{Name: name, Operation: config.Set, Value: &value}
}

// DeleteConfig returns the change that lets a setting fall back to what it is
// without being set.
func DeleteConfig(name string) config.Change {
	return config.Change{Name: name, Operation: config.Delete}
}

// A Mode says whether a request is carried out, or only checked.
type Mode uint8

const (
	CarryOut Mode = iota
	OnlyValidate
)

// An AlterResult is what became of one Alteration or Replacement.
type AlterResult struct {
	Resource Resource
	Err      error // OutcomeOf tells whether it may have happened all the same
}

// IncrementalAlterConfigs changes single settings (KIP-339): each broker's own on
// that broker, all else on the controller. Results are in the order of the
// alterations; the error is about the request as a whole, and with several
// brokers some alterations may then have been made. Blocks.
func (c *Client) IncrementalAlterConfigs(alterations []Alteration, mode Mode, deadline kafka.Instant) ([]AlterResult, error) {
	var resources []Resource
	for _, a := range alterations {
		resources = append(resources, a.Resource)
	}
	return c.alter(resources, deadline, func(at []int) kmsg.Request {
		req := kmsg.NewPtrIncrementalAlterConfigsRequest()
		req.ValidateOnly = mode == OnlyValidate
		for _, i := range at {
			one := kmsg.NewIncrementalAlterConfigsRequestResource()
			one.ResourceType, one.ResourceName = kmsg.ConfigResourceType(alterations[i].Resource.Type), alterations[i].Resource.Name
			for _, change := range alterations[i].Changes {
				rc := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
				rc.Name, rc.Op, rc.Value = change.Name, kmsg.IncrementalAlterConfigOp(change.Operation), change.Value
				one.Configs = append(one.Configs, rc)
			}
			req.Resources = append(req.Resources, one)
		}
		return req
	})
}

// A Replacement is all that shall be set on one resource.
type Replacement struct {
	Resource Resource
	Settings []config.Pair
}

// AlterConfigs replaces all that is set on resources. Between reading and
// replacing somebody else may have changed something: prefer
// IncrementalAlterConfigs, unless the brokers are older than Kafka 2.3. Results
// and errors are as there. Blocks.
func (c *Client) AlterConfigs(replacements []Replacement, mode Mode, deadline kafka.Instant) ([]AlterResult, error) {
	var resources []Resource
	for _, r := range replacements {
		resources = append(resources, r.Resource)
	}
	return c.alter(resources, deadline, func(at []int) kmsg.Request {
		req := kmsg.NewPtrAlterConfigsRequest()
		req.ValidateOnly = mode == OnlyValidate
		for _, i := range at {
			one := kmsg.NewAlterConfigsRequestResource()
			one.ResourceType, one.ResourceName = kmsg.ConfigResourceType(replacements[i].Resource.Type), replacements[i].Resource.Name
			for _, p := range replacements[i].Settings {
				rc := kmsg.NewAlterConfigsRequestResourceConfig()
				rc.Name, rc.Value = p.Name, kmsg.StringPtr(p.Value)
				one.Configs = append(one.Configs, rc)
			}
			req.Resources = append(req.Resources, one)
		}
		return req
	})
}

// alter sends what build makes of the resources at some places to whoever is to
// decide about them. Blocks.
func (c *Client) alter(resources []Resource, deadline kafka.Instant, build func(at []int) kmsg.Request) ([]AlterResult, error) {
	out := make([]AlterResult, len(resources))
	for _, g := range byBroker(resources) {
		request := func() kmsg.Request { return build(g.at) }
		var resp kmsg.Response
		var err error
		if g.named {
			resp, err = c.askBroker(g.broker, request, deadline)
		} else {
			resp, err = c.askController(request, alterCodes, deadline)
		}
		if err != nil {
			return nil, fmt.Errorf("alter settings: %w", err)
		}
		byResource := map[Resource]error{}
		for _, one := range altered(resp) {
			byResource[one.Resource] = one.Err
		}
		for _, i := range g.at {
			err, told := byResource[resources[i]]
			if !told {
				err = resourceError(resources[i], int16(kafka.ErrUnknownServerError), nil)
			}
			out[i] = AlterResult{resources[i], err}
		}
	}
	return out, nil
}

// altered returns what either kind of answer says.
func altered(resp kmsg.Response) []AlterResult {
	var out []AlterResult
	switch resp := resp.(type) {
	case *kmsg.IncrementalAlterConfigsResponse:
		for _, one := range resp.Resources {
			r := Resource{ResourceType(one.ResourceType), one.ResourceName}
			out = append(out, AlterResult{r, resourceError(r, one.ErrorCode, one.ErrorMessage)})
		}
	case *kmsg.AlterConfigsResponse:
		for _, one := range resp.Resources {
			r := Resource{ResourceType(one.ResourceType), one.ResourceName}
			out = append(out, AlterResult{r, resourceError(r, one.ErrorCode, one.ErrorMessage)})
		}
	}
	return out
}

// alterCodes returns the codes of an answer.
func alterCodes(resp kmsg.Response) []int16 {
	var out []int16
	for _, one := range altered(resp) {
		out = append(out, kafka.Code(one.Err))
	}
	return out
}
