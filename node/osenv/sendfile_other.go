//go:build !linux

package osenv

import (
	"errors"
	"net"
)

// sendFile is Linux's; elsewhere the bytes are copied.
func sendFile(*net.TCPConn, *file, int64, int64) (int64, error) {
	return 0, errors.ErrUnsupported
}
