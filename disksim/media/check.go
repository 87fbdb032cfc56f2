package media

import (
	"bytes"
	"fmt"
)

// Check returns the first invariant of the volume that does not hold. It reads
// everything, so it is for tests and for the end of a run.
func (v *Volume) Check() error {
	if err := v.checkOrder(); err != nil {
		return err
	}
	var used int64
	for _, i := range v.inodes {
		if i.freed {
			continue
		}
		used += i.blocks
		if n := i.cache.count(); (i.links > 0 || i.opens > 0) && n != i.blocks {
			return fmt.Errorf("inode %d: occupies %d pages, has %d", i.id, i.blocks, n)
		}
		if i.allocated && len(i.pending) == 0 && !i.diverged && i.links > 0 {
			if err := i.checkClean(); err != nil {
				return err
			}
		}
	}
	if used != v.used {
		return fmt.Errorf("inodes occupy %d pages, the volume says %d", used, v.used)
	}
	return nil
}

// checkOrder checks that effects are in order of issue and are all counted.
func (v *Volume) checkOrder() error {
	lists, n := [][]Effect{v.entries}, 0
	for _, i := range v.inodes {
		lists = append(lists, i.pending)
	}
	for _, list := range lists {
		n += len(list)
		for k := 1; k < len(list); k++ {
			if list[k-1].Seq >= list[k].Seq {
				return fmt.Errorf("%s is pending before %s", list[k-1], list[k])
			}
		}
	}
	if n != v.pending {
		return fmt.Errorf("%d effects are pending, the volume says %d", n, v.pending)
	}
	return nil
}

// checkClean checks that a file without pending effects is durable as it is.
func (i *Inode) checkClean() error {
	if i.cache.size != i.durable.size {
		return fmt.Errorf("inode %d: size %d, durable %d, nothing pending", i.id, i.cache.size, i.durable.size)
	}
	a, b := make([]byte, PageSize), make([]byte, PageSize)
	for off := int64(0); off < i.cache.size; off += PageSize {
		n, _ := i.cache.read(a, off) // the only error is the end of the file
		m, _ := i.durable.read(b, off)
		if !bytes.Equal(a[:n], b[:m]) {
			return fmt.Errorf("inode %d: page %d differs from its durable version, nothing pending", i.id, off>>pageShift)
		}
	}
	return nil
}
