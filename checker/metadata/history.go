// Package metadata judges what operators were told: that creating, deleting,
// growing and configuring topics and brokers is linearizable, resource by
// resource, whatever crashed meanwhile.
//
// A history is the acts of operators, each with the time in which it happened and
// what came of it. An act without an answer may have happened, or may happen yet.
// The judge knows a resource as six facts and nothing of brokers (State). The same
// history gives the same verdict.
package metadata

import (
	"fmt"
	"slices"
	"strings"

	"github.com/klammlog/klamm/checker/history"
)

// Guarantee is the promise that is judged here.
const Guarantee = "metadata-linearizable"

// An Act is what an operator asks for.
type Act string

const (
	Create Act = "create" // a topic, with Partitions and Settings
	Delete Act = "delete" // a topic
	Grow   Act = "grow"   // a topic, to Partitions in all
	Alter  Act = "alter"  // Settings, one by one
	Look   Act = "look"   // does the topic exist, with which id and how many partitions
	Read   Act = "read"   // what is set
)

// An Answer is what came of an act.
type Answer string

const (
	Done    Answer = "done"     // with what the operation says
	Missing Answer = "missing"  // refused: there is no such topic
	Exists  Answer = "exists"   // a creation refused: there is one
	TooFew  Answer = "too-few"  // a growth refused: it has as many, or more
	Unknown Answer = "unknown"  // it may have happened, or may happen yet
	Nothing Answer = "no-facts" // refused for another reason: it has not happened, and says nothing
)

// A Setting is one setting of a resource. In an Alter, Value nil removes it.
type Setting struct {
	Name  string
	Value *string
}

func (s Setting) String() string {
	if s.Value == nil {
		return "-" + s.Name
	}
	return s.Name + "=" + *s.Value
}

// An Operation is one act of one operator on one resource. ID, Partitions and
// Settings are what was asked for or what was told, as the act says; zero if
// nothing was told.
type Operation struct {
	Client   string
	Resource string // topics are "topic NAME"; all else always exists
	Act      Act
	Answer   Answer

	Invoked   history.Instant
	Completed history.Instant // history.Never without an answer

	ID         string // of the topic
	Partitions int32
	Settings   []Setting
}

func (o *Operation) String() string {
	when := fmt.Sprintf("from %d ns to %d ns: %s", o.Invoked, o.Completed, o.Answer)
	if o.Answer == Unknown {
		when = fmt.Sprintf("from %d ns on: unknown", o.Invoked)
	}
	return fmt.Sprintf("%s: %s, %s", o.Client, o.asked(), when)
}

// asked says what was asked for, with what was told of it.
func (o *Operation) asked() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s", o.Act, o.Resource)
	if o.Partitions > 0 {
		fmt.Fprintf(&b, " partitions=%d", o.Partitions)
	}
	if o.ID != "" {
		fmt.Fprintf(&b, " id=%s", o.ID)
	}
	if len(o.Settings) > 0 {
		fmt.Fprintf(&b, " %v", o.Settings)
	}
	return b.String()
}

// writes reports whether the act changes something when it happens.
func (a Act) writes() bool { return a != Look && a != Read }

// A History is the operations of a run, in any order. Begin says what resources
// were before the first; others were missing, or had nothing set.
type History struct {
	Begin      map[string]State
	Operations []Operation
}

// Add records an operation.
func (h *History) Add(o Operation) { h.Operations = append(h.Operations, o) }

// Begins records what a resource was before the first operation.
func (h *History) Begins(resource string, s State) {
	if h.Begin == nil {
		h.Begin = map[string]State{}
	}
	h.Begin[resource] = s
}

// resources returns the names of all resources, sorted.
func (h *History) resources() []string {
	var out []string
	for i := range h.Operations {
		out = append(out, h.Operations[i].Resource)
	}
	slices.Sort(out)
	return slices.Compact(out)
}
