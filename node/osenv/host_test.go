package osenv

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/klammlog/klamm/internal/assert"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
)

func newHost(t testing.TB, o Options) *Host {
	t.Helper()
	h, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	return h
}

func TestDoReturnsWhatItsFunctionReturns(t *testing.T) {
	h := newHost(t, Options{})
	want := errors.New("mine")
	if err := h.Do(context.Background(), func() error { return want }); err != want {
		t.Fatalf("got %v", err)
	}
}

func TestDoIsCanceledWithItsContext(t *testing.T) {
	h := newHost(t, Options{})
	w := h.World()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for _, wait := range []func() error{
		func() error { return w.Sleep(time.Hour) },
		func() error { return w.NewCond("never").Wait(kafka.Never) },
	} {
		ctx, cancel := context.WithCancel(ctx)
		err := h.Do(ctx, func() error {
			h.later(releaseFunc(cancel))
			return wait()
		})
		if !errors.Is(err, env.ErrCanceled) {
			t.Fatalf("got %v, want ErrCanceled", err)
		}
	}
	cancel()
	err := h.Do(ctx, func() error { t.Fatal("ran"); return nil })
	if !errors.Is(err, env.ErrCanceled) || !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want ErrCanceled and the context's error", err)
	}
}

// releaseFunc runs when the baton is laid down.
type releaseFunc func()

func (f releaseFunc) release() { f() }

func TestOutsideMayEnterAgain(t *testing.T) {
	h := newHost(t, Options{})
	entered := false
	err := h.Do(context.Background(), func() error {
		h.Outside(func() {
			err := h.Do(context.Background(), func() error { entered = true; return nil })
			if err != nil {
				t.Error(err)
			}
		})
		return nil
	})
	if err != nil || !entered {
		t.Fatalf("entered: %v, error: %v", entered, err)
	}
}

func TestCloseCancelsTasksAndRefusesOthers(t *testing.T) {
	h := newHost(t, Options{})
	w := h.World()
	var first, second error
	err := h.Do(context.Background(), func() error {
		w.Go("sleeper", func() {
			first = w.Sleep(time.Hour)
			w.Go("late", func() { second = w.Sleep(time.Hour) })
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	h.Close()
	if !errors.Is(first, env.ErrCanceled) || !errors.Is(second, env.ErrCanceled) {
		t.Fatalf("got %v and %v, want ErrCanceled", first, second)
	}
	if err := h.Do(context.Background(), func() error { return nil }); !errors.Is(err, env.ErrClosed) {
		t.Fatalf("got %v, want ErrClosed", err)
	}
}

func TestWaitReturnsWhenNoTaskIsLeft(t *testing.T) {
	h := newHost(t, Options{})
	w := h.World()
	ended := 0
	err := h.Do(context.Background(), func() error {
		for range 10 {
			w.Go("sleeper", func() {
				_ = w.Sleep(time.Millisecond)
				ended++
			})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	h.Wait()
	if ended != 10 {
		t.Fatalf("%d of 10 tasks had ended", ended)
	}
}

func throwSomething() { assert.That(false, "offset %d", 7) }

func TestPanicIsReportedWithItsStack(t *testing.T) {
	var seen []Panic
	h := newHost(t, Options{OnPanic: func(p Panic) { seen = append(seen, p) }})
	w := h.World()
	err := h.Do(context.Background(), func() error {
		w.Go("wrong", func() { w.Offload(throwSomething) })
		_ = w.Sleep(time.Millisecond)
		throwSomething()
		return nil
	})
	if !errors.Is(err, errPanicked) {
		t.Fatalf("Do returned %v", err)
	}
	h.Wait()
	if len(seen) != 2 || seen[0].Task != "wrong" || seen[1].Task != "do" {
		t.Fatalf("reported: %v", seen)
	}
	for _, p := range seen {
		if text := p.String(); !strings.Contains(text, "offset 7") || !strings.Contains(text, "throwSomething") {
			t.Fatalf("report without cause or stack:\n%s", text)
		}
	}
}

func TestRandomStreamsComeFromTheSeed(t *testing.T) {
	draw := func(seed uint64) (n uint64) {
		h := newHost(t, Options{Seed: seed})
		_ = h.Do(context.Background(), func() error { n = h.World().Rand("x").Uint64(); return nil })
		return n
	}
	one, again, two := draw(1), draw(1), draw(2)
	unseeded, other := draw(0), draw(0)
	if one != again || one == two || unseeded == other {
		t.Fatal("streams do not follow the seed")
	}
}

func TestHoldsQuantiles(t *testing.T) {
	var s Holds
	for i := range 1000 {
		s.add(time.Duration(i+1) * time.Microsecond)
	}
	for _, q := range []int{1, 10, 500, 900, 999, 1000} {
		got, exact := s.Quantile(q), time.Duration(q)*time.Microsecond
		if got <= exact || got > exact+exact/4+1 {
			t.Errorf("p%d: got %v, exact %v", q, got, exact)
		}
	}
	for d := time.Duration(1); d < time.Minute; d = d*5/4 + 1 {
		b := holdBucket(d)
		if d >= holdBound(b) || (b > 0 && d < holdBound(b-1)) {
			t.Fatalf("%v is not in its bucket %d: [%v, %v)", d, b, holdBound(b-1), holdBound(b))
		}
	}
}

func TestHoldsAreMeasured(t *testing.T) {
	h := newHost(t, Options{})
	_ = h.Do(context.Background(), func() error {
		for began := h.now(); h.now() < began.Add(2*time.Millisecond); {
		}
		return nil
	})
	if holds := h.Holds(); holds.Count != 1 || holds.Longest < 2*time.Millisecond {
		t.Fatalf("%d holds, longest %v", holds.Count, holds.Longest)
	}
}
