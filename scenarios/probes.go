package scenarios

import (
	_ "embed"
	"strings"
)

// probesText lists the probes of node code, one a line; TestProbesAreListed keeps
// it true.
//
//go:embed probes.txt
var probesText string

// KnownProbes returns the names of all probes in node code, sorted.
func KnownProbes() []string { return strings.Split(strings.TrimSpace(probesText), "\n") }
