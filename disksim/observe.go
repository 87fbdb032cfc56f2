package disksim

import "github.com/klammlog/klamm/disksim/media"

// The methods of this file are for observers. They see through the page cache,
// take no time, and change nothing.

// DurableSize returns a file's size on the durable image; ErrNotExist if the file
// or its name is not there.
func (d *Disk) DurableSize(name string) (int64, error) {
	i, err := d.v.Durable(name)
	if err != nil {
		return 0, err
	}
	return i.DurableSize(), nil
}

// ReadDurable reads into p what the durable image has of a file from offset off, and
// returns how much: less than all of p if the file ends there.
func (d *Disk) ReadDurable(name string, p []byte, off int64) (int, error) {
	i, err := d.v.Durable(name)
	if err != nil {
		return 0, err
	}
	n, _ := i.ReadDurable(p, off) // the only error is the end of the file
	return n, nil
}

// ReadVisible is ReadDurable of what a process would read now, without faults.
func (d *Disk) ReadVisible(name string, p []byte, off int64) (int, error) {
	i, err := d.v.Lookup(name)
	if err != nil {
		return 0, err
	}
	n, _ := d.v.Read(i, p, off) // the only error is the end of the file
	return n, nil
}

// Suspect returns the ranges of a file that no later sync can vouch for, because
// one failed while they were dirty; none if there is no such file.
func (d *Disk) Suspect(name string) []media.Range {
	i, err := d.v.Lookup(name)
	if err != nil {
		return nil
	}
	return i.Suspect()
}

// NotSynced returns the names that a process sees and a power loss could take,
// because their directory was not synced since; sorted.
func (d *Disk) NotSynced() []string { return d.v.NotSynced() }

// Files returns the names of all regular files a process sees.
func (d *Disk) Files() []string { return d.v.Files() }

// Pending returns how many effects are not durable.
func (d *Disk) Pending() int { return d.v.Pending() }

// Open returns how many files are open.
func (d *Disk) Open() int { return len(d.open) }

// Check returns the first invariant of the model that does not hold.
func (d *Disk) Check() error { return d.v.Check() }
