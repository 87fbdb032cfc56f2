package envtest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

var randomChecks = []Check{
	one("a random stream goes on where it was", streamGoesOn),
	one("each name has a random stream of its own", streamsDiffer),
	one("secrets are not repeated", secretsDiffer),
	one("logs, probes and traces are there", sightIsThere),
}

func streamGoesOn(t *trial) error {
	seen := make(map[uint64]bool)
	for range 100 {
		v := t.Rand("stream").Uint64()
		if seen[v] {
			return fmt.Errorf("it drew %d twice", v)
		}
		seen[v] = true
	}
	if first, again := t.Rand("stream"), t.Rand("stream"); first != again {
		return errors.New("one name has two streams")
	}
	return nil
}

func streamsDiffer(t *trial) error {
	a, b := t.Rand("a"), t.Rand("b")
	if a == b {
		return errors.New("two names share one stream")
	}
	if x, y := a.Uint64(), b.Uint64(); x == y {
		return fmt.Errorf("two streams begin with %d", x)
	}
	return nil
}

func secretsDiffer(t *trial) error {
	x, y := make([]byte, 32), make([]byte, 32)
	for _, p := range [][]byte{x, y} {
		if _, err := io.ReadFull(t.Secret, p); err != nil {
			return err
		}
	}
	if bytes.Equal(x, y) || bytes.Equal(x, make([]byte, 32)) {
		return fmt.Errorf("two secrets: %x and %x", x, y)
	}
	return nil
}

func sightIsThere(t *trial) error {
	t.Log.Info("a line of the conformance suite")
	t.Probe("conformance suite")
	_ = t.Buggify("conformance suite")
	if t.Sight.Tracing() {
		t.Sight.Trace("conformance suite")
	}
	return nil
}
