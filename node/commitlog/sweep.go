package commitlog

import (
	"errors"
	"slices"
	"time"

	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
)

// A sweeper removes the files of deleted segments a while after they got the
// suffix .deleted, so that who is reading them finds them. It has a task only
// while there is something to remove.
type sweeper struct {
	d       *Dir
	waiting []rubbish // by due
	running bool
}

type rubbish struct {
	log  *Log
	path string
	due  kafka.Instant
}

// sweepPoll is how often the sweeper looks for what became due earlier than what
// it waits for.
const sweepPoll = time.Second

// remove renames the files of segments that the manifest does not list any more
// and has them removed later. Blocks.
func (w *sweeper) remove(l *Log, gone []*segment) error {
	due := w.d.w.Now().Add(l.o.Config.FileDeleteDelay)
	for _, s := range gone {
		for _, suffix := range []string{logSuffix, indexSuffix, snapshotSuffix} {
			path := s.file(suffix)
			err := w.d.fs.Rename(path, path+deletedSuffix)
			if errors.Is(err, env.ErrNotExist) {
				continue
			}
			if err != nil {
				return l.judge("rename "+path, err)
			}
			w.waiting = append(w.waiting, rubbish{l, path + deletedSuffix, due})
		}
	}
	if err := w.d.fs.SyncDir(l.o.Path); err != nil {
		return w.d.fail("sync directory "+l.o.Path, err)
	}
	if !w.running && len(w.waiting) > 0 {
		w.running = true
		w.d.w.Go("sweep "+w.d.name, w.run)
	}
	return nil
}

// run is the sweeper task.
func (w *sweeper) run() {
	for len(w.waiting) > 0 && w.d.failed == nil {
		now := w.d.w.Now()
		i := slices.IndexFunc(w.waiting, func(r rubbish) bool { return r.due <= now })
		if i < 0 {
			if err := w.d.w.Sleep(sweepPoll); err != nil {
				break
			}
			continue
		}
		r := w.waiting[i]
		w.waiting = slices.Delete(w.waiting, i, i+1)
		w.unlink(r)
	}
	w.running = false
}

// unlink removes a file. What cannot be removed is left to the next recovery.
func (w *sweeper) unlink(r rubbish) {
	if err := w.d.fs.Remove(r.path); err != nil && !errors.Is(err, env.ErrNotExist) {
		w.d.w.Log.Warn("cannot remove a deleted segment", "path", r.path, "err", err)
	}
}

// finish removes now what waits of a log, or of all. Blocks.
func (w *sweeper) finish(logs ...*Log) error {
	for {
		i := slices.IndexFunc(w.waiting, func(r rubbish) bool { return len(logs) == 0 || slices.Contains(logs, r.log) })
		if i < 0 {
			return nil
		}
		r := w.waiting[i]
		w.waiting = slices.Delete(w.waiting, i, i+1)
		w.unlink(r)
	}
}
