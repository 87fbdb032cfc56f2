package node

import (
	"fmt"
	"slices"
	"strings"

	"github.com/klammlog/klamm/node/broker"
	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/quorum"
)

// A log directory that is not this node's must not be touched: what a node finds in
// its directories and knows nothing of it removes, as what is left of deleted
// topics. So before anything is locked or written their names are looked at, and
// before anything is removed the metadata are.

// ofKafka are files that Apache Kafka keeps in its log directories.
var ofKafka = []string{"meta.properties", "bootstrap.checkpoint", "recovery-point-offset-checkpoint",
	"replication-offset-checkpoint", "log-start-offset-checkpoint", "cleaner-offset-checkpoint", ".kafka_cleanshutdown"}

// identity is the file that every log directory of klamm has, and what it is
// written to before.
const identity = "directory"

// A layout is what a log directory's names say.
type layout struct {
	dir        string
	metadata   bool // a metadata log is there
	signed     bool // it says whose it is
	partitions bool // there are partitions besides
}

// checkDirs refuses log directories that are not klamm's, or not in the order that
// they were made in. It changes nothing. Blocks.
func (n *Node) checkDirs() error {
	var all []layout
	for _, at := range n.w.LogDirs {
		names, err := at.FS.ReadDir(".")
		if err != nil {
			all = append(all, layout{dir: at.Name})
			continue // whoever takes it into use tells
		}
		l, err := layoutOf(at.Name, names)
		if err != nil {
			return err
		}
		all = append(all, l)
	}
	for i, l := range all {
		if i > 0 && l.metadata {
			return fmt.Errorf("log directory %s is the first of a node of its own, and stands in log.dirs behind %s", l.dir, all[0].dir)
		}
	}
	follows := all[0].signed && !config.IsController(n.settings) // who is a broker only has no metadata log
	for _, l := range all {
		if l.partitions && !all[0].metadata && !follows {
			return fmt.Errorf("log directory %s holds partitions, and %s, the first in log.dirs, does not hold the metadata of their node", l.dir, all[0].dir)
		}
	}
	return nil
}

// layoutOf reads the names in a log directory, in any order.
func layoutOf(dir string, names []string) (layout, error) {
	l := layout{dir: dir}
	slices.Sort(names)
	for _, name := range ofKafka {
		if slices.Contains(names, name) {
			return l, fmt.Errorf("log directory %s holds data of Apache Kafka (%s), which klamm does not read: choose another", dir, name)
		}
	}
	ours := slices.Contains(names, identity)
	for _, name := range names {
		switch {
		case name == quorum.MetadataPath:
			l.metadata = true
		case name == identityFile:
			l.signed = true
		case broker.IsPartition(name):
			l.partitions = true
		}
		if !ours && !strings.HasPrefix(name, ".") && name != "lost+found" && name != identity+".tmp" {
			return l, fmt.Errorf("log directory %s is not empty (%.100s) and not one of klamm: choose another", dir, name)
		}
	}
	return l, nil
}

// checkUnowned refuses a log directory that holds partitions and does not say
// whose they are. Blocks.
func (n *Node) checkUnowned(d broker.LogDir) error {
	names, err := sortedNames(d.FS)
	if err != nil {
		return fmt.Errorf("log directory %s: %w", d.Dir.Name(), err)
	}
	l, err := layoutOf(d.Dir.Name(), names)
	if err == nil && l.partitions {
		err = fmt.Errorf("log directory %s holds partitions of another node or cluster", d.Dir.Name())
	}
	return err
}
