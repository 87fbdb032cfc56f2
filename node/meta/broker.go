package meta

import (
	"fmt"
	"slices"

	"github.com/klammlog/klamm/node/kafka"
)

// An Endpoint is where clients reach a broker by one of its listeners.
type Endpoint struct {
	Listener string
	Host     string
	Port     int32
}

// A DirectoryID names a log directory.
type DirectoryID [16]byte

// A Broker registers a broker, or registers it anew.
type Broker struct {
	ID          kafka.NodeID
	Epoch       int64 // larger than that of any registration before, of any broker
	Incarnation Incarnation
	Endpoints   []Endpoint

	// Directories are the ids of all log directories that the broker ever
	// registered with: one that is no longer there may hold partitions. Missing
	// are those of them that it did not have when it registered last.
	Directories []DirectoryID
	Missing     []DirectoryID

	Rack               string // "" for none
	MinLevel, MaxLevel int16  // the metadata levels that it can follow

	// Volatile says that what this life counts as held is not synced: after an
	// unclean end it may be gone.
	Volatile bool

	Fenced       bool // it serves nobody: it is silent, or has not caught up
	ShuttingDown bool // it is on its way out, and leads nothing

	// Offline are the partitions whose logs it cannot use, sorted.
	Offline []Replica
}

// A BrokerChange fences a broker or lets it serve, or says that it is going to
// end.
type BrokerChange struct {
	ID           kafka.NodeID
	Epoch        int64 // of the registration that changes
	Fenced       bool
	ShuttingDown bool
}

// A BrokerOffline says which logs a broker cannot use now, instead of those it
// could not use before.
type BrokerOffline struct {
	ID      kafka.NodeID
	Epoch   int64
	Offline []Replica // sorted
}

// A RemoveBroker removes a registration.
type RemoveBroker struct {
	ID    kafka.NodeID
	Epoch int64
}

// A BrokerEpoch says what the largest epoch of a registration has been, where
// that registration itself is gone.
type BrokerEpoch struct{ Last int64 }

// MayLead reports whether the broker may lead a partition: it is not fenced, is
// not going to end, and can use the partition's log.
func (b *Broker) MayLead(r Replica) bool { return !b.Fenced && !b.ShuttingDown && !b.offline(r) }

func (b *Broker) offline(r Replica) bool {
	if len(b.Offline) == 0 {
		return false
	}
	_, found := slices.BinarySearchFunc(b.Offline, r, compareReplicas)
	return found
}

const (
	flagVolatile byte = 1 << iota
	flagFenced
	flagShuttingDown
)

func (r Broker) put(e *encoder) {
	e.int32(int32(r.ID))
	e.int64(r.Epoch)
	e.raw(r.Incarnation[:])
	e.byte(flag(r.Volatile, flagVolatile) | flag(r.Fenced, flagFenced) | flag(r.ShuttingDown, flagShuttingDown))
	e.text(r.Rack)
	e.int16(r.MinLevel)
	e.int16(r.MaxLevel)
	e.count(len(r.Endpoints))
	for _, p := range r.Endpoints {
		e.text(p.Listener)
		e.text(p.Host)
		e.int32(p.Port)
	}
	e.directories(r.Directories)
	e.directories(r.Missing)
	e.replicas(r.Offline)
}

func flag(set bool, bit byte) byte {
	if set {
		return bit
	}
	return 0
}

func (r BrokerChange) put(e *encoder) {
	e.int32(int32(r.ID))
	e.int64(r.Epoch)
	e.byte(flag(r.Fenced, flagFenced) | flag(r.ShuttingDown, flagShuttingDown))
}

func (r BrokerOffline) put(e *encoder) {
	e.int32(int32(r.ID))
	e.int64(r.Epoch)
	e.replicas(r.Offline)
}

func (r RemoveBroker) put(e *encoder) {
	e.int32(int32(r.ID))
	e.int64(r.Epoch)
}

func (r BrokerEpoch) put(e *encoder) { e.int64(r.Last) }

