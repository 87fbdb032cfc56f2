package broker

// Usage is what a broker holds at this moment for requests that are not answered,
// and of producers.
type Usage struct {
	Waits       int64 // places of requests in the lists of partitions
	Uncommitted int64 // appends above high watermarks
	QueuedBytes int64 // appended and not yet written
	Producers   int64 // of the partition that knows most
	ProducerIDs int64 // that the cluster has given to nodes, as far as this one knows
}

// Usage returns what is held now.
func (b *Broker) Usage() Usage {
	u := Usage{ProducerIDs: int64(max(b.image.NextProducerID(), b.producer.block.End))}
	for _, p := range b.all() {
		u.Waits += p.held.len() + p.committed.len() + p.tails.len()
		if p.unwritten != nil {
			u.Waits += p.unwritten.len()
		}
		u.Uncommitted += int64(len(p.sizes))
		if p.log != nil {
			u.QueuedBytes += int64(p.log.Queued())
			u.Producers = max(u.Producers, int64(p.log.KnownProducers()))
		}
	}
	return u
}

// len counts the marks.
func (l *marks) len() (n int64) {
	for m := l.first; m != nil; m = m.next {
		n++
	}
	return n
}
