package meta

import (
	"fmt"
	"slices"
	"strings"

	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/kafka"
)

// MetadataVersion is the feature that every log begins with: it says which
// records and versions may follow.
const MetadataVersion = "metadata.version"

// EligibleLeaderReplicas is the feature that keeps track of replicas that may
// lead although they left the in-sync set (KIP-966). Level 0 is off.
const EligibleLeaderReplicas = "eligible.leader.replicas.version"

// Level is the metadata level this code writes, and the highest it reads.
const Level int16 = 1

// A Feature finalizes the level of a feature. Level 0 switches it off.
type Feature struct {
	Name  string
	Level int16
}

// A Supported feature is one that this version knows, with the levels it can be
// finalized at.
type Supported struct {
	Name     string
	Min, Max int16
}

// Features are those that this version knows, by name. A level of 0 is below Min
// and means that the feature is off; MetadataVersion never is.
var Features = []Supported{
	{EligibleLeaderReplicas, 1, 1},
	{MetadataVersion, 1, Level},
}

func (r Feature) put(e *encoder) {
	e.text(r.Name)
	e.int16(r.Level)
}

// Level returns the metadata's feature level, 0 before the first record.
func (m *Image) Level() int16 { return m.FeatureLevel(MetadataVersion) }

// FeatureLevel returns the level of a feature, 0 if it is off.
func (m *Image) FeatureLevel(name string) int16 {
	if i, ok := m.searchFeature(name); ok {
		return m.features[i].Level
	}
	return 0
}

// Finalized returns the features that are on, by name. The slice is the image's
// own.
func (m *Image) Finalized() []Feature { return m.features }

func (m *Image) searchFeature(name string) (int, bool) {
	return slices.BinarySearchFunc(m.features, name, func(f Feature, name string) int { return strings.Compare(f.Name, name) })
}

func (m *Image) applyFeature(r Feature) error {
	known := slices.IndexFunc(Features, func(f Supported) bool { return f.Name == r.Name })
	switch {
	case r.Level < 0 || r.Level == 0 && r.Name == MetadataVersion:
		return fmt.Errorf("feature %s level %d: %w", r.Name, r.Level, ErrMalformed)
	case known < 0:
		return fmt.Errorf("feature %s level %d, this version does not know it: %w", r.Name, r.Level, ErrTooNew)
	case r.Level > Features[known].Max:
		return fmt.Errorf("%s %d, this version knows %d: %w", r.Name, r.Level, Features[known].Max, ErrTooNew)
	}
	i, found := m.searchFeature(r.Name)
	switch {
	case found && r.Level == 0:
		m.features = slices.Delete(m.features, i, i+1)
	case found:
		m.features[i].Level = r.Level
	case r.Level > 0:
		m.features = slices.Insert(m.features, i, r)
	}
	return nil
}

// UpdateFeatures returns the records that change the levels of features, all of
// them or none, or why not: INVALID_UPDATE_VERSION, FEATURE_UPDATE_FAILED or
// INVALID_REQUEST. on is the settings in force where it is decided.
func (m *Image) UpdateFeatures(updates []FeatureUpdate, on *config.View) ([]Record, error) {
	d := m.decide(on)
	for i, u := range updates {
		if slices.ContainsFunc(updates[:i], func(o FeatureUpdate) bool { return o.Name == u.Name }) {
			return nil, fmt.Errorf("feature %.100s: updated twice: %w", u.Name, kafka.ErrInvalidRequest)
		}
		if err := m.checkUpdate(u); err != nil {
			return nil, fmt.Errorf("feature %.100s level %d: %w", u.Name, u.Level, err)
		}
		if u.Level == m.FeatureLevel(u.Name) {
			continue
		}
		d.records = append(d.records, Feature{Name: u.Name, Level: u.Level})
		if u.Name == EligibleLeaderReplicas {
			d.keepELR(u.Level)
		}
	}
	return d.done(), nil
}

func (m *Image) checkUpdate(u FeatureUpdate) error {
	i := slices.IndexFunc(Features, func(f Supported) bool { return f.Name == u.Name })
	if i < 0 {
		return fmt.Errorf("this version does not know it: %w", kafka.ErrInvalidUpdateVersion)
	}
	f, now := Features[i], m.FeatureLevel(u.Name)
	switch {
	case u.How < UpgradeOnly || u.How > UnsafeDowngrade:
		return fmt.Errorf("an update of kind %d: %w", u.How, kafka.ErrInvalidRequest)
	case u.Level < 0 || u.Level > f.Max || u.Level == 0 && u.Name == MetadataVersion:
		return fmt.Errorf("levels are %d to %d: %w", f.Min, f.Max, kafka.ErrInvalidUpdateVersion)
	case u.Level < now && u.How == UpgradeOnly:
		return fmt.Errorf("lower than %d, and no downgrade was asked for: %w", now, kafka.ErrInvalidUpdateVersion)
	case u.Name == MetadataVersion:
		return m.checkFollowers(u.Level)
	}
	return nil
}

// checkFollowers tells which broker could not follow the metadata at a level.
func (m *Image) checkFollowers(level int16) error {
	for _, b := range m.brokers {
		if level < b.MinLevel || level > b.MaxLevel {
			return fmt.Errorf("broker %d can follow %d to %d: %w", b.ID, b.MinLevel, b.MaxLevel, kafka.ErrFeatureUpdateFailed)
		}
	}
	return nil
}

// keepELR begins to keep account of eligible leader replicas, or ends it: then
// they count as in sync where nobody is. They depend on all leaders having the same
// min.insync.replicas, so a single broker's own ends, and a leader that has not
// heard of it may not change in-sync sets until it has.
func (d *decision) keepELR(level int16) {
	if d.elr = level > 0; d.elr {
		for _, s := range d.m.brokerSettings {
			if _, set := find(s.pairs, config.MinInsyncReplicas.Name); set && s.id != EveryBroker {
				d.records = append(d.records, BrokerConfig{Broker: s.id, Name: config.MinInsyncReplicas.Name})
			}
		}
		d.each(func(*PartitionState) bool { return true }, func(c *change) {
			c.bump = true
			d.settle(c)
		})
		return
	}
	d.each(func(s *PartitionState) bool { return len(s.ELR)+len(s.LastELR) > 0 || len(s.ISR) == 0 }, d.settle)
}
