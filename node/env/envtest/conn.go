package envtest

import (
	"errors"
	"fmt"

	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
)

var connChecks = []Check{
	paired("bytes travel both ways", bytesTravel),
	paired("the ends know each other's addresses", addresses),
	paired("a read returns what is there", shortRead),
	one("dialing where nobody listens is refused", dialRefused),
	one("dialing after the deadline fails", dialLate),
	one("an address can be listened on once", addressInUse),
	one("an address is free again after Close", addressFree),
	one("one listener accepts many connections", acceptMany),
	one("accepted connections outlive their listener", connOutlivesListener),
}

func bytesTravel(t *trial, near, far env.Conn) error {
	there, back := pattern(1, 1000), pattern(2, 2000)
	return first(
		send(near, there), expect(far, there),
		send(far, back), expect(near, back),
		send(near, back), expect(far, back),
	)
}

func addresses(t *trial, near, far env.Conn) error {
	if near.LocalAddress() != far.PeerAddress() || far.LocalAddress() != near.PeerAddress() {
		return fmt.Errorf("one end is %s to %s, the other %s to %s",
			near.LocalAddress(), near.PeerAddress(), far.LocalAddress(), far.PeerAddress())
	}
	if near.LocalAddress() == near.PeerAddress() {
		return fmt.Errorf("both ends are %s", near.LocalAddress())
	}
	return nil
}

func shortRead(t *trial, near, far env.Conn) error {
	if err := send(near, []byte("abc")); err != nil {
		return err
	}
	p := make([]byte, 100)
	var got []byte
	for len(got) < 3 {
		n, err := far.Read(p)
		if err != nil {
			return err
		}
		if n < 1 || n > 3 {
			return fmt.Errorf("a read returned %d bytes", n)
		}
		got = append(got, p[:n]...)
	}
	return same("read", got, []byte("abc"))
}

func dialRefused(t *trial) error {
	l, err := t.listen()
	if err != nil {
		return err
	}
	if err := l.Close(); err != nil {
		return err
	}
	_, err = t.Net.Dial(l.Address(), t.soon())
	return wants("Dial", err, env.ErrRefused)
}

func dialLate(t *trial) error {
	l, err := t.listen()
	if err != nil {
		return err
	}
	defer l.Close()
	_, err = t.Net.Dial(l.Address(), t.Now())
	return wants("Dial", err, env.ErrDeadline)
}

func addressInUse(t *trial) error {
	l, err := t.listen()
	if err != nil {
		return err
	}
	defer l.Close()
	_, err = t.Net.Listen(l.Address())
	return wants("a second Listen", err, env.ErrAddrInUse)
}

func addressFree(t *trial) error {
	l, err := t.listen()
	if err != nil {
		return err
	}
	address := l.Address()
	if err := first(l.Close(), l.Close()); err != nil {
		return err
	}
	l, err = t.Net.Listen(address)
	if err != nil {
		return err
	}
	if l.Address() != address {
		return fmt.Errorf("listening on %s tells %s", address, l.Address())
	}
	return l.Close()
}

func acceptMany(t *trial) error {
	l, err := t.listen()
	if err != nil {
		return err
	}
	defer l.Close()
	const conns = 20
	for range 2 {
		t.start("accept", func() error {
			for range conns / 2 {
				c, err := l.Accept()
				if err != nil {
					return err
				}
				t.start("echo", func() error { return echoOnce(t, c) })
			}
			return nil
		})
	}
	for i := range conns {
		t.start("dial", func() error {
			c, err := t.Net.Dial(l.Address(), t.soon())
			if err != nil {
				return err
			}
			c.SetReadDeadline(t.soon())
			p := pattern(uint64(i), 100)
			return errors.Join(send(c, p), expect(c, p), c.Close())
		})
	}
	return t.finish()
}

// echoOnce answers 100 bytes.
func echoOnce(t *trial, c env.Conn) error {
	c.SetReadDeadline(t.soon())
	p, err := readFull(c, 100)
	return errors.Join(err, send(c, p), c.Close())
}

func connOutlivesListener(t *trial) error {
	near, far, err := t.pair() // which closes the listener
	if err != nil {
		return err
	}
	near.SetReadDeadline(t.soon())
	far.SetReadDeadline(t.soon())
	p := pattern(3, 100)
	return errors.Join(send(near, p), expect(far, p), near.Close(), far.Close())
}

var closeChecks = []Check{
	paired("CloseWrite ends one direction", halfClose),
	paired("Close ends the stream at the peer", closeEndsStream),
	paired("a closed connection says so", closedSaysSo),
	paired("writing to a closed peer ends in a reset", writeToClosed),
	paired("Close wakes a blocked read", closeWakesRead),
	paired("Close wakes a blocked write", closeWakesWrite),
	one("Close wakes a blocked Accept", closeWakesAccept),
}

func halfClose(t *trial, near, far env.Conn) error {
	there, back := pattern(1, 5000), pattern(2, 5000)
	return first(
		send(near, there), near.CloseWrite(),
		expect(far, there), expectEnd(far),
		send(far, back), expect(near, back),
		far.CloseWrite(), expectEnd(near), expectEnd(near),
	)
}

func closeEndsStream(t *trial, near, far env.Conn) error {
	p := pattern(1, 5000)
	return first(send(near, p), near.Close(), expect(far, p), expectEnd(far))
}

