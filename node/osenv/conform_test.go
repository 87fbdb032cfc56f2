package osenv_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/env/envtest"
	"github.com/klammlog/klamm/node/osenv"
)

// A harness implements envtest.Harness with Hosts of this process, each of which
// has directories of its own. Kill closes a Host: the nearest to a kill that a
// process can do to a part of itself. TestKilledProcess does it to a whole one.
type harness struct {
	root     string
	patience time.Duration
	quiet    bool   // about panics
	seed     uint64 // 0 draws one
	hosts    map[string]*osenv.Host
}

func newHarness(t *testing.T, patience time.Duration) *harness {
	h := &harness{root: t.TempDir(), patience: patience, hosts: make(map[string]*osenv.Host)}
	t.Cleanup(func() {
		for name := range h.hosts {
			_ = h.Kill(name)
		}
	})
	return h
}

func (h *harness) Address(string) string { return "127.0.0.1:0" }

func (h *harness) Patience() time.Duration { return h.patience }

func (h *harness) host(name string) (*osenv.Host, error) {
	if host, ok := h.hosts[name]; ok {
		return host, nil
	}
	dir := filepath.Join(h.root, name)
	host, err := osenv.New(osenv.Options{
		LogDirs: []string{filepath.Join(dir, "0"), filepath.Join(dir, "1")},
		OnPanic: h.report,
		Seed:    h.seed,
	})
	if err == nil {
		h.hosts[name] = host
	}
	return host, err
}

func (h *harness) report(p osenv.Panic) {
	if !h.quiet {
		fmt.Fprintln(os.Stderr, p)
	}
}

// Run gives up on parts that have not ended after a few times the patience of
// the checks themselves: they wait for something that a broken world never does.
func (h *harness) Run(parts ...envtest.Part) error {
	errs := make([]error, len(parts))
	var running sync.WaitGroup
	for i, p := range parts {
		host, err := h.host(p.Host)
		if err != nil {
			return err
		}
		running.Go(func() {
			errs[i] = host.Do(context.Background(), func() error { return p.Run(host.World()) })
		})
	}
	ended := make(chan struct{})
	go func() { running.Wait(); close(ended) }()
	select {
	case <-ended:
		return errors.Join(errs...)
	case <-time.After(4 * h.patience):
		clear(h.hosts) // they cannot be closed
		return fmt.Errorf("the parts have not ended\n%s", stacks())
	}
}

func stacks() []byte {
	buf := make([]byte, 1<<20)
	return buf[:runtime.Stack(buf, true)]
}

func (h *harness) Kill(name string) error {
	if host, ok := h.hosts[name]; ok {
		delete(h.hosts, name)
		host.Close()
	}
	return nil
}

var _ envtest.Harness = (*harness)(nil)

func TestConformance(t *testing.T) {
	for _, check := range envtest.Checks() {
		t.Run(check.Name, func(t *testing.T) {
			if err := check.Run(newHarness(t, 20*time.Second)); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// The world hands its parts through, so that one can be replaced.
func TestWorldIsComplete(t *testing.T) {
	h := newHarness(t, time.Second)
	err := h.Run(envtest.Part{Host: "a", Run: func(w *env.World) error {
		if w.Clock == nil || w.Tasks == nil || w.Net == nil || w.Random == nil || w.Secret == nil || w.Log == nil || w.Sight == nil {
			return fmt.Errorf("a part is missing: %+v", w)
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
}
