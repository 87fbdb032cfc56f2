package group

import "slices"

// reconcile brings the member as near to its target as the others let it: it keeps
// what it has and shall have, lets go of what it shall not have, and only then, and
// only in the target's epoch, gets what nobody else has any more.
//
// What a member is to revoke is another's when the member has said that it does not
// own it, in a request that it sent after it heard that it was to revoke it. Kafka
// believes any request. But who missed that answer, and was about to take over what
// it was assigned before, says truly that it does not own it yet, and takes it over
// then.
//
// A member of the classic protocol that joins again is believed: what it was told
// before it takes over no more, and whatever it lets go of has it be in a new epoch,
// so that what it may say in the old one does not count.
func (b *beating) reconcile() {
	m := &b.next
	owned, known := b.owned()
	b.has = owned
	if m.reconciled(b.target) {
		return
	}
	before := m.progress
	switch {
	case m.state != unrevoked:
		b.step(m.epoch)
	case !known:
	case b.classic == nil && b.full() && b.r.Epoch != JoinEpoch && !b.was.told:
		b.tells = true
	default:
		if kept, _ := owned.split(m.revoking); len(kept) == 0 {
			b.step(m.epoch + 1)
		}
	}
	if b.was == nil || !m.progress.equal(&before) || !m.progress.equal(&b.was.progress) {
		b.put(key{kind: currentMemberKind, member: m.id}, m.progress.encode())
	}
}

// full reports whether the member has said everything: it joins, or does not know
// whether its last request was answered.
func (b *beating) full() bool {
	r := &b.r
	return r.Epoch == JoinEpoch || r.RebalanceTimeout >= 0 && (r.Topics != nil || r.Regex != nil) && r.Owned != nil
}

// owned returns what the member owns, by its own account: if it does not say, then
// what it said last, unless it has been told something else since. It may have been about
// to take over more, and only what it says behind that is about all of it.
func (b *beating) owned() (owned places, known bool) {
	switch {
	case b.r.Epoch == JoinEpoch:
		return nil, true
	case b.was == nil:
		return nil, false
	case b.r.Owned != nil:
		b.was.said, b.was.hasSaid = placesOf(b.r.Owned), true
	}
	return b.was.said, b.was.hasSaid
}

func (v *progress) equal(w *progress) bool {
	return v.epoch == w.epoch && v.previous == w.previous && v.state == w.state &&
		slices.Equal(v.assigned, w.assigned) && slices.Equal(v.revoking, w.revoking)
}

// step moves the member one step on. epoch is the one that it stays in if it has to
// revoke something. Who joins owns nothing, and revokes nothing.
func (b *beating) step(epoch int32) {
	m := &b.next
	kept, revoking := m.assigned.split(m.goal)
	_, wanted := m.goal.split(kept)
	if len(revoking) > 0 && b.holds(revoking) {
		m.enter(epoch)
		m.state, m.assigned, m.revoking = unrevoked, kept, revoking
		return
	}
	var free places
	for _, p := range wanted {
		if owner, taken := b.c.owners[p]; !taken || owner == m.id || owner == b.instead {
			free = append(free, p)
		}
	}
	m.enter(b.target)
	m.state, m.assigned, m.revoking = settled, kept.with(free), nil
	if len(free) < len(wanted) {
		m.state = unreleased
	}
}

// holds reports whether a member may own something of what it is to revoke.
func (b *beating) holds(revoking places) bool {
	if b.r.Epoch == JoinEpoch {
		return false
	}
	kept, _ := revoking.split(b.has)
	return b.classic == nil || len(kept) > 0
}

// enter has a member be in an epoch.
func (m *consumerMember) enter(epoch int32) {
	if m.epoch != epoch {
		m.previous, m.epoch = m.epoch, epoch
	}
}
