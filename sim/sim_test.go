package sim

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"pgregory.net/rapid"
)

// drive runs the kernel until nothing is left, and fails the test on a panic of
// a task.
func drive(t *testing.T, k *Kernel) {
	t.Helper()
	if end := k.Run(kafka.Never-1, func() bool { return false }); end != Idle {
		t.Fatalf("run ended %s: %v", end, k.Panics())
	}
}

// order runs three tasks that take turns and returns who ran when.
func order(seed uint64) (string, Chain) {
	k := New(Options{Seed: seed, HoldOneIn: 8, HoldMax: time.Millisecond})
	n := k.NewNode("n1")
	var out []string
	for i := range 3 {
		n.Go(fmt.Sprint("t", i), func() {
			for range 5 {
				out = append(out, fmt.Sprint(i))
				k.Yield()
			}
		})
	}
	k.Run(kafka.Never-1, func() bool { return false })
	return strings.Join(out, ""), k.Chain()
}

func TestOneSeedIsOneRun(t *testing.T) {
	seen := map[string]bool{}
	for seed := range uint64(50) {
		first, chain := order(seed)
		again, chainAgain := order(seed)
		if first != again || chain != chainAgain {
			t.Fatalf("seed %d ran %s (%s), then %s (%s)", seed, first, chain, again, chainAgain)
		}
		seen[first] = true
	}
	if len(seen) < 25 {
		t.Errorf("50 seeds gave %d schedules only", len(seen))
	}
}

func TestChainTellsRunsApart(t *testing.T) {
	chains := map[Chain]uint64{}
	for seed := range uint64(200) {
		_, c := order(seed)
		if other, dup := chains[c]; dup {
			t.Fatalf("seeds %d and %d have the chain %s", other, seed, c)
		}
		chains[c] = seed
	}
}

func TestRecordingLeavesTheChainAlone(t *testing.T) {
	run := func(r *Recorder) Chain {
		k := New(Options{Seed: 7, Recorder: r})
		n := k.NewNode("n1")
		n.Go("a", func() { n.Clock().Now(); n.Log().Info("hello", "x", 1) })
		drive(t, k)
		return k.Chain()
	}
	var text bytes.Buffer
	r := NewRecorder(&text)
	if with, without := run(r), run(nil); with != without {
		t.Errorf("chain %s recorded, %s unrecorded", with, without)
	}
	r.Flush()
	if !strings.Contains(text.String(), "hello") {
		t.Errorf("the recording lacks the log line:\n%s", text.String())
	}
}

func TestStreamsAreIndependent(t *testing.T) {
	a, b := New(Options{Seed: 1}), New(Options{Seed: 1})
	a.Rand("other").Uint64()
	if x, y := a.Rand("mine").Uint64(), b.Rand("mine").Uint64(); x != y {
		t.Error("a draw from one stream changed another")
	}
	if Stream(1, "mine").Uint64() != New(Options{Seed: 1}).Rand("mine").Uint64() {
		t.Error("Stream and Kernel.Rand differ")
	}
}

func TestSleepTakesVirtualTime(t *testing.T) {
	k := New(Options{Seed: 1})
	n := k.NewNode("n1")
	var woke kafka.Instant
	n.Go("sleeper", func() {
		n.Clock().Sleep(time.Hour)
		woke = n.Clock().Now()
	})
	drive(t, k)
	if woke != kafka.Instant(time.Hour) {
		t.Errorf("woke at %s, want 1h", woke)
	}
}

func TestDriftingClocksStillSleepLongEnough(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := New(Options{Seed: 1})
		n := k.NewNode("n1")
		n.SetDrift(rapid.Int64Range(-200_000, 200_000).Draw(t, "ppm"))
		later := rapid.Int64Range(-200_000, 200_000).Draw(t, "ppm later")
		k.After(time.Duration(rapid.Int64Range(0, int64(2*time.Second)).Draw(t, "when")), func() { n.SetDrift(later) })
		d := time.Duration(rapid.Int64Range(1, int64(2*time.Second)).Draw(t, "sleep"))
		var took time.Duration
		n.Go("sleeper", func() {
			begin := n.Monotonic()
			n.Clock().Sleep(d)
			took = n.Monotonic().Sub(begin)
		})
		k.Run(kafka.Never-1, func() bool { return false })
		if took < d {
			t.Fatalf("slept %s of %s", took, d)
		}
	})
}

func TestWallClockFaultsLeaveMonotonicTimeAlone(t *testing.T) {
	k := New(Options{Seed: 1})
	n, twin := k.NewNode("n1"), k.NewNode("n2")
	n.JumpWall(-time.Hour)
	if got := n.WallTime() - twin.WallTime(); got != -3_600_000 {
		t.Errorf("after a jump back of 1h the wall clock is %dms off", got)
	}
	n.FreezeWall()
	at := n.WallTime()
	k.After(time.Minute, func() {})
	drive(t, k)
	if n.WallTime() != at {
		t.Error("a frozen wall clock moved")
	}
	if n.Monotonic() != twin.Monotonic() {
		t.Error("wall clock faults moved the monotonic clock")
	}
	n.ThawWall()
	if got := n.WallTime() - at; got != 60_000 {
		t.Errorf("thawed, the wall clock has moved %dms, want 60000", got)
	}
}