func (d *decoder) broker() Record {
	r := Broker{ID: kafka.NodeID(d.int32()), Epoch: d.int64()}
	copy(r.Incarnation[:], d.take(len(r.Incarnation)))
	flags := d.flags(flagVolatile | flagFenced | flagShuttingDown)
	r.Volatile, r.Fenced, r.ShuttingDown = flags&flagVolatile != 0, flags&flagFenced != 0, flags&flagShuttingDown != 0
	r.Rack, r.MinLevel, r.MaxLevel = d.text(), d.int16(), d.int16()
	for range d.count(8) {
		r.Endpoints = append(r.Endpoints, Endpoint{Listener: d.text(), Host: d.text(), Port: d.int32()})
	}
	r.Directories, r.Missing = d.directories(), d.directories()
	r.Offline = d.replicas()
	return r
}

func (e *encoder) directories(ids []DirectoryID) {
	e.count(len(ids))
	for _, id := range ids {
		e.raw(id[:])
	}
}

func (d *decoder) directories() (ids []DirectoryID) {
	for range d.count(len(DirectoryID{})) {
		var id DirectoryID
		copy(id[:], d.take(len(id)))
		ids = append(ids, id)
	}
	return ids
}

// registeredWith reports whether a broker had a log directory when it registered
// last.
func (b Broker) registeredWith(id DirectoryID) bool {
	return slices.Contains(b.Directories, id) && !slices.Contains(b.Missing, id)
}

func (d *decoder) brokerChange() Record {
	r := BrokerChange{ID: kafka.NodeID(d.int32()), Epoch: d.int64()}
	flags := d.flags(flagFenced | flagShuttingDown)
	r.Fenced, r.ShuttingDown = flags&flagFenced != 0, flags&flagShuttingDown != 0
	return r
}

// flags takes a byte in which only known bits are set.
func (d *decoder) flags(known byte) byte {
	b := d.byte()
	if b&^known != 0 {
		d.take(-1)
	}
	return b
}

func (e *encoder) replicas(rs []Replica) {
	e.count(len(rs))
	for _, r := range rs {
		e.raw(r.Topic[:])
		e.int32(r.Partition)
	}
}

// replicas takes sorted replicas; nil if there are none.
func (d *decoder) replicas() []Replica {
	n := d.count(len(kafka.TopicID{}) + 4)
	if n == 0 {
		return nil
	}
	rs := make([]Replica, n)
	for i := range rs {
		rs[i] = Replica{Topic: d.topicID(), Partition: d.int32()}
		if i > 0 && compareReplicas(rs[i-1], rs[i]) >= 0 {
			d.take(-1)
			return nil
		}
	}
	return rs
}

func (m *Image) applyBroker(r Broker) error {
	if r.Epoch <= m.brokerEpoch || r.ID < 0 {
		return fmt.Errorf("broker %d: epoch %d after %d: %w", r.ID, r.Epoch, m.brokerEpoch, ErrMalformed)
	}
	m.brokerEpoch = r.Epoch
	if i, found := m.searchBroker(r.ID); found {
		m.brokers[i] = r
	} else {
		m.brokers = slices.Insert(m.brokers, i, r)
	}
	return nil
}

// registered finds the registration that a record speaks of.
func (m *Image) registered(id kafka.NodeID, epoch int64) (*Broker, error) {
	i, found := m.searchBroker(id)
	switch {
	case !found:
		return nil, fmt.Errorf("broker %d is not registered: %w", id, ErrMalformed)
	case m.brokers[i].Epoch != epoch:
		return nil, fmt.Errorf("broker %d: epoch %d, now %d: %w", id, epoch, m.brokers[i].Epoch, ErrMalformed)
	}
	return &m.brokers[i], nil
}

func (m *Image) applyBrokerChange(r BrokerChange) error {
	b, err := m.registered(r.ID, r.Epoch)
	if err == nil {
		b.Fenced, b.ShuttingDown = r.Fenced, r.ShuttingDown
	}
	return err
}

func (m *Image) applyBrokerOffline(r BrokerOffline) error {
	b, err := m.registered(r.ID, r.Epoch)
	if err == nil {
		b.Offline = r.Offline
	}
	return err
}

func (m *Image) applyRemoveBroker(r RemoveBroker) error {
	_, err := m.registered(r.ID, r.Epoch)
	if err == nil {
		i, _ := m.searchBroker(r.ID)
		m.brokers = slices.Delete(m.brokers, i, i+1)
	}
	return err
}

func (m *Image) applyBrokerEpoch(r BrokerEpoch) error {
	if r.Last <= m.brokerEpoch {
		return fmt.Errorf("broker epoch %d after %d: %w", r.Last, m.brokerEpoch, ErrMalformed)
	}
	m.brokerEpoch = r.Last
	return nil
}
