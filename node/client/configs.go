package client

import (
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/klammlog/klamm/node/client/link"
	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/kafka"
)

// A ResourceType is a kind of things that have settings, by Kafka's numbers.
type ResourceType int8

const (
	TopicResource         ResourceType = 2
	BrokerResource        ResourceType = 4
	BrokerLoggerResource  ResourceType = 8
	ClientMetricsResource ResourceType = 16
	GroupResource         ResourceType = 32
)

func (t ResourceType) String() string {
	switch t {
	case TopicResource:
		return "topic"
	case BrokerResource:
		return "broker"
	case BrokerLoggerResource:
		return "broker logger"
	case ClientMetricsResource:
		return "client metrics"
	case GroupResource:
		return "group"
	}
	return "resource type " + strconv.Itoa(int(t))
}

// A Resource is something that has settings. The broker without a name stands
// for all brokers.
type Resource struct {
	Type ResourceType
	Name string
}

// TopicSettings names a topic.
func TopicSettings(name string) Resource { return Resource{TopicResource, name} }

// GroupSettings names a group.
func GroupSettings(name string) Resource { return Resource{GroupResource, name} }

// BrokerSettings names a broker.
func BrokerSettings(id kafka.NodeID) Resource {
	return Resource{BrokerResource, strconv.Itoa(int(id))}
}

// EveryBroker names what is set on all brokers while they run.
var EveryBroker = Resource{BrokerResource, ""}

func (r Resource) String() string {
	if r == EveryBroker {
		return "every broker"
	}
	return r.Type.String() + " " + r.Name
}

// broker returns the only broker that knows about a resource, if it is one.
func (r Resource) broker() (kafka.NodeID, bool) {
	if r.Type != BrokerResource && r.Type != BrokerLoggerResource {
		return 0, false
	}
	id, err := strconv.ParseInt(r.Name, 10, 32)
	return kafka.NodeID(id), err == nil
}

// A Setting is one setting as a broker describes it.
type Setting struct {
	Name      string
	Value     *string // nil: there is none, or it is sensitive
	Source    config.Source
	ReadOnly  bool
	Sensitive bool
	Type      config.Type // 0 if the broker does not tell
	Doc       string      // if it was asked for and the broker tells
	Synonyms  []Synonym   // if they were asked for; the one in force first
}

// A Synonym is a place that sets the value of a setting.
type Synonym struct {
	Name   string
	Value  *string
	Source config.Source
}

// DescribeConfigs says what is asked about settings.
type DescribeConfigs struct {
	Resources []Resource
	Names     []string // of the settings; none means all
	Synonyms  bool
	Docs      bool
}

// A ResourceSettings is what a broker says about one resource.
type ResourceSettings struct {
	Resource Resource
	Settings []Setting // in the order of the answer
	Err      error
}

// DescribeConfigs asks for settings: each broker about itself, any broker about
// all else. Results are in the order of the resources; the error is about the
// request as a whole. Blocks.
func (c *Client) DescribeConfigs(q DescribeConfigs, deadline kafka.Instant) ([]ResourceSettings, error) {
	out := make([]ResourceSettings, len(q.Resources))
	for _, g := range byBroker(q.Resources) {
		build := func() kmsg.Request { return q.request(g.of(q.Resources)) }
		resp, err := c.askGroup(g, build, deadline)
		if err != nil {
			return nil, fmt.Errorf("describe settings: %w", err)
		}
		for i := range g.at {
			out[g.at[i]] = describedIn(resp.(*kmsg.DescribeConfigsResponse), q.Resources[g.at[i]])
		}
	}
	return out, nil
}

func (q DescribeConfigs) request(resources []Resource) kmsg.Request {
	req := kmsg.NewPtrDescribeConfigsRequest()
	req.IncludeSynonyms, req.IncludeDocumentation = q.Synonyms, q.Docs
	for _, r := range resources {
		one := kmsg.NewDescribeConfigsRequestResource()
		one.ResourceType, one.ResourceName = kmsg.ConfigResourceType(r.Type), r.Name
		if len(q.Names) > 0 {
			one.ConfigNames = q.Names
		}
		req.Resources = append(req.Resources, one)
	}
	return req
}

// describedIn finds what an answer says about a resource.
func describedIn(resp *kmsg.DescribeConfigsResponse, r Resource) ResourceSettings {
	out := ResourceSettings{Resource: r, Err: resourceError(r, int16(kafka.ErrUnknownServerError), nil)}
	for _, one := range resp.Resources {
		if (Resource{ResourceType(one.ResourceType), one.ResourceName}) != r {
			continue
		}
		out.Err = resourceError(r, one.ErrorCode, one.ErrorMessage)
		for _, s := range one.Configs {
			out.Settings = append(out.Settings, settingOf(s))
		}
	}
	return out
}

