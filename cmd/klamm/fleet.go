package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/klammlog/klamm/node/client"
	"github.com/klammlog/klamm/node/config"
)

// fleetPatience is how long nodes of a fleet may take to come up together.
const fleetPatience = 30 * time.Second

// maxFleet bounds how many nodes one process runs.
const maxFleet = 32

// A fleet is nodes of one cluster in one process, each on sockets and in a
// directory of its own.
type fleet struct {
	nodes []*process
	logs  *sharedWriter // of several
}

// fleetPairs returns the settings of every node of a cluster of n, the data below
// dir. Up to three of them are controllers, and an odd number.
func fleetPairs(n int, dir, listen string, set []config.Pair) ([][]config.Pair, error) {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return nil, usage(fmt.Errorf("--listen %q: want HOST:PORT", listen))
	}
	first, err := strconv.ParseUint(port, 10, 16)
	if err != nil || first > 0 && first+uint64(n) > 1<<16 {
		return nil, usage(fmt.Errorf("--listen %q: want a port up to %d", listen, 1<<16-n))
	}
	voters, err := freeAddresses(min(n, 3) - 1 + min(n, 3)%2)
	if err != nil {
		return nil, err
	}
	var named []string
	for i, address := range voters {
		named = append(named, fmt.Sprintf("%d@%s", i+1, address))
	}
	var out [][]config.Pair
	for i := range n {
		own := port
		if first > 0 {
			own = strconv.Itoa(int(first) + i)
		}
		listeners, roles := "PLAINTEXT://"+net.JoinHostPort(host, own), "broker"
		if i < len(voters) {
			listeners, roles = listeners+",CONTROLLER://"+voters[i], "broker,controller"
		}
		out = append(out, append([]config.Pair{
			{Name: "node.id", Value: strconv.Itoa(i + 1)},
			{Name: "log.dirs", Value: filepath.Join(dir, fmt.Sprint("node-", i+1))},
			{Name: "listeners", Value: listeners},
			{Name: "process.roles", Value: roles},
			{Name: "controller.quorum.voters", Value: strings.Join(named, ",")},
			{Name: "controller.quorum.election.timeout.ms", Value: "250"},
			{Name: "default.replication.factor", Value: strconv.Itoa(min(n, 3))},
			{Name: "log.flush", Value: "os"},                       // nobody wants these data after a power loss
			{Name: "group.initial.rebalance.delay.ms", Value: "0"}, // nor to wait for members who do not come
		}, set...))
	}
	return out, nil
}

// freeAddresses finds addresses on which nobody listens just now.
func freeAddresses(n int) ([]string, error) {
	var out []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close()
		out = append(out, l.Addr().String())
	}
	return out, nil
}

// startFleet starts nodes side by side: controllers wait for each other.
func startFleet(pairs [][]config.Pair, out io.Writer, level string) (*fleet, error) {
	f := &fleet{nodes: make([]*process, len(pairs)), logs: &sharedWriter{out: out}}
	errs := make([]error, len(pairs))
	var started sync.WaitGroup
	for i := range pairs {
		started.Go(func() { f.nodes[i], errs[i] = startOneOf(len(pairs), pairs[i], f.logs, level) })
	}
	started.Wait()
	err := errors.Join(errs...)
	if err == nil {
		err = f.await()
	}
	if err != nil {
		return nil, errors.Join(err, f.stop())
	}
	return f, nil
}

// await returns when every broker takes part.
func (f *fleet) await() error {
	return f.do(func(c *call) error {
		for {
			known, err := c.client.DescribeCluster(c.deadline)
			if err != nil {
				return err
			}
			fit := 0
			for _, b := range known.Brokers {
				if !b.Fenced {
					fit++
				}
			}
			if fit == len(f.nodes) {
				return nil
			}
			if c.w.Now() > c.deadline {
				return fmt.Errorf("%d of %d brokers take part after %v", fit, len(f.nodes), fleetPatience)
			}
			if err := c.w.Sleep(5 * time.Millisecond); err != nil {
				return err
			}
		}
	})
}

// do runs f with a client of the fleet, as a task of its first node.
func (f *fleet) do(g func(c *call) error) error {
	host, addresses := f.nodes[0].host, f.addresses()
	return host.Do(context.Background(), func() error {
		w := host.World()
		c := &call{host: host, w: w, deadline: w.Now().Add(fleetPatience)}
		var err error
		if c.client, err = client.New(w, client.DefaultConfig(addresses...)); err != nil {
			return err
		}
		return errors.Join(g(c), c.client.Close(c.deadline))
	})
}

// bootstrap returns where clients can connect.
func (f *fleet) bootstrap() string { return strings.Join(f.addresses(), ",") }

func (f *fleet) addresses() []string {
	var out []string
	for _, p := range f.nodes {
		out = append(out, p.address())
	}
	return out
}

// failed returns a channel that tells, once, why a node cannot go on.
func (f *fleet) failed() <-chan error {
	told := make(chan error, len(f.nodes))
	for _, p := range f.nodes {
		go func() { told <- <-p.failed() }()
	}
	return told
}

// stop ends the nodes, those that are there. Of several nobody waits until each has
// handed over what it leads: their data go.
func (f *fleet) stop() error {
	if len(f.nodes) == 1 {
		return f.nodes[0].stop()
	}
	f.logs.silence()
	var stopped sync.WaitGroup
	for _, p := range f.nodes {
		if p != nil {
			stopped.Go(func() { _ = p.stopWithin(300 * time.Millisecond) }) // what was left behind is removed
		}
	}
	stopped.Wait()
	return nil
}

// A sharedWriter takes the log lines of several nodes, one after the other, until
// nobody wants them any more.
type sharedWriter struct {
	mu     sync.Mutex
	out    io.Writer
	silent bool
}

func (w *sharedWriter) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.silent {
		return len(b), nil
	}
	return w.out.Write(b)
}

func (w *sharedWriter) silence() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.silent = true
}
