package scenarios

import (
	"fmt"
	"slices"
	"time"

	"github.com/klammlog/klamm/checker/history"
	"github.com/klammlog/klamm/checker/metadata"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// senseless complains of an answer that cannot be right, whatever was done before.
func (o *operator) senseless(what string) {
	o.r.observer.complain(describesTruly, fmt.Sprintf("%s at %s: %s", o.node.Name(), o.r.k.Now(), what))
}

// look asks for a drawn topic. Blocks.
func (o *operator) look() {
	o.lookAt(pick(o.draws, topicName, o.drawSide(), o.drawSide()))
}

// lookAt asks whether a topic exists, and records the answer, if there is one.
// Blocks.
func (o *operator) lookAt(name string) (found metadata.Operation, answered bool) {
	req := kmsg.NewPtrMetadataRequest()
	req.Version, req.AllowAutoTopicCreation = 12, false
	t := kmsg.NewMetadataRequestTopic()
	t.Topic = &name
	req.Topics = []kmsg.MetadataRequestTopic{t}
	op := metadata.Operation{Client: o.node.Name(), Resource: topicResource(name), Act: metadata.Look, Invoked: o.r.history.Now()}
	resp, _ := o.ask(req)
	if resp == nil {
		return op, false
	}
	topics := resp.(*kmsg.MetadataResponse).Topics
	if len(topics) != 1 || topics[0].Topic == nil || *topics[0].Topic != name {
		o.senseless(fmt.Sprintf("the metadata of %s is %d topics", name, len(topics)))
		return op, false
	}
	op.Completed = o.r.history.Now()
	if op.Answer = answerOf(op.Act, kafka.Error(topics[0].ErrorCode)); op.Answer == metadata.Done {
		op.ID, op.Partitions = kafka.TopicID(topics[0].TopicID).String(), int32(len(topics[0].Partitions))
	}
	if op.Answer != metadata.Done && op.Answer != metadata.Missing {
		return op, false
	}
	o.told.Add(op)
	if op.Answer == metadata.Done {
		o.seen(name, op.ID, op.Partitions)
	}
	return op, true
}

// read asks for what is set on a drawn resource. Blocks.
func (o *operator) read() {
	kind, name := o.drawResource()
	o.readAt(kind, name)
}

// ownSource is the source of what is set on a resource itself, by Kafka's numbers.
func ownSource(kind kmsg.ConfigResourceType, name string) kmsg.ConfigSource {
	switch {
	case kind == kmsg.ConfigResourceTypeTopic:
		return kmsg.ConfigSourceDynamicTopicConfig
	case name == "":
		return kmsg.ConfigSourceDynamicDefaultBrokerConfig
	}
	return kmsg.ConfigSourceDynamicBrokerConfig
}

// readAt asks for what is set on a resource, and records the answer, if there is
// one. Blocks.
func (o *operator) readAt(kind kmsg.ConfigResourceType, name string) (found metadata.Operation, answered bool) {
	req := kmsg.NewPtrDescribeConfigsRequest()
	req.Version, req.IncludeSynonyms, req.IncludeDocumentation = 4, o.draws.IntN(2) == 0, o.draws.IntN(4) == 0
	one := kmsg.NewDescribeConfigsRequestResource()
	one.ResourceType, one.ResourceName = kind, name
	req.Resources = append(req.Resources, one)
	op := metadata.Operation{Client: o.node.Name(), Resource: resourceOf(kind, name), Act: metadata.Read, Invoked: o.r.history.Now()}
	resp, _ := o.ask(req)
	if resp == nil {
		return op, false
	}
	resources := resp.(*kmsg.DescribeConfigsResponse).Resources
	if len(resources) != 1 || resources[0].ResourceName != name {
		o.senseless(fmt.Sprintf("the settings of %s are those of %d resources", op.Resource, len(resources)))
		return op, false
	}
	op.Completed = o.r.history.Now()
	op.Answer = answerOf(op.Act, kafka.Error(resources[0].ErrorCode))
	for _, c := range resources[0].Configs {
		if c.Source == ownSource(kind, name) {
			op.Settings = append(op.Settings, metadata.Setting{Name: c.Name, Value: c.Value})
		}
	}
	o.checkSettings(op.Resource, resources[0].Configs)
	if op.Answer != metadata.Done && op.Answer != metadata.Missing {
		return op, false
	}
	o.told.Add(op)
	return op, true
}

// checkSettings looks at what is told of each setting.
func (o *operator) checkSettings(resource string, configs []kmsg.DescribeConfigsResponseResourceConfig) {
	seen := map[string]bool{}
	for _, c := range configs {
		switch {
		case seen[c.Name]:
			o.senseless(fmt.Sprintf("%s has the setting %s twice", resource, c.Name))
		case c.IsSensitive || c.Value == nil || len(c.ConfigSynonyms) == 0:
		case c.ConfigSynonyms[0].Value == nil || c.ConfigSynonyms[0].Source != c.Source:
			o.senseless(fmt.Sprintf("%s of %s is %q from source %d, and its first synonym is of source %d",
				c.Name, resource, *c.Value, c.Source, c.ConfigSynonyms[0].Source))
		}
		seen[c.Name] = true
	}
}

// beginWithOrders asks what the topic of the workload is before anything happens to
// it. Blocks.
func (o *operator) beginWithOrders() {
	if !o.first {
		for o.told.Begin == nil {
			o.world.Sleep(10 * time.Millisecond)
		}
		return
	}
	for {
		topic, ok := o.lookAt(topicName)
		if ok && topic.Answer == metadata.Done {
			if set, ok := o.readAt(kmsg.ConfigResourceTypeTopic, topicName); ok {
				o.told.Begins(topicResource(topicName), metadata.Existing(topic.ID, topic.Partitions, set.Settings))
				return
			}
		}
		o.world.Sleep(50 * time.Millisecond)
	}
}

// describe asks one of the questions whose answers are no facts for the judge, and
// looks whether the answer makes sense. Blocks.
func (o *operator) describe() {
	switch o.draws.IntN(4) {
	case 0:
		o.describeCluster()
	case 1:
		o.describeLogDirs()
	case 2:
		o.describeProducers()
	default:
		o.listResources()
	}
}

func (o *operator) describeCluster() {
	req := kmsg.NewPtrDescribeClusterRequest()
	req.Version, req.EndpointType = 1, 1
	resp, _ := o.ask(req)
	if resp == nil {
		return
	}
	q := resp.(*kmsg.DescribeClusterResponse)
	if o.clusterID == "" {
		o.clusterID = q.ClusterID
	}
	if q.ErrorCode != 0 || q.ControllerID != 1 || len(q.Brokers) != 1 || q.Brokers[0].NodeID != 1 || q.ClusterID != o.clusterID {
		o.senseless(fmt.Sprintf("a cluster of one broker is described as %+v, and was called %s", q, o.clusterID))
	}
}

func (o *operator) describeLogDirs() {
	req := kmsg.NewPtrDescribeLogDirsRequest()
	req.Version = 4
	resp, _ := o.ask(req)
	if resp == nil {
		return
	}
	q := resp.(*kmsg.DescribeLogDirsResponse)
	if len(q.Dirs) == 0 {
		o.senseless("there is no log directory")
	}
	placed := map[kafka.TopicPartition]bool{}
	for _, d := range q.Dirs {
		if d.TotalBytes >= 0 && d.UsableBytes > d.TotalBytes {
			o.senseless(fmt.Sprintf("log directory %s has %d usable bytes of %d", d.Dir, d.UsableBytes, d.TotalBytes))
		}
		for _, t := range d.Topics {
			for _, p := range t.Partitions {
				tp := kafka.TopicPartition{Topic: t.Topic, Partition: p.Partition}
				if placed[tp] || p.Size < 0 || p.IsFuture {
					o.senseless(fmt.Sprintf("%s stands in log directory %s with %d bytes, or twice", tp, d.Dir, p.Size))
				}
				placed[tp] = true
			}
		}
	}
}

func (o *operator) describeProducers() {
	req := kmsg.NewPtrDescribeProducersRequest()
	t := kmsg.NewDescribeProducersRequestTopic()
	t.Topic = topicName
	for p := range o.r.options.Partitions {
		t.Partitions = append(t.Partitions, p)
	}
	req.Topics = append(req.Topics, t)
	resp, _ := o.ask(req)
	if resp == nil {
		return
	}
	topics := resp.(*kmsg.DescribeProducersResponse).Topics
	if len(topics) != 1 || len(topics[0].Partitions) != len(t.Partitions) {
		o.senseless(fmt.Sprintf("the producers of %d partitions are told for %d topics", len(t.Partitions), len(topics)))
		return
	}
	for i, p := range topics[0].Partitions {
		ids := map[int64]bool{}
		for _, a := range p.ActiveProducers {
			if ids[a.ProducerID] || a.ProducerID < 0 || a.ProducerEpoch < 0 || a.LastSequence < 0 || p.Partition != int32(i) {
				o.senseless(fmt.Sprintf("%s-%d has the producer %+v, or twice", topicName, p.Partition, a))
			}
			ids[a.ProducerID] = true
		}
	}
}

func (o *operator) listResources() {
	req := kmsg.NewPtrListConfigResourcesRequest()
	req.Version = 1
	resp, _ := o.ask(req)
	if resp == nil {
		return
	}
	q := resp.(*kmsg.ListConfigResourcesResponse)
	orders := kmsg.ListConfigResourcesResponseConfigResource{Name: topicName, Type: int8(kmsg.ConfigResourceTypeTopic)}
	broker := kmsg.ListConfigResourcesResponseConfigResource{Name: "1", Type: int8(kmsg.ConfigResourceTypeBroker)}
	for i, one := range q.ConfigResources {
		if slices.ContainsFunc(q.ConfigResources[:i], func(other kmsg.ListConfigResourcesResponseConfigResource) bool {
			return other.Name == one.Name && other.Type == one.Type
		}) {
			o.senseless(fmt.Sprintf("the resource %q of type %d is listed twice", one.Name, one.Type))
		}
	}
	for _, want := range []kmsg.ListConfigResourcesResponseConfigResource{orders, broker} {
		if !slices.ContainsFunc(q.ConfigResources, func(one kmsg.ListConfigResourcesResponseConfigResource) bool {
			return one.Name == want.Name && one.Type == want.Type
		}) {
			o.senseless(fmt.Sprintf("the resource %q of type %d is not listed", want.Name, want.Type))
		}
	}
}

// cutAt returns below which offset records of a partition may be gone, of any topic
// that had the name.
func (m *ministry) cutAt(name string, partition int32) history.Offset {
	return m.cut[kafka.TopicPartition{Topic: name, Partition: partition}]
}
