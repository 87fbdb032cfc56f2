package main

import (
	"errors"
	"fmt"
	"os/signal"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/klammlog/klamm/node/assignor"
	"github.com/klammlog/klamm/node/client"
	"github.com/klammlog/klamm/node/kafka"
)

// memberFlags say which group to read as a member of, and how.
type memberFlags struct {
	group     string
	protocol  string
	assignors []string
	instance  string
	pattern   string
	commit    string

	reset client.ResetPolicy
	ago   time.Duration
}

func (f *memberFlags) flags(flags *pflag.FlagSet) {
	flags.StringVarP(&f.group, "group", "g", "", "read as a member of the group of this `NAME`")
	flags.StringVar(&f.pattern, "pattern", "", "with --group: read the topics whose whole names match this regular expression, those to come too")
	flags.StringVar(&f.protocol, "group-protocol", "classic", "with --group: classic, or consumer (KIP-848)")
	flags.StringSliceVar(&f.assignors, "assignor", nil,
		"with --group: who gets what, the preferred first: range, roundrobin, sticky, cooperative-sticky; of the consumer protocol one that the brokers have")
	flags.StringVar(&f.instance, "instance", "", "with --group: be the static member of this `ID`, which keeps its partitions when it comes back soon (KIP-345)")
	flags.StringVar(&f.commit, "commit", "5s", "with --group: how often to commit what was printed; it is committed at the end as well. `exit`: only then; never: not at all")
}

// ofMembers are the flags that say nothing without a group.
var ofMembers = []string{"pattern", "group-protocol", "assignor", "instance", "commit"}

// checkMember returns what is wrong with the arguments.
func (f *consumeFlags) checkMember(cmd *cobra.Command, topics []string) error {
	if !cmd.Flags().Changed("group") {
		for _, name := range ofMembers {
			if cmd.Flags().Changed(name) {
				return fmt.Errorf("--%s is for members of groups: add --group NAME", name)
			}
		}
		if len(topics) != 1 {
			return fmt.Errorf("%d topics: want one, or add --group NAME to read several as a member of a group", len(topics))
		}
		return nil
	}
	switch m := &f.member; {
	case m.group == "":
		return errors.New("--group: a name is wanted")
	case cmd.Flags().Changed("partition"):
		return errors.New("--partition and --group exclude each other: the group decides who reads what")
	case len(topics) == 0 && m.pattern == "":
		return errors.New("nothing says what to read: name topics, or give a --pattern")
	case len(topics) > 0 && m.pattern != "":
		return errors.New("topics and --pattern exclude each other")
	}
	_, err := f.member.config(topics)
	return err
}

// config returns how the member is configured.
func (f *memberFlags) config(topics []string) (client.GroupConfig, error) {
	slices.Sort(topics)
	c := client.DefaultGroup(f.group, slices.Compact(topics)...)
	c.Pattern, c.Instance = f.pattern, f.instance
	if _, err := regexp.Compile(f.pattern); err != nil {
		return c, fmt.Errorf("--pattern %q: %w", f.pattern, err)
	}
	switch {
	case f.protocol == "consumer":
		c.Protocol = client.ConsumerGroup
		if len(f.assignors) > 1 {
			return c, fmt.Errorf("--assignor %s: of the consumer protocol only one: the brokers choose", strings.Join(f.assignors, ","))
		}
		c.Remote = strings.Join(f.assignors, "")
	case f.protocol != "classic":
		return c, fmt.Errorf("--group-protocol %q: want classic or consumer", f.protocol)
	case len(f.assignors) > 0:
		c.Assignors = f.assignors
	}
	for _, name := range c.Assignors {
		if _, ok := assignor.Named(name); !ok {
			return c, fmt.Errorf("--assignor %q: want range, roundrobin, sticky or cooperative-sticky", name)
		}
	}
	var err error
	if c.AutoCommit, err = parseCommit(f.commit); err != nil {
		return c, err
	}
	return c, c.Check()
}

// onlyAtTheEnd is so long that nothing is committed before partitions are given back.
const onlyAtTheEnd = 10 * 365 * 24 * time.Hour

