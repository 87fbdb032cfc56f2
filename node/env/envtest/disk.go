package envtest

import (
	"fmt"

	"github.com/klammlog/klamm/node/env"
)

var diskChecks = []Check{
	one("a lock is held by one at a time", lockExcludes),
	one("disk usage is plausible", usage),
	one("log directories are apart", dirsApart),
	one("drawn operations do what a model says", drawnOperations),
}

var killChecks = []Check{
	{"completed disk calls survive a kill", callsSurviveKill},
	{"a kill drops locks", killDropsLocks},
	{"drawn operations survive a kill", drawnSurviveKill},
}

func lockExcludes(t *trial) error {
	held, err := t.disk().Lock("lock")
	if err != nil {
		return err
	}
	_, err = t.disk().Lock("lock")
	if err := wants("a second Lock", err, env.ErrLocked); err != nil {
		return err
	}
	other, err := t.disk().Lock("other")
	if err != nil {
		return err
	}
	if err := first(other.Close(), held.Close()); err != nil {
		return err
	}
	held, err = t.disk().Lock("lock")
	if err != nil {
		return fmt.Errorf("after it was let go: %w", err)
	}
	return held.Close()
}

func usage(t *trial) error {
	free, total, err := t.disk().Usage()
	if err == nil && (free < 0 || total <= 0 || free > total) {
		return fmt.Errorf("%d of %d bytes are free", free, total)
	}
	return err
}

func dirsApart(t *trial) error {
	if err := t.touch("f"); err != nil {
		return err
	}
	for _, dir := range t.LogDirs[1:] {
		if _, err := dir.FS.Stat("f"); err == nil {
			return fmt.Errorf("%s and %s share their files", t.LogDirs[0].Name, dir.Name)
		}
	}
	return nil
}

// drawnOperations compares the disk with the model after every operation.
func drawnOperations(t *trial) error {
	script := Draw(t.Rand("envtest script"), 100)
	player, model := NewPlayer(t.disk()), NewModel()
	for i, op := range script {
		if err := player.Do(op); err != nil {
			return fmt.Errorf("operation %d, %s: %w", i, op, err)
		}
		model.Do(op)
		state, err := Capture(t.disk())
		if err != nil {
			return err
		}
		if diff := state.Diff(model.State()); diff != "" {
			return fmt.Errorf("after operation %d, %s: %s", i, op, diff)
		}
	}
	return player.Close()
}

func callsSurviveKill(h Harness) error {
	kept, cut := pattern(1, 10_000), pattern(2, 10_000)
	err := h.Run(part(h, "a", func(t *trial) error {
		d := t.disk()
		f, err := t.stored("f", kept)
		if err != nil {
			return err
		}
		g, err := t.stored("g", cut)
		if err != nil {
			return err
		}
		return first(
			d.Mkdir("dir"), t.touch("gone"), d.Remove("gone"), d.Rename("f", "dir/f"),
			g.Truncate(100), store(f, kept[:10], 10_000),
		)
	}))
	if err := first(err, h.Kill("a")); err != nil {
		return err
	}
	return h.Run(part(h, "a", func(t *trial) error {
		want := append(kept[:10_000:10_000], kept[:10]...)
		return first(
			t.lists(".", "dir", "g"), t.lists("dir", "f"),
			t.contains("dir/f", want), t.contains("g", cut[:100]),
		)
	}))
}

func killDropsLocks(h Harness) error {
	err := h.Run(part(h, "a", func(t *trial) error {
		_, err := t.disk().Lock("lock")
		return err
	}))
	if err := first(err, h.Kill("a")); err != nil {
		return err
	}
	return h.Run(part(h, "a", func(t *trial) error {
		held, err := t.disk().Lock("lock")
		if err != nil {
			return err
		}
		return held.Close()
	}))
}

func drawnSurviveKill(h Harness) error {
	var script Script
	err := h.Run(part(h, "a", func(t *trial) error {
		script = Draw(t.Rand("envtest script"), 100)
		player := NewPlayer(t.disk())
		for i, op := range script {
			if err := player.Do(op); err != nil {
				return fmt.Errorf("operation %d, %s: %w", i, op, err)
			}
		}
		return nil // with every file open
	}))
	if err := first(err, h.Kill("a")); err != nil {
		return err
	}
	return h.Run(part(h, "a", func(t *trial) error {
		state, err := Capture(t.disk())
		if err != nil {
			return err
		}
		_, err = script.CheckKilled(len(script), state)
		return err
	}))
}
