package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/klammlog/klamm/scenarios"
)

// contextLines is how many events before the first difference are shown.
const contextLines = 5

// explainDivergence makes a run twice more, each in a fresh process and with
// every event written out, and prints the first event that differs.
func explainDivergence(out io.Writer, spec scenarios.Spec) error {
	dir, err := os.MkdirTemp("", "klamm-diverged-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	var files []string
	for _, name := range []string{"first", "second"} {
		file := filepath.Join(dir, name)
		c, err := startCrew(1)
		if err != nil {
			return err
		}
		f := c.run(order{Spec: spec, Record: file})
		c.stop()
		if err := errors.Join(f.Died, textError(f.Error)); err != nil {
			return err
		}
		files = append(files, file)
	}
	return firstDifference(out, files[0], files[1])
}

func textError(s string) error {
	if s == "" {
		return nil
	}
	return errors.New(s)
}

// firstDifference prints where two recordings part, with the events before.
func firstDifference(out io.Writer, first, second string) error {
	a, err := os.Open(first)
	if err != nil {
		return err
	}
	defer a.Close()
	b, err := os.Open(second)
	if err != nil {
		return err
	}
	defer b.Close()
	ra, rb := bufio.NewReader(a), bufio.NewReader(b)
	var before []string
	for {
		la, erra := ra.ReadString('\n')
		lb, errb := rb.ReadString('\n')
		if la != lb {
			printDifference(out, before, la, lb)
			return nil
		}
		if erra != nil || errb != nil {
			fmt.Fprintln(out, "recorded, the two runs were the same; the difference does not show every time: repeat more often")
			return nil
		}
		if before = append(before, la); len(before) > contextLines {
			before = before[1:]
		}
	}
}

func printDifference(out io.Writer, before []string, a, b string) {
	fmt.Fprintln(out, "first diverging event (number, virtual time, what):")
	for _, line := range before {
		fmt.Fprintf(out, "    both  %s", line)
	}
	for _, side := range []struct{ name, line string }{{"first", a}, {"second", b}} {
		if side.line == "" {
			side.line = "(ended)"
		}
		fmt.Fprintf(out, "  %6s  %s\n", side.name, strings.TrimRight(side.line, "\n"))
	}
}
