package scenarios

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/klammlog/klamm/checker/history"
	"github.com/klammlog/klamm/checker/metadata"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Resources as the judge knows them.
const everyBroker = "every broker"

func topicResource(name string) string { return "topic " + name }

// A knob is a setting that may be turned at any time: nothing that is demanded of a
// run depends on its value.
type knob struct {
	name string
	draw func(*operator) int
	text []string // if it is no number
}

// anew returns a number that nobody has set before.
func anew(base int) func(*operator) int {
	return func(o *operator) int { return base + o.serial }
}

var codecNames = []string{"producer", "uncompressed", "gzip", "lz4", "zstd"} // snappy's bytes depend on the machine

var topicKnobs = []knob{
	{name: "compression.type", text: codecNames},
	{name: "max.message.bytes", draw: (*operator).roomForBatches},
	{name: "segment.ms", draw: anew(100)},
	{name: "index.interval.bytes", draw: anew(0)},
	{name: "segment.index.bytes", draw: anew(200)},
	{name: "flush.messages", draw: anew(1)},
	{name: "flush.ms", draw: anew(1)},
	{name: "file.delete.delay.ms", draw: anew(0)},
	{name: "segment.jitter.ms", draw: anew(0)},
}

var brokerKnobs = []knob{
	{name: "compression.type", text: codecNames},
	{name: "log.cleaner.backoff.ms", draw: anew(100)},
	{name: "log.index.interval.bytes", draw: anew(0)},
	{name: "log.index.size.max.bytes", draw: anew(200)},
	{name: "log.flush.interval.messages", draw: anew(1)},
	{name: "log.flush.interval.ms", draw: anew(1)},
	{name: "max.connections.per.ip", draw: anew(1_000_000)},
}

// roomForBatches returns a size that no batch is refused for that the topic took
// before.
func (o *operator) roomForBatches() int {
	if n := o.r.options.MessageMax; n > 0 {
		return int(n) + o.serial
	}
	return 1<<20 + 12 + o.serial
}

// turn draws a value for a knob, or nil to let it fall back.
func (o *operator) turn(k knob) metadata.Setting {
	s := metadata.Setting{Name: k.name}
	o.serial++
	switch {
	case o.draws.IntN(4) == 0:
	case k.text != nil:
		v := pick(o.draws, k.text...)
		s.Value = &v
	default:
		v := strconv.Itoa(k.draw(o))
		s.Value = &v
	}
	return s
}

// turnSome draws changes of one or two of the knobs.
func (o *operator) turnSome(knobs []knob) []metadata.Setting {
	out := []metadata.Setting{o.turn(pick(o.draws, knobs...))}
	if second := o.turn(pick(o.draws, knobs...)); second.Name != out[0].Name && o.draws.IntN(3) == 0 {
		out = append(out, second)
	}
	return out
}

func (o *operator) alterOrders() {
	// Without a limit of its own the topic may take less than before.
	changes := o.turnSome(topicKnobs)
	o.alter(kmsg.ConfigResourceTypeTopic, topicName, changes)
}

func (o *operator) alterSide() {
	o.alter(kmsg.ConfigResourceTypeTopic, o.drawSide(), o.turnSome(topicKnobs))
}

func (o *operator) alterBroker() {
	o.alter(kmsg.ConfigResourceTypeBroker, o.drawBroker(), o.turnSome(brokerKnobs))
}

// drawSide draws one of the topics that come and go.
func (o *operator) drawSide() string {
	return fmt.Sprintf("side-%d", 1+o.draws.IntN(o.r.options.SideTopics))
}

// drawBroker draws whose settings are meant: one broker's, or all brokers'.
func (o *operator) drawBroker() string {
	if o.draws.IntN(2) == 0 {
		return ""
	}
	return strconv.Itoa(o.oneBroker())
}

