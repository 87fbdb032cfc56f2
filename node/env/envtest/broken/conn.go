package broken

import (
	"errors"
	"io"

	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
)

// conn replaces the methods that are not nil.
type conn struct {
	env.Conn
	read             func(p []byte) (int, error)
	write            func(p []byte) (int, error)
	writeBuffers     func(bufs [][]byte) (int64, error)
	sendFile         func(f env.File, off, n int64) (int64, error)
	closeWrite       func() error
	close            func() error
	setReadDeadline  func(t kafka.Instant)
	setWriteDeadline func(t kafka.Instant)
	peerAddress      func() string
}

func (c conn) Read(p []byte) (int, error) {
	if c.read != nil {
		return c.read(p)
	}
	return c.Conn.Read(p)
}

func (c conn) Write(p []byte) (int, error) {
	if c.write != nil {
		return c.write(p)
	}
	return c.Conn.Write(p)
}

func (c conn) WriteBuffers(bufs [][]byte) (int64, error) {
	if c.writeBuffers != nil {
		return c.writeBuffers(bufs)
	}
	return c.Conn.WriteBuffers(bufs)
}

func (c conn) SendFile(f env.File, off, n int64) (int64, error) {
	if c.sendFile != nil {
		return c.sendFile(f, off, n)
	}
	return c.Conn.SendFile(f, off, n)
}

func (c conn) CloseWrite() error {
	if c.closeWrite != nil {
		return c.closeWrite()
	}
	return c.Conn.CloseWrite()
}

func (c conn) Close() error {
	if c.close != nil {
		return c.close()
	}
	return c.Conn.Close()
}

func (c conn) SetReadDeadline(t kafka.Instant) {
	if c.setReadDeadline != nil {
		c.setReadDeadline(t)
		return
	}
	c.Conn.SetReadDeadline(t)
}

func (c conn) SetWriteDeadline(t kafka.Instant) {
	if c.setWriteDeadline != nil {
		c.setWriteDeadline(t)
		return
	}
	c.Conn.SetWriteDeadline(t)
}

func (c conn) PeerAddress() string {
	if c.peerAddress != nil {
		return c.peerAddress()
	}
	return c.Conn.PeerAddress()
}

// eachConn describes a world in which change is made to every Conn.
func eachConn(name string, change func(w *env.World, good env.Conn) env.Conn, noticed ...string) World {
	return world(name, func(w *env.World) {
		w.Net = network{Net: w.Net, conn: func(good env.Conn) env.Conn { return change(w, good) }}
	}, noticed...)
}

// eachWrite describes a world in which write stands for every Conn's Write.
func eachWrite(name string, write func(good env.Conn, p []byte) (int, error), noticed ...string) World {
	return eachConn(name, func(_ *env.World, good env.Conn) env.Conn {
		return conn{Conn: good, write: func(p []byte) (int, error) { return write(good, p) }}
	}, noticed...)
}

