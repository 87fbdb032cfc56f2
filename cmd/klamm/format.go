package main

import (
	"context"
	"fmt"
	"io"

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

Directories with anything in them are refused, and so are those that are formatted
already, unless --ignore-formatted says that this is well if they are of the same node
and cluster. The controllers are not written down: they are in the configuration
(controller.quorum.voters).`,
		Example: `  klamm format --data-dir data --node-id 1
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
			j, err := f.format(settings)
			if err != nil {
				return err
			}
			return f.print(cmd.OutOrStdout(), j)
		},
	}
	f.register(cmd)
	flags := cmd.Flags()
	flags.StringVar(&f.clusterID, "cluster-id", "", "the `ID` of the cluster; by default a new one")
	flags.BoolVar(&f.ignore, "ignore-formatted", false, "succeed if that is what is written there already")
	outputFlag(cmd, &f.output)
	return cmd
}

// format makes the directories, or leaves nothing behind.
func (f *formatFlags) format(settings *config.View) (formatJSON, error) {
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
		made, err = node.Format(w, node.FormatOptions{NodeID: j.NodeID, ClusterID: f.clusterID})
		return err
	})
	if err != nil {
		undo()
		return j, explainStart(err, settings)
	}
	for i, one := range made {
		j.ClusterID = one.ClusterID
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
	for _, d := range j.Directories {
		if _, err := fmt.Fprintf(out, "%s %s: node %d of cluster %s\n", told, d.Path, j.NodeID, j.ClusterID); err != nil {
			return err
		}
	}
	return nil
}
