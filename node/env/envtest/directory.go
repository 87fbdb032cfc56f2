package envtest

import (
	"fmt"
	"slices"

	"github.com/klammlog/klamm/node/env"
)

var directoryChecks = []Check{
	one("OpenFile does what its flags say", openFlags),
	one("ReadDir lists what is there", readDir),
	one("directories are made once, below directories", mkdir),
	one("Remove removes files and empty directories", remove),
	one("a removed file goes on working while it is open", removedFile),
	one("Rename replaces a file in one step", renameReplaces),
	one("Rename moves directories with what is in them", renameDirectory),
	one("Rename of what does not exist fails", func(t *trial) error {
		return first(
			wants("Rename", t.disk().Rename("none", "some"), env.ErrNotExist),
			wants("Stat", statError(t, "some"), env.ErrNotExist),
		)
	}),
	one("an open file follows its rename", renamedFile),
	one("names that leave the root are refused", namesStay),
}

func statError(t *trial, name string) error {
	_, err := t.disk().Stat(name)
	return err
}

// lists demands that a directory holds just these names.
func (t *trial) lists(dir string, want ...string) error {
	got, err := t.disk().ReadDir(dir)
	if err != nil {
		return err
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		return fmt.Errorf("directory %s holds %q, want %q", dir, got, want)
	}
	return nil
}

// touch makes a file.
func (t *trial) touch(name string) error {
	f, err := t.stored(name, nil)
	return first(err, f.Close())
}

func openFlags(t *trial) error {
	open := func(flag env.Flag) error {
		f, err := t.disk().OpenFile("f", flag)
		if err == nil {
			err = f.Close()
		}
		return err
	}
	contents := pattern(1, 100)
	err := first(
		wants("opening nothing", open(env.ReadOnly), env.ErrNotExist),
		wants("opening nothing for writing", open(env.Write), env.ErrNotExist),
		wants("truncating nothing", open(env.Write|env.Trunc), env.ErrNotExist),
		open(env.Write|env.Create|env.Exclusive),
		wants("creating it again", open(env.Write|env.Create|env.Exclusive), env.ErrExist),
	)
	if err != nil {
		return err
	}
	f, err := t.stored("f", contents)
	return first(
		err, f.Close(),
		open(env.ReadOnly), open(env.Write), open(env.Write|env.Create), t.contains("f", contents),
		open(env.Write|env.Create|env.Trunc), t.contains("f", nil),
	)
}

func readDir(t *trial) error {
	d := t.disk()
	err := first(t.lists("."), d.Mkdir("a"), d.Mkdir("a/b"), t.touch("f"), t.touch("a/g"))
	err = first(err, t.lists(".", "a", "f"), t.lists("a", "b", "g"), t.lists("a/b"))
	if err != nil {
		return err
	}
	for _, want := range []struct {
		name  string
		isDir bool
	}{{"a/g", false}, {"a", true}, {".", true}} {
		got, err := d.Stat(want.name)
		if err != nil || got.IsDir != want.isDir || (!got.IsDir && got.Size != 0) {
			return fmt.Errorf("%s is %+v (error %v), want a directory: %v", want.name, got, err, want.isDir)
		}
	}
	_, err = d.ReadDir("none")
	return first(
		wants("ReadDir", err, env.ErrNotExist),
		wants("SyncDir", d.SyncDir("none"), env.ErrNotExist),
		d.SyncDir("."), d.SyncDir("a"), d.SyncDir("a/b"),
	)
}

func mkdir(t *trial) error {
	d := t.disk()
	return first(
		wants("Mkdir below nothing", d.Mkdir("a/b"), env.ErrNotExist),
		d.Mkdir("a"), wants("Mkdir again", d.Mkdir("a"), env.ErrExist),
		t.touch("f"), wants("Mkdir over a file", d.Mkdir("f"), env.ErrExist),
		wants("a file below nothing", t.touch("none/f"), env.ErrNotExist),
	)
}

func remove(t *trial) error {
	d := t.disk()
	return first(
		wants("Remove of nothing", d.Remove("f"), env.ErrNotExist),
		t.touch("f"), d.Remove("f"), wants("Stat", statError(t, "f"), env.ErrNotExist),
		d.Mkdir("a"), t.touch("a/f"),
		wants("Remove of a full directory", d.Remove("a"), env.ErrNotEmpty),
		t.lists("a", "f"), d.Remove("a/f"), d.Remove("a"), t.lists("."),
	)
}

func removedFile(t *trial) error {
	want := pattern(1, 5000)
	f, err := t.stored("f", want[:1000])
	return first(
		err, t.disk().Remove("f"), holds(f, want[:1000]), store(f, want[1000:], 1000), holds(f, want),
		t.touch("f"), t.contains("f", nil), holds(f, want), f.Close(), t.contains("f", nil),
	)
}

func renameReplaces(t *trial) error {
	old, fresh := pattern(1, 1000), pattern(2, 2000)
	f, err := t.stored("current", old)
	if err != nil {
		return err
	}
	g, err := t.stored("next", fresh)
	return first(
		err, g.Close(), t.disk().Rename("next", "current"),
		t.lists(".", "current"), t.contains("current", fresh), holds(f, old), f.Close(),
	)
}

func renameDirectory(t *trial) error {
	d, contents := t.disk(), pattern(1, 100)
	if err := first(d.Mkdir("a"), d.Mkdir("a/b"), d.Mkdir("c")); err != nil {
		return err
	}
	f, err := t.stored("a/b/f", contents)
	return first(
		err, f.Close(), d.Rename("a/b", "c/d"),
		t.lists("a"), t.lists("c", "d"), t.contains("c/d/f", contents),
		d.SyncDir("a"), d.SyncDir("c"),
		wants("the old name", statError(t, "a/b/f"), env.ErrNotExist),
	)
}

func renamedFile(t *trial) error {
	want := pattern(1, 2000)
	f, err := t.stored("f", want[:1000])
	return first(
		err, t.disk().Rename("f", "g"), store(f, want[1000:], 1000), f.Sync(), f.Close(),
		t.contains("g", want), t.lists(".", "g"),
	)
}

func namesStay(t *trial) error {
	d := t.disk()
	if err := t.touch("f"); err != nil {
		return err
	}
	for _, name := range []string{"", "..", "../x", "/x", "a/../../x", "./../x"} {
		_, openErr := d.OpenFile(name, env.Write|env.Create)
		_, readErr := d.ReadDir(name)
		_, statErr := d.Stat(name)
		_, lockErr := d.Lock(name)
		for _, call := range []struct {
			name string
			err  error
		}{
			{"OpenFile", openErr}, {"ReadDir", readErr}, {"Stat", statErr}, {"Lock", lockErr},
			{"Mkdir", d.Mkdir(name)}, {"Remove", d.Remove(name)}, {"SyncDir", d.SyncDir(name)},
			{"Rename from", d.Rename(name, "g")}, {"Rename to", d.Rename("f", name)},
		} {
			if call.err == nil {
				return fmt.Errorf("%s took the name %q", call.name, name)
			}
		}
	}
	return t.lists(".", "f")
}
