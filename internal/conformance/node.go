package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	stop = syscall.SIGTERM
	kill = syscall.SIGKILL
)

// A node is a klamm process that is ended and started again at one address.
type node struct {
	klamm, dir, address string
	args                []string  // of klamm serve, besides where data are
	process             *exec.Cmd // nil while there is none
}

func newNode(klamm, dir string) (*node, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer l.Close()
	return &node{klamm: klamm, dir: dir, address: l.Addr().String()}, nil
}

func (n *node) logFile() string { return filepath.Join(n.dir, "node.log") }

// start starts the node and waits until it answers.
func (n *node) start() error {
	if err := os.MkdirAll(n.dir, 0o755); err != nil {
		return err
	}
	out, err := os.OpenFile(n.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer out.Close()
	n.process = exec.Command(n.klamm, append([]string{"serve", "--data-dir", filepath.Join(n.dir, "data")}, n.args...)...)
	n.process.Stdout, n.process.Stderr = out, out
	if err := n.process.Start(); err != nil {
		n.process = nil
		return err
	}
	if slices.Contains(n.args, "controller") {
		return n.reach() // it does not answer what clients ask
	}
	return n.askFor(healWithin, func(ctx context.Context, c *kgo.Client) error {
		for {
			err := c.Ping(ctx)
			if err == nil || ctx.Err() != nil {
				return err
			}
			time.Sleep(10 * time.Millisecond) // it is not listening yet
		}
	})
}

// reach waits until the node takes connections.
func (n *node) reach() error {
	for begun := time.Now(); ; {
		c, err := net.Dial("tcp", n.address)
		if err == nil {
			return c.Close()
		}
		if time.Since(begun) > 30*time.Second {
			return err
		}
		time.Sleep(10 * time.Millisecond) // it is not listening yet
	}
}

// end ends the node as a signal does, and waits until it is gone.
func (n *node) end(s syscall.Signal) error {
	if n.process == nil {
		return nil
	}
	p := n.process
	n.process = nil
	if err := p.Process.Signal(s); err != nil {
		return err
	}
	err := p.Wait()
	if s == stop && err != nil {
		return fmt.Errorf("told to stop, the node ended with: %w", err)
	}
	if status, ok := p.ProcessState.Sys().(syscall.WaitStatus); s == kill && ok && !status.Signaled() {
		return errors.New("the node ended before it was killed")
	}
	return nil
}

// lastWords returns the end of the node's log.
func (n *node) lastWords() string {
	b, err := os.ReadFile(n.logFile())
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return strings.Join(lines[max(0, len(lines)-20):], "\n")
}

// ask calls f with a client, which retries for half a minute.
func (n *node) ask(f func(context.Context, *kgo.Client) error, opts ...kgo.Opt) error {
	return n.askFor(30*time.Second, f, opts...)
}

// askFor is ask with another patience.
func (n *node) askFor(patience time.Duration, f func(context.Context, *kgo.Client) error, opts ...kgo.Opt) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, err := kgo.NewClient(append(opts, kgo.SeedBrokers(strings.Split(n.address, ",")...), kgo.RequestRetries(1000),
		kgo.RetryBackoffFn(func(int) time.Duration { return 20 * time.Millisecond }))...)
	if err != nil {
		return err
	}
	defer c.Close()
	return f(ctx, c)
}

// create creates a topic.
func (n *node) create(topic string, partitions int32) error {
	return n.ask(func(ctx context.Context, c *kgo.Client) error {
		_, err := kadm.NewClient(c).CreateTopic(ctx, partitions, -1, nil, topic)
		return err
	})
}

// bounds returns where a partition's log begins and ends.
func (n *node) bounds(topic string, partition int32) (begin, end int64, err error) {
	err = n.ask(func(ctx context.Context, c *kgo.Client) error {
		admin := kadm.NewClient(c)
		first, err := admin.ListStartOffsets(ctx, topic)
		if err != nil {
			return err
		}
		last, err := admin.ListEndOffsets(ctx, topic)
		if err != nil {
			return err
		}
		b, _ := first.Lookup(topic, partition)
		e, _ := last.Lookup(topic, partition)
		begin, end = b.Offset, e.Offset
		return errors.Join(b.Err, e.Err)
	})
	return begin, end, err
}

// firstRecords returns the first records of a partition, at most count of them,
// which tell how their batches were written.
func (n *node) firstRecords(topic string, partition int32, count int) (first []*kgo.Record, err error) {
	_, end, err := n.bounds(topic, partition)
	if err != nil {
		return nil, err
	}
	from := map[string]map[int32]kgo.Offset{topic: {partition: kgo.NewOffset().AtStart()}}
	err = n.ask(func(ctx context.Context, c *kgo.Client) error {
		for len(first) < min(count, int(end)) {
			fetches := c.PollRecords(ctx, count)
			if err := fetches.Err(); err != nil {
				return err
			}
			first = append(first, fetches.Records()...)
		}
		return nil
	}, kgo.ConsumePartitions(from))
	return first, err
}
