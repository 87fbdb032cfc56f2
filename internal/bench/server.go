//go:build linux

package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// A server is a child process that serves: a node, the measuring stick, or a sink.
type server struct {
	address string
	dir     string
	cmd     *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Reader
}

// start starts a server in a directory of its own. Settings are NAME=VALUE.
func (p *plan) start(role string, settings ...string) (*server, error) {
	dir, err := p.tempDir()
	if err != nil {
		return nil, err
	}
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	s := &server{dir: dir, cmd: exec.Command(exe, append([]string{dir}, settings...)...)}
	s.cmd.Env = append(os.Environ(), roleVariable+"="+role)
	if p.profile != "" && role == roleNode {
		s.cmd.Env = append(s.cmd.Env, profileVariable+"="+p.profileFile())
	}
	s.cmd.Stderr = os.Stderr
	if s.in, err = s.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	s.out = bufio.NewReader(out)
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	line, err := s.out.ReadString('\n')
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s did not start: %w", role, err), s.stop())
	}
	s.address = strings.TrimSpace(line)
	return s, nil
}

func (p *plan) profileFile() string {
	return filepath.Join(p.profile, fmt.Sprintf("node-%d.prof", time.Now().UnixNano()))
}

// stop ends the server and removes its data.
func (s *server) stop() error {
	_ = s.in.Close() // the child ends when its input does
	return errors.Join(s.cmd.Wait(), os.RemoveAll(s.dir))
}

// vitals are what a node tells of itself.
type vitals struct {
	Holds      uint64        // how often the baton was held
	HoldP50    time.Duration // half of the holds were shorter
	HoldP999   time.Duration
	HoldMax    time.Duration
	Goroutines int
	Heap       uint64 // bytes in use
}

// vitals asks a node how it is.
func (s *server) vitals() (v vitals, err error) {
	if _, err = fmt.Fprintln(s.in, "vitals"); err != nil {
		return v, err
	}
	line, err := s.out.ReadString('\n')
	if err != nil {
		return v, err
	}
	return v, json.Unmarshal([]byte(line), &v)
}

// processor returns the processor time of the server's threads so far.
func (s *server) processor() time.Duration {
	tasks, err := filepath.Glob(s.proc("task/*/schedstat"))
	if err != nil {
		return 0
	}
	total := int64(0)
	for _, t := range tasks {
		b, err := os.ReadFile(t)
		if err != nil {
			continue // the thread has ended
		}
		on, _, _ := strings.Cut(string(b), " ")
		ns, _ := strconv.ParseInt(on, 10, 64)
		total += ns
	}
	return time.Duration(total)
}

func (s *server) proc(file string) string {
	return filepath.Join("/proc", strconv.Itoa(s.cmd.Process.Pid), file)
}

// field returns a number of a file of /proc that has "name: number" lines.
func (s *server) field(file, name string) (int64, error) {
	b, err := os.ReadFile(s.proc(file))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, name+":"); ok {
			return strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
		}
	}
	return 0, fmt.Errorf("%s has no %s", file, name)
}

// memory returns the bytes of memory that the server occupies.
func (s *server) memory() (int64, error) {
	kib, err := s.field("status", "VmRSS")
	return kib << 10, err
}

// A span is what happened in one measurement.
type span struct {
	took      time.Duration
	processor time.Duration
	count     int64
}

func (s span) rate() float64 { return float64(s.count) / s.took.Seconds() }

// cost returns the server's nanoseconds for each thing counted.
func (s span) cost() float64 { return float64(s.processor) / float64(max(s.count, 1)) }

// measure waits until the count has come to least, lets what is under way come to
// speed, and tells what happened in the window after that.
func (p *plan) measure(s *server, least int64, count func() int64) span {
	for begun := time.Now(); count() < least && time.Since(begun) < 10*time.Second; {
		time.Sleep(time.Millisecond)
	}
	return p.measureNow(s, count)
}

// measureNow is measure of what need not begin.
func (p *plan) measureNow(s *server, count func() int64) span {
	time.Sleep(p.warm)
	begun, used, had := time.Now(), s.processor(), count()
	time.Sleep(p.window)
	return span{time.Since(begun), s.processor() - used, count() - had}
}
