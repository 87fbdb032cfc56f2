package scenarios

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// hostileClient is the scenario of those who do not want to be served.
var hostileClient = &Scenario{
	Name:      "hostile-client",
	About:     "some hosts send what is no request, no batch, or never whole; honest clients notice nothing but the time",
	Always:    []Family{malformedRequest},
	Sometimes: []Family{"crash", "pause", "task-stall", "slow-node", "client-crash", "latency", "partial", "buffer", "reset"},
	AtLeast:   1,
	AtMost:    4,
	Reaches:   []string{"a connection was closed for what it sent"},
}

// hostileCluster is the scenario of those whom several brokers have to bear, and each
// other besides.
var hostileCluster = &Scenario{
	Name:        "hostile-cluster",
	About:       "hosts that send what is no request, and hundreds of connections in some seeds, at brokers that replicate, die and are elected",
	Cluster:     safeCluster,
	Always:      []Family{malformedRequest},
	Sometimes:   []Family{"crash", "graceful-stop", "pause", "task-stall", "slow-node", "client-crash", "latency", "partial", "buffer", "reset", "isolate"},
	OneOf:       []Family{"crash", "pause", "isolate"},
	AtLeast:     2,
	AtMost:      4,
	Aims:        map[Family][]target{"crash": {theLeader, aFollower}, "pause": {theLeader, theController}},
	TuneProcess: longAway,
	Guests:      []Family{connectionStorm},
	Reaches:     []string{"a connection was closed for what it sent"},
}

// inviteHostiles draws how many there are, and what the broker lets them take.
func (o *Options) inviteHostiles(r *rand.Rand) {
	o.Hostiles = 1 + r.IntN(3)
	o.MaxIdle = pick(r, time.Second, 3*time.Second, 8*time.Second)
	o.MaxRequest = pick(r, int64(1<<20), 4<<20)
	o.MaxQueued = o.MaxRequest * pick(r, int64(1), 2, 8)
	o.MaxPerHost = pick(r, int64(0), 30, 200)
}

// A hostile is a host whose programs attack the broker, several at once, until the
// faults end. Each attack is over when the node has ended its connection or told
// it an error: what takes longer, or succeeds, is a broken promise.
type hostile struct {
	machine
	draws   *rand.Rand
	running int // programs
	attacks int // begun
	doing   []string
}

// An attack sends something hostile and returns what is wrong with how the node
// took it, or "". Blocks.
type attack struct {
	name string
	on   func(*hostile, *rawConn) string
}

// hostilePrograms is how many programs each hostile host runs.
const hostilePrograms = 6

// hostilePatience is how long an attack may remain without a consequence once
// nothing is broken any more, besides the time after which idle connections are
// closed: a connection whose other end lost power breaks after its keep-alive time.
const hostilePatience = 170 * time.Second

func (r *run) newHostile(name string) *hostile {
	h := &hostile{draws: r.k.Rand("workload/" + name), running: hostilePrograms, doing: make([]string, hostilePrograms)}
	h.machine = r.newMachine(name, h.main)
	return h
}

func (h *hostile) main() {
	h.prepare()
	for i := range hostilePrograms {
		h.world.Go("attack", func() {
			for !h.r.healed {
				h.strike(i)
				h.world.Sleep(time.Duration(h.draws.Int64N(int64(100 * time.Millisecond))))
			}
			h.running--
		})
	}
}

// unfinished says which attack is still without a consequence, or "".
func (h *hostile) unfinished() string {
	if h.running == 0 {
		return ""
	}
	return fmt.Sprintf("%s is at %d attacks: %q", h.node.Name(), h.running, h.doing)
}

// strike makes one attack on a connection of its own. Blocks.
func (h *hostile) strike(program int) {
	c, err := h.dialRaw()
	if err != nil {
		return
	}
	a := h.draw()
	h.attacks++
	h.doing[program] = a.name
	if wrong := a.on(h, c); wrong != "" {
		h.complain(a.name, wrong)
	}
	h.doing[program] = ""
	h.r.took(malformedRequest, true)
	_ = c.net.Close()
}

func (h *hostile) complain(name, wrong string) {
	h.r.observer.complain(badInputRefused, fmt.Sprintf("%s at %s: %s: %s", h.node.Name(), h.r.k.Now(), name, wrong))
}

