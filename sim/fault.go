package sim

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/klammlog/klamm/node/kafka"
)

// A FaultKind names what happens to a process, a machine or its clocks.
type FaultKind string

// The faults of processes and clocks. N is a multiple (slow-node), how many deaths
// (restart-storm), millionths (clock-drift) or milliseconds (clock-jump, clock-skew);
// For is how long the fault lasts, and for crash, power-loss and restart-storm how long
// the node is away, each time.
const (
	FaultCrash     FaultKind = "crash"         // the process dies, the page cache lives on
	FaultPowerLoss FaultKind = "power-loss"    // the machine dies, and with it what was not synced
	FaultStop      FaultKind = "graceful-stop" // the node is asked to stop, and started again
	FaultPause     FaultKind = "pause"         // no task runs; clocks and sockets go on
	FaultTaskStall FaultKind = "task-stall"    // one ready task is held, the others run
	FaultSlowNode  FaultKind = "slow-node"     // steps and disk operations take N times as long
	FaultSkew      FaultKind = "clock-skew"    // the wall clock is off by N from the beginning
	FaultDrift     FaultKind = "clock-drift"   // both clocks run N millionths too fast
	FaultJump      FaultKind = "clock-jump"    // the wall clock jumps by N
	FaultFreeze    FaultKind = "clock-freeze"  // the wall clock stands still
	FaultStorm     FaultKind = "restart-storm" // the process dies, and again while it starts, N times in all
)

// FaultKinds lists the kinds in the order they are documented.
func FaultKinds() []FaultKind {
	return []FaultKind{FaultCrash, FaultPowerLoss, FaultStop, FaultPause, FaultTaskStall, FaultSlowNode,
		FaultSkew, FaultDrift, FaultJump, FaultFreeze, FaultStorm}
}

// About says in a sentence what the fault does.
func (f FaultKind) About() string {
	switch f {
	case FaultCrash:
		return "the process dies between two steps or in the middle of a disk operation; the page cache survives"
	case FaultPowerLoss:
		return "the machine dies; of what was not synced a drawn legal subset survives"
	case FaultStop:
		return "the node is asked to stop, ends cleanly if it can within a few seconds, and is started again"
	case FaultPause:
		return "the node runs no task for a while; its clocks go on and its sockets fill"
	case FaultTaskStall:
		return "one ready task is held while the others run"
	case FaultSlowNode:
		return "each step and disk operation of the node takes a multiple of its time"
	case FaultSkew:
		return "the wall clock is off by a constant"
	case FaultDrift:
		return "monotonic and wall clock run at a wrong rate"
	case FaultJump:
		return "the wall clock jumps forward or back"
	case FaultFreeze:
		return "the wall clock stands still"
	case FaultStorm:
		return "the process dies, and again whenever it starts before it serves, n times in all; the page cache survives"
	}
	return ""
}

// A Fault is one thing that goes wrong with a node, at a time.
type Fault struct {
	Kind FaultKind
	Node string
	At   kafka.Instant
	For  time.Duration
	N    int64
}

// String prints the fault as one line that ParseFault reads back.
func (f Fault) String() string {
	return fmt.Sprintf("%s node=%s at=%s for=%s n=%d", f.Kind, f.Node, f.At, f.For, f.N)
}

// ParseFault reads what String prints.
func ParseFault(line string) (Fault, error) {
	words := strings.Fields(line)
	if len(words) == 0 {
		return Fault{}, fmt.Errorf("fault %q: empty", line)
	}
	f := Fault{Kind: FaultKind(words[0])}
	if f.Kind.About() == "" {
		return Fault{}, fmt.Errorf("fault %q: no kind %q", line, words[0])
	}
	for _, word := range words[1:] {
		key, value, _ := strings.Cut(word, "=")
		if err := f.set(key, value); err != nil {
			return Fault{}, fmt.Errorf("fault %q: %w", line, err)
		}
	}
	if f.Node == "" {
		return Fault{}, fmt.Errorf("fault %q: no node", line)
	}
	return f, nil
}

func (f *Fault) set(key, value string) (err error) {
	var d time.Duration
	switch key {
	case "node":
		f.Node = value
	case "at":
		d, err = time.ParseDuration(value)
		f.At = kafka.Instant(d)
	case "for":
		f.For, err = time.ParseDuration(value)
	case "n":
		f.N, err = strconv.ParseInt(value, 10, 64)
	default:
		err = fmt.Errorf("no parameter %q", key)
	}
	return err
}

// DrawFault draws a fault of that kind against node, beginning before end.
func DrawFault(kind FaultKind, node string, end kafka.Instant, stream *rand.Rand) Fault {
	f := Fault{Kind: kind, Node: node, At: kafka.Instant(stream.Int64N(int64(max(end, 1))))}
	switch kind {
	case FaultCrash, FaultPowerLoss, FaultStop:
		f.For = drawBetween(stream, time.Millisecond, 2*time.Second)
	case FaultPause:
		f.For = drawBetween(stream, 10*time.Millisecond, 4*time.Second)
	case FaultTaskStall:
		f.For = drawBetween(stream, time.Millisecond, time.Second)
	case FaultSlowNode:
		f.For, f.N = drawBetween(stream, 100*time.Millisecond, 4*time.Second), 2+stream.Int64N(40)
	case FaultSkew:
		f.At, f.N = 0, stream.Int64N(2_400_000)-1_200_000
	case FaultDrift:
		f.For, f.N = drawBetween(stream, time.Second, 10*time.Second), stream.Int64N(100_000)-50_000
	case FaultJump:
		f.N = stream.Int64N(3_600_000) - 1_800_000
	case FaultFreeze:
		f.For = drawBetween(stream, time.Second, 10*time.Second)
	case FaultStorm:
		f.For, f.N = drawBetween(stream, time.Millisecond, 500*time.Millisecond), 3+stream.Int64N(5)
	}
	return f
}

func drawBetween(stream *rand.Rand, low, high time.Duration) time.Duration {
	return low + time.Duration(stream.Int64N(int64(high-low)))
}

// Apply makes the fault happen now, and its end where it has one, and reports
// whether it took effect: a dead node cannot be paused. Crash, power loss, graceful
// stop and restart storm are the caller's to apply, for they concern disks and what
// runs on the node.
func (f Fault) Apply(n *Node) (effective bool) {
	if !n.alive && f.Kind != FaultSkew && f.Kind != FaultJump && f.Kind != FaultDrift {
		return false
	}
	switch f.Kind {
	case FaultPause:
		n.Pause(f.For)
	case FaultTaskStall:
		n.Stall(f.For)
	case FaultSlowNode:
		n.SetSlowness(f.N)
		n.k.After(f.For, func() { n.SetSlowness(1) })
	case FaultSkew, FaultJump:
		n.JumpWall(time.Duration(f.N) * time.Millisecond)
	case FaultDrift:
		n.SetDrift(f.N)
		n.k.After(f.For, func() { n.SetDrift(0) })
	case FaultFreeze:
		n.FreezeWall()
		n.k.After(f.For, n.ThawWall)
	default:
		return false
	}
	return true
}

// Heal ends for good what still lasts of a node's faults, but for a wrong date:
// wall clocks stay where they are.
func (n *Node) Heal() {
	n.SetSlowness(1)
	n.SetDrift(0)
	n.ThawWall()
	n.stallNext = 0
	n.heldUntil = min(n.heldUntil, n.k.now)
	n.release()
}
