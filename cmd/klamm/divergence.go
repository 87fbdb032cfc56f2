package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/klammlog/klamm/scenarios"
)

// contextLines is how many events before the first difference are shown, and how many of
// each side from it on.
const contextLines = 5

// A divergence is where two recordings part.
type divergence struct {
	Both   []string `json:"both"`   // the last lines that they have in common
	First  []string `json:"first"`  // what the first goes on with: nothing if it ends
	Second []string `json:"second"` // likewise
}

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
		if _, err := recordRun(context.Background(), order{Spec: spec, Record: file}, ""); err != nil {
			return err
		}
		files = append(files, file)
	}
	return firstDifference(out, files[0], files[1])
}

// recordRun makes a run in a fresh process of a klamm, this one if binary is empty, with
// every event written to the order's file.
func recordRun(ctx context.Context, o order, binary string) (scenarios.Result, error) {
	var f finding
	orders := make(chan order, 1)
	orders <- o
	close(orders)
	err := pool{binary: binary, jobs: 1, repeat: 1}.run(ctx, orders, func(made finding) bool { f = made; return true })
	return f.Result, errors.Join(err, f.Died, textError(f.Error))
}

func textError(s string) error {
	if s == "" {
		return nil
	}
	return errors.New(s)
}

// firstDifference prints where two recordings part, with the events before.
func firstDifference(out io.Writer, first, second string) error {
	d, err := divergenceOf(first, second, isEvent)
	if err != nil {
		return err
	}
	if d == nil {
		fmt.Fprintln(out, "recorded, the two runs were the same; the difference does not show every time: repeat more often")
		return nil
	}
	fmt.Fprintln(out, "first diverging event (number, virtual time, what):")
	d.print(out)
	return nil
}

// A lineReader says what of a recording's line is compared; false if the line is not.
type lineReader func(line string) (compared string, ok bool)

// isEvent takes the events of the hash chain.
func isEvent(line string) (string, bool) {
	_, seen := strings.CutPrefix(line, seenPrefix)
	return line, !seen
}

// isOldEvent takes those events that recordings of every version have: looks at clocks
// were not written down once.
func isOldEvent(line string) (string, bool) {
	words := strings.SplitN(line, " ", 4)
	_, event := isEvent(line)
	return line, event && !(len(words) == 4 && words[2] == "clock")
}

// isSeen takes what nodes traced and logged, whenever it was.
func isSeen(line string) (string, bool) {
	rest, seen := strings.CutPrefix(line, seenPrefix)
	_, what, _ := strings.Cut(rest, " ")
	return what, seen
}

// seenPrefix begins the lines of a recording that are no events of the chain.
const seenPrefix = "seen "

// divergenceOf returns where two recordings part, nil if they do not.
func divergenceOf(first, second string, read lineReader) (*divergence, error) {
	var lines [2]*recording
	for i, name := range []string{first, second} {
		file, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		lines[i] = &recording{in: bufio.NewReaderSize(file, 1<<16), read: read}
	}
	d := &divergence{Both: []string{}, First: []string{}, Second: []string{}}
	for {
		a, whatA, erra := lines[0].next()
		b, whatB, errb := lines[1].next()
		if err := errors.Join(notEOF(erra), notEOF(errb)); err != nil {
			return nil, err
		}
		switch {
		case erra != nil && errb != nil:
			return nil, nil
		case erra == nil && errb == nil && whatA == whatB:
			if d.Both = append(d.Both, a); len(d.Both) > contextLines {
				d.Both = d.Both[1:]
			}
			continue
		}
		d.First = lines[0].some(a, erra)
		d.Second = lines[1].some(b, errb)
		return d, nil
	}
}

func notEOF(err error) error {
	if err == io.EOF {
		return nil
	}
	return err
}

// A recording is read line by line, those that are not compared left out.
type recording struct {
	in   *bufio.Reader
	read lineReader
}

// next returns the next line, and what of it is compared; io.EOF behind the last.
func (r *recording) next() (line, compared string, err error) {
	for {
		line, err = r.in.ReadString('\n')
		if line == "" {
			return "", "", err
		}
		line = strings.TrimSuffix(line, "\n")
		if compared, ok := r.read(line); ok {
			return line, compared, nil
		}
	}
}

// some returns a line and those behind it, up to contextLines.
func (r *recording) some(line string, err error) []string {
	out := []string{}
	for err == nil && len(out) < contextLines {
		out = append(out, line)
		line, _, err = r.next()
	}
	return out
}

// print prints the divergence.
func (d *divergence) print(out io.Writer) {
	for _, line := range d.Both {
		fmt.Fprintf(out, "    both  %s\n", strings.TrimPrefix(line, seenPrefix))
	}
	for _, side := range []struct {
		name  string
		lines []string
	}{{"first", d.First}, {"second", d.Second}} {
		for _, line := range side.lines {
			fmt.Fprintf(out, "  %6s  %s\n", side.name, strings.TrimPrefix(line, seenPrefix))
		}
		if len(side.lines) == 0 {
			fmt.Fprintf(out, "  %6s  (ended)\n", side.name)
		}
	}
}
