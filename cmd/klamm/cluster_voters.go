package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/klammlog/klamm/node/client"
	"github.com/klammlog/klamm/node/kafka"
)

// changedJSON is what commands print that change one thing.
type changedJSON struct {
	Kind    string `json:"_kind"`
	Version int    `json:"_version"`
	What    string `json:"what"`
	Status  string `json:"status"`
}

// printChanged says that something was changed.
func (r *remote) printChanged(out io.Writer, what, status string) error {
	if r.output == "json" {
		return printJSON(out, changedJSON{"klamm.changed", 1, what, status})
	}
	_, err := fmt.Fprintln(out, status, what)
	return err
}

func newClusterVoters() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "voters",
		Short: "Make controllers voters, and take them out",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newVotersAdd(), newVotersRemove())
	return cmd
}

type voterFlags struct {
	remote
	directory string
}

// voter reads the number and the directory of a voter.
func (f *voterFlags) voter(id string) (client.Voter, error) {
	n, err := strconv.ParseInt(id, 10, 32)
	if err != nil || n < 0 {
		return client.Voter{}, fmt.Errorf("%q: want the number of a controller", id)
	}
	v := client.Voter{ID: kafka.NodeID(n)}
	if f.directory == "" {
		return v, nil
	}
	b, err := hex.DecodeString(f.directory)
	if err != nil || len(b) != len(v.Directory) {
		return client.Voter{}, fmt.Errorf("--directory %q: want 32 hexadecimal digits", f.directory)
	}
	copy(v.Directory[:], b)
	return v, nil
}

// direct finds out the directory of a replica, if nobody says it: a voter is one
// with its disk. Blocks.
func (c *call) direct(v *client.Voter) error {
	if v.Directory != [16]byte{} {
		return nil
	}
	q, err := c.client.DescribeQuorum(c.deadline)
	if err != nil {
		return err
	}
	for _, r := range append(q.Voters, q.Observers...) {
		if r.ID == v.ID {
			v.Directory = r.Directory
			return nil
		}
	}
	return fmt.Errorf("nobody knows the directory of controller %d: name it with --directory, 'klamm format' and 'klamm inspect' tell it", v.ID)
}

func newVotersAdd() *cobra.Command {
	var f voterFlags
	var address, listener string
	cmd := &cobra.Command{
		Use:   "add ID",
		Short: "Let a controller vote that runs and follows",
		Long: `Let a controller vote. It is to run already, with --voters that name the present voters
and not itself: it waits for this. It learns the metadata log first, and votes when it has
caught up. Its directory is the one that 'klamm format' told.`,
		Example: `  klamm format --data-dir data --node-id 4 --cluster-id MkU3OEVBNTcwNTJENDM2Qg
  klamm serve --data-dir data --node-id 4 --controller-listen 10.0.0.4:9093 --voters 1@10.0.0.1:9093,... &
  klamm cluster voters add 4 --address 10.0.0.4:9093 --directory 5b02fcfa6a021e7cc9148d760992651b`,
		Args: oneArgument("the number of a controller"),
		RunE: func(cmd *cobra.Command, args []string) error {
			v, err := f.voter(args[0])
			if err != nil {
				return usage(err)
			}
			host, port, err := net.SplitHostPort(address)
			if err != nil {
				return usage(fmt.Errorf("--address %q: want HOST:PORT of its controller listener", address))
			}
			n, err := strconv.ParseUint(port, 10, 16)
			if err != nil || n == 0 {
				return usage(fmt.Errorf("--address %q: want HOST:PORT of its controller listener", address))
			}
			v.Host, v.Port, v.Listener = host, uint16(n), listener
			return f.do(cmd, func(c *call) error {
				if err := c.direct(&v); err != nil {
					return err
				}
				if err := c.client.AddVoter(v, c.deadline); err != nil {
					return err
				}
				return f.printChanged(cmd.OutOrStdout(), "voter "+args[0], "added")
			})
		},
	}
	cmd.Flags().StringVar(&address, "address", "", "where its controller listener is, `HOST:PORT`")
	cmd.Flags().StringVar(&listener, "listener", "CONTROLLER", "the `NAME` of that listener")
	cmd.Flags().StringVar(&f.directory, "directory", "", "the `ID` of its first log directory; by default the one that the cluster knows")
	f.flags(cmd)
	return cmd
}

