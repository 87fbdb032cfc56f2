// Package shards divides a campaign into shards that workers anywhere can do, and keeps
// what came of each shard in a file of its own.
//
// A plan says everything about a campaign, and which code makes its runs. A shard is some
// seeds of every scenario of the plan, and is a function of the plan and of its number.
// So is its result file: whoever does a shard again writes the same file, and what came
// of a campaign is the union of the files, whichever workers wrote them, in whatever
// order, however often. The rule for callers: a result file appears whole or not at all,
// and nothing else says that a shard is done.
//
// The package knows neither scenarios nor verdicts: what a run is, is for who makes it.
package shards

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
)

// Kind and Version are what a plan file begins with; no other version is read.
const (
	Kind    = "klamm.campaign-plan"
	Version = 1
)

// Bounds of a plan. A worker that is killed loses at most a shard, and holds what came of
// its runs in memory until the file is written.
const (
	MaxScenarios   = 256
	MaxSeeds       = 1 << 32
	MaxShards      = 1 << 20
	MaxShardRuns   = 1 << 14 // of all scenarios together, canaries not counted
	MaxCanarySeeds = 1 << 10
	MaxRepeat      = 16
	maxPlanBytes   = 1 << 20
)

// A Plan is a campaign before it is run. Its JSON form is a contract; see docs/json.md.
type Plan struct {
	Kind       string   `json:"_kind"`
	Version    int      `json:"_version"`
	Code       string   `json:"code"`      // which code makes the runs, and no other
	MadeBy     string   `json:"made_by"`   // the same for people
	Scenarios  []string `json:"scenarios"` // in the order of the tables
	First      uint64   `json:"first_seed"`
	Seeds      uint64   `json:"seeds"`  // of each scenario
	Set        []string `json:"set"`    // settings of every run, name=value
	Repeat     int      `json:"repeat"` // how often each run is made, to be compared
	ShardSeeds uint64   `json:"shard_seeds"`
	Canary     *Canary  `json:"canary,omitempty"`
}

// A Canary is a bug that is known to be there. Whoever judges a campaign in which nobody
// complains of it has judged nothing.
type Canary struct {
	Scenario string   `json:"scenario"`
	Set      []string `json:"set,omitempty"`    // settings that break a promise
	Mutant   string   `json:"mutant,omitempty"` // or a bug planted into a binary of its own,
	Code     string   `json:"code,omitempty"`   // which is this one
	Seeds    uint64   `json:"seeds"`            // from the plan's first on, spread over the shards
}

// A Range is the seeds from First on, Count of them.
type Range struct{ First, Count uint64 }

// A Shard is what one worker does at a time.
type Shard struct {
	Number int
	Seeds  Range // of each scenario
	Canary Range // often of none
}

// ReadPlan reads a plan from a file. An error names the file, and what is wrong with it in
// one line.
func ReadPlan(name string) (*Plan, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxPlanBytes+1))
	if err != nil {
		return nil, err
	}
	p, err := DecodePlan(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return p, nil
}

// DecodePlan reads a plan. Whether there are such scenarios is for who runs them to say.
func DecodePlan(b []byte) (*Plan, error) {
	if len(b) > maxPlanBytes {
		return nil, fmt.Errorf("it has more than %d bytes", maxPlanBytes)
	}
	var p Plan
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	err := d.Decode(&p)
	switch {
	case errors.Is(err, io.EOF):
		return nil, errors.New("it is empty")
	case err != nil:
		return nil, fmt.Errorf("no plan of a campaign: %w", err)
	case d.Decode(new(any)) != io.EOF:
		return nil, errors.New("there is something behind the plan")
	}
	return &p, p.Check()
}

// Encode writes a plan as a file that DecodePlan reads.
func (p *Plan) Encode() ([]byte, error) {
	if err := p.Check(); err != nil {
		return nil, err
	}
	b, err := json.MarshalIndent(p, "", "  ")
	return append(b, '\n'), err
}

