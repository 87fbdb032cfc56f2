//go:build linux || darwin

package osenv

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
)

// do runs f as a task and fails the test with its error.
func do(t *testing.T, h *Host, f func(w *env.World) error) {
	t.Helper()
	if err := h.Do(context.Background(), func() error { return f(h.World()) }); err != nil {
		t.Fatal(err)
	}
}

// A named pipe that nobody writes stands for a disk that hangs: opening it
// blocks in the system.
func TestHungDiskTakesItsSlotsAndNoMore(t *testing.T) {
	dir := t.TempDir()
	h := newHost(t, Options{LogDirs: []string{dir}, DiskCalls: 2})
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o644); err != nil {
		t.Skip(err)
	}
	const openers = 5
	opened := 0
	do(t, h, func(w *env.World) error {
		fs := w.LogDirs[0].FS
		for range openers {
			w.Go("opener", func() {
				f, err := fs.OpenFile("pipe", env.ReadOnly)
				if err != nil {
					t.Error(err)
					return
				}
				opened++
				_ = f.Close()
			})
		}
		d := fs.(*disk)
		for len(d.writes) < 2 {
			_ = w.Sleep(time.Millisecond)
		}
		if _, err := fs.Stat("."); err != nil { // reads have their own
			return err
		}
		if len(d.writes) != 2 || opened != 0 {
			return fmt.Errorf("%d calls in flight, %d files opened", len(d.writes), opened)
		}
		return nil
	})
	writer, err := os.OpenFile(pipe, os.O_RDWR, 0) // which lets every reader through
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	h.Wait()
	if opened != openers {
		t.Fatalf("%d of %d were opened in the end", opened, openers)
	}
}

func TestFullDiskIsNoSpace(t *testing.T) {
	dir := t.TempDir()
	if err := os.Symlink("/dev/full", filepath.Join(dir, "full")); err != nil {
		t.Skip(err)
	}
	h := newHost(t, Options{LogDirs: []string{dir}})
	do(t, h, func(w *env.World) error {
		f, err := w.LogDirs[0].FS.OpenFile("full", env.Write)
		if err != nil {
			t.Skip(err)
		}
		defer f.Close()
		if _, err := f.WriteAt([]byte("x"), 0); !errors.Is(err, env.ErrNoSpace) {
			return fmt.Errorf("got %v, want ErrNoSpace", err)
		}
		return nil
	})
}

func TestErrorsNameTheirObject(t *testing.T) {
	dir := t.TempDir()
	h := newHost(t, Options{LogDirs: []string{dir}})
	do(t, h, func(w *env.World) error {
		_, err := w.LogDirs[0].FS.OpenFile("none", env.ReadOnly)
		want := "open " + filepath.Join(dir, "none") + ": no such file or directory: does not exist"
		if err == nil || err.Error() != want {
			return fmt.Errorf("got %q, want %q", err, want)
		}
		return nil
	})
}

func TestErrnosBecomeErrorsOfEnv(t *testing.T) {
	for _, c := range []struct{ got, want error }{
		{diskError(&os.PathError{Op: "write", Path: "f", Err: syscall.EDQUOT}), env.ErrNoSpace},
		{diskError(&os.PathError{Op: "write", Path: "f", Err: syscall.EROFS}), env.ErrReadOnly},
		{diskError(&os.PathError{Op: "open", Path: "f", Err: syscall.EMFILE}), env.ErrTooManyFiles},
		{diskError(&os.LinkError{Op: "rename", Old: "f", New: "g", Err: syscall.EXDEV}), env.ErrCrossDevice},
		{diskError(&os.PathError{Op: "fsync", Path: "f", Err: syscall.EIO}), env.ErrIO},
		{diskError(&os.PathError{Op: "write", Path: "f", Err: syscall.ENXIO}), env.ErrIO},
		{diskError(io.EOF), io.EOF},
		{netError(&net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", syscall.EMFILE)}), env.ErrTooManyFiles},
		{netError(&net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.EHOSTUNREACH)}), env.ErrUnreachable},
		{netError(&net.DNSError{Err: "no such host", Name: "nowhere"}), env.ErrUnreachable},
		{connError(&net.OpError{Op: "read", Err: os.NewSyscallError("read", syscall.ETIMEDOUT)}), env.ErrReset},
		{connError(&net.OpError{Op: "write", Err: os.NewSyscallError("write", syscall.EPIPE)}), env.ErrReset},
		{connError(os.NewSyscallError("sendfile", syscall.EIO)), env.ErrIO},
	} {
		if !errors.Is(c.got, c.want) {
			t.Errorf("%v is not %v", c.got, c.want)
		}
	}
}

