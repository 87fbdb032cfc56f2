package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"

	"github.com/klammlog/klamm/internal/conformance/talk"
)

// A message is what kcat -J prints of one.
type message struct {
	Partition int32    `json:"partition"`
	Offset    int64    `json:"offset"`
	TS        int64    `json:"ts"`
	Headers   []string `json:"headers"`
	Key       *string  `json:"key"`
	Payload   *string  `json:"payload"`
}

// readers are processes that read topics for ever, and what they have read: one
// poll for each partition, from its beginning on.
type readers struct {
	processes []*exec.Cmd

	mu      sync.Mutex
	changed *sync.Cond
	polls   map[string][]talk.Poll // by topic, by partition
	until   map[string][]int64     // likewise; -1 is not known yet
	err     error
}

// consume reads until every partition's end is passed.
func consume(bootstrap string, topics []string) error {
	r := &readers{polls: map[string][]talk.Poll{}, until: map[string][]int64{}}
	r.changed = sync.NewCond(&r.mu)
	defer r.stop()
	for _, t := range topics {
		name, count, _ := strings.Cut(t, "/")
		n, err := strconv.Atoi(count)
		if err != nil {
			return fmt.Errorf("%s: %w", t, err)
		}
		if err := r.start(bootstrap, name, n); err != nil {
			return err
		}
	}
	go r.listen()
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.err == nil && !r.passed() {
		r.changed.Wait()
	}
	for _, polls := range r.polls {
		for i := range polls {
			polls[i].Completed = talk.Now()
			fmt.Println(polls[i].String())
		}
	}
	return r.err
}

// start starts the reader of one topic.
func (r *readers) start(bootstrap, topic string, partitions int) error {
	cmd := kcat("-C", "-J", "-u", "-b", bootstrap, "-t", topic, "-o", "beginning",
		"-X", "reconnect.backoff.max.ms=100", "-X", "check.crcs=true")
	polls, until := make([]talk.Poll, partitions), make([]int64, partitions)
	for p := range polls {
		polls[p] = talk.Poll{Topic: topic, Partition: int32(p), Invoked: talk.Now()}
		until[p] = -1
	}
	r.mu.Lock()
	r.polls[topic], r.until[topic] = polls, until
	r.mu.Unlock()
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	r.processes = append(r.processes, cmd)
	go r.read(out, polls)
	return nil
}

func (r *readers) stop() {
	for _, p := range r.processes {
		_ = p.Process.Kill()
		_ = p.Wait() // it was killed
	}
}

// read takes what one process prints.
func (r *readers) read(out io.Reader, polls []talk.Poll) {
	in := lines(out)
	for in.Scan() {
		var m message
		err := json.Unmarshal(in.Bytes(), &m)
		r.change(func() error {
			if err != nil {
				return fmt.Errorf("%.200q: %w", in.Bytes(), err)
			}
			p := &polls[m.Partition]
			p.Records = append(p.Records, m.read())
			p.After = m.Offset + 1
			return nil
		})
	}
	r.change(func() error { return errors.New("kcat has ended, and was to read on") })
}

// listen takes the ends.
func (r *readers) listen() {
	in := lines(os.Stdin)
	for in.Scan() {
		e, err := talk.ParseEnd(in.Text())
		r.change(func() error {
			if err == nil {
				r.until[e.Topic][e.Partition] = e.Until
			}
			return err
		})
	}
}

func (r *readers) change(f func() error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := f(); r.err == nil {
		r.err = err
	}
	r.changed.Broadcast()
}

// passed reports whether every end is known and reached.
func (r *readers) passed() bool {
	for topic, polls := range r.polls {
		for i := range polls {
			if until := r.until[topic][i]; until < 0 || polls[i].After < until {
				return false
			}
		}
	}
	return true
}

func (m *message) read() talk.Read {
	r := talk.Read{Offset: m.Offset, Record: talk.Record{Timestamp: m.TS, Key: bytesOf(m.Key), Value: bytesOf(m.Payload)}}
	for i := 0; i+1 < len(m.Headers); i += 2 {
		r.Headers = append(r.Headers, talk.Header{Name: m.Headers[i], Value: []byte(m.Headers[i+1])})
	}
	return r
}

func bytesOf(s *string) []byte {
	if s == nil {
		return nil
	}
	return []byte(*s)
}
