package api

// throttle returns for how many milliseconds a client shall send nothing: 0, as there are no
// quotas of clients. Kafka's brokers ask that at any time (KIP-219), so clients have to be
// able to take it.
func (s *Server) throttle() int32 {
	if s.w.Buggify("a broker asks a client to wait") {
		return 1 + s.w.Rand("api/throttle").Int32N(longestThrottle)
	}
	return 0
}

const longestThrottle = 200 // milliseconds
