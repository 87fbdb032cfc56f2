package envtest

import (
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
)

var transferChecks = []Check{
	paired("writes and reads of any size carry the same stream", anySizes),
	paired("large transfers arrive whole, both ways at once", largeTransfers),
	paired("a slow reader gets everything", slowReader),
	paired("a write of nothing takes nothing", writeNothing),
	paired("WriteBuffers writes the concatenation", writeBuffers),
	paired("WriteBuffers leaves the caller's slice alone", buffersUntouched),
}

// stream sends p in pieces of drawn sizes.
func (t *trial) stream(c env.Conn, p []byte, largest int) error {
	sizes := t.Rand("envtest sizes")
	for len(p) > 0 {
		n := min(len(p), 1+sizes.IntN(largest))
		if err := send(c, p[:n]); err != nil {
			return err
		}
		p = p[n:]
	}
	return c.CloseWrite()
}

// collect reads to the end, in pieces of drawn sizes.
func (t *trial) collect(c env.Conn, largest int) ([]byte, error) {
	sizes := t.Rand("envtest sizes")
	buf := make([]byte, largest)
	var all []byte
	for {
		n, err := c.Read(buf[:1+sizes.IntN(largest)])
		all = append(all, buf[:n]...)
		if err == io.EOF {
			return all, nil
		}
		if err != nil {
			return all, err
		}
	}
}

func anySizes(t *trial, near, far env.Conn) error {
	want := pattern(1, 200_000)
	t.start("writer", func() error { return t.stream(near, want, 5000) })
	got, err := t.collect(far, 3000)
	return first(err, same("read", got, want))
}

func largeTransfers(t *trial, near, far env.Conn) error {
	for i, ends := range [][2]env.Conn{{near, far}, {far, near}} {
		want := pattern(uint64(i), 4<<20)
		t.start("writer", func() error { return first(send(ends[0], want), ends[0].CloseWrite()) })
		t.start("reader", func() error {
			got, err := t.collect(ends[1], 256<<10)
			return first(err, same("read", got, want))
		})
	}
	return nil
}

func slowReader(t *trial, near, far env.Conn) error {
	want := pattern(5, 1<<20)
	t.start("writer", func() error { return first(send(near, want), near.CloseWrite()) })
	var got []byte
	for {
		p := make([]byte, 100_000)
		n, err := far.Read(p)
		got = append(got, p[:n]...)
		if err == io.EOF {
			return same("read", got, want)
		}
		if err != nil {
			return err
		}
		_ = t.Sleep(time.Millisecond)
	}
}

func writeNothing(t *trial, near, far env.Conn) error {
	n, err := near.Write(nil)
	if n != 0 || err != nil {
		return fmt.Errorf("writing nothing: %d, %v", n, err)
	}
	m, err := near.WriteBuffers(nil)
	if m != 0 || err != nil {
		return fmt.Errorf("WriteBuffers: %d, %v", m, err)
	}
	return first(send(near, []byte("x")), expect(far, []byte("x")))
}

// cut cuts p into pieces of drawn sizes, some of them empty.
func (t *trial) cut(p []byte, pieces int) [][]byte {
	sizes := t.Rand("envtest sizes")
	var bufs [][]byte
	for range pieces - 1 {
		n := min(len(p), sizes.IntN(2*len(p)/pieces+2))
		if sizes.IntN(10) == 0 {
			n = 0
		}
		bufs = append(bufs, p[:n])
		p = p[n:]
	}
	return append(bufs, p)
}

func writeBuffers(t *trial, near, far env.Conn) error {
	for _, pieces := range []int{1, 2, 7, 3000} { // more than a system call takes
		want := pattern(uint64(pieces), 100_000)
		t.start("writer", func() error {
			n, err := near.WriteBuffers(t.cut(want, pieces))
			if err == nil && n != int64(len(want)) {
				return fmt.Errorf("%d bytes in %d pieces: %d were taken", len(want), pieces, n)
			}
			return err
		})
		if err := expect(far, want); err != nil {
			return fmt.Errorf("%d pieces: %w", pieces, err)
		}
		if err := t.finish(); err != nil {
			return err
		}
	}
	return nil
}

func buffersUntouched(t *trial, near, far env.Conn) error {
	p := pattern(7, 1000)
	bufs := [][]byte{p[:10], p[10:10], p[10:500], p[500:]}
	kept := slices.Clone(bufs)
	if _, err := near.WriteBuffers(bufs); err != nil {
		return err
	}
	for i := range bufs {
		if err := same("a buffer after the call", bufs[i], kept[i]); err != nil {
			return err
		}
	}
	return expect(far, pattern(7, 1000))
}

var sendFileChecks = []Check{
	paired("SendFile sends the range asked for", sendRange),
	paired("SendFile waits for a slow reader", sendLarge),
	paired("SendFile tells when the file ends early", sendShort),
	paired("SendFile sends any File", sendAnyFile),
	paired("two SendFiles of one file do not disturb each other", sendTwice),
	paired("SendFile returns at the write deadline", sendDeadline),
	paired("canceling ends SendFile", sendCanceled),
}