func parseCommit(s string) (time.Duration, error) {
	switch s {
	case "exit":
		return onlyAtTheEnd, nil
	case "never":
		return 0, nil
	}
	every, err := time.ParseDuration(s)
	if err != nil || every < time.Millisecond {
		return 0, fmt.Errorf("--commit %q: want how often, as in 5s, or exit, or never", s)
	}
	return every, nil
}

// parseReset reads where partitions begin that have no committed offset.
func parseReset(s string) (client.ResetPolicy, time.Duration, error) {
	if s == "none" {
		return client.ResetNone, 0, nil
	}
	at, err := parseSpot("--from", s)
	switch {
	case err == nil && at == spot{place: client.Earliest()}:
		return client.ResetEarliest, 0, nil
	case err == nil && at == spot{place: client.Latest()}:
		return client.ResetLatest, 0, nil
	case err == nil && at.ago > 0:
		return client.ResetByDuration, at.ago, nil
	}
	return 0, 0, fmt.Errorf("--from %q: with --group beginning, end, @ and how long ago, or none; 'klamm group reset' moves a group elsewhere", s)
}

// join reads as a member of a group, and leaves it in the end: also when nobody reads
// the output any more.
func (f *consumeFlags) join(cmd *cobra.Command, r *reading, topics []string) error {
	config, err := f.member.config(topics)
	if err != nil {
		return usage(err)
	}
	signal.Ignore(syscall.SIGPIPE)
	defer signal.Reset(syscall.SIGPIPE)
	return f.talk(cmd, finishFirst, func(c *call) error {
		r.c, r.out, r.errs = c, cmd.OutOrStdout(), cmd.ErrOrStderr()
		r.meter = newMeter(r.out, r.errs)
		m := &membership{reading: r, config: config}
		err := m.run()
		r.sumUp("group " + config.Group)
		return m.explain(err)
	})
}

// A membership prints what it reads as a member of a group.
type membership struct {
	*reading
	config client.GroupConfig
	member *client.GroupConsumer

	limits map[kafka.TopicPartition]kafka.Offset // where partitions end; nil: nowhere
	looked kafka.Instant                         // when it was looked what others have committed
}

// run reads until the end. Blocks.
func (m *membership) run() error {
	if err := m.look(); err != nil {
		return err
	}
	config := client.DefaultConsumer()
	config.Rack, config.Reset, config.ResetDuration = m.f.rack, m.f.member.reset, m.f.member.ago
	var err error
	if m.member, err = m.c.client.NewGroupConsumer(m.config, config); err != nil {
		return err
	}
	m.c.finally = m.member.Close
	for !m.c.told() {
		done, err := m.through()
		if err != nil || done {
			return err
		}
		if done, err = m.step(); err != nil || done {
			return err
		}
	}
	return errInterrupted
}

// look finds out which partitions there are, and where they end if they are to.
// Blocks.
func (m *membership) look() error {
	topics := m.config.Topics
	if m.config.Pattern != "" && m.f.to != "" {
		all, err := m.c.client.ListTopics(m.c.deadline)
		if err != nil {
			return err
		}
		for _, t := range all {
			if regexp.MustCompile("^(?:"+m.config.Pattern+")$").MatchString(t.Name) && !t.Internal {
				topics = append(topics, t.Name)
			}
		}
		if len(topics) == 0 {
			return fmt.Errorf("no topic matches %q: there is nothing to read to its end", m.config.Pattern)
		}
	}
	for _, name := range topics {
		t, err := m.c.topic(name)
		if err != nil {
			return err
		}
		for _, p := range t.Partitions {
			m.tps = append(m.tps, kafka.TopicPartition{Topic: name, Partition: p.ID})
		}
	}
	if m.f.to == "" {
		return nil
	}
	bounds, err := m.bounds()
	if err != nil {
		return err
	}
	to, err := m.resolve(m.to, bounds)
	if err != nil {
		return err
	}
	m.limits, m.ends = map[kafka.TopicPartition]kafka.Offset{}, map[kafka.TopicPartition]kafka.Offset{}
	for i, tp := range m.tps {
		if m.limits[tp] = to[i]; to[i] > bounds[i].start {
			m.ends[tp] = to[i]
		}
	}
	return nil
}

// glance is how often it is looked what the other members have committed.
const glance = time.Second

