package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/klammlog/klamm/node"
	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/osenv"
)

// formatJSON is what format prints.
type formatJSON struct {
	Kind        string         `json:"_kind"`
	Version     int            `json:"_version"`
	ClusterID   string         `json:"cluster_id"`
	NodeID      kafka.NodeID   `json:"node_id"`
	Voters      string         `json:"voters,omitempty"`
	Already     bool           `json:"already_formatted"`
	Directories []formattedDir `json:"directories"`
}

// formattedDir is one log directory in it.
type formattedDir struct {
	Path string `json:"path"`
	ID   string `json:"directory_id"`
}

type formatFlags struct {
	nodeFlags
	clusterID string
	initial   string // voters
	ignore    bool
	output    string
}

func newFormatCommand() *cobra.Command {
	var f formatFlags
	cmd := &cobra.Command{
		Use:   "format",
		Short: "Write into log directories whose they are",
		Long: `Write a cluster's id and a node's number into every log directory, so that the node joins
no other cluster by mistake. Without --cluster-id a new one is drawn and printed: give
it to the other nodes. A node that was not formatted writes the same when it first
learns its cluster's id.

With --voters the controllers that the cluster begins with are written down, too: then
controller.quorum.voters can be left out of the configuration of the node, broker or
controller. One that names other ids is refused when the node starts; another address
of the same id is taken, for voters may move.

Directories with anything in them are refused, and so are those that are formatted
already, unless --ignore-formatted says that this is well if they are of the same node,
cluster and voters.`,
		Example: `  klamm format --data-dir data --node-id 1
  klamm format --data-dir data --node-id 1 --cluster-id MkU3OEVBNTcwNTJENDM2Qg \
    --voters 1@10.0.0.1:9093,2@10.0.0.2:9093,3@10.0.0.3:9093
  klamm format --config server.properties --cluster-id MkU3OEVBNTcwNTJENDM2Qg --ignore-formatted`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkOutput(f.output); err != nil {
				return err
			}
			pairs, err := f.pairs()
			if err != nil {
				return usage(err)
			}
			settings, err := config.NewBroker(pairs)
			if err != nil {
				return usage(err)
			}
			voters, err := parseVoters(f.initial)
			if err != nil {
				return usage(err)
			}
			j, err := f.format(settings, voters)
			if err != nil {
				return err
			}
			return f.print(cmd.OutOrStdout(), j)
		},
	}
	f.register(cmd)
	flags := cmd.Flags()
	flags.StringVar(&f.clusterID, "cluster-id", "", "the `ID` of the cluster; by default a new one")
	flags.StringVar(&f.initial, "voters", "", "the controllers that the cluster begins with, `ID@HOST:PORT[,ID@HOST:PORT...]`")
	flags.BoolVar(&f.ignore, "ignore-formatted", false, "succeed if that is what is written there already")
	outputFlag(cmd, &f.output)
	return cmd
}

// parseVoters reads ID@HOST:PORT[,ID@HOST:PORT...].
func parseVoters(text string) ([]config.Voter, error) {
	var voters []config.Voter
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item == "" {
			continue
		}
		v, err := config.ParseVoter(item)
		if err != nil {
			return nil, fmt.Errorf("--voters: %w", err)
		}
		if slices.ContainsFunc(voters, func(o config.Voter) bool { return o.ID == v.ID }) {
			return nil, fmt.Errorf("--voters: voter %d stands there twice", v.ID)
		}
		voters = append(voters, v)
	}
	if text != "" && len(voters) == 0 {
		return nil, fmt.Errorf("--voters %q: want ID@HOST:PORT[,ID@HOST:PORT...]", text)
	}
	return voters, nil
}

// format makes the directories, or leaves nothing behind.
func (f *formatFlags) format(settings *config.View, voters []config.Voter) (formatJSON, error) {
	j := formatJSON{Kind: "klamm.format", Version: 1, NodeID: kafka.NodeID(config.NodeID.In(settings))}
	dirs, undo, err := makeDirs(config.LogDirs.In(settings))
	if err != nil {
		return j, err
	}
	host, err := osenv.New(osenv.Options{LogDirs: dirs})
	if err != nil {
		undo()
		return j, fmt.Errorf("log directories %v: %w", dirs, err)
	}
	defer host.Close()
	var made []node.Identity
	err = host.Do(context.Background(), func() error {
		w := host.World()
		there, err := node.Identities(w)
		if err != nil {
			return err
		}
		if len(there) > 0 && !f.ignore {
			return advised{fmt.Sprintf("log directories are formatted already, for node %d of cluster %s: --ignore-formatted leaves them as they are",
				there[0].NodeID, there[0].ClusterID), nil}
		}
		j.Already = len(there) == len(dirs)
		made, err = node.Format(w, node.FormatOptions{NodeID: j.NodeID, ClusterID: f.clusterID, Voters: voters})
		return err
	})
	if err != nil {
		undo()
		return j, explainStart(err, settings)
	}
	for i, one := range made {
		j.ClusterID, j.Voters = one.ClusterID, one.Voters
		j.Directories = append(j.Directories, formattedDir{dirs[i], fmt.Sprintf("%x", one.Directory)})
	}
	return j, nil
}

func (f *formatFlags) print(out io.Writer, j formatJSON) error {
	if f.output == "json" {
		return printJSON(out, j)
	}
	told := "formatted"
	if j.Already {
		told = "already formatted"
	}
	among := ""
	if j.Voters != "" {
		among = ", voters " + j.Voters
	}
	for _, d := range j.Directories {
		if _, err := fmt.Fprintf(out, "%s %s: node %d of cluster %s%s\n", told, d.Path, j.NodeID, j.ClusterID, among); err != nil {
			return err
		}
	}
	return nil
}
