package api

import (
	"github.com/klammlog/klamm/node/peer"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// shapes says what the requests look like that generated code decodes, in the
// versions that are served.
var shapes = map[kmsg.Key]shape{
	kmsg.Fetch: parseShape("@0-14:4 4 4 4 1 @7:4 @7:4 [ @0-12:s @13:16 [ 4 @9:4 8 @12:4 @5:8 4 ] ] " +
		"@7:[ @0-12:s @13:16 (4) ] @11:s @15:#1{ 4 8 }"),
	kmsg.ListOffsets:             parseShape("4 @2:1 [ s [ 4 @4:4 8 ] ] @10:4"),
	kmsg.Metadata:                parseShape("[ @10:16 s ] @4:1 @8-10:1 @8:1"),
	kmsg.FindCoordinator:         parseShape("@0-3:s @1:1 @4:(s)"),
	kmsg.ApiVersions:             parseShape("@3:s @3:s"),
	kmsg.CreateTopics:            parseShape("[ s 4 2 [ 4 (4) ] [ s s ] ] 4 1"),
	kmsg.DeleteTopics:            parseShape("@0-5:(s) @6:[ s 16 ] 4"),
	kmsg.DeleteRecords:           parseShape("[ s [ 4 8 ] ] 4"),
	kmsg.InitProducerID:          parseShape("s 4 @3:8 @3:2"),
	kmsg.OffsetForLeaderEpoch:    parseShape("@3:4 [ s [ 4 4 4 ] ]"),
	kmsg.DescribeConfigs:         parseShape("[ 1 s (s) ] 1 @3:1"),
	kmsg.AlterConfigs:            parseShape("[ 1 s [ s s ] ] 1"),
	kmsg.DescribeLogDirs:         parseShape("[ s (4) ]"),
	kmsg.CreatePartitions:        parseShape("[ s 4 [ (4) ] ] 4 1"),
	kmsg.IncrementalAlterConfigs: parseShape("[ 1 s [ s 1 s ] ] 1"),
	kmsg.DescribeCluster:         parseShape("1 @1:1 @2:1"),
	kmsg.DescribeProducers:       parseShape("[ s (4) ]"),
	kmsg.ListConfigResources:     parseShape("@1:(1)"),
	kmsg.DescribeTopicPartitions: parseShape("[ s ] 4 { s 4 }"),

	kmsg.OffsetCommit:           parseShape("s 4 s @7:s @2-4:8 [ @0-9:s @10:16 [ 4 8 @6:4 s ] ]"),
	kmsg.OffsetFetch:            parseShape("@0-7:s @0-7:[ s (4) ] @8:[ s @9:s @9:4 [ @8-9:s @10:16 (4) ] ] @7:1"),
	kmsg.JoinGroup:              parseShape("s 4 @1:4 s @5:s s [ s (1) ] @8:s"),
	kmsg.Heartbeat:              parseShape("s 4 s @3:s"),
	kmsg.LeaveGroup:             parseShape("s @0-2:s @3:[ s s @5:s ]"),
	kmsg.SyncGroup:              parseShape("s 4 s @3:s @5:s @5:s [ s (1) ]"),
	kmsg.DescribeGroups:         parseShape("(s) @3:1"),
	kmsg.ListGroups:             parseShape("@4:(s) @5:(s)"),
	kmsg.DeleteGroups:           parseShape("(s)"),
	kmsg.OffsetDelete:           parseShape("s [ s [ 4 ] ]"),
	kmsg.ConsumerGroupHeartbeat: parseShape("s s 4 s s 4 (s) @1:s s [ 16 (4) ]"),
	kmsg.ConsumerGroupDescribe:  parseShape("(s) 1"),

	kmsg.BrokerRegistration:         parseShape("4 s 16 [ s s 2 2 ] [ s 2 2 ] s @1:1 @2:(16) @3:8"),
	kmsg.BrokerHeartbeat:            parseShape("4 8 8 1 1 #0=(16) #1=(16)"),
	kmsg.AlterPartition:             parseShape("4 8 [ @0-1:s @2:16 [ 4 4 @0-2:(4) @3:[ 4 8 ] @1:1 4 ] ]"),
	kmsg.AllocateProducerIDs:        parseShape("4 8"),
	kmsg.ElectLeaders:               parseShape("@1:1 [ s (4) ] 4"),
	kmsg.AlterPartitionAssignments:  parseShape("4 @1:1 [ s [ 4 (4) ] ]"),
	kmsg.ListPartitionReassignments: parseShape("4 [ s (4) ]"),
	kmsg.DescribeQuorum:             parseShape("[ s [ 4 ] ]"),
	kmsg.UpdateFeatures:             parseShape("4 [ s 2 @0-0:1 @1:1 ] @1:1"),
	kmsg.UnregisterBroker:           parseShape("4"),
	kmsg.AddRaftVoter:               parseShape("s 4 4 16 [ s s 2 ] @1:1"),
	kmsg.RemoveRaftVoter:            parseShape("s 4 16"),
	peer.RaftStepKey:                parseShape("s 4 16 (s)"),
	peer.ReadMetadataKey:            parseShape("s 4 8 4 4 16"),
	peer.ForwardKey:                 parseShape("2 2 s s s 4 s"),
}
