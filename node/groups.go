package node

import (
	"encoding/hex"
	"io"
	"strings"
	"time"

	"github.com/klammlog/klamm/internal/assert"
	"github.com/klammlog/klamm/node/broker"
	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/coordinator"
	"github.com/klammlog/klamm/node/group"
	"github.com/klammlog/klamm/node/kafka"
	sm "github.com/klammlog/klamm/node/machine"
	"github.com/klammlog/klamm/node/meta"
)

// startGroups has this node coordinate the groups whose partition of
// __consumer_offsets it leads.
func (n *Node) startGroups() {
	k := &groups{n: n, names: map[kafka.TopicID]string{}}
	k.configure(n.broker.Config())
	for _, t := range n.Image().Topics() {
		k.names[t.ID] = t.Name
	}
	n.broker.OnConfig(k.configure)
	n.groups = coordinator.Open(n.w, n.broker, coordinator.Kind[*group.Shard]{
		Topic: broker.OffsetsTopic,
		New: func(partition int32) *group.Shard {
			return group.NewShard(partition, group.Settings{
				Limits: func() *group.Limits { return &k.limits }, Consumer: k.consumer, NewMemberID: k.newMemberID, Topics: k,
				Migrated: k.migrated,
			})
		},
		Buffer: func() int { return int(config.OffsetsLoadBuffer.In(n.broker.Config())) },
	})
	n.metadata.OnApply(k.follow)
}

// groups is what coordinators of groups have to know of their node.
type groups struct {
	n      *Node
	limits group.Limits
	names  map[kafka.TopicID]string // of the topics there are, for when they are gone

	modern  group.ConsumerLimits            // of a group of KIP-848 that sets nothing
	special map[string]group.ConsumerLimits // of those that do
}

// configure takes over the settings of the node, and of the groups that have some.
func (k *groups) configure(v *config.View) {
	k.limits, k.modern = limitsOf(v), consumerLimitsOf(v, nil)
	k.special = map[string]group.ConsumerLimits{}
	for _, g := range k.n.Image().Groups() {
		k.special[g.Group] = consumerLimitsOf(v, g.Pairs)
	}
}

// follow tells the coordinators which topics have come, grown and gone.
func (k *groups) follow(records []meta.Record) {
	changed, reconfigured := false, false
	for _, r := range records {
		switch r := r.(type) {
		case meta.TopicRecord:
			k.names[r.ID] = r.Name
			changed = true
		case meta.GroupConfig:
			reconfigured = true
		case meta.Partitions:
			changed = changed || len(r.States) > 0
		case meta.RemoveTopic:
			changed = true
			name := k.names[r.ID]
			delete(k.names, r.ID)
			k.n.groups.Announce(func(m *group.Shard, at sm.Moment) { m.TopicDeleted(at, name, r.ID) })
		}
	}
	if reconfigured || len(k.special) != len(k.n.Image().Groups()) { // a snapshot says nothing of what is gone
		k.configure(k.n.broker.Config())
	}
	if changed {
		k.n.groups.Announce(func(m *group.Shard, at sm.Moment) { m.TopicsChanged(at) })
	}
}

func limitsOf(v *config.View) group.Limits {
	l := group.Limits{
		MinSession: config.GroupMinSession.Duration(v), MaxSession: config.GroupMaxSession.Duration(v),
		InitialDelay: config.GroupInitialDelay.Duration(v), MaxSize: int(config.GroupMaxSize.In(v)),
		Retention:      time.Duration(config.OffsetsRetention.In(v)) * time.Minute,
		RetentionCheck: config.OffsetsRetentionCheck.Duration(v),
		CommitTimeout:  config.OffsetsCommitTimeout.Duration(v), MaxMetadata: int(config.OffsetMetadataMaxBytes.In(v)),
		Assignors: config.GroupConsumerAssignors.In(v), Migration: migrationOf(config.GroupConsumerMigration.In(v)),
	}
	return l
}

// migrationOf reads group.consumer.migration.policy.
func migrationOf(policy string) group.Migration {
	for m := range (group.Upgrade | group.Downgrade) + 1 {
		if strings.EqualFold(m.String(), policy) {
			return m
		}
	}
	assert.That(false, "group.consumer.migration.policy=%s", policy) // it was checked
	return 0
}

// migrated tells of a group with members that speaks another protocol now.
func (k *groups) migrated(id string, direction group.Migration) {
	if direction == group.Upgrade {
		k.n.w.Probe("a classic group became one of the consumer protocol")
	} else {
		k.n.w.Probe("a group of the consumer protocol became a classic one")
	}
	k.n.w.Log.Info("group with members has changed its protocol", "group", id, "migration", direction.String())
}

// consumerLimitsOf returns the settings of a group of KIP-848 that sets the pairs.
func consumerLimitsOf(v *config.View, pairs []config.Pair) group.ConsumerLimits {
	of := config.GroupInForce(v, pairs)
	return group.ConsumerLimits{
		Session: config.ConsumerSession.Duration(of), Heartbeat: config.ConsumerHeartbeat.Duration(of),
		MaxSize: int(config.GroupConsumerMaxSize.In(v)),
	}
}

// consumer returns the settings of a group of KIP-848.
func (k *groups) consumer(id string) group.ConsumerLimits {
	if l, ok := k.special[id]; ok {
		return l
	}
	return k.modern
}

// newMemberID draws a member id: who knows it may speak for the member.
func (k *groups) newMemberID(prefix string) string {
	var id [16]byte
	_, err := io.ReadFull(k.n.w.Secret, id[:])
	assert.NoError(err)
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80 // a UUID of version 4
	h := hex.EncodeToString(id[:])
	return prefix + "-" + h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// Topic, TopicByID and Names answer from the metadata as this node has it.
func (k *groups) Topic(name string) (group.Topic, bool) {
	t, ok := k.n.Image().Topic(name)
	return groupTopic(t), ok
}

func (k *groups) TopicByID(id kafka.TopicID) (group.Topic, bool) {
	t, ok := k.n.Image().TopicByID(id)
	return groupTopic(t), ok
}

func (k *groups) Names(yield func(string) bool) {
	for _, t := range k.n.Image().Topics() {
		if !yield(t.Name) {
			return
		}
	}
}

func groupTopic(t *meta.Topic) group.Topic {
	if t == nil {
		return group.Topic{}
	}
	return group.Topic{Name: t.Name, ID: t.ID, Partitions: int32(len(t.Partitions))}
}
