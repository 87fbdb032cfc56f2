package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/spf13/pflag"

	"github.com/klammlog/klamm/checker"
)

// demandFlags say what a run was promised, where its history does not.
type demandFlags struct {
	flags                                            *pflag.FlagSet
	flush, powerLoss                                 string
	leaders, unclean, retention, compacted, aborteds bool
}

func (d *demandFlags) add(flags *pflag.FlagSet) {
	d.flags = flags
	flags.StringVar(&d.flush, "flush", "ack", "when the brokers acknowledge: ack, on disk, or os, in the page cache (as Kafka)")
	flags.StringVar(&d.powerLoss, "power-loss", "none", "page caches that were lost: none, survivable (some in-sync replica kept its own), or any")
	flags.BoolVar(&d.leaders, "leaders", false, "another leader may have been elected: acks=1 promises nothing")
	flags.BoolVar(&d.unclean, "unclean", false, "unclean leader election was on: what is lost is not judged")
	flags.BoolVar(&d.retention, "retention", false, "records may go by age or size, or DeleteRecords")
	flags.BoolVar(&d.compacted, "compacted", false, "the topics are compacted: records may go when a later one has their key")
	flags.BoolVar(&d.aborteds, "transactions", false, "there were transactions: offsets may hold nothing that is seen")
}

// apply changes what the flags tell.
func (d *demandFlags) apply(to *checker.Demands) error {
	for name, set := range map[string]func(){ //klamm:unordered each sets a field of its own
		"flush":        func() { to.Flush = checker.Flush(d.flush) },
		"power-loss":   func() { to.PowerLoss = checker.PowerLoss(d.powerLoss) },
		"leaders":      func() { to.Leaders = d.leaders },
		"unclean":      func() { to.Unclean = d.unclean },
		"retention":    func() { to.Retention = d.retention },
		"compacted":    func() { to.Compaction = d.compacted },
		"transactions": func() { to.Transactions = d.aborteds },
	} {
		if d.flags.Changed(name) {
			set()
		}
	}
	return checkDemands(*to)
}

// readDemands reads what a header tells; nil is nothing.
func readDemands(text json.RawMessage) (d checker.Demands, err error) {
	if text == nil {
		return d, nil
	}
	j := json.NewDecoder(bytes.NewReader(text))
	j.DisallowUnknownFields()
	if err := j.Decode(&d); err != nil {
		return d, fmt.Errorf("demands: %w", err)
	}
	return d, checkDemands(d)
}

func checkDemands(d checker.Demands) error {
	if !slices.Contains([]checker.Flush{"", checker.FlushAck, checker.FlushOS}, d.Flush) {
		return fmt.Errorf("flush %q: want ack or os", d.Flush)
	}
	if !slices.Contains([]checker.PowerLoss{"", checker.NoPowerLoss, checker.SurvivablePowerLoss, checker.AnyPowerLoss}, d.PowerLoss) {
		return fmt.Errorf("power loss %q: want none, survivable or any", d.PowerLoss)
	}
	return nil
}
