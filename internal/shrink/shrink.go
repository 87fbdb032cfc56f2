// Package shrink makes smaller what shows something, and goes on showing it: lists by
// delta debugging (Zeller and Hildebrandt, Simplifying and Isolating Failure-Inducing
// Input, 2002), and numbers by trying smaller ones.
//
// It decides what to try next and knows nothing of what is tried. It is pure but for
// the tests that it is given.
package shrink

import "slices"

// A Test tries candidates and returns the first of them, in their order, that still
// shows it: -1 if none does. It may try several side by side. An error ends the search.
type Test[T any] func(candidates []T) (first int, err error)

// List returns the elements of items, in their order, that are left when leaving out
// any one of them would show it no more. items shows it; that is not tried again.
// better is told of each smaller list when it is found. With an error of the test the
// best so far is returned with it: it may hold elements that are not needed.
func List[T any](items []T, test Test[[]T], better func([]T)) ([]T, error) {
	best := items
	for parts := 1; len(best) > 0; {
		parts = min(parts, len(best))
		candidates := without(best, parts)
		at, err := test(candidates)
		switch {
		case err != nil:
			return best, err
		case at >= 0:
			best = candidates[at]
			parts = max(parts-1, 2)
			better(best)
		case parts == len(best):
			return best, nil // each was left out alone
		default:
			parts *= 2
		}
	}
	return best, nil
}

// without cuts a list into parts of about one size, and returns the lists that lack
// one of them each.
func without[T any](list []T, parts int) [][]T {
	out := make([][]T, 0, parts)
	for i := range parts {
		from, to := len(list)*i/parts, len(list)*(i+1)/parts
		out = append(out, slices.Concat(list[:from], list[to:]))
	}
	return out
}

// Number returns a number from low to high that shows it, as small as was found: high
// shows it. What shows it may do so with some smaller numbers and not with others. better
// is told of each smaller one when it is found. With an error of the test the best so far
// is returned with it.
func Number(low, high int, test Test[int], better func(int)) (int, error) {
	for best := high; ; {
		candidates := smaller(low, best)
		if len(candidates) == 0 {
			return best, nil
		}
		at, err := test(candidates)
		if err != nil || at < 0 {
			return best, err
		}
		best = candidates[at]
		better(best)
	}
}

// smaller returns what to try below a number: the least there is, then what is a half
// and three quarters of the way up to it.
func smaller(low, high int) []int {
	var out []int
	for _, n := range []int{low, low + (high-low)/2, low + (high-low)*3/4} {
		if n < high && !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	return out
}
