//go:build linux

// Command bench measures a node over real sockets: what it can do, what each record
// costs its processor, how long clients wait, and what it costs when nothing
// happens.
//
//	go run ./internal/bench -dir DIR -rounds 5 -seconds 3
//
// The node is a process of its own, and its processor time is read from /proc: that
// of the clients, which are in this process, does not count. The same requests
// go to a measuring stick as well, the least that could be called a broker, and the
// raw limits of the machine are measured in the same run: figures of different
// runs do not compare. Every figure is the median of the rounds, with the smallest
// and the largest.
//
// It needs Linux.
package main

import (
	"cmp"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A plan says what to measure, and for how long.
type plan struct {
	out     io.Writer
	dir     string        // on the disk to measure
	profile string        // where the node writes processor profiles; "" does not
	rounds  int           // measurements of each figure
	window  time.Duration // of one measurement
	warm    time.Duration // before it
	sizes   []int         // of values, in bytes
	batch   int           // bytes of records in a replayed batch
	cold    int           // bytes of records to read cold
	crowd   int           // connections that are many
	idle    int           // partitions and connections that do nothing
}

// A section is a part of the report.
type section struct {
	name string
	run  func(*plan) error
}

var sections = []section{
	{"raw", (*plan).raw},
	{"produce", (*plan).produce},
	{"fetch", (*plan).fetch},
	{"client", (*plan).client},
	{"latency", (*plan).latency},
	{"connections", (*plan).connections},
	{"idle", (*plan).idleness},
}

func main() {
	if role := os.Getenv(roleVariable); role != "" {
		play(role)
		return
	}
	log.SetFlags(0)
	log.SetPrefix("bench: ")
	p := plan{out: os.Stdout, warm: 500 * time.Millisecond, sizes: []int{100, 1024}, cold: 1 << 30, crowd: 5000, idle: 1000}
	only := flag.String("only", "", "sections, separated by commas: raw, produce, fetch, client, latency, connections, idle")
	flag.StringVar(&p.dir, "dir", os.TempDir(), "`DIR` on the disk to measure; the data are removed")
	flag.StringVar(&p.profile, "cpuprofile", "", "a `DIR` for processor profiles of the node, one for each of its processes")
	flag.IntVar(&p.rounds, "rounds", 5, "measurements of each figure")
	flag.DurationVar(&p.window, "seconds", 3*time.Second, "`TIME` of one measurement, as 3s")
	flag.IntVar(&p.batch, "batch", 64<<10, "bytes of a replayed batch, about")
	flag.Parse()
	if err := p.run(*only); err != nil {
		log.Fatal(err)
	}
}

// run runs the sections that are named, all if none is.
func (p *plan) run(only string) error {
	if err := raiseFiles(); err != nil {
		return err
	}
	fmt.Fprintf(p.out, "%d processors, %s, %s; %d rounds of %v each.\n", runtime.NumCPU(), runtime.Version(), runtime.GOARCH, p.rounds, p.window)
	for _, s := range sections {
		if only != "" && !strings.Contains(","+only+",", ","+s.name+",") {
			continue
		}
		if err := s.run(p); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return nil
}

// raiseFiles lifts the number of open files to what the machine allows; the
// children inherit it.
func raiseFiles() error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	limit.Cur = limit.Max
	return unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)
}

// tempDir makes a directory for the data of one server.
func (p *plan) tempDir() (string, error) { return os.MkdirTemp(p.dir, "bench") }

func clamp[T cmp.Ordered](v, low, high T) T { return max(low, min(v, high)) }
