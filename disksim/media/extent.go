package media

import "io"

// An extent is the content of one file in one image: a size and sparse pages. A
// page that is nil reads as zeros. Pages may exist beyond the size while an
// effect that grows the file is pending; they are not readable.
type extent struct {
	size  int64
	pages []*page
}

func (x *extent) page(index int64) *page {
	if index < int64(len(x.pages)) {
		return x.pages[index]
	}
	return nil
}

// set installs pg, whose reference it takes over, and returns the page that was
// there, whose reference the caller takes over.
func (x *extent) set(index int64, pg *page) (old *page) {
	for int64(len(x.pages)) <= index {
		x.pages = append(x.pages, nil)
	}
	old = x.pages[index]
	x.pages[index] = pg
	return old
}

// read copies from offset off and returns io.EOF if the file ends before p is
// full.
func (x *extent) read(p []byte, off int64) (int, error) {
	if off >= x.size {
		if len(p) == 0 {
			return 0, nil
		}
		return 0, io.EOF
	}
	want := len(p)
	p = p[:min(int64(want), x.size-off)]
	for n := 0; n < len(p); {
		at := int((off + int64(n)) % PageSize)
		m := min(PageSize-at, len(p)-n)
		if pg := x.page((off + int64(n)) >> pageShift); pg != nil {
			copy(p[n:n+m], pg.data[at:])
		} else {
			clear(p[n : n+m])
		}
		n += m
	}
	if len(p) < want {
		return len(p), io.EOF
	}
	return len(p), nil
}

// cut removes every byte from offset n on, so that growing again shows zeros,
// and hands each page it drops to drop. The size is the caller's to set.
func (x *extent) cut(n int64, p *pool, drop func(*page)) {
	keep := (n + PageSize - 1) >> pageShift
	for i := keep; i < int64(len(x.pages)); i++ {
		if x.pages[i] != nil {
			drop(x.pages[i])
			x.pages[i] = nil
		}
	}
	if keep < int64(len(x.pages)) {
		x.pages = x.pages[:keep]
	}
	at := int(n % PageSize)
	last := x.page(n >> pageShift)
	if at == 0 || last == nil || last == p.zero {
		return
	}
	if last.refs > 1 {
		last = p.copyOf(last)
		p.put(x.set(n>>pageShift, last))
	}
	clear(last.data[at:])
}

// release gives back every page.
func (x *extent) release(drop func(*page)) {
	for i, pg := range x.pages {
		if pg != nil {
			drop(pg)
			x.pages[i] = nil
		}
	}
	x.pages, x.size = x.pages[:0], 0
}

// become makes x show the same bytes as from, sharing its pages.
func (x *extent) become(from *extent, p *pool) {
	x.release(p.put)
	x.size = from.size
	for _, pg := range from.pages {
		x.pages = append(x.pages, share(pg))
	}
}

// count returns how many pages are there.
func (x *extent) count() int64 {
	var n int64
	for _, pg := range x.pages {
		if pg != nil {
			n++
		}
	}
	return n
}
