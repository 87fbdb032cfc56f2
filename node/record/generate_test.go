package record

import (
	"pgregory.net/rapid"

	"github.com/klammlog/klamm/node/kafka"
)

// What the tests of this package draw batches from.

func drawBytes(t *rapid.T, label string) []byte {
	if rapid.IntRange(0, 3).Draw(t, label+" is null") == 0 {
		return nil
	}
	return rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, label)
}

func drawRecord(t *rapid.T) Record {
	r := Record{
		Timestamp: kafka.Timestamp(rapid.OneOf(rapid.Int64Range(-1, 3000), rapid.Int64Range(0, 1<<45)).Draw(t, "timestamp")),
		Key:       drawBytes(t, "key"),
		Value:     drawBytes(t, "value"),
	}
	for range rapid.IntRange(0, 2).Draw(t, "headers") {
		r.Headers = append(r.Headers, Header{Key: rapid.StringN(0, 5, -1).Draw(t, "name"), Value: drawBytes(t, "header")})
	}
	return r
}

func drawRecords(t *rapid.T) []Record {
	return rapid.SliceOfN(rapid.Custom(drawRecord), 1, 30).Draw(t, "records")
}

func drawSpec(t *rapid.T) Spec {
	s := Spec{
		BaseOffset:  kafka.Offset(rapid.Int64Range(0, 1<<50).Draw(t, "base offset")),
		LeaderEpoch: kafka.LeaderEpoch(rapid.Int32Range(-1, 1<<30).Draw(t, "epoch")),
		Compression: Compression{
			Codec: Codec(rapid.IntRange(0, 4).Draw(t, "codec")),
			Level: rapid.SampledFrom([]int{-5, 0, 1, 3, 9, 17, 22}).Draw(t, "level"),
		},
	}
	if rapid.Bool().Draw(t, "log append time") {
		s.TimestampType, s.AppendTime = LogAppendTime, 77_000
	}
	if rapid.Bool().Draw(t, "idempotent") {
		s.Producer = &Producer{
			ID:       kafka.ProducerID(rapid.Int64Range(0, 1<<40).Draw(t, "producer")),
			Epoch:    kafka.ProducerEpoch(rapid.Int16Range(0, 30000).Draw(t, "producer epoch")),
			Sequence: kafka.Sequence(rapid.Int32Range(0, 1<<31-1).Draw(t, "sequence")),
		}
		s.Transactional = Transactional(rapid.Bool().Draw(t, "transactional"))
	}
	return s
}

func build(s Spec, records []Record) Batch {
	var w Builder
	for _, r := range records {
		w.Append(r)
	}
	b, err := w.Build(s, new(Codecs))
	if err != nil {
		panic(err)
	}
	return b
}

// read returns all records of a batch, in memory of their own.
func read(b Batch, limit int) ([]Record, error) {
	var out []Record
	it := b.Records(limit)
	for it.Next() {
		r := it.Record()
		r.Headers = append([]Header(nil), r.Headers...)
		out = append(out, r)
	}
	return out, it.Err()
}
