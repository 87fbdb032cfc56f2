package envtest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
)

// listen listens on a free port.
func (t *trial) listen() (env.Listener, error) { return t.Net.Listen(t.harness.Address(t.host)) }

// pair returns the two ends of a connection, and closes the listener.
func (t *trial) pair() (near, far env.Conn, err error) {
	l, err := t.listen()
	if err != nil {
		return nil, nil, err
	}
	defer l.Close()
	accepted := t.start("accept", func() (err error) {
		far, err = l.Accept()
		return err
	})
	near, err = t.Net.Dial(l.Address(), t.soon())
	if err != nil {
		return nil, nil, err
	}
	if err := t.until("the connection is accepted", accepted.Done); err != nil {
		return nil, nil, err
	}
	if far == nil {
		return nil, nil, errors.New("it was not accepted")
	}
	return near, far, nil
}

// paired makes a check that is given both ends of a connection.
func paired(name string, f func(t *trial, near, far env.Conn) error) Check {
	return one(name, func(t *trial) error {
		near, far, err := t.pair()
		if err != nil {
			return err
		}
		near.SetReadDeadline(t.soon())
		far.SetReadDeadline(t.soon())
		near.SetWriteDeadline(t.soon())
		far.SetWriteDeadline(t.soon())
		err = f(t, near, far)
		if err != nil {
			t.group.Cancel()
		}
		err = errors.Join(err, t.finish())
		return errors.Join(err, near.Close(), far.Close())
	})
}

// pattern returns n bytes of which no two stretches look alike.
func pattern(seed uint64, n int) []byte {
	p := make([]byte, n+8)
	for i := 0; i < n; i += 8 {
		seed = seed*6364136223846793005 + 1442695040888963407
		binary.LittleEndian.PutUint64(p[i:], seed)
	}
	return p[:n:n]
}

// same compares what came with what was meant.
func same(what string, got, want []byte) error {
	if bytes.Equal(got, want) {
		return nil
	}
	at := 0
	for at < min(len(got), len(want)) && got[at] == want[at] {
		at++
	}
	return fmt.Errorf("%s: %d bytes, want %d; the first difference is at %d", what, len(got), len(want), at)
}

// readFull reads exactly n bytes.
func readFull(c env.Conn, n int) ([]byte, error) {
	p := make([]byte, n)
	got, err := io.ReadFull(c, p)
	return p[:got], err
}

// expect reads what must come next.
func expect(c env.Conn, want []byte) error {
	got, err := readFull(c, len(want))
	if err != nil {
		return fmt.Errorf("after %d of %d bytes: %w", len(got), len(want), err)
	}
	return same("read", got, want)
}

// expectEnd reads what must be the end of the stream.
func expectEnd(c env.Conn) error {
	p := make([]byte, 1)
	if n, err := c.Read(p); n != 0 || err != io.EOF {
		return fmt.Errorf("read %d bytes and error %v, want io.EOF", n, err)
	}
	return nil
}

// send writes all of p.
func send(c env.Conn, p []byte) error {
	n, err := c.Write(p)
	if err == nil && n != len(p) {
		err = fmt.Errorf("a write of %d bytes took %d without an error", len(p), n)
	}
	return err
}

// never takes both deadlines away.
func never(c env.Conn) {
	c.SetReadDeadline(kafka.Never)
	c.SetWriteDeadline(kafka.Never)
}
