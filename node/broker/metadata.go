package broker

import (
	"errors"
	"fmt"

	"github.com/klammlog/klamm/node/commitlog"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
	"github.com/klammlog/klamm/node/record"
)

// A Source is the cluster's metadata as this node has it: what the controllers have
// decided, up to some point.
type Source interface {
	// Image returns the image, which changes with every record that is applied.
	// It may be another one when it was taken over as a whole.
	Image() *meta.Image

	// OnApply has f called after records were applied. If the image was taken over
	// as a whole they are those that make the new one, behind removals of what is
	// no more. f must not block.
	OnApply(f func([]meta.Record))

	// Applied returns the end of what is applied, WaitApplied waits for it.
	Applied() kafka.Offset
	WaitApplied(at kafka.Offset, deadline kafka.Instant) error

	// Leader returns the active controller, as far as this node knows, and its
	// term.
	Leader() (kafka.NodeID, kafka.LeaderEpoch)
}

// A changer is a source that can be changed here: that of a node on its own.
type changer interface {
	// Change has decide look at the image and makes what it returns durable,
	// all of it or nothing, before it is applied; when Change returns nil it is
	// applied. decide must not block; its error is returned as it is. Other
	// errors carry a kafka.Error. Blocks.
	Change(decide Decision) error
}

// A Decision looks at the image and says what shall change.
type Decision func(*meta.Image) ([]meta.Record, error)

// MetadataPath is the metadata log's directory in the first log directory.
const MetadataPath = "__cluster_metadata-0"

// A Local is the metadata of a node on its own: a log of records in its first log
// directory.
type Local struct {
	w       *env.World
	log     *commitlog.Log
	config  commitlog.Config
	image   *meta.Image
	applied []func([]meta.Record)

	jobs    []*job
	working bool     // the task that carries out jobs exists
	idle    env.Cond // it has ended
	builder record.Builder
	unsaved int   // batches since the log's last checkpoint
	broken  error // a write of unknown outcome: nothing is decided any more
}

// A job is one decision on its way. It is carried out by a task of its own: who
// asked for it may be canceled, but what was written has to be applied.
type job struct {
	decide  Decision
	changed env.Cond
	started bool
	done    bool
	err     error
}

// OpenLocal opens the metadata log and applies what it holds. Blocks.
func OpenLocal(w *env.World, d *commitlog.Dir) (*Local, error) {
	s := &Local{w: w, image: meta.NewImage(), idle: w.NewCond("metadata/idle"), config: commitlog.Defaults()}
	s.config.Cleanup = 0 // every record counts
	s.config.Flush = commitlog.FlushAck
	log, err := commitlog.Open(w, d, commitlog.Options{
		Path:      MetadataPath,
		Partition: kafka.TopicPartition{Topic: "__cluster_metadata"},
		TopicID:   kafka.TopicID{15: 1}, // as in Kafka
		Config:    &s.config,
	})
	if err != nil {
		return nil, fmt.Errorf("metadata log: %w", err)
	}
	s.log = log
	if err := s.replay(); err != nil {
		return nil, errors.Join(fmt.Errorf("metadata log: %w", err), log.Close())
	}
	return s, nil
}

// Image returns the image.
func (s *Local) Image() *meta.Image { return s.image }

// OnApply has f called after records were applied.
func (s *Local) OnApply(f func([]meta.Record)) { s.applied = append(s.applied, f) }

// Applied returns the end of the metadata log.
func (s *Local) Applied() kafka.Offset { return s.log.Held() }

// WaitApplied returns at once: what is decided is applied here.
func (s *Local) WaitApplied(kafka.Offset, kafka.Instant) error { return nil }

// Leader says that there is no other controller.
func (s *Local) Leader() (kafka.NodeID, kafka.LeaderEpoch) { return meta.NoLeader, 0 }

// Log returns the metadata log, for observers.
func (s *Local) Log() *commitlog.Log { return s.log }

// Close waits for what is under way and closes the log. Blocks.
func (s *Local) Close(deadline kafka.Instant) error {
	if s.broken == nil {
		s.broken = env.ErrClosed
	}
	for s.working {
		if err := s.idle.Wait(deadline); err != nil {
			return fmt.Errorf("metadata log: %w", err)
		}
	}
	return s.log.Close()
}

