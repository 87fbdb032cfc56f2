package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Two ways to look for a bug: one fresh seed after the other, and klamm hunt.
const (
	plainSearch  = "plain"
	guidedSearch = "guided"
)

// dependsOn is what code a campaign's outcome is a function of, by the way it searches.
// A hunt can be changed without making the plain campaigns once more.
var dependsOn = map[string][]string{
	plainSearch:  {"node", "sim", "netsim", "disksim", "scenarios", "checker", "go.mod"},
	guidedSearch: {"node", "sim", "netsim", "disksim", "scenarios", "checker", "go.mod", "internal/hunt", "cmd/klamm"},
}

// A comparison sends both ways after the same mutants in the same scenario, so many
// campaigns each. A campaign is made by one process at a time, so that what it comes to
// is a function of its seed and the binary; several campaigns go on side by side.
//
// A campaign's seeds are its own: the first of campaign i is i times the limit, plus one,
// and a plain campaign ends before the next one's first. Both ways begin at the same seed.
type comparison struct {
	hunter
	sideBySide int
	notes      *notes
	commits    map[string]string // by way to search
}

// compareAll makes the campaigns that nobody has noted yet for the code as it is.
func (o *options) compareAll(mutants []mutant) error {
	notes, err := openNotes(o.report)
	if err != nil {
		return err
	}
	defer notes.close()
	c := &comparison{hunter: o.hunter, sideBySide: max(o.jobs, 1), notes: notes, commits: map[string]string{}}
	c.jobs = 1
	for _, search := range []string{plainSearch, guidedSearch} {
		if c.commits[search], err = o.commitOf(dependsOn[search]); err != nil {
			return err
		}
	}
	for _, m := range mutants {
		if err := c.compare(m, strings.Split(o.compare, ",")); err != nil {
			return fmt.Errorf("%s: %w", m.Name, err)
		}
	}
	fmt.Print(notes.table(c.commits))
	return nil
}

// commitOf returns the commit that changed some paths last. What is not committed has none.
func (h *hunter) commitOf(paths []string) (string, error) {
	git := func(args ...string) (string, error) {
		out, err := exec.Command("git", slices.Concat([]string{"-C", h.root}, args, []string{"--"}, paths)...).Output()
		if err != nil {
			return "", fmt.Errorf("git %s: %w", args[0], err)
		}
		return strings.TrimSpace(string(out)), nil
	}
	changed, err := git("status", "--porcelain")
	if err == nil && changed != "" {
		err = fmt.Errorf("what is compared has to be committed:\n%s", changed)
	}
	if err != nil {
		return "", err
	}
	return git("log", "-1", "--format=%h")
}

// compare makes the campaigns of one mutant, the two of a number one after the other: cut
// at any time, there are about as many of each.
func (c *comparison) compare(m mutant, searches []string) error {
	var wanted []outcome
	for i := range c.campaigns {
		for _, search := range searches {
			o := outcome{
				Mutant: m.Name, Scenario: c.scenarios[0], Set: c.set, Search: search,
				Campaign: i, Limit: c.limit, Commit: c.commits[search],
			}
			if !c.notes.has(o) {
				wanted = append(wanted, o)
			}
		}
	}
	switch {
	case m.Repeat:
		return errors.New("what makes runs differ is no complaint of a judge, and klamm hunt does not look for it")
	case len(wanted) == 0:
		return nil
	}
	overlay, err := m.plant(c.root, c.dir)
	if err != nil {
		return err
	}
	binary := filepath.Join(c.dir, m.Name)
	if err := c.build(binary, "-overlay", overlay); err != nil {
		return err
	}
	return c.makeAll(binary, m, wanted)
}

// makeAll makes campaigns side by side, and notes each when it has ended. After an error
// it begins none.
func (c *comparison) makeAll(binary string, m mutant, wanted []outcome) error {
	var (
		mu      sync.Mutex
		trouble error
		running sync.WaitGroup
	)
	free := make(chan struct{}, c.sideBySide)
	for _, o := range wanted {
		free <- struct{}{}
		mu.Lock()
		stop := trouble != nil
		mu.Unlock()
		if stop {
			break
		}
		running.Go(func() {
			defer func() { <-free }()
			err := c.make(binary, m, &o)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				err = c.notes.add(o)
			}
			trouble = errors.Join(trouble, err)
		})
	}
	running.Wait()
	return trouble
}

