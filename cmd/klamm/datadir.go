package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

// makeDirs makes the log directories that are missing and returns their absolute
// paths. undo removes those it made, as long as nothing is in them: a node that did
// not start leaves nothing behind.
func makeDirs(dirs []string) (paths []string, undo func(), err error) {
	var made []string
	undo = func() {
		for _, dir := range slices.Backward(made) {
			_ = os.Remove(dir) // not if it holds something
		}
	}
	for _, dir := range dirs {
		path, err := filepath.Abs(dir)
		if err != nil {
			undo()
			return nil, nil, err
		}
		if slices.Contains(paths, path) {
			undo()
			return nil, nil, usage(fmt.Errorf("log.dirs: %s stands there twice", dir))
		}
		paths = append(paths, path)
		some, err := makeDir(path)
		made = append(made, some...)
		if err != nil {
			undo()
			return nil, nil, err
		}
	}
	return paths, undo, nil
}

// makeDir makes a directory with those above it, and returns what it made, the
// uppermost first.
func makeDir(path string) ([]string, error) {
	var missing []string
	for at := path; ; at = filepath.Dir(at) {
		info, err := os.Stat(at)
		if err == nil && !info.IsDir() {
			return nil, fmt.Errorf("data directory %s: %s is a file", path, at)
		}
		if err == nil || !errors.Is(err, fs.ErrNotExist) && !isBelowFile(err) {
			break
		}
		missing = append(missing, at)
	}
	slices.Reverse(missing)
	for i, dir := range missing {
		if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return missing[:i], fmt.Errorf("data directory %s cannot be made: %w", path, err)
		}
	}
	return missing, nil
}

// isBelowFile reports whether a path leads through a file.
func isBelowFile(err error) bool { return errors.Is(err, syscall.ENOTDIR) }

// pathError returns the error of the operating system in err, without what it
// stands for.
func pathError(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path
	}
	return err
}
