package main

import (
	"math"
	"testing"
)

func TestParseSeed(t *testing.T) {
	for _, c := range []struct {
		text string
		want uint64
	}{
		{"0", 0},
		{"7714", 7714},
		{"010", 10}, // not octal
		{"0x1f", 31},
		{"18446744073709551615", math.MaxUint64},
		{"0xffffffffffffffff", math.MaxUint64},
		{"0123456789abcdef0123456789abcdef01234567", 0x0123456789abcdef}, // a commit
	} {
		if got, err := parseSeed(c.text); err != nil || got != c.want {
			t.Errorf("%q: %d, %v, want %d", c.text, got, err, c.want)
		}
	}
	for _, bad := range []string{"", "-1", "1.5", "0x", "0b1", "1_000", "18446744073709551616", "seed", " 1",
		"g123456789abcdef0123456789abcdef01234567"} {
		if got, err := parseSeed(bad); err == nil {
			t.Errorf("%q: %d, want an error", bad, got)
		}
	}
	first, _ := parseSeed("random")
	if second, err := parseSeed("random"); err != nil || first == second {
		t.Errorf("random: %d twice, %v", first, err)
	}
}

func TestParseSeeds(t *testing.T) {
	for _, c := range []struct {
		text string
		want seedRange
	}{
		{"0..1000", seedRange{0, 1000}},
		{"5..6", seedRange{5, 1}},
		{"1+50", seedRange{1, 50}},
		{"0x10..0x20", seedRange{16, 16}},
		{"18446744073709551614+1", seedRange{math.MaxUint64 - 1, 1}},
		{"0+4294967296", seedRange{0, maxSeeds}},
	} {
		if got, err := parseSeeds(c.text); err != nil || got != c.want {
			t.Errorf("%q: %v, %v, want %v", c.text, got, err, c.want)
		}
	}
	for _, bad := range []string{"", "5", "5..5", "6..5", "..5", "5..", "1...5", "+5", "5+", "5+0", "5+-1", "1+2+3", "0+4294967297",
		"0..4294967297", "18446744073709551615+2", "a..b"} {
		if got, err := parseSeeds(bad); err == nil {
			t.Errorf("%q: %v, want an error", bad, got)
		}
	}
}
