package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/prometheus/procfs"
)

// A cost is what a process has used so far, and holds.
type cost struct {
	cpu   time.Duration // user and system
	bytes int           // resident
	files int           // open descriptors
}

func (n *node) cost() (c cost, err error) {
	p, err := procfs.NewProc(n.process.Process.Pid)
	if err != nil {
		return c, err
	}
	s, err := p.Stat()
	if err != nil {
		return c, err
	}
	c.files, err = p.FileDescriptorsLen()
	c.cpu, c.bytes = time.Duration(s.CPUTime()*float64(time.Second)), s.ResidentMemory()
	return c, err
}

// costs returns those of every node that runs.
func (f *fleet) costs() ([]cost, error) {
	var all []cost
	for _, n := range f.nodes {
		c, err := n.cost()
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}

// since tells what was used since then, in so long, and what is held now.
func since(before, now []cost, took time.Duration) string {
	var each []string
	for i := range now {
		used := now[i].cpu - before[i].cpu
		each = append(each, fmt.Sprintf("%d ms CPU (%.2f ms/s), %d MiB, %d files",
			used.Milliseconds(), float64(used.Microseconds())/1e3/took.Seconds(), now[i].bytes>>20, now[i].files))
	}
	return strings.Join(each, "; ")
}
