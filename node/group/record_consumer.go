package group

import "time"

// The values of KIP-848's records are flexible from their only version on.

// An epochValue is ConsumerGroupMetadataValue. The hash is of what the metadata said
// of the topics that the group reads (its tagged field 0): when it says something
// else, the group has to be assigned anew.
type epochValue struct {
	epoch int32
	hash  int64
}

func (v epochValue) encode() []byte {
	e := encoder{flexible: true}
	e.int16(0)
	e.int32(v.epoch)
	var hash encoder
	hash.int64(v.hash)
	e.tag(0, hash.b)
	return e.b
}

func decodeEpoch(b []byte) (v epochValue, err error) {
	d := decoder{b: b, flexible: true}
	version, err := d.version("epoch", 0)
	if err != nil {
		return v, err
	}
	v.epoch = d.int32()
	d.tags(func(number uint64, field []byte) {
		if number == 0 {
			t := decoder{b: field}
			v.hash = t.int64()
			d.bad = d.bad || t.bad
		}
	})
	return v, d.end("epoch", version)
}

// encodeTarget writes ConsumerGroupTargetAssignmentMetadataValue.
func encodeTarget(epoch int32) []byte {
	e := encoder{flexible: true}
	e.int16(0)
	e.int32(epoch)
	e.noTags()
	return e.b
}

func decodeTarget(b []byte) (epoch int32, err error) {
	d := decoder{b: b, flexible: true}
	version, err := d.version("target epoch", 0)
	if err != nil {
		return 0, err
	}
	epoch = d.int32()
	d.tags(nil)
	return epoch, d.end("target epoch", version)
}

// An enrolment is ConsumerGroupMemberMetadataValue: who a member is and what it
// wants.
type enrolment struct {
	instance, rack string
	client         Client
	topics         []string // sorted
	regex          string
	rebalance      time.Duration
	assignor       string
	classic        *classicSide // nil: speaks ConsumerGroupHeartbeat. Its tagged field 0
}

// A classicSide is ClassicMemberMetadata: what a member of the classic protocol has
// said in JoinGroup. It has at least one protocol, and is never changed.
type classicSide struct {
	session   time.Duration
	protocols []Protocol
}

// encode writes it as a tagged field that may be null, and is not.
func (v *classicSide) encode() []byte {
	e := encoder{flexible: true}
	e.uvarint(1)
	e.int32(millis(v.session))
	e.count(len(v.protocols))
	for i := range v.protocols {
		e.text(v.protocols[i].Name)
		e.bytes(v.protocols[i].Metadata)
		e.noTags()
	}
	e.noTags()
	return e.b
}

// decodeClassicSide reads it; nil for null.
func decodeClassicSide(b []byte) (v *classicSide, ok bool) {
	d := decoder{b: b, flexible: true}
	if d.uvarint() == 0 {
		return nil, !d.bad
	}
	v = &classicSide{session: duration(d.int32())}
	for range d.count(3) {
		v.protocols = append(v.protocols, Protocol{d.text(), d.bytes()})
		d.tags(nil)
	}
	d.tags(nil)
	return v, !d.bad && len(v.protocols) > 0
}

func (v *enrolment) encode() []byte {
	e := encoder{flexible: true}
	e.int16(0)
	e.optional(v.instance)
	e.optional(v.rack)
	e.text(v.client.ID)
	e.text(v.client.Host)
	e.count(len(v.topics))
	for _, t := range v.topics {
		e.text(t)
	}
	e.optional(v.regex)
	e.int32(millis(v.rebalance))
	e.optional(v.assignor)
	if v.classic != nil {
		e.tag(0, v.classic.encode())
	} else {
		e.noTags()
	}
	return e.b
}

func decodeEnrolment(b []byte) (v enrolment, err error) {
	d := decoder{b: b, flexible: true}
	version, err := d.version("member", 0)
	if err != nil {
		return v, err
	}
	v.instance, v.rack = d.optional(), d.optional()
	v.client.ID, v.client.Host = d.text(), d.text()
	for range d.count(1) {
		v.topics = append(v.topics, d.text())
	}
	v.regex = d.optional()
	v.rebalance = duration(d.int32())
	v.assignor = d.optional()
	d.tags(func(number uint64, field []byte) {
		if number == 0 {
			var ok bool
			v.classic, ok = decodeClassicSide(field)
			d.bad = d.bad || !ok
		}
	})
	return v, d.end("member", version)
}

// encodePlaces writes ConsumerGroupTargetAssignmentMemberValue.
func encodePlaces(p places) []byte {
	e := encoder{flexible: true}
	e.int16(0)
	e.places(p)
	e.noTags()
	return e.b
}

func decodePlaces(b []byte) (places, error) {
	d := decoder{b: b, flexible: true}
	version, err := d.version("target", 0)
	if err != nil {
		return nil, err
	}
	p := d.places()
	d.tags(nil)
	return p, d.end("target", version)
}

func (e *encoder) places(p places) {
	topics := p.topics()
	e.count(len(topics))
	for _, t := range topics {
		e.b = append(e.b, t.Topic[:]...)
		e.count(len(t.Partitions))
		for _, n := range t.Partitions {
			e.int32(n)
		}
		e.noTags()
	}
}

func (d *decoder) places() places {
	var topics []TopicPartitions
	for range d.count(18) {
		t := TopicPartitions{Topic: d.topicID()}
		for range d.count(4) {
			t.Partitions = append(t.Partitions, d.int32())
		}
		d.tags(nil)
		topics = append(topics, t)
	}
	return placesOf(topics)
}

// A progress is ConsumerGroupCurrentMemberAssignmentValue: how far a member has come
// on its way to its target.
type progress struct {
	epoch, previous    int32
	state              progressState
	assigned, revoking places
}

// A progressState is Kafka's MemberState.
type progressState int8

const (
	settled    progressState = 0 // has what it can have
	unrevoked  progressState = 1 // is to let go of something
	unreleased progressState = 2 // waits for what another still has
)

func (v *progress) encode() []byte {
	e := encoder{flexible: true}
	e.int16(0)
	e.int32(v.epoch)
	e.int32(v.previous)
	e.int8(int8(v.state))
	e.places(v.assigned)
	e.places(v.revoking)
	e.noTags()
	return e.b
}

func decodeProgress(b []byte) (v progress, err error) {
	d := decoder{b: b, flexible: true}
	version, err := d.version("current assignment", 0)
	if err != nil {
		return v, err
	}
	v.epoch, v.previous, v.state = d.int32(), d.int32(), progressState(d.int8())
	v.assigned, v.revoking = d.places(), d.places()
	d.tags(nil)
	return v, d.end("current assignment", version)
}
