package broker

import (
	"math"

	"github.com/klammlog/klamm/node/commitlog"
	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/meta"
	"github.com/klammlog/klamm/node/record"
)

// rules are what a topic's settings mean here, worked out when they change and not
// for each append. They are replaced in place: logs keep a pointer to their part.
type rules struct {
	settings    *config.View
	log         commitlog.Config    // read by logs at each use
	limits      record.Limits       // what producers are allowed; the time is filled in
	repack      *record.Compression // how the log has its records; nil: as they come
	leastInSync int                 // min.insync.replicas
	throttled                       // replicas that are copied no faster than the node's rates allow
}

func (b *Broker) rulesOf(v *config.View) rules {
	return rules{
		settings: v, log: b.logConfig(v), limits: limitsIn(v), repack: repackIn(v),
		leastInSync: int(config.MinInsyncReplicas.In(v)), throttled: b.throttledIn(v),
	}
}

// Config returns the node's settings in force. They are replaced as a whole when
// something is set while the node runs.
func (b *Broker) Config() *config.View { return b.config }

// OnConfig has f called with the node's settings whenever they have changed. f
// must not block.
func (b *Broker) OnConfig(f func(*config.View)) { b.onConfig = append(b.onConfig, f) }

// configure puts what the image sets over the node's own configuration.
func (b *Broker) configure() {
	overlay := b.image.Overlay(b.id)
	if _, err := b.configured.Overlaid(overlay); err != nil {
		b.w.Log.Warn("setting of a broker is not in force", "err", err)
	}
	b.config = b.configured.InForce(overlay)
	b.plain = b.rulesOf(config.TopicInForce(b.config, nil))
	b.setRates()
}

// reconfigure does that when the image has changed: topics that set nothing
// themselves follow their node.
func (b *Broker) reconfigure() {
	b.w.Probe("settings of a broker changed while it ran")
	b.configure()
	for _, t := range b.image.Topics() {
		b.refresh(t)
	}
	for _, f := range b.onConfig {
		f(b.config)
	}
}

// refresh brings this node's part of a topic under the settings in force, if it
// has one. Logs and appends read them at their next use.
func (b *Broker) refresh(t *meta.Topic) {
	local := b.topics[t.ID]
	if local == nil {
		return
	}
	for _, p := range t.Settings {
		if _, known := config.Lookup(config.Topic, p.Name); !known {
			b.w.Probe("a topic has a setting that this version does not know")
			b.w.Log.Warn("setting of a topic is not known and not in force", "topic", t.Name, "setting", p.Name)
		}
	}
	if len(t.Settings) == 0 {
		local.rules = b.plain
	} else {
		local.rules = b.rulesOf(b.SettingsOf(t))
	}
	b.hasten(local.partitions)
	for _, p := range local.partitions {
		if p != nil && p.leader != nil && p.leader.SetLeast(local.leastInSync) {
			p.raise(p.leader.HighWatermark())
		}
	}
}

// SettingsOf returns the settings in force for a topic.
func (b *Broker) SettingsOf(t *meta.Topic) *config.View {
	if len(t.Settings) == 0 {
		return b.plain.settings
	}
	return config.TopicInForce(b.config, t.Settings)
}

// limitsIn returns what a topic allows its producers; the time is left open.
func limitsIn(v *config.View) record.Limits {
	l := record.Limits{
		MaxBytes:  int(config.MaxMessageBytes.In(v)),
		Unpacked:  maxUnpacked,
		BeforeMax: config.MessageTimestampBeforeMax.In(v),
		AfterMax:  config.MessageTimestampAfterMax.In(v),
	}
	if config.MessageTimestampType.In(v) == "LogAppendTime" {
		l.Timestamps = record.LogAppendTime
		l.BeforeMax, l.AfterMax = math.MaxInt64, math.MaxInt64
	}
	if config.CleanupPolicy.Has(v, "compact") {
		l.Keys = record.KeysRequired
	}
	return l
}

// repackIn returns how a topic's records are compressed in its logs; nil leaves
// that to the producer.
func repackIn(v *config.View) *record.Compression {
	name := config.CompressionType.In(v)
	if name == "producer" {
		return nil
	}
	codec, err := record.ParseCodec(name)
	if err != nil { // a view holds nothing that was not checked
		return nil
	}
	how := &record.Compression{Codec: codec}
	switch codec {
	case record.Gzip:
		how.Level = int(config.CompressionGzipLevel.In(v))
	case record.Lz4:
		how.Level = int(config.CompressionLz4Level.In(v))
	case record.Zstd:
		how.Level = int(config.CompressionZstdLevel.In(v))
	}
	return how
}
