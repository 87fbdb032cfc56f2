package record

import (
	"fmt"
	"math"

	"github.com/klammlog/klamm/node/kafka"
)

// Limits is what a topic allows its producers. The zero Limits refuses every
// batch; start from NoLimits.
type Limits struct {
	MaxBytes   int             // max.message.bytes, compared with the batch as it arrived
	Unpacked   int             // the most bytes that compressed records may unpack to
	Now        kafka.Timestamp // the broker's wall clock
	BeforeMax  int64           // message.timestamp.before.max.ms; math.MaxInt64 for no bound
	AfterMax   int64           // message.timestamp.after.max.ms
	Timestamps TimestampType   // message.timestamp.type
	Keys       Keys
}

// Keys says whether every record needs a key.
type Keys int8

// Compacted topics require keys: a record without one could never be removed.
const (
	KeysOptional Keys = iota
	KeysRequired
)

// NoLimits allows whatever is well-formed.
var NoLimits = Limits{MaxBytes: math.MaxInt32, Unpacked: 1 << 30,
	BeforeMax: math.MaxInt64, AfterMax: math.MaxInt64}

// Single returns the one batch that a producer may send to a partition in one
// request. It fails as View does, and with ErrInvalid if there are more or none.
func Single(b []byte) (Batch, error) {
	if len(b) == 0 {
		return Batch{}, fmt.Errorf("no batch: %w", ErrInvalid)
	}
	batch, size, err := View(b)
	if err != nil {
		return Batch{}, err
	}
	if size < len(b) {
		return Batch{}, fmt.Errorf("%d bytes after the first batch: %w", len(b)-size, ErrInvalid)
	}
	return batch, nil
}

// Validate checks everything about a produced batch that needs no
// decompression: size, checksum, attributes, counts, producer and timestamps,
// and, if they are not compressed, every record. It fails with ErrTooLarge,
// ErrCorrupt, ErrInvalid, ErrTimestamp or ErrCodec; where single records are at
// fault the error is a *RecordsError. A batch that passes allocates nothing.
//
// Two checks that Kafka does are left to ValidateDeep when the records are
// compressed: that they are what the header says, and their keys. See NeedsDeep.
func (b Batch) Validate(l Limits) error {
	_, err := b.check(l)
	return err
}

// Accept is Validate, and then makes the batch what the log keeps: dated now
// where the topic says LogAppendTime, and otherwise with the true largest
// timestamp, which some producers do not send. Compressed records are believed.
func (b Batch) Accept(l Limits) error {
	largest, err := b.check(l)
	if err != nil {
		return err
	}
	b.date(l, largest)
	return nil
}

// NeedsDeep reports whether the topic demands a check of what is compressed in
// this batch. Decompression takes long: callers offload it.
func (b Batch) NeedsDeep(l Limits) bool {
	return b.Compression() != None && l.Keys == KeysRequired
}

// ValidateDeep checks the records of a batch that has passed Validate or Accept,
// and decompresses them for that. It fails as Validate does.
func (b Batch) ValidateDeep(l Limits, c *Codecs) error {
	_, err := b.checkRecords(c.Records(b, l.Unpacked), l)
	return err
}

// check validates, and returns the largest timestamp: the true one if the
// records are not compressed.
func (b Batch) check(l Limits) (kafka.Timestamp, error) {
	if b.Size() > l.MaxBytes {
		return 0, fmt.Errorf("batch of %d bytes, limit %d: %w", b.Size(), l.MaxBytes, ErrTooLarge)
	}
	if err := b.CheckCRC(); err != nil {
		return 0, err
	}
	if err := b.checkHeader(l); err != nil {
		return 0, err
	}
	if b.Compression() != None {
		return b.MaxTimestamp(), nil
	}
	if largest, ok := b.quickly(l); ok {
		return largest, nil
	}
	return b.checkRecords(b.iterate(b.payload()), l)
}