// oneBroker draws the number of a broker; where there is one, nothing is drawn.
func (o *operator) oneBroker() int {
	if n := o.r.options.Brokers; n > 1 {
		return 1 + o.draws.IntN(n)
	}
	return 1
}

// drawResource draws something that has settings.
func (o *operator) drawResource() (kmsg.ConfigResourceType, string) {
	switch o.draws.IntN(4) {
	case 0:
		return kmsg.ConfigResourceTypeTopic, topicName
	case 1:
		return kmsg.ConfigResourceTypeBroker, o.drawBroker()
	}
	return kmsg.ConfigResourceTypeTopic, o.drawSide()
}

func resourceOf(kind kmsg.ConfigResourceType, name string) string {
	switch {
	case kind == kmsg.ConfigResourceTypeTopic:
		return topicResource(name)
	case name == "":
		return everyBroker
	}
	return "broker " + name
}

// attempt makes a request that changes a resource, unless too much of it is in
// doubt, and records what came of it. code finds the answer for the resource, and
// adds what it tells. Blocks.
func (o *operator) attempt(op metadata.Operation, req kmsg.Request, code func(kmsg.Response, *metadata.Operation) int16) (metadata.Operation, bool) {
	if o.doubts[op.Resource] >= doubtMost {
		return op, false
	}
	op.Client, op.Invoked, op.Completed = o.node.Name(), o.r.history.Now(), history.Never
	o.doubts[op.Resource]++ // until it is answered
	resp, sent := o.ask(req)
	op.Answer = metadata.Unknown
	switch {
	case !sent:
		op.Answer = metadata.Nothing
	case resp != nil:
		op.Answer = answerOf(op.Act, kafka.Error(code(resp, &op)))
	}
	if op.Answer != metadata.Unknown {
		op.Completed = o.r.history.Now()
		o.doubts[op.Resource]--
	}
	o.told.Add(op)
	o.r.took(operatorActs, op.Answer == metadata.Done)
	return op, op.Answer == metadata.Done
}

// answerOf says what a code means: only of some is it certain that nothing was
// done.
func answerOf(act metadata.Act, code kafka.Error) metadata.Answer {
	switch code {
	case kafka.None:
		return metadata.Done
	case kafka.ErrUnknownTopicOrPartition, kafka.ErrUnknownTopicID:
		return metadata.Missing
	case kafka.ErrTopicAlreadyExists:
		return metadata.Exists
	case kafka.ErrInvalidPartitions:
		if act == metadata.Grow {
			return metadata.TooFew
		}
		return metadata.Nothing
	case kafka.ErrNotController, kafka.ErrThrottlingQuotaExceeded, kafka.ErrInvalidConfig, kafka.ErrInvalidRequest, kafka.ErrPolicyViolation:
		return metadata.Nothing
	}
	return metadata.Unknown
}

// alter changes single settings of a resource. Blocks.
func (o *operator) alter(kind kmsg.ConfigResourceType, name string, changes []metadata.Setting) {
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	req.Version = 1
	one := kmsg.NewIncrementalAlterConfigsRequestResource()
	one.ResourceType, one.ResourceName = kind, name
	for _, s := range changes {
		c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
		c.Name, c.Value, c.Op = s.Name, s.Value, kmsg.IncrementalAlterConfigOpSet
		if s.Value == nil {
			c.Op = kmsg.IncrementalAlterConfigOpDelete
		}
		one.Configs = append(one.Configs, c)
	}
	req.Resources = append(req.Resources, one)
	op := metadata.Operation{Resource: resourceOf(kind, name), Act: metadata.Alter, Settings: changes}
	o.attempt(op, req, func(r kmsg.Response, _ *metadata.Operation) int16 {
		resources := r.(*kmsg.IncrementalAlterConfigsResponse).Resources
		if len(resources) != 1 {
			return int16(kafka.ErrUnknownServerError)
		}
		if c := kafka.Error(resources[0].ErrorCode); c == kafka.ErrInvalidConfig || c == kafka.ErrInvalidRequest {
			o.senseless(fmt.Sprintf("%v was refused for %s: %v", changes, op.Resource, c))
		}
		return resources[0].ErrorCode
	})
}