// sent sends a range, and fails unless all was taken.
func sent(c env.Conn, f env.File, off, n int64) error {
	got, err := c.SendFile(f, off, n)
	if err == nil && got != n {
		return fmt.Errorf("SendFile of %d bytes took %d without an error", n, got)
	}
	return err
}

func sendRange(t *trial, near, far env.Conn) error {
	contents := pattern(1, 50_000)
	f, err := t.stored("f", contents)
	if err != nil {
		return err
	}
	defer f.Close()
	for _, r := range [][2]int64{{0, 50_000}, {1, 100}, {4096, 4096}, {49_999, 1}, {20_000, 0}} {
		err := first(sent(near, f, r[0], r[1]), expect(far, contents[r[0]:r[0]+r[1]]))
		if err != nil {
			return fmt.Errorf("from %d, %d bytes: %w", r[0], r[1], err)
		}
	}
	return first(send(near, []byte("end")), expect(far, []byte("end")))
}

func sendLarge(t *trial, near, far env.Conn) error {
	contents := pattern(2, 6<<20)
	f, err := t.stored("f", contents)
	if err != nil {
		return err
	}
	t.start("sender", func() error {
		return first(sent(near, f, 5, int64(len(contents)-5)), near.CloseWrite(), f.Close())
	})
	t.settle()
	got, err := t.collect(far, 300_000)
	return first(err, same("read", got, contents[5:]))
}

func sendShort(t *trial, near, far env.Conn) error {
	contents := pattern(3, 10_000)
	f, err := t.stored("f", contents)
	if err != nil {
		return err
	}
	defer f.Close()
	n, err := near.SendFile(f, 9000, 5000)
	if n != 1000 {
		return fmt.Errorf("%d bytes were sent of the last 1000 (error %v)", n, err)
	}
	return first(wants("SendFile", err, io.ErrUnexpectedEOF), expect(far, contents[9000:]))
}

// wrapped is a File that no world knows.
type wrapped struct{ env.File }

func sendAnyFile(t *trial, near, far env.Conn) error {
	contents := pattern(4, 700_000)
	f, err := t.stored("f", contents)
	if err != nil {
		return err
	}
	defer f.Close()
	t.start("sender", func() error { return sent(near, wrapped{f}, 100, 699_900) })
	if err := first(expect(far, contents[100:]), t.finish()); err != nil {
		return err
	}
	n, err := near.SendFile(wrapped{f}, 699_990, 100)
	if n != 10 {
		return fmt.Errorf("%d bytes were sent of the last 10 (error %v)", n, err)
	}
	return wants("SendFile", err, io.ErrUnexpectedEOF)
}

func sendTwice(t *trial, near, far env.Conn) error {
	contents := pattern(5, 8<<20)
	f, err := t.stored("f", contents)
	if err != nil {
		return err
	}
	half := int64(len(contents) / 2)
	directions := [][2]env.Conn{{near, far}, {far, near}}
	for i, ends := range directions {
		t.start("sender", func() error { return first(sent(ends[0], f, int64(i)*half, half), ends[0].CloseWrite()) })
	}
	t.settle()
	for i, ends := range directions {
		off := int64(i) * half
		t.start("reader", func() error {
			got, err := t.collect(ends[1], 50_000)
			return first(err, same("read", got, contents[off:off+half]))
		})
	}
	return first(t.finish(), f.Close())
}

func sendDeadline(t *trial, near, far env.Conn) error {
	f, err := t.endless()
	if err != nil {
		return err
	}
	defer f.Close()
	near.SetWriteDeadline(t.Now().Add(20 * time.Millisecond))
	n, err := near.SendFile(f, 0, endlessSize)
	if err := wants("SendFile", err, env.ErrDeadline); err != nil {
		return err
	}
	return countZeros(t, near, far, n)
}

func sendCanceled(t *trial, near, far env.Conn) error {
	f, err := t.endless()
	if err != nil {
		return err
	}
	defer f.Close()
	never(near)
	taken := int64(0)
	sender := t.start("sender", func() (err error) {
		taken, err = near.SendFile(f, 0, endlessSize)
		return wants("SendFile", err, env.ErrCanceled)
	})
	t.settle()
	sender.Cancel()
	if err := t.until("SendFile returns", sender.Done); err != nil {
		return err
	}
	return countZeros(t, near, far, taken)
}

// endless returns a file of zeros that no connection can buffer.
func (t *trial) endless() (env.File, error) {
	f, err := t.disk().OpenFile("endless", env.Write|env.Create)
	if err != nil {
		return nil, err
	}
	return f, f.Truncate(endlessSize)
}

const endlessSize = 1 << 28

// countZeros demands that far reads as many bytes as were taken.
func countZeros(t *trial, near, far env.Conn, taken int64) error {
	if err := near.CloseWrite(); err != nil {
		return err
	}
	far.SetReadDeadline(kafka.Never)
	buf, read := make([]byte, 256<<10), int64(0)
	for {
		n, err := far.Read(buf)
		read += int64(n)
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
	}
	if read != taken {
		return fmt.Errorf("%d bytes were taken, %d arrived", taken, read)
	}
	return nil
}
