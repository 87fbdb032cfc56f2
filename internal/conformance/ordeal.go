package main

import (
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/klammlog/klamm/internal/conformance/talk"
)

// partitions of every topic.
const partitions = 3

// An ordeal is what one client goes through.
type ordeal struct {
	*program
	tools   *tools
	node    *node
	records int
	dir     string
	topics  []*topic
}

// A topic is what is known of one topic.
type topic struct {
	name    string
	codec   string
	style   style
	begin   int64 // the timestamp before that of record 1, in milliseconds
	invoked []int64
	acks    []talk.Ack // by number of the record; Number is 0 if there is none
	follow  []talk.Poll
	final   []talk.Poll
	back    [partitions]interval
	lookups []talk.Lookup
}

// An interval is when a partition was read back, and what its bounds were.
type interval struct{ invoked, completed, begin, end int64 }

// run puts the client through it.
func (o *ordeal) run() error {
	for _, codec := range o.codecs {
		if err := o.produce(codec, codec, 0); err != nil {
			return err
		}
	}
	if err := o.produce("restarted", "none", stop); err != nil {
		return err
	}
	if err := o.produce("killed", o.codecs[len(o.codecs)-1], kill); err != nil {
		return err
	}
	if err := errors.Join(o.node.end(kill), o.node.start()); err != nil {
		return err
	}
	if err := o.readBack(); err != nil {
		return err
	}
	if err := o.lookUp(o.topics[0]); err != nil {
		return err
	}
	if err := o.judgeAll(); err != nil {
		return err
	}
	return o.console()
}

func (o *ordeal) judgeAll() error {
	for _, t := range o.topics {
		said, err := o.judge(t)
		if err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
		fmt.Printf("%s: %s\n", t.name, said)
	}
	return nil
}

// produceAlong produces the only topic as a pace says, and follows it, while
// something happens to the node.
func (o *ordeal) produceAlong(along *pace) error {
	t := o.topics[0]
	follower, err := o.consume(&t.follow, t)
	if err != nil {
		return err
	}
	if err := o.produceBeside(along); err != nil {
		return err
	}
	return o.finishConsumer(follower, t)
}

// produceBeside produces the only topic as a pace says.
func (o *ordeal) produceBeside(along *pace) error {
	t := o.topics[0]
	r, err := o.startProducer(t)
	if err != nil {
		return err
	}
	if err := errors.Join(o.tellAlong(r, t, along), r.finish()); err != nil {
		return fmt.Errorf("%s: %w", t.name, err)
	}
	return nil
}

// tellAlong gives the producer its records as they are due.
func (o *ordeal) tellAlong(r *running, t *topic, along *pace) error {
	for first := 1; first <= o.records; {
		last := min(along.due(o.records), first+999)
		if last < first {
			time.Sleep(5 * time.Millisecond)
			continue
		}
		if err := o.tell(r, t, first, last); err != nil {
			return err
		}
		first = last + 1
	}
	return nil
}

// conclude reads everything back and judges it.
func (o *ordeal) conclude() error {
	if err := o.readBack(); err != nil {
		return err
	}
	return o.judgeAll()
}

func (o *ordeal) start(take func(line string, next func() string) error, args ...string) (*running, error) {
	return start(o.command(o.tools), append([]string{args[0], o.node.address}, args[1:]...), take)
}

// produce produces a topic. With a signal the node is ended by it in the middle and
// started again, and a consumer follows.
func (o *ordeal) produce(name, codec string, ending syscall.Signal) error {
	t, err := o.newTopic(name, codec)
	if err != nil {
		return err
	}
	var follower *running
	if ending != 0 {
		if follower, err = o.consume(&t.follow, t); err != nil {
			return err
		}
	}
	if err := o.send(t, ending, follower); err != nil {
		return fmt.Errorf("%s: %w", t.name, err)
	}
	if follower == nil {
		return nil
	}
	return o.finishConsumer(follower, t)
}

// newTopic creates a topic.
func (o *ordeal) newTopic(name, codec string) (*topic, error) {
	t := &topic{
		name: o.name + "-" + name, codec: codec, style: o.style,
		begin:   time.Now().UnixMilli() - int64(o.records)*10,
		invoked: make([]int64, o.records+1), acks: make([]talk.Ack, o.records+1),
	}
	if err := o.node.create(t.name, partitions); err != nil {
		return nil, err
	}
	o.topics = append(o.topics, t)
	return t, nil
}

// startProducer starts the producer of a topic.
func (o *ordeal) startProducer(t *topic) (*running, error) {
	return o.start(func(line string, _ func() string) error {
		a, err := talk.ParseAck(line)
		if err != nil || a.Number < 1 || a.Number > o.records {
			return fmt.Errorf("acknowledgement %q: %w", line, err)
		}
		t.acks[a.Number] = a
		return nil
	}, "produce", t.codec)
}

// send has a producer send the records of a topic.
func (o *ordeal) send(t *topic, ending syscall.Signal, follower *running) error {
	r, err := o.startProducer(t)
	if err != nil {
		return err
	}
	if ending == 0 {
		err = o.tell(r, t, 1, o.records)
	} else {
		err = o.tellAround(r, t, ending, follower)
	}
	return errors.Join(err, r.finish())
}

