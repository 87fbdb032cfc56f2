package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/klammlog/klamm/node/client"
	"github.com/klammlog/klamm/node/client/cluster"
	"github.com/klammlog/klamm/node/kafka"
)

// planJSON is a plan, and what topic reassign and cluster balance print. Kafka's
// tools read and write the same file, and need no more than topic, partition and
// replicas of each.
type planJSON struct {
	Kind       string     `json:"_kind,omitempty"`
	Version    int        `json:"_version,omitempty"`
	Format     int        `json:"version"` // of Kafka's file: 1
	Status     string     `json:"status,omitempty"`
	Partitions []moveJSON `json:"partitions"`
}

// moveJSON is one partition in it.
type moveJSON struct {
	Topic     string         `json:"topic"`
	Partition int32          `json:"partition"`
	Replicas  []kafka.NodeID `json:"replicas"`
	From      []kafka.NodeID `json:"from,omitempty"`
	Adding    []kafka.NodeID `json:"adding,omitempty"`
	Removing  []kafka.NodeID `json:"removing,omitempty"`
	Status    string         `json:"status,omitempty"` // failed, unknown
	Error     string         `json:"error,omitempty"`
}

type reassignFlags struct {
	remote
	plan       string
	replicas   string
	partitions []int32
	cancel     bool
	list       bool
	dryRun     bool
	noWait     bool
	throttle   int64
	unthrottle bool
}

