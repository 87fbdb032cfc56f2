package media

import "fmt"

// A Kind says what an effect changes.
type Kind uint8

// The kinds of effects.
const (
	Page    Kind = iota // sectors of one page of a file
	Size                // a file's size; shrinking also drops the bytes beyond
	Reserve             // pages set aside for a file, reading as zeros
	Alloc               // the inode of a new file or directory
	Link                // a new entry for a new inode
	Unlink              // an entry removed
	Rename              // an entry moved, replacing what was at the new name
)

func (k Kind) String() string {
	return [...]string{"page", "size", "reserve", "alloc", "link", "unlink", "rename"}[k]
}

// An Effect is one change that the cache has and the durable image has not.
type Effect struct {
	Seq  uint64 // order of issue
	Kind Kind
	Mask uint8 // Page: the sectors it changes, bit 0 the first

	at   int64 // Page, Reserve: the page's index. Size: the size before
	n    int64 // Size: the size after. Reserve: how many pages
	page *page // Page: the page as it was after the change
	ino  *Inode
	move *move // Link, Unlink, Rename
}

// A move names the entries that an effect touches. Link has only a new name,
// Unlink only an old one.
type move struct {
	from, to         *Inode // directories
	fromName, toName string

	// rest marks the Unlink of an old name whose file has its new name durably:
	// it is under the rules of the rename it is left of.
	rest bool
}

// What of an effect survives a crash is one byte: for a Page the sectors, for the
// others one of these.
const (
	lost    uint8 = 0
	whole   uint8 = 1 // all kinds but Page and a Rename between directories
	newName uint8 = 1 // such a Rename: the new name is there, and the old one still
	moved   uint8 = 3 // such a Rename: the old name is gone, too
)

// full returns the byte that stands for all of the effect.
func (e *Effect) full() uint8 {
	switch {
	case e.Kind == Page:
		return e.Mask
	case e.crossDirectory():
		return moved
	}
	return whole
}

func (e *Effect) crossDirectory() bool { return e.Kind == Rename && e.move.from != e.move.to }
func (e *Effect) isEntry() bool        { return e.move != nil }
func (e *Effect) isMetadata() bool     { return e.Kind != Page }
func (e *Effect) grows() bool          { return e.Kind == Size && e.n > e.at }
func (e *Effect) shrinks() bool        { return e.Kind == Size && e.n < e.at }

// String describes the effect: "page inode=3 index=5 sectors=0f".
func (e Effect) String() string {
	switch e.Kind {
	case Page:
		return fmt.Sprintf("page inode=%d index=%d sectors=%02x", e.ino.id, e.at, e.Mask)
	case Size:
		return fmt.Sprintf("size inode=%d from=%d to=%d", e.ino.id, e.at, e.n)
	case Reserve:
		return fmt.Sprintf("reserve inode=%d index=%d pages=%d", e.ino.id, e.at, e.n)
	case Alloc:
		return fmt.Sprintf("alloc inode=%d", e.ino.id)
	case Link:
		return fmt.Sprintf("link inode=%d name=%d/%s", e.ino.id, e.move.to.id, e.move.toName)
	case Unlink:
		return fmt.Sprintf("unlink inode=%d name=%d/%s", e.ino.id, e.move.from.id, e.move.fromName)
	}
	return fmt.Sprintf("rename inode=%d from=%d/%s to=%d/%s",
		e.ino.id, e.move.from.id, e.move.fromName, e.move.to.id, e.move.toName)
}
