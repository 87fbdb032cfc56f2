package meta

import (
	"fmt"
	"slices"

	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/kafka"
)

// Register returns the records that register a broker, fenced, and the epoch of
// its registration, or why not: INCONSISTENT_CLUSTER_ID, UNSUPPORTED_VERSION,
// INVALID_REQUEST or DUPLICATE_BROKER_REGISTRATION. live tells which brokers'
// sessions have not ended; on is the settings in force where it is decided.
//
// A broker that restarts within its session supersedes its former life at once
// if it has one of its log directories: their lock proves that life over. A
// registration whose answer was lost is answered again.
//
// What it led it leads no longer. Its seat in in-sync sets it keeps if its last
// life ended cleanly or counted only what was synced, and if none of its log
// directories is missing; otherwise it may lack committed records (KIP-966).
func (m *Image) Register(r Registration, live func(kafka.NodeID) bool, on *config.View) ([]Record, int64, error) {
	if err := m.checkRegistration(r); err != nil {
		return nil, NoEpoch, err
	}
	b := Broker{
		ID: r.ID, Epoch: m.brokerEpoch + 1, Incarnation: r.Incarnation, Endpoints: r.Endpoints, Directories: r.Directories,
		Rack: r.Rack, MinLevel: r.MinLevel, MaxLevel: r.MaxLevel, Volatile: r.Volatile, Fenced: true,
	}
	d := m.decide(on)
	old, known := m.Broker(r.ID)
	if !known {
		d.will(b, b)
		d.restarted(b.ID, seatLost) // if it had any, they were of a life that nobody remembers
		return d.done(), b.Epoch, nil
	}
	if old.Incarnation == r.Incarnation && r.Incarnation != (Incarnation{}) {
		return nil, old.Epoch, nil
	}
	if err := checkDuplicate(r, old, live); err != nil {
		return nil, NoEpoch, err
	}
	b.Directories = slices.Clone(old.Directories)
	for _, id := range r.Directories {
		if !slices.Contains(b.Directories, id) {
			b.Directories = append(b.Directories, id)
		}
	}
	for _, id := range b.Directories {
		if !slices.Contains(r.Directories, id) {
			b.Missing = append(b.Missing, id)
		}
	}
	d.will(b, b)
	d.restarted(b.ID, keepsSeats(r, old))
	return d.done(), b.Epoch, nil
}

// What bounds a registration.
const (
	maxListed = 100  // listeners and log directories
	maxHost   = 1000 // bytes
)

func (m *Image) checkRegistration(r Registration) error {
	switch {
	case r.ID < 0:
		return fmt.Errorf("broker %d: a negative id: %w", r.ID, kafka.ErrInvalidRequest)
	case len(r.Rack) > maxName || len(r.Endpoints) > maxListed || len(r.Directories) > maxListed:
		return fmt.Errorf("broker %d: %d endpoints, %d log directories, a rack of %d bytes: %w",
			r.ID, len(r.Endpoints), len(r.Directories), len(r.Rack), kafka.ErrInvalidRequest)
	case slices.ContainsFunc(r.Endpoints, func(e Endpoint) bool { return len(e.Listener) > maxName || len(e.Host) > maxHost }):
		return fmt.Errorf("broker %d: the name of a listener or of a host is too long: %w", r.ID, kafka.ErrInvalidRequest)
	case r.ClusterID != "" && m.cluster != "" && r.ClusterID != m.cluster:
		return fmt.Errorf("broker %d belongs to cluster %s, this is %s: %w", r.ID, r.ClusterID, m.cluster, kafka.ErrInconsistentClusterID)
	case m.Level() < r.MinLevel || m.Level() > r.MaxLevel:
		return fmt.Errorf("broker %d can follow %s %d to %d, the cluster has %d: %w",
			r.ID, MetadataVersion, r.MinLevel, r.MaxLevel, m.Level(), kafka.ErrUnsupportedVersion)
	}
	return nil
}

// checkDuplicate refuses a second live broker under one id.
func checkDuplicate(r Registration, old Broker, live func(kafka.NodeID) bool) error {
	if !live(r.ID) || old.ShuttingDown {
		return nil
	}
	for _, id := range r.Directories {
		if old.registeredWith(id) {
			return nil
		}
	}
	where := "elsewhere"
	if len(old.Endpoints) > 0 {
		where = fmt.Sprintf("at %s:%d", old.Endpoints[0].Host, old.Endpoints[0].Port)
	}
	return fmt.Errorf("node.id=%d is taken by a broker that is alive %s: give this one another, or stop that one first: %w",
		r.ID, where, kafka.ErrDuplicateBrokerRegistration)
}

// A seat is what becomes of a broker's places in in-sync sets.
type seat int

const (
	seatKept seat = iota
	seatLost      // it may lack committed records
)

// keepsSeats tells whether a broker has all that it counted as held. What it has
// lost once it pays for once: what it counted since then lies elsewhere.
func keepsSeats(r Registration, old Broker) seat {
	for _, id := range old.Directories {
		if old.registeredWith(id) && !slices.Contains(r.Directories, id) {
			return seatLost
		}
	}
	if old.Volatile && r.CleanAfter != old.Epoch {
		return seatLost
	}
	return seatKept
}

// restarted takes leadership from a broker that registered anew, and its seats if
// they are lost.
func (d *decision) restarted(id kafka.NodeID, s seat) {
	self := []kafka.NodeID{id}
	d.each(func(p *PartitionState) bool {
		return p.Leader == id || s == seatLost && (slices.Contains(p.ISR, id) || slices.Contains(p.ELR, id))
	}, func(c *change) {
		if s == seatLost {
			c.lost, c.next.ISR = self, without(c.next.ISR, self)
		}
		d.settle(c)
	})
}

// Unregister returns the records that remove a broker that is fenced, or why
// not: BROKER_ID_NOT_REGISTERED, or INVALID_REQUEST if it is alive. Its replicas
// stay where they were assigned.
func (m *Image) Unregister(id kafka.NodeID) ([]Record, error) {
	b, ok := m.Broker(id)
	switch {
	case !ok:
		return nil, fmt.Errorf("broker %d: %w", id, kafka.ErrBrokerIDNotRegistered)
	case !b.Fenced:
		return nil, fmt.Errorf("broker %d is alive, stop it first: %w", id, kafka.ErrInvalidRequest)
	}
	return []Record{RemoveBroker{ID: id, Epoch: b.Epoch}}, nil
}
