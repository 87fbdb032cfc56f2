// Command mutants plants bugs that real systems had, one at a time, and reports
// whether klamm's own judges find them with ordinary seeds.
//
// The bugs are the *.mutant files in planted/, applied with go build -overlay: the
// shipped binary has no switch for any of them. A mutant whose scripted test
// passes with it planted does nothing, and is an error.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

func main() {
	campaigns := flag.Int("campaigns", 3, "hunts per mutant, each from other seeds")
	limit := flag.Int("limit", 500, "seeds of each scenario per hunt")
	sample := flag.Int("sample", 0, "hunt only so many mutants, once each, and fail unless all are found; 0 hunts all")
	only := flag.String("only", "", "hunt only this mutant")
	report := flag.String("o", "", "write the report to this file")
	flag.Parse()
	if err := run(*campaigns, *limit, *sample, *only, *report); err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

func run(campaigns, limit, sample int, only, report string) error {
	root, err := repository()
	if err != nil {
		return err
	}
	mutants, err := readMutants(filepath.Join(root, "internal/mutants/planted"))
	if err != nil {
		return err
	}
	if sample > 0 {
		// Another sample each day, the same one all day long.
		day := int(time.Now().Unix() / 86400)
		var chosen []mutant
		for i := range min(sample, len(mutants)) {
			chosen = append(chosen, mutants[(day+i)%len(mutants)])
		}
		mutants, campaigns = chosen, 1
	}
	dir, err := os.MkdirTemp("", "klamm-mutants-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	var trophies []trophy
	for _, m := range mutants {
		if only != "" && m.Name != only {
			continue
		}
		t, err := hunt(m, root, dir, campaigns, limit)
		if err != nil {
			return err
		}
		fmt.Println(t.line(limit))
		trophies = append(trophies, t)
	}
	if report != "" {
		if err := os.WriteFile(report, []byte(render(trophies, root, campaigns, limit)), 0o644); err != nil {
			return err
		}
	}
	return missed(trophies)
}

// missed returns an error that names every mutant not found in some campaign.
func missed(trophies []trophy) error {
	var names []string
	for _, t := range trophies {
		found := t.Scripted
		for _, c := range t.Campaigns {
			found = found && c.Found
		}
		if !found {
			names = append(names, t.Name)
		}
	}
	if len(names) > 0 {
		return fmt.Errorf("not found: %s", strings.Join(names, ", "))
	}
	return nil
}

func repository() (string, error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	return strings.TrimSpace(string(out)), err
}

// line sums a trophy up.
func (t trophy) line(limit int) string {
	var seeds []int
	var judges, replay string
	found := 0
	for _, c := range t.Campaigns {
		n := limit
		if c.Found {
			n = c.Seeds
			found++
			replay = c.Replay
			if !strings.Contains(judges, c.Guarantee) {
				judges = strings.TrimPrefix(judges+", "+c.Guarantee, ", ")
			}
		}
		seeds = append(seeds, n)
	}
	scripted := "fails with it"
	switch {
	case t.Repeat:
		scripted = "none: runs are repeated and compared"
	case !t.Scripted:
		scripted = "PASSES with it"
	}
	return fmt.Sprintf("| `%s` | %s | %d/%d | %d | %s | %s | `%s` |", t.Name, t.Source, found, len(t.Campaigns),
		median(seeds), judges, scripted, replay)
}

func render(trophies []trophy, root string, campaigns, limit int) string {
	var b strings.Builder
	commit, _ := exec.Command("git", "-C", root, "rev-parse", "--short", "HEAD").Output()
	fmt.Fprintf(&b, "# Planted bugs, hunted\n\n")
	fmt.Fprintf(&b, "`go run ./internal/mutants -campaigns %d -limit %d -o results/mutants.md`, at commit %s.\n\n",
		campaigns, limit, strings.TrimSpace(string(commit)))
	fmt.Fprintf(&b, "Each mutant is a change to klamm's own code (`internal/mutants/planted`), planted with `go build -overlay` and hunted with\n")
	fmt.Fprintf(&b, "the ordinary scenarios %v, %d campaigns of up to %d seeds of each. *Seeds*: the median over campaigns of\n",
		scenariosHunted, campaigns, limit)
	fmt.Fprintf(&b, "how many seeds of each scenario it took. *Scripted*: a unit test of the mechanism, which must fail with the mutant planted.\n\n")
	fmt.Fprintln(&b, "| mutant | seen in | found | seeds | complained | scripted test | witness (in the mutant's binary) |")
	fmt.Fprintln(&b, "|---|---|---|---|---|---|---|")
	for _, t := range trophies {
		fmt.Fprintln(&b, t.line(limit))
	}
	fmt.Fprintln(&b, "\n## Mechanisms")
	fmt.Fprintln(&b)
	for _, t := range trophies {
		var virtual time.Duration
		for _, c := range t.Campaigns {
			virtual += c.Virtual
		}
		fmt.Fprintf(&b, "* `%s`: %s Virtual time of its hunts: %s.\n", t.Name, t.Mechanism, virtual.Round(time.Second))
	}
	return b.String()
}
