// Package broken makes worlds that break one promise each, out of a world that
// keeps them all. It exists to show that the checks of envtest complain.
package broken

import (
	"slices"

	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/env/envtest"
)

// A World is one way to break a world.
type World struct {
	Name    string   // what is wrong with it
	Noticed []string // the checks that must complain, by name

	// Harness makes a harness of such worlds out of one of good worlds.
	Harness func(envtest.Harness) envtest.Harness
}

// Worlds returns all broken worlds. What no wrapper can break, tasks that run in
// parallel, is up to the tests of each world.
func Worlds() []World {
	return slices.Concat(
		clockWorlds, taskWorlds, condWorlds, randomWorlds,
		netWorlds, connWorlds, deadlineWorlds, sendFileWorlds,
		fileWorlds, sizeWorlds, directoryWorlds, diskWorlds, killWorlds,
	)
}

// world describes a broken world whose parts are replaced by f. It is called once
// for each part of a Run.
func world(name string, f func(w *env.World), noticed ...string) World {
	return World{name, noticed, func(h envtest.Harness) envtest.Harness { return replaced{h, f} }}
}

type replaced struct {
	envtest.Harness
	replace func(w *env.World)
}

func (r replaced) Run(parts ...envtest.Part) error {
	parts = slices.Clone(parts)
	for i, p := range parts {
		parts[i].Run = func(w *env.World) error {
			mine := *w
			mine.LogDirs = slices.Clone(w.LogDirs)
			r.replace(&mine)
			return p.Run(&mine)
		}
	}
	return r.Harness.Run(parts...)
}