func newTopicReassign() *cobra.Command {
	var f reassignFlags
	cmd := &cobra.Command{
		Use:   "reassign [TOPIC...]",
		Short: "Move the replicas of partitions to other brokers",
		Long: `Move the replicas of partitions to other brokers, while they are written and read, and
wait until they are there. The first replica of a partition is its preferred leader.

With --replicas a list of brokers is given to every partition of the topics, each one
beginning with the next broker, so that leaders are spread; with --partition the
partition gets the list as it stands. --plan reads a file of JSON, as klamm cluster
balance -o json and Kafka's tools write it.

A signal ends the waiting, not the move: --list shows what is under way, --cancel puts
it back.

--throttle bounds how many bytes a second each broker sends and takes of what is moved,
beside what replicas in sync need; choose more than what is written meanwhile. As Kafka's
tools do, it sets leader.replication.throttled.rate and follower.replication.throttled.rate
of the brokers and leader.replication.throttled.replicas and
follower.replication.throttled.replicas of the topics, in the place of what was set there,
and removes all four when the moves have ended. After a signal they stay: --unthrottle
removes them from the topics, or from all, and from every broker.`,
		Example: `  klamm topic reassign orders --replicas 1,2,3
  klamm topic reassign orders --partition 4 --replicas 3,1 --no-wait
  klamm topic reassign --plan plan.json --throttle 50000000
  klamm topic reassign --list
  klamm topic reassign orders --cancel
  klamm topic reassign --unthrottle`,
		RunE: func(cmd *cobra.Command, names []string) error {
			if err := f.check(names); err != nil {
				return usage(err)
			}
			return f.talk(cmd, endAtOnce, func(c *call) error { return f.run(cmd, c, names) })
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.plan, "plan", "", "read where partitions shall lie from `FILE`; -: standard input")
	flags.StringVarP(&f.replicas, "replicas", "r", "", "the brokers that shall have the partitions, `ID[,ID...]`")
	flags.Int32SliceVarP(&f.partitions, "partition", "p", nil, "these partitions of the topic only")
	flags.BoolVar(&f.cancel, "cancel", false, "put back what is under way")
	flags.BoolVar(&f.list, "list", false, "show what is under way")
	flags.BoolVar(&f.unthrottle, "unthrottle", false, "remove what --throttle has set")
	f.throttleFlag(flags)
	flags.BoolVar(&f.dryRun, "dry-run", false, "only show what would be moved")
	flags.BoolVar(&f.noWait, "no-wait", false, "return as soon as the move has begun")
	f.flags(cmd)
	return cmd
}

func (f *reassignFlags) throttleFlag(flags *pflag.FlagSet) {
	flags.Int64Var(&f.throttle, "throttle", 0, "move no more than so many `BYTES` a second from and to each broker; 0: as fast as can be")
}

// checkThrottle looks at the flags about how fast to move.
func (f *reassignFlags) checkThrottle() error {
	switch {
	case f.throttle < 0:
		return fmt.Errorf("--throttle %d: want bytes a second", f.throttle)
	case f.throttle > 0 && f.noWait:
		return errors.New("--throttle is removed when the moves have ended: want no --no-wait")
	case f.throttle > 0 && (f.cancel || f.list || f.unthrottle):
		return errors.New("--throttle is for --replicas and --plan")
	}
	return nil
}

func (f *reassignFlags) check(names []string) error {
	ways := 0
	for _, way := range []bool{f.plan != "", f.replicas != "", f.cancel, f.list, f.unthrottle} {
		if way {
			ways++
		}
	}
	switch {
	case ways != 1:
		return errors.New("want one of --replicas, --plan, --cancel, --list and --unthrottle")
	case f.plan != "" && len(names) > 0:
		return errors.New("--plan says which topics: want none besides")
	case f.replicas != "" && len(names) == 0:
		return errors.New("--replicas: want the name of a topic")
	case len(f.partitions) > 0 && len(names) != 1:
		return errors.New("--partition: want the name of one topic")
	}
	return f.checkThrottle()
}

func (f *reassignFlags) run(cmd *cobra.Command, c *call, names []string) error {
	if f.unthrottle {
		return c.unthrottle(names)
	}
	if f.list || f.cancel {
		moving, err := c.moving(names, f.partitions)
		if err != nil {
			return err
		}
		if f.list {
			return f.printMoving(cmd.OutOrStdout(), moving)
		}
		return f.cancelAll(cmd, c, moving)
	}
	moves, err := f.moves(cmd, c, names)
	if err != nil {
		return err
	}
	if f.dryRun {
		return f.printPlan(cmd.OutOrStdout(), moves, "planned")
	}
	return f.execute(cmd, c, moves)
}

// moves returns what is asked for and not yet so.
func (f *reassignFlags) moves(cmd *cobra.Command, c *call, names []string) ([]move, error) {
	if f.plan != "" {
		return c.readPlan(f.plan, cmd.InOrStdin())
	}
	ids, err := parseIDs(f.replicas)
	if err != nil {
		return nil, usage(fmt.Errorf("--replicas %q: %w", f.replicas, err))
	}
	t, err := c.topology(names...)
	if err != nil {
		return nil, err
	}
	var moves []move
	t.each(func(tp kafka.TopicPartition, p cluster.Partition) {
		to := append(slices.Clone(ids[int(tp.Partition)%len(ids):]), ids[:int(tp.Partition)%len(ids)]...)
		if len(f.partitions) > 0 {
			to = ids
		}
		if len(f.partitions) == 0 || slices.Contains(f.partitions, tp.Partition) {
			moves = append(moves, move{tp, p.Replicas, to})
		}
	})
	for _, p := range f.partitions {
		if !slices.ContainsFunc(moves, func(m move) bool { return m.Partition.Partition == p }) {
			return nil, fmt.Errorf("%s: there is no partition %d", names[0], p)
		}
	}
	return changes(moves), nil
}

// changes leaves out the moves to where a partition is.
func changes(moves []move) []move {
	return slices.DeleteFunc(moves, func(m move) bool { return slices.Equal(m.From, m.To) })
}

// parseIDs reads the numbers of brokers, without doubles.
func parseIDs(text string) ([]kafka.NodeID, error) {
	var ids []kafka.NodeID
	for _, part := range strings.Split(text, ",") {
		n, err := strconv.ParseInt(strings.TrimSpace(part), 10, 32)
		if err != nil || n < 0 {
			return nil, fmt.Errorf("%q is not the number of a broker", part)
		}
		if slices.Contains(ids, kafka.NodeID(n)) {
			return nil, fmt.Errorf("broker %d stands there twice", n)
		}
		ids = append(ids, kafka.NodeID(n))
	}
	return ids, nil
}

// maxPlan bounds the size of a plan: about a million partitions.
const maxPlan = 64 << 20

// readPlan reads a plan and finds out where its partitions are. Blocks.
func (c *call) readPlan(name string, in io.Reader) ([]move, error) {
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return nil, usage(err)
		}
		defer file.Close()
		in = file
	}
	var plan planJSON
	if err := json.NewDecoder(io.LimitReader(in, maxPlan)).Decode(&plan); err != nil {
		return nil, usage(fmt.Errorf("plan %s: %w", name, err))
	}
	if len(plan.Partitions) == 0 {
		return nil, usage(fmt.Errorf("plan %s: no partitions", name))
	}
	t, err := c.topology()
	if err != nil {
		return nil, err
	}
	at := map[kafka.TopicPartition][]kafka.NodeID{}
	t.each(func(tp kafka.TopicPartition, p cluster.Partition) { at[tp] = p.Replicas })
	var moves []move
	for _, p := range plan.Partitions {
		tp := kafka.TopicPartition{Topic: p.Topic, Partition: p.Partition}
		if at[tp] == nil {
			return nil, fmt.Errorf("plan %s: there is no %s", name, tp)
		}
		if len(p.Replicas) == 0 {
			return nil, usage(fmt.Errorf("plan %s: %s has no replicas", name, tp))
		}
		moves = append(moves, move{tp, at[tp], p.Replicas})
	}
	return changes(moves), nil
}

