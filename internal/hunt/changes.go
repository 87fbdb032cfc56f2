package hunt

import (
	"slices"
	"time"
)

// change makes one change of a run's schedule, and reports whether there was one to make.
func (s *Search) change(r *run, list *schedule) bool {
	switch s.rand.IntN(8) {
	case 0:
		return s.duplicate(list)
	case 1:
		return s.merge(list, r.within())
	case 2:
		return s.retarget(list)
	case 3, 4:
		return s.insert(r, list)
	case 5:
		return s.aimMore(r, list)
	case 6:
		return len(*list) > 0 && s.aim(r, *list, s.rand.IntN(len(*list)))
	}
	return s.changeInTime(list)
}

// changeBound changes a schedule that has to keep its faults, each with whom it strikes.
func (s *Search) changeBound(r *run, list *schedule) bool {
	if len(*list) > 0 && s.rand.IntN(2) == 0 {
		return s.aim(r, *list, s.rand.IntN(len(*list)))
	}
	return s.changeInTime(list)
}

// within returns the time in which a run's faults begin, 0 if it has none.
func (r *run) within() time.Duration {
	if len(r.schedule) == 0 {
		return 0
	}
	return r.schedule[0].time
}

// changeInTime drops a fault, or has it begin at another time, or last longer or shorter.
func (s *Search) changeInTime(list *schedule) bool {
	if len(*list) == 0 {
		return false
	}
	i := s.rand.IntN(len(*list))
	f := (*list)[i]
	switch s.rand.IntN(4) {
	case 0:
		*list = slices.Delete(*list, i, i+1)
		return true
	case 1:
		return s.stretch(list, i)
	case 2:
		return s.alignWith(list, i)
	}
	if _, ok := f.duration("at"); !ok || f.time <= 0 {
		return false
	}
	(*list)[i] = f.with("at", time.Duration(s.rand.Int64N(int64(f.time))).String())
	return true
}

// alignWith has a fault begin a little before or after another: what breaks things is
// often two faults at once.
func (s *Search) alignWith(list *schedule, i int) bool {
	f, other := (*list)[i], (*list)[s.rand.IntN(len(*list))]
	at, ok := other.duration("at")
	if _, mine := f.duration("at"); !ok || !mine {
		return false
	}
	apart := time.Duration(s.rand.Int64N(int64(800*time.Millisecond))) - 400*time.Millisecond
	(*list)[i] = f.with("at", min(max(at+apart, time.Millisecond), max(f.time, at)).String())
	return true
}

// stretch has a fault last from a quarter of its time to four times as long, and not
// above half of the time that there is: what lasts longer leaves nothing to judge.
func (s *Search) stretch(list *schedule, i int) bool {
	f := (*list)[i]
	lasts, ok := f.duration("for")
	if !ok {
		return false
	}
	longer := lasts / 4 * time.Duration(1+s.rand.Int64N(16))
	(*list)[i] = f.with("for", max(min(longer, max(f.time/2, lasts)), time.Microsecond).String())
	return true
}

// duplicate has a fault happen once more, at another time.
func (s *Search) duplicate(list *schedule) bool {
	if len(*list) == 0 || len(*list) >= maxFaults {
		return false
	}
	f := (*list)[s.rand.IntN(len(*list))]
	if _, ok := f.duration("at"); !ok || f.time <= 0 {
		return false
	}
	*list = append(*list, f.with("at", time.Duration(s.rand.Int64N(int64(f.time))).String()))
	return true
}

// retarget has a fault strike what another of its family has struck, in any run.
func (s *Search) retarget(list *schedule) bool {
	if len(*list) == 0 {
		return false
	}
	i := s.rand.IntN(len(*list))
	f, known := (*list)[i], s.words[(*list)[i].family]
	if len(known) == 0 {
		return false
	}
	for _, w := range known[s.rand.IntN(len(known))].targets() {
		f = f.with(w.name, w.value)
	}
	(*list)[i] = f
	return true
}

// insert adds a fault that any run had, at another time.
func (s *Search) insert(r *run, list *schedule) bool {
	families := s.words.families()
	if len(families) == 0 || len(*list) >= maxFaults {
		return false
	}
	known := s.words[families[s.rand.IntN(len(families))]]
	f := known[s.rand.IntN(len(known))]
	if len(*list) > 0 {
		f.time = (*list)[0].time
	}
	if _, ok := f.duration("at"); ok && f.time > 0 {
		f = f.with("at", time.Duration(s.rand.Int64N(int64(f.time))).String())
	}
	*list = append(*list, f)
	switch last := len(*list) - 1; s.rand.IntN(3) {
	case 0:
		s.alignWith(list, last)
	case 1:
		s.aim(r, *list, last)
	}
	return true
}

// merge adds some of the faults of a kept run, as they are as far as they begin in time.
func (s *Search) merge(list *schedule, within time.Duration) bool {
	other := s.pick()
	if other.bound {
		return false
	}
	some := false
	for _, f := range other.schedule {
		at, timed := f.duration("at")
		if timed && within > 0 && at > within {
			continue
		}
		if f.time = max(within, at); len(*list) < maxFaults && s.rand.IntN(4) != 0 {
			*list, some = append(*list, f), true
		}
	}
	return some
}
