package scenarios

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/sim"
)

// attackAlone makes one attack on a server of the test's instead of a broker, long
// after the faults have ended, and returns what the attack has to say of it.
func attackAlone(t *testing.T, a attack, serve func(*env.World, env.Conn)) string {
	t.Helper()
	r, err := newRun(Spec{Scenario: "hostile-client", Seed: 1}, Watch{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.k.Close()
	r.healed = true
	w := r.brokers[0].world
	r.brokers[0].node.Go("serve", func() {
		l, err := w.Net.Listen(r.brokers[0].address)
		if err != nil {
			t.Error(err)
			return
		}
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			w.Go("serve", func() { serve(w, c) })
		}
	})
	h := r.guests[0].(*hostile)
	wrong, done := "", false
	h.node.Go("attack", func() {
		_ = h.world.Sleep(time.Millisecond)
		c, err := h.dialRaw()
		if err != nil {
			t.Error(err)
			return
		}
		wrong = a.on(h, c)
		done = true
	})
	if end := r.k.Run(kafka.Instant(20*time.Minute), func() bool { return done }); end != sim.Finished {
		t.Fatalf("%s: %s", a.name, end)
	}
	return wrong
}

func everyAttack() []attack { return slices.Concat(attacksOfFrames, attacksOfBatches, attacksOfTime) }

// mute takes what comes and says nothing, for ever.
func mute(_ *env.World, c env.Conn) {
	for b := make([]byte, 4096); ; {
		if _, err := c.Read(b); err != nil {
			return
		}
	}
}

func TestAttacksNoticeThatNothingComesOfThem(t *testing.T) {
	leaves := []string{"the end in the middle of a frame", "the end in the middle of an answer"}
	for _, a := range everyAttack() {
		wrong := attackAlone(t, a, func(w *env.World, c env.Conn) {
			mute(w, c)
			_ = w.Sleep(time.Hour) // the end of the stream is no reason to end the connection
		})
		if want := !slices.Contains(leaves, a.name); (wrong != "") != want {
			t.Errorf("%s: says %q of a server that neither answers nor ends the connection", a.name, wrong)
		}
	}
}

// A server that ends every connection is never wrong.
func TestAttacksAcceptTheEndOfTheirConnection(t *testing.T) {
	for _, a := range everyAttack() {
		if wrong := attackAlone(t, a, func(_ *env.World, c env.Conn) { _ = c.Close() }); wrong != "" {
			t.Errorf("%s: says %q of a server that ends the connection", a.name, wrong)
		}
	}
}

// success is an answer to Produce 3 to 8 as a broker gives it that has appended.
func success() []byte {
	b := []byte{0, 0, 0, 1, 0, 0, 0, 1, 0, 6}
	b = append(b, topicName...)
	b = append(b, 0, 0, 0, 1)
	return append(b, make([]byte, 40)...) // partition 0, no error, offset 0
}

func TestAttacksNoticeThatTheyWereServed(t *testing.T) {
	for _, a := range attacksOfBatches {
		wrong := attackAlone(t, a, func(w *env.World, c env.Conn) {
			_, _ = c.Read(make([]byte, 4096))
			answer := success()
			_, _ = c.Write(sized(int32(len(answer)), answer))
			mute(w, c)
		})
		if wrong == "" || strings.Contains(wrong, errLate.Error()) {
			t.Errorf("%s: says %q of a server that appends it", a.name, wrong)
		}
	}
}