func TestTimePassesBetweenTwoLooksOfOneStep(t *testing.T) {
	k := New(Options{Seed: 1, PreemptOneIn: 10})
	n := k.NewNode("n1")
	passed, back := 0, 0
	n.Go("looker", func() {
		for last := n.Clock().Now(); passed+back < 5; {
			now := n.Clock().Now()
			if now > last {
				passed++
			}
			if now < last {
				back++
			}
			last = now
		}
	})
	drive(t, k)
	if passed == 0 || back != 0 || k.Now() != 0 {
		t.Errorf("time passed %d times and went back %d times; the kernel is at %s", passed, back, k.Now())
	}
}

func TestBeatGrowsWithVirtualTimeOnly(t *testing.T) {
	k := New(Options{Seed: 1})
	n := k.NewNode("n1")
	n.Go("busy", func() {
		for range 1000 {
			k.Yield()
		}
		n.Clock().Sleep(time.Second)
		for range 1000 {
			k.Yield()
		}
	})
	k.Run(0, func() bool { return k.Steps() == 128 })
	early := k.Beat()
	k.Run(0, func() bool { return k.Steps() == 512 })
	if k.Beat() != early {
		t.Error("steps at one instant count as an advance")
	}
	drive(t, k)
	if k.Beat() <= early {
		t.Error("an advance of virtual time does not count")
	}
}

func TestCrashUnwindsEveryTaskWithoutEffect(t *testing.T) {
	k := New(Options{Seed: 1})
	n := k.NewNode("n1")
	c := n.Tasks().NewCond("c")
	var log []string
	n.Go("waiter", func() {
		defer func() {
			log = append(log, "deferred")
			n.Tasks().Go("after death", func() { log = append(log, "ghost") })
			c.Wait(kafka.Never)
			log = append(log, "waited while dead")
		}()
		c.Wait(kafka.Never)
		log = append(log, "went on")
	})
	n.Go("never started", func() {})
	k.Run(0, func() bool { return k.Steps() == 2 })
	n.OnCrash(func() { log = append(log, "hook") })
	n.Crash()
	c.Broadcast()
	drive(t, k)
	if want := []string{"deferred", "hook"}; !slices.Equal(log, want) {
		t.Errorf("got %q, want %q", log, want)
	}
	n.Restart()
	n.Go("reborn", func() { log = append(log, "reborn") })
	drive(t, k)
	if log[len(log)-1] != "reborn" {
		t.Error("a restarted node runs no tasks")
	}
}

func TestPanicStopsTheRunAndKeepsItsStack(t *testing.T) {
	k := New(Options{Seed: 1})
	k.NewNode("n1").Go("bad", func() { panic("boom") })
	if end := k.Run(kafka.Never-1, func() bool { return false }); end != Panicked {
		t.Fatalf("run ended %s", end)
	}
	p := k.Panics()[0]
	if p.Value != "boom" || !strings.Contains(p.Stack, "sim_test.go") {
		t.Errorf("got %s with stack\n%s", p, p.Stack)
	}
}

func TestPausedNodeRunsNothingWhileOthersDo(t *testing.T) {
	k := New(Options{Seed: 1})
	n, other := k.NewNode("n1"), k.NewNode("n2")
	var ranAt, otherAt kafka.Instant
	n.Go("a", func() { ranAt = k.Now() })
	other.Go("b", func() { otherAt = k.Now() })
	n.Pause(time.Second)
	n.Pause(2 * time.Second)
	drive(t, k)
	if ranAt != kafka.Instant(2*time.Second) || otherAt != 0 {
		t.Errorf("paused node ran at %s, the other at %s", ranAt, otherAt)
	}
}

func TestStallHoldsOneTask(t *testing.T) {
	k := New(Options{Seed: 1})
	n := k.NewNode("n1")
	var at []kafka.Instant
	for range 2 {
		n.Go("t", func() { at = append(at, k.Now()) })
	}
	n.Stall(time.Second)
	drive(t, k)
	if !slices.Equal(at, []kafka.Instant{0, kafka.Instant(time.Second)}) {
		t.Errorf("tasks ran at %v", at)
	}
}

func TestSlowNodePaysForItsSteps(t *testing.T) {
	took := func(slowness int64) kafka.Instant {
		k := New(Options{Seed: 1})
		n := k.NewNode("n1")
		n.SetSlowness(slowness)
		n.Go("t", func() {
			for range 10 {
				k.Yield()
			}
		})
		drive(t, k)
		return k.Now()
	}
	if fast, slow := took(1), took(50); fast != 0 || slow < kafka.Instant(9*50*stepCost) {
		t.Errorf("ten steps took %s, and %s on a slow node", fast, slow)
	}
}

func TestDrawnHoldsLetTimePassWhileTasksAreReady(t *testing.T) {
	k := New(Options{Seed: 3, HoldOneIn: 4, HoldMax: time.Second})
	n := k.NewNode("n1")
	n.Go("t", func() {
		for range 100 {
			k.Yield()
		}
	})
	drive(t, k)
	if k.Now() == 0 {
		t.Error("no ready task was ever held")
	}
}

