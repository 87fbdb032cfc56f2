package commitlog

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/txn"
)

// A snapshot file is a header, the CRC-32C of what follows begun with the
// header's, and the producers' state.

// encodeSnapshot returns the snapshot of the producers as they are at an offset.
func (l *Log) encodeSnapshot(at kafka.Offset, p *txn.Producers) []byte {
	h := l.header(kindSnapshot)
	h.base, h.number = at, l.dir.number()
	b := append(h.encode(), 0, 0, 0, 0)
	b = p.Encode(b)
	seal(b[headerSize:], h.seed())
	return b
}

func (l *Log) decodeSnapshot(b []byte, at kafka.Offset) (*txn.Producers, error) {
	h, err := parseHeader(b, kindSnapshot)
	if err != nil {
		return nil, err
	}
	if !h.sameOwner(l.header(kindSnapshot)) || h.base != at {
		return nil, fmt.Errorf("%w: another log's or offset's", errHeader)
	}
	if len(b) < headerSize+4 || !sound(b[headerSize:], h.seed()) {
		return nil, fmt.Errorf("%w: checksum", errHeader)
	}
	return txn.Decode(b[headerSize+4:])
}

// saveSnapshot puts the producers' state at a segment's base into its file, if
// that was not done. Blocks.
func (l *Log) saveSnapshot(s *segment) error {
	if s.snapshot == nil {
		return nil
	}
	if err := l.writeSnapshot(s.base, s.snapshot); err != nil {
		return err
	}
	s.snapshot, s.saved = nil, true
	return nil
}

func (l *Log) writeSnapshot(at kafka.Offset, b []byte) error {
	name := l.o.Path + "/" + fileName(at, snapshotSuffix)
	if err := writeWhole(l.dir.fs, l.o.Path, name, b); err != nil {
		return l.judge("write "+name, err)
	}
	return nil
}

// loadProducers returns the producers as they were at the last of the offsets,
// which grow, that has a good snapshot, and that offset; the log start and
// nobody if none has. Blocks.
func (l *Log) loadProducers(at []kafka.Offset) (*txn.Producers, kafka.Offset, error) {
	for i := len(at) - 1; i >= 0; i-- {
		b, err := readWhole(l.dir.fs, l.o.Path+"/"+fileName(at[i], snapshotSuffix))
		if errors.Is(err, env.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, 0, fmt.Errorf("%s: snapshot at %d: %w", l.name, at[i], err)
		}
		p, err := l.decodeSnapshot(b, at[i])
		// A log of nobody's batches may be a controller's, which ends without it.
		if err == nil && p.Len() > 0 && l.w.Buggify("no descriptor is left for a snapshot of producers") {
			return nil, 0, fmt.Errorf("%s: snapshot at %d: %w", l.name, at[i], env.ErrTooManyFiles)
		}
		if err == nil {
			return p, at[i], nil
		}
		l.w.Probe("a producer snapshot was bad and an older one was taken")
		l.w.Log.Warn("bad producer snapshot", "partition", l.name, "offset", int64(at[i]), "err", err)
	}
	return &txn.Producers{}, 0, nil
}

// parseName returns the base offset in the name of one of a segment's files.
func parseName(name, suffix string) (kafka.Offset, bool) {
	digits, ok := strings.CutSuffix(name, suffix)
	if !ok || len(digits) != 20 {
		return 0, false
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	return kafka.Offset(n), err == nil && n >= 0
}
