package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/klammlog/klamm/node"
	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/osenv"
)

// stopWithin is how long a node may take to stop cleanly.
const stopWithin = 30 * time.Second

// A process is a node on real sockets and files.
type process struct {
	host *osenv.Host
	node *node.Node
}

// startProcess starts a node. The error says what to do about it.
func startProcess(pairs []config.Pair, logger *slog.Logger) (*process, error) {
	settings, err := config.NewBroker(pairs)
	if err != nil {
		return nil, usage(err)
	}
	dirs := config.LogDirs.In(settings)
	host, err := osenv.New(osenv.Options{LogDirs: dirs, Logger: logger, OnPanic: crashed})
	if err != nil {
		return nil, fmt.Errorf("log directories %v: %w", dirs, err)
	}
	p := &process{host: host}
	err = host.Do(context.Background(), func() error {
		p.node, err = node.Start(host.World(), node.Config{Settings: settings})
		return err
	})
	if err != nil {
		host.Close()
		return nil, explainStart(err, settings)
	}
	return p, nil
}

// explainStart says what to do about the two mistakes everybody makes.
func explainStart(err error, settings *config.View) error {
	switch {
	case errors.Is(err, env.ErrAddrInUse):
		return advised{fmt.Sprintf("cannot listen on %s, the port is taken: stop who has it, or choose another with --listen HOST:PORT",
			strings.Join(config.Listeners.In(settings), ",")), err}
	case errors.Is(err, env.ErrLocked):
		return advised{fmt.Sprintf("data directory %s is in use by another klamm: stop it, or choose another with --data-dir",
			strings.Join(config.LogDirs.In(settings), ",")), err}
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
func (p *process) stop() error {
	err := p.host.Do(context.Background(), func() error {
		return p.node.Stop(p.host.World().Now().Add(stopWithin))
	})
	p.host.Close()
	return err
}
