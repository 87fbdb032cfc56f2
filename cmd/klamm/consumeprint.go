package main

import (
	"bytes"
	"unicode/utf8"

	"github.com/klammlog/klamm/node/client"
)

// recordJSON is what consume prints of a record. Bytes that are not UTF-8 are in
// the fields that end in _base64.
type recordJSON struct {
	Kind      string       `json:"_kind"`
	Version   int          `json:"_version"`
	Topic     string       `json:"topic"`
	Partition int32        `json:"partition"`
	Offset    int64        `json:"offset"`
	Timestamp int64        `json:"timestamp"`
	Key       *string      `json:"key"`
	KeyBytes  []byte       `json:"key_base64,omitempty"`
	Value     *string      `json:"value"`
	ValBytes  []byte       `json:"value_base64,omitempty"`
	Headers   []headerJSON `json:"headers,omitempty"`
}

type headerJSON struct {
	Key      string  `json:"key"`
	Value    *string `json:"value"`
	ValBytes []byte  `json:"value_base64,omitempty"`
}

// print appends a record to what is to be printed.
func (r *reading) print(rec client.Record) error {
	if r.f.output != "json" {
		r.text = r.format.append(r.text, rec)
		return nil
	}
	j := recordJSON{Kind: "klamm.record", Version: 1, Topic: rec.Topic, Partition: rec.Partition,
		Offset: int64(rec.Offset), Timestamp: int64(rec.Timestamp)}
	j.Key, j.KeyBytes = textOrBytes(rec.Key)
	j.Value, j.ValBytes = textOrBytes(rec.Value)
	for _, h := range rec.Headers {
		hj := headerJSON{Key: h.Key}
		hj.Value, hj.ValBytes = textOrBytes(h.Value)
		j.Headers = append(j.Headers, hj)
	}
	line := bytes.NewBuffer(r.text)
	err := printJSON(line, j)
	r.text = line.Bytes()
	return err
}

// textOrBytes returns b as text if it is, else as bytes; null is neither.
func textOrBytes(b []byte) (*string, []byte) {
	switch {
	case b == nil:
		return nil, nil
	case utf8.Valid(b):
		s := string(b)
		return &s, nil
	}
	return nil, b
}
