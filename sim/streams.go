package sim

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/klammlog/klamm/node/kafka"
)

// streams are the named random streams of a run: what one consumer draws leaves
// the others alone, so a fix does not move the bug elsewhere.
type streams struct {
	seed  uint64
	known map[string]*stream
}

// A stream is one of them. Who has it keeps it, so its source can be seeded anew.
type stream struct {
	source rand.PCG
	draws  *rand.Rand
}

func newStreams(seed uint64) streams {
	return streams{seed: seed, known: map[string]*stream{}}
}

func (s *streams) seeds(name string) (uint64, uint64) {
	c := chain{sum: s.seed}
	c.add(NoteRand, hashText(name), uint64(len(name)))
	first := c.sum
	c.add(NoteRand, first, 1)
	return first, c.sum
}

func (s *streams) get(name string) *rand.Rand {
	r := s.known[name]
	if r == nil {
		r = &stream{}
		r.source.Seed(s.seeds(name))
		r.draws = rand.New(&r.source)
		s.known[name] = r
	}
	return r.draws
}

// Stream returns the named random stream of a seed, the one Kernel.Rand gives:
// for options that are drawn before there is a kernel.
func Stream(seed uint64, name string) *rand.Rand {
	s := newStreams(seed)
	return s.get(name)
}

// A Continuation is another way for a run to go on. Whatever happens before the
// instant From is as it is without; from the first step at From or later on every
// random stream, the scheduler's too, is that of another seed, which is a function of
// the run's seed, From and Number. What was drawn before stays: options, the schedule
// of faults, waits that have begun. Number 0 is the run itself.
//
// A run may have several. Each turns the run that those before it have made; of two from
// one instant, the second has the last word, and is another run than it is alone.
type Continuation struct {
	From   kafka.Instant `json:"from_ns"`
	Number uint64        `json:"number"`
}

// String returns the continuation as FROM#NUMBER, such as 3.2s#7.
func (c Continuation) String() string { return fmt.Sprintf("%s#%d", time.Duration(c.From), c.Number) }

// ParseContinuation reads what String returns. Number 0, which is no continuation, is an
// error.
func ParseContinuation(s string) (Continuation, error) {
	from, number, _ := strings.Cut(s, "#")
	d, err := time.ParseDuration(from)
	n, badNumber := strconv.ParseUint(number, 10, 64)
	if err != nil || d < 0 || badNumber != nil || n == 0 {
		return Continuation{}, fmt.Errorf("%q: want TIME#N, such as 12.5s#1, N from 1 on", s)
	}
	return Continuation{From: kafka.Instant(d), Number: n}, nil
}

// awaitTurns notes the continuations that are to come.
func (k *Kernel) awaitTurns(list []Continuation) {
	k.turns, k.turnAt = list, kafka.Never
	if len(list) > 0 {
		k.turnAt = list[0].From
	}
}

// turn takes the run to the continuations whose time has come.
func (k *Kernel) turn() {
	for k.now >= k.turnAt {
		c := k.turns[0]
		k.awaitTurns(k.turns[1:])
		if c.Number != 0 {
			k.turnTo(c)
		}
	}
}

// turnTo seeds every stream anew.
func (k *Kernel) turnTo(c Continuation) {
	k.NoteText(NoteRand, "continuation", c.Number)
	mixed := chain{sum: k.streams.seed}
	mixed.add(NoteRand, uint64(c.From), c.Number)
	k.streams.seed = mixed.sum
	for name, s := range k.streams.known { //klamm:unordered each by itself
		s.source.Seed(k.streams.seeds(name))
	}
	k.pick.Seed(k.streams.seeds("schedule"))
}