// createSide creates a topic. Blocks.
func (o *operator) createSide() {
	name := o.drawSide()
	req := kmsg.NewPtrCreateTopicsRequest()
	req.Version, req.TimeoutMillis = 7, o.timeout()
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = name, 1+o.draws.Int32N(2), int16(o.r.options.Replicas)
	op := metadata.Operation{Resource: topicResource(name), Act: metadata.Create, Partitions: t.NumPartitions}
	if s := o.turn(pick(o.draws, topicKnobs...)); s.Value != nil {
		c := kmsg.NewCreateTopicsRequestTopicConfig()
		c.Name, c.Value = s.Name, s.Value
		t.Configs = append(t.Configs, c)
		op.Settings = []metadata.Setting{s}
	}
	req.Topics = append(req.Topics, t)
	op, ok := o.attempt(op, req, func(r kmsg.Response, op *metadata.Operation) int16 {
		topics := r.(*kmsg.CreateTopicsResponse).Topics
		if len(topics) != 1 {
			return int16(kafka.ErrUnknownServerError)
		}
		if kafka.Error(topics[0].ErrorCode) == kafka.None {
			op.ID = kafka.TopicID(topics[0].TopicID).String()
		}
		return topics[0].ErrorCode
	})
	if ok {
		o.seen(name, op.ID, op.Partitions)
	}
}

// deleteSide deletes a topic by its name. Blocks.
func (o *operator) deleteSide() {
	name := o.drawSide()
	req := kmsg.NewPtrDeleteTopicsRequest()
	req.Version, req.TimeoutMillis = 6, o.timeout()
	t := kmsg.NewDeleteTopicsRequestTopic()
	t.Topic = &name
	req.Topics = append(req.Topics, t)
	op := metadata.Operation{Resource: topicResource(name), Act: metadata.Delete}
	o.attempt(op, req, func(r kmsg.Response, op *metadata.Operation) int16 {
		topics := r.(*kmsg.DeleteTopicsResponse).Topics
		if len(topics) != 1 {
			return int16(kafka.ErrUnknownServerError)
		}
		if kafka.Error(topics[0].ErrorCode) == kafka.None {
			op.ID = kafka.TopicID(topics[0].TopicID).String()
		}
		return topics[0].ErrorCode
	})
}

func (o *operator) growSide() { o.grow(o.drawSide(), 1+o.draws.Int32N(4)) }

// growOrders adds to the topic of the workload, up to what the options say. Who
// reads and writes it keeps the partitions that he has.
func (o *operator) growOrders() {
	if most := o.r.options.ExtraMax; most > 0 {
		o.grow(topicName, o.r.options.Partitions+1+o.draws.Int32N(int32(most)))
	}
}

// grow adds partitions to a topic. Blocks.
func (o *operator) grow(name string, partitions int32) {
	req := kmsg.NewPtrCreatePartitionsRequest()
	req.Version, req.TimeoutMillis = 3, o.timeout()
	t := kmsg.NewCreatePartitionsRequestTopic()
	t.Topic, t.Count = name, partitions
	req.Topics = append(req.Topics, t)
	op := metadata.Operation{Resource: topicResource(name), Act: metadata.Grow, Partitions: partitions}
	o.attempt(op, req, func(r kmsg.Response, _ *metadata.Operation) int16 {
		topics := r.(*kmsg.CreatePartitionsResponse).Topics
		if len(topics) != 1 {
			return int16(kafka.ErrUnknownServerError)
		}
		return topics[0].ErrorCode
	})
}

// known returns the latest incarnation of a topic that operators were told of, or
// nil.
func (m *ministry) known(name string) *incarnation {
	for _, in := range slices.Backward(m.sides) {
		if in.name == name {
			return in
		}
	}
	return nil
}
