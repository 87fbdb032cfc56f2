package shards

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// A Folder is where the workers of one machine keep results and share out the shards of a
// plan.
//
// Invariants:
//
//  1. A shard is done if and only if its result file is there.
//  2. Who does a shard holds the lock on its claim file. The kernel gives the lock back
//     when the process ends, whatever it ends of.
//  3. A claim file is removed only after the result file has appeared, by who holds its
//     lock. So whoever gets a lock, even that of a file that was removed meanwhile, and
//     then sees no result file, is the only one to do the shard.
//
// Where locks do not work, as on some network disks, shards are done twice, and count
// once.
type Folder struct {
	plan *Plan
	dir  string
	done []bool // result files that were seen
	low  int    // all below are done
}

// NewFolder makes the folder if it is not there, and looks at what is in it: results of
// another plan are an error.
func NewFolder(p *Plan, dir string) (*Folder, error) {
	f := &Folder{plan: p, dir: dir, done: make([]bool, p.Shards())}
	if err := errors.Join(os.MkdirAll(dir, 0o755), p.CheckFolder(dir)); err != nil {
		return nil, err
	}
	for number := range f.done {
		s, err := p.Shard(number)
		if err != nil {
			return nil, err
		}
		if f.done[number], err = p.Done(dir, s); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// A Claim is the right to do a shard.
type Claim struct {
	Shard Shard
	file  *os.File
}

// Next claims a shard that nobody has done and nobody does. While others do all that are
// left it waits, as their workers may die. It returns nil when all are done. Blocks.
func (f *Folder) Next(ctx context.Context) (*Claim, error) {
	for {
		c, busy, err := f.free(ctx)
		if c != nil || err != nil || busy < 0 {
			return c, err
		}
		if c, err = f.take(ctx, busy, waiting); c != nil || err != nil {
			return c, err
		}
	}
}

// free claims the first shard that is neither done nor claimed. If there is none, busy is
// the first that another has claimed, or -1.
func (f *Folder) free(ctx context.Context) (c *Claim, busy int, err error) {
	busy = -1
	for n := f.low; n < len(f.done); n++ {
		if f.done[n] {
			if n == f.low {
				f.low++
			}
			continue
		}
		c, err := f.take(ctx, n, trying)
		if c != nil || err != nil && !errors.Is(err, syscall.EWOULDBLOCK) {
			return c, -1, err
		}
		if err != nil && busy < 0 {
			busy = n
		}
	}
	return nil, busy, nil
}

// How to take a lock.
const (
	trying  = syscall.LOCK_EX | syscall.LOCK_NB
	waiting = syscall.LOCK_EX
)

// take claims a shard, nil if it is done.
func (f *Folder) take(ctx context.Context, number, how int) (*Claim, error) {
	s, err := f.plan.Shard(number)
	if err != nil {
		return nil, err
	}
	if f.done[number], err = f.plan.Done(f.dir, s); f.done[number] || err != nil {
		return nil, err
	}
	file, err := os.OpenFile(filepath.Join(f.dir, claimName(number)), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := lock(ctx, file, how); err != nil {
		file.Close()
		return nil, err
	}
	// Second look: whoever had the lock may have done the shard.
	c := &Claim{s, file}
	if f.done[number], err = f.plan.Done(f.dir, s); f.done[number] {
		return nil, c.Finish()
	} else if err != nil {
		c.Abandon()
		return nil, err
	}
	return c, nil
}

func claimName(number int) string { return fmt.Sprintf("shard-%07d.claim", number) }

// lock locks a file, or returns EWOULDBLOCK or what ended ctx.
func lock(ctx context.Context, file *os.File, how int) error {
	locked := make(chan error, 1)
	go func() {
		for {
			err := syscall.Flock(int(file.Fd()), how)
			if !errors.Is(err, syscall.EINTR) {
				locked <- err
				return
			}
		}
	}()
	select {
	case err := <-locked:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Finish gives back the claim on a shard that is done.
func (c *Claim) Finish() error {
	err := os.Remove(c.file.Name())
	if errors.Is(err, os.ErrNotExist) {
		err = nil // who had it before has removed it
	}
	return errors.Join(err, c.file.Close())
}

// Abandon gives back the claim on a shard that is not done.
func (c *Claim) Abandon() error { return c.file.Close() }