// draw draws an attack: each kind as often as the others, and of each kind each.
func (h *hostile) draw() attack {
	kind := pick(h.draws, attacksOfFrames, attacksOfFrames, attacksOfBatches, attacksOfBatches, attacksOfTime)
	return pick(h.draws, kind...)
}

// prepare creates a compacted topic: there the broker has to look into what is
// compressed. Blocks.
func (h *hostile) prepare() {
	for !h.r.healed {
		if c, err := h.dialRaw(); err == nil {
			req := kmsg.NewPtrCreateTopicsRequest()
			req.Version, req.TimeoutMillis = 5, 5000
			policy := "compact"
			req.Topics = []kmsg.CreateTopicsRequestTopic{{Topic: junkTopic, NumPartitions: 1, ReplicationFactor: 1,
				Configs: []kmsg.CreateTopicsRequestTopicConfig{{Name: "cleanup.policy", Value: &policy}}}}
			resp, err := c.ask(req, h.world.Now().Add(h.r.requestTimeout))
			_ = c.net.Close()
			if err == nil {
				code := kafka.Error(resp.(*kmsg.CreateTopicsResponse).Topics[0].ErrorCode)
				if code == kafka.None || code == kafka.ErrTopicAlreadyExists {
					return
				}
			}
		}
		h.world.Sleep(50 * time.Millisecond)
	}
}

// junkTopic is the hostile clients' own.
const junkTopic = "junk"

// write writes bytes as they are. That the connection has ended is seen by whoever
// reads. Blocks.
func (h *hostile) write(c *rawConn, b []byte) {
	c.net.SetWriteDeadline(h.world.Now().Add(time.Second))
	_, _ = c.net.Write(b)
}

// Ways in which waiting for an answer ends, besides one.
var (
	errEnded = errors.New("the connection has ended")
	errLate  = errors.New("neither an answer nor the end of the connection")
)

// hear waits for an answer, for the end of the connection, or until waiting makes
// no sense any more. Blocks.
func (h *hostile) hear(c *rawConn) ([]byte, error) {
	var head [4]byte
	if err := h.fill(c, head[:]); err != nil {
		return nil, err
	}
	size := int(uint32(head[0])<<24 | uint32(head[1])<<16 | uint32(head[2])<<8 | uint32(head[3]))
	if size < 4 || size > maxAnswer {
		return nil, fmt.Errorf("an answer of %d bytes", size)
	}
	b := make([]byte, size)
	return b, h.fill(c, b)
}

// fill reads all of p. Blocks.
func (h *hostile) fill(c *rawConn, p []byte) error {
	since := h.world.Now()
	for len(p) > 0 {
		c.net.SetReadDeadline(h.world.Now().Add(time.Second))
		n, err := c.net.Read(p)
		p = p[n:]
		switch {
		case len(p) == 0 || err == nil:
		case !errors.Is(err, env.ErrDeadline):
			return errEnded
		case h.r.healed && h.world.Now() > max(since, h.r.healedAt).Add(hostilePatience+h.r.options.MaxIdle):
			return errLate
		}
	}
	return nil
}

// wantEnd waits for the end of the connection: there is nothing to answer. Blocks.
func (h *hostile) wantEnd(c *rawConn) string {
	switch b, err := h.hear(c); {
	case err == nil:
		return fmt.Sprintf("was answered with %d bytes", len(b))
	case !errors.Is(err, errEnded):
		return err.Error()
	}
	return ""
}

// wantConsequence waits for an answer of any kind, or the end of the connection.
// Blocks.
func (h *hostile) wantConsequence(c *rawConn) string {
	if _, err := h.hear(c); err != nil && !errors.Is(err, errEnded) {
		return err.Error()
	}
	return ""
}

// wantCode waits for an answer to the last request whose code is not in favour, as
// refused says; or for the end of the connection. Blocks.
func (h *hostile) wantCode(c *rawConn, resp kmsg.Response, refused func() error) string {
	b, err := h.hear(c)
	if err == nil {
		err = decodeRaw(b, c.correlation, resp)
	}
	if err == nil {
		err = refused()
	}
	if err == nil || errors.Is(err, errEnded) {
		return ""
	}
	return err.Error()
}
