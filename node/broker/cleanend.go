package broker

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/meta"
)

// After a clean close a small file in the first log directory says so, with the
// epoch of the life that ended. The next life removes it, durably, before it
// changes anything else, and tells the controllers of it: whatever the old life
// counted as held is there. It is Kafka's .kafka_cleanshutdown with a checksum.
//
//	magic "klmE", version 1 (2 bytes), 2 zero bytes, directory id (16 bytes),
//	epoch (8 bytes), crc32c of all before (4 bytes); little endian
const (
	cleanName  = "clean-end"
	cleanMagic = "klmE"
	cleanSize  = 4 + 2 + 2 + 16 + 8 + 4
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func encodeCleanEnd(dir [16]byte, epoch int64) []byte {
	b := make([]byte, 0, cleanSize)
	b = append(b, cleanMagic...)
	b = binary.LittleEndian.AppendUint16(b, 1)
	b = binary.LittleEndian.AppendUint16(b, 0)
	b = append(b, dir[:]...)
	b = binary.LittleEndian.AppendUint64(b, uint64(epoch))
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// decodeCleanEnd returns the epoch in a clean end's file, or NoEpoch if that is not
// whole or of another directory.
func decodeCleanEnd(b []byte, dir [16]byte) int64 {
	if len(b) != cleanSize || string(b[:4]) != cleanMagic || binary.LittleEndian.Uint16(b[4:]) != 1 || [16]byte(b[8:24]) != dir {
		return meta.NoEpoch
	}
	if crc32.Checksum(b[:cleanSize-4], castagnoli) != binary.LittleEndian.Uint32(b[cleanSize-4:]) {
		return meta.NoEpoch
	}
	return int64(binary.LittleEndian.Uint64(b[24:]))
}

// takeCleanEnd reads what the life before left and removes it, durably. Blocks.
func takeCleanEnd(d LogDir) (int64, error) {
	f, err := d.FS.OpenFile(cleanName, env.ReadOnly)
	if errors.Is(err, env.ErrNotExist) {
		return meta.NoEpoch, nil
	}
	if err != nil {
		return meta.NoEpoch, fmt.Errorf("%s/%s: %w", d.Dir.Name(), cleanName, err)
	}
	b := make([]byte, cleanSize+1)
	n, err := f.ReadAt(b, 0)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	err = errors.Join(err, f.Close())
	epoch := decodeCleanEnd(b[:n], d.Dir.ID())
	if err != nil {
		epoch = meta.NoEpoch // it is as if there had been none
	}
	if err := d.FS.Remove(cleanName); err != nil && !errors.Is(err, env.ErrNotExist) {
		return meta.NoEpoch, fmt.Errorf("%s/%s: %w", d.Dir.Name(), cleanName, err)
	}
	if err := d.FS.SyncDir("."); err != nil {
		return meta.NoEpoch, fmt.Errorf("%s: %w", d.Dir.Name(), err)
	}
	return epoch, nil
}

// leaveCleanEnd writes that this life has ended cleanly, durably. Blocks.
func leaveCleanEnd(d LogDir, epoch int64) (err error) {
	const temp = cleanName + ".tmp"
	f, err := d.FS.OpenFile(temp, env.Write|env.Create|env.Trunc)
	if err != nil {
		return err
	}
	b := encodeCleanEnd(d.Dir.ID(), epoch)
	n, err := f.WriteAt(b, 0)
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := d.FS.Rename(temp, cleanName); err != nil {
		return err
	}
	return d.FS.SyncDir(".")
}
