package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/klammlog/klamm/node/client/cluster"
)

// healthJSON is what health prints.
type healthJSON struct {
	Kind    string   `json:"_kind"`
	Version int      `json:"_version"`
	Asked   string   `json:"asked"` // live, ready, cluster
	Healthy bool     `json:"healthy"`
	Reasons []string `json:"reasons"` // why not
}

type healthFlags struct {
	remote
	live, ready, whole bool
	wait               time.Duration
}

func newHealthCommand() *cobra.Command {
	var f healthFlags
	cmd := &cobra.Command{
		Use:   "health",
		Short: "Tell by the exit code whether a node, or its cluster, is well",
		Long: `Ask the node at --bootstrap how it is.

  --live     it answers at all
  --ready    it is a broker that the controllers let take part, and knows who leads
             them; the default
  --cluster  every broker takes part, every partition has a leader and all of its
             replicas in sync, and the voters have the whole metadata log

Exit codes: 0 it is so; 1 it is not, and why is told in one line.`,
		Example: `  klamm health -b localhost:9092
  klamm health --live --timeout 2s -b localhost:9092
  klamm health --cluster --wait 1m`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			asked, err := f.asked()
			if err != nil {
				return usage(err)
			}
			return f.run(cmd, asked)
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&f.live, "live", false, "whether it answers at all")
	flags.BoolVar(&f.ready, "ready", false, "whether it takes part")
	flags.BoolVar(&f.whole, "cluster", false, "whether the whole cluster is well")
	flags.DurationVar(&f.wait, "wait", 0, "ask again until it is so, for so long")
	f.flags(cmd)
	return cmd
}

func (f *healthFlags) asked() (string, error) {
	asked := []string{}
	for _, a := range []struct {
		name string
		set  bool
	}{{"live", f.live}, {"ready", f.ready}, {"cluster", f.whole}} {
		if a.set {
			asked = append(asked, a.name)
		}
	}
	switch {
	case len(asked) > 1:
		return "", fmt.Errorf("--%s and --%s exclude each other", asked[0], asked[1])
	case f.wait < 0:
		return "", fmt.Errorf("--wait %v: not negative", f.wait)
	case len(asked) == 0:
		return "ready", nil
	}
	return asked[0], nil
}

// run asks until the answer is good, or the time is up.
func (f *healthFlags) run(cmd *cobra.Command, asked string) error {
	until := time.Now().Add(f.wait)
	for {
		j := healthJSON{Kind: "klamm.health", Version: 1, Asked: asked, Reasons: []string{}}
		err := f.do(cmd, func(c *call) (err error) {
			j.Reasons, err = c.ills(asked)
			return err
		})
		if errors.Is(err, errInterrupted) || codeOf(err) == exitUsage {
			return err
		}
		if err != nil {
			j.Reasons = append(j.Reasons, err.Error())
		}
		if j.Healthy = len(j.Reasons) == 0; j.Healthy || time.Now().After(until) {
			return f.print(cmd.OutOrStdout(), j)
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// ills returns why the answer is no; none means yes. Blocks.
func (c *call) ills(asked string) ([]string, error) {
	switch asked {
	case "live":
		return []string{}, nil // it was reached
	case "ready":
		return c.illsOfNode()
	}
	return c.illsOfCluster()
}

func (c *call) illsOfNode() ([]string, error) {
	id, known, err := c.client.Responder(c.deadline)
	if err != nil {
		return nil, err
	}
	ills := []string{}
	at := slices.IndexFunc(known.Brokers, func(b cluster.Broker) bool { return b.ID == id })
	switch {
	case at < 0:
		ills = append(ills, "the node is not registered as a broker")
	case known.Brokers[at].Fenced:
		ills = append(ills, fmt.Sprintf("broker %d is fenced: the controllers do not hear of it, or it has not caught up yet", id))
	}
	if known.Controller == cluster.NoNode {
		ills = append(ills, "the node knows no controller that leads")
	}
	return ills, nil
}

func (c *call) illsOfCluster() ([]string, error) {
	j, err := c.cluster()
	if err != nil {
		return nil, err
	}
	ills := []string{}
	for _, b := range j.Brokers {
		if b.Fenced {
			ills = append(ills, fmt.Sprintf("broker %d is fenced", b.ID))
		}
	}
	if j.Leaderless > 0 {
		ills = append(ills, fmt.Sprintf("%d partitions have no leader", j.Leaderless))
	}
	if n := len(j.Under) - j.Leaderless; n > 0 {
		ills = append(ills, fmt.Sprintf("%d partitions are under-replicated", n))
	}
	if q := j.Quorum; q != nil {
		if q.Leader == cluster.NoNode {
			ills = append(ills, "the controllers have no leader")
		}
		for _, v := range q.Voters {
			if v.Lag < 0 || v.Lag > maxHealthyLag {
				ills = append(ills, fmt.Sprintf("controller %d has not the whole metadata log", v.ID))
			}
		}
	}
	return ills, nil
}

// maxHealthyLag is how many entries of the metadata log a voter may lack and still
// count as keeping up.
const maxHealthyLag = 1000

// print tells the answer; a bad one is the error.
func (f *healthFlags) print(out io.Writer, j healthJSON) error {
	if f.output == "json" {
		if err := printJSON(out, j); err != nil || j.Healthy {
			return err
		}
		return exitCode(exitFailed) // the object has told it
	}
	if j.Healthy {
		_, err := fmt.Fprintln(out, map[string]string{"live": "live", "ready": "ready", "cluster": "healthy"}[j.Asked])
		return err
	}
	told := j.Reasons[0]
	for _, r := range j.Reasons[1:] {
		told += "; " + r
	}
	return errors.New(told)
}
