package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// A cost is what a process has used so far, and holds.
type cost struct {
	cpu   time.Duration // user and system
	bytes int64         // resident
	files int           // open descriptors
}

// tick is the unit of processor time in /proc: USER_HZ is 100 wherever Linux runs.
const tick = 10 * time.Millisecond

func (n *node) cost() (c cost, err error) {
	dir := fmt.Sprintf("/proc/%d/", n.process.Process.Pid)
	stat, err := os.ReadFile(dir + "stat")
	if err != nil {
		return c, err
	}
	// The name in parentheses, which may hold anything, is the second field.
	_, rest, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 22 {
		return c, fmt.Errorf("%sstat: %q", dir, stat)
	}
	for _, at := range []int{11, 12} {
		ticks, err := strconv.ParseInt(fields[at], 10, 64)
		if err != nil {
			return c, err
		}
		c.cpu += time.Duration(ticks) * tick
	}
	pages, err := strconv.ParseInt(fields[21], 10, 64)
	if err != nil {
		return c, err
	}
	open, err := os.ReadDir(dir + "fd")
	c.bytes, c.files = pages*int64(os.Getpagesize()), len(open)
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
