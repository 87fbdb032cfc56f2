package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/klammlog/klamm/node/client"
	"github.com/klammlog/klamm/node/kafka"
)

// A spot is a place in every partition: a place that brokers know, so many records
// before the end, or so long ago.
type spot struct {
	place client.Start
	last  kafka.Offset
	ago   time.Duration
}

func parseSpot(flag, s string) (spot, error) {
	switch s {
	case "beginning", "start", "earliest":
		return spot{place: client.Earliest()}, nil
	case "end", "latest":
		return spot{place: client.Latest()}, nil
	}
	if at, ok := strings.CutPrefix(s, "@"); ok {
		if ago, err := time.ParseDuration(strings.TrimPrefix(at, "-")); err == nil && ago > 0 {
			return spot{ago: ago}, nil
		}
		ts, err := parseTime(at)
		if err != nil {
			return spot{}, fmt.Errorf("%s %q: want @ and milliseconds, or as in @2026-05-04T10:00:00Z, or how long ago, as in @15m", flag, s)
		}
		return spot{place: client.AtTime(ts)}, nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return spot{}, fmt.Errorf("%s %q: want beginning, end, a number, -N for the last N records, or @TIME", flag, s)
	}
	if n < 0 {
		return spot{last: kafka.Offset(-n)}, nil
	}
	return spot{place: client.At(kafka.Offset(n))}, nil
}

func placesAt(tps []kafka.TopicPartition, at client.Start) []client.Place {
	var places []client.Place
	for _, tp := range tps {
		places = append(places, client.Place{Partition: tp, From: at})
	}
	return places
}

// A bound is where a partition begins and ends.
type bound struct{ start, end kafka.Offset }

// places resolves where to begin and where to end. Blocks.
func (r *reading) places() ([]client.Place, error) {
	if r.f.to == "" && r.from.last == 0 && r.from.ago == 0 {
		return placesAt(r.tps, r.from.place), nil
	}
	bounds, err := r.bounds()
	if err != nil {
		return nil, err
	}
	from, err := r.resolve(r.from, bounds)
	if err != nil {
		return nil, err
	}
	places := make([]client.Place, len(r.tps))
	for i, tp := range r.tps {
		places[i] = client.Place{Partition: tp, From: client.At(from[i])}
	}
	if r.f.to == "" {
		return places, nil
	}
	to, err := r.resolve(r.to, bounds)
	if err != nil {
		return nil, err
	}
	r.ends = make(map[kafka.TopicPartition]kafka.Offset)
	for i, tp := range r.tps {
		if to[i] > max(from[i], bounds[i].start) {
			r.ends[tp] = to[i]
		}
	}
	return places, nil
}

// bounds asks where the partitions begin and end. Blocks.
func (r *reading) bounds() ([]bound, error) {
	ends, err := r.c.client.Offsets(placesAt(r.tps, client.Latest()), r.c.deadline)
	if err != nil {
		return nil, err
	}
	starts, err := r.c.client.Offsets(placesAt(r.tps, client.Earliest()), r.c.deadline)
	if err != nil {
		return nil, err
	}
	bounds := make([]bound, len(r.tps))
	for i := range bounds {
		bounds[i] = bound{starts[i].Offset, ends[i].Offset}
	}
	return bounds, nil
}

// resolve returns the offsets of a spot. Blocks.
func (r *reading) resolve(s spot, bounds []bound) ([]kafka.Offset, error) {
	offsets := make([]kafka.Offset, len(bounds))
	switch {
	case s.last > 0:
		for i, b := range bounds {
			offsets[i] = max(b.start, b.end-s.last)
		}
		return offsets, nil
	case s.ago > 0:
		s.place = client.AtTime(max(r.c.w.Wall()-kafka.Timestamp(s.ago.Milliseconds()), 0))
	}
	found, err := r.c.client.Offsets(placesAt(r.tps, s.place), r.c.deadline)
	if err != nil {
		return nil, err
	}
	for i, f := range found {
		if offsets[i] = f.Offset; f.Offset == kafka.NoOffset {
			offsets[i] = bounds[i].end // no record is that young
		}
	}
	return offsets, nil
}
