package sim

import (
	"time"

	"github.com/klammlog/klamm/internal/assert"
	"github.com/klammlog/klamm/node/kafka"
)

// stepCost is what one step of a slow node costs, times its slowness. Steps of
// an ordinary node cost nothing: latencies of network and disk outweigh them.
const stepCost = 10 * time.Microsecond

// A Node is a machine of the universe: tasks that crash together, and clocks.
type Node struct {
	k           *Kernel
	name        string
	alive       bool
	incarnation uint64
	tasks       []*Task
	onCrash     []func()
	clock       clock

	slowness  int64
	heldUntil kafka.Instant
	held      []*Task
	stallNext time.Duration
}

// NewNode adds a node, alive, with true clocks. Names are unique.
func (k *Kernel) NewNode(name string) *Node {
	for _, n := range k.nodes {
		assert.That(n.name != name, "two nodes named %s", name)
	}
	n := &Node{k: k, name: name, alive: true, slowness: 1}
	k.nodes = append(k.nodes, n)
	return n
}

// Name returns the node's name.
func (n *Node) Name() string { return n.name }

// Kernel returns the universe the node is in.
func (n *Node) Kernel() *Kernel { return n.k }

// Alive reports whether the node runs.
func (n *Node) Alive() bool { return n.alive }

// Incarnation counts the node's crashes.
func (n *Node) Incarnation() uint64 { return n.incarnation }

// Slowness returns by how much the node's steps and disk operations take longer.
func (n *Node) Slowness() int64 { return n.slowness }

// SetSlowness makes the node's steps and disk operations take times times as
// long; 1 is the ordinary pace.
func (n *Node) SetSlowness(times int64) { n.slowness = max(times, 1) }

// LiveTasks returns the node's tasks that have not returned, for reports of what
// is stuck. The slice is the node's own.
func (n *Node) LiveTasks() []*Task { return n.tasks }

// Go starts f as a task of the node. On a dead node the task never runs.
func (n *Node) Go(name string, f func()) *Task {
	n.k.tasks++
	t := &Task{k: n.k, node: n, name: name, id: n.k.tasks, body: f, deadline: kafka.Never}
	if !n.alive {
		t.dead, t.done = true, true
		return t
	}
	t.slot = len(n.tasks)
	n.tasks = append(n.tasks, t)
	n.k.chain.add(NoteSpawn, t.id, hashText(name))
	t.makeReady()
	return t
}

// forget drops a task that has returned.
func (n *Node) forget(t *Task) {
	if t.slot >= len(n.tasks) || n.tasks[t.slot] != t {
		return
	}
	last := len(n.tasks) - 1
	n.tasks[t.slot] = n.tasks[last]
	n.tasks[t.slot].slot = t.slot
	n.tasks[last] = nil
	n.tasks = n.tasks[:last]
}

// OnCrash registers f to be called after each crash, once all tasks are gone.
func (n *Node) OnCrash(f func()) { n.onCrash = append(n.onCrash, f) }

// Crash ends the node between two steps: every task unwinds without effect, then
// the network and the disks learn of it. Crashing a dead node does nothing.
func (n *Node) Crash() {
	if !n.alive {
		return
	}
	assert.That(n.k.current == nil || n.k.current.node != n, "%s crashes itself", n.name)
	n.alive = false
	n.incarnation++
	n.k.NoteText(NoteCrash, n.name, n.incarnation)
	tasks := n.tasks
	n.tasks, n.held = nil, nil
	for _, t := range tasks {
		t.kill()
	}
	n.heldUntil, n.stallNext = 0, 0
	for _, f := range n.onCrash {
		f()
	}
}

// Restart makes a crashed node alive again, without tasks.
func (n *Node) Restart() {
	assert.That(!n.alive, "%s restarts while it runs", n.name)
	n.alive = true
	n.k.NoteText(NoteCrash, n.name, 0)
}

// Paused reports whether the node runs no task at this moment, though it is alive.
func (n *Node) Paused() bool { return n.alive && n.heldUntil > n.k.now }

// Pause keeps the node from running any task for d. Its clocks go on, and its
// sockets fill.
func (n *Node) Pause(d time.Duration) {
	n.k.NoteText(NoteFault, n.name, uint64(d))
	n.heldUntil = max(n.heldUntil, n.k.now.Add(d))
}

// Stall holds the node's next ready task for d, while the others run.
func (n *Node) Stall(d time.Duration) {
	n.k.NoteText(NoteFault, n.name, uint64(d))
	n.stallNext = d
}

// hold reports whether the node keeps t from running now.
func (n *Node) hold(t *Task) bool {
	if d := n.stallNext; d > 0 {
		n.stallNext = 0
		n.k.After(d, t.makeReady)
		return true
	}
	if n.heldUntil <= n.k.now {
		return false
	}
	if len(n.held) == 0 {
		n.k.At(n.heldUntil, n.release)
	}
	n.held = append(n.held, t)
	return true
}

// release lets the held tasks run, unless the hold was prolonged meanwhile.
func (n *Node) release() {
	if n.heldUntil > n.k.now {
		if len(n.held) > 0 {
			n.k.At(n.heldUntil, n.release)
		}
		return
	}
	held := n.held
	n.held = nil
	for _, t := range held {
		t.makeReady()
	}
}

// pay charges a slow node for the step it has made.
func (n *Node) pay() {
	if n.slowness > 1 {
		n.heldUntil = max(n.heldUntil, n.k.now.Add(stepCost*time.Duration(n.slowness)))
	}
}
