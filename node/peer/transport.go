package peer

import (
	"fmt"

	"github.com/klammlog/klamm/node/client/link"
	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
)

// Raft's messages to one controller go into a bounded queue, and out of it in
// batches as large as what has come meanwhile. What does not fit, or was on a
// connection that broke, is lost: raft sends again what matters.

// Bounds of what is on its way to one controller.
const (
	maxQueuedMessages = MaxRaftMessages
	maxQueuedBytes    = 32 << 20 // unless one message is larger
	maxStepBytes      = 1 << 20  // a batch, unless one message is larger
	maxSteps          = 8        // batches without an answer
)

// A sender is the queue to one controller.
type sender struct {
	p       *Peers
	to      kafka.NodeID
	queue   [][]byte
	bytes   int
	open    []*link.Call
	changed env.Cond
	refused int16 // the last answer's error, so that it is told once
}

// Send takes messages for a controller. It does not block.
func (p *Peers) Send(to kafka.NodeID, messages [][]byte) {
	if p.closed || to == p.o.ID {
		return
	}
	s := p.senders[to]
	if s == nil {
		s = &sender{p: p, to: to, changed: p.w.NewCond("peer/send")}
		p.senders[to] = s
		p.sending = append(p.sending, s)
		p.tasks.Go(fmt.Sprintf("peer/raft %d", to), s.run)
	}
	for _, m := range messages {
		full := len(s.queue) == maxQueuedMessages || len(s.queue) > 0 && s.bytes+len(m) > maxQueuedBytes
		if full || p.w.Buggify("the queue of messages to a controller is full") {
			p.w.Probe("messages of raft were dropped, for there were too many")
			break
		}
		s.queue = append(s.queue, m)
		s.bytes += len(m)
	}
	s.changed.Broadcast()
}

func (s *sender) check() error {
	if len(s.queue) > maxQueuedMessages || len(s.queue) > 1 && s.bytes > maxQueuedBytes+MaxFrame || len(s.open) > maxSteps {
		return fmt.Errorf("peer: %d messages with %d bytes and %d batches are on their way to controller %d", len(s.queue), s.bytes, len(s.open), s.to)
	}
	return nil
}

// run sends what is queued until it is canceled.
func (s *sender) run() {
	for !s.p.closed {
		if len(s.queue) == 0 {
			if s.changed.Wait(kafka.Never) != nil {
				return
			}
			continue
		}
		if len(s.open) == maxSteps {
			s.await()
			continue
		}
		address, ok := s.p.voter(s.to)
		if !ok {
			s.queue, s.bytes = nil, 0 // it is no controller any more
			continue
		}
		step := &RaftStep{
			ClusterID: s.p.o.Image().ClusterID(), From: int32(s.p.o.ID), Directory: s.p.o.Directory, Messages: s.batch(),
		}
		s.open = append(s.open, s.p.link(s.to, address, raftLane).Start(step, link.Options{}))
	}
}

// batch takes the oldest messages from the queue.
func (s *sender) batch() [][]byte {
	n, size := 0, 0
	for n < len(s.queue) && (n == 0 || size+len(s.queue[n]) <= maxStepBytes) {
		size += len(s.queue[n])
		n++
	}
	batch := s.queue[:n:n]
	s.queue = s.queue[n:]
	s.bytes -= size
	return batch
}

// await waits for the oldest answer. Blocks.
func (s *sender) await() {
	call := s.open[0]
	answer, err := call.Wait(kafka.Never)
	s.open = s.open[1:]
	if err != nil {
		return // lost, as messages may be
	}
	code := answer.(*RaftStepped).ErrorCode
	if code != s.refused && code != 0 {
		s.p.w.Log.Warn("controller refuses messages", "controller", int(s.to), "err", kafka.Error(code))
	}
	s.refused = code
}

// voter returns where a controller is.
func (p *Peers) voter(id kafka.NodeID) (address string, ok bool) {
	address = p.o.Where(id)
	return address, address != ""
}

// voterAt returns the nth controller, in turns; ok is false if there is none.
func (p *Peers) voterAt(n int) (config.Voter, bool) {
	all := p.o.Voters()
	if len(all) == 0 {
		return config.Voter{}, false
	}
	return all[n%len(all)], true
}
