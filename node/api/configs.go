package api

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// A configResource is what settings belong to, as requests name it.
type configResource struct {
	kind kmsg.ConfigResourceType
	name string
}

func (r configResource) String() string {
	switch r.kind {
	case kmsg.ConfigResourceTypeTopic:
		return fmt.Sprintf("topic %.249s", r.name)
	case kmsg.ConfigResourceTypeBroker:
		return fmt.Sprintf("broker %.20q", r.name)
	case kmsg.ConfigResourceTypeGroupConfig:
		return fmt.Sprintf("group %.249s", r.name)
	}
	return fmt.Sprintf("resource %.249q of type %d", r.name, r.kind)
}

// A census counts how often resources stand in a request.
type census map[configResource]int

// checkOnce refuses a resource that stands in its request more than once: of two
// changes of one thing neither is the one that was meant, and an answer that
// repeats itself is much larger than its request.
func (c census) checkOnce(r configResource) error {
	if n := c[r]; n > 1 {
		return fmt.Errorf("%s: stands in the request %d times: %w", r, n, kafka.ErrInvalidRequest)
	}
	return nil
}

// brokerNumbered returns the broker that a resource names, or meta.EveryBroker by
// the empty name.
func brokerNumbered(name string) (kafka.NodeID, error) {
	if name == "" {
		return meta.EveryBroker, nil
	}
	id, err := strconv.ParseInt(name, 10, 32)
	if err != nil || id < 0 {
		return 0, fmt.Errorf("broker %.20q: not a node's number: %w", name, kafka.ErrInvalidRequest)
	}
	return kafka.NodeID(id), nil
}

// brokerNamed returns the broker that a resource names: this node, or
// meta.EveryBroker.
func (s *Server) brokerNamed(name string) (kafka.NodeID, error) {
	id, err := brokerNumbered(name)
	if err == nil && id != meta.EveryBroker && id != s.broker.ID() {
		err = fmt.Errorf("broker %d: this is broker %d: %w", id, s.broker.ID(), kafka.ErrInvalidRequest)
	}
	return id, err
}

// An intent says whether a change is made, or only checked.
type intent uint8

const (
	toChange intent = iota
	toValidate
)

func intentOf(validateOnly bool) intent {
	if validateOnly {
		return toValidate
	}
	return toChange
}

// alter edits the settings of a resource. Blocks.
func (x *control) alter(r configResource, what intent, edit func(config.Scope) config.Edit) error {
	switch r.kind {
	case kmsg.ConfigResourceTypeTopic:
		if what == toValidate {
			return x.c.CheckAlterTopic(r.name, edit(config.Topic))
		}
		return x.c.AlterTopic(r.name, edit(config.Topic))
	case kmsg.ConfigResourceTypeBroker:
		id, err := brokerNumbered(r.name)
		switch {
		case err != nil:
			return err
		case what == toValidate:
			return brokerRefusal(x.c.CheckAlterBroker(id, edit(config.Broker)))
		}
		return brokerRefusal(x.c.AlterBroker(id, edit(config.Broker)))
	case kmsg.ConfigResourceTypeGroupConfig:
		if what == toValidate {
			return x.c.CheckAlterGroup(r.name, edit(config.Group))
		}
		return x.c.AlterGroup(r.name, edit(config.Group))
	}
	return fmt.Errorf("%s: has no settings that can be changed: %w", r, kafka.ErrInvalidRequest)
}

// brokerRefusal says INVALID_REQUEST, as Kafka does, of settings that a broker
// does not take, and of a broker that there is not.
func brokerRefusal(err error) error {
	code := kafka.ErrorOf(err)
	if code != kafka.ErrInvalidConfig && code != kafka.ErrBrokerIDNotRegistered {
		return err
	}
	why := strings.TrimSuffix(err.Error(), ": "+code.Error())
	return fmt.Errorf("%s: %w", why, kafka.ErrInvalidRequest)
}

// shown returns the settings of a view that are shown to clients, in the order of
// their names.
func shown(scope config.Scope, v *config.View) []*config.Setting {
	var out []*config.Setting
	for _, s := range config.Settings(scope) {
		if _, source := v.Get(s); !s.Internal || source != config.FromDefault {
			out = append(out, s)
		}
	}
	return out
}

// shownText returns the text of a value as clients are shown it: nil if it is
// sensitive, or if there is none.
func shownText(s *config.Setting, text string, source config.Source) *string {
	if s.Sensitive || s.Optional && source == config.FromDefault {
		return nil
	}
	return &text
}

// settingsOf returns the settings in force for a topic.
func (s *Server) settingsOf(t *meta.Topic) *config.View {
	if s.broker != nil {
		return s.broker.SettingsOf(t)
	}
	return config.TopicInForce(s.config, t.Settings)
}

// topicDefaults returns what a topic gets if nobody says.
func (s *Server) topicDefaults() meta.Defaults {
	return meta.Defaults{
		Partitions: int32(config.NumPartitions.In(s.config)),
		Replicas:   int16(config.DefaultReplicationFactor.In(s.config)),
		Broker:     s.config,
	}
}