// Change queues a decision and waits until it is carried out. If the task is
// canceled meanwhile the outcome is unknown. Blocks.
func (s *Local) Change(decide Decision) error {
	j := &job{decide: decide, changed: s.w.NewCond("metadata/job")}
	s.jobs = append(s.jobs, j)
	if !s.working {
		s.working = true
		s.w.Go("metadata/writer", s.work)
	}
	for !j.done {
		err := j.changed.Wait(kafka.Never)
		if err == nil || j.done {
			continue
		}
		if j.started {
			return fmt.Errorf("metadata: %w: %w", err, kafka.ErrRequestTimedOut)
		}
		j.decide = nil // nobody waits: it is not begun
		return fmt.Errorf("metadata: %w: %w", err, kafka.ErrNotController)
	}
	return j.err
}

// work carries out the jobs one after the other, each on the image that the one
// before left.
func (s *Local) work() {
	for len(s.jobs) > 0 {
		j := s.jobs[0]
		s.jobs = s.jobs[1:]
		if j.decide == nil {
			continue
		}
		j.started = true
		j.err = s.carryOut(j.decide)
		j.done = true
		j.changed.Broadcast()
		s.checkpoint()
	}
	s.working = false
	s.idle.Broadcast()
}

// checkpointEvery is how many batches a recovery of the metadata log reads, about.
const checkpointEvery = 1000

// checkpoint writes down now and then how far the log is durable. Blocks.
func (s *Local) checkpoint() {
	if s.unsaved++; s.unsaved < checkpointEvery || s.broken != nil {
		return
	}
	s.unsaved = 0
	if err := s.log.Checkpoint(); err != nil {
		s.w.Log.Warn("metadata log has no new checkpoint", "err", err)
	}
}

func (s *Local) carryOut(decide Decision) error {
	if s.broken != nil {
		return fmt.Errorf("metadata: %w: %w", s.broken, kafka.ErrNotController)
	}
	records, err := decide(s.image)
	if err != nil || len(records) == 0 {
		return err
	}
	if err := s.write(records); err != nil {
		return err
	}
	if err := s.apply(records); err != nil {
		s.broken = err // we wrote what we refuse to read
		return fmt.Errorf("metadata: %w: %w", err, kafka.ErrUnknownServerError)
	}
	return nil
}

// write makes records durable as one batch. Blocks.
func (s *Local) write(records []meta.Record) error {
	s.builder.Reset()
	for _, r := range records {
		s.builder.Append(record.Record{Timestamp: s.w.Wall(), Value: meta.Encode(r)})
	}
	batch, err := s.builder.Build(record.Spec{}, nil)
	if err != nil {
		return fmt.Errorf("metadata: %w: %w", err, kafka.ErrUnknownServerError)
	}
	at, err := s.log.Append(batch.Bytes(), 0)
	if err == nil {
		err = s.log.WaitHeld(at, kafka.Never)
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, commitlog.ErrRefused):
		s.w.Probe("the metadata log had no space")
		return fmt.Errorf("metadata: %w: %w", err, kafka.ErrThrottlingQuotaExceeded)
	}
	s.broken = err
	s.w.Probe("the metadata log failed")
	s.w.Log.Error("metadata log failed: nothing can be created or deleted until the node is restarted", "err", err)
	return fmt.Errorf("metadata: %w: %w", err, kafka.ErrStorageError)
}

func (s *Local) apply(records []meta.Record) error {
	for _, r := range records {
		if err := s.image.Apply(r); err != nil {
			return err
		}
	}
	for _, f := range s.applied {
		f(records)
	}
	return nil
}

// maxMetadataBatch bounds what one batch of the metadata log unpacks to.
const maxMetadataBatch = 64 << 20

// replay applies the log from its beginning. Blocks.
func (s *Local) replay() error {
	return eachBatch(s.log, func(b record.Batch) error {
		if err := b.CheckCRC(); err != nil {
			return err
		}
		records := b.Records(maxMetadataBatch)
		for records.Next() {
			r, err := meta.Decode(records.Record().Value)
			if err == nil {
				err = s.image.Apply(r)
			}
			if err != nil {
				return fmt.Errorf("offset %d: %w", records.Record().Offset, err)
			}
		}
		return records.Err()
	})
}
