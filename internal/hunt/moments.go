package hunt

import (
	"slices"
	"time"
)

// A moment is when a run reached something first that few runs reach. Whatever is there to
// be broken is there at that moment, so that faults are aimed at it, and luck turns there.

// moment draws a moment of a run while there may be faults: the rarer what was reached, the
// likelier.
func (s *Search) moment(r *run, before time.Duration) (time.Duration, bool) {
	sum := 0.0
	weight := func(f Feature) float64 {
		if f.At <= 0 || f.At > before {
			return 0
		}
		return 1 / float64(s.times[f.Name])
	}
	for _, f := range r.features {
		sum += weight(f)
	}
	left := s.rand.Float64() * sum
	for _, f := range r.features {
		w := weight(f)
		if left -= w; w > 0 && left <= 0 {
			return f.At, true
		}
	}
	return 0, false
}

// turn has a run take another way from its beginning on, or from shortly before one of its
// moments. From a turn that it has taken on it is no longer what it was.
func (s *Search) turn(r *run, l *Luck) {
	from := time.Duration(0)
	if at, ok := s.moment(r, time.Hour); ok && s.rand.IntN(4) != 0 {
		from = max(at-time.Duration(s.rand.Int64N(int64(time.Second))), 0)
	}
	if l.Number != 0 {
		from = min(from, l.From)
	}
	*l = Luck{From: from, Number: 1 + s.rand.Uint64N(1<<32)}
}

// aim has one fault begin shortly before or after one of the run's moments.
func (s *Search) aim(r *run, list schedule, i int) bool {
	if _, ok := list[i].duration("at"); !ok {
		return false
	}
	at, ok := s.moment(r, list[i].time)
	if !ok {
		return false
	}
	at += time.Duration(s.rand.Int64N(int64(time.Second))) - 600*time.Millisecond
	list[i] = list[i].with("at", min(max(at, time.Millisecond), list[i].time).String())
	return true
}

// aimMore adds one of the run's faults once more, aimed at a moment.
func (s *Search) aimMore(r *run, list *schedule) bool {
	if len(*list) == 0 || len(*list) >= maxFaults {
		return false
	}
	longer := append(slices.Clone(*list), (*list)[s.rand.IntN(len(*list))])
	if !s.aim(r, longer, len(longer)-1) {
		return false
	}
	*list = longer
	return true
}