// tell gives the producer records first to last.
func (o *ordeal) tell(r *running, t *topic, first, last int) error {
	for n := first; n <= last; n++ {
		t.invoked[n] = talk.Now()
		s := talk.Send{Number: n, Topic: t.name, Partition: int32(n % partitions), Record: recordOf(n, t.style, t.begin)}
		if err := r.tell(&s); err != nil {
			return err
		}
	}
	return r.in.Flush()
}

// tellAround gives the producer a quarter of the records, ends the node and starts
// it again while it gives half of them, and gives it the rest when the node is
// back. Before the node ends, both producer and follower have worked with it.
func (o *ordeal) tellAround(r *running, t *topic, ending syscall.Signal, follower *running) error {
	quarter := o.records / 4
	if err := o.tell(r, t, 1, quarter); err != nil {
		return err
	}
	if o.style != text { // kcat tells only in the end
		if err := errors.Join(r.awaitWord(), follower.awaitWord()); err != nil {
			return err
		}
	}
	back := make(chan error, 1)
	go func() {
		time.Sleep(50 * time.Millisecond) // so that it ends among the records below
		back <- errors.Join(o.node.end(ending), o.node.start())
	}()
	const steps = 40
	for i := range steps {
		first, last := quarter+i*2*quarter/steps+1, quarter+(i+1)*2*quarter/steps
		if err := o.tell(r, t, first, last); err != nil {
			return errors.Join(err, <-back)
		}
		time.Sleep(20 * time.Millisecond)
	}
	if err := <-back; err != nil {
		return err
	}
	return o.tell(r, t, 3*quarter+1, o.records)
}

// consume starts a consumer of topics; it ends when it is told their ends.
func (o *ordeal) consume(polls *[]talk.Poll, topics ...*topic) (*running, error) {
	args := []string{"consume"}
	for _, t := range topics {
		args = append(args, fmt.Sprintf("%s/%d", t.name, partitions))
	}
	return o.start(func(line string, next func() string) error {
		p, err := talk.ParsePoll(line, next)
		*polls = append(*polls, p)
		return err
	}, args...)
}

// finishConsumer tells a consumer where topics end now, and waits for it.
func (o *ordeal) finishConsumer(r *running, topics ...*topic) error {
	for _, t := range topics {
		for p := range int32(partitions) {
			_, end, err := o.node.bounds(t.name, p)
			if err != nil {
				return err
			}
			if err := r.tell(talk.End{Topic: t.name, Partition: p, Until: end}); err != nil {
				return err
			}
		}
	}
	return r.await(r.in.Flush())
}

// readBack reads all topics from their beginnings to their ends.
func (o *ordeal) readBack() error {
	invoked := talk.Now()
	var polls []talk.Poll
	r, err := o.consume(&polls, o.topics...)
	if err != nil {
		return err
	}
	for _, t := range o.topics {
		for p := range t.back {
			begin, end, err := o.node.bounds(t.name, int32(p))
			if err != nil {
				return err
			}
			t.back[p] = interval{invoked: invoked, begin: begin, end: end}
		}
	}
	if err := o.finishConsumer(r, o.topics...); err != nil {
		return err
	}
	completed := talk.Now()
	for _, t := range o.topics {
		for p := range t.back {
			t.back[p].completed = completed
		}
		for _, poll := range polls {
			if poll.Topic == t.name {
				t.final = append(t.final, poll)
			}
		}
	}
	return nil
}

// lookUp asks for offsets by time: at timestamps of records, between them, and
// before and behind all of them.
func (o *ordeal) lookUp(t *topic) error {
	r, err := o.start(func(line string, _ func() string) error {
		l, err := talk.ParseLookup(line)
		t.lookups = append(t.lookups, l)
		return err
	}, "times")
	if err != nil {
		return err
	}
	read := t.timestamps(0)
	asked := []int64{1, read[0], read[len(read)-1] + 3_000_000}
	for i := range 7 {
		at := read[(i+1)*len(read)/9]
		asked = append(asked, at, at+1)
	}
	var told error
	for _, at := range asked {
		told = errors.Join(told, r.tell(&talk.Lookup{Topic: t.name, Asked: at}))
	}
	if err := errors.Join(told, r.finish()); err != nil {
		return err
	}
	if len(t.lookups) != len(asked) {
		return fmt.Errorf("%d of %d lookups were answered", len(t.lookups), len(asked))
	}
	return nil
}

// timestamps returns those of a partition's records, by offset.
func (t *topic) timestamps(partition int32) []int64 {
	var out []int64
	for i := range t.final {
		if t.final[i].Partition != partition {
			continue
		}
		for _, r := range t.final[i].Records {
			out = append(out, r.Timestamp)
		}
	}
	return out
}

// console has the client ask what web consoles ask.
func (o *ordeal) console() error {
	r, err := o.start(func(line string, _ func() string) error {
		fmt.Printf("%s: answered: %s\n", o.name, line)
		return nil
	}, "console", o.topics[0].name)
	if err != nil {
		return err
	}
	return r.finish()
}
