package commitlog

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/klammlog/klamm/disksim"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/record"
	"github.com/klammlog/klamm/sim"
)

// A rig is a machine with one disk, one log directory and one log on it.
type rig struct {
	t    testing.TB
	k    *sim.Kernel
	node *sim.Node
	disk *disksim.Disk
	w    *env.World
	cfg  *Config
	dir  *Dir
	log  *Log
}

const rigPath = "orders-2"

func smallConfig() Config {
	c := Defaults()
	c.SegmentBytes, c.IndexInterval, c.FileDeleteDelay = 4096, 512, 0
	c.SegmentTime, c.RetentionTime = 0, -1
	return c
}

func newRig(t testing.TB, o sim.Options, cfg Config) *rig {
	k := sim.New(o)
	disk := disksim.New(k, "n/0", disksim.Options{})
	return newRigOn(t, k, disk, cfg)
}

func newRigOn(t testing.TB, k *sim.Kernel, disk *disksim.Disk, cfg Config) *rig {
	r := &rig{t: t, k: k, node: k.NewNode("n"), disk: disk, cfg: &cfg}
	n := r.node
	r.w = &env.World{Clock: n.Clock(), Tasks: n.Tasks(), Random: n.Random(), Secret: n.Secret(), Log: n.Log(), Sight: n.Sight(),
		LogDirs: []env.LogDir{{Name: "disk0", FS: disk.FS(n)}}}
	t.Cleanup(k.Close)
	return r
}

// do runs f as a task to its end.
func (r *rig) do(f func()) {
	r.t.Helper()
	done, steps := false, 0
	r.node.Go("test", func() { f(); done = true })
	end := r.k.Run(kafka.Never-1, func() bool { steps++; return done || steps > 1_000_000 })
	if !done {
		r.t.Fatalf("the run ended %s after %d steps: %v", end, steps, r.k.Panics())
	}
}

// must is do for what may not fail.
func (r *rig) must(f func() error) {
	r.t.Helper()
	var err error
	r.do(func() { err = f() })
	if err != nil {
		r.t.Fatal(err)
	}
}

// want is must for a task.
func (r *rig) want(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Error(err)
	}
}

// settle lets everything that was begun end.
func (r *rig) settle() {
	r.t.Helper()
	if end := r.k.Run(r.k.Now().Add(10*time.Second), func() bool { return len(r.node.LiveTasks()) == 0 }); end == sim.Panicked {
		r.t.Fatal(r.k.Panics())
	}
}

func (r *rig) open() {
	r.t.Helper()
	r.must(r.openErr)
}

func (r *rig) openErr() error {
	if r.dir == nil {
		d, err := OpenDir(r.w, r.w.LogDirs[0], DirOptions{OpenFiles: 4})
		if err != nil {
			return err
		}
		r.dir = d
	}
	l, err := Open(r.w, r.dir, Options{Path: rigPath, Partition: kafka.TopicPartition{Topic: "orders", Partition: 2},
		TopicID: kafka.TopicID{7}, Config: r.cfg})
	if err != nil {
		return err
	}
	r.log = l
	return nil
}

// openAtLast opens the log, at another try if no descriptor was left for what a
// recovery has to remove.
func (r *rig) openAtLast() error {
	err := r.openErr()
	for try := 0; errors.Is(err, env.ErrTooManyFiles) && try < 9; try++ {
		err = r.openErr()
	}
	return err
}

func (r *rig) close() {
	r.t.Helper()
	r.must(func() error { return errors.Join(r.log.Close(), r.dir.Close()) })
	r.log, r.dir = nil, nil
}

// kill ends the process; what the page cache has stays.
func (r *rig) kill() {
	r.node.Crash()
	r.node.Restart()
	r.log, r.dir = nil, nil
}

// unplug ends the process and loses what was not synced.
func (r *rig) unplug() {
	r.node.Crash()
	image := r.disk.Image()
	r.disk.Replace(image)
	r.node.Restart()
	r.log, r.dir = nil, nil
}

// batchOf returns a batch of n records whose values have the given size.
func batchOf(n, size int, ts kafka.Timestamp, p *record.Producer) []byte {
	var b record.Builder
	value := make([]byte, size)
	for i := range value {
		value[i] = byte(int(ts) + i)
	}
	for i := range n {
		b.Append(record.Record{Timestamp: ts + kafka.Timestamp(i), Key: fmt.Append(nil, i), Value: value})
	}
	out, err := b.Build(record.Spec{Producer: p}, nil)
	if err != nil {
		panic(err)
	}
	return out.Bytes()
}

// append appends one batch and waits until it is held.
func (r *rig) append(b []byte) AppendResult {
	r.t.Helper()
	var a AppendResult
	r.must(func() (err error) {
		if a, err = r.log.Append(b, 1); err == nil {
			err = r.log.WaitHeld(a, kafka.Never)
		}
		return err
	})
	return a
}

// fill appends count batches of n records, one after the other.
func (r *rig) fill(count, n, size int) {
	r.t.Helper()
	for range count {
		r.append(batchOf(n, size, kafka.Timestamp(r.log.End()), nil))
	}
}

// readAll returns the batches from an offset up to the written end.
func readAll(l *Log, from kafka.Offset, maxBytes int) ([][]byte, error) {
	var out [][]byte
	for from < l.Written() {
		c, err := l.Read(from, maxBytes, l.Written(), TakeOversize)
		if err != nil {
			return out, err
		}
		if c.Len() == 0 {
			return out, fmt.Errorf("nothing at %d of %d", from, l.Written())
		}
		b := make([]byte, c.Len())
		err = c.Copy(b)
		c.Release()
		if err != nil {
			return out, err
		}
		for len(b) > 0 {
			v, n, err := record.View(b)
			if err == nil {
				err = v.CheckCRC()
			}
			if err != nil {
				return out, err
			}
			if v.EndOffset() <= from {
				return out, fmt.Errorf("batch %d to %d was read from %d", v.BaseOffset(), v.EndOffset(), from)
			}
			from = v.EndOffset()
			out = append(out, bytes.Clone(b[:n]))
			b = b[n:]
		}
	}
	return out, nil
}

// offsets returns the base offsets of batches.
func offsets(batches [][]byte) []int64 {
	var out []int64
	for _, b := range batches {
		out = append(out, int64(binary.BigEndian.Uint64(b)))
	}
	return out
}

// probed reports whether a probe was reached.
func (r *rig) probed(name string) bool {
	for _, c := range r.k.Probes() {
		if c.Name == name {
			return true
		}
	}
	return false
}
