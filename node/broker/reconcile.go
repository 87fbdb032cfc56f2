package broker

import (
	"errors"
	"fmt"

	"github.com/klammlog/klamm/node/commitlog"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
)

// openAtOnce bounds how many logs are opened at a time.
const openAtOnce = 16

// follow takes over what records have changed in the image: roles at once, logs that
// are to be opened or removed later, and settings.
func (b *Broker) follow(records []meta.Record) {
	b.image = b.source.Image()
	reconfigured := false
	for _, r := range records {
		switch r := r.(type) {
		case meta.TopicRecord:
			b.changedTopic(r.ID)
		case meta.Partitions:
			for i := range r.States {
				b.followPartition(&r.States[i])
			}
		case meta.ConfigRecord:
			if t, ok := b.image.TopicByID(r.Topic); ok {
				b.refresh(t)
			}
		case meta.BrokerConfig:
			reconfigured = true
		case meta.RemoveTopic:
			b.changedTopic(r.ID)
		case meta.Broker:
			b.followBroker(r.ID, r.Epoch)
		case meta.BrokerOffline:
			if r.ID == b.id {
				b.recheckReplaceable()
			}
			b.recheckInSync()
			b.changed.Broadcast()
		case meta.BrokerChange, meta.RemoveBroker:
			b.recheckInSync()
			b.changed.Broadcast()
		}
	}
	if reconfigured {
		b.reconfigure()
	}
}

// followPartition has a partition that is here become what the metadata says. What
// that means to files is done later.
func (b *Broker) followPartition(r *meta.PartitionRecord) {
	local := b.topics[r.Topic]
	if local == nil || int(r.Partition) >= len(local.partitions) || local.partitions[r.Partition] == nil {
		b.changedTopic(r.Topic)
		return
	}
	p := local.partitions[r.Partition]
	p.become(r.PartitionState)
	if !contains(r.Replicas, b.id) || p.replaceable() {
		b.changedTopic(r.Topic)
	}
}

// followBroker takes over that a broker has registered: nobody knows what it holds
// in its new life.
func (b *Broker) followBroker(id kafka.NodeID, epoch int64) {
	b.changed.Broadcast()
	if id == b.id {
		b.recheckRoles()
		b.recheckReplaceable()
		return
	}
	for _, p := range b.all() {
		if p.leader != nil {
			p.leader.Forget(id, epoch)
		}
	}
	b.recheckInSync()
}

// recheckRoles looks again at who leads: this node's registration has changed.
func (b *Broker) recheckRoles() {
	for _, p := range b.all() {
		p.takeRole()
	}
}

func (b *Broker) changedTopic(id kafka.TopicID) {
	if !b.swept {
		return // everything will be looked at then
	}
	if n := len(b.todo); n > 0 && b.todo[n-1] == id {
		return
	}
	b.todo = append(b.todo, id)
	b.changed.Broadcast()
}

// reconcileLoop makes this node's partitions what the image says, whenever it
// has changed, and opens logs again that could not be opened.
func (b *Broker) reconcileLoop() {
	for !b.closing {
		if len(b.todo) == 0 && b.w.Now() < b.nextReopening() {
			err := b.changed.Wait(b.nextReopening())
			if err != nil && !errors.Is(err, env.ErrDeadline) {
				return
			}
			continue
		}
		ids := b.todo
		b.todo, b.busy = nil, true
		b.reconcile(ids)
		b.busy = false
		b.changed.Broadcast()
		b.reopenDue()
	}
}

// reconcile first takes away what is no longer there, so that names are free,
// then opens what is new. Blocks.
func (b *Broker) reconcile(ids []kafka.TopicID) {
	for _, id := range ids {
		if local := b.topics[id]; local != nil {
			if _, exists := b.image.TopicByID(id); !exists {
				b.removeTopic(local)
			}
		}
	}
	var opening []*Partition
	for _, id := range ids {
		if t, exists := b.image.TopicByID(id); exists {
			opening = append(opening, b.update(t)...)
		}
	}
	b.openAll(opening)
	for _, p := range opening {
		if p.replaceable() {
			b.changedTopic(p.topic.id)
		}
	}
	for _, id := range ids {
		if local := b.topics[id]; local != nil {
			local.settled = len(local.partitions)
		}
	}
}

