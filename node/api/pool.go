package api

import "math/bits"

// A pool keeps buffers for requests and answers, in classes of powers of two.
// The zero value is empty.
type pool struct {
	free [poolClasses][][]byte
	kept int
}

const (
	poolSmallest = 10       // the smallest class has 1 KiB
	poolClasses  = 13       // the largest 4 MiB; what is larger is not kept
	poolLimit    = 64 << 20 // bytes that are kept at most
)

// get returns a buffer of n bytes with arbitrary contents.
func (p *pool) get(n int) []byte {
	c := poolClass(n)
	if c >= poolClasses {
		return make([]byte, n)
	}
	if free := p.free[c]; len(free) > 0 {
		b := free[len(free)-1]
		free[len(free)-1] = nil
		p.free[c] = free[:len(free)-1]
		p.kept -= cap(b)
		return b[:n]
	}
	return make([]byte, n, 1<<(c+poolSmallest))
}

// put takes back a buffer that nobody looks at any more.
func (p *pool) put(b []byte) {
	c := poolClass(cap(b))
	if c >= poolClasses || cap(b) != 1<<(c+poolSmallest) || p.kept+cap(b) > poolLimit {
		return
	}
	p.kept += cap(b)
	p.free[c] = append(p.free[c], b)
}

// poolClass returns the class of buffers that hold n bytes.
func poolClass(n int) int {
	return max(bits.Len(uint(max(n, 1)-1)), poolSmallest) - poolSmallest
}
