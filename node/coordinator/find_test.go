package coordinator

import "testing"

// The hashes are Java's: clients and other tools compute the same partition.
func TestGroupsHaveTheirPartitionsAsInKafka(t *testing.T) {
	for key, want := range map[string]int32{
		"":                   0,
		"hello":              22, // 99162322
		"Hello World":        26, // -862545276
		"polygenelubricants": 0,  // the smallest number there is, which has no absolute value
	} {
		if got := PartitionFor(key, 50); got != want {
			t.Errorf("%q belongs to partition %d, want %d", key, got, want)
		}
	}
}