var connWorlds = []World{
	eachWrite("a short write is reported as whole", func(good env.Conn, p []byte) (int, error) {
		_, err := good.Write(p[:max(0, len(p)-1)])
		return len(p), err
	}, "bytes travel both ways", "writes and reads of any size carry the same stream"),

	eachWrite("a large write is cut, and reported as whole", func(good env.Conn, p []byte) (int, error) {
		_, err := good.Write(p[:min(len(p), 1<<20)])
		return len(p), err
	}, "large transfers arrive whole, both ways at once"),

	eachWrite("a large write is cut without an error", func(good env.Conn, p []byte) (int, error) {
		return good.Write(p[:min(len(p), 256<<10)])
	}, "a slow reader gets everything", "large transfers arrive whole, both ways at once"),

	eachWrite("a write of nothing fails", func(good env.Conn, p []byte) (int, error) {
		if len(p) == 0 {
			return 0, env.ErrClosed
		}
		return good.Write(p)
	}, "a write of nothing takes nothing"),

	eachWrite("writes to a broken connection succeed", func(good env.Conn, p []byte) (int, error) {
		_, _ = good.Write(p)
		return len(p), nil
	}, "writing to a closed peer ends in a reset", "a closed connection says so"),

	eachWrite("an interrupted write counts nothing", func(good env.Conn, p []byte) (int, error) {
		n, err := good.Write(p)
		if err != nil {
			return 0, err
		}
		return n, nil
	}, "a write returns at its deadline and counts what was taken",
		"canceling ends a write and counts what was taken"),

	eachConn("reads wait until the buffer is full", func(_ *env.World, good env.Conn) env.Conn {
		return conn{Conn: good, read: func(p []byte) (int, error) { return io.ReadFull(good, p) }}
	}, "a read returns what is there"),

	eachConn("the peer's address is ours", func(_ *env.World, good env.Conn) env.Conn {
		return conn{Conn: good, peerAddress: good.LocalAddress}
	}, "the ends know each other's addresses"),

	eachConn("CloseWrite closes both directions", func(_ *env.World, good env.Conn) env.Conn {
		return conn{Conn: good, closeWrite: good.Close}
	}, "CloseWrite ends one direction"),

	eachConn("Close does nothing", func(_ *env.World, good env.Conn) env.Conn {
		return conn{Conn: good, close: func() error { return nil }}
	}, "Close ends the stream at the peer", "a closed connection says so",
		"Close wakes a blocked read", "Close wakes a blocked write"),

	eachConn("canceling a read closes the connection", func(_ *env.World, good env.Conn) env.Conn {
		return conn{Conn: good, read: func(p []byte) (int, error) {
			n, err := good.Read(p)
			if errors.Is(err, env.ErrCanceled) {
				_ = good.Close()
			}
			return n, err
		}}
	}, "canceling ends a read and loses nothing"),

	eachConn("canceling a read ends writes", func(w *env.World, good env.Conn) env.Conn {
		return conn{Conn: good, read: func(p []byte) (int, error) {
			n, err := good.Read(p)
			if errors.Is(err, env.ErrCanceled) {
				good.SetWriteDeadline(longAgo(w))
			}
			return n, err
		}}
	}, "canceling a reader leaves the writer alone"),

	eachConn("WriteBuffers drops what a system call does not take", func(_ *env.World, good env.Conn) env.Conn {
		return conn{Conn: good, writeBuffers: func(bufs [][]byte) (int64, error) {
			all := int64(0)
			for _, b := range bufs {
				all += int64(len(b))
			}
			_, err := good.WriteBuffers(bufs[:min(len(bufs), 1024)])
			return all, err
		}}
	}, "WriteBuffers writes the concatenation"),

	eachConn("WriteBuffers eats the caller's slice", func(_ *env.World, good env.Conn) env.Conn {
		return conn{Conn: good, writeBuffers: func(bufs [][]byte) (int64, error) {
			n, err := good.WriteBuffers(bufs)
			clear(bufs)
			return n, err
		}}
	}, "WriteBuffers leaves the caller's slice alone"),
}

var deadlineWorlds = []World{
	eachConn("a deadline that passed once stays", func(_ *env.World, good env.Conn) env.Conn {
		var sticky error
		return conn{Conn: good, read: func(p []byte) (int, error) {
			if sticky != nil {
				return 0, sticky
			}
			n, err := good.Read(p)
			if errors.Is(err, env.ErrDeadline) {
				sticky = err
			}
			return n, err
		}}
	}, "a read returns at its deadline, and the connection goes on"),

	eachConn("deadlines do not reach calls that wait", deafToDeadlines,
		"a deadline in the past ends a blocked read", "a deadline in the past ends a blocked write",
		"a later deadline reaches a blocked read", "taking the deadline away reaches a blocked read"),

	eachConn("deadlines hold for both directions", func(_ *env.World, good env.Conn) env.Conn {
		both := func(t kafka.Instant) { good.SetReadDeadline(t); good.SetWriteDeadline(t) }
		return conn{Conn: good, setReadDeadline: both, setWriteDeadline: both}
	}, "deadlines of one direction spare the other"),
}

// deafToDeadlines applies a deadline when no call of its direction waits.
func deafToDeadlines(_ *env.World, good env.Conn) env.Conn {
	reading, writing := false, false
	readDeadline, writeDeadline := kafka.Never, kafka.Never
	return conn{
		Conn: good,
		read: func(p []byte) (int, error) {
			good.SetReadDeadline(readDeadline)
			reading = true
			defer func() { reading = false }()
			return good.Read(p)
		},
		write: func(p []byte) (int, error) {
			good.SetWriteDeadline(writeDeadline)
			writing = true
			defer func() { writing = false }()
			return good.Write(p)
		},
		setReadDeadline: func(t kafka.Instant) {
			if readDeadline = t; !reading {
				good.SetReadDeadline(t)
			}
		},
		setWriteDeadline: func(t kafka.Instant) {
			if writeDeadline = t; !writing {
				good.SetWriteDeadline(t)
			}
		},
	}
}