func TestCancelReachesWaitsButNotTheDisk(t *testing.T) {
	k := New(Options{Seed: 1})
	n := k.NewNode("n1")
	c := n.Tasks().NewCond("c")
	var errs []error
	var end kafka.Instant
	task := n.Go("t", func() {
		errs = append(errs, c.Wait(kafka.Never), n.Clock().Sleep(time.Hour))
		k.Block("disk", time.Minute)
		end = k.Now()
	})
	k.After(time.Second, task.Cancel)
	drive(t, k)
	for _, err := range errs {
		if !errors.Is(err, env.ErrCanceled) {
			t.Errorf("a canceled wait returned %v", err)
		}
	}
	if end != kafka.Instant(time.Second+time.Minute) {
		t.Errorf("the disk call ended at %s", end)
	}
}

func TestWakeAndDeadlineAtOnceIsDrawn(t *testing.T) {
	seen := map[error]int{}
	for seed := range uint64(100) {
		k := New(Options{Seed: seed})
		n := k.NewNode("n1")
		c := n.Tasks().NewCond("c")
		k.After(time.Second, c.Broadcast)
		n.Go("t", func() { seen[c.Wait(kafka.Instant(time.Second))]++ })
		drive(t, k)
	}
	if seen[nil] < 20 || seen[env.ErrDeadline] < 20 {
		t.Errorf("a tie gave %v", seen)
	}
}

func TestHeapKeepsOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var h heap
		var want []event
		for _, at := range rapid.SliceOfN(rapid.Int64Range(0, 20), 1, 200).Draw(t, "at") {
			h.push(event{at: kafka.Instant(at)})
			want = append(want, event{at: kafka.Instant(at), order: h.next - 1})
		}
		slices.SortFunc(want, func(a, b event) int {
			if a.before(&b) {
				return -1
			}
			return 1
		})
		for i := range want {
			if got := h.pop(); got.order != want[i].order {
				t.Fatalf("event %d is %d, want %d", i, got.order, want[i].order)
			}
		}
	})
}

func TestStaleTimersAreSwept(t *testing.T) {
	k := New(Options{Seed: 1})
	n := k.NewNode("n1")
	c := n.Tasks().NewCond("c")
	woken := 0
	n.Go("waiter", func() {
		for c.Wait(k.Now().Add(time.Hour)) == nil && woken < 50_000 {
			woken++
		}
	})
	n.Go("waker", func() {
		for woken < 50_000 {
			c.Broadcast()
			k.Yield()
		}
		c.Broadcast()
	})
	drive(t, k)
	if cap(k.events.items) > 16_384 {
		t.Errorf("the heap grew to %d for one living timer", cap(k.events.items))
	}
}

func TestBuggifyIsOffWhenAsked(t *testing.T) {
	fired := 0
	for seed := range uint64(30) {
		k := New(Options{Seed: seed, Buggify: true})
		n := k.NewNode("n1")
		for range 100 {
			if n.Sight().Buggify("point") {
				fired++
			}
		}
		k.Quiet()
		for range 100 {
			if n.Sight().Buggify("point") {
				t.Fatal("a point fired after Quiet")
			}
		}
	}
	if fired == 0 {
		t.Error("no point fired in 30 seeds")
	}
}

func BenchmarkSwitch(b *testing.B) {
	for _, tasks := range []int{10, 1000, 10_000} {
		b.Run(fmt.Sprint(tasks), func(b *testing.B) {
			k := New(Options{Seed: 1})
			n := k.NewNode("n1")
			done := false
			for range tasks {
				n.Go("t", func() {
					for !done {
						k.Yield()
					}
				})
			}
			stop := uint64(b.N + tasks)
			b.ResetTimer()
			k.Run(kafka.Never-1, func() bool { return k.steps >= stop })
			b.StopTimer()
			done = true
			k.Close()
		})
	}
}

func BenchmarkSwitchByTimer(b *testing.B) {
	k := New(Options{Seed: 1})
	n := k.NewNode("n1")
	for i := range 1000 {
		n.Go("t", func() {
			for {
				k.Block("tick", time.Duration(1000+i))
			}
		})
	}
	b.ResetTimer()
	k.Run(kafka.Never-1, func() bool { return k.steps >= uint64(2*b.N) })
	b.StopTimer()
	k.Close()
}

// BenchmarkParkedTask reports what a task costs that only waits.
func BenchmarkParkedTask(b *testing.B) {
	const tasks = 10_000
	for range b.N {
		before := heapAndStacks()
		k := New(Options{Seed: 1})
		n := k.NewNode("n1")
		c := n.Tasks().NewCond("c")
		for range tasks {
			n.Go("t", func() { c.Wait(kafka.Never) })
		}
		k.Run(0, func() bool { return len(k.ready) == 0 })
		b.ReportMetric(float64(heapAndStacks()-before)/tasks, "B/task")
		k.Close()
	}
}

func heapAndStacks() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}
