package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/klammlog/klamm/node/config"
)

// A nodeFlags is how the settings of one node are told.
type nodeFlags struct {
	file       string
	set        []string
	dataDir    string
	listen     string
	controller string
	roles      string
	voters     string
	nodeID     int32
}

// settingsHelp says where settings come from.
const settingsHelp = `Settings have Kafka's names. They come from --config, a properties file; then from the
environment, KLAMM_NODE_ID or KAFKA_NODE_ID for node.id and so on (a doubled underscore
is an underscore); then from --data-dir and the flags beside it; then from --set; the
later wins. Variables that are no settings are left alone. 'klamm list configs' tells
which settings there are.`

func (f *nodeFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.file, "config", "", "a properties `FILE` as Kafka's")
	flags.StringArrayVar(&f.set, "set", nil, "a setting, `NAME=VALUE`; may be repeated")
	flags.StringVar(&f.dataDir, "data-dir", "", "the directory of the logs (log.dirs)")
	flags.Int32Var(&f.nodeID, "node-id", -1, "the `NUMBER` of this node (node.id)")
}

// registerPlace adds the flags about a node's place in its cluster.
func (f *nodeFlags) registerPlace(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.listen, "listen", "", "where to take connections, `HOST:PORT` (listeners)")
	flags.StringVar(&f.controller, "controller-listen", "", "where controllers talk, `HOST:PORT` (CONTROLLER in listeners)")
	flags.StringVar(&f.roles, "roles", "", "broker, controller, or both by default (process.roles)")
	flags.StringVar(&f.voters, "voters", "", "the controllers, `ID@HOST:PORT[,ID@HOST:PORT...]` (controller.quorum.voters); by default this node alone")
}

// pairs returns what is set, the later winning.
func (f *nodeFlags) pairs() ([]config.Pair, error) {
	pairs := environment(os.Environ())
	if f.file == "" && f.dataDir == "" && !slices.ContainsFunc(pairs, func(p config.Pair) bool { return p.Name == "log.dirs" }) {
		return nil, errors.New("nothing says where the data is: use --data-dir DIR, or --config FILE")
	}
	if f.file != "" {
		b, err := os.ReadFile(f.file)
		if err != nil {
			return nil, err
		}
		written, err := config.ParseProperties(b)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.file, err)
		}
		pairs = append(written, pairs...)
	}
	add := func(name, value string) {
		if value != "" {
			pairs = append(pairs, config.Pair{Name: name, Value: value})
		}
	}
	add("log.dirs", f.dataDir)
	if f.nodeID >= 0 {
		add("node.id", fmt.Sprint(f.nodeID))
	}
	add("listeners", f.listeners())
	add("process.roles", f.roles)
	add("controller.quorum.voters", f.voters)
	set, err := parseSettings(f.set)
	return append(pairs, set...), err
}

func (f *nodeFlags) listeners() string {
	var all []string
	if f.listen != "" {
		all = append(all, "PLAINTEXT://"+f.listen)
	}
	if f.controller != "" {
		all = append(all, "CONTROLLER://"+f.controller)
	}
	return strings.Join(all, ",")
}

// environment returns the settings that the environment has, in the order of their
// names; KLAMM_ wins over KAFKA_.
func environment(environ []string) []config.Pair {
	var pairs []config.Pair
	environ = slices.Sorted(slices.Values(environ))
	for _, prefix := range []string{"KAFKA_", "KLAMM_"} {
		for _, entry := range environ {
			variable, value, _ := strings.Cut(entry, "=")
			rest, ok := strings.CutPrefix(variable, prefix)
			if !ok {
				continue
			}
			name := settingOf(rest)
			if _, ok := config.Lookup(config.Broker, name); ok {
				pairs = append(pairs, config.Pair{Name: name, Value: value})
			}
		}
	}
	return pairs
}

// settingOf returns the setting that a variable names, without its prefix.
func settingOf(variable string) string {
	parts := strings.Split(strings.ToLower(variable), "__")
	for i := range parts {
		parts[i] = strings.ReplaceAll(parts[i], "_", ".")
	}
	return strings.Join(parts, "_")
}

// parseSettings reads NAME=VALUE, in order.
func parseSettings(args []string) ([]config.Pair, error) {
	var pairs []config.Pair
	for _, arg := range args {
		p, err := parseSetting("--set", arg)
		if err != nil {
			return nil, err
		}
		pairs = append(pairs, p)
	}
	return pairs, nil
}

// parseSetting reads the NAME=VALUE of a flag.
func parseSetting(flag, arg string) (config.Pair, error) {
	name, value, ok := strings.Cut(arg, "=")
	if !ok || name == "" {
		return config.Pair{}, fmt.Errorf("%s %q: want NAME=VALUE", flag, arg)
	}
	return config.Pair{Name: name, Value: value}, nil
}
