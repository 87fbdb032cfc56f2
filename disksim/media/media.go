// Package media decides what a disk shows, before and after a crash.
//
// A Volume holds two images of one directory tree. The cache is what a running
// process sees. The durable image is what is left when the power goes. Between
// them stand the effects: every change of the cache that is not durable yet, in
// the order of issue. A page of a file, with the sectors it changes. A size. A new
// inode. An entry that is linked, unlinked or renamed. Sync and SyncDir move
// effects to the durable image; nothing else gives a guarantee.
//
// After a power loss the cache is the durable image plus a subset of the effects,
// which a Profile restricts:
//
//   - Posix: no order at all. Each page is old, new, or torn between sectors of
//     512 bytes; sizes do not wait for pages; each directory entry is old or new.
//   - Ext4Ordered: inodes, sizes and entries form one journal, of which a prefix
//     survives, at least up to the last successful sync of anything. A file is
//     only longer if the pages allocated for it are there. Overwrites are free.
//   - XFSLike: the same, and a file is only longer if all its new bytes are there.
//   - Prefix: a prefix of all effects.
//
// In every profile a directory entry is never in neither of its states: changes of
// one name keep their order, a rename loses no file, and a directory is gone only
// after everything was moved out of it.
//
// The package is pure: no time, no waiting, and all randomness is handed in.
// Pages are shared between the images and copied on write, so a volume costs
// memory for what differs.
package media

import (
	"github.com/klammlog/klamm/node/env"
)

// Sizes of what is written at once.
const (
	PageSize   = 4096
	SectorSize = 512

	pageShift      = 12
	sectorsPerPage = PageSize / SectorSize
	allSectors     = 1<<sectorsPerPage - 1
)

// A Volume is one file system: a cache image, a durable image, and the effects
// in between.
//
// Invariants, checked by Check:
//
//  1. without divergence (a failed sync, a lost write, rot), durable image plus
//     pending effects in order of issue is the cache
//  2. the effects of an inode are in order of issue, as are those on entries
//  3. used is the number of pages that reachable or open inodes occupy
type Volume struct {
	pool     pool
	root     *Inode
	inodes   []*Inode // in order of creation, so that walks are deterministic
	freed    int      // how many of inodes are free
	nextID   uint64
	seq      uint64   // of the last effect
	journal  uint64   // metadata up to here was committed by a successful sync
	entries  []Effect // pending effects on directory entries
	pending  int      // all pending effects
	used     int64    // pages
	capacity int64    // pages
}

// New returns an empty volume that holds up to capacity bytes.
func New(capacity int64) *Volume {
	v := &Volume{capacity: capacity / PageSize}
	v.pool.init()
	v.root = v.newInode(Directory)
	v.root.allocated = true
	v.root.links, v.root.durableLinks = 1, 1
	return v
}

// Seq returns the number of the last effect issued. A sync covers what was
// issued before it began: up to the Seq of that moment.
func (v *Volume) Seq() uint64 { return v.seq }

// Pending returns how many effects are not durable.
func (v *Volume) Pending() int { return v.pending }

// Usage returns the free and the total bytes.
func (v *Volume) Usage() (free, total int64) {
	return max(0, v.capacity-v.used) * PageSize, v.capacity * PageSize
}

// SetCapacity changes the total bytes. It may be less than what is used.
func (v *Volume) SetCapacity(bytes int64) { v.capacity = bytes / PageSize }

// issue numbers an effect on an inode's content and makes it pending.
func (v *Volume) issue(e Effect) {
	v.seq++
	v.pending++
	e.Seq = v.seq
	e.ino.pending = append(e.ino.pending, e)
}

// issueEntry numbers an effect on a directory entry and makes it pending.
func (v *Volume) issueEntry(e Effect) {
	v.seq++
	v.pending++
	e.Seq = v.seq
	e.ino.pendingLinks++
	v.entries = append(v.entries, e)
}

// errFull says that the volume has no page left.
var errFull = env.ErrNoSpace
