package node

import "fmt"

// Failed returns why the node can no longer do its work, or nil: its first log
// directory, which holds the metadata, is out of service until the process ends,
// or its member of the quorum is, or another process has taken its place. Whoever
// runs a node ends the process then, without waiting for a clean stop, as Kafka
// does; what was acknowledged is on the disk.
func (n *Node) Failed() error {
	if err := n.dirs[0].Dir.Failed(); err != nil {
		return fmt.Errorf("node %d: log directory %s: %w", n.id, n.dirs[0].Dir.Name(), err)
	}
	if n.quorum != nil {
		if err := n.quorum.Failed(); err != nil {
			return fmt.Errorf("node %d: %w", n.id, err)
		}
	}
	if n.observer != nil {
		if err := n.observer.Failed(); err != nil {
			return fmt.Errorf("node %d: %w", n.id, err)
		}
	}
	if n.broker != nil {
		if err := n.broker.Failed(); err != nil {
			return fmt.Errorf("node %d: %w", n.id, err)
		}
	}
	return nil
}
