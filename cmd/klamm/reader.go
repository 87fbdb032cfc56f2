package main

import (
	"context"
	"io"
	"os"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// whileRead returns a context that ends when out is a pipe whose reader has gone,
// and what tells whether that was so. Without it 'klamm consume | head' would wait
// for the next record before it noticed.
func whileRead(ctx context.Context, out io.Writer) (context.Context, func() bool) {
	var gone atomic.Bool
	file, ok := out.(*os.File)
	if !ok {
		return ctx, gone.Load
	}
	info, err := file.Stat()
	if err != nil || info.Mode()&os.ModeNamedPipe == 0 {
		return ctx, gone.Load
	}
	ctx, cancel := context.WithCancel(ctx)
	fd := int32(file.Fd())
	go func() { // until the process ends
		for {
			polled := []unix.PollFd{{Fd: fd}} // no events: only POLLERR, the reader's end
			n, err := unix.Poll(polled, -1)
			if err == unix.EINTR {
				continue
			}
			if n == 1 && polled[0].Revents&unix.POLLERR != 0 {
				gone.Store(true)
				cancel()
			}
			return
		}
	}()
	return ctx, gone.Load
}
