package scenarios

import (
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite golden files")

var probeCall = regexp.MustCompile(`\.Probe\("([^"]+)"\)`)

// findProbes returns the names of all probes in node code.
func findProbes(t *testing.T) []string {
	var names []string
	err := filepath.WalkDir("../node", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") ||
			strings.Contains(path, "envtest") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, m := range probeCall.FindAllSubmatch(text, -1) {
			names = append(names, string(m[1]))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func TestProbesAreListed(t *testing.T) {
	found := findProbes(t)
	if *update {
		if err := os.WriteFile("probes.txt", []byte(strings.Join(found, "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(found, KnownProbes()); diff != "" {
		t.Errorf("probes.txt is not what node code marks (go test ./scenarios -run ProbesAreListed -update):\n%s", diff)
	}
}
