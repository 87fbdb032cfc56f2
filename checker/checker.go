// Package checker judges histories: history in, verdict with evidence out.
//
// A judge decides about one guarantee of docs/GUARANTEES.md from what clients did
// and saw, and from what the run was promised (Demands). It knows nothing of
// brokers and shares no code with them. The same history and demands give the
// same report, byte for byte.
//
// A judge that complains gives a sentence in plain words and the events that
// cannot all have happened. A judge that does not complain says whether it had
// anything to look at: silence without evidence is not "held".
package checker

import "github.com/klammlog/klamm/checker/history"

// A Guarantee is the name of a promise.
type Guarantee string

// What a topic-partition promises, as clients see it.
const (
	Agreement       Guarantee = "agreement"
	NoInvention     Guarantee = "no-invention"
	NoLostAck       Guarantee = "no-lost-ack"
	NoDuplicate     Guarantee = "no-duplicate"
	ProducerOrder   Guarantee = "producer-order"
	NoFailedVisible Guarantee = "no-failed-visible"
	MonotonicPoll   Guarantee = "monotonic-poll"
	NoPollSkip      Guarantee = "no-poll-skip"
	AckedOffsetTrue Guarantee = "acked-offset-true"
	OffsetsForward  Guarantee = "offsets-forward"
	ByTimeFirst     Guarantee = "by-time-first"
	LinearizableLog Guarantee = "linearizable-log"

	ReadCommittedOnly Guarantee = "read-committed-only"
	CompactedState    Guarantee = "compacted-state"
	UncleanBounded    Guarantee = "unclean-bounded"
)

// KeptViolations is how many violations of one guarantee a report keeps; the
// others are only counted.
const KeptViolations = 8

// A judge decides about one guarantee.
type judge struct {
	guarantee Guarantee

	// waived returns why the run was not promised the guarantee, or "".
	waived func(*Demands) string

	run func(*index, *findings)
}

// judges in the order in which reports list them.
var judges = []judge{
	{Agreement, waivedAgreement, judgeAgreement},
	{NoInvention, never, judgeNoInvention},
	{NoLostAck, waivedByLoss, judgeNoLostAck},
	{NoDuplicate, waivedByLoss, judgeNoDuplicate},
	{ProducerOrder, waivedByLoss, judgeProducerOrder},
	{NoFailedVisible, never, judgeNoFailedVisible},
	{MonotonicPoll, never, judgeMonotonicPoll},
	{NoPollSkip, never, judgeNoPollSkip},
	{AckedOffsetTrue, never, judgeAckedOffsetTrue},
	{OffsetsForward, waivedForward, judgeOffsetsForward},
	{ByTimeFirst, waivedByLoss, judgeByTime},
	{LinearizableLog, waivedByLoss, judgeLinearizableLog},
	{ReadCommittedOnly, waivedByLoss, judgeReadCommittedOnly},
	{CompactedState, waivedCompaction, judgeCompactedState},
	{UncleanBounded, waivedUncleanBounded, judgeUncleanBounded},
}

// Guarantees returns the names of all guarantees judged, in the order of reports.
func Guarantees() []Guarantee {
	names := make([]Guarantee, len(judges))
	for i := range judges {
		names[i] = judges[i].guarantee
	}
	return names
}

// Judge decides about every guarantee.
func Judge(h *history.History, d Demands) Report {
	ix := newIndex(h, d)
	r := Report{Counts: CountOf(h), Skipped: ix.skippedSentences()}
	for i := range judges {
		r.Verdicts = append(r.Verdicts, judges[i].decide(ix))
	}
	r.Pending, r.PendingTotal = pending(h)
	return r
}

// decide runs one judge and draws the conclusion from what it found.
func (j *judge) decide(ix *index) Verdict {
	v := Verdict{Guarantee: j.guarantee}
	if v.Reason = j.waived(&ix.d); v.Reason != "" {
		v.Status = NotApplicable
		return v
	}
	f := findings{guarantee: j.guarantee}
	j.run(ix, &f)
	v.Checked, v.Total, v.Violations = f.checked, f.total, f.kept
	switch {
	case f.total > 0:
		v.Status = Violated
	case f.open != "":
		v.Status, v.Reason = Inconclusive, f.open
	case f.checked == 0 && f.unasked != "":
		v.Status, v.Reason = NotApplicable, f.unasked
	case f.checked == 0:
		v.Status, v.Reason = Inconclusive, "nothing to judge in the history"
	default:
		v.Status = Held
	}
	return v
}

// findings is what a judge has to say.
type findings struct {
	guarantee Guarantee
	checked   int    // the things it compared
	total     int    // violations found
	open      string // why "held" cannot be concluded, though nothing was found
	unasked   string // what the history would need to contain for anything to be judged
	kept      []Violation
}

// add counts a violation, and asks for its text only if it is kept.
func (f *findings) add(describe func() (sentence string, events []history.Event)) {
	f.total++
	if len(f.kept) == KeptViolations {
		return
	}
	s, events := describe()
	f.kept = append(f.kept, Violation{Guarantee: f.guarantee, Sentence: s, Events: events})
}
