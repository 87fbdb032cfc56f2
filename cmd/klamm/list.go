package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"

	"github.com/klammlog/klamm/node/api"
	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/scenarios"
	"github.com/spf13/cobra"
)

// An item is one line of a list.
type item struct {
	Name  string `json:"name"`
	About string `json:"about,omitempty"`
}

// lists are what this binary can tell of itself.
var lists = []struct {
	name, about string
	items       func() []item
}{
	{"scenarios", "what can be run", listScenarios},
	{"faults", "fault families, and the scenarios that may draw them", listFaults},
	{"guarantees", "what is judged", listGuarantees},
	{"bounds", "limits of what a node holds, which every run keeps an eye on", listBounds},
	{"probes", "rare situations that node code marks", listProbes},
	{"buggify", "places where node code may do what is legal and unlucky", listPoints},
	{"configs", "settings of broker and topic, with their defaults", listConfigs},
	{"apis", "Kafka APIs that are served, with their versions", listAPIs},
}

func newListCommand() *cobra.Command {
	var output string
	var kinds []string
	for _, l := range lists {
		kinds = append(kinds, l.name)
	}
	cmd := &cobra.Command{
		Use:       "list {scenarios|faults|guarantees|bounds|probes|buggify|configs|apis}",
		Short:     "Tell what this binary can do",
		Args:      oneOf(kinds...),
		ValidArgs: kinds,
		RunE: func(cmd *cobra.Command, args []string) error {
			if output != "text" && output != "json" {
				return usage(fmt.Errorf("--output %q: want text or json", output))
			}
			return printList(cmd.OutOrStdout(), args[0], output)
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "text", "text or json")
	return cmd
}

func printList(out io.Writer, name, output string) error {
	for _, l := range lists {
		if l.name != name {
			continue
		}
		items := l.items()
		if output == "json" {
			enc := json.NewEncoder(out)
			enc.SetIndent("", "  ")
			return enc.Encode(struct {
				Kind    string `json:"_kind"`
				Version int    `json:"_version"`
				List    string `json:"list"`
				Items   []item `json:"items"`
			}{"klamm.list", 1, name, items})
		}
		var lines [][]string
		for _, i := range items {
			lines = append(lines, []string{i.Name, i.About})
		}
		if len(lines) > 0 {
			return writeColumns(out, lines)
		}
	}
	return nil
}

func listScenarios() (out []item) {
	for _, s := range scenarios.All() {
		out = append(out, item{s.Name, s.About})
	}
	return out
}

func listFaults() (out []item) {
	for _, f := range scenarios.Faults() {
		out = append(out, item{string(f.Family), fmt.Sprintf("%s %v", f.About, f.Scenarios)})
	}
	return out
}

func listGuarantees() (out []item) {
	for _, g := range scenarios.Guarantees() {
		out = append(out, item{Name: g.Name, About: g.Promise})
	}
	return out
}

func listBounds() (out []item) {
	for _, b := range scenarios.Bounds() {
		out = append(out, item{b.Name, b.About})
	}
	return out
}

func listProbes() (out []item) {
	rare := scenarios.RareProbes()
	for _, name := range scenarios.KnownProbes() {
		i := item{Name: name}
		if at := slices.IndexFunc(rare, func(p scenarios.RareProbe) bool { return p.Name == name }); at >= 0 {
			i.About = "rarely"
			for _, spec := range rare[at].Runs {
				i.About += fmt.Sprintf(", by %s seed %d", spec.Scenario, spec.Seed)
			}
		}
		out = append(out, i)
	}
	return out
}

func listPoints() (out []item) {
	for _, p := range scenarios.KnownPoints() {
		out = append(out, item{Name: p})
	}
	return out
}

func listConfigs() (out []item) {
	for _, scope := range []config.Scope{config.Broker, config.Topic, config.Group} {
		for _, s := range config.Settings(scope) {
			value := "default " + s.Default
			if s.Optional {
				value = "unset by default"
			}
			if scope == config.Broker && s.Dynamic {
				value += ", may change while the node runs"
			}
			out = append(out, item{s.Name, fmt.Sprintf("%s, %s, %s. %s", scope, s.Type, value, s.Doc)})
		}
	}
	return out
}

func listAPIs() (out []item) {
	for _, a := range api.APIs() {
		out = append(out, item{a.Name, fmt.Sprintf("key %d, versions %d to %d", a.Key, a.Min, a.Max)})
	}
	return out
}
