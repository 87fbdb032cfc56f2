package osenv

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
)

// sendChunk bounds one system call, and with it how long a cold file keeps one
// of its disk's slots.
const sendChunk = 1 << 20

// sendFile sends n bytes of f from off. io.Copy would move the file's own
// position, which two sends would fight for, or copy through user space; so this
// names its offset and waits for the socket by RawConn.Write.
//
// The file is held open by Control, lest its descriptor be closed and given to
// another file half-way.
func sendFile(tcp *net.TCPConn, f *file, off, n int64) (sent int64, err error) {
	socket, err := tcp.SyscallConn()
	if err != nil {
		return 0, err
	}
	source, err := f.os.SyscallConn()
	if err != nil {
		return 0, err
	}
	s := sending{disk: f.disk, off: off, left: n}
	err = source.Control(func(in uintptr) {
		s.in = int(in)
		if err := socket.Write(s.step); err != nil {
			s.err = err
		}
	})
	if err != nil {
		s.err = os.ErrClosed // the file: all that Control itself can fail with
	}
	return n - s.left, s.err
}

type sending struct {
	disk *disk
	in   int
	off  int64
	left int64
	err  error
}

// step sends what the socket takes. It reports false to be called again when the
// socket can take more.
func (s *sending) step(out uintptr) (done bool) {
	for s.left > 0 {
		s.disk.reads <- struct{}{}
		sent, err := syscall.Sendfile(int(out), s.in, &s.off, int(min(s.left, sendChunk)))
		<-s.disk.reads
		if sent > 0 {
			s.left -= int64(sent)
			continue
		}
		switch err {
		case nil:
			s.err = io.ErrUnexpectedEOF
		case syscall.EINTR:
			continue
		case syscall.EAGAIN:
			return false
		case syscall.EINVAL, syscall.ENOSYS, syscall.EOPNOTSUPP:
			s.err = errors.ErrUnsupported
		default:
			s.err = os.NewSyscallError("sendfile", err)
		}
		return true
	}
	return true
}
