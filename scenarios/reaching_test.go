package scenarios

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// reachingFile names for each scenario seeds that together reach what it is about, the
// fewest that were tried: a line a scenario, its name and its seeds.
const reachingFile = "testdata/reaching.txt"

func reachingSeeds(t *testing.T) map[string][]uint64 {
	t.Helper()
	text, err := os.ReadFile(reachingFile)
	if err != nil {
		t.Fatal(err)
	}
	out := make(map[string][]uint64)
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		if len(words) < 2 || Find(words[0]) == nil {
			t.Fatalf("%s: %q: want a scenario and its seeds", reachingFile, line)
		}
		for _, word := range words[1:] {
			seed, err := strconv.ParseUint(word, 10, 64)
			if err != nil {
				t.Fatalf("%s: %q: %v", reachingFile, line, err)
			}
			out[words[0]] = append(out[words[0]], seed)
		}
	}
	return out
}

// fewest returns seeds that reach between them what all of them reach, none of which could
// be left out.
func fewest(by map[uint64][]string) []uint64 {
	left := slices.Sorted(maps.Keys(by))
	for _, seed := range slices.Clone(left) {
		others := slices.DeleteFunc(slices.Clone(left), func(other uint64) bool { return other == seed })
		needed := slices.ContainsFunc(by[seed], func(name string) bool {
			return !slices.ContainsFunc(others, func(other uint64) bool { return slices.Contains(by[other], name) })
		})
		if !needed {
			left = others
		}
	}
	return left
}

func writeReachingSeeds(t *testing.T, reaching map[string][]uint64) {
	t.Helper()
	var b strings.Builder
	for _, s := range All() {
		if seeds := reaching[s.Name]; len(seeds) > 0 {
			fmt.Fprintln(&b, s.Name, strings.Trim(fmt.Sprint(seeds), "[]"))
		}
	}
	if err := os.WriteFile(reachingFile, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}
