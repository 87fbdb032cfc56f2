package commitlog

import (
	"errors"
	"strings"
	"testing"
)

// Rot is told as such: what a header says, its version too, counts only behind its
// checksum.
func TestRotInAHeaderIsAWrongChecksum(t *testing.T) {
	whole := header{kind: kindIndex, number: 7}.encode()
	for bit := range 8 * len(whole) {
		b := append([]byte(nil), whole...)
		b[bit/8] ^= 1 << (bit % 8)
		if _, err := parseHeader(b, kindIndex); !errors.Is(err, errHeader) || !strings.Contains(err.Error(), "checksum") {
			t.Fatalf("bit %d: %v", bit, err)
		}
	}
	if _, err := parseHeader(whole, kindSnapshot); err == nil || strings.Contains(err.Error(), "checksum") {
		t.Errorf("of another kind: %v", err)
	}
}
