package broker

import (
	"github.com/klammlog/klamm/node/commitlog"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/record"
)

// eachBatch hands every batch of a log to f, in order, as far as it is held. A
// batch is valid during the call. Blocks.
func eachBatch(l *commitlog.Log, f func(record.Batch) error) error {
	const piece = 1 << 20
	var buf []byte
	for at := l.LogStart(); at < l.Held(); {
		c, err := l.Read(at, piece, l.Held(), commitlog.TakeOversize)
		if err != nil {
			return err
		}
		if c.Len() == 0 {
			return nil
		}
		if cap(buf) < c.Len() {
			buf = make([]byte, c.Len())
		}
		buf = buf[:c.Len()]
		err = c.Copy(buf)
		c.Release()
		if err != nil {
			return err
		}
		if at, err = eachIn(buf, at, f); err != nil {
			return err
		}
	}
	return nil
}

// eachIn hands the batches in b to f and returns where the last one ended.
func eachIn(b []byte, at kafka.Offset, f func(record.Batch) error) (kafka.Offset, error) {
	for batch, err := range record.All(b) {
		if err == nil {
			err = f(batch)
		}
		if err != nil {
			return at, err
		}
		at = batch.EndOffset()
	}
	return at, nil
}
