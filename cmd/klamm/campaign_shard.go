package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/klammlog/klamm/internal/shards"
	"github.com/klammlog/klamm/scenarios"
	"github.com/klammlog/klamm/sim"
)

// A shardLine is what came of one run, as a line of a result file. Which run it is
// follows from its place: the scenarios in turn for each seed, then the canary's seeds.
type shardLine struct {
	Scenario string            `json:"scenario"`
	Seed     uint64            `json:"seed"`
	Result   *scenarios.Result `json:"result,omitempty"`
	Again    []sim.Chain       `json:"repeated_chains,omitempty"`
	Sound    string            `json:"sound,omitempty"` // of a canary's run of which a judge complained: the verdict without the bug
	Error    string            `json:"error,omitempty"`
	Died     string            `json:"died,omitempty"`
}

// A shardRun is a run of a shard and what came of it.
type shardRun struct {
	finding
	sound string
}

// shardOrders returns the runs of a shard in the order of its lines: those of the
// scenarios, and those of the canary.
func shardOrders(p *shards.Plan, s shards.Shard) (runs, canary []order) {
	for i := range s.Seeds.Count {
		for _, name := range p.Scenarios {
			runs = append(runs, order{Spec: scenarios.Spec{Scenario: name, Seed: s.Seeds.First + i, Set: p.Set}})
		}
	}
	for i := range s.Canary.Count {
		canary = append(canary, order{Spec: canarySpec(p, s.Canary.First+i)})
	}
	return runs, canary
}

// canarySpec returns a run of the canary. It is the same as soundSpec's but for what is
// wrong with it.
func canarySpec(p *shards.Plan, seed uint64) scenarios.Spec {
	return scenarios.Spec{Scenario: p.Canary.Scenario, Seed: seed, Set: slices.Concat(p.Set, p.Canary.Set)}
}

func soundSpec(p *shards.Plan, seed uint64) scenarios.Spec {
	return scenarios.Spec{Scenario: p.Canary.Scenario, Seed: seed, Set: p.Set}
}

// complains reports whether a judge said something of a run: that it tested nothing, or
// that our tools failed, is no find.
func complains(f finding) bool {
	switch verdictOf(f) {
	case string(scenarios.Violated), string(scenarios.Crashed), string(scenarios.Stuck), verdictDiverged:
		return true
	}
	return false
}

// encode returns a run as a line. Equal runs have equal lines.
func (r shardRun) encode() ([]byte, error) {
	l := shardLine{Scenario: r.Spec.Scenario, Seed: r.Spec.Seed, Sound: r.sound, Error: r.Error}
	if r.Result.Verdict != "" {
		result := withoutNulls(r.Result)
		l.Result = &result
	}
	for _, again := range r.Again {
		l.Again = append(l.Again, again.Chain)
	}
	if r.Died != nil {
		l.Died = r.Died.Error()
	}
	return json.Marshal(l)
}

// decodeRun reads a line, and checks that it is of the run that was ordered.
func decodeRun(line []byte, o order) (shardRun, error) {
	var l shardLine
	if err := json.Unmarshal(line, &l); err != nil {
		return shardRun{}, err
	}
	r := shardRun{finding: finding{order: o}, sound: l.Sound}
	switch {
	case l.Scenario != o.Spec.Scenario || l.Seed != o.Spec.Seed:
		return r, fmt.Errorf("%s seed %d stands where %s seed %d belongs", l.Scenario, l.Seed, o.Spec.Scenario, o.Spec.Seed)
	case l.Result == nil && l.Error == "" && l.Died == "":
		return r, fmt.Errorf("%s seed %d: it does not say what came of it", l.Scenario, l.Seed)
	}
	if l.Result != nil {
		if l.Result.Scenario != l.Scenario || l.Result.Seed != l.Seed {
			return r, fmt.Errorf("%s seed %d: the result is of another run", l.Scenario, l.Seed)
		}
		r.Result = *l.Result
	}
	for _, chain := range l.Again {
		r.Again = append(r.Again, scenarios.Result{Chain: chain})
	}
	r.Error = l.Error
	if l.Died != "" {
		r.Died = errors.New(l.Died)
	}
	return r, nil
}

// unite makes one run of what several workers wrote of it. Those of which our own tools
// failed count only if there are no others; if the others are not the same run, the run is
// not deterministic. The order of the lines does not matter.
func unite(lines [][]byte, o order) (shardRun, error) {
	lines = slices.Clone(lines)
	slices.SortFunc(lines, bytes.Compare)
	var runs []shardRun
	for _, line := range slices.CompactFunc(lines, bytes.Equal) {
		r, err := decodeRun(line, o)
		if err != nil {
			return r, err
		}
		runs = append(runs, r)
	}
	slices.SortStableFunc(runs, func(a, b shardRun) int {
		return cmp.Compare(len(a.trouble()), len(b.trouble())) // none first
	})
	one := runs[0]
	for _, other := range runs[1:] {
		if other.trouble() == "" && other.Result.Chain != one.Result.Chain {
			one.Again = append(one.Again, other.Result)
		}
	}
	return one, nil
}

// makeAll makes runs, and returns what came of them in the order of the orders. A run whose
// process died is made once more: it may have been the machine, and what came of a shard
// shall not depend on that. Blocks.
func (p pool) makeAll(ctx context.Context, orders []order, report func(finding)) ([]finding, error) {
	found, err := p.makeEach(ctx, orders, report)
	if err != nil {
		return nil, err
	}
	var again []order
	for _, f := range found {
		if f.Died != nil {
			again = append(again, f.order)
		}
	}
	if len(again) == 0 {
		return found, nil
	}
	second, err := p.makeEach(ctx, again, report)
	if err != nil {
		return nil, err
	}
	for i, f := range found {
		if f.Died != nil {
			found[i], second = second[0], second[1:]
		}
	}
	return found, nil
}

func (p pool) makeEach(ctx context.Context, orders []order, report func(finding)) ([]finding, error) {
	if len(orders) == 0 {
		return nil, nil
	}
	type key struct {
		scenario string
		seed     uint64
	}
	place := map[key]int{}
	for i, o := range orders {
		place[key{o.Spec.Scenario, o.Spec.Seed}] = i
	}
	p.jobs = min(p.jobs, len(orders))
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	issued := make(chan order)
	go func() {
		defer close(issued)
		issueCases(ctx, issued, orders)
	}()
	found, made := make([]finding, len(orders)), 0
	err := p.run(ctx, issued, func(f finding) bool {
		found[place[key{f.Spec.Scenario, f.Spec.Seed}]] = f
		made++
		report(f)
		return true
	})
	if err == nil && made < len(orders) {
		err = fmt.Errorf("%d of %d runs were made", made, len(orders))
	}
	return found, err
}
