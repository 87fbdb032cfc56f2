package quorum

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/meta"
	"github.com/klammlog/klamm/node/record"
)

// Every file here begins with a magic number, what it is, its version, the log
// directory's id and the length of what follows, and ends with the checksum of
// all that. It is written under another name, synced, renamed, and its name
// synced: whatever a crash leaves under a file's own name is whole.
const (
	magic      = "klammqrm"
	headerSize = len(magic) + 2 + 2 + 16 + 8
	sumSize    = 4
)

// A fileKind numbers the kinds of files. The numbers are on disks.
type fileKind uint16

const (
	kindState    fileKind = 1
	kindSnapshot fileKind = 2
)

func (k fileKind) version() uint16 { return 1 }

// seal returns the bytes of a file.
func seal(k fileKind, dir meta.DirectoryID, body []byte) []byte {
	b := make([]byte, 0, headerSize+len(body)+sumSize)
	b = append(b, magic...)
	b = binary.BigEndian.AppendUint16(b, uint16(k))
	b = binary.BigEndian.AppendUint16(b, k.version())
	b = append(b, dir[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(len(body)))
	b = append(b, body...)
	return binary.BigEndian.AppendUint32(b, record.Checksum(b))
}

// unseal returns the body of a file, or what is wrong with it.
func unseal(k fileKind, dir meta.DirectoryID, b []byte) ([]byte, error) {
	if len(b) < headerSize+sumSize {
		return nil, fmt.Errorf("%d bytes: %w", len(b), errMalformed)
	}
	// First of all: of what has rotted nothing is believed, not even the version.
	if sum := binary.BigEndian.Uint32(b[len(b)-sumSize:]); sum != record.Checksum(b[:len(b)-sumSize]) {
		return nil, fmt.Errorf("checksum %08x is not that of the file: %w", sum, errMalformed)
	}
	r := &reader{b: b}
	if string(r.take(len(magic))) != magic || fileKind(r.uint16()) != k {
		return nil, fmt.Errorf("not such a file: %w", errMalformed)
	}
	if v := r.uint16(); v != k.version() {
		return nil, fmt.Errorf("version %d, this code knows %d", v, k.version())
	}
	id, size := r.directory(), r.uint64()
	if size != uint64(len(b)-headerSize-sumSize) {
		return nil, fmt.Errorf("%d bytes: %w", len(b), errMalformed)
	}
	if id != dir && dir != (meta.DirectoryID{}) {
		return nil, fmt.Errorf("belongs to log directory %s, this is %s", hex.EncodeToString(id[:]), hex.EncodeToString(dir[:]))
	}
	return r.take(int(size)), nil
}

// writeSynced writes a file and syncs it, not its name. Blocks.
func writeSynced(fs env.FS, name string, b []byte) error {
	f, err := fs.OpenFile(name, env.Write|env.Create|env.Trunc)
	if err != nil {
		return err
	}
	err = writeAll(f, b)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

func writeAll(f env.File, b []byte) error {
	for at := 0; at < len(b); {
		n, err := f.WriteAt(b[at:], int64(at))
		if err != nil {
			return err
		}
		if n <= 0 {
			return fmt.Errorf("nothing written at %d: %w", at, env.ErrIO)
		}
		at += n
	}
	return nil
}

// readFile returns a file's bytes, env.ErrNotExist if there is none. Blocks.
func readFile(fs env.FS, name string, limit int64) ([]byte, error) {
	f, err := fs.OpenFile(name, env.ReadOnly)
	if err != nil {
		return nil, err
	}
	b, err := readAll(f, limit)
	return b, errors.Join(err, f.Close())
}

func readAll(f env.File, limit int64) ([]byte, error) {
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	if size > limit {
		return nil, fmt.Errorf("%d bytes, at most %d: %w", size, limit, errMalformed)
	}
	b := make([]byte, size)
	for at := 0; at < len(b); {
		n, err := f.ReadAt(b[at:], int64(at))
		if at += n; at == len(b) {
			break
		}
		if errors.Is(err, io.EOF) || err == nil && n == 0 {
			return nil, fmt.Errorf("ends at %d of %d: %w", at, len(b), errMalformed)
		}
		if err != nil {
			return nil, err
		}
	}
	return b, nil
}
