// Command klammclient is klamm's own client as a member of groups, for the
// conformance driver: see package talk.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/klammlog/klamm/internal/conformance/talk"
	"github.com/klammlog/klamm/node/osclient"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("klammclient: ")
	if len(os.Args) < 7 || os.Args[1] != "group" {
		log.Fatalf("no such verb: %s", os.Args[1:])
	}
	if err := group(os.Args[2], os.Args[3], os.Args[4], os.Args[5], os.Args[6:]); err != nil {
		log.Fatal(err)
	}
}

func group(bootstrap, name, strategy, as string, topics []string) error {
	c, err := osclient.New(osclient.DefaultConfig(strings.Split(bootstrap, ",")...))
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }() // the member has left
	out := bufio.NewWriter(os.Stdout)
	m := &member{client: c, Member: talk.Member{Group: name, Name: as, Say: func(line fmt.Stringer) {
		fmt.Fprintln(out, line)
		out.Flush()
	}}}
	g := m.config(name, strategy, topics)
	config := osclient.DefaultConsumer()
	config.Reset, config.MaxWait = osclient.ResetEarliest, 100*time.Millisecond
	var over atomic.Bool
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		over.Store(true)
	}()
	for !over.Load() {
		if m.reads, err = c.NewAtLeastOnce(g, config, m.process); err != nil {
			return err
		}
		for !over.Load() && m.step() {
		}
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		if err := m.reads.Close(ctx); err != nil {
			log.Printf("leaving: %v", err)
		}
		cancel()
		m.Lost()
	}
	return nil
}

// A member is this program as a member of a group.
type member struct {
	talk.Member
	client *osclient.Client
	reads  *osclient.Processor
}

func (m *member) config(name, strategy string, topics []string) osclient.GroupConfig {
	g := osclient.DefaultGroup(name, topics...)
	g.Assignors = []string{strategy}
	if strategy == "consumer" {
		g.Protocol, g.Assignors = osclient.ConsumerGroup, nil
	}
	g.Session, g.Heartbeat, g.MaxPoll = 3*time.Second, 500*time.Millisecond, 10*time.Second
	g.OnAssigned = func(tps []osclient.TopicPartition) {
		id, generation, err := m.reads.Handed()
		if err != nil {
			log.Print(err)
			return
		}
		m.Joined(id, generation)
		for _, tp := range tps {
			m.Assigned(tp.Topic, tp.Partition, generation)
		}
	}
	g.OnRevoked = func(tps []osclient.TopicPartition) {
		for _, tp := range tps {
			m.Revoked(tp.Topic, tp.Partition)
		}
	}
	g.OnLost = func([]osclient.TopicPartition) { m.Lost() }
	g.OnCommit = m.committing
	return g
}

// step reports whether the membership goes on.
func (m *member) step() bool {
	ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
	defer cancel()
	_, err := m.reads.Step(ctx, 100)
	var trouble *osclient.PartitionError
	switch {
	case err == nil, errors.Is(err, context.DeadlineExceeded):
	case errors.As(err, &trouble):
		log.Print(err) // it goes on by itself
	default:
		log.Printf("the membership is over: %v", err)
		time.Sleep(100 * time.Millisecond)
		return false
	}
	return true
}

// process tells of records, those of a partition in one line.
func (m *member) process(records []osclient.Record) error {
	for len(records) > 0 {
		first := records[0]
		var offsets []int64
		for len(records) > 0 && records[0].Topic == first.Topic && records[0].Partition == first.Partition {
			offsets = append(offsets, int64(records[0].Offset))
			records = records[1:]
		}
		m.Processed(first.Topic, first.Partition, offsets)
	}
	return nil
}

func (m *member) committing(offsets []osclient.Commit) func(error) {
	_, generation, err := m.reads.Member()
	if err != nil {
		log.Print(err)
	}
	ends := make([]func(error), len(offsets))
	for i, c := range offsets {
		ends[i] = m.Committing(c.Partition.Topic, c.Partition.Partition, generation, int64(c.Offset))
	}
	return func(err error) {
		for _, end := range ends {
			end(err)
		}
	}
}
