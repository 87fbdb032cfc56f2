package meta

import (
	"fmt"
	"slices"
	"strings"
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
