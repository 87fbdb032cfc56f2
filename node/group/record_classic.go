package group

import (
	"time"

	"github.com/klammlog/klamm/node/kafka"
)

// A generation is what the log knows of a classic group: a generation whose members
// have their assignments, or that has no members.
type generation struct {
	protocolType, protocol string
	number                 Generation
	leader                 string
	since                  kafka.Timestamp // when it came about; NoTimestamp: not known
	members                []recordedMember
}

// A recordedMember is a member as the log knows it.
type recordedMember struct {
	id, instance             string
	client                   Client
	rebalance, session       time.Duration
	subscription, assignment []byte
}

// generationVersion is what we write: the last that is not flexible, as Kafka does,
// for it can be read by every Kafka since 2.3.
const generationVersion = 3

func (g *generation) encode() []byte {
	size := 64
	for i := range g.members {
		m := &g.members[i]
		size += 64 + len(m.id) + len(m.instance) + len(m.client.ID) + len(m.client.Host) + len(m.subscription) + len(m.assignment)
	}
	e := encoder{b: make([]byte, 0, size)}
	e.int16(generationVersion)
	e.text(g.protocolType)
	e.int32(int32(g.number))
	e.optional(g.protocol)
	e.optional(g.leader)
	e.int64(int64(g.since))
	e.count(len(g.members))
	for i := range g.members {
		m := &g.members[i]
		e.text(m.id)
		e.optional(m.instance)
		e.text(m.client.ID)
		e.text(m.client.Host)
		e.int32(millis(m.rebalance))
		e.int32(millis(m.session))
		e.bytes(m.subscription)
		e.bytes(m.assignment)
	}
	return e.b
}

// decodeGeneration reads GroupMetadataValue, versions 0 to 4.
func decodeGeneration(b []byte) (g generation, err error) {
	d := decoder{b: b}
	version, err := d.version("generation", 4)
	if err != nil {
		return g, err
	}
	d.flexible = version >= 4
	g.protocolType = d.text()
	g.number = Generation(d.int32())
	g.protocol = d.optional()
	g.leader = d.optional()
	g.since = kafka.NoTimestamp
	if version >= 2 {
		g.since = kafka.Timestamp(d.int64())
	}
	n := d.count(8)
	g.members = make([]recordedMember, 0, n)
	for range n {
		g.members = append(g.members, decodeMember(&d, version))
	}
	d.tags(nil)
	return g, d.end("generation", version)
}

func decodeMember(d *decoder, version int16) (m recordedMember) {
	m.id = d.text()
	if version >= 3 {
		m.instance = d.optional()
	}
	m.client.ID, m.client.Host = d.text(), d.text()
	rebalance := int32(-1)
	if version >= 1 {
		rebalance = d.int32()
	}
	m.session = duration(d.int32())
	m.rebalance = duration(rebalance)
	if rebalance == -1 {
		m.rebalance = m.session
	}
	m.subscription = d.bytes()
	m.assignment = d.bytes()
	d.tags(nil)
	return m
}

// millis returns a duration as the wire has it.
func millis(d time.Duration) int32 {
	return int32(min(max(d.Milliseconds(), -1), 1<<31-1))
}

func duration(ms int32) time.Duration { return time.Duration(ms) * time.Millisecond }
