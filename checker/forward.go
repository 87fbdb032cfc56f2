package checker

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/klammlog/klamm/checker/history"
)

// judgeOffsetsForward: earliest, latest and offset-for-timestamp never go back
// while the topic lives. A violation is an answer to a lookup below the answer to
// one like it that was over before it began. "None" is above all offsets, and may
// come back only where records may go. A read-back asks for earliest and latest
// too.
//
// With unclean elections, if they are marked, answers are compared that have none
// between them.
//
// Replicas apply retention each by itself, and what a leader has removed another
// may still have that is elected behind it. So with retention, where other leaders
// are elected, the first offset and those for timestamps are compared only up to the
// first election, if elections are marked.
//
// Lookups of the latest offset with different isolation are compared only in a
// run without transactions.
func judgeOffsetsForward(ix *index, f *findings) {
	if len(ix.h.ListOffsets) == 0 && len(ix.h.ReadBacks) == 0 {
		f.unasked = "nobody asked for an offset"
	}
	ix.judged(func(p *part) {
		answers := collectAnswers(ix, p)
		slices.SortStableFunc(answers, func(a, b answer) int {
			return cmp.Or(a.question.compare(b.question), cmp.Compare(a.period, b.period), cmp.Compare(a.invoked, b.invoked))
		})
		for len(answers) > 0 {
			n := 1
			for n < len(answers) && answers[n].question == answers[0].question && answers[n].period == answers[0].period {
				n++
			}
			answersForward(ix, p, answers[:n], f)
			answers = answers[n:]
		}
	})
}

// A question is what lookups must have in common to be compared.
type question struct {
	query     history.Query
	isolation history.Isolation
	asked     history.Timestamp
}

func (q question) compare(r question) int {
	return cmp.Or(cmp.Compare(q.query, r.query), cmp.Compare(q.isolation, r.isolation), cmp.Compare(q.asked, r.asked))
}

// An answer is an offset told within an interval.
type answer struct {
	question
	op                 history.OpID
	invoked, completed history.Instant
	offset             history.Offset
	period             int // unclean elections before it
}

// waivedForward: what unclean elections leave of the promise is judged if they are
// marked.
func waivedForward(d *Demands) string {
	clean := *d
	clean.Unclean = clean.Unclean && !clean.Marked
	return clean.loss()
}

func collectAnswers(ix *index, p *part) []answer {
	answers := make([]answer, 0, len(p.lists)+2*len(p.backs))
	for _, li := range p.lists {
		l := &ix.h.ListOffsets[li]
		a := answer{op: l.Op, invoked: l.Invoked, completed: l.Completed, offset: l.Offset}
		a.query = l.Query
		if l.Query == history.ByTime {
			a.asked = l.Asked
		}
		if l.Query == history.Latest && ix.d.Transactions {
			a.isolation = l.Isolation
		}
		answers = append(answers, a)
	}
	for _, bi := range p.backs {
		b := &ix.h.ReadBacks[bi]
		a := answer{op: b.Op, invoked: b.Invoked, completed: b.Completed, offset: b.LogStart}
		a.query = history.Earliest
		answers = append(answers, a)
		a.query, a.offset = history.Latest, b.LogEnd
		answers = append(answers, a)
	}
	return p.inPeriods(&ix.d, answers)
}

// inPeriods keeps the answers that are to be compared: no unclean election was under
// way meanwhile.
func (p *part) inPeriods(d *Demands, answers []answer) []answer {
	kept := answers[:0]
	for _, a := range answers {
		n, whole := p.period(a.invoked, a.completed)
		if a.period = n; whole && !p.mayComeBack(d, &a) {
			kept = append(kept, a)
		}
	}
	return kept
}

// mayComeBack reports whether records may have come back before an answer whose
// removal an earlier one has told: each replica deletes and compacts by itself. Where a
// log starts is not moved by compaction.
func (p *part) mayComeBack(d *Demands, a *answer) bool {
	removed := d.Retention || p.mayGo > p.begins || d.Compaction && a.query == history.ByTime
	if a.query == history.Latest || !removed || !d.Leaders {
		return false
	}
	return !d.Marked || p.elected && p.first <= a.completed
}

// answersForward judges answers to one question, sorted by invocation.
func answersForward(ix *index, p *part, answers []answer, f *findings) {
	byEnd := slices.Clone(answers)
	slices.SortStableFunc(byEnd, func(a, b answer) int { return cmp.Compare(a.completed, b.completed) })
	removes := p.mayGo > p.begins || ix.d.Compaction
	var highest *answer
	for i, over := range answers {
		for len(byEnd) > 0 && byEnd[0].completed < over.invoked {
			if a := &byEnd[0]; a.offset != history.NoOffset && (highest == nil || a.offset > highest.offset) {
				highest = a
			}
			byEnd = byEnd[1:]
		}
		f.checked++
		if highest == nil || over.offset >= highest.offset || (over.offset == history.NoOffset && removes) {
			continue
		}
		before := highest
		f.add(func() (string, []history.Event) { return wentBack(ix, p, before, &answers[i]) })
	}
}

func wentBack(ix *index, p *part, before, after *answer) (string, []history.Event) {
	asked := after.query.String() + " offset"
	if after.query == history.ByTime {
		asked = fmt.Sprintf("offset for timestamp %d", after.asked)
	}
	now := fmt.Sprint(after.offset)
	if after.offset == history.NoOffset {
		now = "none"
	}
	return fmt.Sprintf("%s %s went back: %d at %v, %s at %v", ix.name(p.id), asked, before.offset, before.completed, now, after.completed),
		[]history.Event{ix.h.Event(before.op), ix.h.Event(after.op)}
}
