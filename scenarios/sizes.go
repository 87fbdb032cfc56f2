package scenarios

// A Size is a number that says how large a run is, as a setting has it: a run of less
// says more to whoever reads it.
type Size struct {
	Name  string `json:"name"` // of the setting
	Is    int    `json:"is"`
	Least int    `json:"least"` // that makes sense
}

// sizes are those of a run, what takes most time to read first.
func (o *Options) sizes() []Size {
	all := []Size{
		{"run.sends", max(o.Sends, o.Least), 1},
		{"run.producers", o.Producers, 1},
		{"run.consumers", o.Consumers, 1},
		{"run.raws", o.Raws, 0},
		{"run.partitions", int(o.Partitions), 1},
		{"run.hostiles", o.Hostiles, 0},
		{"run.crowds", o.Crowds, 0},
		{"run.operators", o.Operators.Operators, 0},
		{"run.steward.acts", o.StewardActs, 0},
		{"run.near", o.Near, 0},
	}
	if o.grouped() {
		all = append(all, Size{"run.workers", o.Workers, 1}, Size{"run.sink.crashes", o.SinkCrashes, 0})
	}
	return all
}

// switches are the settings that are true and need not be.
func (o *Options) switches() (on []string) {
	if o.Recreate {
		on = append(on, "run.recreate")
	}
	if o.Buggify {
		on = append(on, "run.buggify")
	}
	return on
}
