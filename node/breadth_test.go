package node

import (
	"math"
	"testing"
	"time"

	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/record"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// ask sends a request of a version and reads its answer into r.
func (w *wire) ask(q kmsg.Request, version int16, r kmsg.Response) {
	w.t.Helper()
	w.receive(r, version, w.send(q, version))
}

func wantCode(t *testing.T, what string, got int16, want kafka.Error) {
	t.Helper()
	if kafka.Error(got) != want {
		t.Errorf("%s: %s, want %s", what, kafka.Error(got).Name(), want.Name())
	}
}

func growthRequest(topic string, partitions int32, assignment ...[]int32) *kmsg.CreatePartitionsRequest {
	q := kmsg.NewPtrCreatePartitionsRequest()
	q.TimeoutMillis = 10_000
	t := kmsg.CreatePartitionsRequestTopic{Topic: topic, Count: partitions}
	for _, replicas := range assignment {
		t.Assignment = append(t.Assignment, kmsg.CreatePartitionsRequestTopicAssignment{Replicas: replicas})
	}
	q.Topics = append(q.Topics, t)
	return q
}

func TestNewPartitionsAreThereWhenTheAnswerIs(t *testing.T) {
	m := run(t)
	m.create("orders")
	w := m.wire()
	for version := int16(0); version <= 3; version++ {
		r := kmsg.NewPtrCreatePartitionsResponse()
		w.ask(growthRequest("orders", 2+int32(version)), version, r)
		wantCode(t, "one partition more", r.Topics[0].ErrorCode, kafka.None)
		q := produceRequest("orders", -1, batchOf("x"))
		q.Topics[0].Partitions[0].Partition = 1 + int32(version)
		p := kmsg.NewPtrProduceResponse()
		w.ask(q, 9, p)
		wantCode(t, "produce to it", p.Topics[0].Partitions[0].ErrorCode, kafka.None)
	}
	m.stop()
	m.start()
	m.as(func() {
		if n := len(m.node.Partitions()); n != 5 {
			t.Errorf("%d partitions after a restart, want 5", n)
		}
	})
}

func TestCreatePartitionsSaysWhatIsWrong(t *testing.T) {
	m := run(t)
	m.create("orders")
	w := m.wire()
	twice := growthRequest("orders", 2)
	twice.Topics = append(twice.Topics, twice.Topics[0])
	for _, c := range []struct {
		name string
		q    *kmsg.CreatePartitionsRequest
		want kafka.Error
	}{
		{"as many as there are", growthRequest("orders", 1), kafka.ErrInvalidPartitions},
		{"fewer", growthRequest("orders", 0), kafka.ErrInvalidPartitions},
		{"too many at once", growthRequest("orders", math.MaxInt32), kafka.ErrPolicyViolation},
		{"a topic that there is not", growthRequest("nowhere", 2), kafka.ErrUnknownTopicOrPartition},
		{"an assignment that is too short", growthRequest("orders", 3, []int32{1}), kafka.ErrInvalidReplicaAssignment},
		{"a broker that there is not", growthRequest("orders", 2, []int32{7}), kafka.ErrInvalidReplicaAssignment},
		{"twice", twice, kafka.ErrInvalidRequest},
	} {
		r := kmsg.NewPtrCreatePartitionsResponse()
		w.ask(c.q, 3, r)
		wantCode(t, c.name, r.Topics[0].ErrorCode, c.want)
		if r.Topics[0].ErrorMessage == nil {
			t.Errorf("%s: no message", c.name)
		}
	}
	check := growthRequest("orders", 2, []int32{1})
	check.ValidateOnly = true
	r := kmsg.NewPtrCreatePartitionsResponse()
	w.ask(check, 3, r)
	wantCode(t, "only checked", r.Topics[0].ErrorCode, kafka.None)
	m.as(func() {
		if n := len(m.node.Partitions()); n != 1 {
			t.Errorf("%d partitions, want one", n)
		}
	})
}

func deletion(topic string, partition int32, before int64) *kmsg.DeleteRecordsRequest {
	q := kmsg.NewPtrDeleteRecordsRequest()
	q.TimeoutMillis = 10_000
	q.Topics = []kmsg.DeleteRecordsRequestTopic{{Topic: topic,
		Partitions: []kmsg.DeleteRecordsRequestTopicPartition{{Partition: partition, Offset: before}}}}
	return q
}

func (w *wire) delete(topic string, partition int32, before int64) kmsg.DeleteRecordsResponseTopicPartition {
	w.t.Helper()
	r := kmsg.NewPtrDeleteRecordsResponse()
	w.ask(deletion(topic, partition, before), 2, r)
	return r.Topics[0].Partitions[0]
}

func TestDeletedRecordsStayDeleted(t *testing.T) {
	m := run(t)
	m.create("orders")
	m.create("compacted", "cleanup.policy", "compact")
	w := m.wire()
	for i := range int64(5) {
		w.wantProduced("orders", batchOf("x"), i)
	}
	for _, c := range []struct {
		name      string
		topic     string
		partition int32
		before    int64
		want      kafka.Error
		start     int64
	}{
		{"up to an offset", "orders", 0, 2, kafka.None, 2},
		{"below the log start", "orders", 0, 1, kafka.None, 2},
		{"above the high watermark", "orders", 0, 6, kafka.ErrOffsetOutOfRange, -1},
		{"a negative offset", "orders", 0, -2, kafka.ErrOffsetOutOfRange, -1},
		{"a partition that there is not", "orders", 1, 0, kafka.ErrUnknownTopicOrPartition, -1},
		{"a topic that there is not", "nowhere", 0, 0, kafka.ErrUnknownTopicOrPartition, -1},
		{"a topic that only compacts", "compacted", 0, -1, kafka.ErrPolicyViolation, -1},
		{"the high watermark", "orders", 0, -1, kafka.None, 5},
	} {
		got := w.delete(c.topic, c.partition, c.before)
		wantCode(t, c.name, got.ErrorCode, c.want)
		if got.LowWatermark != c.start {
			t.Errorf("%s: log start %d, want %d", c.name, got.LowWatermark, c.start)
		}
	}
	m.kill()
	m.start()
	w = m.wire()
	f := kmsg.NewPtrFetchResponse()
	w.ask(fetchRequest("orders", 4, 1, time.Hour), 11, f)
	wantCode(t, "a fetch of what was deleted, after a crash", f.Topics[0].Partitions[0].ErrorCode, kafka.ErrOffsetOutOfRange)
	w.wantProduced("orders", batchOf("x"), 5)
}

// A slowManifest holds up what a log writes down about itself.
type slowManifest struct {
	env.FS
	w    *env.World
	wait time.Duration
}

func (d *slowManifest) OpenFile(name string, flag env.Flag) (env.File, error) {
	f, err := d.FS.OpenFile(name, flag)
	return &slowFile{f, d}, err
}

type slowFile struct {
	env.File
	disk *slowManifest
}

func (f *slowFile) SyncData() error {
	for f.disk.wait > 0 {
		_ = f.disk.w.Sleep(time.Millisecond)
	}
	return f.File.SyncData()
}

func (f *slowFile) Sync() error { return f.SyncData() }

func TestRecordsThatAreNotDeletedInTimeAreAnsweredFor(t *testing.T) {
	var disk *slowManifest
	m := &machine{t: t, dirs: []string{t.TempDir()}}
	m.change = func(w *env.World) {
		disk = &slowManifest{FS: w.LogDirs[0].FS, w: w}
		w.LogDirs[0].FS = disk
	}
	m.start()
	t.Cleanup(func() { m.stop() })
	m.create("orders")
	w := m.wire()
	w.wantProduced("orders", batchOf("x"), 0)
	m.as(func() { disk.wait = 1 })
	q := deletion("orders", 0, -1)
	q.TimeoutMillis = 20
	r := kmsg.NewPtrDeleteRecordsResponse()
	w.ask(q, 2, r)
	wantCode(t, "while the disk hangs", r.Topics[0].Partitions[0].ErrorCode, kafka.ErrRequestTimedOut)
	m.as(func() { disk.wait = 0 })
	m.until(func() bool { return m.node.Partitions()[0].LogStart == 1 })
}

func TestTheClusterDescribesItself(t *testing.T) {
	m := run(t)
	w := m.wire()
	for version := int16(0); version <= 2; version++ {
		q := kmsg.NewPtrDescribeClusterRequest()
		q.IncludeClusterAuthorizedOperations = version == 2
		r := kmsg.NewPtrDescribeClusterResponse()
		w.ask(q, version, r)
		wantCode(t, "brokers", r.ErrorCode, kafka.None)
		if len(r.Brokers) != 1 || r.Brokers[0].Port != int32(m.port) || r.ControllerID != 1 || len(r.ClusterID) != 22 {
			t.Errorf("version %d: %+v", version, r)
		}
		if told := r.ClusterAuthorizedOperations != math.MinInt32; told != q.IncludeClusterAuthorizedOperations {
			t.Errorf("version %d: operations %b", version, r.ClusterAuthorizedOperations)
		}
	}
	for of, want := range map[int8]kafka.Error{2: kafka.ErrMismatchedEndpointType, 3: kafka.ErrUnsupportedEndpointType} {
		q := kmsg.NewPtrDescribeClusterRequest()
		q.EndpointType = of
		r := kmsg.NewPtrDescribeClusterResponse()
		w.ask(q, 2, r)
		wantCode(t, "another type of endpoints", r.ErrorCode, want)
	}
}

func TestLogDirectoriesAreDescribed(t *testing.T) {
	m, disk, good, bad := twoDisks(t)
	w := m.wire()
	w.wantProduced(good, batchOf("x"), 0)
	ask := func(version int16, topics ...string) map[string]kmsg.DescribeLogDirsResponseDir {
		q := kmsg.NewPtrDescribeLogDirsRequest()
		for _, topic := range topics {
			q.Topics = append(q.Topics, kmsg.DescribeLogDirsRequestTopic{Topic: topic, Partitions: []int32{0, 1}})
		}
		r := kmsg.NewPtrDescribeLogDirsResponse()
		w.ask(q, version, r)
		dirs := map[string]kmsg.DescribeLogDirsResponseDir{}
		for _, d := range r.Dirs {
			dirs[d.Dir] = d
		}
		return dirs
	}
	for version := int16(1); version <= 4; version++ {
		d := ask(version)[m.dirs[0]]
		if len(d.Topics) != 1 || d.Topics[0].Topic != good || d.Topics[0].Partitions[0].Size != int64(len(batchOf("x"))) {
			t.Errorf("version %d: %+v", version, d)
		}
		if told := d.TotalBytes > 0 && d.UsableBytes > 0 && d.UsableBytes <= d.TotalBytes; told != (version >= 4) {
			t.Errorf("version %d: %d of %d bytes are free", version, d.UsableBytes, d.TotalBytes)
		}
	}
	if d := ask(4, bad); len(d[m.dirs[0]].Topics) != 0 || len(d[m.dirs[1]].Topics) != 1 {
		t.Errorf("of one topic: %+v", d)
	}
	m.as(func() { disk.sync = env.ErrIO })
	w.produce(bad, -1, batchOf("lost"))
	d := ask(4)
	wantCode(t, "a directory in service", d[m.dirs[0]].ErrorCode, kafka.None)
	wantCode(t, "one out of service", d[m.dirs[1]].ErrorCode, kafka.ErrStorageError)
	offline := kmsg.NewPtrMetadataResponse()
	w.ask(&kmsg.MetadataRequest{Topics: []kmsg.MetadataRequestTopic{{Topic: &bad}}}, 12, offline)
	if got := offline.Topics[0].Partitions[0].OfflineReplicas; len(got) != 1 || got[0] != 1 {
		t.Errorf("offline replicas %v, want node 1", got)
	}
}

func TestProducersAreDescribed(t *testing.T) {
	m := run(t)
	m.create("orders")
	w := m.wire()
	w.wantProduced("orders", producerBatch(&record.Producer{ID: 7, Epoch: 2, Sequence: 0}, "a", "b"), 0)
	w.wantProduced("orders", producerBatch(&record.Producer{ID: 5}, "a"), 2)
	q := kmsg.NewPtrDescribeProducersRequest()
	q.Topics = []kmsg.DescribeProducersRequestTopic{{Topic: "orders", Partitions: []int32{0, 1}}}
	r := kmsg.NewPtrDescribeProducersResponse()
	w.ask(q, 0, r)
	p := r.Topics[0].Partitions
	if len(p[0].ActiveProducers) != 2 || p[0].ActiveProducers[0].ProducerID != 5 {
		t.Fatalf("%+v", p[0])
	}
	if got := p[0].ActiveProducers[1]; got.ProducerID != 7 || got.ProducerEpoch != 2 || got.LastSequence != 1 ||
		got.LastTimestamp <= 0 || got.CurrentTxnStartOffset != -1 {
		t.Errorf("%+v", got)
	}
	wantCode(t, "a partition that there is not", p[1].ErrorCode, kafka.ErrUnknownTopicOrPartition)
}

func TestTopicPartitionsAreDescribedPageByPage(t *testing.T) {
	m := run(t)
	admin := kadm.NewClient(m.client())
	for topic, partitions := range map[string]int32{"a": 3, "b": 1, "c": 4} {
		if _, err := admin.CreateTopic(within(t), partitions, 1, nil, topic); err != nil {
			t.Fatal(err)
		}
	}
	w := m.wire()
	var seen []kafka.TopicPartition
	q := kmsg.NewPtrDescribeTopicPartitionsRequest()
	q.ResponsePartitionLimit = 3
	for pages := 1; ; pages++ {
		r := kmsg.NewPtrDescribeTopicPartitionsResponse()
		w.ask(q, 0, r)
		n := 0
		for _, topic := range r.Topics {
			for _, p := range topic.Partitions {
				seen = append(seen, kafka.TopicPartition{Topic: *topic.Topic, Partition: p.Partition})
				n++
			}
		}
		if n > 3 {
			t.Errorf("page %d has %d partitions", pages, n)
		}
		if r.NextCursor == nil {
			break
		}
		q.Cursor = &kmsg.DescribeTopicPartitionsRequestCursor{Topic: r.NextCursor.Topic, Partition: r.NextCursor.Partition}
	}
	want := []string{"a-0", "a-1", "a-2", "b-0", "c-0", "c-1", "c-2", "c-3"}
	if len(seen) != len(want) {
		t.Fatalf("%v, want %v", seen, want)
	}
	for i := range want {
		if seen[i].String() != want[i] {
			t.Fatalf("%v, want %v", seen, want)
		}
	}
}

func TestTopicPartitionsOfTopicsByName(t *testing.T) {
	m := run(t)
	m.create("b")
	w := m.wire()
	q := kmsg.NewPtrDescribeTopicPartitionsRequest()
	for _, name := range []string{"no/name", "b", "a", "b"} {
		q.Topics = append(q.Topics, kmsg.DescribeTopicPartitionsRequestTopic{Topic: name})
	}
	r := kmsg.NewPtrDescribeTopicPartitionsResponse()
	w.ask(q, 0, r)
	if len(r.Topics) != 3 {
		t.Fatalf("%d topics, want three, one of which was asked for twice", len(r.Topics))
	}
	for i, want := range []kafka.Error{kafka.ErrUnknownTopicOrPartition, kafka.None, kafka.ErrInvalidTopic} {
		wantCode(t, *r.Topics[i].Topic, r.Topics[i].ErrorCode, want)
	}
	q.Cursor = &kmsg.DescribeTopicPartitionsRequestCursor{Topic: "b", Partition: 9}
	w.ask(q, 0, r)
	if len(r.Topics) != 2 || len(r.Topics[0].Partitions) != 0 || r.NextCursor != nil {
		t.Errorf("from behind the last partition on: %+v", r)
	}
	q.Cursor.Partition = -1
	w.send(q, 0)
	w.wantClosed()
}

func TestListOffsetsOfEachVersion(t *testing.T) {
	m := run(t)
	m.create("orders")
	w := m.wire()
	for i := range int64(3) {
		w.wantProduced("orders", batchOf("x"), i)
	}
	w.delete("orders", 0, 1)
	for at, want := range map[int64]struct {
		since  int16
		offset int64
	}{-1: {1, 3}, -2: {1, 1}, -3: {7, 2}, -4: {8, 1}, -5: {9, -1}, -6: {11, -1}, -7: {12, 0}, 0: {1, 1}, math.MaxInt64: {1, -1}} {
		for version := int16(1); version <= 11; version++ {
			q := kmsg.NewPtrListOffsetsRequest()
			p := kmsg.NewListOffsetsRequestTopicPartition()
			p.Timestamp = at
			q.Topics = []kmsg.ListOffsetsRequestTopic{{Topic: "orders", Partitions: []kmsg.ListOffsetsRequestTopicPartition{p}}}
			r := kmsg.NewPtrListOffsetsResponse()
			w.ask(q, version, r)
			got := r.Topics[0].Partitions[0]
			if version < want.since {
				wantCode(t, "before it meant something", got.ErrorCode, kafka.ErrUnsupportedVersion)
			} else if got.ErrorCode != 0 || got.Offset != want.offset && at != -3 {
				t.Errorf("timestamp %d in version %d: offset %d with error %d, want %d", at, version, got.Offset, got.ErrorCode, want.offset)
			}
		}
	}
	q := kmsg.NewPtrListOffsetsRequest()
	p := kmsg.NewListOffsetsRequestTopicPartition()
	q.Topics = []kmsg.ListOffsetsRequestTopic{{Topic: "orders", Partitions: []kmsg.ListOffsetsRequestTopicPartition{p, p}}}
	r := kmsg.NewPtrListOffsetsResponse()
	w.ask(q, 7, r)
	wantCode(t, "twice", r.Topics[0].Partitions[1].ErrorCode, kafka.ErrInvalidRequest)
}

// From version 13 on topics are ids, in Produce and in Fetch.
func TestTopicsByIdInProduceAndFetch(t *testing.T) {
	m := run(t)
	m.create("orders")
	var id kafka.TopicID
	m.as(func() { topic, _ := m.node.Image().Topic("orders"); id = topic.ID })
	w := m.wire()
	for version := int16(9); version <= 13; version++ {
		q := produceRequest("orders", -1, batchOf("x"))
		q.Topics[0].TopicID = id
		r := kmsg.NewPtrProduceResponse()
		w.ask(q, version, r)
		got := r.Topics[0]
		if got.Partitions[0].ErrorCode != 0 || got.Partitions[0].BaseOffset != int64(version-9) || version >= 13 && got.TopicID != id {
			t.Errorf("produce version %d: %+v", version, got)
		}
	}
	for _, unknown := range []kafka.TopicID{{}, {9}} {
		q := produceRequest("", -1, batchOf("x"))
		q.Topics[0].TopicID = unknown
		r := kmsg.NewPtrProduceResponse()
		w.ask(q, 13, r)
		wantCode(t, "an id that there is not", r.Topics[0].Partitions[0].ErrorCode, kafka.ErrUnknownTopicID)
	}
	for version := int16(12); version <= 18; version++ {
		q := fetchRequest("orders", 2, 1, 0)
		q.Topics[0].TopicID, q.ReplicaID, q.ReplicaState.ID = id, -1, -1
		r := kmsg.NewPtrFetchResponse()
		w.ask(q, version, r)
		if got := r.Topics[0]; got.Partitions[0].ErrorCode != 0 || len(got.Partitions[0].RecordBatches) == 0 || version >= 13 && got.TopicID != id {
			t.Errorf("fetch version %d: %+v", version, got)
		}
	}
}

func TestAPartitionStandsInAProduceRequestOnce(t *testing.T) {
	m := run(t)
	m.create("orders")
	w := m.wire()
	q := produceRequest("orders", -1, batchOf("x"))
	q.Topics[0].Partitions = append(q.Topics[0].Partitions, q.Topics[0].Partitions[0])
	r := kmsg.NewPtrProduceResponse()
	w.ask(q, 9, r)
	wantCode(t, "at its first place", r.Topics[0].Partitions[0].ErrorCode, kafka.None)
	wantCode(t, "at its second place", r.Topics[0].Partitions[1].ErrorCode, kafka.ErrInvalidRequest)
	id := "transaction"
	q = produceRequest("orders", -1, batchOf("x"))
	q.TransactionID = &id
	w.ask(q, 9, r)
	wantCode(t, "with a transactional id", r.Topics[0].Partitions[0].ErrorCode, kafka.ErrInvalidTxnState)
	w.wantProduced("orders", batchOf("x"), 1)
}

func TestInitProducerIdSaysWhatIsWrong(t *testing.T) {
	w := run(t, config.Pair{Name: "auto.create.topics.enable", Value: "false"}).wire()
	text := func(s string) *string { return &s }
	for _, c := range []struct {
		name  string
		q     kmsg.InitProducerIDRequest
		since int16
		want  kafka.Error
	}{
		{"without a transactional id", kmsg.InitProducerIDRequest{ProducerID: -1, ProducerEpoch: -1}, 0, kafka.None},
		{"with one", kmsg.InitProducerIDRequest{TransactionalID: text("t"), ProducerID: -1, ProducerEpoch: -1}, 0, kafka.ErrUnsupportedVersion},
		{"with an empty one", kmsg.InitProducerIDRequest{TransactionalID: text(""), ProducerID: -1, ProducerEpoch: -1}, 0, kafka.ErrInvalidRequest},
		{"an id without an epoch", kmsg.InitProducerIDRequest{ProducerID: 3, ProducerEpoch: -1}, 3, kafka.ErrInvalidRequest},
		{"an id and an epoch", kmsg.InitProducerIDRequest{ProducerID: 3, ProducerEpoch: 1}, 3, kafka.None},
	} {
		for version := c.since; version <= 5; version++ {
			r := kmsg.NewPtrInitProducerIDResponse()
			w.ask(&c.q, version, r)
			wantCode(t, c.name, r.ErrorCode, c.want)
			if ok := r.ProducerID >= 0 && r.ProducerEpoch == 0; ok != (c.want == kafka.None) {
				t.Errorf("%s: id %d epoch %d", c.name, r.ProducerID, r.ProducerEpoch)
			}
		}
	}
}
