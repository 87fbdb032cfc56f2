package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/klammlog/klamm/node/client"
	"github.com/klammlog/klamm/node/kafka"
)

// resetJSON is what group reset prints.
type resetJSON struct {
	Kind       string               `json:"_kind"`
	Version    int                  `json:"_version"`
	Group      string               `json:"group"`
	Status     string               `json:"status"` // planned, reset, failed
	Partitions []resetPartitionJSON `json:"partitions"`
}

// resetPartitionJSON is one partition in it.
type resetPartitionJSON struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	From      *int64 `json:"from"` // null: nothing was committed
	To        int64  `json:"to"`
	Note      string `json:"note,omitempty"`
	Status    string `json:"status"` // planned, reset, failed, unknown
	Error     string `json:"error,omitempty"`
}

type resetFlags struct {
	remote
	topics           []string
	all              bool
	earliest, latest bool
	offset, shift    int64
	datetime         string
	duration         time.Duration
	execute          bool
}

// targets are the flags that say where to, of which there is to be one.
var targets = []string{"to-earliest", "to-latest", "to-offset", "shift-by", "to-datetime", "by-duration"}

func newGroupReset() *cobra.Command {
	var f resetFlags
	cmd := &cobra.Command{
		Use:   "reset NAME",
		Short: "Move where a group goes on, in a dry run unless --execute is given",
		Long: `Move the committed offsets of a group that has no members. Without --execute it shows what
would be done. What is before the beginning of a partition or behind its end becomes the
beginning or the end. A group that does not exist is created by its offsets.`,
		Example: `  klamm group reset billing --topic orders --to-earliest
  klamm group reset billing --topic orders:0,2 --to-offset 4117 --execute
  klamm group reset billing --all-topics --by-duration 15m --execute`,
		Args: groupName,
		RunE: func(cmd *cobra.Command, names []string) error {
			chosen, err := f.target(cmd.Flags())
			if err != nil {
				return usage(err)
			}
			where, err := parsePartitions(f.topics)
			if err != nil {
				return usage(err)
			}
			if f.all == (len(f.topics) > 0) {
				return usage(errors.New("want --topic, or --all-topics for all that the group has committed"))
			}
			return f.do(cmd, func(c *call) error {
				p := &resetPlan{c: c, f: &f, group: names[0], target: chosen}
				if err := p.make(where); err != nil {
					return err
				}
				return p.carryOut(cmd.OutOrStdout(), cmd.ErrOrStderr())
			})
		},
	}
	flags := cmd.Flags()
	flags.StringArrayVarP(&f.topics, "topic", "t", nil, "where, `TOPIC[:PARTITION,...]`; may be repeated")
	flags.BoolVar(&f.all, "all-topics", false, "in every partition that the group has committed something of")
	flags.BoolVar(&f.earliest, "to-earliest", false, "to the first record there is")
	flags.BoolVar(&f.latest, "to-latest", false, "to the first record that is yet to come")
	flags.Int64Var(&f.offset, "to-offset", 0, "to this `OFFSET`")
	flags.Int64Var(&f.shift, "shift-by", 0, "by `N` offsets from where the group is; negative goes back")
	flags.StringVar(&f.datetime, "to-datetime", "", "to the first record that is not older than `TIME`: milliseconds since 1970, or as in 2026-05-04T10:00:00Z")
	flags.DurationVar(&f.duration, "by-duration", 0, "to the first record that is not older than this, as in 15m")
	flags.BoolVar(&f.execute, "execute", false, "do it")
	f.flags(cmd)
	return cmd
}

