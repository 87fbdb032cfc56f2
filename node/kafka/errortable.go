package kafka

// Every error code of Kafka 4.2. An Error is one of them, or wraps none: use
// errors.Is with these, fmt.Errorf with %w to add the object and the values.
const (
	None                                  Error = 0
	ErrUnknownServerError                 Error = -1
	ErrOffsetOutOfRange                   Error = 1
	ErrCorruptMessage                     Error = 2
	ErrUnknownTopicOrPartition            Error = 3
	ErrInvalidFetchSize                   Error = 4
	ErrLeaderNotAvailable                 Error = 5
	ErrNotLeaderOrFollower                Error = 6
	ErrRequestTimedOut                    Error = 7
	ErrBrokerNotAvailable                 Error = 8
	ErrReplicaNotAvailable                Error = 9
	ErrMessageTooLarge                    Error = 10
	ErrStaleControllerEpoch               Error = 11
	ErrOffsetMetadataTooLarge             Error = 12
	ErrNetworkException                   Error = 13
	ErrCoordinatorLoadInProgress          Error = 14
	ErrCoordinatorNotAvailable            Error = 15
	ErrNotCoordinator                     Error = 16
	ErrInvalidTopic                       Error = 17
	ErrRecordListTooLarge                 Error = 18
	ErrNotEnoughReplicas                  Error = 19
	ErrNotEnoughReplicasAfterAppend       Error = 20
	ErrInvalidRequiredAcks                Error = 21
	ErrIllegalGeneration                  Error = 22
	ErrInconsistentGroupProtocol          Error = 23
	ErrInvalidGroupID                     Error = 24
	ErrUnknownMemberID                    Error = 25
	ErrInvalidSessionTimeout              Error = 26
	ErrRebalanceInProgress                Error = 27
	ErrInvalidCommitOffsetSize            Error = 28
	ErrTopicAuthorizationFailed           Error = 29
	ErrGroupAuthorizationFailed           Error = 30
	ErrClusterAuthorizationFailed         Error = 31
	ErrInvalidTimestamp                   Error = 32
	ErrUnsupportedSASLMechanism           Error = 33
	ErrIllegalSASLState                   Error = 34
	ErrUnsupportedVersion                 Error = 35
	ErrTopicAlreadyExists                 Error = 36
	ErrInvalidPartitions                  Error = 37
	ErrInvalidReplicationFactor           Error = 38
	ErrInvalidReplicaAssignment           Error = 39
	ErrInvalidConfig                      Error = 40
	ErrNotController                      Error = 41
	ErrInvalidRequest                     Error = 42
	ErrUnsupportedForMessageFormat        Error = 43
	ErrPolicyViolation                    Error = 44
	ErrOutOfOrderSequence                 Error = 45
	ErrDuplicateSequence                  Error = 46
	ErrInvalidProducerEpoch               Error = 47
	ErrInvalidTxnState                    Error = 48
	ErrInvalidProducerIDMapping           Error = 49
	ErrInvalidTransactionTimeout          Error = 50
	ErrConcurrentTransactions             Error = 51
	ErrTransactionCoordinatorFenced       Error = 52
	ErrTransactionalIDAuthorizationFailed Error = 53
	ErrSecurityDisabled                   Error = 54
	ErrOperationNotAttempted              Error = 55
	ErrStorageError                       Error = 56
	ErrLogDirNotFound                     Error = 57
	ErrSASLAuthenticationFailed           Error = 58
	ErrUnknownProducerID                  Error = 59
	ErrReassignmentInProgress             Error = 60
	ErrDelegationTokenAuthDisabled        Error = 61
	ErrDelegationTokenNotFound            Error = 62
	ErrDelegationTokenOwnerMismatch       Error = 63
	ErrDelegationTokenRequestNotAllowed   Error = 64
	ErrDelegationTokenAuthorizationFailed Error = 65
	ErrDelegationTokenExpired             Error = 66
	ErrInvalidPrincipalType               Error = 67
	ErrNonEmptyGroup                      Error = 68
	ErrGroupIDNotFound                    Error = 69
	ErrFetchSessionIDNotFound             Error = 70
	ErrInvalidFetchSessionEpoch           Error = 71
	ErrListenerNotFound                   Error = 72
	ErrTopicDeletionDisabled              Error = 73
	ErrFencedLeaderEpoch                  Error = 74
	ErrUnknownLeaderEpoch                 Error = 75
	ErrUnsupportedCompressionType         Error = 76
	ErrStaleBrokerEpoch                   Error = 77
	ErrOffsetNotAvailable                 Error = 78
	ErrMemberIDRequired                   Error = 79
	ErrPreferredLeaderNotAvailable        Error = 80
	ErrGroupMaxSizeReached                Error = 81
	ErrFencedInstanceID                   Error = 82
	ErrEligibleLeadersNotAvailable        Error = 83
	ErrElectionNotNeeded                  Error = 84
	ErrNoReassignmentInProgress           Error = 85
	ErrGroupSubscribedToTopic             Error = 86
	ErrInvalidRecord                      Error = 87
	ErrUnstableOffsetCommit               Error = 88
	ErrThrottlingQuotaExceeded            Error = 89
	ErrProducerFenced                     Error = 90
	ErrResourceNotFound                   Error = 91
	ErrDuplicateResource                  Error = 92
	ErrUnacceptableCredential             Error = 93
	ErrInconsistentVoterSet               Error = 94
	ErrInvalidUpdateVersion               Error = 95
	ErrFeatureUpdateFailed                Error = 96
	ErrPrincipalDeserializationFailure    Error = 97
	ErrSnapshotNotFound                   Error = 98
	ErrPositionOutOfRange                 Error = 99
	ErrUnknownTopicID                     Error = 100
	ErrDuplicateBrokerRegistration        Error = 101
	ErrBrokerIDNotRegistered              Error = 102
	ErrInconsistentTopicID                Error = 103
	ErrInconsistentClusterID              Error = 104
	ErrTransactionalIDNotFound            Error = 105
	ErrFetchSessionTopicIDError           Error = 106
	ErrIneligibleReplica                  Error = 107
	ErrNewLeaderElected                   Error = 108
	ErrOffsetMovedToTieredStorage         Error = 109
	ErrFencedMemberEpoch                  Error = 110
	ErrUnreleasedInstanceID               Error = 111
	ErrUnsupportedAssignor                Error = 112
	ErrStaleMemberEpoch                   Error = 113
	ErrMismatchedEndpointType             Error = 114
	ErrUnsupportedEndpointType            Error = 115
	ErrUnknownControllerID                Error = 116
	ErrUnknownSubscriptionID              Error = 117
	ErrTelemetryTooLarge                  Error = 118
	ErrInvalidRegistration                Error = 119
	ErrTransactionAbortable               Error = 120
	ErrInvalidRecordState                 Error = 121
	ErrShareSessionNotFound               Error = 122
	ErrInvalidShareSessionEpoch           Error = 123
	ErrFencedStateEpoch                   Error = 124
	ErrInvalidVoterKey                    Error = 125
	ErrDuplicateVoter                     Error = 126
	ErrVoterNotFound                      Error = 127
	ErrInvalidRegularExpression           Error = 128
	ErrRebootstrapRequired                Error = 129
	ErrStreamsInvalidTopology             Error = 130
	ErrStreamsInvalidTopologyEpoch        Error = 131
	ErrStreamsTopologyFenced              Error = 132
	ErrShareSessionLimitReached           Error = 133
)

