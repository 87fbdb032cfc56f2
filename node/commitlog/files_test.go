package commitlog

import (
	"fmt"
	"testing"

	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/sim"
)

// Files that were in use all at once are not kept beyond the limit, whoever opens
// the next.
func TestNoMoreFilesAreOpenThanAllowed(t *testing.T) {
	r := newRig(t, sim.Options{}, smallConfig())
	r.do(func() {
		fs := &files{w: r.w, fs: r.w.LogDirs[0].FS, limit: 4}
		var slots []*slot
		for i := range 12 {
			s := fs.slot(fmt.Sprintf("f%d", i), env.Write|env.Create)
			slots = append(slots, s)
		}
		// Three at a time are in use, while those before are kept.
		for i := 0; i < len(slots); i += 3 {
			for _, s := range slots[i : i+3] {
				if _, err := s.pin(); err != nil {
					t.Fatal(err)
				}
			}
			for _, s := range slots[i : i+3] {
				s.unpin()
			}
			if fs.open > fs.limit || fs.idle != fs.open {
				t.Errorf("after %d files: %d open, %d idle, limit %d", i+3, fs.open, fs.idle, fs.limit)
			}
		}
		for _, s := range slots[:6] {
			if _, err := s.pin(); err != nil {
				t.Fatal(err)
			}
		}
		if fs.open != 6 || fs.idle != 0 {
			t.Errorf("six in use: %d open, %d idle", fs.open, fs.idle)
		}
		for _, s := range slots[:6] {
			s.unpin()
		}
		if err := fs.closeAll(); err != nil || fs.open != 0 {
			t.Errorf("after closing all: %d open, %v", fs.open, err)
		}
	})
}
