package main

import (
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/klammlog/klamm/internal/casefile"
	"github.com/klammlog/klamm/scenarios"
	"github.com/klammlog/klamm/sim"
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
	if c.Continue != "" {
		if spec.Continuation, err = sim.ParseContinuation(c.Continue); err != nil {
			return order{}, fmt.Errorf("%s: continue: %w", name, err)
		}
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
	if spec.Continuation.Number != 0 {
		c.Continue = spec.Continuation.String()
	}
	c.Found = &casefile.Found{Verdict: string(r.Verdict), Sentence: r.Reason, Chain: r.Chain.String(), By: buildVersion().line()}
	if len(r.Violations) > 0 {
		c.Found.Guarantee, c.Found.Sentence = r.Violations[0].Guarantee, r.Violations[0].Sentence
	}
	return c
}

// tellFound tells whether a run of a case came to what it came to when it was written,
// and nothing of a run that is no case's or was stopped.
func tellFound(out io.Writer, name string, r scenarios.Result) error {
	if !casefile.IsName(name) || r.Verdict == "" {
		return nil
	}
	c, err := casefile.Read(name)
	if err != nil || c.Found == nil {
		return err
	}
	found, now := c.Found, caseOf(scenarios.Spec{}, r).Found
	switch {
	case found.Chain == now.Chain:
		_, err = fmt.Fprintf(out, "the same run as when it was written, by %s\n", found.By)
	case found.Verdict == now.Verdict && found.Guarantee == now.Guarantee:
		_, err = fmt.Fprintf(out, "another run than when it was written (chain %s, by %s), that came to the same\n", found.Chain, found.By)
	default:
		_, err = fmt.Fprintf(out, "another run than when it was written (chain %s, by %s): it was %s then\n", found.Chain, found.By, cameTo(found))
	}
	return err
}

// cameTo says what a case came to.
func cameTo(f *casefile.Found) string {
	out := f.Verdict
	for _, more := range []string{f.Guarantee, f.Sentence} {
		if more != "" {
			out += ": " + more
		}
	}
	return out
}

// inSchedules says with how many schedules a fault was left out in vain, if with several.
func inSchedules(n int) string {
	if n < 2 {
		return ""
	}
	return fmt.Sprintf(", and not broken with any of %d schedules", n)
}