func newVotersRemove() *cobra.Command {
	var f voterFlags
	cmd := &cobra.Command{
		Use:     "remove ID",
		Short:   "Let a controller vote no more",
		Example: `  klamm cluster voters remove 4`,
		Args:    oneArgument("the number of a controller"),
		RunE: func(cmd *cobra.Command, args []string) error {
			v, err := f.voter(args[0])
			if err != nil {
				return usage(err)
			}
			return f.do(cmd, func(c *call) error {
				if err := c.direct(&v); err != nil {
					return err
				}
				if err := c.client.RemoveVoter(v, c.deadline); err != nil {
					return err
				}
				return f.printChanged(cmd.OutOrStdout(), "voter "+args[0], "removed")
			})
		},
	}
	cmd.Flags().StringVar(&f.directory, "directory", "", "the `ID` of its first log directory; by default the one that the cluster knows")
	f.flags(cmd)
	return cmd
}

func newClusterUnregister() *cobra.Command {
	var r remote
	cmd := &cobra.Command{
		Use:   "unregister ID",
		Short: "Forget a broker that will not come back",
		Long: `Forget a broker that will not come back. It should have no replicas any more: see
klamm cluster balance --without.`,
		Example: `  klamm cluster unregister 3`,
		Args:    oneArgument("the number of a broker"),
		RunE: func(cmd *cobra.Command, args []string) error {
			n, err := strconv.ParseInt(args[0], 10, 32)
			if err != nil || n < 0 {
				return usage(fmt.Errorf("%q: want the number of a broker", args[0]))
			}
			return r.do(cmd, func(c *call) error {
				if err := c.client.UnregisterBroker(kafka.NodeID(n), c.deadline); err != nil {
					return err
				}
				return r.printChanged(cmd.OutOrStdout(), "broker "+args[0], "unregistered")
			})
		},
	}
	r.flags(cmd)
	return cmd
}

// featuresJSON is what cluster features prints.
type featuresJSON struct {
	Kind     string        `json:"_kind"`
	Version  int           `json:"_version"`
	Changed  string        `json:"changed,omitempty"`
	Features []featureJSON `json:"features"`
}

type featureFlags struct {
	remote
	set                       []string
	downgrade, unsafe, dryRun bool
}

func newClusterFeatures() *cobra.Command {
	var f featureFlags
	cmd := &cobra.Command{
		Use:   "features",
		Short: "Show and change the levels of features",
		Example: `  klamm cluster features
  klamm cluster features --set metadata.version=29 --dry-run`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			updates, err := f.updates()
			if err != nil {
				return usage(err)
			}
			return f.do(cmd, func(c *call) error { return f.run(cmd.OutOrStdout(), c, updates) })
		},
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&f.set, "set", nil, "the level a feature shall have, `NAME=LEVEL`; may be repeated")
	flags.BoolVar(&f.downgrade, "downgrade", false, "levels may go down where nothing is lost")
	flags.BoolVar(&f.unsafe, "unsafe", false, "levels may go down even if something is lost")
	flags.BoolVar(&f.dryRun, "dry-run", false, "only check whether the change could be made")
	f.flags(cmd)
	return cmd
}

func (f *featureFlags) updates() ([]client.FeatureUpdate, error) {
	if len(f.set) == 0 && (f.dryRun || f.downgrade || f.unsafe) {
		return nil, errors.New("nothing to change: use --set")
	}
	kind := client.UpgradeOnly
	if f.downgrade {
		kind = client.SafeDowngrade
	}
	if f.unsafe {
		kind = client.UnsafeDowngrade
	}
	var updates []client.FeatureUpdate
	for _, arg := range f.set {
		name, text, ok := strings.Cut(arg, "=")
		level, err := strconv.ParseInt(text, 10, 16)
		if !ok || name == "" || err != nil || level < 0 {
			return nil, fmt.Errorf("--set %q: want NAME=LEVEL", arg)
		}
		updates = append(updates, client.FeatureUpdate{Name: name, Level: int16(level), Downgrade: kind})
	}
	return updates, nil
}

func (f *featureFlags) run(out io.Writer, c *call, updates []client.FeatureUpdate) error {
	j := featuresJSON{Kind: "klamm.features", Version: 1, Features: []featureJSON{}}
	if len(updates) > 0 {
		mode := client.CarryOut
		if j.Changed = "yes"; f.dryRun {
			mode, j.Changed = client.OnlyValidate, "possible"
		}
		if err := c.client.UpdateFeatures(updates, mode, c.deadline); err != nil {
			return err
		}
	}
	features, err := c.client.Features(c.deadline)
	if err != nil {
		return err
	}
	lines := [][]string{{"FEATURE", "LEVEL", "SUPPORTED"}}
	for _, one := range features {
		j.Features = append(j.Features, featureJSON{one.Name, one.Level, one.Min, one.Max})
		lines = append(lines, []string{one.Name, strconv.Itoa(int(one.Level)), fmt.Sprintf("%d to %d", one.Min, one.Max)})
	}
	if f.output == "json" {
		return printJSON(out, j)
	}
	if j.Changed == "possible" {
		fmt.Fprintln(out, "the change could be made")
		return nil
	}
	return writeColumns(out, lines)
}
