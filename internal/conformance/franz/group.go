package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/klammlog/klamm/internal/conformance/talk"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// balancers by the names of strategies. The coordinator assigns in "consumer": the
// client asks for the assignor "uniform" then.
var balancers = map[string]kgo.GroupOpt{
	"range": kgo.Balancers(kgo.RangeBalancer()), "roundrobin": kgo.Balancers(kgo.RoundRobinBalancer()),
	"cooperative-sticky": kgo.Balancers(kgo.CooperativeStickyBalancer()), "consumer": kgo.Balancers(kgo.StickyBalancer()),
}

// A member is this program as a member of a group.
type member struct {
	sync.Mutex
	talk.Member
}

// tell calls f, for one goroutine at a time: callbacks have theirs.
func (m *member) tell(f func()) {
	m.Lock()
	defer m.Unlock()
	f()
}

// each tells of each partition.
func (m *member) each(of map[string][]int32, f func(topic string, partition int32)) {
	for topic, partitions := range of {
		for _, p := range partitions {
			f(topic, p)
		}
	}
}

func group(bootstrap, name, strategy, as string, topics []string) error {
	m := &member{Member: talk.Member{Group: name, Name: as, Say: say}}
	opts := []kgo.Opt{
		kgo.ConsumerGroup(name), kgo.ConsumeTopics(topics...), balancers[strategy], kgo.DisableAutoCommit(), kgo.BlockRebalanceOnPoll(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxWait(100 * time.Millisecond),
		kgo.SessionTimeout(3 * time.Second), kgo.HeartbeatInterval(500 * time.Millisecond), kgo.RebalanceTimeout(10 * time.Second),
		kgo.OnPartitionsAssigned(func(_ context.Context, c *kgo.Client, new map[string][]int32) {
			m.tell(func() {
				id, generation := c.GroupMetadata()
				m.Joined(id, generation)
				m.each(new, func(topic string, p int32) { m.Assigned(topic, p, generation) })
			})
		}),
		kgo.OnPartitionsRevoked(func(_ context.Context, _ *kgo.Client, old map[string][]int32) {
			m.tell(func() { m.each(old, m.Revoked) })
		}),
		kgo.OnPartitionsLost(func(context.Context, *kgo.Client, map[string][]int32) { m.tell(m.Lost) }),
	}
	if strategy == "consumer" {
		opts = append(opts, kgo.ServerSideBalancer())
	}
	c, err := client(bootstrap, opts...)
	if err != nil {
		return err
	}
	defer c.CloseAllowingRebalance()
	var over atomic.Bool
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		over.Store(true)
	}()
	for !over.Load() {
		m.step(c)
	}
	return nil
}

// step processes what a poll returns, then commits it.
func (m *member) step(c *kgo.Client) {
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	fetches := c.PollRecords(ctx, 100)
	cancel()
	defer c.AllowRebalance()
	fetches.EachError(func(t string, p int32, err error) {
		if !errors.Is(err, context.DeadlineExceeded) {
			log.Printf("%s-%d: %v", t, p, err) // it goes on by itself
		}
	})
	done := map[string]map[int32]kgo.EpochOffset{}
	fetches.EachPartition(func(f kgo.FetchTopicPartition) {
		if len(f.Records) == 0 {
			return
		}
		offsets := make([]int64, len(f.Records))
		for i, r := range f.Records {
			offsets[i] = r.Offset
		}
		m.tell(func() { m.Processed(f.Topic, f.Partition, offsets) })
		if done[f.Topic] == nil {
			done[f.Topic] = map[int32]kgo.EpochOffset{}
		}
		done[f.Topic][f.Partition] = kgo.EpochOffset{Epoch: -1, Offset: offsets[len(offsets)-1] + 1}
	})
	if len(done) > 0 {
		m.commit(c, done)
	}
}

// commit commits, and tells what it learns of each partition.
func (m *member) commit(c *kgo.Client, offsets map[string]map[int32]kgo.EpochOffset) {
	type place struct {
		topic     string
		partition int32
	}
	ends := map[place]func(error){}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	ctx = kgo.PreCommitFnContext(ctx, func(q *kmsg.OffsetCommitRequest) error {
		m.tell(func() {
			for _, t := range q.Topics {
				for _, p := range t.Partitions {
					ends[place{t.Topic, p.Partition}] = m.Committing(t.Topic, p.Partition, q.Generation, p.Offset)
				}
			}
		})
		return nil
	})
	c.CommitOffsetsSync(ctx, offsets, func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, answer *kmsg.OffsetCommitResponse, err error) {
		m.tell(func() {
			if err == nil {
				for _, t := range answer.Topics {
					for _, p := range t.Partitions {
						if end := ends[place{t.Topic, p.Partition}]; end != nil {
							end(kerr.ErrorForCode(p.ErrorCode))
							delete(ends, place{t.Topic, p.Partition})
						}
					}
				}
				err = errors.New("not in the answer")
			}
			for _, end := range ends {
				end(fmt.Errorf("commit: %w", err))
			}
		})
	})
}
