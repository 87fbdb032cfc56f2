package peer

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/klammlog/klamm/node/client/backoff"
	"github.com/klammlog/klamm/node/client/link"
	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
	"github.com/klammlog/klamm/node/quorum"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// How long is waited before a controller is asked again.
const (
	leastPause = 10 * time.Millisecond
	mostPause  = 250 * time.Millisecond
)

// A repeat says whether a question is asked again when nobody knows what became
// of it.
type repeat uint8

const (
	once   repeat = iota // what it asks for must not happen twice
	always               // asking twice does no harm
)

// A question is what the active controller is asked.
type question struct {
	lane    lane
	repeat  repeat
	ask     func() kmsg.Request       // a new message for each time
	read    func(kmsg.Response) error // an error is the controller's answer
	local   func(Local) error         // asks this node's own controller; nil: by a message
	options link.Options
}

// ask looks for the active controller until it has answered or the deadline has
// passed. What it fails with carries a kafka.Error: the controller's own, or
// NOT_CONTROLLER if the question was not taken up by any, or REQUEST_TIMED_OUT if
// it may have been. Blocks.
func (p *Peers) ask(q question, deadline kafka.Instant) error {
	var unanswered bool
	pauses := backoff.Backoff{Min: leastPause, Max: mostPause}
	for attempt := 1; ; attempt++ {
		err := p.askOne(q, attempt, deadline)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, link.ErrNoAnswer) && q.repeat == once:
			return fmt.Errorf("%w: %w", err, kafka.ErrRequestTimedOut)
		case errors.Is(err, link.ErrNoAnswer):
			unanswered = true
		case !errors.Is(err, link.ErrNotSent) && kafka.ErrorOf(err) != kafka.ErrNotController:
			return err
		}
		pause := pauses.After(attempt, p.w.Rand("peer/pause"))
		late := p.w.Now().Add(pause) >= deadline
		if !late {
			p.w.Probe("the active controller was looked for again")
			late = p.w.Sleep(pause) != nil || p.closed
		}
		switch {
		case late && unanswered:
			return fmt.Errorf("%w: %w", err, kafka.ErrRequestTimedOut)
		case late && kafka.ErrorOf(err) != kafka.ErrNotController:
			return fmt.Errorf("%w: %w", err, kafka.ErrNotController)
		case late:
			return err
		}
	}
}

// askOne asks one controller: in turns the one that is said to be active, and the
// next of all.
func (p *Peers) askOne(q question, attempt int, deadline kafka.Instant) error {
	to := p.o.Leader()
	if to == meta.NoLeader || attempt%2 == 0 {
		p.next++
		v, ok := p.voterAt(p.next)
		if to = v.ID; !ok {
			to = p.o.ID // there is only this node
		}
	}
	if to == p.o.ID && p.local != nil && q.local != nil {
		return q.local(p.local)
	}
	address, ok := p.voter(to)
	if !ok {
		return fmt.Errorf("controller %d: nobody knows where it is: %w", to, kafka.ErrNotController)
	}
	answer, err := p.link(to, address, q.lane).Do(q.ask(), q.options, deadline)
	if err != nil {
		return err
	}
	return q.read(answer)
}

// Register registers a broker.
func (p *Peers) Register(r meta.Registration, deadline kafka.Instant) (epoch int64, err error) {
	err = p.ask(question{
		lane: controlLane, repeat: always,
		ask: func() kmsg.Request { return RegistrationRequest(r) },
		read: func(a kmsg.Response) (err error) {
			epoch, err = registered(a.(*kmsg.BrokerRegistrationResponse))
			return err
		},
		local: func(l Local) (err error) {
			epoch, err = l.Register(r, deadline)
			return err
		},
	}, deadline)
	return epoch, err
}

// Heartbeat tells that a broker lives.
func (p *Peers) Heartbeat(b meta.Beat, deadline kafka.Instant) (answer meta.BeatAnswer, err error) {
	err = p.ask(question{
		lane: beatLane, repeat: always,
		ask: func() kmsg.Request { return BeatRequest(b) },
		read: func(a kmsg.Response) (err error) {
			answer, err = beatAnswer(a.(*kmsg.BrokerHeartbeatResponse))
			return err
		},
		local: func(l Local) (err error) {
			answer, err = l.Heartbeat(b, deadline)
			return err
		},
	}, deadline)
	return answer, err
}