// checkHeader checks the fields against each other and against the limits.
func (b Batch) checkHeader(l Limits) error {
	if !b.Compression().Known() {
		return b.refuse(ErrCodec, "codec %d", b.Compression())
	}
	const notProducers = controlBit | deleteHorizonBit | ^knownAttributeBit
	if b.Attributes()&notProducers != 0 {
		return b.refuse(ErrInvalid, "attributes %#x", uint16(b.Attributes()))
	}
	if n := b.Count(); n <= 0 || b.LastOffsetDelta() != n-1 {
		return b.refuse(ErrInvalid, "count %d, last offset delta %d", n, b.LastOffsetDelta())
	}
	if b.BaseOffset() < 0 || b.BaseOffset() > math.MaxInt64-math.MaxInt32 {
		return b.refuse(ErrInvalid, "base offset %d", b.BaseOffset())
	}
	if err := b.checkProducer(); err != nil {
		return err
	}
	return b.checkTimestamps(l)
}

// checkProducer wants all of the producer's fields or none.
func (b Batch) checkProducer() error {
	id, epoch, sequence := b.ProducerID(), b.ProducerEpoch(), b.BaseSequence()
	switch {
	case id < kafka.NoProducerID,
		id == kafka.NoProducerID && b.Transactional(),
		id != kafka.NoProducerID && (epoch < 0 || sequence < 0):
		return b.refuse(ErrInvalid, "producer %d epoch %d sequence %d transactional %t",
			id, epoch, sequence, b.Transactional())
	}
	return nil
}

func (b Batch) checkTimestamps(l Limits) error {
	if b.TimestampType() == LogAppendTime {
		return b.refuse(ErrTimestamp, "LogAppendTime is not the producer's to set")
	}
	first, largest := b.FirstTimestamp(), b.MaxTimestamp()
	if !l.allows(first) || !l.allows(largest) {
		return b.refuse(ErrTimestamp, "timestamps %d to %d at %d", first, largest, l.Now)
	}
	return nil
}

// allows reports whether a record may carry a timestamp. The bounds hold only
// where the producer's timestamps count.
func (l Limits) allows(ts kafka.Timestamp) bool {
	if ts == kafka.NoTimestamp || l.Timestamps == LogAppendTime {
		return true
	}
	// Neither difference overflows: the timestamp and the clock are not negative.
	return ts >= 0 && int64(l.Now-ts) <= l.BeforeMax && int64(ts-l.Now) <= l.AfterMax
}

func (b Batch) refuse(kind error, format string, args ...any) error {
	return fmt.Errorf("batch of producer %d sequence %d: %s: %w",
		b.ProducerID(), b.BaseSequence(), fmt.Sprintf(format, args...), kind)
}

// checkRecords goes through the records and returns their largest timestamp. A
// malformed one ends the check; those the topic refuses are collected.
func (b Batch) checkRecords(it Iterator, l Limits) (kafka.Timestamp, error) {
	var refused *RecordsError
	largest := kafka.NoTimestamp
	for i := int32(0); it.Next(); i++ {
		if it.raw.offsetDelta != i {
			return 0, b.refuse(ErrInvalid, "record %d has offset delta %d", i, it.raw.offsetDelta)
		}
		if it.raw.key == nil && l.Keys == KeysRequired {
			refused = refused.add(ErrInvalid, i, "compacted topic needs a key")
		}
		ts := it.Timestamp()
		if !l.allows(ts) {
			refused = refused.add(ErrTimestamp, i, "timestamp out of range")
		}
		largest = max(largest, ts)
	}
	if it.Err() != nil {
		return 0, it.Err()
	}
	if refused != nil {
		return 0, refused
	}
	return largest, nil
}

// A RecordsError names the records for which their batch is refused. No other
// record of the batch was at fault.
type RecordsError struct {
	Kind    error // ErrInvalid, or ErrTimestamp if any timestamp was wrong
	Records []RecordError
}

// A RecordError is one record's position in its batch, and what is wrong.
type RecordError struct {
	Index   int32
	Message string
}

func (e *RecordsError) add(kind error, i int32, message string) *RecordsError {
	if e == nil {
		e = &RecordsError{Kind: kind}
	}
	if kind == ErrTimestamp {
		e.Kind = kind
	}
	e.Records = append(e.Records, RecordError{i, message})
	return e
}

func (e *RecordsError) Error() string {
	first := e.Records[0]
	return fmt.Sprintf("%d records refused, first record %d: %s: %s",
		len(e.Records), first.Index, first.Message, e.Kind)
}

// Unwrap returns the kind.
func (e *RecordsError) Unwrap() error { return e.Kind }
