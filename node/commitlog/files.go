package commitlog

import (
	"errors"

	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
)

// files is the set of open files of a directory: up to limit, of which the least
// recently used are closed first; or as many as are in use at once, if that is
// more.
type files struct {
	w     *env.World
	fs    env.FS
	limit int
	open  int   // files that are open, or about to be
	idle  int   // of them, not pinned
	head  *slot // least recently used idle file
	last  *slot
}

// A slot is a file that is opened when it is needed. While it is pinned it stays
// open, and whoever pinned it can use it, also after the file's name is gone.
type slot struct {
	owner   *files
	path    string
	flag    env.Flag
	file    env.File
	pins    int
	busy    bool // being opened or closed
	changed env.Cond
	used    kafka.Instant

	prev, next *slot
	listed     bool
}

// slot returns a closed slot for a file.
func (fs *files) slot(path string, flag env.Flag) *slot {
	return &slot{owner: fs, path: path, flag: flag}
}

// pin opens the file if it is not open and keeps it so until unpin. Blocks.
func (s *slot) pin() (env.File, error) {
	fs := s.owner
	for s.busy {
		if err := s.wait(); err != nil {
			return nil, err
		}
	}
	if s.file != nil {
		s.pins++
		if s.listed {
			fs.unlist(s)
		}
		return s.file, nil
	}
	s.busy = true
	fs.open++ // before it is open: several may be at it at once
	err := fs.makeRoom()
	var f env.File
	if err == nil {
		f, err = fs.fs.OpenFile(s.path, s.flag)
	}
	s.release()
	if err != nil {
		fs.open--
		return nil, err
	}
	s.file, s.pins = f, s.pins+1
	return f, nil
}

func (s *slot) wait() error {
	if s.changed == nil {
		s.changed = s.owner.w.NewCond("file " + s.path)
	}
	return s.changed.Wait(kafka.Never)
}

func (s *slot) release() {
	s.busy = false
	if s.changed != nil {
		s.changed.Broadcast()
	}
}

// unpin lets the file be closed once nobody else has pinned it.
func (s *slot) unpin() {
	s.pins--
	if s.pins == 0 {
		s.used = s.owner.w.Now()
		s.owner.list(s)
	}
}

// close closes the file if nobody uses it. Blocks.
func (s *slot) close() error {
	if s.pins > 0 || s.file == nil || s.busy {
		return nil
	}
	s.owner.unlist(s)
	f := s.file
	s.file, s.busy = nil, true
	s.owner.open--
	err := f.Close()
	s.release()
	return err
}

// makeRoom closes the longest unused files until no more are open than may be.
func (fs *files) makeRoom() error {
	var errs []error
	for fs.idle > 0 && (fs.open > fs.limit || fs.w.Buggify("close every unused file")) {
		errs = append(errs, fs.head.close())
	}
	return errors.Join(errs...)
}

// closeIdle closes what was not used since the instant. Blocks.
func (fs *files) closeIdle(since kafka.Instant) error {
	var errs []error
	for fs.head != nil && fs.head.used < since {
		errs = append(errs, fs.head.close())
	}
	return errors.Join(errs...)
}

func (fs *files) closeAll() error {
	var errs []error
	for fs.head != nil {
		errs = append(errs, fs.head.close())
	}
	return errors.Join(errs...)
}

func (fs *files) list(s *slot) {
	s.listed = true
	fs.idle++
	s.prev, s.next = fs.last, nil
	if fs.last != nil {
		fs.last.next = s
	} else {
		fs.head = s
	}
	fs.last = s
}

func (fs *files) unlist(s *slot) {
	s.listed = false
	fs.idle--
	if s.prev != nil {
		s.prev.next = s.next
	} else {
		fs.head = s.next
	}
	if s.next != nil {
		s.next.prev = s.prev
	} else {
		fs.last = s.prev
	}
	s.prev, s.next = nil, nil
}