// moving returns what is under way of some topics, or of all. Blocks.
func (c *call) moving(names []string, partitions []int32) ([]client.Moving, error) {
	all, err := c.client.ListPartitionReassignments(nil, c.deadline)
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(m client.Moving) bool {
		return len(names) > 0 && !slices.Contains(names, m.Partition.Topic) ||
			len(partitions) > 0 && !slices.Contains(partitions, m.Partition.Partition)
	})
	slices.SortFunc(all, func(a, b client.Moving) int { return compareTP(a.Partition, b.Partition) })
	return all, nil
}

func (f *reassignFlags) cancelAll(cmd *cobra.Command, c *call, moving []client.Moving) error {
	moves := make([]move, len(moving))
	for i, m := range moving {
		moves[i] = move{Partition: m.Partition, From: m.Replicas}
	}
	if len(moves) == 0 {
		return f.printPlan(cmd.OutOrStdout(), nil, "nothing to cancel")
	}
	results, err := c.client.AlterPartitionReassignments(reassignments(moves), c.deadline)
	if err != nil {
		return err
	}
	return f.printFates(cmd.OutOrStdout(), moves, results, "cancelled")
}

// execute begins the moves, and waits for them unless it is not to. Blocks.
func (r *reassignFlags) execute(cmd *cobra.Command, c *call, moves []move) error {
	if len(moves) == 0 {
		return r.printPlan(cmd.OutOrStdout(), nil, "nothing to move")
	}
	if err := r.slow(c, moves); err != nil {
		return errors.Join(err, r.unslow(c, moves))
	}
	results, err := c.client.AlterPartitionReassignments(reassignments(moves), c.deadline)
	if err != nil {
		return errors.Join(err, r.unslow(c, moves))
	}
	if r.noWait {
		return r.printFates(cmd.OutOrStdout(), moves, results, "begun")
	}
	var begun []move
	for i, m := range moves {
		if results[i].Err == nil {
			begun = append(begun, m)
		}
	}
	err = c.awaitMoves(cmd.ErrOrStderr(), begun)
	if err := errors.Join(err, r.unslow(c, moves)); err != nil {
		return err
	}
	return r.printFates(cmd.OutOrStdout(), moves, results, "moved")
}

// awaitMoves waits until partitions are where they are to be, and says how many
// are when that changes. Blocks.
func (c *call) awaitMoves(out io.Writer, moves []move) error {
	last := -1
	for {
		moving, err := c.client.ListPartitionReassignments(nil, c.w.Now().Add(time.Minute))
		if err != nil {
			return err
		}
		under := 0
		for _, m := range moves {
			if slices.ContainsFunc(moving, func(o client.Moving) bool { return o.Partition == m.Partition }) {
				under++
			}
		}
		if under == 0 {
			return c.checkMoves(moves)
		}
		if under != last {
			fmt.Fprintf(out, "klamm: %d of %d partitions are where they shall be\n", len(moves)-under, len(moves))
			last = under
		}
		if err := c.w.Sleep(200 * time.Millisecond); err != nil {
			return err
		}
	}
}