// through reports whether the group is through what was asked for: this member by
// where it stands, the others by what they have committed. Blocks.
func (m *membership) through() (bool, error) {
	if m.ends == nil {
		return false, nil
	}
	var others []kafka.TopicPartition
	for _, tp := range m.tps {
		end, open := m.ends[tp]
		if !open {
			continue
		}
		switch at, err := m.member.Reader().Position(tp); {
		case err == nil && at >= end:
			delete(m.ends, tp)
		case errors.Is(err, client.ErrNotAssigned):
			others = append(others, tp)
		}
	}
	if now := m.c.w.Now(); len(others) > 0 && now >= m.looked.Add(glance) {
		committed, err := m.member.Committed(others, now.Add(m.f.timeout))
		if err != nil {
			return false, err
		}
		m.looked = m.c.w.Now()
		for _, tp := range others {
			if committed[tp].Offset >= m.ends[tp] {
				delete(m.ends, tp)
			}
		}
	}
	return len(m.ends) == 0, nil
}

// step prints what one poll brings, and reports whether that was all. What is not
// printed is read again by whoever has the partition next. Blocks.
func (m *membership) step() (done bool, err error) {
	limit := pollRecords
	if m.f.count > 0 {
		limit = min(limit, m.f.count-m.count)
	}
	records, err := m.member.Poll(m.c.w.Now().Add(100*time.Millisecond), limit)
	var trouble *client.PartitionError
	switch {
	case errors.As(err, &trouble) && client.OutcomeOf(err) != kafka.Definite:
		fmt.Fprintf(m.errs, "klamm: %v\n", err) // the consumer goes on trying
	case err != nil:
		return false, err
	}
	for _, rec := range records {
		if m.behindLimit(rec) {
			continue
		}
		if err := m.print(rec); err != nil {
			m.unread(records)
			return false, err
		}
		m.meter.add(1, int64(len(rec.Key)+len(rec.Value)), "read")
		m.count++
	}
	if err := m.flush(); err != nil {
		m.unread(records)
		return false, err
	}
	return m.f.count > 0 && m.count >= m.f.count, nil
}

// behindLimit reports whether a record is behind the end of what was asked for. Then
// the member stays before it, so that it is not committed.
func (m *membership) behindLimit(rec client.Record) bool {
	end, ok := m.limits[rec.At()]
	if !ok || rec.Offset < end {
		return false
	}
	if at, err := m.member.Reader().Position(rec.At()); err == nil && at > rec.Offset {
		_ = m.member.Reader().Seek(rec.At(), client.At(rec.Offset)) // it has a position, so it is assigned
		_ = m.member.Reader().Pause(rec.At())
	}
	return true
}

// unread has records count as not read: they were not printed, or nobody knows.
func (m *membership) unread(records []client.Record) {
	for _, rec := range slices.Backward(records) {
		if m.member.Reader().Seek(rec.At(), client.At(rec.Offset)) != nil {
			return // it is another's matter
		}
	}
}

// explain says what to do about what groups refuse.
func (m *membership) explain(err error) error {
	group := m.config.Group
	var what string
	switch {
	case errors.Is(err, kafka.ErrInconsistentGroupProtocol), errors.Is(err, kafka.ErrGroupIDNotFound):
		what = fmt.Sprintf("group %s has members of another protocol, or that share no assignor with this one: 'klamm group describe %s' tells which, --group-protocol and --assignor choose", group, group)
	case errors.Is(err, kafka.ErrUnsupportedAssignor):
		what = fmt.Sprintf("the brokers have no assignor %q: leave --assignor out, or name another", m.config.Remote)
	case errors.Is(err, kafka.ErrUnsupportedVersion) && m.config.Protocol == client.ConsumerGroup:
		what = "the brokers do not speak the consumer protocol: use --group-protocol classic"
	case errors.Is(err, kafka.ErrUnreleasedInstanceID), errors.Is(err, kafka.ErrFencedInstanceID):
		what = fmt.Sprintf("group %s has another member with the instance id %s: stop it, or choose another --instance", group, m.config.Instance)
	case errors.Is(err, kafka.ErrGroupMaxSizeReached):
		what = fmt.Sprintf("group %s is full: group.max.size of the brokers allows no more members", group)
	case errors.Is(err, client.ErrNoOffset):
		what = fmt.Sprintf("%v: say where to begin with --from, or move the group with 'klamm group reset %s'", err, group)
	default:
		return err
	}
	return advised{what, err}
}
