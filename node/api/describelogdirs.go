package api

import (
	"github.com/klammlog/klamm/node/broker"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// DescribeLogDirs (key 35): the log directories of this node, and how large what
// lies in them is. 1 to 4.
//
// Null topics mean all; partitions that are asked for and do not lie in a directory
// are left out. A directory that is out of service is KAFKA_STORAGE_ERROR by
// itself. v2 is flexible, v3 adds an error code of the whole answer, which is
// always none; v4 adds the disk's size and how much of it is free.

func describeLogDirs(s *Server, _ *Call, q *kmsg.DescribeLogDirsRequest) kmsg.Response {
	asked := func(kafka.TopicPartition) bool { return true }
	if q.Topics != nil {
		wanted := map[kafka.TopicPartition]bool{}
		for _, t := range q.Topics {
			for _, p := range t.Partitions {
				wanted[kafka.TopicPartition{Topic: t.Topic, Partition: p}] = true
			}
		}
		asked = func(tp kafka.TopicPartition) bool { return wanted[tp] }
	}
	r := kmsg.NewPtrDescribeLogDirsResponse()
	for _, v := range s.broker.Directories() {
		r.Dirs = append(r.Dirs, describedDir(v, asked))
	}
	return r
}

func describedDir(v broker.DirView, asked func(kafka.TopicPartition) bool) kmsg.DescribeLogDirsResponseDir {
	d := kmsg.NewDescribeLogDirsResponseDir()
	d.Dir, d.TotalBytes, d.UsableBytes = v.Name, v.Total, v.Free
	if v.Failed != nil {
		d.ErrorCode = int16(kafka.ErrStorageError)
		return d
	}
	for _, at := range v.Partitions {
		if !asked(at.Partition) {
			continue
		}
		if n := len(d.Topics); n == 0 || d.Topics[n-1].Topic != at.Partition.Topic {
			t := kmsg.NewDescribeLogDirsResponseDirTopic()
			t.Topic = at.Partition.Topic
			d.Topics = append(d.Topics, t)
		}
		p := kmsg.NewDescribeLogDirsResponseDirTopicPartition()
		p.Partition, p.Size = at.Partition.Partition, at.Size
		topic := &d.Topics[len(d.Topics)-1]
		topic.Partitions = append(topic.Partitions, p)
	}
	return d
}
