package metadata

import (
	"fmt"
	"slices"
	"sort"

	"github.com/anishathalye/porcupine"

	"github.com/klammlog/klamm/checker/history"
)

// A Violation is a proof that a history is wrong: one resource's operations that
// cannot all have happened. Without the last of them they could have.
type Violation struct {
	Resource   string
	Sentence   string
	Operations []Operation // the last ones before it, and it
}

// A Verdict is what a history comes to.
type Verdict struct {
	Checked    int // operations that say something
	Violations []Violation
	Open       []string // resources whose search was given up, a sentence each
}

// searchBudget is how many steps the search for one order may take: some thousand
// times as many as a history of a run needs.
const searchBudget = 3_000_000

// shown is how many operations before the last are evidence.
const shown = 8

// Judge decides, resource by resource, whether there is an order in which all
// operations happened, each between its invocation and its completion, and were
// answered so.
func Judge(h *History) Verdict {
	var v Verdict
	told := h.told(&v)
	for _, resource := range h.resources() {
		s := h.search(resource, told)
		v.Checked += len(s.operations)
		s.judge(resource, &v)
	}
	return v
}

// begin returns the state of a resource before its first operation.
func (h *History) begin(resource string) State {
	if s, ok := h.Begin[resource]; ok {
		return s
	}
	return initial(resource)
}

// search returns the search for an order of what says something about a resource.
func (h *History) search(resource string, told map[string]bool) *search {
	s := &search{begin: h.begin(resource), told: told}
	for i := range h.Operations {
		o := &h.Operations[i]
		if o.Resource == resource && o.Answer != Nothing && (o.Act.writes() || o.Answer != Unknown) {
			s.operations = append(s.operations, o)
		}
	}
	return s
}

// told returns the ids that acknowledged creations got, and complains of one that
// two of them did.
func (h *History) told(v *Verdict) map[string]bool {
	by := map[string]*Operation{}
	out := map[string]bool{}
	for i := range h.Operations {
		o := &h.Operations[i]
		if o.Act != Create || o.Answer != Done || o.ID == "" {
			continue
		}
		if first := by[o.ID]; first != nil {
			v.Violations = append(v.Violations, Violation{Resource: o.Resource,
				Sentence:   fmt.Sprintf("%s: the id %s was given to two topics", o.Resource, o.ID),
				Operations: []Operation{*first, *o}})
		}
		by[o.ID], out[o.ID] = o, true
	}
	return out
}

// A search looks for an order of one resource's operations.
type search struct {
	begin      State
	told       map[string]bool
	operations []*Operation
	steps      int
}

func (s *search) judge(resource string, v *Verdict) {
	s.steps = 0
	if s.possibleUntil(history.Never) {
		if s.steps > searchBudget {
			v.Open = append(v.Open, fmt.Sprintf("%s: no order of %d operations found in %d steps", resource, len(s.operations), searchBudget))
		}
		return
	}
	v.Violations = append(v.Violations, s.evidence(resource))
}

// until returns what was answered up to an instant, that included, and what may have
// happened without an answer by then.
func (s *search) until(end history.Instant) (ops []porcupine.Operation) {
	for _, o := range s.operations {
		switch {
		case o.Invoked > end:
		case o.Answer != Unknown && o.Completed <= end:
			ops = append(ops, porcupine.Operation{Input: call{o, s.told}, Call: int64(o.Invoked), Return: int64(o.Completed)})
		case o.Act.writes() && !refused(o.Answer):
			later := *o
			later.Answer = Unknown
			ops = append(ops, porcupine.Operation{Input: call{&later, s.told}, Call: int64(o.Invoked), Return: int64(history.Never)})
		}
	}
	return ops
}

// possibleUntil reports whether what was answered up to an instant, that included,
// can all have happened. If it takes more steps than the budget it may have.
func (s *search) possibleUntil(end history.Instant) bool {
	m := porcupine.Model{
		Init: func() any { return s.begin },
		Step: func(state, input, _ any) (bool, any) {
			if s.steps++; s.steps > searchBudget {
				return true, state
			}
			next, ok := input.(call).step(state.(State))
			return ok, next
		},
	}
	return porcupine.CheckOperations(m, s.until(end))
}

// refused reports whether an answer says that nothing has changed.
func refused(a Answer) bool { return a == Missing || a == Exists || a == TooFew }

// evidence finds the first answer that contradicts those before it.
func (s *search) evidence(resource string) Violation {
	answered := slices.DeleteFunc(slices.Clone(s.operations), func(o *Operation) bool { return o.Answer == Unknown })
	slices.SortStableFunc(answered, func(a, b *Operation) int { return int(min(max(a.Completed-b.Completed, -1), 1)) })
	at := sort.Search(len(answered)-1, func(i int) bool {
		s.steps = 0
		return !s.possibleUntil(answered[i].Completed)
	})
	last := answered[at]
	v := Violation{Resource: resource, Sentence: fmt.Sprintf("%s, and what was answered before does not permit it", last)}
	for _, o := range s.operations {
		if o != last && o.Invoked <= last.Completed && (o.Act.writes() || o.Completed <= last.Completed) {
			v.Operations = append(v.Operations, *o)
		}
	}
	slices.SortStableFunc(v.Operations, func(a, b Operation) int { return int(min(max(a.Invoked-b.Invoked, -1), 1)) })
	v.Operations = append(v.Operations[max(0, len(v.Operations)-shown):], *last)
	return v
}
