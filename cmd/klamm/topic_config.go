package main

import (
	"fmt"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/klammlog/klamm/node/client"
	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/kafka"
)

// settingsJSON is what the config commands print.
type settingsJSON struct {
	Kind     string        `json:"_kind"`
	Version  int           `json:"_version"`
	Resource string        `json:"resource"` // topic, group, broker
	Name     string        `json:"name"`     // "" for every broker
	Changed  string        `json:"changed,omitempty"`
	Settings []settingJSON `json:"settings"`
}

// settingJSON is one setting in it.
type settingJSON struct {
	Name      string        `json:"name"`
	Value     *string       `json:"value"` // null: none, or not shown
	Source    string        `json:"source"`
	ReadOnly  bool          `json:"read_only,omitempty"`
	Sensitive bool          `json:"sensitive,omitempty"`
	Type      string        `json:"type,omitempty"`
	Doc       string        `json:"documentation,omitempty"`
	Synonyms  []synonymJSON `json:"synonyms"`
}

// synonymJSON is a place that sets a value.
type synonymJSON struct {
	Name   string  `json:"name"`
	Value  *string `json:"value"`
	Source string  `json:"source"`
}

// configFlags are what the config commands take.
type configFlags struct {
	remote
	set, add, subtract []string
	remove             []string
	all, dryRun        bool
}

func (f *configFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringArrayVar(&f.set, "set", nil, "set a setting, `NAME=VALUE`; may be repeated")
	flags.StringArrayVar(&f.remove, "delete", nil, "let the setting `NAME` fall back to what it is without being set; may be repeated")
	flags.StringArrayVar(&f.add, "append", nil, "append to a setting that is a list, `NAME=ITEM[,ITEM...]`; may be repeated")
	flags.StringArrayVar(&f.subtract, "subtract", nil, "take out of a setting that is a list, `NAME=ITEM[,ITEM...]`; may be repeated")
	flags.BoolVar(&f.dryRun, "dry-run", false, "only check whether the change could be made")
	flags.BoolVarP(&f.all, "all", "a", false, "show the settings that are at their defaults, too")
	f.flags(cmd)
}

func newTopicConfig() *cobra.Command {
	var f configFlags
	cmd := &cobra.Command{
		Use:   "config TOPIC",
		Short: "Show and change the settings of a topic",
		Long: `Show the settings of a topic that are not at their defaults, after changing them if
that is asked for. All changes are made, or none.

The source says who set a value: the topic, the broker or every broker while they
run, or the broker's configuration. 'klamm list configs' tells what settings mean.`,
		Example: `  klamm topic config orders
  klamm topic config orders --set retention.ms=86400000 --delete segment.ms
  klamm topic config orders --append cleanup.policy=compact --dry-run`,
		Args: oneArgument("the name of a topic"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.run(cmd, client.TopicSettings(args[0]))
		},
	}
	f.register(cmd)
	return cmd
}

func newGroupConfig() *cobra.Command {
	var f configFlags
	cmd := &cobra.Command{
		Use:   "config GROUP",
		Short: "Show and change the settings of a group",
		Long: `Show the settings of a group that are not at their defaults, after changing them if
that is asked for. All changes are made, or none. They act on members of the consumer
protocol, and may be made before there is such a group.

The source says who set a value: the group, or the configuration of the broker that
was asked. 'klamm list configs' tells what settings mean.`,
		Example: `  klamm group config readers --all
  klamm group config readers --set consumer.session.timeout.ms=60000`,
		Args: oneArgument("the name of a group"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.run(cmd, client.GroupSettings(args[0]))
		},
	}
	f.register(cmd)
	return cmd
}

func newBrokerCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "broker",
		Short: "Show and change the settings of brokers",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newBrokerConfig())
	return cmd
}

func newBrokerConfig() *cobra.Command {
	var f configFlags
	cmd := &cobra.Command{
		Use:   "config [ID]",
		Short: "Show and change the settings of a broker, or of all",
		Long: `Show the settings of a broker that are not at their defaults, after changing them if
that is asked for. Without an ID it is about what is set on every broker while they
run. All changes are made, or none.

Settings that cannot change while a broker runs are in its configuration: see
'klamm serve --help'. 'klamm list configs' tells what settings mean.`,
		Example: `  klamm broker config 1 --all
  klamm broker config 1 --set max.connections=1000
  klamm broker config --set log.retention.ms=86400000`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return f.run(cmd, client.EveryBroker)
			}
			id, err := strconv.ParseInt(args[0], 10, 32)
			if err != nil || id < 0 {
				return usage(fmt.Errorf("%q: want the number of a broker", args[0]))
			}
			return f.run(cmd, client.BrokerSettings(kafka.NodeID(id)))
		},
	}
	f.register(cmd)
	return cmd
}