// make makes one campaign: searches, each from the seed behind all that was tried, until
// one finds what the sound code does not do.
func (c *comparison) make(binary string, m mutant, o *outcome) error {
	search := c.plain
	if o.Search == guidedSearch {
		search = c.guided
	}
	o.First = o.Campaign*o.Limit + 1
	for o.Runs < o.Limit && !o.Found {
		made, err := search(binary, m, *o)
		if err != nil {
			return err
		}
		o.Runs += made.runs
		o.Seconds += made.took.Seconds()
		switch {
		case made.complained && made.sound:
			o.Found, o.Guarantee = true, made.guarantee
		case made.complained:
			o.Unsound++
		}
	}
	return nil
}

// A searched is what came of one search.
type searched struct {
	runs       int
	took       time.Duration // of processors
	complained bool          // a judge, about the last run
	sound      bool          // and not without the mutant
	guarantee  string
}

// plain runs one fresh seed after the other until one fails, or there are no more.
func (c *comparison) plain(binary string, m mutant, o outcome) (searched, error) {
	first := o.First + o.Runs
	report, err := c.run(binary, m, c.scenarios, first, o.Limit-o.Runs)
	if err != nil {
		return searched{}, err
	}
	var seeds campaign
	made := searched{runs: seeds.add(report), took: report.took}
	for _, f := range report.Failures {
		if !f.isComplaint(m) {
			continue
		}
		var found campaign
		err = errors.Join(err, c.consider(&found, m, f))
		made.complained, made.sound, made.guarantee = true, found.Found, found.Guarantee
	}
	return made, err
}

// guided has klamm hunt until it finds something, or may make no more runs.
func (c *comparison) guided(binary string, m mutant, o outcome) (searched, error) {
	file := filepath.Join(c.dir, fmt.Sprintf("%s-%d.yaml", m.Name, o.First+o.Runs))
	args := []string{"hunt", o.Scenario, "--seed", strconv.Itoa(o.First + o.Runs), "--runs", strconv.Itoa(o.Limit - o.Runs),
		"--jobs", "1", "--case", file, "-o", "json"}
	var report struct {
		Found     bool   `json:"found"`
		Verdict   string `json:"verdict"`
		Guarantee string `json:"guarantee"`
		Runs      int    `json:"runs"`
	}
	took, err := answerOf(binary, append(args, c.settings()...), &report)
	if err != nil {
		return searched{}, err
	}
	made := searched{runs: report.Runs, took: took, complained: report.Found, guarantee: report.Guarantee}
	switch {
	case report.Runs == 0:
		return made, fmt.Errorf("klamm hunt %s --seed %d made no run", o.Scenario, o.First+o.Runs)
	case !report.Found:
		return made, nil
	case made.guarantee == "":
		made.guarantee = report.Verdict
	}
	defer os.Remove(file)
	var without runReport
	_, err = answerOf(c.sound, []string{"run", file, "--jobs", "1", "-o", "json"}, &without)
	made.sound = len(without.Failures) == 0
	return made, err
}

// settings are the arguments that set what every run has.
func (h *hunter) settings() []string {
	var out []string
	for _, s := range h.set {
		out = append(out, "--set", s)
	}
	return out
}

// answerOf runs klamm and decodes the first JSON object that it prints; what it exits with
// does not matter then. It returns the time that processors worked for it.
func answerOf(binary string, args []string, answer any) (time.Duration, error) {
	var stderr bytes.Buffer
	cmd := exec.Command(binary, args...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return 0, err
	}
	if err := json.NewDecoder(bytes.NewReader(out)).Decode(answer); err != nil {
		return 0, fmt.Errorf("klamm %s: %w\n%s", strings.Join(args, " "), err, stderr.Bytes())
	}
	return cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), nil
}
