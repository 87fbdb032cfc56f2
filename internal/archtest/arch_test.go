package archtest

import (
	"slices"
	"strings"
	"sync"
	"testing"
)

var repository = sync.OnceValues(func() (*Module, error) { return Load("../..") })

func loadRepository(t *testing.T) *Module {
	t.Helper()
	m, err := repository()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestRepositoryKeepsToItsArchitecture(t *testing.T) {
	m := loadRepository(t)
	for _, err := range m.Broken {
		t.Logf("does not compile: %v", err)
	}
	offences, excused := m.Judge(Exceptions)
	for _, o := range offences {
		t.Error(o)
	}
	for _, e := range excused {
		t.Logf("excused: %v", e)
	}
}

func TestRoomsPointDown(t *testing.T) {
	for i, r := range Rooms {
		for _, may := range strings.Fields(r.May) {
			at := slices.IndexFunc(Rooms, func(other Room) bool { return other.Path == may })
			if may != everything && (at < 0 || at >= i) {
				t.Errorf("%s may import %s, which is not listed before it", r.Path, may)
			}
		}
		if r.Why == "" {
			t.Errorf("%s has no reason", r.Path)
		}
	}
}

// What architecture says in words, said again about the table.
func TestRoomsKeepThePromises(t *testing.T) {
	may := func(from, to string) bool { return from == to || roomOf(from).mayEnter(roomOf(to)) }
	for _, pure := range []string{"node/kafka", "node/record", "node/replica", "node/meta", "node/group", "node/txn"} {
		for _, r := range Rooms {
			if may(pure, r.Path) && may(r.Path, "node/env") {
				t.Errorf("pure package %s reaches node/env through %s", pure, r.Path)
			}
		}
	}
	for _, r := range Rooms {
		if below(r.Path, []string{"node"}) {
			for _, to := range []string{"sim", "netsim", "disksim", "sim/world", "scenarios", "checker", "cmd"} {
				if may(r.Path, to) {
					t.Errorf("%s may import %s", r.Path, to)
				}
			}
			if may("checker", r.Path) || may(r.Path, "checker") {
				t.Errorf("checker and %s may share code", r.Path)
			}
		}
	}
}
