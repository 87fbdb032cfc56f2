package metadata

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/klammlog/klamm/checker/history"
)

func text(s string) *string { return &s }

// in puts operations one after the other, ten apart.
func in(resource string, ops ...Operation) *History {
	h := &History{}
	for i, o := range ops {
		o.Client, o.Resource = "o1", resource
		o.Invoked, o.Completed = history.Instant(10*i), history.Instant(10*i+5)
		if o.Answer == Unknown {
			o.Completed = history.Never
		}
		h.Add(o)
	}
	return h
}

var (
	made    = Operation{Act: Create, Answer: Done, ID: "a1", Partitions: 2, Settings: []Setting{{"segment.ms", text("7")}}}
	again   = Operation{Act: Create, Answer: Done, ID: "b2", Partitions: 1}
	deleted = Operation{Act: Delete, Answer: Done, ID: "a1"}
	grown   = Operation{Act: Grow, Answer: Done, Partitions: 4}
	set     = Operation{Act: Alter, Answer: Done, Settings: []Setting{{"segment.ms", text("8")}, {"flush.ms", text("9")}}}
	unset   = Operation{Act: Alter, Answer: Done, Settings: []Setting{{"segment.ms", nil}}}
	gone    = Operation{Act: Look, Answer: Missing}
)

func shows(id string, partitions int32) Operation {
	return Operation{Act: Look, Answer: Done, ID: id, Partitions: partitions}
}

func reads(settings ...string) Operation {
	o := Operation{Act: Read, Answer: Done}
	for _, s := range settings {
		name, value, _ := strings.Cut(s, "=")
		o.Settings = append(o.Settings, Setting{name, &value})
	}
	return o
}

// unanswered is the same, if nobody knows whether it happened.
func unanswered(o Operation) Operation {
	o.Answer = Unknown
	if o.Act != Alter && o.Act != Grow {
		o.ID = ""
	}
	return o
}

func refusedAs(o Operation, a Answer) Operation {
	o.Answer, o.ID = a, ""
	return o
}

func TestWhatCannotBe(t *testing.T) {
	for claim, ops := range map[string][]Operation{
		"a change was acknowledged and is not there":         {made, set, reads("segment.ms=7")},
		"half of a change is there":                          {made, set, reads("segment.ms=8")},
		"a change is there and then it is not":               {made, unanswered(set), reads("segment.ms=8", "flush.ms=9"), reads("segment.ms=7")},
		"a setting is there that was taken away":             {made, unset, reads("segment.ms=7")},
		"a setting is there that nobody made":                {made, reads("segment.ms=7", "retention.ms=1")},
		"partitions were added and are forgotten":            {made, grown, shows("a1", 2)},
		"partitions are there and are forgotten":             {made, unanswered(grown), shows("a1", 4), shows("a1", 2)},
		"partitions are there that nobody asked for":         {made, unanswered(grown), shows("a1", 3)},
		"a topic was created and is not there":               {made, gone},
		"a topic was created over another":                   {made, again},
		"a topic was deleted and is there":                   {made, deleted, shows("a1", 2)},
		"a topic was deleted and comes back":                 {made, deleted, again, shows("a1", 2)},
		"a topic that is there was not found to be deleted":  {made, refusedAs(deleted, Missing)},
		"a topic that is there was not found to be altered":  {made, refusedAs(set, Missing)},
		"a topic exists that was never created":              {shows("a1", 2)},
		"a creation was refused for a topic that is none":    {refusedAs(again, Exists)},
		"a growth was refused though it was one":             {made, refusedAs(grown, TooFew)},
		"a growth was no growth":                             {made, grown, grown},
		"another topic was deleted than there was":           {made, Operation{Act: Delete, Answer: Done, ID: "b2"}},
		"settings outlive their topic":                       {made, deleted, again, reads("segment.ms=7")},
		"partitions outlive their topic":                     {made, deleted, again, shows("b2", 2)},
		"a topic changes its id":                             {made, shows("b2", 2)},
		"a creation in doubt has the id of another":          {made, deleted, unanswered(again), shows("a1", 1)},
		"a creation in doubt has two ids":                    {unanswered(again), shows("c3", 1), shows("d4", 1)},
		"a topic is there and then not, and nobody deletes":  {unanswered(again), shows("c3", 1), gone},
		"two topics have one id":                             {made, deleted, made},
		"a creation in doubt is there with other settings":   {unanswered(made), reads("segment.ms=8")},
		"a deletion in doubt takes the settings and no more": {made, unanswered(deleted), reads()},
	} {
		v := Judge(in("topic t", ops...))
		if len(v.Violations) == 0 {
			t.Errorf("%s: nobody complains", claim)
			continue
		}
		if n := len(v.Violations[0].Operations); n == 0 || v.Violations[0].Operations[n-1].Invoked != history.Instant(10*(len(ops)-1)) {
			t.Errorf("%s: the evidence is %v", claim, v.Violations[0].Operations)
		}
	}
}

