package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
)

// A question is a request of web consoles, to be answered in every version of
// Kafka 4.2.
type question struct {
	min, max int16
	ask      func(topic string) kmsg.Request
	check    func(answer kmsg.Response, topic string) error
}

var questions = []question{
	{0, 13, askMetadata, checkMetadata},
	{1, 4, askConfigs, checkConfigs},
	{1, 4, func(string) kmsg.Request { return kmsg.NewPtrDescribeLogDirsRequest() }, checkLogDirs},
	{0, 1, func(string) kmsg.Request { return kmsg.NewPtrListConfigResourcesRequest() }, checkConfigResources},
	{0, 2, func(string) kmsg.Request { return kmsg.NewPtrDescribeClusterRequest() }, checkCluster},
	{0, 0, askTopicPartitions, checkTopicPartitions},
	{0, 0, askProducers, checkProducers},
}

// console asks each question in each version, and what kadm asks in its own way.
func console(bootstrap, topic string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, q := range questions {
		for v := q.min; v <= q.max; v++ {
			if err := q.inVersion(ctx, bootstrap, topic, v); err != nil {
				return fmt.Errorf("%s version %d: %w", kmsg.NameForKey(q.ask(topic).Key()), v, err)
			}
		}
		fmt.Printf("%s, versions %d to %d\n", kmsg.NameForKey(q.ask(topic).Key()), q.min, q.max)
	}
	return askAdmin(ctx, bootstrap, topic)
}

func (q question) inVersion(ctx context.Context, bootstrap, topic string, version int16) error {
	request := q.ask(topic)
	versions := kversion.Stable()
	versions.SetMaxKeyVersion(request.Key(), version)
	c, err := client(bootstrap, kgo.MaxVersions(versions))
	if err != nil {
		return err
	}
	defer c.Close()
	// Sharded, for the client's own sum of what several brokers say leaves out
	// the sizes of volumes.
	shards := c.RequestSharded(ctx, request)
	if len(shards) != 1 || shards[0].Err != nil {
		return fmt.Errorf("answers of %d brokers, the first: %w", len(shards), shards[0].Err)
	}
	answer := shards[0].Resp
	if got := answer.GetVersion(); got != version {
		return fmt.Errorf("answered in version %d", got)
	}
	return q.check(answer, topic)
}

func askMetadata(topic string) kmsg.Request {
	q := kmsg.NewPtrMetadataRequest()
	q.Topics = []kmsg.MetadataRequestTopic{{Topic: &topic}}
	return q
}

func checkMetadata(answer kmsg.Response, topic string) error {
	a := answer.(*kmsg.MetadataResponse)
	if len(a.Brokers) != 1 || len(a.Topics) != 1 || *a.Topics[0].Topic != topic || len(a.Topics[0].Partitions) == 0 {
		return fmt.Errorf("answer %+v", a)
	}
	return nil
}

func askConfigs(topic string) kmsg.Request {
	q := kmsg.NewPtrDescribeConfigsRequest()
	q.IncludeSynonyms, q.IncludeDocumentation = true, true
	q.Resources = []kmsg.DescribeConfigsRequestResource{{ResourceType: kmsg.ConfigResourceTypeTopic, ResourceName: topic}}
	return q
}

func checkConfigs(answer kmsg.Response, _ string) error {
	a := answer.(*kmsg.DescribeConfigsResponse)
	if len(a.Resources) != 1 || a.Resources[0].ErrorCode != 0 {
		return fmt.Errorf("answer %+v", a)
	}
	for _, c := range a.Resources[0].Configs {
		if c.Name != "retention.ms" {
			continue
		}
		if c.Value == nil || *c.Value != "604800000" || c.Source != kmsg.ConfigSourceDefaultConfig || len(c.ConfigSynonyms) == 0 {
			return fmt.Errorf("retention.ms: %+v", c)
		}
		if a.Version >= 3 && (c.ConfigType != kmsg.ConfigTypeLong || c.Documentation == nil) {
			return fmt.Errorf("retention.ms: %+v", c)
		}
		return nil
	}
	return errors.New("no retention.ms")
}

func checkLogDirs(answer kmsg.Response, topic string) error {
	a := answer.(*kmsg.DescribeLogDirsResponse)
	if a.ErrorCode != 0 || len(a.Dirs) != 1 || a.Dirs[0].ErrorCode != 0 {
		return fmt.Errorf("answer %+v", a)
	}
	if a.Version >= 4 && (a.Dirs[0].TotalBytes <= 0 || a.Dirs[0].UsableBytes <= 0) {
		return fmt.Errorf("a volume of %d bytes, %d usable", a.Dirs[0].TotalBytes, a.Dirs[0].UsableBytes)
	}
	for _, t := range a.Dirs[0].Topics {
		if t.Topic == topic && len(t.Partitions) > 0 && t.Partitions[0].Size > 0 {
			return nil
		}
	}
	return fmt.Errorf("nothing of topic %s", topic)
}

