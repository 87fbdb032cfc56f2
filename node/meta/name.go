package meta

import (
	"fmt"
	"strings"

	"github.com/klammlog/klamm/node/kafka"
)

// maxName is the longest topic name: with "-", a partition number and a suffix
// it has to be a file name.
const maxName = 249

// metadataTopic is the name that Kafka keeps for the metadata log.
const metadataTopic = "__cluster_metadata"

// CheckName tells why a topic cannot have a name: INVALID_TOPIC_EXCEPTION, or
// nil if it can.
func CheckName(name string) error {
	switch {
	case name == "":
		return fmt.Errorf("a topic without a name: %w", kafka.ErrInvalidTopic)
	case name == "." || name == "..":
		return fmt.Errorf("topic %q: not a name for a directory: %w", name, kafka.ErrInvalidTopic)
	case len(name) > maxName:
		return fmt.Errorf("topic %q...: %d characters, at most %d: %w", name[:20], len(name), maxName, kafka.ErrInvalidTopic)
	case strings.IndexFunc(name, notInName) >= 0:
		return fmt.Errorf("topic %q: characters other than letters, digits, '.', '_' and '-': %w", name, kafka.ErrInvalidTopic)
	}
	return nil
}

func notInName(r rune) bool {
	switch {
	case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '.', r == '_', r == '-':
		return false
	}
	return true
}

// checkNewName tells why a topic of this name cannot be created now.
func (m *Image) checkNewName(name string) error {
	if err := CheckName(name); err != nil {
		return err
	}
	if name == metadataTopic {
		return fmt.Errorf("topic %s: the name of the metadata log: %w", name, kafka.ErrInvalidRequest)
	}
	if _, ok := m.Topic(name); ok {
		return fmt.Errorf("topic %s: %w", name, kafka.ErrTopicAlreadyExists)
	}
	if other, ok := m.collision(name); ok {
		return fmt.Errorf("topic %s: the same as %s where '.' and '_' are not told apart, as in metrics: %w", name, other, kafka.ErrInvalidTopic)
	}
	return nil
}

// collision finds a topic whose name differs only in '.' and '_'.
func (m *Image) collision(name string) (string, bool) {
	if !strings.ContainsAny(name, "._") {
		return "", false
	}
	folded := strings.ReplaceAll(name, ".", "_")
	for _, t := range m.topics {
		if len(t.Name) == len(name) && strings.ReplaceAll(t.Name, ".", "_") == folded {
			return t.Name, true
		}
	}
	return "", false
}
