package checker

import "github.com/klammlog/klamm/checker/history"

// judgeUncleanBounded: what unclean elections lose is a suffix. Each is marked with
// the offset where the new leader's log parted from the old one's, when nobody acts
// as an older leader any more. A violation is a send that is lost as no-lost-ack
// counts it, by polls that began after it was acknowledged, if no such mark of its
// partition is both at or below its offset and not before it was sent.
//
// A send that was acknowledged without an offset may be above any.
func judgeUncleanBounded(ix *index, f *findings) {
	clean := *ix
	clean.d.Unclean = false
	f.unasked = "no send asked for an acknowledgement that promises anything"
	ix.judged(func(p *part) {
		q := *p
		q.acked, q.ackedAt = nil, nil
		clean.collectAcked(&q)
		q.keepUnexcused(ix.h)
		l := newLostAcks(&clean, &q)
		l.afterwards = true
		l.readBacks()
		l.polls()
		l.report(f)
		if len(q.acked) > 0 {
			f.unasked = ""
		}
	})
}

// waivedUncleanBounded: without unclean elections no-lost-ack says more, and where
// they are not marked nobody knows what they may take.
func waivedUncleanBounded(d *Demands) string {
	clean := *d
	clean.Unclean = false
	switch {
	case !d.Unclean:
		return "no unclean election was allowed: no-lost-ack says more"
	case !d.Marked:
		return "nothing marks the elections: what they may lose is not known"
	}
	return clean.loss()
}

// keepUnexcused forgets the acknowledged sends that an unclean election may have
// taken.
func (p *part) keepUnexcused(h *history.History) {
	sends, places := p.acked[:0], p.ackedAt[:0]
	for i, s := range p.acked {
		if !p.uncleanSince(h.Sends[s].Invoked, p.ackedAt[i]) {
			sends, places = append(sends, s), append(places, p.ackedAt[i])
		}
	}
	p.acked, p.ackedAt = sends, places
}

// uncleanSince reports whether an unclean election that was marked at an instant or
// later may have taken the record at an offset.
func (p *part) uncleanSince(at history.Instant, offset history.Offset) bool {
	for _, u := range p.unclean {
		if u.at >= at && u.offset <= offset {
			return true
		}
	}
	return false
}

// An uncleanElection is one that was marked. Between the mark of the election itself
// and that of its end two leaders may have answered.
type uncleanElection struct {
	since, at history.Instant
	offset    history.Offset
}

// period returns how many unclean elections were over before an interval; whole is
// false if one was under way in it.
func (p *part) period(invoked, completed history.Instant) (n int, whole bool) {
	for _, u := range p.unclean {
		switch {
		case u.at < invoked:
			n++
		case u.since <= completed:
			return n, false
		}
	}
	return n, true
}