func closedSaysSo(t *trial, near, far env.Conn) error {
	if err := first(near.Close(), near.Close()); err != nil {
		return fmt.Errorf("closing twice: %w", err)
	}
	_, readErr := near.Read(make([]byte, 1))
	_, writeErr := near.Write([]byte("x"))
	_, buffersErr := near.WriteBuffers([][]byte{[]byte("x")})
	return first(
		wants("Read", readErr, env.ErrClosed),
		wants("Write", writeErr, env.ErrClosed),
		wants("WriteBuffers", buffersErr, env.ErrClosed),
		wants("CloseWrite", near.CloseWrite(), env.ErrClosed),
	)
}

// The peer's system answers the first bytes with a reset; the writer hears of it
// some time later.
func writeToClosed(t *trial, near, far env.Conn) error {
	if err := far.Close(); err != nil {
		return err
	}
	var err error
	ended := t.until("a write fails", func() bool {
		_, err = near.Write(pattern(1, 100))
		return err != nil
	})
	return first(ended, wants("Write", err, env.ErrReset))
}

func closeWakesRead(t *trial, near, far env.Conn) error {
	never(near)
	reader := t.start("reader", func() error {
		_, err := near.Read(make([]byte, 1))
		return wants("Read", err, env.ErrClosed)
	})
	t.settle()
	return first(near.Close(), t.until("the read returns", reader.Done))
}

func closeWakesWrite(t *trial, near, far env.Conn) error {
	never(near)
	writer := t.start("writer", func() error {
		_, err := fill(near)
		return wants("Write", err, env.ErrClosed)
	})
	t.settle()
	return first(near.Close(), t.until("the write returns", writer.Done))
}

// fill writes until it may not: the peer reads nothing, so the stream's buffers
// must fill up. It returns how many bytes were taken.
func fill(c env.Conn) (int, error) { return fillCounting(c, new(int)) }

// fillCounting is fill for who looks at how much was taken meanwhile.
func fillCounting(c env.Conn, taken *int) (int, error) {
	p := pattern(fillSeed, fillChunk)
	for {
		n, err := c.Write(p)
		*taken += n
		if err != nil {
			return *taken, err
		}
		if *taken > 1<<30 {
			return *taken, errors.New("a gigabyte was taken that nobody read")
		}
	}
}

const (
	fillSeed  = 99
	fillChunk = 64 << 10
)

func closeWakesAccept(t *trial) error {
	l, err := t.listen()
	if err != nil {
		return err
	}
	accept := t.start("accept", func() error {
		_, err := l.Accept()
		return wants("Accept", err, env.ErrClosed)
	})
	t.settle()
	return first(l.Close(), t.until("Accept returns", accept.Done))
}

var cancelChecks = []Check{
	one("canceling ends Accept", func(t *trial) error {
		l, err := t.listen()
		if err != nil {
			return err
		}
		err = t.canceling(func() error { _, err := l.Accept(); return err })
		return first(err, stillAccepts(t, l), l.Close())
	}),
	one("a canceled task cannot dial", func(t *trial) error {
		l, err := t.listen()
		if err != nil {
			return err
		}
		var self env.Task
		self = t.start("canceled", func() error {
			self.Cancel()
			_, err := t.Net.Dial(l.Address(), kafka.Never)
			return wants("Dial", err, env.ErrCanceled)
		})
		return first(t.until("it ends", self.Done), l.Close())
	}),
	paired("canceling ends a read and loses nothing", cancelRead),
	paired("canceling ends a write and counts what was taken", cancelWrite),
	paired("canceling a reader leaves the writer alone", cancelOneSide),
}

// stillAccepts demands that the cancellation of one Accept left no trace.
func stillAccepts(t *trial, l env.Listener) error {
	accept := t.start("accept", func() error {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		return c.Close()
	})
	t.settle()
	c, err := t.Net.Dial(l.Address(), t.soon())
	if err != nil {
		return err
	}
	return first(t.until("Accept returns", accept.Done), c.Close())
}

func cancelRead(t *trial, near, far env.Conn) error {
	never(far)
	err := t.canceling(func() error { _, err := far.Read(make([]byte, 10)); return err })
	p := pattern(1, 1000)
	far.SetReadDeadline(t.soon())
	return first(err, send(near, p), expect(far, p), send(far, p), expect(near, p))
}

func cancelWrite(t *trial, near, far env.Conn) error {
	never(near)
	taken := 0
	writer := t.start("writer", func() (err error) {
		taken, err = fill(near)
		return wants("Write", err, env.ErrCanceled)
	})
	t.settle()
	writer.Cancel()
	if err := t.until("the write returns", writer.Done); err != nil {
		return err
	}
	return drain(t, near, far, taken)
}

// drain closes near for writing and demands that far reads just what fill says
// was taken.
func drain(t *trial, near, far env.Conn, taken int) error {
	if err := near.CloseWrite(); err != nil {
		return err
	}
	far.SetReadDeadline(t.soon())
	want := pattern(fillSeed, fillChunk)
	for left := taken; left > 0; left -= len(want) {
		want = want[:min(left, len(want))]
		if err := expect(far, want); err != nil {
			return fmt.Errorf("%d bytes before the end of %d: %w", left, taken, err)
		}
	}
	return expectEnd(far)
}

func cancelOneSide(t *trial, near, far env.Conn) error {
	reader := t.start("reader", func() error {
		_, err := near.Read(make([]byte, 10))
		return wants("Read", err, env.ErrCanceled)
	})
	p := pattern(1, 1<<20)
	t.start("writer", func() error { return send(near, p) })
	t.settle()
	reader.Cancel()
	return first(t.until("the read returns", reader.Done), expect(far, p), send(near, p[:100]), expect(far, p[:100]))
}
