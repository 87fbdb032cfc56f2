package sim

import (
	"bufio"
	"fmt"
	"io"
	"math/bits"
	"strings"

	"github.com/klammlog/klamm/node/kafka"
)

// A Kind says what an event of the hash chain is about.
type Kind uint8

// The kinds of events.
const (
	NotePick Kind = iota + 1
	NoteSpawn
	NoteClock
	NoteRand
	NoteLog
	NoteNet
	NoteDisk
	NoteFault
	NoteCrash
	NoteClient
)

func (k Kind) String() string {
	return [...]string{"?", "pick", "spawn", "clock", "rand", "log", "net", "disk", "fault", "crash", "client"}[k]
}

// A chain is a running hash over every event of a run. Equal chains mean equal
// runs; it is no defence against an adversary and need not be.
type chain struct{ sum, count uint64 }

const (
	mixA = 0x9e3779b97f4a7c15
	mixB = 0xd1342543de82ef95
)

func newChain(seed uint64) chain { return chain{sum: seed ^ mixB} }

func (c *chain) add(kind Kind, a, b uint64) {
	hi, lo := bits.Mul64(c.sum^a^mixA, (b^mixB)+uint64(kind)<<56)
	c.sum = bits.RotateLeft64(c.sum, 23) + (hi ^ lo) + a*mixA + b
	c.count++
}

// hashText is FNV-1a: short names, and the same on every machine.
func hashText(s string) uint64 {
	h := uint64(0xcbf29ce484222325)
	for i := 0; i < len(s); i++ {
		h = (h ^ uint64(s[i])) * 0x100000001b3
	}
	return h
}

// A Chain identifies a run: the hash over its events, and how many there were.
type Chain struct {
	Sum    uint64 `json:"sum"`
	Events uint64 `json:"events"`
}

func (c Chain) String() string { return fmt.Sprintf("%016x/%d", c.Sum, c.Events) }

// Chain returns the chain so far. Virtual time is part of it.
func (k *Kernel) Chain() Chain {
	c := k.chain
	c.add(NoteClock, uint64(k.now), 0)
	return Chain{c.sum, k.chain.count}
}

// Note adds an event to the chain.
func (k *Kernel) Note(kind Kind, a, b uint64) {
	k.chain.add(kind, a^uint64(k.now), b)
	if k.Recording() {
		k.Record("%s %d %d", kind, a, b)
	}
}

// NoteText adds an event that is a text to the chain.
func (k *Kernel) NoteText(kind Kind, text string, a uint64) {
	k.chain.add(kind, hashText(text)^uint64(k.now), a)
	if k.Recording() {
		k.Record("%s %s %d", kind, text, a)
	}
}

// Recording reports whether events are written out as text.
func (k *Kernel) Recording() bool { return k.options.Recorder != nil }

// Record writes a line to the recording, if there is one. It adds nothing to the
// chain, so that a recorded run has the chain of an unrecorded one.
func (k *Kernel) Record(format string, args ...any) {
	if k.Recording() {
		k.options.Recorder.line(k.now, k.chain.count, format, args...)
	}
}

// A Recorder writes the events of a run as lines of text: the number of the
// event, the virtual time, and what it was.
type Recorder struct{ out *bufio.Writer }

// NewRecorder returns a recorder that writes to out. Flush ends it.
func NewRecorder(out io.Writer) *Recorder { return &Recorder{bufio.NewWriterSize(out, 1<<16)} }

func (r *Recorder) line(now kafka.Instant, n uint64, format string, args ...any) {
	fmt.Fprintf(r.out, "%d %s ", n, now)
	r.text(fmt.Sprintf(format, args...))
}

// Seen writes a line that a node traced or logged among the events: the word seen, the
// virtual time, and the line.
func (r *Recorder) Seen(l Line) {
	r.out.WriteString("seen ")
	r.text(strings.Join(strings.Fields(l.String()), " "))
}

// text ends a line with a text that may have several.
func (r *Recorder) text(s string) {
	r.out.WriteString(strings.ReplaceAll(s, "\n", "; "))
	r.out.WriteByte('\n')
}

// Flush writes out what is buffered.
func (r *Recorder) Flush() error { return r.out.Flush() }
