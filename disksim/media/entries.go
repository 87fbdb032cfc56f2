package media

// SyncDir makes durable the entries of a directory that were issued up to Seq
// upTo. Of a file renamed into it from another directory the old name may still
// come back; one renamed out of it is durable in its new place.
func (v *Volume) SyncDir(dir *Inode, upTo uint64) {
	v.commitEntries(func(e *Effect) uint8 {
		switch {
		case e.Seq > upTo:
			return lost
		case e.move.from == dir:
			return e.full()
		case e.move.to == dir:
			return newName
		}
		return lost
	})
	v.journal = max(v.journal, upTo)
}

// commitEntries applies the wanted parts of effects on entries, and what they
// need.
func (v *Volume) commitEntries(want func(*Effect) uint8) {
	chosen := make([]uint8, len(v.entries))
	some := false
	for k := len(v.entries) - 1; k >= 0; k-- {
		e := &v.entries[k]
		chosen[k] |= want(e)
		for j := 0; chosen[k] != lost && j < k; j++ {
			chosen[j] |= e.needs(&v.entries[j], chosen[k])
		}
		some = some || chosen[k] != lost
	}
	if !some {
		return
	}
	all := v.entries
	v.entries = nil
	for k := range all {
		switch e := &all[k]; {
		case chosen[k] == lost:
			v.entries = append(v.entries, *e)
		case chosen[k] != e.full():
			v.entries = append(v.entries, v.splitRename(e))
		default:
			v.settle(e)
		}
	}
}

// splitRename makes the new name of a rename between directories durable, and
// returns what is left to do: remove the old one.
func (v *Volume) splitRename(e *Effect) Effect {
	v.applyEntry(e, newName)
	left := &move{from: e.move.from, fromName: e.move.fromName, rest: true}
	return Effect{Seq: e.Seq, Kind: Unlink, ino: e.ino, move: left}
}

// settle applies an effect on entries that leaves the pending list.
func (v *Volume) settle(e *Effect) {
	v.pending--
	v.applyEntry(e, e.full())
	e.ino.pendingLinks--
	v.maybeFree(e.ino)
}

// applyEntry changes the durable image by what is kept of an effect on entries.
func (v *Volume) applyEntry(e *Effect, kept uint8) {
	if kept == lost {
		return
	}
	m := e.move
	if m.to != nil {
		v.link(m.to, m.toName, e.ino)
	}
	if m.from != nil && (kept == moved || !e.crossDirectory()) {
		v.unlink(m.from, m.fromName, e.ino)
	}
}

func (v *Volume) link(dir *Inode, name string, i *Inode) {
	if dir.durableEntries == nil {
		return // the directory is gone, and the entry with it
	}
	old := dir.durableEntries[name]
	dir.durableEntries[name] = i
	i.durableLinks++
	if old != nil {
		old.durableLinks--
		v.maybeFree(old)
	}
}

func (v *Volume) unlink(dir *Inode, name string, i *Inode) {
	if dir.durableEntries[name] != i {
		return
	}
	delete(dir.durableEntries, name)
	i.durableLinks--
}

// needs tells how much of the earlier effect f must be on the durable image
// before that part of e can be. These are the rules for entries that hold in
// every profile:
//
//   - changes of one entry keep their order;
//   - a directory is removed after all that happened in it;
//   - a file leaves its old directory only for one that is there.
func (e *Effect) needs(f *Effect, part uint8) uint8 {
	switch {
	case f.move.from != nil && e.touchesEntry(f.move.from, f.move.fromName):
		return f.full()
	case e.Kind == Unlink && !e.move.rest && (f.move.from == e.ino || f.move.to == e.ino):
		return f.full()
	case (e.crossDirectory() && part == moved || e.move.rest) && f.ino.IsDir() && f.Kind != Unlink:
		return f.full()
	case f.move.to != nil && e.touchesEntry(f.move.to, f.move.toName):
		return newName
	}
	return lost
}

func (e *Effect) touchesEntry(dir *Inode, name string) bool {
	m := e.move
	return m.from == dir && m.fromName == name || m.to == dir && m.toName == name
}
