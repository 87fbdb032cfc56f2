package env

import "github.com/klammlog/klamm/node/kafka"

// Net is a network of byte streams, as TCP gives them: what one end writes the
// other reads in order, cut into other pieces. Addresses are "host:port".
type Net interface {
	// Listen takes connections at address. Port 0 picks a free port, which
	// Address tells. It fails with ErrAddrInUse. It does not block.
	Listen(address string) (Listener, error)

	// Dial connects to address. It fails with ErrRefused, ErrUnreachable,
	// ErrDeadline or ErrCanceled. Blocks.
	Dial(address string, deadline kafka.Instant) (Conn, error)
}

// A Listener accepts connections.
type Listener interface {
	// Accept waits for the next connection. It fails with ErrClosed or
	// ErrCanceled; ErrTooManyFiles passes. Blocks.
	Accept() (Conn, error)

	// Address returns where clients can dial.
	Address() string

	// Close stops accepting; a waiting Accept returns ErrClosed. Connections
	// that were accepted go on. It does not block.
	Close() error
}

// A Conn is one connection. One task may read while another writes; two tasks
// must not do the same at once. Deadlines are kept until they are changed;
// kafka.Never means none, and setting one reaches a call that is waiting.
//
// Errors: io.EOF when the peer closed its side, ErrReset when the connection
// broke, ErrDeadline, ErrCanceled, ErrClosed after Close here.
type Conn interface {
	// Read waits for at least one byte and returns what is there, at most
	// len(p) bytes. Blocks.
	Read(p []byte) (int, error)

	// Write writes all of p, or returns how much was taken and an error. That
	// bytes were taken does not mean that the peer will see them. Blocks.
	Write(p []byte) (int, error)

	// WriteBuffers writes the buffers one after the other, as one Write of
	// their concatenation. It does not change bufs. Blocks.
	WriteBuffers(bufs [][]byte) (int64, error)

	// SendFile writes n bytes of f from offset off, without copying them
	// through user space where the world can. If f ends early it returns what
	// was sent and io.ErrUnexpectedEOF. Blocks.
	SendFile(f File, off, n int64) (int64, error)

	// CloseWrite ends the stream to the peer, which reads io.EOF after the
	// bytes in flight; reading goes on. It does not block.
	CloseWrite() error

	// Close releases the connection; waiting calls return ErrClosed. Closing
	// twice returns nil. It does not block.
	Close() error

	SetReadDeadline(t kafka.Instant)
	SetWriteDeadline(t kafka.Instant)

	LocalAddress() string
	PeerAddress() string
}
