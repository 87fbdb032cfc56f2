package netsim

import "slices"

// blocks reports whether a fault that has begun keeps bytes from moving from one
// host to another.
func (a *Applied) blocks(from, to string) bool {
	f := &a.Fault
	if from == to {
		return false
	}
	switch f.Family {
	case Split, Bridge:
		return contains(f.A, from) && contains(f.B, to) || contains(f.B, from) && contains(f.A, to)
	case Isolate:
		return contains(f.A, from) || contains(f.A, to)
	case OneWay, Clog:
		return contains(f.A, from) && contains(f.B, to)
	case Swizzle:
		return contains(a.cutOff, from) || contains(a.cutOff, to)
	}
	return false
}

// refresh works out what the faults of the moment make of a host. Of several of
// one family the last counts.
func (h *host) refresh() {
	stalled, moved := h.stalls != nil, h.moved != nil
	h.refuses, h.stalls, h.slow, h.moved = nil, nil, nil, nil
	for _, a := range h.net.active {
		if !contains(a.Fault.A, h.name) {
			continue
		}
		switch a.Fault.Family {
		case Refuse:
			h.refuses = a
		case AcceptStall:
			h.stalls = a
		case SlowReceiver:
			h.slow = a
		case NameMoved:
			h.moved = a
		}
	}
	if moved && h.moved == nil && h.up {
		h.release()
	}
	if stalled && h.stalls == nil {
		for _, l := range h.listeners {
			l.waiting.WakeAll(h.net.k)
		}
	}
}

// refresh works out what the faults of the moment make of a link.
func (l *link) refresh() {
	wasOpen, before, was := l.open(), l.blockers, l.shapers
	l.reshape()
	for _, a := range l.blockers {
		if !slices.Contains(before, a) {
			l.creditHeld(a)
		}
	}
	switch {
	case wasOpen && !l.open():
		l.becomeBlocked()
	case !wasOpen && l.open():
		l.resume()
	}
	for _, family := range []Family{Latency, Bandwidth, Loss} {
		if was[family] != nil && l.shapers[family] != was[family] {
			l.relieve()
		}
	}
}

// creditHeld counts to a new fault what an older one holds already: it may have
// to hold it on.
func (l *link) creditHeld(a *Applied) {
	for _, f := range l.held {
		if f.stuck {
			a.hit(f.queued)
		}
	}
}

// reshape sets all that depends on the faults of the moment. Of several of one
// family that shape a link the last counts; what blocks a link adds up.
func (l *link) reshape() {
	l.shapers = [families]*Applied{}
	l.blockers = nil
	for _, a := range l.net.active {
		f := &a.Fault
		switch {
		case f.Family <= Partial && among(f.A, l.from.name) && among(f.B, l.to.name):
			l.shapers[f.Family] = a
		case a.blocks(l.from.name, l.to.name):
			l.blockers = append(l.blockers, a)
		}
	}
	o := &l.net.options
	l.shape, l.buffer, l.pieces, l.short = l.base, o.Buffer, o.Pieces, o.ShortReads
	if a := l.shapers[Latency]; a != nil {
		l.shape.Latency += a.Fault.Base
		l.shape.Jitter += a.Fault.Jitter
		l.shape.TailShare, l.shape.Tail = a.Fault.Share, a.Fault.Tail
	}
	if a := l.shapers[Bandwidth]; a != nil {
		l.shape.Bandwidth = a.Fault.Rate
	}
	if a := l.shapers[Buffer]; a != nil {
		l.buffer = int(a.Fault.Size)
	}
	if a := l.shapers[Loss]; a != nil {
		l.shape.Loss = a.Fault.Share
	}
	if a := l.shapers[Partial]; a != nil {
		l.pieces, l.short = a.Fault.Share, a.Fault.Share
	}
	l.segment = maxSegment
	if l.shape.Bandwidth > 0 {
		l.segment = int(min(maxSegment, max(l.shape.Bandwidth/segmentsPerSecond, ethernet)))
	}
}

const (
	// A narrow link carries small segments, so that its readers see bytes trickle.
	segmentsPerSecond = 100
	ethernet          = 1460 // bytes of a stream in one Ethernet frame
)

// relieve lets bytes arrive soon that a fault has delayed which is over.
func (l *link) relieve() {
	l.busy = l.net.k.Now()
	for _, c := range l.net.list() {
		for _, f := range []*flow{c.client.out, c.server.out} {
			if f.link == l && f.line.len() > 0 {
				f.hasten(l.busy.Add(l.shape.Latency + upTo(l.stream, l.net.options.MaxRTO)))
			}
		}
	}
}
