package netsim

// A Tap is told what connections carry. It must not touch the simulation, and must
// not keep or change the bytes: it leaves a run as it is.
type Tap interface {
	// Sent says that b has been given to the network.
	Sent(s Stream, b []byte)

	// Arrived says that the next n bytes of those sent are at the other host.
	Arrived(s Stream, n int)
}

// A Stream is one direction of one connection.
type Stream struct {
	Conn     uint64
	From, To string // hosts
	Back     bool   // from who was dialed to who dialed
}

func (f *flow) stream() Stream {
	return Stream{Conn: f.from.conn.id, From: f.from.host.name, To: f.to.host.name, Back: f.from == f.from.conn.server}
}
