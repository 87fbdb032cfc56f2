package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/klammlog/klamm/internal/shrink"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/scenarios"
	"github.com/klammlog/klamm/sim"
)

// all makes the run smaller in every direction, with other schedules where there is no
// other way, until nothing helps: faults, and the operations, which take most time to read.
func (s *shrinker) all() error {
	for before := ""; before != keyOf(s.best); {
		if err := s.everything(); err != nil {
			return err
		}
		before = keyOf(s.best)
		if err := s.faults(s.schedules()); err != nil {
			return err
		}
		if len(s.result.Sizes) > 0 && before == keyOf(s.best) {
			if err := s.size(s.result.Sizes[0], s.schedules()); err != nil {
				return err
			}
		}
	}
	// Last: a run that ends sooner may need a fault only because it goes on until that strikes.
	for _, step := range []func() error{s.sooner, s.time} {
		if err := step(); err != nil {
			return err
		}
	}
	if err := s.faults(s.schedules()); err != nil {
		return err
	}
	return s.prove()
}

// everything makes the run smaller with the schedule that it has: faults first, which
// decide most, then everything else, and faults once more if that has changed anything.
func (s *shrinker) everything() error {
	own := []sim.Continuation{s.best.Continuation}
	if err := s.faults(own); err != nil {
		return err
	}
	before := s.result.Chain
	for _, step := range []func() error{s.sizes, s.switches} {
		if err := step(); err != nil {
			return err
		}
	}
	if s.result.Chain == before {
		return nil
	}
	return s.faults(own)
}

// schedules are those that a smaller run is tried with: the one that the best run has,
// then others. They part from the seed's when faults begin: the same cluster meets them.
func (s *shrinker) schedules() []sim.Continuation {
	out := []sim.Continuation{s.best.Continuation}
	for n := 0; len(out) <= s.flags.others; n++ {
		var other sim.Continuation // the seed's own
		if n > 0 {
			other = sim.Continuation{From: scenarios.FaultsBegin, Number: uint64(n)}
		}
		if other != s.best.Continuation {
			out = append(out, other)
		}
	}
	return out
}

// faults leaves out faults, as long as the run fails with one of some schedules.
func (s *shrinker) faults(schedules []sim.Continuation) error {
	var smaller scenarios.Spec
	_, err := shrink.List(s.best.Script.Faults, func(lists [][]string) (int, error) {
		var specs []scenarios.Spec
		for _, c := range schedules {
			for _, l := range lists {
				specs = append(specs, s.scripted(l, c))
			}
		}
		at, err := s.first(specs)
		if at < 0 || err != nil {
			return -1, err
		}
		smaller = specs[at]
		return at % len(lists), nil
	}, func(l []string) { s.take(smaller, fmt.Sprintf("faults=%d", len(l))) })
	return err
}

// scripted returns the best run so far with other faults and a schedule.
func (s *shrinker) scripted(faults []string, c sim.Continuation) scenarios.Spec {
	spec := s.best
	spec.Script, spec.Continuation = &scenarios.Script{Faults: append([]string{}, faults...)}, c // one spelling of none: runs are known by it
	return spec
}

// switches turns off what makes runs differ and is no fault.
func (s *shrinker) switches() error {
	for _, name := range s.result.Switches {
		spec := s.with(name + "=false")
		at, err := s.first([]scenarios.Spec{spec})
		if err != nil {
			return err
		}
		if at >= 0 {
			s.take(spec, name+"=false")
		}
	}
	return nil
}

// sizes has fewer operations, clients, partitions and guests.
func (s *shrinker) sizes() error {
	for _, size := range s.result.Sizes {
		if err := s.size(size, []sim.Continuation{s.best.Continuation}); err != nil {
			return err
		}
	}
	return nil
}

// size has less of something, as long as the run fails with one of some schedules.
func (s *shrinker) size(size scenarios.Size, schedules []sim.Continuation) error {
	setting := func(n int) string { return size.Name + "=" + strconv.Itoa(n) }
	return s.number(size.Least, size.Is, schedules, func(n int) scenarios.Spec { return s.with(setting(n)) }, setting)
}

// timeStep is how close times are looked at.
const timeStep = 500 * time.Millisecond

// sooner has all faults begin earlier: a run that waits for them takes long, and says
// nothing meanwhile.
func (s *shrinker) sooner() error {
	faults := s.best.Script.Faults
	first, err := scenarios.FirstFault(faults)
	if err != nil {
		return err
	}
	steps := int((first - scenarios.FaultsBegin) / kafka.Instant(timeStep))
	var wrong error
	err = s.number(0, steps, s.schedules(), func(n int) scenarios.Spec {
		moved, err := scenarios.Sooner(faults, time.Duration(steps-n)*timeStep)
		if err != nil {
			wrong = err
		}
		return s.scripted(moved, s.best.Continuation)
	}, func(n int) string { return "faults earlier by " + (time.Duration(steps-n) * timeStep).String() })
	return errors.Join(wrong, err)
}

// time ends the faults' time soon after the last of them begins.
func (s *shrinker) time() error {
	setting := func(n int) string { return "run.safety=" + (time.Duration(n) * timeStep).String() }
	own := []sim.Continuation{s.best.Continuation}
	return s.number(1, int(time.Duration(s.result.SafetyNanos)/timeStep), own, func(n int) scenarios.Spec { return s.with(setting(n)) }, setting)
}

// number makes a number of the run smaller, as long as it fails with one of some schedules.
func (s *shrinker) number(least, is int, schedules []sim.Continuation, spec func(int) scenarios.Spec, called func(int) string) error {
	var smaller scenarios.Spec
	_, err := shrink.Number(least, is, func(ns []int) (int, error) {
		var specs []scenarios.Spec
		for _, c := range schedules {
			for _, n := range ns {
				candidate := spec(n)
				candidate.Continuation = c
				specs = append(specs, candidate)
			}
		}
		at, err := s.first(specs)
		if at < 0 || err != nil {
			return -1, err
		}
		smaller = specs[at]
		return at % len(ns), nil
	}, func(n int) { s.take(smaller, called(n)) })
	return err
}

// with returns the best run so far with one setting changed.
func (s *shrinker) with(setting string) scenarios.Spec {
	spec := s.best
	name, _, _ := strings.Cut(setting, "=")
	spec.Set = slices.DeleteFunc(slices.Clone(spec.Set), func(other string) bool { return strings.HasPrefix(other, name+"=") })
	spec.Set = append(spec.Set, setting)
	return spec
}

// take notes a smaller run.
func (s *shrinker) take(spec scenarios.Spec, what string) {
	s.best, s.result = spec, s.known[keyOf(spec)]
	fmt.Fprintf(s.told, "  %s: %s\n", s.sofar(), what)
}

// prove leaves out each fault that is left, alone, with every schedule.
func (s *shrinker) prove() error {
	faults, schedules := s.best.Script.Faults, s.schedules()
	for i, fault := range faults {
		var specs []scenarios.Spec
		for _, c := range schedules {
			specs = append(specs, s.scripted(slices.Delete(slices.Clone(faults), i, i+1), c))
		}
		results, err := s.makeOnce(specs, nil)
		if err != nil {
			return err
		}
		without := brokenBy(results[0])
		switch {
		case results[0] == nil:
			without = "the process died"
		case without == "":
			without = string(results[0].Verdict)
		}
		s.needed = append(s.needed, neededFault{fault, without, len(specs)})
	}
	return nil
}
