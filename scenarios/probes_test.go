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

var (
	probeCall = regexp.MustCompile(`\.Probe\("([^"]+)"\)`)
	pointCall = regexp.MustCompile(`\.Buggify\("([^"]+)"\)`)
)

// findCalls returns the names in all such calls of node code.
func findCalls(t *testing.T, call *regexp.Regexp) []string {
	var names []string
	err := filepath.WalkDir("../node", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") ||
			strings.Contains(path, "envtest") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, m := range call.FindAllSubmatch(text, -1) {
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
	checkListed(t, "probes.txt", findCalls(t, probeCall), KnownProbes())
}

func TestBuggifyPointsAreListed(t *testing.T) {
	checkListed(t, "points.txt", findCalls(t, pointCall), KnownPoints())
}

// checkListed compares a list with what was found, or writes it anew.
func checkListed(t *testing.T, file string, found, listed []string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(strings.Join(found, "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(found, listed); diff != "" {
		t.Errorf("%s is not what node code marks (go test ./scenarios -run AreListed -update):\n%s", file, diff)
	}
}

// Whoever names all scenarios can expect all probes, and whoever names some what they
// are about.
func TestWhatIsExpectedOfScenarios(t *testing.T) {
	all := append(Names(), "a-case.yaml")
	for _, p := range slices.Concat(KnownProbes(), isrFlap.Reaches, rebalanceStorm.Reaches) {
		if !slices.Contains(ExpectedProbes(all), p) {
			t.Errorf("all scenarios need not reach %q", p)
		}
	}
	if got := ExpectedPoints(all); !slices.Equal(got, KnownPoints()) {
		t.Errorf("all scenarios are unlucky at %q", got)
	}
	some := []string{isrFlap.Name, clusterRetention.Name}
	want := slices.Concat(isrFlap.Reaches, clusterRetention.Reaches)
	if slices.Sort(want); !slices.Equal(ExpectedProbes(some), want) {
		t.Errorf("%v reach %q, want %q", some, ExpectedProbes(some), want)
	}
	if got := ExpectedPoints(some); len(got) > 0 {
		t.Errorf("%v are unlucky at %q", some, got)
	}
}

// The list of rare probes is sorted, and names probes and runs that exist.
func TestRareProbesExist(t *testing.T) {
	rare, err := parseRare(rareText)
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range rare {
		if !slices.Contains(KnownProbes(), p.Name) {
			t.Errorf("no probe %q", p.Name)
		}
		if i > 0 && rare[i-1].Name >= p.Name {
			t.Errorf("%q stands behind %q", p.Name, rare[i-1].Name)
		}
	}
	for _, bad := range []string{"a <- crash", "a <- nowhere 7", "a <- crash 7 8", "a <- crash -1"} {
		if _, err := parseRare(bad); err == nil {
			t.Errorf("%q is read", bad)
		}
	}
}

var checkRare = flag.Bool("rare", false, "make the runs that reached rare probes, and see whether they still do")

// What a seed does changes with the code. go test ./scenarios -run RareProbesAreReached -rare
// tells which lines of rare.txt need other runs.
func TestRareProbesAreReached(t *testing.T) {
	if !*checkRare {
		t.Skip("takes a while: -rare")
	}
	for _, p := range RareProbes() {
		for _, spec := range p.Runs {
			o, err := Run(spec, Watch{})
			if err != nil {
				t.Fatal(err)
			}
			if !o.reached(p.Name) {
				t.Errorf("%s seed %d does not reach %q", spec.Scenario, spec.Seed, p.Name)
			}
		}
	}
}
