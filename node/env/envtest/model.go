package envtest

import (
	"bytes"
	"fmt"
	"maps"
	"slices"

	"github.com/klammlog/klamm/internal/assert"
	"github.com/klammlog/klamm/node/env"
)

// A State is what a disk holds: the bytes of each file by its path, and nil for
// each directory.
type State map[string][]byte

// Capture reads everything below the root. Blocks.
func Capture(fs env.FS) (State, error) {
	s := make(State)
	return s, s.capture(fs, ".")
}

func (s State) capture(fs env.FS, dir string) error {
	names, err := fs.ReadDir(dir)
	if err != nil {
		return err
	}
	slices.Sort(names)
	for _, name := range names {
		path := name
		if dir != "." {
			path = dir + "/" + name
		}
		info, err := fs.Stat(path)
		if err == nil && info.IsDir {
			s[path] = nil
			err = s.capture(fs, path)
		} else if err == nil {
			s[path], err = readFile(fs, path)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func readFile(fs env.FS, path string) ([]byte, error) {
	f, err := fs.OpenFile(path, env.ReadOnly)
	if err != nil {
		return nil, err
	}
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	p, err := load(f, 0, int(size))
	return p, first(err, f.Close())
}

// Diff says in what s differs from want; "" if in nothing.
func (s State) Diff(want State) string {
	paths := slices.Sorted(maps.Keys(s))
	if missing := slices.DeleteFunc(slices.Sorted(maps.Keys(want)), func(p string) bool {
		_, ok := s[p]
		return ok
	}); len(missing) > 0 {
		return fmt.Sprintf("%q are missing", missing)
	}
	for _, path := range paths {
		mine, theirs := s[path], want[path]
		if _, ok := want[path]; !ok {
			return fmt.Sprintf("%s should not be there", path)
		}
		if (mine == nil) != (theirs == nil) {
			return fmt.Sprintf("%s is a directory: %v, should be: %v", path, mine == nil, theirs == nil)
		}
		if err := same(path, mine, theirs); err != nil {
			return err.Error()
		}
	}
	return ""
}

// A Model is the dumbest disk: what operations do when all of them complete.
type Model struct{ state State }

// NewModel returns an empty disk.
func NewModel() *Model { return &Model{make(State)} }

// State returns what the disk holds. It shares the model's memory until the next
// Do of the same file.
func (m *Model) State() State { return maps.Clone(m.state) }

// Do carries out one operation. It never changes bytes in place.
func (m *Model) Do(op Op) {
	old, exists := m.state[op.Path]
	assert.That(exists || op.Kind == OpCreate || op.Kind == OpMkdir || op.Kind == OpSyncDir,
		"script: %s: no such file", op)
	switch op.Kind {
	case OpCreate:
		m.state[op.Path] = []byte{}
	case OpMkdir:
		m.state[op.Path] = nil
	case OpWrite:
		m.state[op.Path] = written(old, pattern(op.Seed, int(op.N)), op.Off)
	case OpTruncate:
		m.state[op.Path] = resized(old, op.N)
	case OpAllocate:
		m.state[op.Path] = resized(old, max(int64(len(old)), op.Off+op.N))
	case OpRename:
		delete(m.state, op.Path)
		m.state[op.To] = old
	case OpRemove:
		delete(m.state, op.Path)
	}
}

func written(old, p []byte, off int64) []byte {
	fresh := resized(old, max(int64(len(old)), off+int64(len(p))))
	copy(fresh[off:], p)
	return fresh
}

func resized(old []byte, n int64) []byte {
	fresh := make([]byte, n)
	copy(fresh, old)
	return fresh
}

func (m *Model) files() []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(m.state)), func(p string) bool { return m.state[p] == nil })
}

func (m *Model) size(path string) int64 { return int64(len(m.state[path])) }

// CheckKilled reports whether the contract allows a disk to hold got after a
// process was killed that had completed so many operations of s. All of those
// must have had their effect, and no other may have had any, but for the next:
// it may have been in flight. CheckKilled tells what it did.
func (s Script) CheckKilled(completed int, got State) (Effect, error) {
	m := NewModel()
	for _, op := range s[:completed] {
		m.Do(op)
	}
	before := got.Diff(m.State())
	if before == "" {
		return NoEffect, nil
	}
	if completed == len(s) {
		return NoEffect, fmt.Errorf("after all %d operations: %s", completed, before)
	}
	op := s[completed]
	old := m.state[op.Path]
	m.Do(op)
	after := got.Diff(m.State())
	if after == "" {
		return WholeEffect, nil
	}
	if part := partOf(op, old, got[op.Path]); part != nil {
		m.state[op.Path] = part
		if got.Diff(m.State()) == "" {
			return PartEffect, nil
		}
	}
	return NoEffect, fmt.Errorf("after %d operations: %s; with %q as well: %s", completed, before, op, after)
}

// An Effect is how much came of the operation that was in flight.
type Effect int

// The effects: none, the first bytes of a write or the first part of an
// allocation, all.
const (
	NoEffect Effect = iota
	PartEffect
	WholeEffect
)

// partOf returns what op, cut short, made of the file with the bytes old, if that
// can explain got; nil if it cannot.
func partOf(op Op, old, got []byte) []byte {
	switch op.Kind {
	case OpWrite:
		p := pattern(op.Seed, int(op.N))
		done := int64(len(got)) - op.Off // a growing write ends where the file does
		if len(got) == len(old) {
			done = int64(agreement(got[min(op.Off, int64(len(got))):], p))
		}
		if done > 0 && done <= op.N {
			return written(old, p[:done], op.Off)
		}
	case OpAllocate:
		if len(got) > len(old) && int64(len(got)) <= op.Off+op.N {
			return resized(old, int64(len(got)))
		}
	}
	return nil
}

// agreement returns how many bytes a and b have in common at their beginnings.
func agreement(a, b []byte) int {
	n := min(len(a), len(b))
	if bytes.Equal(a[:n], b[:n]) {
		return n
	}
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}
