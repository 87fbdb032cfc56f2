package scenarios

import "github.com/klammlog/klamm/node/kafka"

// A reign is what is known of what one controller has done in its present life.
type reign struct {
	begun   bool // it has been looked at: what it asked before that nobody saw
	decided decided
	sure    sure
	asked   uint64
	put     []question

	overtaken uint64 // the term in which it leads, though somebody has led in a later one
	since     uint64 // election time-outs by its own clock, when that was found
}

// A question is one for the newest, and what somebody knew to be committed before it
// was put.
type question struct {
	number uint64
	commit kafka.Offset
}

// reignBound is how many election time-outs a controller may lead, by its own clock,
// that another has overtaken: within two it finds that most of the voters do not
// answer it any more.
const reignBound = 3

// checkOvertaken: a leader that does not hear of the next one resigns by itself.
func (o *clusterObserver) checkOvertaken(w *window, v raftView) {
	r := &w.reign
	switch {
	case v.Term >= o.quorum.newest:
	case r.overtaken != v.Term:
		r.overtaken, r.since = v.Term, v.Led
	case v.Led > r.since+reignBound:
		o.complain(leaderResigns, "controller %d leads in term %d for %d election time-outs since somebody has led in term %d", w.id, v.Term, v.Led-r.since, o.quorum.newest)
	}
}

// checkDecided: who decides leads, and knows what was decided before.
func (o *clusterObserver) checkDecided(w *window, v raftView) {
	d := v.Decided
	if d == w.reign.decided {
		return
	}
	w.reign.decided = d
	switch {
	case !d.Leads:
		o.complain(decidesOnNewest, "controller %d decided entry %d in term %d, in which it does not lead", w.id, d.Index, d.Term)
	case d.Unseen > 0:
		o.complain(decidesOnNewest, "controller %d decided entry %d in term %d without knowing %d of the decisions before it", w.id, d.Index, d.Term, d.Unseen)
	}
}

// checkSure: what a controller takes for the newest has everything that anybody knew to
// be committed before it asked. Before this look that was so much.
func (o *clusterObserver) checkSure(w *window, v raftView, commit kafka.Offset) {
	r := &w.reign
	if !r.begun {
		r.begun, r.asked, r.sure = true, v.Asked, v.Sure
	}
	for r.asked < v.Asked {
		r.asked++
		r.put = append(r.put, question{r.asked, commit})
	}
	if v.Sure == r.sure {
		return
	}
	r.sure = v.Sure
	for len(r.put) > 0 && r.put[0].number <= v.Sure.Number {
		if q := r.put[0]; q.number == v.Sure.Number && v.Sure.Index < q.commit {
			o.complain(decidesOnNewest, "controller %d takes what is below offset %d for the newest, and %d was committed before it asked", w.id, v.Sure.Index, q.commit)
		}
		r.put = r.put[1:]
	}
}