// target returns which flag says where to, after a look at its value.
func (f *resetFlags) target(flags *pflag.FlagSet) (string, error) {
	chosen := slices.DeleteFunc(slices.Clone(targets), func(name string) bool { return !flags.Changed(name) })
	if len(chosen) != 1 {
		return "", fmt.Errorf("%d places to move to: want one of --%s", len(chosen), strings.Join(targets, ", --"))
	}
	switch {
	case chosen[0] == "to-offset" && f.offset < 0:
		return "", fmt.Errorf("--to-offset %d: not negative; --shift-by goes back", f.offset)
	case chosen[0] == "by-duration" && f.duration <= 0:
		return "", fmt.Errorf("--by-duration %v: want how long ago, as in 15m", f.duration)
	case chosen[0] == "to-datetime":
		if _, err := parseTime(f.datetime); err != nil {
			return "", fmt.Errorf("--to-datetime: %w", err)
		}
	case chosen[0] == "to-earliest" && !f.earliest, chosen[0] == "to-latest" && !f.latest:
		return "", fmt.Errorf("--%s=false: want one of --%s", chosen[0], strings.Join(targets, ", --"))
	}
	return chosen[0], nil
}

// A wanted is a topic, and which of its partitions; none means all.
type wanted struct {
	topic      string
	partitions []int32
}

// parsePartitions reads TOPIC and TOPIC:PARTITION,...
func parsePartitions(args []string) ([]wanted, error) {
	var out []wanted
	for _, arg := range args {
		topic, list, some := strings.Cut(arg, ":")
		w := wanted{topic: topic}
		for _, number := range strings.Split(list, ",") {
			n, err := strconv.ParseInt(number, 10, 32)
			if some && (err != nil || n < 0) || topic == "" {
				return nil, fmt.Errorf("--topic %q: want TOPIC or TOPIC:0,1,2", arg)
			}
			if some {
				w.partitions = append(w.partitions, int32(n))
			}
		}
		if slices.ContainsFunc(out, func(o wanted) bool { return o.topic == topic }) {
			return nil, fmt.Errorf("--topic %q: the topic stands there twice", arg)
		}
		out = append(out, w)
	}
	return out, nil
}

// A resetPlan is what is to be done about a group's offsets.
type resetPlan struct {
	c      *call
	f      *resetFlags
	group  string
	target string
	tps    []kafka.TopicPartition
	rows   []resetPartitionJSON
}

// make finds out what is where, and where it is to be. Blocks.
func (p *resetPlan) make(where []wanted) error {
	if err := p.vacant(); err != nil {
		return err
	}
	var err error
	if p.tps, err = p.partitions(where); err != nil {
		return err
	}
	committed, err := p.c.client.GroupOffsets(p.group, p.tps, p.c.deadline)
	if err != nil {
		return err
	}
	r := &reading{c: p.c, tps: p.tps}
	bounds, err := r.bounds()
	if err != nil {
		return err
	}
	at, err := p.spots(r, bounds)
	if err != nil {
		return err
	}
	for i, tp := range p.tps {
		k := slices.IndexFunc(committed, func(c client.Commit) bool { return c.Partition == tp })
		row := resetPartitionJSON{Topic: tp.Topic, Partition: tp.Partition, Status: "planned"}
		if k >= 0 {
			row.From = known(committed[k].Offset)
		}
		if err := p.place(&row, bounds[i], at[i]); err != nil {
			return err
		}
		p.rows = append(p.rows, row)
	}
	return nil
}

// vacant fails if the group has members. One that does not exist has none. Blocks.
func (p *resetPlan) vacant() error {
	g, err := p.c.group(p.group)
	if errors.Is(err, kafka.ErrGroupIDNotFound) && !p.f.all {
		return nil
	}
	if err == nil && len(g.Members) > 0 {
		err = p.c.explainGroup(p.group, kafka.ErrNonEmptyGroup)
	}
	return err
}

// partitions returns which are to be moved, sorted. Blocks.
func (p *resetPlan) partitions(where []wanted) (out []kafka.TopicPartition, err error) {
	if p.f.all {
		committed, err := p.c.client.GroupOffsets(p.group, nil, p.c.deadline)
		if err == nil && len(committed) == 0 {
			err = fmt.Errorf("group %s has committed nothing: say where with --topic", p.group)
		}
		for _, o := range committed {
			out = append(out, o.Partition)
		}
		return out, err
	}
	for _, w := range where {
		t, err := p.c.topic(w.topic)
		if err != nil {
			return nil, err
		}
		if w.partitions == nil {
			for _, part := range t.Partitions {
				w.partitions = append(w.partitions, part.ID)
			}
		}
		slices.Sort(w.partitions)
		for _, n := range slices.Compact(w.partitions) {
			if int(n) >= len(t.Partitions) {
				return nil, usage(fmt.Errorf("--topic %s:%d: the topic has partitions 0 to %d", w.topic, n, len(t.Partitions)-1))
			}
			out = append(out, kafka.TopicPartition{Topic: w.topic, Partition: n})
		}
	}
	return out, nil
}

