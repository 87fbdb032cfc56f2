package main

import (
	"fmt"
	"strconv"
	"syscall"

	"github.com/klammlog/klamm/node/config"
)

// An allowance is how a node shares out the files that its process may have open:
// who has none left cannot write, and a log directory that cannot be written is out
// of service. So clients get no more than what the logs can spare.
//
// A quarter stays for files that are in use at once beyond what logs keep open, and
// for whatever else a process opens.
type allowance struct {
	most        int // files of the node
	logs        int // that each log directory keeps open
	connections int // of clients of each node
}

// enoughOpen is how many files the logs of a directory keep open at most: more make
// it no faster.
const enoughOpen = 1000

// allow shares out so many files among the log directories of each of the nodes of a
// process, and their clients.
func allow(most uint64, nodes, dirs int) allowance {
	m := int(min(most, 1<<30)) / nodes
	a := allowance{most: m, logs: max(16, min(enoughOpen, m/4/max(dirs, 1)))}
	a.connections = max(16, m-m/4-a.logs*dirs)
	return a
}

// openFiles returns the allowance of one of so many nodes in this process. The
// runtime has raised the soft limit to the hard one.
func openFiles(nodes, dirs int) (allowance, error) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return allowance{}, fmt.Errorf("how many files may be open: %w", err)
	}
	return allow(limit.Cur, nodes, dirs), nil
}

// scarce reports whether logs or clients would have more if they could.
func (a allowance) scarce() bool { return a.logs < enoughOpen }

func (a allowance) String() string {
	return fmt.Sprintf("%d files may be open: each log directory keeps %d, clients get %d connections; 'ulimit -n' raises it",
		a.most, a.logs, a.connections)
}

// bound has clients get no more connections than there are, unless the settings say
// how many.
func (a allowance) bound(pairs []config.Pair) []config.Pair {
	return append([]config.Pair{{Name: config.MaxConnections.Name, Value: strconv.Itoa(a.connections)}}, pairs...)
}