// changes returns what the flags ask to be changed.
func (f *configFlags) changes() ([]config.Change, error) {
	var out []config.Change
	for _, flag := range []struct {
		name      string
		args      []string
		operation config.Operation
	}{{"--set", f.set, config.Set}, {"--append", f.add, config.Append}, {"--subtract", f.subtract, config.Subtract}} {
		for _, arg := range flag.args {
			p, err := parseSetting(flag.name, arg)
			if err != nil {
				return nil, err
			}
			out = append(out, config.Change{Name: p.Name, Operation: flag.operation, Value: &p.Value})
		}
	}
	for _, name := range f.remove {
		out = append(out, client.DeleteConfig(name))
	}
	if f.dryRun && len(out) == 0 {
		return nil, fmt.Errorf("--dry-run: nothing to change: use --set, --delete, --append or --subtract")
	}
	return out, nil
}

// run changes what is to be changed and shows what there is then. Blocks.
func (f *configFlags) run(cmd *cobra.Command, r client.Resource) error {
	changes, err := f.changes()
	if err != nil {
		return usage(err)
	}
	return f.do(cmd, func(c *call) error {
		if r.Type == client.TopicResource {
			if _, err := c.topic(r.Name); err != nil {
				return err
			}
		}
		report := settingsJSON{Kind: "klamm.settings", Version: 1, Resource: r.Type.String(), Name: r.Name}
		if len(changes) > 0 {
			if err := c.alter(r, changes, f.mode()); err != nil {
				return err
			}
			report.Changed = "yes"
			if f.dryRun {
				report.Changed = "possible"
			}
		}
		told, err := c.client.DescribeConfigs(client.DescribeConfigs{Resources: []client.Resource{r}, Synonyms: true, Docs: true}, c.deadline)
		if err == nil {
			err = told[0].Err
		}
		if err != nil {
			return err
		}
		report.Settings = f.shown(told[0].Settings)
		return f.print(cmd.OutOrStdout(), report)
	})
}

func (f *configFlags) mode() client.Mode {
	if f.dryRun {
		return client.OnlyValidate
	}
	return client.CarryOut
}

// alter changes settings of one resource. Blocks.
func (c *call) alter(r client.Resource, changes []config.Change, mode client.Mode) error {
	results, err := c.client.IncrementalAlterConfigs([]client.Alteration{{Resource: r, Changes: changes}}, mode, c.deadline)
	if err != nil {
		return err
	}
	return results[0].Err
}

// shown returns the settings that are to be shown.
func (f *configFlags) shown(settings []client.Setting) []settingJSON {
	out := []settingJSON{}
	for _, s := range settings {
		if s.Source == config.FromDefault && !f.all {
			continue
		}
		j := settingJSON{Name: s.Name, Value: s.Value, Source: s.Source.String(), ReadOnly: s.ReadOnly,
			Sensitive: s.Sensitive, Doc: s.Doc, Synonyms: []synonymJSON{}}
		if s.Type != 0 {
			j.Type = s.Type.String()
		}
		for _, y := range s.Synonyms {
			j.Synonyms = append(j.Synonyms, synonymJSON{y.Name, y.Value, y.Source.String()})
		}
		out = append(out, j)
	}
	return out
}

func (f *configFlags) print(out io.Writer, report settingsJSON) error {
	if f.output == "json" {
		return printJSON(out, report)
	}
	if report.Changed == "possible" {
		_, err := fmt.Fprintln(out, "the change could be made")
		return err
	}
	lines := [][]string{{"NAME", "VALUE", "SOURCE"}}
	for _, s := range report.Settings {
		value := "-"
		switch {
		case s.Value != nil:
			value = *s.Value
		case s.Sensitive:
			value = "(not shown)"
		}
		lines = append(lines, []string{s.Name, value, s.Source})
	}
	return writeColumns(out, lines)
}
