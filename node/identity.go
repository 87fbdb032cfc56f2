package node

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"

	"github.com/klammlog/klamm/internal/assert"
	"github.com/klammlog/klamm/node/broker"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
)

// An Identity says whose a log directory is. It is written when the directory is
// formatted, or when a node that was not formatted learns its cluster's name, and
// never changes. A node whose settings say otherwise does not start.
type Identity struct {
	Directory meta.DirectoryID
	NodeID    kafka.NodeID
	ClusterID string

	// Voters are the controllers that it was formatted with, as
	// controller.quorum.voters has them, by id; "" if it was formatted without.
	Voters string
}

const (
	identityFile  = "node"
	identityMagic = "KLND"

	identityVersion = 1 // without voters
	identityVoters  = 2 // with them

	maxClusterID = 249      // bytes
	maxVoters    = 16 << 10 // bytes
	maxIdentity  = 4 + 2 + 16 + 4 + 2 + maxClusterID + 2 + maxVoters + 4
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// encode returns the file: magic, version, directory, node, cluster, voters if
// there are any, checksum.
func (i Identity) encode() []byte {
	version := uint16(identityVersion)
	if i.Voters != "" {
		version = identityVoters
	}
	b := append([]byte(nil), identityMagic...)
	b = binary.BigEndian.AppendUint16(b, version)
	b = append(b, i.Directory[:]...)
	b = binary.BigEndian.AppendUint32(b, uint32(i.NodeID))
	b = binary.BigEndian.AppendUint16(b, uint16(len(i.ClusterID)))
	b = append(b, i.ClusterID...)
	if version == identityVoters {
		b = binary.BigEndian.AppendUint16(b, uint16(len(i.Voters)))
		b = append(b, i.Voters...)
	}
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// decodeIdentity reads what encode writes.
func decodeIdentity(b []byte) (Identity, error) {
	const fixed = 4 + 2 + 16 + 4
	if len(b) < fixed+2+4 || string(b[:4]) != identityMagic {
		return Identity{}, fmt.Errorf("file %s: %d bytes that klamm did not write", identityFile, len(b))
	}
	version := binary.BigEndian.Uint16(b[4:])
	if version != identityVersion && version != identityVoters {
		return Identity{}, fmt.Errorf("file %s: version %d, known are %d and %d", identityFile, version, identityVersion, identityVoters)
	}
	body, sum := b[:len(b)-4], binary.BigEndian.Uint32(b[len(b)-4:])
	i := Identity{Directory: meta.DirectoryID(b[6:22]), NodeID: kafka.NodeID(binary.BigEndian.Uint32(b[22:]))}
	rest, whole := body[fixed:], crc32.Checksum(body, castagnoli) == sum
	if whole {
		i.ClusterID, rest, whole = takeText(rest)
	}
	if whole && version == identityVoters {
		i.Voters, rest, whole = takeText(rest)
	}
	if !whole || len(rest) > 0 {
		return Identity{}, fmt.Errorf("file %s: damaged", identityFile)
	}
	return i, nil
}

// takeText takes a text behind its length off b.
func takeText(b []byte) (text string, rest []byte, ok bool) {
	if len(b) < 2 || int(binary.BigEndian.Uint16(b)) > len(b)-2 {
		return "", nil, false
	}
	end := 2 + int(binary.BigEndian.Uint16(b))
	return string(b[2:end]), b[end:], true
}

// readIdentity reads whose a directory is; env.ErrNotExist if nobody has said.
// Blocks.
func readIdentity(fs env.FS) (Identity, error) {
	f, err := fs.OpenFile(identityFile, env.ReadOnly)
	if err != nil {
		return Identity{}, err
	}
	b := make([]byte, maxIdentity+1)
	n := 0
	for n < len(b) && err == nil {
		var more int
		more, err = f.ReadAt(b[n:], int64(n))
		if n += more; more == 0 && err == nil {
			err = io.ErrNoProgress
		}
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return Identity{}, fmt.Errorf("file %s: %w", identityFile, err)
	}
	return decodeIdentity(b[:n])
}

// writeIdentity puts the file in place, durably, and all of it or nothing.
// Blocks.
func writeIdentity(fs env.FS, i Identity) error {
	assert.That(len(i.ClusterID) <= maxClusterID && len(i.Voters) <= maxVoters, "cluster id of %d bytes, voters of %d", len(i.ClusterID), len(i.Voters))
	f, err := fs.OpenFile(identityFile+".tmp", env.Write|env.Create|env.Trunc)
	if err != nil {
		return err
	}
	b := i.encode()
	for done := 0; done < len(b) && err == nil; {
		var n int
		n, err = f.WriteAt(b[done:], int64(done))
		if done += n; n == 0 && err == nil {
			err = io.ErrShortWrite
		}
	}
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := fs.Rename(identityFile+".tmp", identityFile); err != nil {
		return err
	}
	return fs.SyncDir(".")
}

// identify reads whose the log directories are, and refuses those of another node
// or cluster. It returns the cluster's name, "" if they are all new. Blocks.
func (n *Node) identify() (cluster string, err error) {
	for _, d := range n.dirs {
		i, err := readIdentity(d.FS)
		switch {
		case errors.Is(err, env.ErrNotExist):
			if err := n.checkUnowned(d); err != nil {
				return "", err
			}
			continue
		case err != nil:
			return "", fmt.Errorf("log directory %s: %w", d.Dir.Name(), err)
		case i.Directory != meta.DirectoryID(d.Dir.ID()):
			return "", fmt.Errorf("log directory %s: its file %s is that of directory %x", d.Dir.Name(), identityFile, i.Directory)
		case i.NodeID != n.id:
			return "", fmt.Errorf("log directory %s belongs to node %d", d.Dir.Name(), i.NodeID)
		case cluster != "" && cluster != i.ClusterID:
			return "", fmt.Errorf("log directory %s belongs to cluster %s, and %s to cluster %s", d.Dir.Name(), i.ClusterID, n.dirs[0].Dir.Name(), cluster)
		}
		cluster = i.ClusterID
	}
	return cluster, nil
}

// own makes the log directories this node's once it knows its cluster's name, and
// refuses to go on as part of another cluster than they are. Blocks.
func (n *Node) own(formatted string) error {
	cluster := n.Image().ClusterID()
	if formatted != "" && formatted != cluster {
		return fmt.Errorf("log directory %s belongs to cluster %s, and the controllers to cluster %s", n.dirs[0].Dir.Name(), formatted, cluster)
	}
	var kept []broker.LogDir
	for i, d := range n.dirs {
		err := n.sign(d, cluster)
		if err != nil && i == 0 {
			return fmt.Errorf("log directory %s: %w", d.Dir.Name(), err)
		}
		if err != nil { // what it might hold later nobody could tell whose it is
			n.lose(d.Dir.Name(), errors.Join(err, d.Dir.Close()))
			continue
		}
		kept = append(kept, d)
	}
	n.dirs = kept
	return nil
}

// sign writes whose a log directory is, if it does not say so. Blocks.
func (n *Node) sign(d broker.LogDir, cluster string) error {
	if _, err := readIdentity(d.FS); err == nil {
		return nil
	}
	return writeIdentity(d.FS, Identity{Directory: meta.DirectoryID(d.Dir.ID()), NodeID: n.id, ClusterID: cluster})
}

// Identities returns whose the log directories of a world are, those that nobody
// has formatted or used left out. It changes nothing. Blocks.
func Identities(w *env.World) ([]Identity, error) {
	var all []Identity
	for _, at := range w.LogDirs {
		i, err := readIdentity(at.FS)
		if errors.Is(err, env.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("log directory %s: %w", at.Name, err)
		}
		all = append(all, i)
	}
	return all, nil
}

// sortedNames lists what is in a log directory.
func sortedNames(fs env.FS) ([]string, error) {
	names, err := fs.ReadDir(".")
	slices.Sort(names)
	return names, err
}
