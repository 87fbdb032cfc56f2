package main

import (
	"testing"

	"github.com/klammlog/klamm/node/config"
)

func TestFilesAreSharedOutSoThatLogsCanBeWritten(t *testing.T) {
	for _, s := range []struct {
		most   uint64
		nodes  int
		dirs   int
		want   allowance
		scarce bool
	}{
		{256, 1, 1, allowance{256, 64, 128}, true},
		{1024, 1, 1, allowance{1024, 256, 512}, true},
		{1024, 1, 4, allowance{1024, 64, 512}, true},
		{20_000, 1, 1, allowance{20_000, 1000, 14_000}, false},
		{20_000, 5, 1, allowance{4000, 1000, 2000}, false},
		{1 << 20, 1, 2, allowance{1 << 20, 1000, 784_432}, false},
		{^uint64(0), 1, 1, allowance{1 << 30, 1000, 805_305_368}, false}, // no limit
	} {
		a := allow(s.most, s.nodes, s.dirs)
		if a != s.want || a.scarce() != s.scarce {
			t.Errorf("%d files, %d nodes, %d log directories: %+v, scarce %t", s.most, s.nodes, s.dirs, a, a.scarce())
		}
	}
}

func TestWhoSetsHowManyConnectionsGetsThem(t *testing.T) {
	a := allow(1024, 1, 1)
	for want, pairs := range map[int64][]config.Pair{512: nil, 9999: {{Name: "max.connections", Value: "9999"}}} {
		v, err := config.NewBroker(a.bound(pairs))
		if err != nil {
			t.Fatal(err)
		}
		if got := config.MaxConnections.In(v); got != want {
			t.Errorf("%v: %d connections, want %d", pairs, got, want)
		}
	}
}
