package main

import (
	"fmt"
	"io"
	"time"
)

// printDeliveries prints what groups made of their records, and how soon after the
// heal they went on.
func (c *campaign) printDeliveries(out io.Writer) {
	lines := [][]string{{"GROUPS", "MODE", "OF THEM", "RECORDS", "MISSED", "AGAIN", "FIRST AFTER THE HEAL", "LONGEST", "OF A PARTITION"}}
	for _, name := range c.names {
		for _, d := range c.rows[name].Deliveries {
			lines = append(lines, []string{name, d.Mode, fmt.Sprint(d.Groups), fmt.Sprint(d.Records), fmt.Sprint(d.Missed), fmt.Sprint(d.Repeated),
				time.Duration(d.ResumedNanos).String(), time.Duration(d.LongestNanos).String(), time.Duration(d.EverywhereNanos).String()})
		}
	}
	if len(lines) > 1 {
		fmt.Fprintln(out)
		writeColumns(out, lines)
	}
}