func TestWhatCanBe(t *testing.T) {
	for claim, ops := range map[string][]Operation{
		"a life":                              {gone, made, refusedAs(again, Exists), shows("a1", 2), grown, set, reads("segment.ms=8", "flush.ms=9"), unset, reads("flush.ms=9"), shows("a1", 4), deleted, gone},
		"two lives":                           {made, set, deleted, again, reads(), shows("b2", 1), refusedAs(Operation{Act: Grow, Partitions: 1}, TooFew)},
		"a change in doubt happens":           {made, unanswered(set), reads("segment.ms=8", "flush.ms=9")},
		"a change in doubt does not happen":   {made, unanswered(set), reads("segment.ms=7"), reads("segment.ms=7")},
		"a change in doubt happens late":      {made, unanswered(unset), reads("segment.ms=7"), set, reads("flush.ms=9")},
		"a creation in doubt happens":         {unanswered(again), gone, shows("c3", 1), shows("c3", 1)},
		"a deletion in doubt happens late":    {made, unanswered(deleted), shows("a1", 2), gone},
		"a deletion in doubt takes the next":  {made, unanswered(deleted), deleted, again, gone},
		"a growth in doubt happens":           {made, unanswered(grown), shows("a1", 2), shows("a1", 4)},
		"a growth in doubt finds it done":     {made, unanswered(grown), Operation{Act: Grow, Answer: Done, Partitions: 5}, shows("a1", 5)},
		"what says nothing may say anything":  {made, refusedAs(set, Nothing), reads("segment.ms=7")},
		"a look without an answer is nothing": {made, unanswered(shows("x", 9)), shows("a1", 2)},
	} {
		if v := Judge(in("topic t", ops...)); len(v.Violations)+len(v.Open) > 0 {
			t.Errorf("%s: %v %v", claim, v.Violations, v.Open)
		}
	}
}

func TestBrokersExistAndTopicsMayHaveBegunBefore(t *testing.T) {
	if v := Judge(in("every broker", reads(), set, reads("segment.ms=8", "flush.ms=9"))); len(v.Violations) > 0 {
		t.Error(v.Violations)
	}
	h := in("topic t", shows("z9", 3), reads("segment.ms=5"))
	if v := Judge(h); len(v.Violations) == 0 {
		t.Error("a topic that nobody created is there")
	}
	h.Begins("topic t", Existing("z9", 3, []Setting{{"segment.ms", text("5")}}))
	if v := Judge(h); len(v.Violations) > 0 || v.Checked != 2 {
		t.Error(v)
	}
}

// The judge against its definition: some order of the operations, each answered as
// the state says. Operators overlap, and a fair share of histories is bad.
func TestJudgeAgreesWithDefinition(t *testing.T) {
	good, bad := 0, 0
	for seed := range uint64(4000) {
		rng := rand.New(rand.NewPCG(seed, 11))
		h := randomHistory(rng, 2+rng.IntN(6))
		if rng.IntN(2) == 0 {
			spoil(rng, h)
		}
		want := possible(h.Operations, naive{settings: map[string]string{}})
		v := Judge(h)
		if got := len(v.Violations) == 0; got != want || len(v.Open) > 0 {
			t.Fatalf("seed %d: possible %t, by definition %t:\n%s", seed, got, want, printed(h))
		}
		if want {
			good++
		} else {
			bad++
		}
	}
	t.Logf("%d good, %d bad", good, bad)
	if min(good, bad) < (good+bad)/10 {
		t.Errorf("%d good and %d bad histories: too few of one kind", good, bad)
	}
}

// Long histories of a correct system with much in doubt are found correct, within
// the budget.
func TestLongHistoriesAreJudged(t *testing.T) {
	for seed := range uint64(30) {
		rng := rand.New(rand.NewPCG(seed, 12))
		h := randomHistory(rng, 300)
		if v := Judge(h); len(v.Violations)+len(v.Open) > 0 {
			t.Fatalf("seed %d: %v %v", seed, v.Violations, v.Open)
		}
	}
}

func printed(h *History) string {
	var b strings.Builder
	for i := range h.Operations {
		fmt.Fprintln(&b, &h.Operations[i])
	}
	return b.String()
}

// A naive is a topic, as somebody would write it down who has not seen State.
type naive struct {
	there      bool
	id         string
	partitions int32
	settings   map[string]string
}

func (n naive) copied() naive {
	settings := map[string]string{}
	for k, v := range n.settings {
		settings[k] = v
	}
	n.settings = settings
	return n
}