func settingOf(c kmsg.DescribeConfigsResponseResourceConfig) Setting {
	s := Setting{Name: c.Name, Value: c.Value, Source: config.Source(c.Source), ReadOnly: c.ReadOnly,
		Sensitive: c.IsSensitive, Type: config.Type(c.ConfigType)}
	if c.Documentation != nil {
		s.Doc = *c.Documentation
	}
	for _, y := range c.ConfigSynonyms {
		s.Synonyms = append(s.Synonyms, Synonym{y.Name, y.Value, config.Source(y.Source)})
	}
	return s
}

// resourceError says which resource an error is about, unless the broker does.
func resourceError(r Resource, code int16, message *string) error {
	err := toldBy(code, message)
	if err == nil || message != nil && *message != "" {
		return err
	}
	return fmt.Errorf("%s: %w", r, err)
}

// ListConfigResources returns what there is that has settings, of the given
// types; none means all. It fails with kafka.ErrUnsupportedVersion if the broker
// is older than Kafka 4.1. Blocks.
func (c *Client) ListConfigResources(types []ResourceType, deadline kafka.Instant) ([]Resource, error) {
	build := func() kmsg.Request {
		req := kmsg.NewPtrListConfigResourcesRequest()
		for _, t := range types {
			req.ResourceTypes = append(req.ResourceTypes, int8(t))
		}
		return req
	}
	resp, err := c.ask(build, link.Options{MinVersion: 1}, deadline)
	if err == nil {
		err = kafka.Error(resp.(*kmsg.ListConfigResourcesResponse).ErrorCode).AsError()
	}
	if err != nil {
		return nil, fmt.Errorf("list resources: %w", err)
	}
	var out []Resource
	for _, r := range resp.(*kmsg.ListConfigResourcesResponse).ConfigResources {
		out = append(out, Resource{ResourceType(r.Type), r.Name})
	}
	return out, nil
}

// A group is the resources of a request that one broker has to be asked about.
type group struct {
	broker kafka.NodeID
	named  bool  // else any broker will do, or the controller
	at     []int // their places among all
}

// byBroker groups resources by whom to ask, in order of the first of each group.
func byBroker(resources []Resource) []group {
	var out []group
	for i, r := range resources {
		id, named := r.broker()
		at := slices.IndexFunc(out, func(g group) bool { return g.broker == id && g.named == named })
		if at < 0 {
			at = len(out)
			out = append(out, group{broker: id, named: named})
		}
		out[at].at = append(out[at].at, i)
	}
	return out
}

func (g group) of(resources []Resource) []Resource {
	var out []Resource
	for _, i := range g.at {
		out = append(out, resources[i])
	}
	return out
}

// askGroup asks the broker of a group, or any. Blocks.
func (c *Client) askGroup(g group, build func() kmsg.Request, deadline kafka.Instant) (kmsg.Response, error) {
	if !g.named {
		return c.ask(build, link.Options{}, deadline)
	}
	return c.askBroker(g.broker, build, deadline)
}

// askBroker sends a request to one broker. It is repeated while it certainly was
// not sent. Blocks.
func (c *Client) askBroker(id kafka.NodeID, build func() kmsg.Request, deadline kafka.Instant) (kmsg.Response, error) {
	for attempt := 1; ; attempt++ {
		address, err := c.addressOf(id, deadline)
		var resp kmsg.Response
		if err == nil {
			resp, err = c.links.get(address).Do(build(), link.Options{}, deadline)
		}
		if err == nil || hopeless(err) || !errors.Is(err, link.ErrNotSent) {
			return resp, err
		}
		pause := c.backOff(attempt)
		if c.w.Now().Add(pause) >= deadline {
			return nil, err
		}
		if err := c.w.Sleep(pause); err != nil {
			return nil, err
		}
	}
}

// addressOf asks where a broker is. Blocks.
func (c *Client) addressOf(id kafka.NodeID, deadline kafka.Instant) (string, error) {
	a, err := c.Metadata([]string{}, deadline)
	if err != nil {
		return "", fmt.Errorf("%w: %w", link.ErrNotSent, err)
	}
	for _, b := range a.Brokers {
		if b.ID == id {
			return b.Address, nil
		}
	}
	return "", fmt.Errorf("broker %d: %w", id, kafka.ErrBrokerNotAvailable)
}
