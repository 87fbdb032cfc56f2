package scenarios

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// A rawConn speaks Kafka's protocol over one connection and does nothing else: it
// does not try again, does not ask what versions are served, and does not close
// what a broker leaves open. What a request becomes is for its caller to say.
type rawConn struct {
	net         env.Conn
	format      *kmsg.RequestFormatter
	correlation int32 // of the last request
	out         []byte
}

// maxAnswer is the largest answer that raw clients read: they ask for less.
const maxAnswer = 64 << 20

// dialRaw connects to a broker, any of them. Blocks.
func (m *machine) dialRaw() (*rawConn, error) {
	to := m.r.bootstrap[0]
	if n := len(m.r.bootstrap); n > 1 {
		to = m.r.bootstrap[m.r.k.Rand("bootstrap/"+m.node.Name()).IntN(n)]
	}
	return m.dialTo(to)
}

// dialTo connects to one broker. Blocks.
func (m *machine) dialTo(address string) (*rawConn, error) {
	return m.dialWithin(address, m.r.requestTimeout/2)
}

// dialWithin connects to one broker, or does not for so long. Blocks.
func (m *machine) dialWithin(address string, patience time.Duration) (*rawConn, error) {
	net, err := m.world.Net.Dial(address, m.world.Now().Add(patience))
	if err != nil {
		return nil, err
	}
	return &rawConn{net: net, format: kmsg.NewRequestFormatter(kmsg.FormatterClientID(m.node.Name()))}, nil
}

// dialLeader connects to the broker that leads a partition, as another broker knows
// it. One on its own leads everything. Blocks.
func (m *machine) dialLeader(tp kafka.TopicPartition) (*rawConn, error) {
	c, err := m.dialRaw()
	if err != nil || len(m.r.bootstrap) == 1 {
		return c, err
	}
	req := kmsg.NewPtrMetadataRequest()
	req.Version = 7
	req.Topics = []kmsg.MetadataRequestTopic{{Topic: &tp.Topic}}
	resp, err := c.ask(req, m.world.Now().Add(m.r.requestTimeout))
	_ = c.net.Close()
	if err != nil {
		return nil, err
	}
	address := leaderIn(resp.(*kmsg.MetadataResponse), tp.Partition)
	if address == "" {
		return nil, fmt.Errorf("%s: %w", tp, kafka.ErrLeaderNotAvailable)
	}
	return m.dialTo(address)
}

// leaderIn returns where the leader of a partition of the one topic is, or "".
func leaderIn(q *kmsg.MetadataResponse, partition int32) string {
	for _, t := range q.Topics {
		for _, p := range t.Partitions {
			for _, b := range q.Brokers {
				if p.Partition == partition && p.Leader == b.NodeID {
					return fmt.Sprintf("%s:%d", b.Host, b.Port)
				}
			}
		}
	}
	return ""
}

// frame returns the next request as it goes over the wire, size and all. It is
// valid until the next.
func (c *rawConn) frame(req kmsg.Request) []byte {
	c.correlation++
	c.out = c.format.AppendRequest(c.out[:0], req, c.correlation)
	return c.out
}

// send writes a request once. Its correlation id is c.correlation. Blocks.
func (c *rawConn) send(req kmsg.Request, deadline kafka.Instant) error {
	c.net.SetWriteDeadline(deadline)
	_, err := c.net.Write(c.frame(req))
	return err
}

// receive reads one answer, the correlation id first. Blocks.
func (c *rawConn) receive(deadline kafka.Instant) ([]byte, error) {
	c.net.SetReadDeadline(deadline)
	var head [4]byte
	if err := c.fill(head[:]); err != nil {
		return nil, err
	}
	size := int32(binary.BigEndian.Uint32(head[:]))
	if size < 4 || size > maxAnswer {
		return nil, fmt.Errorf("answer of %d bytes: %w", size, errNoAnswer)
	}
	body := make([]byte, size)
	return body, c.fill(body)
}

// fill reads all of p. Blocks.
func (c *rawConn) fill(p []byte) error {
	for len(p) > 0 {
		n, err := c.net.Read(p)
		p = p[n:]
		if err != nil && len(p) > 0 {
			return err
		}
	}
	return nil
}

// errNoAnswer: what the broker sent is not the answer to what it was asked.
var errNoAnswer = fmt.Errorf("not an answer")

// decodeRaw decodes an answer to a request with that correlation id into resp,
// whose version is set.
func decodeRaw(answer []byte, correlation int32, resp kmsg.Response) error {
	if got := int32(binary.BigEndian.Uint32(answer)); got != correlation {
		return fmt.Errorf("correlation id %d, want %d: %w", got, correlation, errNoAnswer)
	}
	body := answer[4:]
	if resp.IsFlexible() && resp.Key() != int16(kmsg.ApiVersions) {
		if len(body) == 0 || body[0] != 0 {
			return fmt.Errorf("%s: header without its empty tags: %w", kmsg.NameForKey(resp.Key()), errNoAnswer)
		}
		body = body[1:]
	}
	if isOlder(body, resp) {
		resp.SetVersion(0)
	}
	if err := resp.ReadFrom(body); err != nil {
		return fmt.Errorf("%s: %w: %w", kmsg.NameForKey(resp.Key()), errNoAnswer, err)
	}
	return nil
}

// isOlder reports whether an answer is that of a broker that does not serve the version of
// ApiVersions that it was asked for: that comes in version 0, which everybody can read (KIP-511).
func isOlder(body []byte, resp kmsg.Response) bool {
	return resp.Key() == int16(kmsg.ApiVersions) && len(body) >= 2 && kafka.Error(binary.BigEndian.Uint16(body)) == kafka.ErrUnsupportedVersion
}

// ask sends one request and reads its answer, the only one under way. Blocks.
func (c *rawConn) ask(req kmsg.Request, deadline kafka.Instant) (kmsg.Response, error) {
	if err := c.send(req, deadline); err != nil {
		return nil, err
	}
	answer, err := c.receive(deadline)
	if err != nil {
		return nil, err
	}
	resp := req.ResponseKind()
	resp.SetVersion(req.GetVersion())
	return resp, decodeRaw(answer, c.correlation, resp)
}
