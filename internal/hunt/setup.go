package hunt

// setups counts how runs were set up: words, two and two.
type setups struct {
	numbers map[string]int // of words, for short keys
	pairs   map[[2]int]int // how many runs had both
}

func newSetups() setups { return setups{map[string]int{}, map[[2]int]int{}} }

// pairsOf returns all pairs of words. Who is set up always says its words in one order.
func (s setups) pairsOf(words []string) [][2]int {
	var out [][2]int
	for i, w := range words {
		if _, known := s.numbers[w]; !known {
			s.numbers[w] = len(s.numbers)
		}
		for _, v := range words[:i] {
			out = append(out, [2]int{s.numbers[v], s.numbers[w]})
		}
	}
	return out
}

func (s setups) learn(words []string) {
	for _, p := range s.pairsOf(words) {
		s.pairs[p]++
	}
}

// unlike says how unlike a run is to those that were made, by how it is set up.
func (s setups) unlike(words []string) float64 {
	sum := 0.0
	for _, p := range s.pairsOf(words) {
		sum += 1 / float64(1+s.pairs[p])
	}
	return sum
}

// seedsAsked is how many seeds are asked for one that is unlike those before.
const seedsAsked = 24

// unlike returns a seed that is set up unlike the runs before it, and its draft.
func (s *Search) unlike(c Court) (Trial, Draft) {
	var (
		t    Trial
		best Draft
		most = -1.0
	)
	for range seedsAsked {
		seed := s.rand.Uint64N(1 << 40)
		d := c.Draft(seed)
		if unlike := s.setup.unlike(d.Words); unlike > most {
			t.Seed, best, most = seed, d, unlike
		}
	}
	return t, best
}

// graft returns a seed with the faults that it draws and some of kept runs; where the seed
// cannot have those, with its own.
func (s *Search) graft(c Court, own Trial, d Draft) Trial {
	if d.Bound {
		return own
	}
	list := parse(d.Faults, d.Time)
	some := s.merge(&list, d.Time)
	if !s.merge(&list, d.Time) && !some {
		return own
	}
	t := own
	if t.Faults = list.lines(); c.Acceptable(t) {
		return t
	}
	return own
}
