package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	"github.com/klammlog/klamm/node"
	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/osenv"
)

// stopWithin is how long a node may take to stop cleanly.
const stopWithin = 30 * time.Second

// A process is a node on real sockets and files.
type process struct {
	host *osenv.Host
	node *node.Node
	logs *osenv.Async
}

// startProcess starts a node that has the process to itself.
func startProcess(pairs []config.Pair, out io.Writer, level string) (*process, error) {
	return startOneOf(1, pairs, out, level)
}

// startOneOf starts one of so many nodes in this process. It logs to out: on a
// goroutine of its own, for the node must not wait for whoever reads its log. The
// error says what to do about it.
func startOneOf(nodes int, pairs []config.Pair, out io.Writer, level string) (*process, error) {
	settings, err := config.NewBroker(pairs)
	if err != nil {
		return nil, usage(err)
	}
	files, err := openFiles(nodes, len(config.LogDirs.In(settings)))
	if err != nil {
		return nil, err
	}
	if settings, err = config.NewBroker(files.bound(pairs)); err != nil {
		return nil, usage(err)
	}
	dirs, undo, err := makeDirs(config.LogDirs.In(settings))
	if err != nil {
		return nil, err
	}
	p := &process{logs: osenv.NewAsync(out)}
	died := func(panic osenv.Panic) { p.logs.Close(); crashed(panic) }
	if files.scarce() {
		fmt.Fprintln(p.logs, "klamm:", files)
	}
	host, err := osenv.New(osenv.Options{LogDirs: dirs, Logger: newLogger(p.logs, level), OnPanic: died})
	if err != nil {
		p.logs.Close()
		undo()
		return nil, fmt.Errorf("log directories %v: %w", dirs, err)
	}
	p.host = host
	err = host.Do(context.Background(), func() error {
		p.node, err = node.Start(host.World(), node.Config{Settings: settings, OpenFiles: files.logs})
		return err
	})
	if err != nil {
		host.Close()
		p.logs.Close()
		undo()
		return nil, explainStart(err, settings)
	}
	return p, nil
}

// explainStart says what to do about the mistakes everybody makes.
func explainStart(err error, settings *config.View) error {
	switch {
	case errors.Is(err, kafka.ErrInvalidConfig):
		return usage(err)
	case errors.Is(err, env.ErrAddrInUse):
		return advised{fmt.Sprintf("cannot listen on %s, the port is taken: stop who has it, or choose another with --listen HOST:PORT",
			strings.Join(config.Listeners.In(settings), ",")), err}
	case errors.Is(err, env.ErrLocked):
		return advised{fmt.Sprintf("data directory %s is in use by another klamm: stop it, or choose another with --data-dir",
			strings.Join(config.LogDirs.In(settings), ",")), err}
	case errors.Is(err, fs.ErrPermission), errors.Is(err, env.ErrReadOnly):
		return advised{fmt.Sprintf("data directory %s cannot be written: %v", strings.Join(config.LogDirs.In(settings), ","), pathError(err)), err}
	}
	return err
}

// address returns where clients can connect.
func (p *process) address() (address string) {
	p.host.Do(context.Background(), func() error {
		address = p.node.Address()
		return nil
	})
	return address
}

// failed returns a channel that tells, once, why the node cannot go on.
func (p *process) failed() <-chan error {
	told := make(chan error, 1)
	go p.host.Do(context.Background(), func() error {
		for p.host.World().Sleep(time.Second) == nil {
			if err := p.node.Failed(); err != nil {
				told <- err
				return nil
			}
		}
		return nil
	})
	return told
}

// stop ends the node cleanly.
func (p *process) stop() error { return p.stopWithin(stopWithin) }

// stopWithin ends the node, cleanly if that takes no longer.
func (p *process) stopWithin(d time.Duration) error {
	err := p.host.Do(context.Background(), func() error {
		return p.node.Stop(p.host.World().Now().Add(d))
	})
	p.host.Close()
	return errors.Join(err, p.logs.Close())
}
