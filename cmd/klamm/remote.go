package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/klammlog/klamm/node/client"
	"github.com/klammlog/klamm/node/client/link"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/osenv"
)

// A remote is the cluster a command talks to, and how.
type remote struct {
	bootstrap string
	timeout   time.Duration
	output    string
}

// flags adds what every command takes that talks to a cluster and tells about it.
func (r *remote) flags(cmd *cobra.Command) {
	r.connectFlags(cmd)
	outputFlag(cmd, &r.output)
}

// connectFlags adds what it takes to find a cluster.
func (r *remote) connectFlags(cmd *cobra.Command) {
	r.output = "text"
	cmd.Flags().StringVarP(&r.bootstrap, "bootstrap", "b", defaultBootstrap(),
		"brokers to ask first, `HOST:PORT[,HOST:PORT...]`; by default $KLAMM_BOOTSTRAP or $KAFKA_BOOTSTRAP_SERVERS")
	cmd.Flags().DurationVar(&r.timeout, "timeout", 15*time.Second, "how long to wait for the cluster")
}

func defaultBootstrap() string {
	for _, name := range []string{"KLAMM_BOOTSTRAP", "KAFKA_BOOTSTRAP_SERVERS"} {
		if v := os.Getenv(name); v != "" {
			return v
		}
	}
	return "localhost:9092"
}

// A call is a command's conversation with a cluster, as a task of a host.
type call struct {
	host     *osenv.Host
	w        *env.World
	client   *client.Client
	deadline kafka.Instant
	signaled <-chan struct{} // closed at the first signal, if the command finishes first

	// finally, if it is set, is what is still to be said when the command is over, even
	// if it was canceled.
	finally func(deadline kafka.Instant) error
}

// farewell bounds how long that may take.
const farewell = 10 * time.Second

// told reports whether a signal asked the command to finish.
func (c *call) told() bool {
	select {
	case <-c.signaled:
		return true
	default:
		return false
	}
}

// onSignal is what SIGINT and SIGTERM do to a command.
type onSignal uint8

const (
	endAtOnce   onSignal = iota // they cancel it
	finishFirst                 // the first closes call.signaled, the second cancels
)

// do connects and runs f as a task. SIGINT and SIGTERM cancel it.
func (r *remote) do(cmd *cobra.Command, f func(c *call) error) error {
	return r.talk(cmd, endAtOnce, f)
}

// talk connects and runs f as a task.
func (r *remote) talk(cmd *cobra.Command, signals onSignal, f func(c *call) error) error {
	if err := checkOutput(r.output); err != nil {
		return err
	}
	config := client.DefaultConfig(strings.Split(r.bootstrap, ",")...)
	config.ClientID = "klamm-cli"
	for _, address := range config.Bootstrap {
		if !strings.Contains(address, ":") {
			return usage(fmt.Errorf("--bootstrap %q: want HOST:PORT", address))
		}
	}
	ctx, signaled, stop := listen(background(cmd), signals)
	defer stop()
	ctx, unread := whileRead(ctx, cmd.OutOrStdout())
	host, err := osenv.New(osenv.Options{Logger: newLogger(cmd.ErrOrStderr(), "warn"), OnPanic: crashed})
	if err != nil {
		return err
	}
	defer host.Close()
	c := &call{host: host, w: host.World(), signaled: signaled}
	err = host.Do(ctx, func() error {
		c.deadline = c.w.Now().Add(r.timeout)
		if c.client, err = client.New(c.w, config); err != nil {
			return usage(err)
		}
		if err := c.client.Reach(c.deadline); err != nil {
			return err
		}
		return f(c)
	})
	err = errors.Join(err, c.sayFarewell())
	if err != nil && (unread() || errors.Is(err, syscall.EPIPE)) {
		return exitCode(128 + int(syscall.SIGPIPE)) // as a write to nobody would have ended it
	}
	return r.explain(interrupted(err))
}

// sayFarewell runs what the command has left for its end. A signal ends that.
func (c *call) sayFarewell() error {
	if c.finally == nil {
		return nil
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return c.host.Do(ctx, func() error { return c.finally(c.w.Now().Add(farewell)) })
}

// listen returns a context that signals end, and what tells of the first of them.
func listen(ctx context.Context, signals onSignal) (context.Context, <-chan struct{}, func()) {
	if signals == endAtOnce {
		ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
		return ctx, nil, stop
	}
	ctx, cancel := context.WithCancel(ctx)
	got, first := make(chan os.Signal, 2), make(chan struct{})
	signal.Notify(got, os.Interrupt, syscall.SIGTERM)
	go func() {
		for heard := false; ; heard = true {
			select {
			case <-ctx.Done():
				return
			case <-got:
			}
			if heard {
				cancel()
				return
			}
			close(first)
		}
	}()
	return ctx, first, func() { signal.Stop(got); cancel() }
}

// An advised error says what to do about another.
type advised struct {
	what string
	err  error
}

func (a advised) Error() string { return a.what }
func (a advised) Unwrap() error { return a.err }

// explain turns the errors a beginner meets into advice.
func (r *remote) explain(err error) error {
	switch {
	case errors.As(err, new(advised)): // it says more already
	case errors.Is(err, link.ErrNotSent) && errors.Is(err, env.ErrRefused):
		return advised{fmt.Sprintf("no broker listens at %s: start one with 'klamm dev', or name another with --bootstrap",
			r.bootstrap), err}
	case errors.Is(err, link.ErrNotSent) && errors.Is(err, env.ErrDeadline):
		return advised{fmt.Sprintf("no broker answered at %s within %v: check --bootstrap, or wait longer with --timeout",
			r.bootstrap, r.timeout), err}
	}
	return err
}

// background returns the context of commands run without one.
func background(cmd *cobra.Command) context.Context {
	if ctx := cmd.Context(); ctx != nil {
		return ctx
	}
	return context.Background()
}