// Version 0 lists the resources of client metrics, of which there are none.
func checkConfigResources(answer kmsg.Response, topic string) error {
	a := answer.(*kmsg.ListConfigResourcesResponse)
	listed := slices.ContainsFunc(a.ConfigResources, func(r kmsg.ListConfigResourcesResponseConfigResource) bool {
		return r.Name == topic && r.Type == int8(kmsg.ConfigResourceTypeTopic)
	})
	if a.ErrorCode != 0 || listed != (a.Version >= 1) {
		return fmt.Errorf("answer %+v", a)
	}
	return nil
}

func checkCluster(answer kmsg.Response, _ string) error {
	a := answer.(*kmsg.DescribeClusterResponse)
	if a.ErrorCode != 0 || a.ClusterID == "" || len(a.Brokers) != 1 || a.Brokers[0].Port == 0 {
		return fmt.Errorf("answer %+v", a)
	}
	return nil
}

func askTopicPartitions(topic string) kmsg.Request {
	q := kmsg.NewPtrDescribeTopicPartitionsRequest()
	q.Topics = []kmsg.DescribeTopicPartitionsRequestTopic{{Topic: topic}}
	return q
}

func checkTopicPartitions(answer kmsg.Response, topic string) error {
	a := answer.(*kmsg.DescribeTopicPartitionsResponse)
	if len(a.Topics) != 1 || a.Topics[0].ErrorCode != 0 || *a.Topics[0].Topic != topic || len(a.Topics[0].Partitions) == 0 {
		return fmt.Errorf("answer %+v", a)
	}
	return nil
}

func askProducers(topic string) kmsg.Request {
	q := kmsg.NewPtrDescribeProducersRequest()
	q.Topics = []kmsg.DescribeProducersRequestTopic{{Topic: topic, Partitions: []int32{0}}}
	return q
}

func checkProducers(answer kmsg.Response, _ string) error {
	a := answer.(*kmsg.DescribeProducersResponse)
	if len(a.Topics) != 1 || len(a.Topics[0].Partitions) != 1 || a.Topics[0].Partitions[0].ErrorCode != 0 {
		return fmt.Errorf("answer %+v", a)
	}
	if len(a.Topics[0].Partitions[0].ActiveProducers) == 0 {
		return errors.New("no active producers")
	}
	return nil
}

// askAdmin asks by way of kadm, and changes a topic of its own.
func askAdmin(ctx context.Context, bootstrap, topic string) error {
	c, err := client(bootstrap)
	if err != nil {
		return err
	}
	defer c.Close()
	admin := kadm.NewClient(c)
	for _, step := range []struct {
		name string
		do   func(context.Context, *kadm.Client, string) error
	}{
		{"describe log directories", adminLogDirs},
		{"list config resources", adminResources},
		{"topic created, configured, grown, deleted", adminChanges},
	} {
		if err := step.do(ctx, admin, topic); err != nil {
			return fmt.Errorf("kadm: %s: %w", step.name, err)
		}
		fmt.Println("kadm:", step.name)
	}
	return nil
}

func adminLogDirs(ctx context.Context, admin *kadm.Client, topic string) error {
	dirs, err := admin.DescribeAllLogDirs(ctx, nil)
	if err != nil {
		return err
	}
	size := int64(0)
	dirs.Each(func(d kadm.DescribedLogDir) {
		p, _ := d.Topics.Lookup(topic, 0)
		size += p.Size
	})
	if size == 0 {
		return fmt.Errorf("nothing of topic %s", topic)
	}
	return nil
}

func adminResources(ctx context.Context, admin *kadm.Client, topic string) error {
	resources, err := admin.ListConfigResources(ctx)
	if err != nil {
		return err
	}
	if len(resources.Resources) == 0 {
		return errors.New("none")
	}
	return nil
}

func adminChanges(ctx context.Context, admin *kadm.Client, topic string) error {
	name, days := topic+"-changed", "259200000"
	if _, err := admin.CreateTopic(ctx, 1, -1, map[string]*string{"retention.ms": &days}, name); err != nil {
		return err
	}
	hour := "3600000"
	altered, err := admin.AlterTopicConfigs(ctx, []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "retention.ms", Value: &hour}}, name)
	if err == nil && len(altered) > 0 {
		err = altered[0].Err
	}
	if err != nil {
		return fmt.Errorf("alter: %w", err)
	}
	described, err := admin.DescribeTopicConfigs(ctx, name)
	if err != nil {
		return err
	}
	of, err := described.On(name, nil)
	if err != nil {
		return err
	}
	for _, c := range of.Configs {
		if c.Key == "retention.ms" && c.MaybeValue() != hour {
			return fmt.Errorf("retention.ms is %s, was set to %s", c.MaybeValue(), hour)
		}
	}
	if _, err := admin.UpdatePartitions(ctx, 3, name); err != nil {
		return fmt.Errorf("grow: %w", err)
	}
	_, err = admin.DeleteTopic(ctx, name)
	return err
}
