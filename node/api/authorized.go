package api

// Who asks what it may do is told a set of operations, one bit for each of Kafka's
// numbers. Without authorization that is all that there are for the resource, as
// in Kafka.

// noAuthorizedOperations says that they were not asked for.
const noAuthorizedOperations = -2147483648

// Kafka's numbers of operations.
const (
	aclRead            = 3
	aclWrite           = 4
	aclCreate          = 5
	aclDelete          = 6
	aclAlter           = 7
	aclDescribe        = 8
	aclClusterAction   = 9
	aclDescribeConfigs = 10
	aclAlterConfigs    = 11
	aclIdempotentWrite = 12
)

const (
	allowedOnCluster int32 = 1<<aclCreate | 1<<aclAlter | 1<<aclDescribe | 1<<aclClusterAction |
		1<<aclDescribeConfigs | 1<<aclAlterConfigs | 1<<aclIdempotentWrite
	allowedOnGroup int32 = 1<<aclRead | 1<<aclDelete | 1<<aclDescribe | 1<<aclDescribeConfigs | 1<<aclAlterConfigs
	allowedOnTopic int32 = 1<<aclRead | 1<<aclWrite | 1<<aclCreate | 1<<aclDelete | 1<<aclAlter |
		1<<aclDescribe | 1<<aclDescribeConfigs | 1<<aclAlterConfigs
)
