package node

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"

	"github.com/klammlog/klamm/node/commitlog"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
)

// A FormatOptions says whose log directories become.
type FormatOptions struct {
	NodeID    kafka.NodeID
	ClusterID string // "": a new one is drawn
}

// Format makes the log directories of a world those of a node. Directories that
// are the same node's already stay as they are, so that it can be repeated; those
// of another node or cluster, and those that hold anything else, are refused before
// anything is written. It returns the identities in the order of the directories.
// Blocks.
func Format(w *env.World, o FormatOptions) ([]Identity, error) {
	if len(w.LogDirs) == 0 {
		return nil, errors.New("no log directory")
	}
	known, err := checkFormat(w, o)
	if err != nil {
		return nil, err
	}
	if o.ClusterID == "" {
		o.ClusterID = known
	}
	if o.ClusterID == "" {
		if o.ClusterID, err = NewClusterID(w); err != nil {
			return nil, err
		}
	}
	var all []Identity
	for _, at := range w.LogDirs {
		i, err := formatDir(w, at, o)
		if err != nil {
			return all, err
		}
		all = append(all, i)
	}
	return all, nil
}

// checkFormat refuses what cannot be formatted, and returns the cluster that
// directories belong to already. Blocks.
func checkFormat(w *env.World, o FormatOptions) (cluster string, err error) {
	if len(o.ClusterID) > maxClusterID {
		return "", fmt.Errorf("cluster id of %d bytes: more than %d", len(o.ClusterID), maxClusterID)
	}
	for _, at := range w.LogDirs {
		names, err := sortedNames(at.FS)
		if err != nil && !errors.Is(err, env.ErrNotExist) {
			return "", fmt.Errorf("log directory %s: %w", at.Name, err)
		}
		l, err := layoutOf(at.Name, names)
		if err != nil {
			return "", err
		}
		i, err := readIdentity(at.FS)
		switch {
		case errors.Is(err, env.ErrNotExist) && (l.metadata || l.partitions):
			return "", fmt.Errorf("log directory %s holds data and does not say whose", at.Name)
		case errors.Is(err, env.ErrNotExist):
			continue
		case err != nil:
			return "", fmt.Errorf("log directory %s: %w", at.Name, err)
		case i.NodeID != o.NodeID:
			return "", fmt.Errorf("log directory %s belongs to node %d", at.Name, i.NodeID)
		case o.ClusterID != "" && o.ClusterID != i.ClusterID, cluster != "" && cluster != i.ClusterID:
			return "", fmt.Errorf("log directory %s belongs to cluster %s", at.Name, i.ClusterID)
		}
		cluster = i.ClusterID
	}
	return cluster, nil
}

func formatDir(w *env.World, at env.LogDir, o FormatOptions) (Identity, error) {
	d, err := commitlog.OpenDir(w, at, commitlog.DirOptions{})
	if err != nil {
		return Identity{}, err
	}
	i, err := readIdentity(at.FS)
	if errors.Is(err, env.ErrNotExist) {
		i = Identity{Directory: meta.DirectoryID(d.ID()), NodeID: o.NodeID, ClusterID: o.ClusterID}
		err = writeIdentity(at.FS, i)
	}
	if err := errors.Join(err, d.Close()); err != nil {
		return Identity{}, fmt.Errorf("log directory %s: %w", at.Name, err)
	}
	return i, nil
}

// NewClusterID draws an id as Kafka writes them: 16 bytes in base64.
func NewClusterID(w *env.World) (string, error) {
	var b [16]byte
	if _, err := io.ReadFull(w.Secret, b[:]); err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(b[:]), nil
}
