package sim

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
)

// A Line is a log line or a traced event of a node, with its virtual time.
type Line struct {
	At    kafka.Instant
	Node  string
	Event string // a trace's name; empty for log lines
	Level slog.Level
	Text  string
	Attrs []slog.Attr
}

func (l Line) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-14s %-10s ", l.At, l.Node)
	if l.Event != "" {
		b.WriteString(l.Event)
	} else {
		fmt.Fprintf(&b, "%s %s", l.Level, l.Text)
	}
	for _, a := range l.Attrs {
		fmt.Fprintf(&b, " %s=%v", a.Key, a.Value)
	}
	return b.String()
}

// A Sink takes the lines of a run in order. It must not touch the simulation.
type Sink func(Line)

// sight is what all nodes show: probes counted, buggify points drawn.
type sight struct {
	k      *Kernel
	probes map[string]*probe
	points map[string]*point
}

// A probe is how often a node came there, and when first.
type probe struct {
	times uint64
	first kafka.Instant
}

// A point is one buggify point of this run. Most are off in most runs, so that
// their combinations differ.
type point struct {
	stream *rand.Rand
	on     bool
	fired  uint64
}

const (
	pointsOnOneIn   = 3
	pointFiresOneIn = 12
)

func newSight(k *Kernel) sight {
	return sight{k: k, probes: map[string]*probe{}, points: map[string]*point{}}
}

func (s *sight) probe(name string) {
	p := s.probes[name]
	if p == nil {
		p = &probe{first: s.k.now}
		s.probes[name] = p
	}
	p.times++
}

func (s *sight) buggify(name string) bool {
	if !s.k.options.Buggify {
		return false
	}
	p := s.points[name]
	if p == nil {
		stream := s.k.Rand("buggify/" + name)
		p = &point{stream: stream, on: stream.Uint64N(pointsOnOneIn) == 0}
		s.points[name] = p
	}
	if !p.on || p.stream.Uint64N(pointFiresOneIn) != 0 {
		return false
	}
	p.fired++
	s.k.NoteText(NoteFault, name, p.fired)
	return true
}

// A Count is a name with how often it came up.
type Count struct {
	Name  string `json:"name"`
	Times uint64 `json:"times"`
}

func sorted(counts []Count) []Count {
	slices.SortFunc(counts, func(a, b Count) int { return strings.Compare(a.Name, b.Name) })
	return counts
}

// Probes returns the probes that were reached, by name.
func (k *Kernel) Probes() []Count {
	var out []Count
	for name, p := range k.sight.probes { //klamm:unordered sorted below
		out = append(out, Count{name, p.times})
	}
	return sorted(out)
}

// A Moment is when a probe was reached first.
type Moment struct {
	Name string        `json:"name"`
	At   kafka.Instant `json:"at_ns"`
}

// Moments returns when each probe was reached first, by name.
func (k *Kernel) Moments() []Moment {
	var out []Moment
	for _, c := range k.Probes() {
		out = append(out, Moment{c.Name, k.sight.probes[c.Name].first})
	}
	return out
}

// Buggified returns the buggify points that fired, by name.
func (k *Kernel) Buggified() []Count {
	var out []Count
	for name, p := range k.sight.points { //klamm:unordered sorted below
		if p.fired > 0 {
			out = append(out, Count{name, p.fired})
		}
	}
	return sorted(out)
}

// Sight returns how the node shows what it does.
func (n *Node) Sight() env.Sight { return nodeSight{n} }

type nodeSight struct{ n *Node }

func (s nodeSight) Probe(name string)        { s.n.k.sight.probe(name) }
func (s nodeSight) Buggify(name string) bool { return s.n.k.sight.buggify(name) }
func (s nodeSight) Tracing() bool            { return s.n.k.options.Sink != nil }

func (s nodeSight) Trace(event string, attrs ...slog.Attr) {
	if sink := s.n.k.options.Sink; sink != nil {
		sink(Line{At: s.n.k.now, Node: s.n.name, Event: event, Attrs: attrs})
	}
}

// Random returns the node's named streams; they go on after a restart.
func (n *Node) Random() env.Random { return nodeRandom{n} }

type nodeRandom struct{ n *Node }

func (r nodeRandom) Rand(name string) *rand.Rand { return r.n.k.Rand(r.n.name + "/" + name) }

// Secret returns the node's source of nonces and keys: seeded, so that a run can
// be repeated.
func (n *Node) Secret() io.Reader { return secret{n.k.Rand(n.name + "/secret")} }

type secret struct{ stream *rand.Rand }

func (s secret) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(s.stream.Uint32())
	}
	return len(p), nil
}

// Log returns the node's logger. Lines of level info and above are part of the
// hash chain; the record's own wall-clock time is not looked at.
func (n *Node) Log() *slog.Logger { return slog.New(&logHandler{node: n}) }

type logHandler struct {
	node  *Node
	attrs []slog.Attr
	group string
}

func (h *logHandler) Enabled(_ context.Context, l slog.Level) bool {
	return l >= slog.LevelInfo || h.node.k.options.Sink != nil
}

func (h *logHandler) Handle(_ context.Context, r slog.Record) error {
	if !h.node.alive {
		return nil
	}
	attrs := slices.Clone(h.attrs)
	r.Attrs(func(a slog.Attr) bool {
		a.Key = h.group + a.Key
		attrs = append(attrs, a)
		return true
	})
	line := Line{At: h.node.k.now, Node: h.node.name, Level: r.Level, Text: r.Message, Attrs: attrs}
	if r.Level >= slog.LevelInfo {
		h.node.k.NoteText(NoteLog, line.String(), 0)
	}
	if sink := h.node.k.options.Sink; sink != nil {
		sink(line)
	}
	return nil
}

func (h *logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	out := *h
	out.attrs = append(slices.Clone(h.attrs), attrs...)
	return &out
}

func (h *logHandler) WithGroup(name string) slog.Handler {
	out := *h
	out.group += name + "."
	return &out
}
