package client

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/klammlog/klamm/node/kafka"
)

// A model of a cursor: a log with gaps, of which every record from the position
// on is returned once, in order.
func TestACursorReturnsEveryRecordFromItsPositionOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		holds := rapid.SliceOfN(rapid.Bool(), 1, 60).Draw(t, "offsets that hold a record")
		end := kafka.Offset(len(holds))
		c := &cursor{tp: kafka.TopicPartition{Topic: "t"}}
		c.restart(At(0), nil)
		want := kafka.Offset(0) // no record below it is to come
		epoch := kafka.LeaderEpoch(0)
		check := func() {
			if err := c.check(); err != nil {
				t.Fatal(err)
			}
			if c.position < want {
				t.Fatalf("position %d behind record %d", c.position, want)
			}
			bytes := 0
			for _, ch := range c.chunks {
				bytes += ch.bytes
			}
			if bytes != c.bytes {
				t.Fatalf("%d bytes in chunks, %d accounted for", bytes, c.bytes)
			}
			for o := want; o < c.position; o++ {
				if holds[o] {
					t.Fatalf("position %d leaves out record %d", c.position, o)
				}
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"fetch": func(t *rapid.T) {
				if c.next >= end {
					return
				}
				upTo := kafka.Offset(rapid.Int64Range(int64(c.next)+1, int64(end)).Draw(t, "up to"))
				ch := chunk{end: upTo, bytes: 1}
				for o := c.next; o < upTo; o++ {
					if holds[o] {
						ch.records = append(ch.records, Record{Topic: "t", Offset: o})
					}
				}
				c.deliver(ch)
			},
			"take": func(t *rapid.T) {
				for _, r := range c.take(rapid.IntRange(1, 10).Draw(t, "records")) {
					for ; want < r.Offset; want++ {
						if holds[want] {
							t.Fatalf("record %d was left out", want)
						}
					}
					if r.Offset != want {
						t.Fatalf("record %d again or out of order, want %d", r.Offset, want)
					}
					want++
				}
			},
			"seek": func(t *rapid.T) {
				before := c.generation
				want = kafka.Offset(rapid.Int64Range(0, int64(end)).Draw(t, "to"))
				c.restart(At(want), nil)
				if c.generation == before || c.bytes != 0 {
					t.Fatalf("generation %d, %d bytes after a seek", c.generation, c.bytes)
				}
			},
			"truncate": func(t *rapid.T) { // and the log grows again, in the next epoch
				if c.next == 0 {
					return
				}
				before, position := c.generation, c.position
				at := kafka.Offset(rapid.Int64Range(0, int64(c.next)-1).Draw(t, "to"))
				epoch++
				if returned := c.truncate(at, epoch); returned != (position > at) {
					t.Fatalf("truncated to %d at position %d: something was returned: %v", at, position, returned)
				}
				if c.generation == before || c.next != at || c.position != min(position, at) || c.epoch != epoch {
					t.Fatalf("truncated to %d at position %d: %+v", at, position, c)
				}
				want = min(want, at)
			},
			"": func(*rapid.T) { check() },
		})
	})
}

// A replica is read for a time that begins when it is first asked (docs/bugs/0071.md).
func TestAReplicaIsReadFromWhenItIsAsked(t *testing.T) {
	r := replica{id: 2, epoch: 1, until: kafka.Never}
	r.asked(1, 100, time.Second)
	if r.until != kafka.Never {
		t.Errorf("until %s, and another was asked", r.until)
	}
	for _, now := range []kafka.Instant{200, 300} {
		r.asked(2, now, time.Second)
		if want := kafka.Instant(200).Add(time.Second); r.until != want {
			t.Errorf("asked at %s it is read until %s, want %s", now, r.until, want)
		}
	}
}
