package group

import (
	"fmt"
	"slices"
)

// lastEmbedded is the latest version of what consumers embed in JoinGroup and
// SyncGroup. A later one begins as it does.
const lastEmbedded = 3

// A wish is ConsumerProtocolSubscription: what a consumer of the classic protocol
// says in JoinGroup, of all versions.
type wish struct {
	version int16
	topics  []string // sorted
	owned   []namedPartitions
	rack    string
}

// namedPartitions are partitions of a topic that is known by its name.
type namedPartitions struct {
	topic      string
	partitions []int32
}

// decodeWish reads a subscription. Some clients say a version and not all that it
// has: who does not say what it owns owns nothing.
func decodeWish(b []byte) (w wish, err error) {
	d := decoder{b: b}
	if w.version, err = embeddedVersion(&d, "subscription"); err != nil {
		return w, err
	}
	for range d.count(2) {
		w.topics = append(w.topics, d.text())
	}
	slices.Sort(w.topics)
	w.topics = slices.Compact(w.topics)
	d.skipBytes()
	if w.version >= 1 && len(d.b) > 0 {
		w.owned = d.named()
	}
	if w.version >= 2 && len(d.b) > 0 {
		d.int32() // the generation of what it owns
	}
	if w.version >= 3 && len(d.b) > 0 {
		w.rack = d.optional()
	}
	return w, d.end("subscription", w.version)
}

// decodeGiven reads ConsumerProtocolAssignment: what the leader of a classic group
// gives a member. No bytes give nothing.
func decodeGiven(b []byte) ([]namedPartitions, error) {
	if len(b) == 0 {
		return nil, nil
	}
	d := decoder{b: b}
	version, err := embeddedVersion(&d, "assignment")
	if err != nil {
		return nil, err
	}
	given := d.named()
	return given, d.end("assignment", version)
}

// encodeGiven writes ConsumerProtocolAssignment, for who understands a version of it.
func encodeGiven(version int16, given []namedPartitions) []byte {
	e := encoder{}
	e.int16(version)
	e.count(len(given))
	for _, t := range given {
		e.text(t.topic)
		e.count(len(t.partitions))
		for _, p := range t.partitions {
			e.int32(p)
		}
	}
	e.int32(-1) // nothing of the assignor's own
	return e.b
}

func embeddedVersion(d *decoder, what string) (int16, error) {
	v := d.int16()
	if d.bad || v < 0 {
		return 0, fmt.Errorf("%s of version %d: %w", what, v, errMalformed)
	}
	return min(v, lastEmbedded), nil
}

// named takes partitions by the names of their topics.
func (d *decoder) named() (out []namedPartitions) {
	for range d.count(6) {
		t := namedPartitions{topic: d.text()}
		for range d.count(4) {
			t.partitions = append(t.partitions, d.int32())
		}
		out = append(out, t)
	}
	return out
}

// allNamed reports whether all partitions of a topic are among those that are named.
func allNamed(named []namedPartitions, of namedPartitions) bool {
	return !slices.ContainsFunc(of.partitions, func(p int32) bool {
		return !slices.ContainsFunc(named, func(n namedPartitions) bool {
			return n.topic == of.topic && slices.Contains(n.partitions, p)
		})
	})
}

// skipBytes leaves out bytes that may be null.
func (d *decoder) skipBytes() {
	if n := d.length(4); n >= 0 || n < -1 {
		d.take(n)
	}
}

// placesNamed returns the partitions that there are among those that are named.
func (s *Shard) placesNamed(named []namedPartitions) (out places) {
	for _, n := range named {
		t, there := s.settings.Topics.Topic(n.topic)
		for _, p := range n.partitions {
			if there && p >= 0 && p < t.Partitions {
				out = append(out, place{t.ID, p})
			}
		}
	}
	slices.SortFunc(out, place.compare)
	return slices.Compact(out)
}

// namesOf names partitions. Those of topics that are gone are left out.
func (s *Shard) namesOf(p places) (out []namedPartitions) {
	for _, of := range p.topics() {
		if t, there := s.settings.Topics.TopicByID(of.Topic); there {
			out = append(out, namedPartitions{t.Name, of.Partitions})
		}
	}
	return out
}
