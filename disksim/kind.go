package disksim

// A FaultKind names what goes wrong with a disk at run time.
type FaultKind string

// The kinds.
const (
	FaultShortRead    FaultKind = "disk-short-read"
	FaultShortWrite   FaultKind = "disk-short-write"
	FaultReadError    FaultKind = "disk-read-error"
	FaultWriteError   FaultKind = "disk-write-error"
	FaultMetaError    FaultKind = "disk-meta-error"
	FaultSyncDirError FaultKind = "disk-syncdir-error"

	FaultSyncError   FaultKind = "disk-sync-error"
	FaultSyncKeep    FaultKind = "disk-sync-keep"
	FaultSyncRevert  FaultKind = "disk-sync-revert"
	FaultSyncLate    FaultKind = "disk-sync-late"
	FaultSyncOthers  FaultKind = "disk-sync-others"
	FaultSyncNoSpace FaultKind = "disk-sync-nospace"
	FaultShutdown    FaultKind = "disk-shutdown"
	FaultSyncLies    FaultKind = "disk-sync-lies"

	FaultFull         FaultKind = "disk-full"
	FaultReadOnly     FaultKind = "disk-read-only"
	FaultTooManyFiles FaultKind = "disk-too-many-files"
	FaultSlow         FaultKind = "disk-slow"
	FaultStall        FaultKind = "disk-stall"

	FaultMisread   FaultKind = "disk-misread"
	FaultRot       FaultKind = "disk-rot"
	FaultBadSector FaultKind = "disk-bad-sector"
	FaultMisdirect FaultKind = "disk-misdirected-write"
	FaultLostWrite FaultKind = "disk-lost-write"
	FaultEmpty     FaultKind = "disk-empty"
	FaultOld       FaultKind = "disk-old"
)

// kindTexts says of each kind what it does, in the order of documentation.
var kindTexts = []struct {
	kind  FaultKind
	about string
}{
	{FaultShortRead, "a read returns fewer bytes than asked, without error"},
	{FaultShortWrite, "a write takes fewer bytes than given, without error"},
	{FaultReadError, "reading fails"},
	{FaultWriteError, "a write fails after nothing, some whole pages, or all of it"},
	{FaultMetaError, "opening, creating, removing, renaming, listing or resizing fails, before or after its effect"},
	{FaultSyncDirError, "the sync of a directory fails, and its entries stay volatile"},
	{FaultSyncError, "a sync fails, the pages stay dirty"},
	{FaultSyncKeep, "a sync fails, the pages are marked clean and stay in the cache only (ext4, XFS)"},
	{FaultSyncRevert, "a sync fails, and the cache shows the old pages again (Btrfs)"},
	{FaultSyncLate, "a sync reports success without effect, the next one fails (ext4 with journaled data)"},
	{FaultSyncOthers, "a sync fails, and once on every other descriptor of the file that is open now"},
	{FaultSyncNoSpace, "a sync finds no space for what writes were accepted"},
	{FaultShutdown, "a sync fails, and every change of the disk after it, until the machine restarts"},
	{FaultSyncLies, "syncs report success, and what they cover is durable only when it is written back"},
	{FaultFull, "only n more bytes fit"},
	{FaultReadOnly, "every change fails"},
	{FaultTooManyFiles, "no file can be opened, and no directory be listed"},
	{FaultSlow, "operations take n times as long, up to ten seconds"},
	{FaultStall, "operations that begin do not end before the fault does"},
	{FaultMisread, "a read returns a drawn bit that is wrong, without error; what is on the disk is right"},
	{FaultRot, "a drawn bit of a durable page flips"},
	{FaultBadSector, "a drawn durable page cannot be read until it is written"},
	{FaultMisdirect, "a write lands at another place of the file, and reports success"},
	{FaultLostWrite, "a write never reaches the disk, and reports success"},
	{FaultEmpty, "at the node's next crash the disk is replaced by an empty one"},
	{FaultOld, "at the node's next crash the disk is what it durably was when the fault began"},
}

// FaultKinds lists the kinds in the order they are documented.
func FaultKinds() []FaultKind {
	kinds := make([]FaultKind, len(kindTexts))
	for i, t := range kindTexts {
		kinds[i] = t.kind
	}
	return kinds
}

// About says in a sentence what the fault does.
func (f FaultKind) About() string {
	for _, t := range kindTexts {
		if t.kind == f {
			return t.about
		}
	}
	return ""
}

// Destroys reports whether the fault can take what was acknowledged with a
// successful sync, or hide it: who promises to keep it must spend such faults sparingly.
func (f FaultKind) Destroys() bool {
	switch f {
	case FaultSyncLate, FaultSyncLies, FaultMisread, FaultRot, FaultBadSector, FaultMisdirect, FaultLostWrite,
		FaultEmpty, FaultOld:
		return true
	}
	return false
}
