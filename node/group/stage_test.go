package group

import (
	"fmt"
	"time"

	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/machine"
)

// A stage is a shard with the log that a coordinator would have, whose clocks and
// whose luck are the test's.
type stage struct {
	shard  *Shard
	limits Limits
	modern ConsumerLimits
	ids    int
	now    machine.Moment
	ticket machine.Ticket
	topics catalog

	hold    bool // appends are not committed by themselves
	flying  []machine.Append
	log     []logged // committed
	answers []machine.Answer
	appends []machine.Append // seen
}

// A logged is a record with its time.
type logged struct {
	machine.Record
	at kafka.Timestamp
}

// catalog is what the metadata says.
type catalog []Topic

func (c catalog) Topic(name string) (Topic, bool) {
	for _, t := range c {
		if t.Name == name {
			return t, true
		}
	}
	return Topic{}, false
}

func (c catalog) TopicByID(id kafka.TopicID) (Topic, bool) {
	for _, t := range c {
		if t.ID == id {
			return t, true
		}
	}
	return Topic{}, false
}

func (c catalog) Names(yield func(string) bool) {
	for _, t := range c {
		if !yield(t.Name) {
			return
		}
	}
}

func newStage() *stage {
	st := &stage{limits: Limits{
		MinSession: 6 * time.Second, MaxSession: 30 * time.Minute, InitialDelay: 3 * time.Second, MaxSize: 1 << 30,
		Retention: 24 * time.Hour, RetentionCheck: 10 * time.Minute, CommitTimeout: 5 * time.Second, MaxMetadata: 64, Assignors: []string{"uniform", "range"},
		Migration: Upgrade | Downgrade,
	}, modern: ConsumerLimits{Session: 45 * time.Second, Heartbeat: 5 * time.Second, MaxSize: 1 << 30}, now: machine.Moment{Wall: 1_000_000_000_000}}
	st.open()
	return st
}

func (st *stage) open() {
	st.shard = NewShard(0, Settings{
		Limits:   func() *Limits { return &st.limits },
		Consumer: func(string) ConsumerLimits { return st.modern },
		NewMemberID: func(prefix string) string {
			st.ids++
			return fmt.Sprintf("%s-%d", prefix, st.ids)
		},
		Topics: &st.topics,
	})
}

// reload has another coordinator take over what is committed.
func (st *stage) reload() {
	st.flying = nil
	st.open()
	for _, r := range st.log {
		if err := st.shard.Replay(r.Record, r.at); err != nil {
			panic(err)
		}
	}
	st.shard.Loaded(st.now)
}

// next draws a ticket.
func (st *stage) next() machine.Ticket {
	st.ticket++
	return st.ticket
}

// settle takes what came out, and commits it unless it is held.
func (st *stage) settle() {
	for {
		e := st.shard.Take()
		st.answers = append(st.answers, e.Answers...)
		st.appends = append(st.appends, e.Appends...)
		st.flying = append(st.flying, e.Appends...)
		if len(e.Answers)+len(e.Appends) == 0 && (st.hold || len(st.flying) == 0) {
			return
		}
		if !st.hold && len(st.flying) > 0 {
			st.land()
		}
	}
}

// land commits the first append that is on its way.
func (st *stage) land() {
	a := st.flying[0]
	st.flying = st.flying[1:]
	for _, r := range a.Records {
		st.log = append(st.log, logged{r, st.now.Wall})
	}
	st.shard.Committed(st.now, a.ID)
}

// refuse has the first append that is on its way fail.
func (st *stage) refuse(code kafka.Error) {
	a := st.flying[0]
	st.flying = st.flying[1:]
	st.shard.Refused(st.now, a.ID, code)
}

// until lets time pass, and everything happen when it is due.
func (st *stage) until(now kafka.Instant) {
	for {
		due, ok := st.shard.Next()
		if !ok || due > now {
			break
		}
		st.pass(max(due, st.now.Now))
		st.shard.Advance(st.now)
		st.settle()
	}
	st.pass(now)
	st.shard.Advance(st.now)
	st.settle()
}

func (st *stage) pass(now kafka.Instant) {
	st.now.Wall += kafka.Timestamp(now.Sub(st.now.Now).Milliseconds())
	st.now.Now = now
}
