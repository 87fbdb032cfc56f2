package scenarios

import (
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Attacks that take their time: requests that are never whole, answers that are
// never read, and connections that are dropped.

var attacksOfTime = []attack{
	{"a connection that says nothing", func(h *hostile, c *rawConn) string { return h.wantEnd(c) }},
	{"half of a frame", func(h *hostile, c *rawConn) string {
		size := h.r.options.MaxRequest / (1 << h.draws.IntN(12))
		b := sized(int32(size), []byte{0, 0, 0, 9, 0, 0, 0, 7, 0xff, 0xff})
		h.write(c, append(b, make([]byte, h.draws.Int64N(min(size, 10_000)-10))...))
		return h.wantEnd(c)
	}},
	{"a frame in drops", func(h *hostile, c *rawConn) string {
		for _, b := range c.frame(h.harmless()) {
			h.write(c, []byte{b})
			h.world.Sleep(time.Duration(h.draws.Int64N(int64(h.r.options.MaxIdle / 8))))
			if h.r.healed {
				break
			}
		}
		_ = c.net.CloseWrite()
		return h.wantConsequence(c)
	}},
	{"many connections that say nothing", crowdIn},
	{"requests ahead, answers read late", readsLate},
	{"answers that are never read", neverReads},
	{"the end in the middle of a frame", func(h *hostile, c *rawConn) string {
		b := c.frame(h.harmless())
		h.write(c, b[:1+h.draws.IntN(len(b)-1)])
		h.world.Sleep(time.Duration(h.draws.Int64N(int64(20 * time.Millisecond))))
		return ""
	}},
	{"the end in the middle of an answer", func(h *hostile, c *rawConn) string {
		h.write(c, c.frame(h.fetch(time.Second)))
		c.net.SetReadDeadline(h.world.Now().Add(time.Second))
		_, _ = c.net.Read(make([]byte, 1+h.draws.IntN(100)))
		return ""
	}},
}

// crowdIn opens connections that say two bytes and no more. Blocks.
func crowdIn(h *hostile, c *rawConn) string {
	all := []*rawConn{c}
	for range 40 {
		if one, err := h.dialRaw(); err == nil {
			h.write(one, []byte{0, 0})
			all = append(all, one)
		}
	}
	wrong := ""
	for _, one := range all {
		if wrong == "" {
			wrong = h.wantEnd(one)
		}
		_ = one.net.Close()
	}
	return wrong
}

// readsLate sends many requests before it reads the first answer: they come all,
// in order. Blocks.
func readsLate(h *hostile, c *rawConn) string {
	q := kmsg.NewPtrApiVersionsRequest()
	var b []byte
	n := 20 + h.draws.IntN(100)
	for range n {
		b = append(b, c.frame(q)...)
	}
	h.write(c, b)
	h.world.Sleep(time.Duration(h.draws.Int64N(int64(h.r.options.MaxIdle / 2))))
	for i := range int32(n) {
		answer, err := h.hear(c)
		if err == nil {
			err = decodeRaw(answer, i+1, kmsg.NewPtrApiVersionsResponse())
		}
		if errors.Is(err, errEnded) {
			return ""
		}
		if err != nil {
			return fmt.Sprintf("request %d of %d: %v", i+1, n, err)
		}
	}
	return ""
}

// neverReads asks for everything again and again, and reads nothing until the
// broker must have given up. Blocks.
func neverReads(h *hostile, c *rawConn) string {
	for range 30 {
		h.write(c, c.frame(h.fetch(0)))
		if h.r.healed {
			break
		}
	}
	h.world.Sleep(2 * h.r.options.MaxIdle)
	for {
		if _, err := h.hear(c); errors.Is(err, errEnded) {
			return ""
		} else if err != nil {
			return err.Error()
		}
	}
}
