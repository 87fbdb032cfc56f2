//go:build linux

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"runtime"
	"runtime/pprof"
	"strings"
	"time"

	"github.com/klammlog/klamm/node"
	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/osenv"
)

// What a child process is told by its environment.
const (
	roleVariable    = "KLAMM_BENCH_ROLE"
	profileVariable = "KLAMM_BENCH_PROFILE"
)

// The roles of child processes.
const (
	roleNode  = "node"
	roleStick = "stick" // the measuring stick
	roleSink  = "sink"  // takes bytes and drops them
)

// play is main of a child: it prints where it serves, and ends with its input.
func play(role string) {
	log.SetPrefix(role + ": ")
	dir, settings := os.Args[1], os.Args[2:]
	var err error
	switch role {
	case roleNode:
		err = playNode(dir, settings)
	case roleStick:
		err = listen(newStick(dir, settings).serve)
	case roleSink:
		err = listen(func(c net.Conn) { _, _ = io.CopyBuffer(sink{}, onlyReader{c}, make([]byte, 256<<10)) })
	default:
		err = fmt.Errorf("no role %q", role)
	}
	if err != nil {
		log.Fatal(err)
	}
}

// sink drops what it is given; it is no more than a Writer, or io.Copy would pick a
// way of its own.
type sink struct{}

func (sink) Write(p []byte) (int, error) { return len(p), nil }

type onlyReader struct{ io.Reader }

// listen serves each connection on a goroutine until the input ends.
func listen(serve func(net.Conn)) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				log.Fatal(err)
			}
			go serve(c)
		}
	}()
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// playNode is a node on real sockets and files.
func playNode(dir string, settings []string) (err error) {
	if file := os.Getenv(profileVariable); file != "" {
		out, err := os.Create(file)
		if err != nil {
			return err
		}
		defer out.Close()
		if err := pprof.StartCPUProfile(out); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	pairs := []config.Pair{{Name: "log.dirs", Value: dir}, {Name: "listeners", Value: "PLAINTEXT://127.0.0.1:0"}}
	for _, s := range settings {
		name, value, _ := strings.Cut(s, "=")
		pairs = append(pairs, config.Pair{Name: name, Value: value})
	}
	view, err := config.NewBroker(pairs)
	if err != nil {
		return err
	}
	host, err := osenv.New(osenv.Options{LogDirs: []string{dir}})
	if err != nil {
		return err
	}
	defer host.Close()
	var n *node.Node
	err = host.Do(context.Background(), func() error {
		if n, err = node.Start(host.World(), node.Config{Settings: view}); err == nil {
			fmt.Println(n.Address())
		}
		return err
	})
	if err != nil {
		return err
	}
	told := answerQuestions(host)
	return errors.Join(told, host.Do(context.Background(), func() error {
		return n.Stop(host.World().Now().Add(10 * time.Second))
	}))
}

// answerQuestions tells how the node is, until the input ends.
func answerQuestions(host *osenv.Host) error {
	in := bufio.NewScanner(os.Stdin)
	out := json.NewEncoder(os.Stdout)
	for in.Scan() {
		holds := host.Holds()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		v := vitals{
			Holds: holds.Count, HoldP50: holds.Quantile(500), HoldP999: holds.Quantile(999), HoldMax: holds.Longest,
			Goroutines: runtime.NumGoroutine(), Heap: m.HeapAlloc,
		}
		if err := out.Encode(v); err != nil {
			return err
		}
	}
	return in.Err()
}
