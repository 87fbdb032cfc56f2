//go:build linux

package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"log"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"

	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/sys/unix"
)

// A stick is the measuring stick: the least that takes and gives Kafka's batches. It
// reads a frame into memory it has, checks the batch's CRC, writes offset and
// batch, and answers; fetches go from the file to the socket. It knows one batch
// size for a partition, and no mistakes.
type stick struct {
	dir   string
	flush string

	mu    sync.Mutex // of parts
	parts map[int32]*stickPartition
}

type stickPartition struct {
	mu      sync.Mutex // of the ends
	file    *os.File
	end     int64 // bytes written
	records int64
	batch   int64 // bytes of each batch
	each    int64 // records of each batch

	syncing sync.Mutex // of synced, and while it is synced
	synced  int64
}

func newStick(dir string, settings []string) *stick {
	s := &stick{dir: dir, flush: "os", parts: map[int32]*stickPartition{}}
	if slices.Contains(settings, "log.flush=ack") {
		s.flush = "ack"
	}
	return s
}

func (s *stick) partition(number int32) (*stickPartition, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.parts[number]; p != nil {
		return p, nil
	}
	f, err := os.Create(filepath.Join(s.dir, fmt.Sprintf("%d.log", number)))
	if err != nil {
		return nil, err
	}
	s.parts[number] = &stickPartition{file: f}
	return s.parts[number], nil
}

// An owed is an answer that waits for a sync.
type owed struct {
	answer []byte
	p      *stickPartition
	end    int64
}

// serve serves one connection. Answers that wait for a sync are given by a
// goroutine of their own, one sync for all that have been written by then.
func (s *stick) serve(c net.Conn) {
	defer c.Close()
	answers := make(chan owed, 100)
	go func() {
		for o := range answers {
			if err := o.p.sync(o.end); err != nil {
				log.Fatal(err)
			}
			if _, err := c.Write(o.answer); err != nil {
				c.Close() // the reader finds out
			}
		}
	}()
	defer close(answers)
	in := bufio.NewReaderSize(c, 256<<10)
	var frame []byte
	for {
		var size [4]byte
		if _, err := io.ReadFull(in, size[:]); err != nil {
			return
		}
		frame = slices.Grow(frame[:0], int(binary.BigEndian.Uint32(size[:])))[:binary.BigEndian.Uint32(size[:])]
		if _, err := io.ReadFull(in, frame); err != nil {
			return
		}
		err := s.answer(c.(*net.TCPConn), frame, answers)
		if errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, net.ErrClosed) {
			return // the client has gone
		}
		if err != nil {
			log.Fatal(err)
		}
	}
}

func (s *stick) answer(c *net.TCPConn, frame []byte, answers chan<- owed) error {
	header, request, err := parseRequest(frame)
	if err != nil {
		return err
	}
	switch q := request.(type) {
	case *kmsg.ProduceRequest:
		t := q.Topics[0].Partitions[0]
		p, err := s.partition(t.Partition)
		if err != nil {
			return err
		}
		base, end, err := p.append(t.Records)
		if err != nil {
			return err
		}
		o := owed{answer: appendProduced(nil, header, q, base), p: p, end: end}
		if s.flush == "ack" {
			answers <- o
			return nil
		}
		_, err = c.Write(o.answer)
		return err
	case *kmsg.FetchRequest:
		t := q.Topics[0].Partitions[0]
		p, err := s.partition(t.Partition)
		if err != nil {
			return err
		}
		return p.send(c, header, q, t)
	}
	return fmt.Errorf("request of key %d", request.Key())
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// append writes one batch and returns its offset and where it ends.
func (p *stickPartition) append(batch []byte) (base, end int64, err error) {
	if crc32.Checksum(batch[21:], castagnoli) != binary.BigEndian.Uint32(batch[17:]) {
		return 0, 0, errors.New("batch has another CRC than it says")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	base = p.records
	binary.BigEndian.PutUint64(batch, uint64(base))
	if _, err := p.file.WriteAt(batch, p.end); err != nil {
		return 0, 0, err
	}
	p.batch, p.each = int64(len(batch)), int64(binary.BigEndian.Uint32(batch[57:]))
	p.end += p.batch
	p.records += p.each
	return base, p.end, nil
}

// sync returns when everything below end is on the disk.
func (p *stickPartition) sync(end int64) error {
	p.syncing.Lock()
	defer p.syncing.Unlock()
	if p.synced >= end {
		return nil
	}
	p.mu.Lock()
	written := p.end
	p.mu.Unlock()
	if err := unix.Fdatasync(int(p.file.Fd())); err != nil {
		return err
	}
	p.synced = written
	return nil
}

// send answers a fetch with the whole batches that fit.
func (p *stickPartition) send(c *net.TCPConn, header requestHeader, q *kmsg.FetchRequest, t kmsg.FetchRequestTopicPartition) error {
	p.mu.Lock()
	end, records, size, each := p.end, p.records, p.batch, p.each
	p.mu.Unlock()
	from := t.FetchOffset / each * size
	n := min(end-from, int64(t.PartitionMaxBytes)/size*size)
	before, after := fetchedAround(header, q, records, n)
	if _, err := c.Write(before); err != nil {
		return err
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Write(func(out uintptr) bool {
		for n > 0 {
			sent, err := syscall.Sendfile(int(out), int(p.file.Fd()), &from, int(n))
			if err == syscall.EAGAIN {
				return false
			}
			if err != nil {
				failed = err
				return true
			}
			n -= int64(sent)
		}
		return true
	})
	_, lastly := c.Write(after)
	return errors.Join(err, failed, lastly)
}
