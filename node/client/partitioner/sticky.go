package partitioner

// A Sticky keeps records without a key on one partition of their topic until
// Switch, which the producer calls when the partition's batch is complete: few
// full batches cost less than many small ones. The zero value is ready.
type Sticky struct {
	current map[string]int32
}

// Choose returns the topic's partition among available, which is not empty.
// It draws a new one if it has none, or if the present one is not available.
func (s *Sticky) Choose(topic string, available []int32, draw func(n int) int) int32 {
	if p, ok := s.current[topic]; ok && contains(available, p) {
		return p
	}
	if s.current == nil {
		s.current = make(map[string]int32)
	}
	p := available[draw(len(available))]
	s.current[topic] = p
	return p
}

// Switch leaves a partition whose batch is complete. It does nothing if the
// topic's records stick to another by now.
func (s *Sticky) Switch(topic string, full int32) {
	if p, ok := s.current[topic]; ok && p == full {
		delete(s.current, topic)
	}
}

func contains(ps []int32, p int32) bool {
	for _, q := range ps {
		if q == p {
			return true
		}
	}
	return false
}