// checkMoves makes sure that what is not under way any more has not been cancelled.
// The broker that is asked may have to hear of it yet. Blocks.
func (c *call) checkMoves(moves []move) error {
	deadline := c.w.Now().Add(10 * time.Second)
	for {
		t, err := c.topology()
		if err != nil {
			return err
		}
		var wrong error
		at := map[kafka.TopicPartition][]kafka.NodeID{}
		t.each(func(tp kafka.TopicPartition, p cluster.Partition) { at[tp] = p.Replicas })
		for _, m := range moves {
			if !slices.Equal(at[m.Partition], m.To) && wrong == nil {
				wrong = fmt.Errorf("%s lies on brokers %s, not on %s: the move was cancelled, or another took its place",
					m.Partition, joinNodes(at[m.Partition]), joinNodes(m.To))
			}
		}
		if wrong == nil || c.w.Now() > deadline {
			return wrong
		}
		if err := c.w.Sleep(100 * time.Millisecond); err != nil {
			return err
		}
	}
}

func (r *remote) printMoving(out io.Writer, moving []client.Moving) error {
	if r.output == "json" {
		j := planJSON{Kind: "klamm.plan", Version: 1, Format: 1, Status: "under way", Partitions: []moveJSON{}}
		for _, m := range moving {
			j.Partitions = append(j.Partitions, moveJSON{Topic: m.Partition.Topic, Partition: m.Partition.Partition,
				Replicas: m.Replicas, Adding: m.Adding, Removing: m.Removing})
		}
		return printJSON(out, j)
	}
	lines := [][]string{{"PARTITION", "REPLICAS", "ADDING", "REMOVING"}}
	for _, m := range moving {
		lines = append(lines, []string{m.Partition.String(), joinNodes(m.Replicas), nodesCell(m.Adding), nodesCell(m.Removing)})
	}
	return writeColumns(out, lines)
}

// printPlan prints moves of which nothing else is to be said.
func (r *remote) printPlan(out io.Writer, moves []move, status string) error {
	results := make([]client.PartitionResult, len(moves))
	return r.printFates(out, moves, results, status)
}

// printFates prints what became of moves; status is that of those that did not
// fail. It fails if one failed.
func (r *remote) printFates(out io.Writer, moves []move, results []client.PartitionResult, status string) error {
	j := planJSON{Kind: "klamm.plan", Version: 1, Format: 1, Status: status, Partitions: []moveJSON{}}
	lines := [][]string{{"PARTITION", "FROM", "TO", "STATUS"}}
	var failed error
	for i, m := range moves {
		one := moveJSON{Topic: m.Partition.Topic, Partition: m.Partition.Partition, From: m.From, Replicas: m.To}
		if one.Replicas == nil {
			one.Replicas = []kafka.NodeID{}
		}
		told := status
		if err := results[i].Err; err != nil {
			one.Status, one.Error = fateOf(err), err.Error()
			told = one.Status
			if failed == nil {
				failed = err
			}
		}
		j.Partitions = append(j.Partitions, one)
		lines = append(lines, []string{m.Partition.String(), joinNodes(m.From), nodesCell(m.To), told})
	}
	if r.output == "json" {
		if err := printJSON(out, j); err != nil || failed == nil {
			return err
		}
		return exitCode(exitFailed) // the object has told it
	}
	if len(moves) == 0 {
		fmt.Fprintln(out, status)
		return nil
	}
	return errors.Join(writeColumns(out, lines), failed)
}

// fateOf says of what failed whether it may have happened.
func fateOf(err error) string {
	if client.OutcomeOf(err) == kafka.Unknown {
		return "unknown"
	}
	return "failed"
}

func nodesCell(ids []kafka.NodeID) string {
	if len(ids) == 0 {
		return "-"
	}
	return joinNodes(ids)
}
