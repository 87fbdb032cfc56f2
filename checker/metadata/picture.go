package metadata

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/anishathalye/porcupine"

	"github.com/klammlog/klamm/checker/history"
)

// ErrNoPicture is why a history is not drawn: nobody could look at all of it, or finding
// what there is to draw takes too long.
var ErrNoPicture = errors.New("too much for a picture")

// What a picture has at most.
const (
	maxPicture = 4 << 20 // bytes of HTML
	maxDrawn   = 15_000  // operations, in all of the orders that it shows
	drawBudget = 200_000 // steps of the search for those
)

// Draw returns porcupine's own page of HTML about a history. If there are resources whose
// operations have no order it shows those, each up to the first answer that cannot be,
// with the longest orders that there are; otherwise all of them, with an order of each.
//
// It has at most some MiB: what would be larger is ErrNoPicture. Which of two orders of
// one length comes first is not the same each time.
func Draw(h *History) ([]byte, error) {
	drawn, err := h.drawn()
	if err != nil {
		return nil, err
	}
	model := h.drawingModel()
	_, info := porcupine.CheckOperationsVerbose(model, drawn, 0)
	steps := 0
	for _, orders := range info.PartialLinearizations() {
		for _, order := range orders {
			steps += len(order)
		}
	}
	if steps > maxDrawn {
		return nil, fmt.Errorf("%w: orders of %d operations", ErrNoPicture, steps)
	}
	var b bytes.Buffer
	if err := porcupine.Visualize(model, info, &b); err != nil {
		return nil, err
	}
	if b.Len() > maxPicture {
		return nil, fmt.Errorf("%w: %d bytes", ErrNoPicture, b.Len())
	}
	return b.Bytes(), nil
}

// drawn returns the operations that a picture shows. That the search for their orders
// ends in time has been tried: porcupine does the same steps again.
func (h *History) drawn() ([]porcupine.Operation, error) {
	told := h.told(&Verdict{})
	var held, broken []porcupine.Operation
	steps := 0
	for _, resource := range h.resources() {
		s := h.search(resource, told)
		end := history.Never
		if !s.possibleUntil(end) {
			v := s.evidence(resource)
			end = v.Operations[len(v.Operations)-1].Completed
			s.steps = 0
			s.possibleUntil(end)
			broken = append(broken, s.until(end)...)
		} else {
			held = append(held, s.until(end)...)
		}
		if steps += s.steps; steps > drawBudget {
			return nil, fmt.Errorf("%w: the search for orders takes more than %d steps", ErrNoPicture, drawBudget)
		}
	}
	drawn := broken
	if len(broken) == 0 {
		drawn = held
	}
	if len(drawn) > maxDrawn {
		return nil, fmt.Errorf("%w: %d operations", ErrNoPicture, len(drawn))
	}
	number(drawn)
	return drawn, nil
}

// number gives each client its row.
func number(drawn []porcupine.Operation) {
	var clients []string
	for _, o := range drawn {
		clients = append(clients, o.Input.(call).Client)
	}
	slices.Sort(clients)
	clients = slices.Compact(clients)
	for i := range drawn {
		drawn[i].ClientId, _ = slices.BinarySearch(clients, drawn[i].Input.(call).Client)
	}
}

// drawingModel is the model of all resources side by side, with words for what is shown.
// A state that is nil is that of a resource before its first operation.
func (h *History) drawingModel() porcupine.Model {
	return porcupine.Model{
		Init: func() any { return nil },
		Step: func(state, input, _ any) (bool, any) {
			c := input.(call)
			s, begun := state.(State)
			if !begun {
				s = h.begin(c.Resource)
			}
			next, ok := c.step(s)
			return ok, next
		},
		Partition:         apart,
		DescribeOperation: func(input, _ any) string { return input.(call).brief() },
		DescribeState: func(state any) string {
			s, _ := state.(State)
			return s.String()
		},
	}
}

// apart divides operations by their resources, in the order of their first ones.
func apart(all []porcupine.Operation) (out [][]porcupine.Operation) {
	at := map[string]int{}
	for _, o := range all {
		resource := o.Input.(call).Resource
		if _, ok := at[resource]; !ok {
			at[resource] = len(out)
			out = append(out, nil)
		}
		out[at[resource]] = append(out[at[resource]], o)
	}
	return out
}

// brief describes an operation without its times.
func (o *Operation) brief() string { return fmt.Sprintf("%s: %s: %s", o.Client, o.asked(), o.Answer) }

func (s State) String() string {
	if !s.There {
		return "there is none"
	}
	var facts []string
	if s.ID != "" {
		facts = append(facts, "id="+s.ID)
	}
	if s.Partitions > 0 {
		facts = append(facts, fmt.Sprintf("partitions=%d", s.Partitions))
	}
	return "there, " + strings.Join(append(facts, "["+strings.Join(strings.Fields(s.set), " ")+"]"), " ")
}
