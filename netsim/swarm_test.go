package netsim

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/sim"
)

const (
	swarmTrouble = 20 * time.Second // any fault may happen until then
	swarmCalm    = 5 * time.Minute  // by then everything must be well
	swarmNeeded  = 5                // answers each client must get after the trouble
)

// A swarm is three servers that echo frames, three clients that check them, and
// faults of drawn families.
type swarm struct {
	*world
	stream  *rand.Rand
	answers int
	after   map[string]int // answers since the trouble ended
}

func newSwarm(t testing.TB, seed uint64) *swarm {
	s := &swarm{stream: sim.Stream(seed, "swarm"), after: map[string]int{}}
	s.world = newWorld(t, seed, DrawOptions(sim.Stream(seed, "options")), "n1", "n2", "n3", "c1", "c2", "c3")
	for _, n := range []string{"n1", "n2", "n3"} {
		s.serve(n, echoFrames)
	}
	for _, c := range []string{"c1", "c2", "c3"} {
		s.on(c, func(n env.Net) { s.client(c, n) })
	}
	s.trouble()
	return s
}

// trouble applies some faults of half of the families, and crashes servers.
func (s *swarm) trouble() {
	hosts := s.net.Hosts()
	for _, family := range Families() {
		if s.stream.Uint64()&1 == 0 {
			continue
		}
		for range 1 + s.stream.IntN(3) {
			_, err := s.net.Apply(Draw(family, s.stream, hosts, Window{0, kafka.Instant(swarmTrouble)}))
			s.must(err)
		}
	}
	for range s.stream.IntN(4) {
		name := hosts[s.stream.IntN(3)]
		power := s.stream.Uint64()&1 == 0
		at := kafka.Instant(s.stream.Uint64N(uint64(swarmTrouble)))
		s.k.At(at, func() { s.bounce(name, power) })
	}
	s.k.At(kafka.Instant(swarmTrouble), s.net.Heal)
}

func (s *swarm) bounce(name string, power bool) {
	node := s.nodes[name]
	if !node.Alive() {
		return
	}
	if power {
		s.net.MachineDown(name)
	}
	node.Crash()
	s.k.After(time.Duration(s.stream.Uint64N(uint64(5*time.Second))), func() {
		node.Restart()
		s.serve(name, echoFrames)
	})
}

func (s *swarm) done() bool {
	for _, n := range s.after { //klamm:unordered all of them are asked
		if n < swarmNeeded {
			return false
		}
	}
	return len(s.after) == 3
}

// echoFrames answers frames: a length, and so many bytes.
func echoFrames(c env.Conn) {
	defer c.Close()
	for {
		frame, err := readFrame(c)
		if err != nil {
			return
		}
		if _, err := c.WriteBuffers([][]byte{frame[:4], frame[4:]}); err != nil {
			return
		}
	}
}

func readFrame(c env.Conn) ([]byte, error) {
	frame := make([]byte, 4, 64)
	if _, err := readFull(c, frame); err != nil {
		return nil, err
	}
	size := int(binary.BigEndian.Uint32(frame))
	if size > 1<<20 {
		return nil, fmt.Errorf("frame of %d bytes", size)
	}
	frame = append(frame, make([]byte, size)...)
	_, err := readFull(c, frame[4:])
	return frame, err
}

func (s *swarm) client(name string, n env.Net) {
	stream := s.k.Rand("test/" + name)
	for request := uint32(0); ; {
		c, err := n.Dial(fmt.Sprintf("n%d:9092", 1+stream.IntN(3)), s.nodes[name].Monotonic().Add(3*time.Second))
		if err != nil {
			s.sleep(100 * time.Millisecond)
			continue
		}
		for {
			request++
			if err := s.ask(c, stream, request); err != nil {
				break
			}
			s.answers++
			if s.now() > swarmTrouble {
				s.after[name]++
			}
			s.sleep(upTo(stream, 200*time.Millisecond))
		}
		c.Close()
	}
}

// ask sends one frame and checks its answer.
func (s *swarm) ask(c env.Conn, stream *rand.Rand, request uint32) error {
	frame := make([]byte, 8+stream.IntN(3000)*(1+99*(stream.IntN(20)/19)))
	binary.BigEndian.PutUint32(frame, uint32(len(frame)-4))
	for i := 4; i+4 <= len(frame); i += 4 {
		binary.BigEndian.PutUint32(frame[i:], request)
	}
	deadline := s.k.Now().Add(5 * time.Second)
	c.SetReadDeadline(deadline)
	c.SetWriteDeadline(deadline)
	if _, err := c.Write(frame); err != nil {
		return err
	}
	answer, err := readFrame(c)
	if err == nil && !bytes.Equal(answer, frame) {
		s.t.Errorf("seed %d at %s: the answer to request %d is another", s.k.Seed(), s.k.Now(), request)
	}
	return err
}

func runSwarm(t testing.TB, seed uint64) *swarm {
	s := newSwarm(t, seed)
	s.k.Run(kafka.Instant(swarmCalm), s.done)
	for _, p := range s.k.Panics() {
		t.Fatalf("seed %d: %v\n%s", seed, p, p.Stack)
	}
	if !s.done() {
		t.Errorf("seed %d: at %s, after the trouble, answers %v", seed, s.k.Now(), s.after)
		for _, line := range s.net.Report() {
			t.Log(line)
		}
	}
	return s
}

func swarmSeeds(t *testing.T) uint64 {
	if testing.Short() {
		return 60
	}
	return 100
}

func TestStreamsSurviveAnyFault(t *testing.T) {
	var effective [families]int
	for seed := uint64(0); seed < swarmSeeds(t); seed++ {
		s := runSwarm(t, seed)
		for _, e := range s.net.Effects() {
			effective[e.Family] += e.Effective
		}
		s.k.Close()
	}
	for family, n := range effective {
		if n == 0 {
			t.Errorf("%s took no effect in any seed", Family(family))
		}
	}
}

func TestTheSameSeedGivesTheSameChain(t *testing.T) {
	seen := map[uint64]uint64{}
	for seed := uint64(0); seed < swarmSeeds(t)/5; seed++ {
		first, second := runSwarm(t, seed), runSwarm(t, seed)
		if first.k.Chain() != second.k.Chain() {
			t.Errorf("seed %d: chains %s and %s", seed, first.k.Chain(), second.k.Chain())
		}
		if other, ok := seen[first.k.Chain().Sum]; ok {
			t.Errorf("seeds %d and %d have one chain", other, seed)
		}
		seen[first.k.Chain().Sum] = seed
		first.k.Close()
		second.k.Close()
	}
}

// TestTheChainCoversContents makes sure that the chain covers contents: two runs that
// differ in one byte differ in their chains.
func TestTheChainCoversContents(t *testing.T) {
	var chains []sim.Chain
	for _, text := range []string{"one", "two", "one"} {
		w := newWorld(t, 1, plain(), "a", "b")
		w.serve("b", ignore)
		w.dial("a", "b", func(c env.Conn) {
			_, err := c.Write([]byte(text))
			w.must(err)
		})
		w.run(time.Hour)
		chains = append(chains, w.k.Chain())
	}
	if chains[0] == chains[1] || chains[0] != chains[2] {
		t.Errorf("chains %v of three runs, of which the first and the last are one", chains)
	}
}
