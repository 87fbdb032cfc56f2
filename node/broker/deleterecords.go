package broker

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/replica"
)

// UpToHighWatermark asks for everything committed to be deleted.
const UpToHighWatermark kafka.Offset = -1

// A Deletion is where one partition's records are to be deleted, and what came of
// it.
type Deletion struct {
	Topic     string
	Partition int32
	Before    kafka.Offset // or UpToHighWatermark

	LogStart kafka.Offset // of the partition afterwards
	Err      error        // carries a kafka.Error
}

// deleteAtOnce bounds how many logs are cut at a time for one request.
const deleteAtOnce = 16

// DeleteRecords makes offsets the log starts of partitions, durably, waits until the
// followers that live have done so too, and fills in what came of it. What is not
// done by the deadline is answered with REQUEST_TIMED_OUT, and goes on. Blocks.
func (b *Broker) DeleteRecords(items []Deletion, deadline kafka.Instant) {
	// The tasks may outlive the wait: the items are copied for them.
	work, done := slices.Clone(items), make([]bool, len(items))
	left, next, changed := len(work), 0, b.w.NewCond("broker/delete-records")
	for range min(deleteAtOnce, len(work)) {
		b.tasks.Go("broker/delete-records", func() {
			for next < len(work) {
				i := next
				next++
				b.deleteRecords(&work[i], deadline)
				done[i] = true
				if left--; left == 0 {
					changed.Broadcast()
				}
			}
		})
	}
	var err error
	for left > 0 && err == nil {
		err = changed.Wait(deadline)
	}
	for i := range items {
		items[i] = work[i]
		if !done[i] {
			b.w.Probe("records were not deleted in time")
			items[i].LogStart = kafka.NoOffset
			items[i].Err = fmt.Errorf("%s-%d: %w: %w", work[i].Topic, work[i].Partition, err, kafka.ErrRequestTimedOut)
		}
	}
}

// deleteRecords deletes in one partition. Blocks.
func (b *Broker) deleteRecords(d *Deletion, deadline kafka.Instant) {
	d.LogStart = kafka.NoOffset
	p, err := b.Partition(d.Topic, d.Partition)
	if err != nil {
		d.Err = err
		return
	}
	l, err := p.leading(kafka.NoLeaderEpoch)
	if err != nil {
		d.Err = err
		return
	}
	leader, before := p.leader, d.Before
	if before == UpToHighWatermark {
		before = p.high
	}
	switch {
	case before < 0 || before > p.high:
		d.Err = fmt.Errorf("%s: offset %d: the high watermark is %d: %w", p.name, d.Before, p.high, kafka.ErrOffsetOutOfRange)
		return
	case !config.CleanupPolicy.Has(p.topic.settings, "delete"):
		d.Err = fmt.Errorf("%s: cleanup.policy=%s keeps its records: %w", p.name, strings.Join(config.CleanupPolicy.In(p.topic.settings), ","), kafka.ErrPolicyViolation)
		return
	}
	start, err := l.DeleteRecords(before)
	if err != nil {
		d.Err = p.clientError(err)
		return
	}
	b.stats.RecordDeletions++
	d.LogStart, d.Err = p.awaitStart(leader, start, deadline)
}

// lookAgain is how often it is looked whether the followers that are waited for still
// live.
const lookAgain = 100 * time.Millisecond

// awaitStart waits until the log starts of all replicas that live have reached an
// offset, and returns the lowest (KIP-107). Blocks.
func (p *Partition) awaitStart(leader *replica.Leader, start kafka.Offset, deadline kafka.Instant) (kafka.Offset, error) {
	for {
		if !p.leads(leader) {
			return kafka.NoOffset, fmt.Errorf("%s: leadership has moved: %w", p.name, kafka.ErrRequestTimedOut)
		}
		leader.Moved(p.position(), p.b.w.Now())
		if lowest := leader.LowestLogStart(p.b.image.Alive); lowest >= start {
			return lowest, nil
		}
		if p.started == nil {
			p.started = p.b.w.NewCond("broker/log-start")
		}
		until := min(deadline, p.b.w.Now().Add(lookAgain))
		if err := p.started.Wait(until); err != nil && (!errors.Is(err, env.ErrDeadline) || until == deadline) {
			return kafka.NoOffset, fmt.Errorf("%s: followers have not deleted up to %d: %w: %w", p.name, start, err, kafka.ErrRequestTimedOut)
		}
	}
}
