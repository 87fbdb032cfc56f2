// Package peer carries what nodes say to nodes.
//
// It speaks Kafka's messages where Kafka has them and three private ones where it
// has not: raft's messages between controllers, committed metadata for brokers,
// and clients' requests that a broker passes on to the active controller. It
// decides nothing: what is said comes from the broker, the quorum and the
// controller, and an error says whether something may have happened.
package peer
