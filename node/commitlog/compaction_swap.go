package commitlog

import (
	"errors"
	"fmt"
	"slices"

	"github.com/klammlog/klamm/internal/assert"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
)

// A swap puts one compacted segment in the place of those it was made of. The
// manifest decides, files follow:
//
//  1. the new .log and .index are written beside the old, with a suffix, and
//     synced, the directory too
//  2. facts: a swap of this range is prepared; the segment at its base is sealed
//     with these numbers and this end. The second is the commitment: it covers
//     the other segments, whose facts are void from then on
//  3. the files take the names of the old ones; the directory is synced
//  4. fact: the swap is done
//  5. the files of the other segments are removed
//
// A crash before 2 leaves the old segments and rubbish. A crash between 2 and 4 is
// finished by the next Open, which needs nothing but the manifest to know of it.
// Rubbish of a later swap is never taken for the files of an unfinished one,
// because none begins before the one before is done.

// cleanedSuffix marks the files of a swap that is not committed. It ends as what
// recovery removes.
const cleanedSuffix = ".cleaned" + tempSuffix

// A swapping is a swap that is not done.
type swapping struct {
	base, end kafka.Offset
	committed bool
}

// Stages of a swap, the third number of its fact.
const (
	swapPrepared = 0
	swapDone     = 1
)

func swapFact(base, end kafka.Offset, stage int64, cleaned kafka.Offset) fact {
	return fact{is: factSwap, n: [6]int64{int64(base), int64(end), stage, int64(cleaned)}}
}

// swap notes a stage. A swap that is done also tells up to where compaction knows
// every key.
func (c *catalog) swap(f fact) {
	if f.n[2] == swapPrepared {
		c.swapping = &swapping{base: kafka.Offset(f.n[0]), end: kafka.Offset(f.n[1])}
		return
	}
	c.swapping, c.cleaned = nil, kafka.Offset(f.n[3])
}

// commitSwap voids the segments that a prepared swap replaces, once its own
// segment is sealed.
func (c *catalog) commitSwap(s listed) {
	w := c.swapping
	if w == nil || w.base != s.base || w.end != s.end {
		return
	}
	c.segments = slices.DeleteFunc(c.segments, func(k listed) bool { return k.base > s.base && k.base < s.end })
	w.committed = true
}

// swapFacts returns what a rewritten manifest has to say before it seals
// segments.
func (c *catalog) swapFacts() []fact {
	var fs []fact
	if c.cleaned > 0 {
		fs = append(fs, swapFact(0, 0, swapDone, c.cleaned))
	}
	if w := c.swapping; w != nil && w.committed {
		fs = append(fs, swapFact(w.base, w.end, swapPrepared, 0))
	}
	return fs
}

// finishSwap does what is left of a swap that a crash or a full disk
// interrupted. Blocks.
func (l *Log) finishSwap() error {
	c := &l.manifest.catalog
	w := c.swapping
	if w == nil {
		return nil
	}
	if w.committed {
		l.w.Probe("open finished a swap of segments")
		i, found := c.find(w.base)
		if !found {
			return fmt.Errorf("%w: swapped segment %d is not listed", ErrQuarantined, w.base)
		}
		if err := l.manifest.prove(); err != nil {
			return err
		}
		if err := l.renameCleaned(c.list()[i]); err != nil {
			return err
		}
	}
	err := l.manifest.append(mustFit, swapFact(w.base, w.end, swapDone, c.cleaned))
	if passing(err) {
		return nil // it is as good as done, and will be said later
	}
	return err
}

// renameCleaned gives the files of a committed swap their names, as far as they
// do not have them. Blocks.
func (l *Log) renameCleaned(k listed) error {
	if err := l.checkCleaned(k); err != nil {
		return err
	}
	for _, suffix := range []string{logSuffix, indexSuffix} {
		to := l.o.Path + "/" + fileName(k.base, suffix)
		err := l.dir.fs.Rename(to+cleanedSuffix, to)
		if err != nil && !errors.Is(err, env.ErrNotExist) {
			return l.judge("rename "+to+cleanedSuffix, err)
		}
	}
	if err := l.dir.fs.SyncDir(l.o.Path); err != nil {
		return l.dir.fail("sync directory "+l.o.Path, err)
	}
	return nil
}

// checkCleaned looks whether the .log of a committed swap is there, under one of
// its names. Blocks.
func (l *Log) checkCleaned(k listed) error {
	path := l.o.Path + "/" + fileName(k.base, logSuffix)
	info, err := l.dir.fs.Stat(path + cleanedSuffix)
	if errors.Is(err, env.ErrNotExist) {
		info, err = l.dir.fs.Stat(path)
	}
	if err != nil && !errors.Is(err, env.ErrNotExist) {
		return err
	}
	if err != nil || info.Size != k.size {
		return fmt.Errorf("%w: compacted %s has %d bytes of %d that had been synced", ErrQuarantined, path, info.Size, k.size)
	}
	return nil
}

// swapIn puts s in the place of olds, whose log and index files it was made of.
// cleaned is what is known to be clean afterwards. The caller has the log's care:
// meanwhile the log may grow, and its start move, but nothing else. Blocks.
func (l *Log) swapIn(s *segment, olds []*segment, cleaned kafka.Offset) error {
	c := &l.manifest.catalog
	// Whoever finds an old segment until it is replaced below reads its old
	// files, which stay open.
	unpin, err := pinAll(olds)
	defer unpin()
	if err != nil {
		return l.judge("open "+olds[0].String(), err)
	}
	prepared := swapFact(s.base, s.end, swapPrepared, 0)
	if err := l.manifest.append(mayWait, prepared, s.sealFact()); err != nil {
		return err
	}
	i, found := c.find(s.base)
	assert.That(found, "%s: sealed and not listed", s)
	if err := l.renameCleaned(c.list()[i]); err != nil {
		return l.dir.fail("swap "+s.String(), err)
	}
	at := slices.Index(l.segments(), olds[0])
	l.known = slices.Replace(l.segments(), at, at+len(olds), s)
	for _, old := range olds {
		old.gone = true
	}
	l.swaps++
	l.w.Probe("compaction swapped segments")
	err = l.manifest.append(mustFit, swapFact(s.base, s.end, swapDone, cleaned))
	if err != nil && !passing(err) {
		return err
	}
	return l.dir.sweep.remove(l, olds[1:])
}

// pinAll keeps the files of segments open until the result is called.
func pinAll(segments []*segment) (unpin func(), err error) {
	var pinned []*slot
	unpin = func() {
		for _, s := range pinned {
			s.unpin()
		}
		pinned = nil
	}
	for _, s := range segments {
		for _, slot := range []*slot{s.log(), s.index.file()} {
			_, err := slot.pin()
			if errors.Is(err, env.ErrNotExist) && slot != s.log() {
				continue // an index is never needed
			}
			if err != nil {
				return unpin, err
			}
			pinned = append(pinned, slot)
		}
	}
	return unpin, nil
}
