package disksim

import "time"

// faults are the run-time faults that are armed.
type faults struct{}

func newFaults() faults { return faults{} }

func (f *faults) armed() bool { return false }
func (f *faults) reboot()     {}

func (f *faults) delay(d *Disk, o *op, cost time.Duration) time.Duration { return cost }
func (f *faults) onRead(d *Disk, o *op, p []byte) (int, error, bool)     { return 0, nil, false }
func (f *faults) onWrite(d *Disk, o *op, p []byte) (int, error, bool)    { return 0, nil, false }
func (f *faults) onAct(d *Disk, o *op) (error, bool)                     { return nil, false }
func (f *faults) onSync(x *file, o *op) (error, bool)                    { return nil, false }
