package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/klammlog/klamm/node/client"
	"github.com/klammlog/klamm/node/kafka"
)

type balanceFlags struct {
	reassignFlags
	without string
	leaders bool
	yes     bool
}

func newClusterBalance() *cobra.Command {
	var f balanceFlags
	cmd := &cobra.Command{
		Use:   "balance",
		Short: "Spread partitions and leaders over the brokers",
		Long: `Plan how replicas and preferred leaders are spread over the brokers that are in use, with
few moves, and show the plan; with --yes carry it out and wait. A new broker gets its
share; --without takes everything off brokers that are to go.

--throttle bounds how many bytes a second each broker sends and takes of what is moved, as
that of klamm topic reassign does.

A partition stays in as many racks as it is. -o json prints the plan as a file for
klamm topic reassign --plan.`,
		Example: `  klamm cluster balance
  klamm cluster balance --yes
  klamm cluster balance --without 3 --yes --throttle 50000000
  klamm cluster balance -o json > plan.json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var without []kafka.NodeID
			if f.without != "" {
				var err error
				if without, err = parseIDs(f.without); err != nil {
					return usage(fmt.Errorf("--without %q: %w", f.without, err))
				}
				if f.leaders {
					return usage(errors.New("--without moves replicas, and --leaders none"))
				}
			}
			if err := f.checkThrottle(); err != nil {
				return usage(err)
			}
			return f.do(cmd, func(c *call) error { return f.run(cmd, c, without) })
		},
	}
	flags := cmd.Flags()
	flags.BoolVarP(&f.yes, "yes", "y", false, "carry the plan out")
	flags.StringVar(&f.without, "without", "", "take every replica off the brokers `ID[,ID...]`")
	flags.BoolVar(&f.leaders, "leaders", false, "only prefer other replicas as leaders, and move none")
	flags.BoolVar(&f.noWait, "no-wait", false, "with --yes: return as soon as the moves have begun")
	f.throttleFlag(flags)
	f.flags(cmd)
	return cmd
}

func (f *balanceFlags) run(cmd *cobra.Command, c *call, without []kafka.NodeID) error {
	t, err := c.topology()
	if err != nil {
		return err
	}
	for _, id := range without {
		if _, ok := t.broker(id); !ok {
			return fmt.Errorf("there is no broker %d", id)
		}
	}
	b := newBalancer(t, without)
	if !b.evacuate(without) {
		return fmt.Errorf("%d brokers are left: too few for the replicas that brokers %s have", len(b.brokers), joinNodes(without))
	}
	if !f.leaders {
		b.spread()
	}
	b.spreadLeaders()
	moves := b.plan()
	if !f.yes || len(moves) == 0 {
		status := "planned"
		if len(moves) == 0 {
			status = "nothing to move"
		}
		return f.printPlan(cmd.OutOrStdout(), moves, status)
	}
	if err := f.execute(cmd, c, moves); err != nil || f.noWait {
		return err
	}
	return c.letPreferredLead(moves)
}

// letPreferredLead elects the first replicas of what was moved. Blocks.
func (c *call) letPreferredLead(moves []move) error {
	tps := make([]kafka.TopicPartition, len(moves))
	for i, m := range moves {
		tps[i] = m.Partition
	}
	results, err := c.client.ElectLeaders(client.PreferredElection, tps, c.w.Now().Add(electionPatience))
	if err != nil {
		return err
	}
	for _, r := range results {
		if r.Err != nil && !errors.Is(r.Err, kafka.ErrElectionNotNeeded) {
			return r.Err
		}
	}
	return nil
}
