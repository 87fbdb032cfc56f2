package node

import (
	"testing"

	"github.com/klammlog/klamm/node/env"
)

// A goneDisk is one that the machine does not find any more.
type goneDisk struct{ env.FS }

func (goneDisk) OpenFile(string, env.Flag) (env.File, error) { return nil, env.ErrIO }
func (goneDisk) Lock(string) (env.Closer, error)             { return nil, env.ErrIO }
func (goneDisk) ReadDir(string) ([]string, error)            { return nil, env.ErrIO }
func (goneDisk) Stat(string) (env.Info, error)               { return env.Info{}, env.ErrIO }
func (goneDisk) Mkdir(string) error                          { return env.ErrIO }

// Of several log directories a node can do without all but the first.
func TestANodeStartsWithoutADirectoryThatIsGone(t *testing.T) {
	m := &machine{t: t, dirs: []string{t.TempDir(), t.TempDir()}}
	m.start()
	t.Cleanup(func() { m.stop() })
	m.create("orders")
	m.stop()
	m.change = func(w *env.World) { w.LogDirs[1].FS = goneDisk{w.LogDirs[1].FS} }
	m.start()
	m.as(func() {
		if len(m.node.lost) != 1 {
			t.Errorf("%d directories are out of service", len(m.node.lost))
		}
	})
}
