package broken

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/klammlog/klamm/node/env"
)

// eachSend describes a world in which send stands for every Conn's SendFile.
func eachSend(name string, send func(good env.Conn, f env.File, off, n int64) (int64, error), noticed ...string) World {
	return eachConn(name, func(_ *env.World, good env.Conn) env.Conn {
		return conn{Conn: good, sendFile: func(f env.File, off, n int64) (int64, error) {
			return send(good, f, off, n)
		}}
	}, noticed...)
}

var sendFileWorlds = []World{
	eachSend("SendFile begins at the beginning", func(good env.Conn, f env.File, _, n int64) (int64, error) {
		return good.SendFile(f, 0, n)
	}, "SendFile sends the range asked for"),

	eachSend("SendFile stops after a megabyte, and reports all", func(good env.Conn, f env.File, off, n int64) (int64, error) {
		_, err := good.SendFile(f, off, min(n, 1<<20))
		return n, err
	}, "SendFile waits for a slow reader"),

	eachSend("SendFile does not tell that the file ended", func(good env.Conn, f env.File, off, n int64) (int64, error) {
		sent, err := good.SendFile(f, off, n)
		if errors.Is(err, io.ErrUnexpectedEOF) {
			err = nil
		}
		return sent, err
	}, "SendFile tells when the file ends early", "SendFile sends any File"),

	eachSend("SendFile knows its own files alone", func(good env.Conn, f env.File, off, n int64) (int64, error) {
		if strings.HasSuffix(fmt.Sprintf("%T", f), "wrapped") {
			return 0, env.ErrIO
		}
		return good.SendFile(f, off, n)
	}, "SendFile sends any File"),

	eachSend("an interrupted SendFile counts nothing", func(good env.Conn, f env.File, off, n int64) (int64, error) {
		sent, err := good.SendFile(f, off, n)
		if err != nil {
			return 0, err
		}
		return sent, nil
	}, "SendFile returns at the write deadline", "canceling ends SendFile"),

	world("SendFile moves a position that the file's users share", func(w *env.World) {
		position := make(map[env.File]int64)
		w.Net = network{Net: w.Net, conn: func(good env.Conn) env.Conn {
			return conn{Conn: good, sendFile: func(f env.File, off, n int64) (int64, error) {
				position[f] = off
				return sendFromPosition(good, f, position, n)
			}}
		}}
	}, "two SendFiles of one file do not disturb each other"),
}

func sendFromPosition(good env.Conn, f env.File, position map[env.File]int64, n int64) (sent int64, err error) {
	for sent < n && err == nil {
		at := position[f]
		chunk := min(n-sent, 64<<10)
		position[f] += chunk
		var done int64
		done, err = good.SendFile(f, at, chunk)
		sent += done
	}
	return sent, err
}
