package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/klammlog/klamm/internal/casefile"
	"github.com/klammlog/klamm/scenarios"
)

// caseOrder reads a case file, and orders its run with settings on top of its own.
func caseOrder(name string, set []string) (order, error) {
	c, err := casefile.Read(name)
	if err != nil {
		return order{}, err
	}
	spec := scenarios.Spec{
		Scenario: c.Scenario, Seed: c.Seed, Set: slices.Concat(c.Set, set), Script: &scenarios.Script{Faults: c.Faults},
	}
	if err := scenarios.CheckSpec(spec); err != nil {
		return order{}, fmt.Errorf("%s: %w", name, err)
	}
	return order{Spec: spec, File: name, Given: set}, nil
}

// rowsOf names what orders count for.
func rowsOf(orders []order) (rows []string) {
	for _, o := range orders {
		if !slices.Contains(rows, o.row()) {
			rows = append(rows, o.row())
		}
	}
	return rows
}

// issueCases hands out the runs of case files.
func issueCases(ctx context.Context, orders chan<- order, cases []order) {
	for _, o := range cases {
		select {
		case orders <- o:
		case <-ctx.Done():
			return
		}
	}
}

// caseOf writes down a run with what it came to.
func caseOf(spec scenarios.Spec, r scenarios.Result) casefile.Case {
	c := casefile.Case{Scenario: spec.Scenario, Seed: spec.Seed, Set: spec.Set, Faults: r.Drawn}
	c.Found = &casefile.Found{Verdict: string(r.Verdict), Sentence: r.Reason, Chain: r.Chain.String(), By: buildVersion().line()}
	if len(r.Violations) > 0 {
		c.Found.Guarantee, c.Found.Sentence = r.Violations[0].Guarantee, r.Violations[0].Sentence
	}
	return c
}
