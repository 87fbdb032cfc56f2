//go:build linux

package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// A figure is what was measured of one thing, round by round.
type figure []float64

func (f *figure) add(v float64) { *f = append(*f, v) }

func (f figure) median() float64 {
	if len(f) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(f))
	return s[len(s)/2]
}

// text prints the median and the spread, divided by unit.
func (f figure) text(unit float64) string {
	if len(f) == 0 {
		return "-"
	}
	return fmt.Sprintf("%s (%s–%s)", short(f.median()/unit), short(slices.Min(f)/unit), short(slices.Max(f)/unit))
}

// short prints three digits.
func short(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	case v >= 0.1 || v == 0:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.2g", v)
}

// A table is printed in Markdown.
type table struct {
	columns []string
	rows    [][]string
}

func newTable(columns ...string) *table { return &table{columns: columns} }

func (t *table) row(cells ...string) { t.rows = append(t.rows, cells) }

// print writes the table below a heading and a sentence.
func (t *table) print(w io.Writer, heading, sentence string) {
	fmt.Fprintf(w, "\n## %s\n\n%s\n\n", heading, sentence)
	fmt.Fprintf(w, "| %s |\n|%s\n", strings.Join(t.columns, " | "), strings.Repeat("---|", len(t.columns)))
	for _, r := range t.rows {
		fmt.Fprintf(w, "| %s |\n", strings.Join(r, " | "))
	}
}
