// Command mutants plants bugs that real systems had, one at a time, and reports
// whether klamm's own judges find them with ordinary seeds.
//
// The bugs are the *.mutant files in planted/, applied with go build -overlay: the
// shipped binary has no switch for any of them. A mutant whose scripted test
// passes with it planted does nothing, and is an error. A complaint counts only
// if the same run without the mutant earns none.
//
// With -compare it reports instead how many runs klamm hunt makes until it finds a
// mutant, and how many fresh seeds it takes.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// options are what the command line says.
type options struct {
	hunter
	sample int
	only   string
	report string
	list   bool
	script bool   // run the scripted tests, and hunt none
	cases  bool   // prove the mutants' cases, and hunt none
	binary string // write binaries into this folder, and hunt none

	compare string // ways to search that are compared, in one scenario; "": hunt with fresh seeds
}

func main() {
	var o options
	flag.IntVar(&o.campaigns, "campaigns", 3, "hunts per mutant, each from other seeds")
	flag.IntVar(&o.limit, "limit", 500, "seeds of each scenario per hunt")
	flag.IntVar(&o.jobs, "jobs", 0, "processes that make runs side by side; 0: one for each core")
	flag.IntVar(&o.sample, "sample", 0, "hunt only so many mutants, others each day, once each; 0 hunts all")
	flag.StringVar(&o.only, "only", "", "hunt only these mutants: names, with commas between")
	within := flag.String("scenarios", strings.Join(scenariosHunted, ","), "hunt with these scenarios: names, with commas between")
	flag.StringVar(&o.report, "o", "", "write the report to this `file`")
	flag.BoolVar(&o.list, "list", false, "list the mutants and hunt none")
	flag.BoolVar(&o.script, "scripted", false, "run the mutants' scripted tests and hunt none")
	flag.BoolVar(&o.cases, "cases", false, "prove that the mutants' cases show them, and hold without them, and hunt none")
	flag.StringVar(&o.binary, "build", "", "build klamm with each of the mutants into a binary of its name below this `folder`, and hunt none")
	flag.StringVar(&o.compare, "compare", "", "plain, guided or plain,guided: compare fresh seeds with klamm hunt, in one scenario; campaigns are noted in the file of -o, and those that are there not made again")
	set := flag.String("set", "", "with -compare: settings of every run, name=value, with commas between")
	flag.Parse()
	if *set != "" {
		o.set = strings.Split(*set, ",")
	}
	o.hunter.scenarios = strings.Split(*within, ",")
	if err := o.check(flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(2)
	}
	if err := o.run(); err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

// check returns what is wrong with the command line.
func (o *options) check(args []string) error {
	switch {
	case len(args) > 0:
		return fmt.Errorf("unexpected argument %q", args[0])
	case o.campaigns < 1 || o.limit < 1:
		return fmt.Errorf("-campaigns %d -limit %d: want at least 1", o.campaigns, o.limit)
	case o.jobs < 0 || o.sample < 0:
		return fmt.Errorf("-jobs %d -sample %d: want 0 or more", o.jobs, o.sample)
	case o.sample > 0 && o.only != "":
		return fmt.Errorf("-sample and -only exclude each other")
	case !slices.Contains([]string{"", plainSearch, guidedSearch, plainSearch + "," + guidedSearch}, o.compare):
		return fmt.Errorf("-compare %q: want plain, guided or plain,guided", o.compare)
	case o.compare != "" && (len(o.hunter.scenarios) != 1 || o.report == ""):
		return fmt.Errorf("-compare: want one scenario and a file, -scenarios and -o")
	case o.compare == "" && o.set != nil:
		return fmt.Errorf("-set is for -compare")
	}
	return nil
}

func (o *options) run() error {
	root, err := repository()
	if err != nil {
		return err
	}
	mutants, err := readMutants(filepath.Join(root, "internal/mutants/planted"))
	if err != nil {
		return err
	}
	if mutants, err = o.choose(mutants); err != nil {
		return err
	}
	if o.list {
		for _, m := range mutants {
			fmt.Printf("%-38s %s (%s)\n", m.Name, m.Mechanism, m.Source)
		}
		return nil
	}
	o.root = root
	if o.dir, err = os.MkdirTemp("", "klamm-mutants-"); err != nil {
		return err
	}
	defer os.RemoveAll(o.dir)
	if o.script {
		return o.testAll(mutants)
	}
	if o.binary != "" {
		return o.buildAll(mutants)
	}
	o.sound = filepath.Join(o.dir, "sound")
	if err := o.build(o.sound); err != nil {
		return err
	}
	if o.cases {
		return o.proveAll(mutants)
	}
	if o.compare != "" {
		return o.compareAll(mutants)
	}
	return o.huntAll(mutants)
}

// choose returns the mutants that the flags ask for.
func (o *options) choose(all []mutant) ([]mutant, error) {
	var chosen []mutant
	switch {
	case o.only != "":
		for _, name := range strings.Split(o.only, ",") {
			i := slices.IndexFunc(all, func(m mutant) bool { return m.Name == name })
			if i < 0 {
				return nil, fmt.Errorf("no mutant %q; -list tells which there are", name)
			}
			chosen = append(chosen, all[i])
		}
	case o.sample > 0:
		// Others each day, the same ones all day long.
		o.campaigns = 1
		day := int(time.Now().Unix() / 86400)
		for i := range min(o.sample, len(all)) {
			chosen = append(chosen, all[(day*o.sample+i)%len(all)])
		}
	default:
		chosen = all
	}
	return chosen, nil
}

// huntAll hunts one mutant after the other, and fails unless every one was found
// in every campaign.
func (o *options) huntAll(mutants []mutant) error {
	var trophies []trophy
	var missed []string
	for _, m := range mutants {
		t, err := o.hunt(m)
		if err != nil {
			return err
		}
		fmt.Println(t.line(o.limit))
		trophies = append(trophies, t)
		shown := t.Case == "" || t.Case == proven
		if !shown {
			fmt.Printf("%s: %s\n", m.Name, t.Case)
		}
		if t.found() < len(t.Campaigns) || !t.Scripted || !shown {
			missed = append(missed, m.Name)
		}
		// After each: a hunt takes long, and may be cut short.
		if o.report != "" {
			if err := os.WriteFile(o.report, []byte(render(trophies, len(mutants), o)), 0o644); err != nil {
				return err
			}
		}
	}
	if len(missed) > 0 {
		return fmt.Errorf("not found, or not shown by its scripted test or its case: %s", strings.Join(missed, ", "))
	}
	return nil
}

// buildAll builds a binary for each mutant, with a tag that tells which it is: no file asks
// for the tag, and whoever uses the binary as a canary looks for it.
func (o *options) buildAll(mutants []mutant) error {
	folder, err := filepath.Abs(o.binary)
	if err != nil {
		return err
	}
	for _, m := range mutants {
		overlay, err := m.plant(o.root, o.dir)
		if err != nil {
			return err
		}
		binary := filepath.Join(folder, m.Name)
		if err := o.build(binary, "-overlay", overlay, "-tags", m.tag()); err != nil {
			return fmt.Errorf("%s: %w", m.Name, err)
		}
		fmt.Println(binary)
	}
	return nil
}

// tag is the build tag of binaries into which the mutant is planted.
func (m mutant) tag() string { return "mutant_" + strings.ReplaceAll(m.Name, "-", "_") }

// testAll runs the scripted tests, and fails unless each fails with its mutant and
// only then.
func (o *options) testAll(mutants []mutant) error {
	var bad []string
	for _, m := range mutants {
		if m.Repeat {
			continue
		}
		overlay, err := m.plant(o.root, o.dir)
		if err != nil {
			return err
		}
		t := trophy{mutant: m}
		if t.Scripted, err = o.testFails(m, overlay); err != nil {
			fmt.Println(err)
		}
		fmt.Printf("%-46s %s %s\n", m.Name, m.Test[1], t.script())
		if !t.Scripted {
			bad = append(bad, m.Name)
		}
	}
	if len(bad) > 0 {
		return fmt.Errorf("scripted tests that say nothing: %s", strings.Join(bad, ", "))
	}
	return nil
}

func repository() (string, error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return "", fmt.Errorf("run it inside the repository: go list: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}
