package scenarios

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/klammlog/klamm/disksim/media"
	"github.com/klammlog/klamm/node/config"
)

// Settings are what somebody set by hand, over what the seed drew: options of the
// run, and configs of the broker and its topic. They change the system and
// never what is demanded of it.
type settings struct {
	options []config.Pair
	broker  []config.Pair
	topic   []config.Pair
}

// An optionSetting is an option of a run that can be set by hand.
type optionSetting struct {
	name string
	set  func(*Options, string) error
}

var optionSettings = []optionSetting{
	{"run.producers", intOption(1, 64, func(o *Options) *int { return &o.Producers })},
	{"run.consumers", intOption(1, 64, func(o *Options) *int { return &o.Consumers })},
	{"run.raws", intOption(0, 64, func(o *Options) *int { return &o.Raws })},
	{"run.hostiles", intOption(0, 64, func(o *Options) *int { return &o.Hostiles })},
	{"run.crowds", intOption(0, 64, func(o *Options) *int { return &o.Crowds })},
	{"run.crowd.size", intOption(1, 10_000, func(o *Options) *int { return &o.CrowdSize })},
	{"run.sends", intOption(1, 1_000_000, func(o *Options) *int { o.Least = 0; return &o.Sends })},
	{"run.value.max", intOption(16, 1<<20, func(o *Options) *int { return &o.ValueMax })},
	{"run.partitions", func(o *Options, s string) error {
		var n int
		err := intOption(1, 1000, func(*Options) *int { return &n })(o, s)
		o.Partitions = int32(n)
		return err
	}},
	{"run.safety", func(o *Options, s string) error {
		d, err := time.ParseDuration(s)
		if err != nil || d <= 0 || d > time.Hour {
			return fmt.Errorf("want a time up to 1h")
		}
		o.Safety = d
		return nil
	}},
	{"run.profile", func(o *Options, s string) error {
		_, err := media.ParseProfile(s)
		o.Profile = s
		return err
	}},
	{"run.split", func(o *Options, s string) (err error) {
		o.Split, err = strconv.ParseBool(s)
		return err
	}},
	{"run.group.protocol", func(o *Options, s string) error {
		if s != classicProtocol && s != consumerProtocol {
			return fmt.Errorf("want classic or consumer")
		}
		o.Consumer = s == consumerProtocol
		return nil
	}},
	{"run.groups", func(o *Options, s string) error {
		modes, err := parseModes(s)
		if o.grouped() { // other scenarios have not drawn what else groups need
			o.Groups = modes
		}
		return err
	}},
	{"run.workers", intOption(1, 64, func(o *Options) *int { return &o.Workers })},
	{"run.operators", intOption(0, 64, func(o *Options) *int { return &o.Operators.Operators })},
	{"run.steward.acts", intOption(0, 1000, func(o *Options) *int { return &o.StewardActs })},
	{"run.near", intOption(0, 64, func(o *Options) *int { return &o.Near })},
	{"run.recreate", func(o *Options, s string) (err error) {
		o.Recreate, err = strconv.ParseBool(s)
		return err
	}},
	{"run.sink.crashes", intOption(0, 100, func(o *Options) *int { return &o.SinkCrashes })},
	{"run.onlookers", intOption(0, 8, func(o *Options) *int { return &o.Onlookers })},
	{"run.strangers", intOption(0, 8, func(o *Options) *int { return &o.Strangers })},
	{"run.plain", intOption(0, 64, func(o *Options) *int { return &o.Plain })},
	{"run.buggify", func(o *Options, s string) (err error) {
		o.Buggify, err = strconv.ParseBool(s)
		return err
	}},
	{"run.families", func(o *Options, s string) error {
		if o.Families = nil; s == noFamilies {
			return nil
		}
		for _, name := range strings.Split(s, ",") {
			if !slices.Contains(everyFamily(), Family(name)) {
				return fmt.Errorf("no fault family %q", name)
			}
			o.Families = append(o.Families, Family(name))
		}
		return nil
	}},
}

// noFamilies is what run.families says for none.
const noFamilies = "none"

func intOption(low, high int, field func(*Options) *int) func(*Options, string) error {
	return func(o *Options, s string) error {
		n, err := strconv.Atoi(s)
		if err != nil || n < low || n > high {
			return fmt.Errorf("want a number from %d to %d", low, high)
		}
		*field(o) = n
		return nil
	}
}

func everyFamily() []Family {
	return slices.Concat(processFamilies(), networkFamilies(), diskFamilies(), destroyingFamilies())
}

// parseSettings sorts settings by whom they concern, and checks each.
func parseSettings(lines []string) (settings, error) {
	var s settings
	for _, line := range lines {
		name, value, ok := strings.Cut(line, "=")
		if !ok || name == "" {
			return s, fmt.Errorf("setting %q: want name=value", line)
		}
		if err := s.add(config.Pair{Name: name, Value: value}); err != nil {
			return s, fmt.Errorf("setting %q: %w", line, err)
		}
	}
	return s, nil
}

func (s *settings) add(p config.Pair) error {
	for _, o := range optionSettings {
		if o.name == p.Name {
			s.options = append(s.options, p)
			return o.set(&Options{}, p.Value)
		}
	}
	if _, ok := config.Lookup(config.Topic, p.Name); ok {
		s.topic = append(s.topic, p)
		return config.CheckTopic(nil, []config.Pair{p})
	}
	s.broker = append(s.broker, p)
	_, err := config.NewBroker([]config.Pair{p})
	return err
}

// apply puts the settings over the options.
func (s *settings) apply(o Options) Options {
	for _, p := range s.options {
		for _, option := range optionSettings {
			if option.name == p.Name {
				_ = option.set(&o, p.Value) // parseSettings has checked it
			}
		}
	}
	for _, p := range s.broker {
		if p.Name == "log.flush" {
			o.Flush = p.Value
		}
	}
	return o
}

// CheckSettings returns what is wrong with settings given by hand, if anything.
func CheckSettings(lines []string) error {
	_, err := parseSettings(lines)
	return err
}
