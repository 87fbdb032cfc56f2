package scenarios

import (
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// A caller is a host that asks brokers one by one, in frames of its own making. It
// keeps a connection to each for as long as that one answers.
type caller struct {
	machine
	conns    []*rawConn // by broker, in the order of the bootstrap list
	patience time.Duration
}

// newCaller returns a caller that waits so long for an answer. Its machine is still to
// be made.
func (r *run) newCaller(patience time.Duration) caller {
	return caller{conns: make([]*rawConn, len(r.bootstrap)), patience: patience}
}

// ask asks one broker; nil without an answer. Then the connection is of no use any
// more. Blocks.
func (c *caller) ask(broker int, req kmsg.Request) kmsg.Response {
	if c.conns[broker] == nil {
		conn, err := c.dialWithin(c.r.bootstrap[broker], min(c.patience, c.r.requestTimeout/2))
		if err != nil {
			return nil
		}
		c.conns[broker] = conn
	}
	resp, err := c.conns[broker].ask(req, c.world.Now().Add(c.patience))
	if err != nil {
		c.hangUp(broker)
		return nil
	}
	return resp
}

func (c *caller) hangUp(broker int) {
	if conn := c.conns[broker]; conn != nil {
		_ = conn.net.Close()
		c.conns[broker] = nil
	}
}

func (c *caller) hangUpAll() {
	for i := range c.conns {
		c.hangUp(i)
	}
}
