package node

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/klammlog/klamm/node/commitlog"
	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
)

// A FormatOptions says whose log directories become.
type FormatOptions struct {
	NodeID    kafka.NodeID
	ClusterID string // "": a new one is drawn

	// Voters are the controllers that the cluster begins with; a node that starts
	// on the directories needs no controller.quorum.voters then. None: what is
	// written there stays.
	Voters []config.Voter
}

// votersText returns voters as controller.quorum.voters has them, by id.
func votersText(voters []config.Voter) string {
	var items []string
	for _, v := range slices.SortedFunc(slices.Values(voters), func(a, b config.Voter) int { return cmp.Compare(a.ID, b.ID) }) {
		items = append(items, fmt.Sprintf("%d@%s", v.ID, v.Address))
	}
	return strings.Join(items, ",")
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
	voters := votersText(o.Voters)
	if len(o.ClusterID) > maxClusterID || len(voters) > maxVoters {
		return "", fmt.Errorf("cluster id of %d bytes, voters of %d: more than %d and %d", len(o.ClusterID), len(voters), maxClusterID, maxVoters)
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
		case voters != "" && voters != i.Voters:
			return "", fmt.Errorf("log directory %s is formatted with %s, not with %s", at.Name, i.votersTold(), voters)
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
		i = Identity{Directory: meta.DirectoryID(d.ID()), NodeID: o.NodeID, ClusterID: o.ClusterID, Voters: votersText(o.Voters)}
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

// votersTold names the voters in an identity.
func (i Identity) votersTold() string {
	if i.Voters == "" {
		return "no voters"
	}
	return "the voters " + i.Voters
}

// adoptVoters takes the voters that the log directories were formatted with for
// the node's, where its configuration names none. One that names others is
// refused; where they are it may say anew, since voters may move. Blocks.
func (n *Node) adoptVoters() error {
	configured := config.VotersIn(n.settings)
	formatted, err := formattedVoters(n.w)
	switch {
	case err != nil:
		return err
	case formatted.Voters == "" && len(configured) == 0 && !config.IsController(n.settings):
		return fmt.Errorf("process.roles=broker: controller.quorum.voters is not set, and no log directory is formatted with voters: %w", kafka.ErrInvalidConfig)
	case formatted.Voters == "":
		return nil
	case len(configured) > 0:
		return formatted.checkVoters(configured)
	}
	n.settings, err = n.settings.WithVoters(formatted.Voters)
	if err != nil {
		return fmt.Errorf("formatted with %s: %w", formatted.votersTold(), err)
	}
	voters := config.VotersIn(n.settings)
	if config.IsController(n.settings) && !slices.ContainsFunc(voters, func(v config.Voter) bool { return v.ID == n.id }) {
		n.w.Log.Info("controller is not among the voters: it waits to be added", "controller", int(n.id), "voters", formatted.Voters)
	}
	return nil
}

// formattedVoters returns an identity with the voters that the log directories were
// formatted with, if any was. What cannot be read is told by who takes the
// directory into use. Blocks.
func formattedVoters(w *env.World) (Identity, error) {
	var found Identity
	for _, at := range w.LogDirs {
		i, err := readIdentity(at.FS)
		switch {
		case err != nil || i.Voters == "":
		case found.Voters == "":
			found = i
		case found.Voters != i.Voters:
			return Identity{}, fmt.Errorf("log directory %s is formatted with %s, another with %s", at.Name, i.votersTold(), found.Voters)
		}
	}
	return found, nil
}

// checkVoters refuses other voters than those of the identity.
func (i Identity) checkVoters(configured []config.Voter) error {
	var ids []string
	for _, v := range configured {
		ids = append(ids, fmt.Sprint(v.ID))
	}
	var formatted []string
	for _, item := range strings.Split(i.Voters, ",") {
		id, _, _ := strings.Cut(item, "@")
		formatted = append(formatted, id)
	}
	if slices.Equal(ids, formatted) {
		return nil
	}
	return fmt.Errorf("controller.quorum.voters=%s: the log directories are formatted with %s: leave the setting out, or name the same ids: %w",
		votersText(configured), i.votersTold(), kafka.ErrInvalidConfig)
}