// known holds what each code is called, its kind and its text, in the order of
// the codes, beginning with -1.
var known = [...]struct {
	name string
	kind Outcome
	text string
}{
	{"UNKNOWN_SERVER_ERROR", Unknown, "the server failed in a way it has no code for"},
	{"NONE", Definite, "no error"},
	{"OFFSET_OUT_OF_RANGE", Definite, "the offset lies outside the log"},
	{"CORRUPT_MESSAGE", Retriable, "the records fail their checksum, are cut short, or are malformed"},
	{"UNKNOWN_TOPIC_OR_PARTITION", Retriable, "this broker knows no such topic or partition"},
	{"INVALID_FETCH_SIZE", Definite, "the fetch size is not positive"},
	{"LEADER_NOT_AVAILABLE", Retriable, "the partition has no leader at the moment"},
	{"NOT_LEADER_OR_FOLLOWER", Retriable, "this broker does not lead the partition, or holds no replica of it"},
	{"REQUEST_TIMED_OUT", Unknown, "time ran out before the request was complete"},
	{"BROKER_NOT_AVAILABLE", Retriable, "the broker is not available"},
	{"REPLICA_NOT_AVAILABLE", Retriable, "the replica is not available"},
	{"MESSAGE_TOO_LARGE", Definite, "the records are larger than the topic allows"},
	{"STALE_CONTROLLER_EPOCH", Definite, "the controller has moved to another broker"},
	{"OFFSET_METADATA_TOO_LARGE", Definite, "the metadata of the committed offset is too large"},
	{"NETWORK_EXCEPTION", Unknown, "the connection ended before the answer came"},
	{"COORDINATOR_LOAD_IN_PROGRESS", Retriable, "the coordinator is still loading its state"},
	{"COORDINATOR_NOT_AVAILABLE", Retriable, "the coordinator is not available"},
	{"NOT_COORDINATOR", Retriable, "this broker is not the coordinator"},
	{"INVALID_TOPIC_EXCEPTION", Definite, "the topic is not one that this operation may touch"},
	{"RECORD_LIST_TOO_LARGE", Definite, "the batch is larger than a segment"},
	{"NOT_ENOUGH_REPLICAS", Retriable, "fewer replicas are in sync than the topic demands; nothing was appended"},
	{"NOT_ENOUGH_REPLICAS_AFTER_APPEND", Unknown, "the records were appended, and then fewer replicas were in sync than the topic demands"},
	{"INVALID_REQUIRED_ACKS", Definite, "acks must be 0, 1 or -1"},
	{"ILLEGAL_GENERATION", Definite, "the group has another generation"},
	{"INCONSISTENT_GROUP_PROTOCOL", Definite, "the member shares no protocol with the group"},
	{"INVALID_GROUP_ID", Definite, "the group id is not valid"},
	{"UNKNOWN_MEMBER_ID", Definite, "the group has no such member"},
	{"INVALID_SESSION_TIMEOUT", Definite, "the session timeout lies outside what the broker allows"},
	{"REBALANCE_IN_PROGRESS", Definite, "the group is rebalancing; join again"},
	{"INVALID_COMMIT_OFFSET_SIZE", Definite, "the offset commit is too large"},
	{"TOPIC_AUTHORIZATION_FAILED", Definite, "not authorized for the topic"},
	{"GROUP_AUTHORIZATION_FAILED", Definite, "not authorized for the group"},
	{"CLUSTER_AUTHORIZATION_FAILED", Definite, "not authorized for the cluster"},
	{"INVALID_TIMESTAMP", Definite, "the timestamp lies outside what the topic allows"},
	{"UNSUPPORTED_SASL_MECHANISM", Definite, "the broker does not offer this mechanism"},
	{"ILLEGAL_SASL_STATE", Definite, "the request does not fit the state of the authentication"},
	{"UNSUPPORTED_VERSION", Definite, "this version of the request is not supported"},
	{"TOPIC_ALREADY_EXISTS", Definite, "a topic of this name exists"},
	{"INVALID_PARTITIONS", Definite, "the number of partitions is not valid"},
	{"INVALID_REPLICATION_FACTOR", Definite, "the replication factor is not positive or exceeds the number of brokers"},
	{"INVALID_REPLICA_ASSIGNMENT", Definite, "the assignment of replicas is not valid"},
	{"INVALID_CONFIG", Definite, "a setting is unknown or has a value that is not valid"},
	{"NOT_CONTROLLER", Retriable, "this node is not the active controller"},
	{"INVALID_REQUEST", Definite, "the request contradicts itself or the protocol"},
	{"UNSUPPORTED_FOR_MESSAGE_FORMAT", Definite, "the format of the stored records does not allow this"},
	{"POLICY_VIOLATION", Definite, "a policy forbids the request"},
	{"OUT_OF_ORDER_SEQUENCE_NUMBER", Definite, "the producer's sequence number does not follow its last one"},
	{"DUPLICATE_SEQUENCE_NUMBER", Definite, "the producer's sequence number was used before"},
	{"INVALID_PRODUCER_EPOCH", Definite, "the producer's epoch is older than the latest"},
	{"INVALID_TXN_STATE", Definite, "the transaction's state does not allow this"},
	{"INVALID_PRODUCER_ID_MAPPING", Definite, "the transactional id is not mapped to this producer id"},
	{"INVALID_TRANSACTION_TIMEOUT", Definite, "the transaction timeout exceeds what the broker allows"},
	{"CONCURRENT_TRANSACTIONS", Retriable, "another operation of this transaction is in progress"},
	{"TRANSACTION_COORDINATOR_FENCED", Definite, "another coordinator has taken over the transaction"},
	{"TRANSACTIONAL_ID_AUTHORIZATION_FAILED", Definite, "not authorized for the transactional id"},
	{"SECURITY_DISABLED", Definite, "security is not configured on this broker"},
	{"OPERATION_NOT_ATTEMPTED", Definite, "not attempted, because another part of the request failed"},
	{"KAFKA_STORAGE_ERROR", Unknown, "the log directory that holds the partition is out of service"},
	{"LOG_DIR_NOT_FOUND", Definite, "the broker has no such log directory"},
	{"SASL_AUTHENTICATION_FAILED", Definite, "authentication failed"},
	{"UNKNOWN_PRODUCER_ID", Definite, "the broker has no state for this producer id"},
	{"REASSIGNMENT_IN_PROGRESS", Definite, "the partition is being reassigned"},
	{"DELEGATION_TOKEN_AUTH_DISABLED", Definite, "delegation tokens are not enabled"},
	{"DELEGATION_TOKEN_NOT_FOUND", Definite, "no such delegation token"},
	{"DELEGATION_TOKEN_OWNER_MISMATCH", Definite, "the delegation token belongs to somebody else"},
	{"DELEGATION_TOKEN_REQUEST_NOT_ALLOWED", Definite, "delegation tokens cannot be requested on this connection"},
	{"DELEGATION_TOKEN_AUTHORIZATION_FAILED", Definite, "not authorized for the delegation token"},
	{"DELEGATION_TOKEN_EXPIRED", Definite, "the delegation token has expired"},
	{"INVALID_PRINCIPAL_TYPE", Definite, "the type of principal is not supported"},
	{"NON_EMPTY_GROUP", Definite, "the group has members"},
	{"GROUP_ID_NOT_FOUND", Definite, "no such group"},
	{"FETCH_SESSION_ID_NOT_FOUND", Retriable, "no such fetch session"},
	{"INVALID_FETCH_SESSION_EPOCH", Retriable, "the epoch of the fetch session is not the expected one"},
	{"LISTENER_NOT_FOUND", Retriable, "the leader has no listener of this name"},
	{"TOPIC_DELETION_DISABLED", Definite, "deleting topics is not enabled"},
	{"FENCED_LEADER_EPOCH", Retriable, "the leader epoch in the request is older than the broker's"},
	{"UNKNOWN_LEADER_EPOCH", Retriable, "the leader epoch in the request is newer than the broker's"},
	{"UNSUPPORTED_COMPRESSION_TYPE", Definite, "this version of the request does not allow the compression type"},
	{"STALE_BROKER_EPOCH", Definite, "the broker has registered again since"},
	{"OFFSET_NOT_AVAILABLE", Retriable, "the leader does not know its high watermark yet"},
	{"MEMBER_ID_REQUIRED", Definite, "join again with the member id in the answer"},
	{"PREFERRED_LEADER_NOT_AVAILABLE", Retriable, "the preferred leader is not available"},
	{"GROUP_MAX_SIZE_REACHED", Definite, "the group is full"},
	{"FENCED_INSTANCE_ID", Definite, "another member has taken over the instance id"},
	{"ELIGIBLE_LEADERS_NOT_AVAILABLE", Retriable, "no eligible leader is available"},
	{"ELECTION_NOT_NEEDED", Retriable, "the partition needs no election"},
	{"NO_REASSIGNMENT_IN_PROGRESS", Definite, "the partition is not being reassigned"},
	{"GROUP_SUBSCRIBED_TO_TOPIC", Definite, "the group is subscribed to the topic"},
	{"INVALID_RECORD", Definite, "a record does not meet the rules of its topic"},
	{"UNSTABLE_OFFSET_COMMIT", Retriable, "an offset commit of an open transaction is in the way"},
	{"THROTTLING_QUOTA_EXCEEDED", Retriable, "the quota is used up"},
	{"PRODUCER_FENCED", Definite, "a newer producer uses the transactional id"},
	{"RESOURCE_NOT_FOUND", Definite, "no such resource"},
	{"DUPLICATE_RESOURCE", Definite, "the request names a resource twice"},
	{"UNACCEPTABLE_CREDENTIAL", Definite, "the credential does not meet the rules"},
	{"INCONSISTENT_VOTER_SET", Definite, "the sets of voters do not agree"},
	{"INVALID_UPDATE_VERSION", Definite, "the version of the update is not the expected one"},
	{"FEATURE_UPDATE_FAILED", Definite, "the features could not be updated"},
	{"PRINCIPAL_DESERIALIZATION_FAILURE", Definite, "the forwarded principal cannot be read"},
	{"SNAPSHOT_NOT_FOUND", Definite, "no such snapshot"},
	{"POSITION_OUT_OF_RANGE", Definite, "the position lies outside the snapshot"},
	{"UNKNOWN_TOPIC_ID", Retriable, "this broker knows no topic of this id"},
	{"DUPLICATE_BROKER_REGISTRATION", Definite, "another broker with this id is registered"},
	{"BROKER_ID_NOT_REGISTERED", Definite, "no broker with this id is registered"},
	{"INCONSISTENT_TOPIC_ID", Retriable, "the topic has another id"},
	{"INCONSISTENT_CLUSTER_ID", Definite, "the cluster has another id"},
	{"TRANSACTIONAL_ID_NOT_FOUND", Definite, "no such transactional id"},
	{"FETCH_SESSION_TOPIC_ID_ERROR", Retriable, "the fetch session mixes requests with and without topic ids"},
	{"INELIGIBLE_REPLICA", Definite, "a proposed in-sync replica is not eligible"},
	{"NEW_LEADER_ELECTED", Definite, "the request was carried out and another replica leads now"},
	{"OFFSET_MOVED_TO_TIERED_STORAGE", Definite, "the offset is in tiered storage"},
	{"FENCED_MEMBER_EPOCH", Definite, "the member's epoch is fenced; join again"},
	{"UNRELEASED_INSTANCE_ID", Definite, "another member still uses the instance id"},
	{"UNSUPPORTED_ASSIGNOR", Definite, "the broker does not offer this assignor"},
	{"STALE_MEMBER_EPOCH", Definite, "the member's epoch is stale; heartbeat first"},
	{"MISMATCHED_ENDPOINT_TYPE", Definite, "the request went to the wrong kind of endpoint"},
	{"UNSUPPORTED_ENDPOINT_TYPE", Definite, "this kind of endpoint is not supported"},
	{"UNKNOWN_CONTROLLER_ID", Definite, "no controller has this id"},
	{"UNKNOWN_SUBSCRIPTION_ID", Definite, "the telemetry subscription is outdated"},
	{"TELEMETRY_TOO_LARGE", Definite, "the telemetry is larger than the broker accepts"},
	{"INVALID_REGISTRATION", Definite, "the registration is not valid"},
	{"TRANSACTION_ABORTABLE", Definite, "the transaction failed and must be aborted"},
	{"INVALID_RECORD_STATE", Definite, "the record's state does not allow the acknowledgement"},
	{"SHARE_SESSION_NOT_FOUND", Retriable, "no such share session"},
	{"INVALID_SHARE_SESSION_EPOCH", Retriable, "the epoch of the share session is not the expected one"},
	{"FENCED_STATE_EPOCH", Definite, "the state epoch of the share group is fenced"},
	{"INVALID_VOTER_KEY", Definite, "the voter key does not match the receiving replica"},
	{"DUPLICATE_VOTER", Definite, "the voter is in the set already"},
	{"VOTER_NOT_FOUND", Definite, "the voter is not in the set"},
	{"INVALID_REGULAR_EXPRESSION", Definite, "the regular expression is not valid"},
	{"REBOOTSTRAP_REQUIRED", Definite, "the client must bootstrap again"},
	{"STREAMS_INVALID_TOPOLOGY", Definite, "the streams topology is not valid"},
	{"STREAMS_INVALID_TOPOLOGY_EPOCH", Definite, "the streams topology epoch is not valid"},
	{"STREAMS_TOPOLOGY_FENCED", Definite, "the streams topology epoch is outdated"},
	{"SHARE_SESSION_LIMIT_REACHED", Retriable, "the broker has as many share sessions as it allows"},
}
