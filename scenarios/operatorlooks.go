package scenarios

import (
	"fmt"
	"slices"
	"time"

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
	o.believe(op)
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
		if c.Source == ownSource(kind, name) && (kind == kmsg.ConfigResourceTypeTopic || isKnob(c.Name)) {
			op.Settings = append(op.Settings, metadata.Setting{Name: c.Name, Value: c.Value})
		}
	}
	o.doubt(senseOfSettings(op.Resource, resources[0].Configs))
	if op.Answer != metadata.Done && op.Answer != metadata.Missing {
		return op, false
	}
	o.believe(op)
	return op, true
}

// believe takes what was told of a resource as a fact for the judge. Of several
// brokers each tells what it has followed of the metadata: only when nothing happens
// any more must they all know the same.
func (o *operator) believe(op metadata.Operation) {
	if !o.r.options.clustered() || o.stocktaking {
		o.told.Add(op)
	}
}

// isKnob reports whether operators turn a setting of brokers: others the cluster sets
// by itself.
func isKnob(name string) bool {
	return slices.ContainsFunc(brokerKnobs, func(k knob) bool { return k.name == name })
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

// doubt complains of an answer if there is something to complain of.
func (o *operator) doubt(wrong string) {
	if wrong != "" {
		o.senseless(wrong)
	}
}

func (o *operator) describeCluster() {
	req := kmsg.NewPtrDescribeClusterRequest()
	req.Version, req.EndpointType = 1, 1
	if resp, _ := o.ask(req); resp != nil {
		q := resp.(*kmsg.DescribeClusterResponse)
		if o.clusterID == "" {
			o.clusterID = q.ClusterID
		}
		o.doubt(senseOfCluster(q, o.clusterID, o.r.options.Cluster))
	}
}

func (o *operator) describeLogDirs() {
	req := kmsg.NewPtrDescribeLogDirsRequest()
	req.Version = 4
	if resp, _ := o.ask(req); resp != nil {
		o.doubt(senseOfDirs(resp.(*kmsg.DescribeLogDirsResponse)))
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
	if resp, _ := o.ask(req); resp != nil {
		o.doubt(senseOfProducers(resp.(*kmsg.DescribeProducersResponse), len(t.Partitions)))
	}
}

func (o *operator) listResources() {
	if o.r.options.clustered() {
		o.describeCluster() // a broker may not know of everything yet
		return
	}
	req := kmsg.NewPtrListConfigResourcesRequest()
	req.Version = 1
	if resp, _ := o.ask(req); resp != nil {
		o.doubt(senseOfResources(resp.(*kmsg.ListConfigResourcesResponse)))
	}
}