// does carries an act out, as a topic would that is there or not, and answers.
func (n *naive) does(o *Operation) Answer {
	switch {
	case o.Act == Create && n.there:
		return Exists
	case o.Act == Create:
		*n = naive{there: true, id: o.ID, partitions: o.Partitions, settings: map[string]string{}}
	case !n.there:
		return Missing
	case o.Act == Delete:
		*n = naive{settings: map[string]string{}}
	case o.Act == Grow && o.Partitions <= n.partitions:
		return TooFew
	case o.Act == Grow:
		n.partitions = o.Partitions
	}
	if o.Act == Alter || o.Act == Create {
		for _, s := range o.Settings {
			if delete(n.settings, s.Name); s.Value != nil {
				n.settings[s.Name] = *s.Value
			}
		}
	}
	return Done
}

// tells reports whether what the operation was told is so.
func (n *naive) tells(o *Operation) bool {
	switch o.Act {
	case Look:
		return o.ID == n.id && o.Partitions == n.partitions
	case Read:
		if len(o.Settings) != len(n.settings) {
			return false
		}
		for _, s := range o.Settings {
			if v, ok := n.settings[s.Name]; !ok || v != *s.Value {
				return false
			}
		}
	}
	return true
}

// possible tries every order. Ids are known to all operations here, answered or not.
func possible(left []Operation, from naive) bool {
	if !slices.ContainsFunc(left, func(o Operation) bool { return o.Answer != Unknown }) {
		return true
	}
	for i := range left {
		o := &left[i]
		if slices.ContainsFunc(left, func(p Operation) bool { return p.Answer != Unknown && p.Completed < o.Invoked }) {
			continue // that one was over before
		}
		next := from.copied()
		wasID := next.id
		answer := next.does(o)
		if o.Answer != Unknown && (answer != o.Answer || answer == Done && !next.tells(o) || o.Act == Delete && answer == Done && o.ID != "" && wasID != o.ID) {
			continue
		}
		if possible(slices.Delete(slices.Clone(left), i, i+1), next) {
			return true
		}
	}
	return false
}

// randomHistory lets operators work on a correct topic. Some are not answered, and
// of these some never happen.
func randomHistory(rng *rand.Rand, n int) *History {
	h := &History{}
	topic := naive{settings: map[string]string{}}
	doubts := 0
	for i := range n {
		at := history.Instant(100 * (i + 1))
		o := randomOperation(rng, i)
		o.Resource, o.Client = "topic t", fmt.Sprintf("o%d", i%3)
		o.Invoked, o.Completed = at-history.Instant(rng.IntN(250)), at+history.Instant(rng.IntN(250))
		if o.Act.writes() && doubts < 8 && rng.IntN(5) == 0 {
			doubts++
			if rng.IntN(2) == 0 {
				topic.does(&o)
			}
			o.Answer, o.Completed = Unknown, history.Never
			h.Add(o)
			continue
		}
		o.Answer = topic.answers(&o)
		h.Add(o)
	}
	return h
}

func (n *naive) answers(o *Operation) Answer {
	id := n.id
	answer := n.does(o)
	if answer != Done {
		if o.ID = ""; o.Act == Create {
			o.Settings = nil
		}
		return answer
	}
	switch o.Act {
	case Delete:
		o.ID = id
	case Look:
		o.ID, o.Partitions = n.id, n.partitions
	case Read:
		for name, value := range n.settings { //klamm:unordered a set
			o.Settings = append(o.Settings, Setting{name, &value})
		}
	}
	return Done
}

func randomOperation(rng *rand.Rand, i int) Operation {
	o := Operation{Act: []Act{Create, Create, Delete, Grow, Alter, Alter, Look, Look, Read, Read}[rng.IntN(10)]}
	switch o.Act {
	case Create:
		o.ID, o.Partitions = fmt.Sprintf("id%d", i), 1+rng.Int32N(2)
	case Grow:
		o.Partitions = 1 + rng.Int32N(5)
	case Alter:
		s := Setting{Name: []string{"a", "b"}[rng.IntN(2)]}
		if rng.IntN(3) > 0 {
			s.Value = text(fmt.Sprint(i))
		}
		o.Settings = []Setting{s}
	}
	return o
}

// spoil changes what one answer says.
func spoil(rng *rand.Rand, h *History) {
	o := &h.Operations[rng.IntN(len(h.Operations))]
	switch {
	case o.Answer == Done && o.Act == Look:
		o.Partitions++
	case o.Answer == Done && o.Act == Read:
		o.Settings = []Setting{{"a", text("0")}}
	case o.Answer == Done:
		o.Answer, o.ID = Missing, ""
	case o.Answer == Missing && o.Act.writes():
		o.Answer = Done
	case o.Answer == Exists:
		o.Answer, o.ID = Done, "new"
	}
}
