package report

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A focus is what a violation is about: everything else is told by how near it is to it.
type focus struct {
	at        Instant // of the violation; the end of the run if it has none
	partition int     // None: several, or all
	offset    int64   // -1: none in particular
	lanes     []int   // whom it was seen in
	past      []Instant
}

var offsetIn = regexp.MustCompile(`(up to )?offset (\d+)`)

// focusOf finds out what a run's violation is about: from the operations that show it,
// and otherwise from what its sentence names.
func focusOf(r *Run) focus {
	f := focus{at: brokeAt(r), partition: None, offset: -1}
	if f.at == Never {
		f.at = r.End
	}
	text := r.Reason
	if len(r.Violations) > 0 {
		v := &r.Violations[0]
		text = v.Sentence
		for _, e := range v.Evidence {
			if e.Operation != None {
				op := &r.Operations[e.Operation]
				f.partition, f.lanes = op.Partition, append(f.lanes, op.Lane)
			}
		}
	}
	if f.partition == None {
		f.partition = named(text, len(r.Partitions), func(i int) string { return r.Partitions[i] })
	}
	if m := offsetIn.FindStringSubmatch(text); m != nil {
		f.offset, _ = strconv.ParseInt(m[2], 10, 64) // too large: it is none
		if m[1] != "" {
			f.offset--
		}
	}
	if len(f.lanes) == 0 && len(r.Violations) > 0 {
		// Whoever the sentence speaks of: what one of them did the others may never hear of.
		for i := range r.Lanes {
			if wordIn(text, r.Lanes[i].Name) >= 0 {
				f.lanes = append(f.lanes, i)
			}
		}
	}
	if len(f.lanes) == 0 {
		if lane := named(text, len(r.Lanes), func(i int) string { return r.Lanes[i].Name }); lane != None {
			f.lanes = []int{lane}
		}
	}
	slices.Sort(f.lanes)
	f.lanes = slices.Compact(f.lanes)
	f.past = pastOf(r, f.lanes, f.at)
	return f
}

var instantIn = regexp.MustCompile(`\b(?:at|to) (\d{1,6})\.(\d{1,9})s\b`)

// brokeAt returns when the violation was there to be seen. If nobody says it, the last
// instant does that its evidence names.
func brokeAt(r *Run) Instant {
	if r.Broke != Never || len(r.Violations) == 0 {
		return r.Broke
	}
	last := Never
	for _, e := range r.Violations[0].Evidence {
		for _, m := range instantIn.FindAllStringSubmatch(e.Text, -1) {
			seconds, _ := strconv.ParseInt(m[1], 10, 64) // digits, and not too many
			nanos, _ := strconv.ParseInt((m[2] + "00000000")[:9], 10, 64)
			if at := Instant(seconds*1e9 + nanos); at <= r.End {
				last = max(last, at)
			}
		}
	}
	return last
}

// named returns the first of n names that a text has as a word of its own.
func named(text string, n int, name func(int) string) int {
	best, first := None, len(text)
	for i := range n {
		if at := wordIn(text, name(i)); at >= 0 && at < first {
			best, first = i, at
		}
	}
	return best
}

// wordIn returns where a text has a word; -1: it has not.
func wordIn(text, word string) int {
	if word == "" {
		return -1
	}
	for from := 0; ; {
		at := strings.Index(text[from:], word)
		if at < 0 {
			return -1
		}
		at += from
		end := at + len(word)
		if (at == 0 || !wordByte(text[at-1])) && (end == len(text) || !wordByte(text[end])) {
			return at
		}
		from = end
	}
}

func wordByte(c byte) bool {
	return c == '_' || c == '-' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// pastOf returns, for each lane, the last instant that can have had to do with what
// happened in some lanes at an instant: something sent until then arrived where it
// mattered, in time. Never: nothing did. Without lanes everything until then counts.
func pastOf(r *Run, lanes []int, at Instant) []Instant {
	past := make([]Instant, len(r.Lanes))
	for i := range past {
		past[i] = Never
		if len(lanes) == 0 || slices.Contains(lanes, i) {
			past[i] = at
		}
	}
	if len(lanes) == 0 {
		return past
	}
	order := make([]int, 0, len(r.Messages))
	for i := range r.Messages {
		if m := &r.Messages[i]; m.Arrived != Never && m.Arrived <= at {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(r.Messages[b].Arrived, r.Messages[a].Arrived) })
	for _, i := range order {
		m := &r.Messages[i]
		if m.Arrived <= past[m.To] {
			past[m.From] = max(past[m.From], m.Sent)
		}
	}
	return past
}

// matters reports whether something that happened in a lane can have had to do with it.
func (f *focus) matters(lane int, at Instant) bool {
	if lane == None {
		return at <= f.at
	}
	return at <= f.past[lane]
}
