package main

import (
	"errors"
	"fmt"
	"testing"
)

func TestCodeOf(t *testing.T) {
	plain := errors.New("the disk is gone")
	for _, c := range []struct {
		name string
		err  error
		want int
	}{
		{"success", nil, 0},
		{"a failure", plain, 1},
		{"a mistake", usage(plain), 2},
		{"a wrapped mistake", fmt.Errorf("x: %w", usage(plain)), 2},
		{"a verdict", exitCode(exitStuck), 3},
		{"an interruption", errors.Join(nil, errInterrupted), 130},
		{"a judge's success", judging(nil), 0},
		{"a judge's verdict", judging(exitCode(exitViolated)), 1},
		{"a judge's own failure is no verdict", judging(plain), 70},
		{"a judge's mistake", judging(usage(plain)), 2},
		{"a judge's interruption", judging(errInterrupted), 130},
	} {
		if got := codeOf(c.err); got != c.want {
			t.Errorf("%s: exit code %d, want %d", c.name, got, c.want)
		}
	}
}