// AlterPartitions asks for other in-sync sets, once: a refusal has to mean that no
// request for the same can still be carried out. Of the states that it returns,
// only leader, epochs and in-sync set are filled in.
func (p *Peers) AlterPartitions(self meta.Member, items []meta.Alter, deadline kafka.Instant) (answers []meta.Altered, err error) {
	err = p.ask(question{
		lane: controlLane, repeat: once,
		ask: func() kmsg.Request { return AlterRequest(self, items) },
		read: func(a kmsg.Response) (err error) {
			answers, err = altered(items, a.(*kmsg.AlterPartitionResponse))
			return err
		},
		local: func(l Local) (err error) {
			answers, err = l.AlterPartitions(self, items, deadline)
			return err
		},
	}, deadline)
	return answers, err
}

// AllocateProducerIDs asks for a block of producer ids; asking twice loses one.
func (p *Peers) AllocateProducerIDs(self meta.Member, deadline kafka.Instant) (block meta.Block, err error) {
	err = p.ask(question{
		lane: controlLane, repeat: always,
		ask: func() kmsg.Request { return AllocateRequest(self) },
		read: func(a kmsg.Response) (err error) {
			block, err = allocated(a.(*kmsg.AllocateProducerIDsResponse))
			return err
		},
		local: func(l Local) (err error) {
			block, err = l.AllocateProducerIDs(self, deadline)
			return err
		},
	}, deadline)
	return block, err
}

// CreateTopic creates a topic with all defaults. That it exists already may be
// because it was asked for twice.
func (p *Peers) CreateTopic(n meta.NewTopic, deadline kafka.Instant) error {
	return p.ask(question{
		lane: controlLane, repeat: always,
		ask: func() kmsg.Request { return createRequest(n, p.patience(controlLane)) },
		read: func(a kmsg.Response) error {
			for _, t := range a.(*kmsg.CreateTopicsResponse).Topics {
				if code := kafka.Error(t.ErrorCode); code != kafka.None {
					return fmt.Errorf("topic %.249s: %w", n.Name, code)
				}
			}
			return nil
		},
		local: func(l Local) error {
			_, err := l.CreateTopic(n, deadline)
			return err
		},
	}, deadline)
}

// AddVoter asks the active controller to make a controller a voter. One that was a
// voter with another directory is taken out first.
func (p *Peers) AddVoter(v quorum.Voter, deadline kafka.Instant) error {
	return p.ask(question{
		lane: controlLane, repeat: always,
		ask: func() kmsg.Request { return voterRequest(v, p.patience(controlLane)) },
		read: func(a kmsg.Response) error {
			code := kafka.Error(a.(*kmsg.AddRaftVoterResponse).ErrorCode)
			if code == kafka.ErrDuplicateVoter {
				return nil
			}
			return code.AsError()
		},
	}, deadline)
}

func voterRequest(v quorum.Voter, wait time.Duration) *kmsg.AddRaftVoterRequest {
	q := kmsg.NewPtrAddRaftVoterRequest()
	q.VoterID, q.VoterDirectoryID, q.TimeoutMillis = int32(v.ID), v.Directory, millis(wait)
	l := kmsg.NewAddRaftVoterRequestListener()
	at := strings.LastIndexByte(v.Address, ':')
	port, _ := strconv.ParseUint(v.Address[at+1:], 10, 16) // an address of the configuration has one
	l.Name, l.Host, l.Port = "CONTROLLER", strings.Trim(v.Address[:max(at, 0)], "[]"), uint16(port)
	q.Listeners = append(q.Listeners, l)
	return q
}

func createRequest(n meta.NewTopic, wait time.Duration) *kmsg.CreateTopicsRequest {
	q := kmsg.NewPtrCreateTopicsRequest()
	q.TimeoutMillis = millis(wait)
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = n.Name, n.Partitions, n.Replicas
	for _, s := range n.Settings {
		t.Configs = append(t.Configs, kmsg.CreateTopicsRequestTopicConfig{Name: s.Name, Value: &s.Value})
	}
	q.Topics = append(q.Topics, t)
	return q
}

// brokerAt returns where brokers reach another one.
func (p *Peers) brokerAt(id kafka.NodeID) (address string, err error) {
	b, ok := p.o.Image().Broker(id)
	name := config.InterBrokerListener(p.o.Config)
	for _, e := range b.Endpoints {
		if e.Listener == name {
			return config.Listener{Name: name, Host: e.Host, Port: e.Port}.Address(), nil
		}
	}
	if !ok {
		return "", fmt.Errorf("broker %d is not registered: %w", id, kafka.ErrBrokerNotAvailable)
	}
	return "", fmt.Errorf("broker %d has no listener %s: %w", id, name, kafka.ErrBrokerNotAvailable)
}
