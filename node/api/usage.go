package api

import "github.com/klammlog/klamm/node/config"

// Usage is what a server holds of its clients at this moment, and the limits that
// it keeps itself to.
type Usage struct {
	Connections, MaxConnections int64 // of clients
	NodeConnections             int64 // of nodes, as many at most
	OfOneHost, MaxOfOneHost     int64 // connections of the host that has most
	RequestBytes, MaxRequests   int64 // admitted by the budget of requests
	LargestRequest              int64 // what one may count at most, of that: the last one may exceed it
	GrownBytes                  int64 // that records need since they were compressed anew, charged besides
	Waiting                     int64 // requests that wait for the budget: one a connection at most
	AnswerBytes, MaxAnswers     int64 // admitted by the budget of answers
	Charged                     int64 // what requests and answers turned out to take besides
	PooledBytes, MaxPooled      int64
	Unanswered, MaxUnanswered   int64 // requests of the connection that has most
	AheadBytes, MaxAhead        int64 // of the connection that has most

	FetchSessions, MaxFetchSessions     int64
	SessionPartitions, MaxSessionPlaces int64 // of all fetch sessions
}

// MaxOfOneHost returns how many connections of one host are accepted now.
func (s *Server) MaxOfOneHost() int64 { return config.MaxConnectionsPerIP.In(s.config) }

// Usage returns what is held now.
func (s *Server) Usage() Usage {
	u := Usage{
		Connections: int64(s.clients), MaxConnections: config.MaxConnections.In(s.config),
		NodeConnections: int64(s.nodes),
		MaxOfOneHost:    s.MaxOfOneHost(),
		RequestBytes:    s.budget.used - s.budget.over, GrownBytes: s.grown, MaxRequests: s.budget.limit, Waiting: int64(len(s.budget.queue)),
		LargestRequest: s.largestWorth(),
		AnswerBytes:    s.answers.used - s.answers.over, MaxAnswers: s.answers.limit,
		Charged:     s.budget.over + s.answers.over,
		PooledBytes: int64(s.pool.kept), MaxPooled: poolLimit,
		MaxUnanswered: config.MaxRequestsInFlight.In(s.config), MaxAhead: busyAhead,
	}
	held := s.sessions.Usage()
	u.FetchSessions, u.MaxFetchSessions = int64(held.Sessions), config.FetchSessionSlots.In(s.config)
	u.SessionPartitions, u.MaxSessionPlaces = int64(held.Partitions), maxSessionPartitions
	hosts := map[string]int64{}
	for _, c := range s.conns {
		u.Unanswered = max(u.Unanswered, int64(len(c.queue)))
		u.AheadBytes = max(u.AheadBytes, int64(len(c.read.buf)))
		if c.ofNode {
			continue
		}
		host := hostOf(c.client.Peer)
		hosts[host]++
		u.OfOneHost = max(u.OfOneHost, hosts[host])
	}
	return u
}
