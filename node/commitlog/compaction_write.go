package commitlog

import (
	"errors"

	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/record"
)

// A cleanedFile is a compacted segment's .log while it is being written.
type cleanedFile struct {
	l  *Log
	s  *segment // what it will be
	f  env.File
	at int64
}

// writeCleaned writes what is kept of the segments olds into the files of s,
// under their names with the suffix, and syncs them. Blocks.
func (p *compaction) writeCleaned(s *segment, olds []*segment) error {
	l := p.l
	path := s.file(logSuffix) + cleanedSuffix
	f, err := l.dir.fs.OpenFile(path, env.Write|env.Create|env.Trunc)
	if err != nil {
		return l.judge("create "+path, err)
	}
	w := &cleanedFile{l: l, s: s, f: f}
	for _, old := range olds {
		if err = p.because(old, p.copyCleaned(w, old)); err != nil {
			break
		}
	}
	if err == nil {
		if err = f.Sync(); err != nil {
			err = l.dir.fail("sync "+path, err)
		}
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	last := olds[len(olds)-1]
	s.end = last.end // behind its last batch may be a gap, as there was before
	s.durable, s.began = s.size, last.began
	s.fresh, s.sealed, s.ready, s.settled = true, true, true, true
	s.follows = olds[0].follows
	return l.writeCleanedIndex(s)
}

// copyCleaned appends what is kept of one segment.
func (p *compaction) copyCleaned(w *cleanedFile, old *segment) error {
	interval := max(1, p.l.o.Config.IndexInterval)
	clean := func(b record.Batch) (err error) {
		n := len(p.out)
		if p.out, err = p.cleaner.cleanBatch(p.out, b); err != nil || len(p.out) == n {
			return err
		}
		kept, _, err := record.View(p.out[n:])
		if err == nil {
			w.note(kept, w.at+int64(n), interval)
		}
		return err
	}
	return p.eachChunk(old, clean, func() error {
		err := w.write(p.out)
		if err == nil {
			err = p.l.pay(p.l.o.Throttle, int64(len(p.out)))
		}
		p.out = p.out[:0]
		return err
	})
}

// note counts a batch that will be written at a position. Nobody else knows the
// segment yet.
func (w *cleanedFile) note(b record.Batch, at, interval int64) {
	gap := b.BaseOffset() != w.s.end // only an entry vouches for that
	w.s.observe(headOf(b, at))
	if gap || w.s.index.due(at, interval) {
		w.s.index.note(entryOf(b, at), w.s)
	}
}

// write appends whole batches.
func (w *cleanedFile) write(b []byte) error {
	if _, err := writeFull(w.f, b, w.at); err != nil {
		return w.l.judge("write "+w.s.String()+cleanedSuffix, err)
	}
	w.at += int64(len(b))
	w.l.stats.CompactWritten += uint64(len(b))
	return nil
}

// writeCleanedIndex writes the index of a compacted segment, whose log is
// synced. Blocks.
func (l *Log) writeCleanedIndex(s *segment) error {
	h := s.index.header(l)
	h.number = l.dir.number()
	seed := h.seed()
	b := h.encode()
	for i, e := range s.index.waiting {
		e.proven, e.cut = s.durable, l.manifest.catalog.cuts
		b = append(b, make([]byte, entrySize)...)
		e.encode(b[headerSize+i*entrySize:], s.base, seed)
	}
	path := s.file(indexSuffix) + cleanedSuffix
	f, err := l.dir.fs.OpenFile(path, env.Write|env.Create|env.Trunc)
	if err != nil {
		return l.judge("create "+path, err)
	}
	_, err = writeFull(f, b, 0)
	if err != nil {
		err = l.judge("write "+path, err)
	} else if err = f.Sync(); err != nil {
		err = l.dir.fail("sync "+path, err)
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	n := len(s.index.waiting)
	s.index.waiting, s.index.entries, s.index.synced = nil, n, n
	s.index.seed, s.index.opened = seed, true
	if err := l.dir.fs.SyncDir(l.o.Path); err != nil {
		return l.dir.fail("sync directory "+l.o.Path, err)
	}
	return nil
}