// spots returns the offsets of a time, and zeros if the target is none. Blocks.
func (p *resetPlan) spots(r *reading, bounds []bound) ([]kafka.Offset, error) {
	switch p.target {
	case "by-duration":
		return r.resolve(spot{ago: p.f.duration}, bounds)
	case "to-datetime":
		at, err := parseTime(p.f.datetime)
		if err != nil {
			return nil, err
		}
		return r.resolve(spot{place: client.AtTime(at)}, bounds)
	}
	return make([]kafka.Offset, len(bounds)), nil
}

// place says where one partition is to be, within its bounds.
func (p *resetPlan) place(row *resetPartitionJSON, b bound, at kafka.Offset) error {
	switch p.target {
	case "to-earliest":
		at = b.start
	case "to-latest":
		at = b.end
	case "to-offset":
		at = kafka.Offset(p.f.offset)
	case "shift-by":
		if row.From == nil {
			return fmt.Errorf("group %s has committed nothing of %s-%d that could be shifted: use --to-earliest, --to-latest or --to-offset", p.group, row.Topic, row.Partition)
		}
		if at = kafka.Offset(*row.From + p.f.shift); p.f.shift > 0 && at < kafka.Offset(*row.From) {
			at = math.MaxInt64 // farther than numbers go
		}
	}
	switch {
	case at < b.start:
		row.Note = fmt.Sprintf("%d is before the beginning", at)
	case at > b.end:
		row.Note = fmt.Sprintf("%d is behind the end", at)
	}
	row.To = int64(min(max(at, b.start), b.end))
	return nil
}

// carryOut does what is planned, if it is to be done, and tells. Blocks.
func (p *resetPlan) carryOut(out, errs io.Writer) error {
	j := resetJSON{Kind: "klamm.reset", Version: 1, Group: p.group, Status: "planned", Partitions: p.rows}
	if !p.f.execute {
		err := p.print(out, j)
		if p.f.output != "json" {
			fmt.Fprintln(errs, "klamm: nothing was changed: --execute does it")
		}
		return err
	}
	var commits []client.Commit
	for i, tp := range p.tps {
		commits = append(commits, client.Commit{Partition: tp, Offset: kafka.Offset(p.rows[i].To)})
	}
	results, err := p.c.client.AlterGroupOffsets(p.group, commits, p.c.deadline)
	j.Status = "reset"
	if err != nil {
		j.Status = "failed"
	}
	for i, r := range results {
		j.Partitions[i].Status, j.Partitions[i].Error = became("reset", p.c.explainGroup(p.group, r.Err))
	}
	if err := p.print(out, j); err != nil {
		return err
	}
	if err != nil && p.f.output == "json" {
		return exitCode(exitFailed) // the object has told it
	}
	return p.c.explainGroup(p.group, err)
}

// became returns the status of something and its error.
func became(done string, err error) (status, text string) {
	switch {
	case err == nil:
		return done, ""
	case client.OutcomeOf(err) == kafka.Unknown:
		return "unknown", err.Error()
	}
	return "failed", err.Error()
}

func (p *resetPlan) print(out io.Writer, j resetJSON) error {
	if p.f.output == "json" {
		return printJSON(out, j)
	}
	lines := [][]string{{"TOPIC", "PARTITION", "FROM", "TO", "STATUS", "NOTE"}}
	for _, r := range j.Partitions {
		lines = append(lines, []string{r.Topic, strconv.Itoa(int(r.Partition)), offsetCell(r.From), strconv.FormatInt(r.To, 10), r.Status, orDash(r.Note)})
	}
	return writeColumns(out, lines)
}