func TestExtendReservesWithZeros(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "f"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString("abc"); err != nil {
		t.Fatal(err)
	}
	for _, size := range []int64{100_000, 10} {
		if err := extend(f, size); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(f.Name())
	if want := append([]byte("abc"), make([]byte, 100_000-3)...); err != nil || !bytes.Equal(got, want) {
		t.Fatalf("%d bytes, error %v", len(got), err)
	}
}

// Close closes what tasks left open, and the address is free again.
func TestCloseLeavesNothingOpen(t *testing.T) {
	dir := t.TempDir()
	h := newHost(t, Options{LogDirs: []string{dir}})
	var address string
	do(t, h, func(w *env.World) error {
		l, err := w.Net.Listen("127.0.0.1:0")
		if err != nil {
			return err
		}
		address = l.Address()
		if _, err := w.LogDirs[0].FS.Lock("lock"); err != nil {
			return err
		}
		_, err = w.Net.Dial(address, kafka.Never)
		return err
	})
	h.Close()
	if len(h.open) != 0 {
		t.Fatalf("still open: %v", h.open)
	}
	again := newHost(t, Options{LogDirs: []string{dir}})
	do(t, again, func(w *env.World) error {
		if _, err := w.LogDirs[0].FS.Lock("lock"); err != nil {
			return err
		}
		_, err := w.Net.Listen(address)
		return err
	})
}

// gate is a writer that waits to be opened.
type gate struct {
	open chan struct{}
	mu   sync.Mutex
	text bytes.Buffer
}

func (g *gate) Write(p []byte) (int, error) {
	<-g.open
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.text.Write(p)
}

func TestAsyncNeverWaits(t *testing.T) {
	g := &gate{open: make(chan struct{})}
	a := NewAsync(g)
	line := []byte(strings.Repeat("x", 999) + "\n")
	for range 3000 {
		if n, err := a.Write(line); n != len(line) || err != nil {
			t.Fatalf("Write: %d, %v", n, err)
		}
	}
	close(g.open)
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(g.text.String()), "\n")
	kept, dropped := 0, 0
	for _, l := range lines {
		if l+"\n" == string(line) {
			kept++
			continue
		}
		var n int
		if _, err := fmt.Sscanf(l, "klamm: %d log lines were dropped", &n); err != nil {
			t.Fatalf("line %q: %v", l, err)
		}
		dropped += n
	}
	if kept+dropped != 3000 || kept < asyncBuffer/len(line) || dropped == 0 {
		t.Fatalf("%d lines kept, %d dropped", kept, dropped)
	}
}

// Without a handler a panic ends the process with a line that says where.
func TestPanicEndsTheProcess(t *testing.T) {
	if os.Getenv("KLAMM_PANIC_TEST") != "" {
		h, err := New(Options{})
		if err != nil {
			t.Fatal(err)
		}
		_ = h.Do(context.Background(), func() error { throwSomething(); return nil })
		os.Exit(0)
	}
	child := exec.Command(os.Args[0], "-test.run=^TestPanicEndsTheProcess$")
	child.Env = append(os.Environ(), "KLAMM_PANIC_TEST=1")
	out, err := child.CombinedOutput()
	if child.ProcessState.ExitCode() != 2 {
		t.Fatalf("the process ended with %v", err)
	}
	if text := string(out); !strings.HasPrefix(text, `klamm: task "do": assertion failed: offset 7`) || !strings.Contains(text, "throwSomething") {
		t.Fatalf("it said:\n%s", text)
	}
}