// Hash identifies a plan, however its file is indented.
func (p *Plan) Hash() string {
	b, err := json.Marshal(p)
	if err != nil {
		panic(err) // text and numbers
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// Check returns what is wrong with a plan, if anything.
func (p *Plan) Check() error {
	switch {
	case p.Kind != Kind:
		return fmt.Errorf("_kind %q: want %s", p.Kind, Kind)
	case p.Version != Version:
		return fmt.Errorf("_version %d: this klamm reads plans of version %d", p.Version, Version)
	case p.Code == "":
		return errors.New("code: it does not say which code makes the runs")
	case len(p.Scenarios) == 0 || len(p.Scenarios) > MaxScenarios:
		return fmt.Errorf("%d scenarios: want 1 to %d", len(p.Scenarios), MaxScenarios)
	case p.Seeds == 0 || p.Seeds > MaxSeeds || p.First > math.MaxUint64-p.Seeds:
		return fmt.Errorf("seeds %d+%d: want 1 to %d of them, all below 2^64", p.First, p.Seeds, uint64(MaxSeeds))
	case p.Repeat < 1 || p.Repeat > MaxRepeat:
		return fmt.Errorf("repeat %d: want 1 to %d", p.Repeat, MaxRepeat)
	}
	for i, name := range p.Scenarios {
		if slices.Contains(p.Scenarios[:i], name) {
			return fmt.Errorf("scenario %s stands there twice", name)
		}
	}
	return errors.Join(p.checkShards(), p.checkCanary())
}

func (p *Plan) checkShards() error {
	most := uint64(MaxShardRuns / len(p.Scenarios))
	if p.ShardSeeds == 0 || p.ShardSeeds > most {
		return fmt.Errorf("shards of %d seeds: want 1 to %d with %d scenarios, as a shard is all that a worker holds in memory",
			p.ShardSeeds, most, len(p.Scenarios))
	}
	if n := shardsOf(p.Seeds, p.ShardSeeds); n > MaxShards {
		return fmt.Errorf("%d shards: want at most %d; make them larger", n, MaxShards)
	}
	return nil
}

func (p *Plan) checkCanary() error {
	c := p.Canary
	switch {
	case c == nil:
		return nil
	case c.Scenario == "":
		return errors.New("canary: it names no scenario")
	case len(c.Set) == 0 && c.Mutant == "":
		return errors.New("canary: neither settings nor a mutant: nothing is wrong there that could be found")
	case (c.Mutant == "") != (c.Code == ""):
		return errors.New("canary: a mutant has a code, and nothing else has")
	case c.Seeds == 0 || c.Seeds > MaxCanarySeeds || p.First > math.MaxUint64-c.Seeds:
		return fmt.Errorf("canary: %d seeds: want 1 to %d", c.Seeds, MaxCanarySeeds)
	}
	return nil
}

func shardsOf(seeds, each uint64) uint64 { return (seeds + each - 1) / each }

// Shards returns how many shards a plan has.
func (p *Plan) Shards() int { return int(shardsOf(p.Seeds, p.ShardSeeds)) }

// Runs returns how many runs a plan is, canaries and repetitions not counted.
func (p *Plan) Runs() uint64 { return p.Seeds * uint64(len(p.Scenarios)) }

// Shard returns one shard. The shards of a plan have each seed once, and each of the
// canary's seeds once.
func (p *Plan) Shard(number int) (Shard, error) {
	n := p.Shards()
	if number < 0 || number >= n {
		return Shard{}, fmt.Errorf("shard %d: the plan has the shards 0 to %d", number, n-1)
	}
	begin := uint64(number) * p.ShardSeeds
	s := Shard{Number: number, Seeds: Range{p.First + begin, min(p.ShardSeeds, p.Seeds-begin)}}
	if c := p.Canary; c != nil {
		from, to := uint64(number)*c.Seeds/uint64(n), uint64(number+1)*c.Seeds/uint64(n)
		s.Canary = Range{p.First + from, to - from}
	}
	return s, nil
}

// lines returns how many lines the result file of a shard has below its heading.
func (p *Plan) lines(s Shard) int {
	return int(s.Seeds.Count)*len(p.Scenarios) + int(s.Canary.Count)
}
