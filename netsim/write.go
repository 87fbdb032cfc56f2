package netsim

import (
	"errors"
	"io"

	"github.com/klammlog/klamm/internal/assert"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
)

// Write implements env.Conn. Blocks.
func (e *end) Write(p []byte) (int, error) {
	if err := e.mayBegin(); err != nil {
		return 0, err
	}
	e.one[0] = p
	n, err := e.WriteBuffers(e.one[:])
	return int(n), err
}

// WriteBuffers implements env.Conn. Blocks.
func (e *end) WriteBuffers(bufs [][]byte) (int64, error) {
	if err := e.mayBegin(); err != nil {
		return 0, err
	}
	if e.writing {
		assert.That(false, "two tasks write %s>%s at once", e.local, e.remote)
	}
	e.writing = true
	w := writing{e: e, bufs: bufs}
	err := w.all()
	w.seal.check(bufs, e)
	e.writing = false
	if err != nil {
		err = e.failed("write", err)
	}
	return w.n, err
}

// writing is one call of WriteBuffers.
type writing struct {
	e    *end
	bufs [][]byte
	n    int64 // bytes taken
	seal seal
}

func (w *writing) all() error {
	if w.e.yields() {
		w.yield()
	}
	for _, b := range w.bufs {
		if err := w.buffer(b); err != nil {
			return err
		}
	}
	if len(w.bufs) == 0 || w.n == 0 {
		return w.e.mayWrite()
	}
	if w.e.yields() {
		w.yield()
	}
	return nil
}

func (w *writing) buffer(b []byte) error {
	for len(b) > 0 {
		if err := w.e.mayWrite(); err != nil {
			return err
		}
		n := min(len(b), w.e.out.room())
		if n == 0 {
			if err := w.wait(); err != nil {
				return err
			}
			continue
		}
		w.e.out.send(b[:n])
		w.n += int64(n)
		b = b[n:]
	}
	return nil
}

func (e *end) mayWrite() error {
	if err := e.mayCall(e.writeDeadline); err != nil {
		return err
	}
	if e.ended {
		return env.ErrClosed
	}
	return e.err
}

// yield and wait are where other tasks run, and where they could get at the
// buffers.
func (w *writing) yield() {
	w.seal.close(w.bufs)
	w.e.net.k.Yield()
}

func (w *writing) wait() error {
	w.e.out.link.shapers[Buffer].hit(w.e.out.queued)
	w.seal.close(w.bufs)
	return w.e.host.wait(&w.e.writers, "conn write", w.e.writeDeadline, kafka.Never)
}

// SendFile implements env.Conn. Blocks.
func (e *end) SendFile(f env.File, off, n int64) (int64, error) {
	if err := e.mayBegin(); err != nil {
		return 0, err
	}
	page := e.net.pool.get(int(min(max(n, 0), maxSegment)))
	sent, err := e.sendPages(f, off, n, page[:cap(page)])
	// Not deferred: a task that dies inside of ReadAt leaves the page to the disk.
	e.net.pool.put(page)
	return sent, err
}

func (e *end) sendPages(f env.File, off, n int64, page []byte) (sent int64, err error) {
	for sent < n {
		read, readErr := f.ReadAt(page[:min(int64(len(page)), n-sent)], off+sent)
		if read > 0 {
			wrote, err := e.Write(page[:read])
			sent += int64(wrote)
			if err != nil {
				return sent, err
			}
		}
		ended := errors.Is(readErr, io.EOF)
		switch {
		case readErr != nil && !ended:
			return sent, readErr
		case ended && sent < n:
			return sent, io.ErrUnexpectedEOF
		}
	}
	return sent, nil
}

// CloseWrite implements env.Conn.
func (e *end) CloseWrite() error {
	if !e.host.node.Alive() || e.closed {
		return env.ErrClosed
	}
	if e.err != nil {
		return e.failed("close write", e.err)
	}
	if !e.ended {
		e.ended = true
		e.note(evCloseWrite, 0, 0)
		e.out.signal(fin)
		e.writers.WakeAll(e.net.k)
	}
	return nil
}

// Close implements env.Conn.
func (e *end) Close() error {
	if e.host.node.Alive() {
		e.release()
	}
	return nil
}
