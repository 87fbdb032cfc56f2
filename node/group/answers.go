package group

import "github.com/klammlog/klamm/node/kafka"

func (r JoinRequest) groupID() string          { return r.Group }
func (r SyncRequest) groupID() string          { return r.Group }
func (r LeaveRequest) groupID() string         { return r.Group }
func (r CommitRequest) groupID() string        { return r.Group }
func (r FetchOffsetsRequest) groupID() string  { return r.Group }
func (r DeleteOffsetsRequest) groupID() string { return r.Group }
func (r DeleteGroupRequest) groupID() string   { return r.Group }
func (r DescribeGroupRequest) groupID() string { return r.Group }

func (r ConsumerHeartbeatRequest) groupID() string { return r.Group }
func (r ConsumerDescribeRequest) groupID() string  { return r.Group }

func (ConsumerHeartbeatRequest) needs() need { return members }
func (ConsumerDescribeRequest) needs() need  { return nothing }
func (JoinRequest) needs() need              { return members }
func (SyncRequest) needs() need              { return members }
func (LeaveRequest) needs() need             { return members }
func (CommitRequest) needs() need            { return members }
func (FetchOffsetsRequest) needs() need      { return nothing }
func (DeleteOffsetsRequest) needs() need     { return offsets }
func (DeleteGroupRequest) needs() need       { return offsets }
func (DescribeGroupRequest) needs() need     { return nothing }

// storing turns what an append failed with into what members understand: they look
// for the coordinator again and repeat themselves, which does no harm.
func storing(code kafka.Error) kafka.Error {
	switch code {
	case kafka.ErrUnknownTopicOrPartition, kafka.ErrNotEnoughReplicas, kafka.ErrRequestTimedOut:
		return kafka.ErrCoordinatorNotAvailable
	case kafka.ErrNotLeaderOrFollower, kafka.ErrStorageError:
		return kafka.ErrNotCoordinator
	case kafka.ErrMessageTooLarge, kafka.ErrRecordListTooLarge, kafka.ErrInvalidFetchSize:
		return kafka.ErrUnknownServerError
	}
	return code
}

// storingOffsets is storing for who commits: that it timed out must be told, since
// the offsets may be committed yet.
func storingOffsets(code kafka.Error) kafka.Error {
	switch code {
	case kafka.ErrUnknownTopicOrPartition, kafka.ErrNotEnoughReplicas:
		return kafka.ErrCoordinatorNotAvailable
	case kafka.ErrNotLeaderOrFollower, kafka.ErrStorageError:
		return kafka.ErrNotCoordinator
	case kafka.ErrMessageTooLarge, kafka.ErrRecordListTooLarge, kafka.ErrInvalidFetchSize:
		return kafka.ErrInvalidCommitOffsetSize
	}
	return code
}

func (r JoinRequest) failed(code kafka.Error) any {
	return JoinResponse{Error: storing(code), Generation: NoGeneration, Member: r.Member}
}

func (r SyncRequest) failed(code kafka.Error) any { return SyncResponse{Error: storing(code)} }

func (r LeaveRequest) failed(code kafka.Error) any { return LeaveResponse{Error: storing(code)} }

func (r CommitRequest) failed(code kafka.Error) any {
	code = storingOffsets(code)
	out := CommitResponse{Topics: make([]CommittedTopic, len(r.Topics))}
	for i, topic := range r.Topics {
		out.Topics[i] = CommittedTopic{Name: topic.Name, ID: topic.ID, Partitions: make([]PartitionError, len(topic.Partitions))}
		for j, p := range topic.Partitions {
			out.Topics[i].Partitions[j] = PartitionError{Partition: p.Partition, Error: code}
		}
	}
	return out
}

func (r FetchOffsetsRequest) failed(code kafka.Error) any { return FetchOffsetsResponse{Error: code} }

func (r DeleteOffsetsRequest) failed(code kafka.Error) any {
	return CommitResponse{Error: storingOffsets(code)}
}

func (r DeleteGroupRequest) failed(code kafka.Error) any {
	return DeleteGroupResponse{Error: storingOffsets(code)}
}

func (r DescribeGroupRequest) failed(code kafka.Error) any {
	return DescribeGroupResponse{Error: code, Group: r.Group}
}

func (r ConsumerHeartbeatRequest) failed(code kafka.Error) any {
	return r.refuse(storing(code), "")
}

func (r ConsumerDescribeRequest) failed(code kafka.Error) any {
	return ConsumerDescribeResponse{Error: code, Group: r.Group}
}
