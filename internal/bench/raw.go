//go:build linux

package main

import (
	"errors"
	"fmt"
	"hash/crc32"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A limit is what the machine can do of one kind.
type limit struct {
	name string
	once func(p *plan) (gb, cpu float64, err error) // GB/s, and processor seconds per GB
}

var limits = []limit{
	{"loopback TCP, 256 KiB writes (the receiver's processor time)", (*plan).rawSink},
	{"file append through the page cache, 64 KiB writes", func(p *plan) (float64, float64, error) { return p.rawAppend(64<<10, 0) }},
	{"file append, fdatasync per 1 MiB", func(p *plan) (float64, float64, error) { return p.rawAppend(1<<20, 1<<20) }},
	{"CRC-32C, 64 KiB", (*plan).rawCRC},
	{"file to socket, sendfile of 1 MiB (the sender's processor time)", (*plan).rawSendfile},
}

// raw measures what the machine gives.
func (p *plan) raw() error {
	t := newTable("raw", "GB/s", "CPU-s per GB")
	rates, costs := make([]figure, len(limits)), make([]figure, len(limits))
	for range p.rounds {
		for i, l := range limits {
			gb, cpu, err := l.once(p)
			if err != nil {
				return fmt.Errorf("%s: %w", l.name, err)
			}
			rates[i].add(gb)
			costs[i].add(cpu)
		}
	}
	for i, l := range limits {
		t.row(l.name, rates[i].text(1), costs[i].text(1))
	}
	t.print(p.out, "What the machine gives", "The measuring stick below is socket, CRC and file.")
	return nil
}

const giga = 1e9

// alone runs f, which does a piece of work of so many bytes, over and over on one
// thread, and tells how fast, and what it costs the thread.
func (p *plan) alone(f func() (bytes int, err error)) (gb, cpu float64, err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	begun, used, total := time.Now(), threadTime(), 0
	for time.Since(begun) < p.window {
		n, err := f()
		if err != nil {
			return 0, 0, err
		}
		total += n
	}
	took := time.Since(begun)
	return float64(total) / giga / took.Seconds(), (threadTime() - used).Seconds() / (float64(total) / giga), nil
}

// threadTime returns the processor time of the calling thread.
func threadTime() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		panic(err) // every kernel has this clock
	}
	return time.Duration(t.Nano())
}

// toSink runs f with a connection to a process that drops what it gets.
func (p *plan) toSink(f func(*server, *net.TCPConn) error) (err error) {
	s, err := p.start(roleSink)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	c, err := net.Dial("tcp", s.address)
	if err != nil {
		return err
	}
	defer c.Close()
	return f(s, c.(*net.TCPConn))
}

func (p *plan) rawSink() (gb, cpu float64, err error) {
	err = p.toSink(func(s *server, c *net.TCPConn) error {
		buf := make([]byte, 256<<10)
		used, total := s.processor(), 0
		gb, _, err = p.alone(func() (int, error) {
			n, err := c.Write(buf)
			total += n
			return n, err
		})
		cpu = (s.processor() - used).Seconds() / (float64(total) / giga)
		return err
	})
	return gb, cpu, err
}

func (p *plan) rawAppend(size, sync int) (gb, cpu float64, err error) {
	dir, err := p.tempDir()
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	f, err := os.Create(filepath.Join(dir, "appended"))
	if err != nil {
		return 0, 0, err
	}
	defer f.Close()
	buf := make([]byte, size)
	const most = 4 << 30 // then from the beginning: the disk is not to be filled
	at := int64(0)
	return p.alone(func() (int, error) {
		n, err := f.WriteAt(buf, at%most)
		at += int64(n)
		if err == nil && sync > 0 {
			err = unix.Fdatasync(int(f.Fd()))
		}
		return n, err
	})
}

func (p *plan) rawCRC() (gb, cpu float64, err error) {
	buf := make([]byte, 64<<10)
	sum := uint32(0)
	gb, cpu, err = p.alone(func() (int, error) {
		for range 16 {
			sum = crc32.Update(sum, castagnoli, buf)
		}
		return 16 * len(buf), nil
	})
	runtime.KeepAlive(sum)
	return gb, cpu, err
}

func (p *plan) rawSendfile() (gb, cpu float64, err error) {
	dir, err := p.tempDir()
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	f, err := os.Create(filepath.Join(dir, "sent"))
	if err != nil {
		return 0, 0, err
	}
	defer f.Close()
	const size = 64 << 20
	if _, err := f.Write(make([]byte, size)); err != nil {
		return 0, 0, err
	}
	err = p.toSink(func(_ *server, c *net.TCPConn) error {
		raw, err := c.SyscallConn()
		if err != nil {
			return err
		}
		at := int64(0)
		gb, cpu, err = p.alone(func() (n int, err error) {
			from := at % size
			err = errors.Join(err, raw.Write(func(out uintptr) bool {
				n, err = syscall.Sendfile(int(out), int(f.Fd()), &from, 1<<20)
				return err != syscall.EAGAIN
			}))
			at += int64(max(n, 0))
			return n, err
		})
		return err
	})
	return gb, cpu, err
}
