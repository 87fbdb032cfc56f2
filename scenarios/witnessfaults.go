package scenarios

import (
	"slices"
	"strings"
	"time"

	"github.com/klammlog/klamm/internal/report"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/sim"
)

// struck notes that a fault has struck hosts; for a fault of the network those are named
// that it is about, and it may name none.
func (w *Witness) struck(f Fault, on ...string) {
	if w == nil {
		return
	}
	at, until := w.scheduled(f), report.Never
	if d := f.lasts(); d > 0 {
		until = w.now() + report.Instant(d)
	}
	whom := strings.Join(on, ", ")
	if f.Net != nil {
		whom = f.Net.String()
		whom = strings.Join(strings.Fields(whom)[1:], " ")
		w.lasting(w.lanes["network"], report.Cut, f, at, until)
	}
	if at != report.None {
		s := &w.told.Faults[at]
		s.Strikes = append(s.Strikes, report.Strike{At: w.now(), Until: until, On: whom})
	}
	for _, name := range on {
		if lane, ok := w.lanes[name]; ok {
			w.lasting(lane, bandOf(f), f, at, until)
		}
	}
}

// lasting draws what takes time. That a process is down shows by itself.
func (w *Witness) lasting(lane int, kind report.BandKind, f Fault, fault int, until report.Instant) {
	if kind == report.Down {
		return
	}
	text := f.String()
	if f.Net == nil && f.Disk == nil {
		text = string(f.Family)
	}
	b := w.band(lane, kind, text, fault)
	w.told.Bands[b].To = until
	if until == report.Never && f.Net == nil && f.Disk == nil {
		w.told.Bands[b].To = w.now() // a clock is set once
	}
}

func bandOf(f Fault) report.BandKind {
	switch {
	case f.Net != nil:
		return report.Cut
	case f.Disk != nil:
		return report.Disk
	case f.Family == clientCrash, f.Process.Kind == sim.FaultCrash, f.Process.Kind == sim.FaultPowerLoss, f.Process.Kind == sim.FaultStop,
		f.Process.Kind == sim.FaultStorm:
		return report.Down
	}
	return report.Held
}

// lasts returns for how long a fault lasts; 0: it takes no time, or lasts until the heal.
func (f Fault) lasts() time.Duration {
	switch {
	case f.Net != nil:
		return f.Net.For
	case f.Disk != nil:
		return f.Disk.For
	}
	return f.Process.For
}

// scheduled returns the place of a fault in the schedule. Whom it strikes may have been
// found out since.
func (w *Witness) scheduled(f Fault) int {
	w.schedule()
	return slices.IndexFunc(w.r.schedule, func(s Fault) bool { return s.Family == f.Family && s.at() == f.at() })
}

// schedule takes the schedule down, once.
func (w *Witness) schedule() {
	if len(w.told.Faults) > 0 {
		return
	}
	for _, f := range w.r.schedule {
		w.told.Faults = append(w.told.Faults, report.Fault{Line: f.String()})
	}
}

// healed ends bands: what has no end ends with the faults.
func (w *Witness) healed(at kafka.Instant) {
	if at == 0 {
		return
	}
	heal := report.Instant(at)
	for i := range w.told.Bands {
		b := &w.told.Bands[i]
		if (b.Kind == report.Held || b.Kind == report.Cut || b.Kind == report.Disk) && (b.To == report.Never || b.To > heal) {
			b.To = max(b.From, heal)
		}
	}
	for i := range w.told.Faults {
		for j := range w.told.Faults[i].Strikes {
			if s := &w.told.Faults[i].Strikes[j]; s.Until > heal {
				s.Until = heal
			}
		}
	}
}
