package talk

import (
	"encoding/json"
	"fmt"
	"strings"
)

// An Event is a line of what a member of a group tells: docs/history.md says what
// each means. A line that is cut off, for its writer was killed, is none.
type Event struct {
	Type       string  `json:"type"`
	F          string  `json:"f,omitempty"`
	Process    string  `json:"process"`
	Op         int     `json:"op,omitempty"`
	Time       int64   `json:"time_ns"`
	Group      string  `json:"group,omitempty"`
	Generation *int32  `json:"generation,omitempty"`
	Topic      string  `json:"topic,omitempty"`
	Partition  *int32  `json:"partition,omitempty"`
	Offset     *int64  `json:"offset,omitempty"`
	Offsets    []int64 `json:"offsets,omitempty"`
	Error      string  `json:"error,omitempty"`
}

// String returns the line.
func (e Event) String() string {
	line, err := json.Marshal(e)
	if err != nil {
		panic(err) // no field of it can fail
	}
	return string(line)
}

// ParseEvent reads a line.
func ParseEvent(text string) (e Event, err error) {
	if err := json.Unmarshal([]byte(text), &e); err != nil {
		return e, fmt.Errorf("%w: %.200q: %w", errLine, text, err)
	}
	return e, nil
}

// A Member makes the events of one member of a group. It is not for several
// goroutines at once.
type Member struct {
	Group, Name string
	Say         func(fmt.Stringer)

	memberships int
	id          string
	generation  int32
	lost        bool
	op          int
}

// Joined notes the member's id, and the generation that it is in. It is another
// membership with another id, and also with the same, if it had lost its partitions
// and comes back in a later generation: members of KIP-848 keep their ids when they
// are thrown out. In the generation in which it was it was not thrown out; clients
// speak of a loss, too, when they were out of touch.
func (m *Member) Joined(id string, generation int32) {
	if id != m.id || m.lost && generation != m.generation {
		m.memberships++
	}
	m.id, m.generation, m.lost = id, generation, false
}

// Lost notes that the member takes its partitions for lost.
func (m *Member) Lost() { m.lost = true }

func (m *Member) event(typ, f, topic string, partition int32) Event {
	return Event{Type: typ, F: f, Process: fmt.Sprintf("%s.%d", m.Name, m.memberships), Time: Now(), Group: m.Group, Topic: topic, Partition: &partition}
}

// Assigned tells that a partition is the member's.
func (m *Member) Assigned(topic string, partition, generation int32) {
	e := m.event("assign", "", topic, partition)
	e.Generation = &generation
	m.Say(e)
}

// Revoked tells that a partition was given back.
func (m *Member) Revoked(topic string, partition int32) {
	m.Say(m.event("revoke", "", topic, partition))
}

// Processed tells that records had their effect.
func (m *Member) Processed(topic string, partition int32, offsets []int64) {
	e := m.event("processed", "", topic, partition)
	e.Offsets = offsets
	m.Say(e)
}

// Committing tells that a commit is about to be sent; what is returned tells how it
// ended. Clients try again by themselves, so that a commit which failed in the end
// may have been done before.
func (m *Member) Committing(topic string, partition, generation int32, offset int64) func(error) {
	m.op++
	e := m.event("invoke", "offset-commit", topic, partition)
	e.Op, e.Generation, e.Offset = m.op, &generation, &offset
	m.Say(e)
	return func(failed error) {
		end := Event{Type: "ok", F: e.F, Process: e.Process, Op: e.Op, Time: Now()}
		if failed != nil {
			end.Type, end.Error = "info", strings.Join(strings.Fields(failed.Error()), " ")
		}
		m.Say(end)
	}
}
