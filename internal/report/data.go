package report

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
)

// MaxBytes bounds a page.
const MaxBytes = 5 << 20

// What the parts of the data of a page may take, in bytes of JSON. With everything else
// they stay below MaxBytes.
const (
	messageBytes   = 1_900_000
	operationBytes = 1_300_000
	replicaBytes   = 600_000
	eventBytes     = 450_000
	groupBytes     = 250_000
	bandBytes      = 100_000
)

// longestText bounds one text of a page, in bytes.
const longestText = 2000

// The data of a page, as its script reads it: rows are lists, texts are numbers of a
// table of texts.
type data struct {
	End, Broke, Heal int64
	Lanes            []laneData
	Partitions       []string
	Phases           []row
	Bands            []row // lane, from, to, kind, text, fault
	Events           []row // at, lane, kind, partition, text
	Messages         []row // sent since the one before, for how long, from, to, call, flags, name, text, partitions
	Operations       []row // lane, partition, kind, invoked, for how long, outcome, from, end, records, text
	Replicas         []replicaData
	Groups           []groupData
	Focus            focusData
	Story            []row // at, lane, partition, operation
	Texts            []string
}

type row []any

type laneData struct {
	Name, Kind string
	ID         int
}

type replicaData struct {
	Partition, Lane int
	States          []row // at, role, epoch, partition epoch, start, high watermark, end, durable, in sync, epochs
}

type groupData struct {
	Name   string
	States []row // at, state, epoch, members: name, epoch, has, goal
}

type focusData struct {
	At, Offset int64
	Partition  int
	Lanes      []int
}

// An encoder makes the data of a page.
type encoder struct {
	r     *Run
	f     focus
	out   data
	texts map[string]int
	left  []string  // what was left out, a sentence each
	share float64   // of the budgets that may be used
	near  []Instant // of what is told
}

// encode returns the data of a page, and what was left out of it. It uses a share of its
// budgets.
func encode(r *Run, story []Moment, share float64) (text []byte, left []string, err error) {
	e := encoder{r: r, f: focusOf(r), texts: map[string]int{}, share: share}
	for _, m := range story {
		e.near = append(e.near, m.At)
	}
	e.out.End, e.out.Broke, e.out.Heal = int64(r.End), int64(brokeAt(r)), -1
	e.out.Focus = focusData{At: int64(e.f.at), Offset: e.f.offset, Partition: e.f.partition, Lanes: e.f.lanes}
	e.out.Partitions = r.Partitions
	for _, l := range r.Lanes {
		e.out.Lanes = append(e.out.Lanes, laneData{l.Name, string(l.Kind), l.ID})
	}
	for _, p := range r.Phases {
		if p.Name == "liveness" {
			e.out.Heal = int64(p.At)
		}
		e.out.Phases = append(e.out.Phases, row{p.At, p.Name})
	}
	for _, m := range story {
		e.out.Story = append(e.out.Story, row{m.At, m.Lane, m.Partition, m.Operation})
	}
	e.bands()
	e.events()
	e.messages()
	operations := e.operations()
	for i := range e.out.Story {
		if op := story[i].Operation; op != None {
			e.out.Story[i][3] = operations[op]
		}
	}
	e.replicas()
	e.groups()
	text, err = json.Marshal(&e.out)
	return text, e.left, err
}

// text returns the number of a text.
func (e *encoder) text(s string) int {
	if len(s) > longestText {
		s = s[:longestText] + "…"
	}
	at, ok := e.texts[s]
	if !ok {
		at = len(e.out.Texts)
		e.texts[s] = at
		e.out.Texts = append(e.out.Texts, s)
	}
	return at
}

// A rank says how much an item tells: what is of a lower class is kept before what is of
// a higher one, and of one class what is nearer to what the story tells.
type rank struct {
	class int
	at    Instant
	bytes int
}

// keep chooses which of n items are kept within a budget of bytes.
func (e *encoder) keep(n int, of func(i int) rank, budget int, what string) []bool {
	kept, ranks, order := make([]bool, n), make([]rank, n), make([]int, n)
	total := 0
	for i := range n {
		ranks[i], order[i] = of(i), i
		total += ranks[i].bytes
	}
	limit := int(float64(budget) * e.share)
	if total <= limit {
		for i := range kept {
			kept[i] = true
		}
		return kept
	}
	far := make([]Instant, n)
	for i := range far {
		far[i] = e.far(ranks[i].at)
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(ranks[a].class, ranks[b].class), cmp.Compare(far[a], far[b]))
	})
	used, many := 0, 0
	for _, i := range order {
		if used += ranks[i].bytes; used > limit {
			break
		}
		kept[i] = true
		many++
	}
	e.left = append(e.left, fmt.Sprintf("%d of %d %s: those that say least, and are furthest from what the story tells", n-many, n, what))
	return kept
}

// far returns how far an instant is from the nearest moment of the story.
func (e *encoder) far(at Instant) Instant {
	least := max(at-e.f.at, e.f.at-at)
	for _, t := range e.near {
		least = min(least, max(at-t, t-at))
	}
	return least
}

// What a row takes, besides its texts.
const (
	rowBytes  = 70
	cellBytes = 12
)

func textBytes(s string) int { return min(len(s), longestText) + 8 }

func (e *encoder) bands() {
	kept := e.keep(len(e.r.Bands), func(i int) rank {
		b := &e.r.Bands[i]
		return rank{0, b.From, rowBytes + textBytes(b.Text)}
	}, bandBytes, "bands of the diagram")
	for i, b := range e.r.Bands {
		if kept[i] {
			e.out.Bands = append(e.out.Bands, row{b.Lane, b.From, b.To, b.Kind, e.text(b.Text), b.Fault})
		}
	}
}