// update brings this node's part of a topic up to date and returns the partitions
// whose logs are to be opened. Blocks where replicas are removed or replaced.
func (b *Broker) update(t *meta.Topic) []*Partition {
	local := b.topics[t.ID]
	if local == nil {
		local = &topic{id: t.ID, name: t.Name}
		b.topics[t.ID] = local
	}
	b.refresh(t)
	var opening []*Partition
	for number := 0; number < len(t.Partitions); number++ {
		state := t.Partitions[number] // looked at again: removals block
		if number == len(local.partitions) {
			local.partitions = append(local.partitions, nil)
		}
		p := local.partitions[number]
		switch here := contains(state.Replicas, b.id); {
		case !here && p != nil:
			b.dropReplica(local, p)
		case here && p == nil:
			p = &Partition{b: b, topic: local, id: meta.Replica{Topic: t.ID, Partition: int32(number)},
				name: kafka.TopicPartition{Topic: t.Name, Partition: int32(number)}}
			local.partitions[number] = p
			p.become(state)
			opening = append(opening, p)
		case here && p.replaceable():
			if b.setAsideReplica(p) {
				opening = append(opening, p)
			}
		case here:
			p.become(state)
		}
	}
	return opening
}

func contains(ids []kafka.NodeID, id kafka.NodeID) bool {
	for _, other := range ids {
		if other == id {
			return true
		}
	}
	return false
}

// openAll opens logs, several at a time. Blocks.
func (b *Broker) openAll(partitions []*Partition) {
	workers := env.NewGroup(b.w, "broker/open")
	next := 0
	for range min(openAtOnce, len(partitions)) {
		workers.Go("broker/open", func() {
			for next < len(partitions) {
				p := partitions[next]
				next++
				b.open(p)
			}
		})
	}
	if err := workers.Wait(kafka.Never); err != nil {
		b.w.Log.Error("logs are still being opened", "left", workers.Len(), "err", err)
	}
}

// open opens one log, or notes why it cannot be used. Blocks.
func (b *Broker) open(p *Partition) {
	if p.gone() || p.log != nil {
		return
	}
	if b.closing {
		p.broken = fmt.Errorf("%s: node is stopping: %w", p.name, kafka.ErrNotLeaderOrFollower)
		return
	}
	l, err := b.openLog(p)
	if err != nil {
		p.offline(err)
		b.tryLater(p, firstPause, err)
		b.tellOffline()
		return
	}
	if p.gone() { // second look: the topic may be deleted by now
		if err := l.Close(); err != nil {
			b.w.Log.Warn("log of a deleted topic was not closed cleanly", "partition", p.name.String(), "err", err)
		}
		return
	}
	p.attach(l)
	if p.toldOffline() {
		b.tellOffline() // it is usable now
	}
}

// gone reports whether the partition is none of this node's any more.
func (p *Partition) gone() bool {
	t := p.b.topics[p.topic.id]
	return t != p.topic || int(p.name.Partition) >= len(t.partitions) || t.partitions[p.name.Partition] != p
}

// openLog opens a partition's log, where it is or where there is room. Blocks.
func (b *Broker) openLog(p *Partition) (*commitlog.Log, error) {
	d, err := b.placeFor(p)
	if err != nil {
		return nil, err
	}
	o := commitlog.Options{
		Path: partitionPath(p.name), Partition: p.name, TopicID: p.topic.id, Config: &p.topic.log,
		Throttle: &b.throttle,
	}
	l, err := commitlog.Open(b.w, d.Dir, o)
	if quarantined(err) && b.clearStranger(d, p) {
		l, err = commitlog.Open(b.w, d.Dir, o)
	}
	return l, err
}

// offline notes why the partition's log could not be opened.
func (p *Partition) offline(err error) {
	p.broken, p.aside = p.openError(err), notWhole(err) || errors.Is(err, errNowhere)
	p.b.w.Log.Error("partition is offline", "partition", p.name.String(), "err", err)
}

// openError says what clients are told of a log that could not be opened.
func (p *Partition) openError(err error) error {
	if errors.Is(err, commitlog.ErrQuarantined) {
		p.b.w.Probe("a partition was quarantined")
	}
	var code kafka.Error
	if !errors.As(err, &code) {
		code = kafka.ErrStorageError
	}
	return fmt.Errorf("%s: %w: %w", p.name, err, code)
}

// removeTopic closes and removes this node's part of a deleted topic. What cannot
// be removed now is removed at the next start: no topic has its id. Blocks.
func (b *Broker) removeTopic(t *topic) {
	for _, p := range t.partitions {
		if p == nil {
			continue
		}
		p.detach(fmt.Errorf("%s: topic was deleted: %w", p.name, kafka.ErrUnknownTopicOrPartition))
		if err := b.removePartition(p); err != nil {
			b.w.Log.Error("partition of a deleted topic was not removed", "partition", p.name.String(), "err", err)
		}
	}
	delete(b.topics, t.id)
	b.stats.TopicsRemoved++
	b.changed.Broadcast()
}
