package quorum

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/meta"
)

// Path is the directory, beside the metadata log, of a member's hard state and
// snapshots; observerPath that of a node that only follows.
const (
	Path         = "quorum"
	observerPath = "metadata"
)

const (
	stateName      = "state"
	snapshotPrefix = "snapshot-"
	temporary      = ".tmp" // ends the name of a file that is being written
)

// A store is a directory of files that are replaced whole.
type store struct {
	fs   env.FS
	path string
	id   meta.DirectoryID // of the log directory; zero reads those of any
}

// make makes the directory if it is not there, and durable what names it and what it
// names: a process before may have renamed a file into place and failed to sync that.
// This one finds the file, and must not rely on what a power loss would take back.
// Blocks.
func (s store) make() error {
	err := s.fs.Mkdir(s.path)
	if errors.Is(err, env.ErrExist) {
		err = nil
	}
	for _, dir := range []string{s.path, "."} {
		if err == nil {
			err = s.fs.SyncDir(dir)
		}
	}
	if err != nil {
		return fmt.Errorf("%s: %w", s.path, err)
	}
	return nil
}

// write makes a file durable under its name, in place of what had it. Blocks.
func (s store) write(name string, k fileKind, body []byte) error {
	full := s.path + "/" + name
	err := writeSynced(s.fs, full+temporary, seal(k, s.id, body))
	if err == nil {
		err = s.fs.Rename(full+temporary, full)
	}
	if err == nil {
		err = s.fs.SyncDir(s.path)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", full, err)
	}
	return nil
}

// read returns what write wrote, env.ErrNotExist if nothing was. Blocks.
func (s store) read(name string, k fileKind, limit int64) ([]byte, error) {
	full := s.path + "/" + name
	b, err := readFile(s.fs, full, limit+int64(headerSize+sumSize))
	if err == nil {
		b, err = unseal(k, s.id, b)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", full, err)
	}
	return b, nil
}

// saveState makes the hard state durable. Blocks.
func (s store) saveState(h hardState) error { return s.write(stateName, kindState, h.encode()) }

// loadState reads the hard state, env.ErrNotExist if none was ever written.
// Blocks.
func (s store) loadState() (hardState, error) {
	b, err := s.read(stateName, kindState, maxState)
	if err != nil {
		return hardState{}, err
	}
	h, err := decodeState(b)
	if err != nil {
		return hardState{}, fmt.Errorf("%s/%s: %w", s.path, stateName, err)
	}
	return h, nil
}

// saveSnapshot makes a snapshot durable. Blocks.
func (s store) saveSnapshot(snap *snapshot) error {
	return s.write(snap.name(), kindSnapshot, snap.encode())
}

// loadSnapshot reads the newest snapshot, nil if there is none. An older one is
// no substitute for one that is damaged: the log has forgotten what is between
// them. Blocks.
func (s store) loadSnapshot() (*snapshot, error) {
	names, _, err := s.snapshots()
	if err != nil || len(names) == 0 {
		return nil, err
	}
	return s.readSnapshot(names[len(names)-1])
}

func (s store) readSnapshot(name string) (*snapshot, error) {
	b, err := s.read(name, kindSnapshot, maxSnapshot+1<<20)
	if err != nil {
		return nil, err
	}
	snap, err := decodeSnapshot(b)
	if err == nil && snap.name() != name {
		err = fmt.Errorf("holds what belongs into %s: %w", snap.name(), errMalformed)
	}
	if err != nil {
		return nil, fmt.Errorf("%s/%s: %w", s.path, name, err)
	}
	return snap, nil
}

// snapshots returns the names of the snapshots, oldest first, and of files that
// were being written when the process ended. Blocks.
func (s store) snapshots() (whole, left []string, err error) {
	names, err := s.fs.ReadDir(s.path)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", s.path, err)
	}
	slices.Sort(names)
	for _, n := range names {
		switch {
		case strings.HasSuffix(n, temporary):
			left = append(left, n)
		case strings.HasPrefix(n, snapshotPrefix):
			whole = append(whole, n)
		}
	}
	return whole, left, nil
}

// tidy removes what the newest snapshot stands for, and what a crash left half
// written. Nothing is being written meanwhile. Blocks.
func (s store) tidy() error {
	whole, left, err := s.snapshots()
	if err != nil {
		return err
	}
	if len(whole) > 0 {
		left = append(left, whole[:len(whole)-1]...)
	}
	for _, name := range left {
		if err := s.fs.Remove(s.path + "/" + name); err != nil && !errors.Is(err, env.ErrNotExist) {
			return fmt.Errorf("%s/%s: %w", s.path, name, err)
		}
	}
	return nil
}