func (e *encoder) events() {
	kept := e.keep(len(e.r.Events), func(i int) rank {
		v := &e.r.Events[i]
		class := 2
		switch {
		case v.Kind == Failure || v.Partition != None && v.Partition == e.f.partition:
			class = 0
		case v.Kind != Log:
			class = 1
		}
		return rank{class, v.At, rowBytes + textBytes(v.Text)}
	}, eventBytes, "lines of logs")
	for i, v := range e.r.Events {
		if kept[i] {
			e.out.Events = append(e.out.Events, row{v.At, v.Lane, v.Kind, v.Partition, e.text(v.Text)})
		}
	}
}

// The flags of a message.
const (
	flagAnswer = 1 << iota
	flagIdle
)

func (e *encoder) messages() {
	kept := e.keep(len(e.r.Messages), func(i int) rank {
		m := &e.r.Messages[i]
		class := 1
		if e.f.partition != None && slices.Contains(m.Partitions, e.f.partition) {
			class = 0
		}
		if m.Idle {
			class += 2
		}
		return rank{class, m.Sent, rowBytes + textBytes(m.Text)}
	}, messageBytes, "messages")
	last := Instant(0)
	for i, m := range e.r.Messages {
		if !kept[i] {
			continue
		}
		flags, took := 0, m.Arrived
		if m.Answer {
			flags |= flagAnswer
		}
		if m.Idle {
			flags |= flagIdle
		}
		if took != Never {
			took -= m.Sent
		}
		e.out.Messages = append(e.out.Messages, row{m.Sent - last, took, m.From, m.To, m.Call, flags, e.text(m.Name), e.text(m.Text), listed(m.Partitions)})
		last = m.Sent
	}
}

// operations returns where each operation is among those that are kept.
func (e *encoder) operations() []int {
	evidence := map[int]bool{}
	for _, v := range e.r.Violations {
		for _, x := range v.Evidence {
			evidence[x.Operation] = true
		}
	}
	kept := e.keep(len(e.r.Operations), func(i int) rank {
		op := &e.r.Operations[i]
		class := 2
		switch {
		case evidence[i]:
			class = 0
		case op.Partition == e.f.partition && (op.Kind != "poll" || op.Records > 0):
			class = 1
		case op.Kind == "poll" && op.Records == 0:
			class = 3
		}
		return rank{class, op.Invoked, rowBytes + textBytes(op.Text)}
	}, operationBytes, "operations")
	at := make([]int, len(e.r.Operations))
	for i, op := range e.r.Operations {
		if at[i] = None; !kept[i] {
			continue
		}
		at[i] = len(e.out.Operations)
		took := op.Completed
		if took != Never {
			took -= op.Invoked
		}
		e.out.Operations = append(e.out.Operations, row{op.Lane, op.Partition, op.Kind, op.Invoked, took, op.Outcome, op.From, op.End, op.Records, e.text(op.Text)})
	}
	return at
}

func (e *encoder) replicas() {
	type place struct{ replica, state int }
	var all []place
	for i := range e.r.Replicas {
		for j := range e.r.Replicas[i].States {
			all = append(all, place{i, j})
		}
	}
	kept := e.keep(len(all), func(i int) rank {
		v := &e.r.Replicas[all[i].replica]
		s := &v.States[all[i].state]
		class := 2
		if v.Partition == e.f.partition {
			class = 1
		}
		if all[i].state == 0 || tells(&v.States[all[i].state-1], s) {
			class--
		}
		return rank{class, s.At, rowBytes + cellBytes*len(s.Epochs)}
	}, replicaBytes, "changes of replicas")
	states := make([][]row, len(e.r.Replicas))
	for i, p := range all {
		if kept[i] {
			s := &e.r.Replicas[p.replica].States[p.state]
			epochs := []row{}
			for _, x := range s.Epochs {
				epochs = append(epochs, row{x.Epoch, x.Start})
			}
			states[p.replica] = append(states[p.replica], row{s.At, s.Role, s.Epoch, s.PartitionEpoch, s.Start, s.HighWatermark, s.End, s.Durable, listed(s.InSync), epochs})
		}
	}
	for i, v := range e.r.Replicas {
		e.out.Replicas = append(e.out.Replicas, replicaData{v.Partition, v.Lane, states[i]})
	}
}

// tells reports whether a change is more than that a log goes on.
func tells(a, b *ReplicaState) bool {
	return a.Role != b.Role || a.Epoch != b.Epoch || b.End < a.End || b.HighWatermark < a.HighWatermark || !slices.Equal(a.InSync, b.InSync)
}

func (e *encoder) groups() {
	for _, g := range e.r.Groups {
		kept := e.keep(len(g.States), func(i int) rank {
			size := rowBytes
			for _, m := range g.States[i].Members {
				size += textBytes(m.Name) + cellBytes*(2+len(m.Has)+len(m.Goal))
			}
			return rank{0, g.States[i].At, size}
		}, groupBytes/max(len(e.r.Groups), 1), "changes of group "+g.Name)
		d := groupData{Name: g.Name, States: []row{}}
		for i, s := range g.States {
			if !kept[i] {
				continue
			}
			members := []row{}
			for _, m := range s.Members {
				members = append(members, row{e.text(m.Name), m.Epoch, e.list(m.Has), e.list(m.Goal)})
			}
			d.States = append(d.States, row{s.At, s.State, s.Epoch, members})
		}
		e.out.Groups = append(e.out.Groups, d)
	}
}

func (e *encoder) list(texts []string) []int {
	out := []int{}
	for _, t := range texts {
		out = append(out, e.text(t))
	}
	return out
}

// listed returns a list that is never null.
func listed[T any](l []T) []T {
	if l == nil {
		return []T{}
	}
	return l
}
