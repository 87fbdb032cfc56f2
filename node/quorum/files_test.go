package quorum

import (
	"errors"
	"strings"
	"testing"

	"github.com/klammlog/klamm/node/meta"
)

// Rot is told as such: what a file says of itself, its version too, counts only
// behind its checksum.
func TestRotInAFileIsAWrongChecksum(t *testing.T) {
	dir := meta.DirectoryID{1}
	whole := seal(kindState, dir, []byte("body"))
	for bit := range 8 * len(whole) {
		b := append([]byte(nil), whole...)
		b[bit/8] ^= 1 << (bit % 8)
		if _, err := unseal(kindState, dir, b); !errors.Is(err, errMalformed) || !strings.Contains(err.Error(), "checksum") {
			t.Fatalf("bit %d: %v", bit, err)
		}
	}
	if _, err := unseal(kindSnapshot, dir, whole); !errors.Is(err, errMalformed) {
		t.Errorf("a file of another kind: %v", err)
	}
}
