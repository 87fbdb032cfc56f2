package api

import (
	"fmt"
	"slices"

	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// DescribeConfigs (key 32): the settings of topics, groups and brokers, where their values
// come from and what else is set. 1 to 4.
//
// v1 has sources and, if asked for, synonyms: every place that sets the value, the
// one in force first. v3 has types and, if asked for, documentation. No names, or
// an empty list of them, mean all. A broker is this node by its number, or by the
// empty name what is set on all brokers while they run, and only that. A broker's
// loggers are none: the level of the log is set when the node starts. A group need
// not be there to have settings. Client metrics have none here and are
// INVALID_REQUEST, as types that Kafka does not know.
//
// Deviations: where a topic follows log.retention.hours, or another setting in
// other units, the source is that one's and not the default. A resource that
// stands in the request twice is INVALID_REQUEST.

func describeConfigs(s *Server, _ *Call, q *kmsg.DescribeConfigsRequest) kmsg.Response {
	r := kmsg.NewPtrDescribeConfigsResponse()
	seen := census{}
	for _, one := range q.Resources {
		seen[configResource{one.ResourceType, one.ResourceName}]++
	}
	for _, one := range q.Resources {
		at := configResource{one.ResourceType, one.ResourceName}
		answer := kmsg.NewDescribeConfigsResponseResource()
		answer.ResourceType, answer.ResourceName = one.ResourceType, one.ResourceName
		err := seen.checkOnce(at)
		if err == nil {
			answer.Configs, err = s.describe(at, describing{q, one.ConfigNames})
		}
		if err != nil {
			answer.ErrorCode, answer.ErrorMessage = kafka.Code(err), message(err)
		}
		r.Resources = append(r.Resources, answer)
	}
	return r
}

// describe returns the settings of a resource.
func (s *Server) describe(r configResource, d describing) ([]kmsg.DescribeConfigsResponseResourceConfig, error) {
	switch r.kind {
	case kmsg.ConfigResourceTypeTopic:
		if err := meta.CheckName(r.name); err != nil {
			return nil, err
		}
		t, ok := s.image().Topic(r.name)
		if !ok {
			return nil, fmt.Errorf("%s: %w", r, kafka.ErrUnknownTopicOrPartition)
		}
		return d.all(config.Topic, s.broker.SettingsOf(t)), nil
	case kmsg.ConfigResourceTypeBroker:
		id, err := s.brokerNamed(r.name)
		if err != nil {
			return nil, err
		}
		if id == meta.EveryBroker {
			return d.ofEveryBroker(s.image().BrokerSettings(id)), nil
		}
		return d.all(config.Broker, s.broker.Config()), nil
	case kmsg.ConfigResourceTypeGroupConfig:
		if r.name == "" {
			return nil, fmt.Errorf("%s: a name is needed: %w", r, kafka.ErrInvalidRequest)
		}
		return d.all(config.Group, config.GroupInForce(s.broker.Config(), s.image().GroupSettings(r.name))), nil
	case kmsg.ConfigResourceTypeBrokerLogger:
		if r.name == "" {
			return nil, fmt.Errorf("%s: a node's number is needed: %w", r, kafka.ErrInvalidRequest)
		}
		_, err := s.brokerNamed(r.name)
		return nil, err
	}
	return nil, fmt.Errorf("%s: has no settings: %w", r, kafka.ErrInvalidRequest)
}

// A describing is what was asked of one resource.
type describing struct {
	request *kmsg.DescribeConfigsRequest
	names   []string // empty: all
}

func (d describing) asks(name string) bool {
	return len(d.names) == 0 || slices.Contains(d.names, name)
}

func (d describing) all(scope config.Scope, v *config.View) (out []kmsg.DescribeConfigsResponseResourceConfig) {
	for _, s := range shown(scope, v) {
		if !d.asks(s.Name) {
			continue
		}
		value, source := v.Get(s)
		out = append(out, d.one(s, config.Synonym{Name: s.Name, Text: value.Text, Source: source}, v.Synonyms(s)))
	}
	return out
}

// ofEveryBroker describes what is set on all brokers while they run.
func (d describing) ofEveryBroker(pairs []config.Pair) (out []kmsg.DescribeConfigsResponseResourceConfig) {
	for _, p := range pairs {
		s, known := config.Lookup(config.Broker, p.Name)
		if !known || !d.asks(p.Name) {
			continue
		}
		set := config.Synonym{Name: p.Name, Text: p.Value, Source: config.FromEveryBroker}
		out = append(out, d.one(s, set, []config.Synonym{set}))
	}
	return out
}

// one describes a setting: the value in force, and all that is set for it.
func (d describing) one(s *config.Setting, inForce config.Synonym, synonyms []config.Synonym) kmsg.DescribeConfigsResponseResourceConfig {
	c := kmsg.NewDescribeConfigsResponseResourceConfig()
	c.Name, c.ReadOnly, c.IsSensitive = s.Name, !s.Dynamic, s.Sensitive
	c.Value = shownText(s, inForce.Text, inForce.Source)
	c.Source, c.ConfigType = kmsg.ConfigSource(inForce.Source), kmsg.ConfigType(s.Type)
	if d.request.IncludeSynonyms {
		for _, y := range synonyms {
			synonym := kmsg.NewDescribeConfigsResponseResourceConfigConfigSynonym()
			synonym.Name, synonym.Source = y.Name, kmsg.ConfigSource(y.Source)
			if !s.Sensitive {
				synonym.Value = &y.Text
			}
			c.ConfigSynonyms = append(c.ConfigSynonyms, synonym)
		}
	}
	if d.request.IncludeDocumentation {
		c.Documentation = &s.Doc
	}
	return c
}
