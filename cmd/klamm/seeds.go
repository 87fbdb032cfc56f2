package main

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
)

// entropy is the operating system's randomness: what simulates replaces the
// package's reader.
var entropy = rand.Reader

// maxSeeds bounds a range of seeds: more than a machine runs in a year.
const maxSeeds = 1 << 32

// A seedRange is the seeds from first, count of them.
type seedRange struct{ first, count uint64 }

// parseSeed reads a seed: decimal, 0x and hexadecimal digits, a commit's 40
// hexadecimal digits, or "random".
func parseSeed(s string) (uint64, error) {
	if s == "random" {
		var b [8]byte
		io.ReadFull(entropy, b[:]) // never fails: it ends the process instead
		return binary.LittleEndian.Uint64(b[:]) >> 1, nil
	}
	if len(s) == 40 {
		if n, err := strconv.ParseUint(s[:16], 16, 64); err == nil {
			return n, nil
		}
	}
	digits, base := s, 10
	if hexadecimal, ok := strings.CutPrefix(s, "0x"); ok {
		digits, base = hexadecimal, 16
	}
	n, err := strconv.ParseUint(digits, base, 64)
	if err != nil {
		return 0, fmt.Errorf("seed %q: want a number, 0x…, a commit of 40 hexadecimal digits, or random", s)
	}
	return n, nil
}

// parseSeeds reads A..B (B exclusive) or A+N.
func parseSeeds(s string) (seedRange, error) {
	bad := fmt.Errorf("seeds %q: want A..B (B exclusive) or A+N", s)
	if a, b, ok := strings.Cut(s, ".."); ok {
		first, err1 := parseSeed(a)
		end, err2 := parseSeed(b)
		if err1 != nil || err2 != nil || end <= first || end-first > maxSeeds {
			return seedRange{}, bad
		}
		return seedRange{first, end - first}, nil
	}
	a, n, ok := strings.Cut(s, "+")
	if count, err := strconv.ParseUint(n, 10, 64); ok && (errors.Is(err, strconv.ErrRange) || err == nil && count > maxSeeds) {
		return seedRange{}, fmt.Errorf("seeds %q: want at most %d of them", s, maxSeeds)
	}
	first, err1 := parseSeed(a)
	count, err2 := strconv.ParseUint(n, 10, 64)
	if !ok || err1 != nil || err2 != nil || count == 0 || count > maxSeeds || first > math.MaxUint64-count {
		return seedRange{}, bad
	}
	return seedRange{first, count}, nil
}
